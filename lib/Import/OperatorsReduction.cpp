//===- OperatorsReduction.cpp - Sums, softmax and norms -------------------===//
//
// What lies beyond the live length of a reduced dimension is cut off before it
// is reduced, whatever the model's own mask says: with one new token the causal
// mask is true everywhere and protects nothing.
//
//===----------------------------------------------------------------------===//

#include "Operators.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/STLExtras.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

/// A reduction of an index function that stays one; null if it does not.
static Expr reduceSymbolic(Call &c, SymbolicTensor *q, ArrayRef<int64_t> axes) {
  Arithmetic &math = c.math;
  Expr function = c.lowering.functionOf(q);
  if (!function || !function->isInt())
    return nullptr;
  math.dims = q->shape;
  llvm::SmallBitVector used = math.dimsOf(function);
  auto uses = [&](int64_t axis) {
    return axis < static_cast<int64_t>(used.size()) && used[axis];
  };
  if (c.op == "ReduceSum") {
    for (int64_t axis : axes) {
      if (uses(axis))
        return nullptr;
      function = math.mul(function, q->shape[axis]);
    }
    return function;
  }
  if (c.op == "ReduceMean")
    return nullptr;
  // Largest and smallest of something affine lie at its ends.
  Sizes ends;
  for (size_t i = 0; i < q->rank(); ++i)
    ends.push_back(math.dim(i));
  for (int64_t axis : axes) {
    int64_t slope = 0;
    for (const Term &term : function->terms)
      if (term.atoms.size() == 1 &&
          math.dim(axis)->terms[0].atoms[0] == term.atoms[0])
        slope = term.coefficient;
    Expr rest =
        math.sub(function, math.mul(math.dim(axis), math.constant(slope)));
    llvm::SmallBitVector left = math.dimsOf(rest);
    if (axis < static_cast<int64_t>(left.size()) && left[axis])
      return nullptr;
    bool atEnd = (slope > 0) == (c.op == "ReduceMax");
    ends[axis] = atEnd ? math.add(q->shape[axis], -1) : math.constant(0);
  }
  return math.substitute(function, ends);
}

/// The number of elements of some dimensions, as a value to divide by.
static SymbolicTensor *countOf(Call &c, SymbolicTensor *q,
                               ArrayRef<int64_t> axes) {
  Expr count = c.math.constant(1);
  for (int64_t axis : axes)
    count = c.math.mul(count, q->shape[axis]);
  return c.lowering.fromFunction(
      {}, q->type, c.math.toFloat(count, c.lowering.formatOf(q->type)));
}

static SymbolicTensor *mean(Call &c, SymbolicTensor *q,
                            ArrayRef<int64_t> axes) {
  SymbolicTensor *sum = c.lowering.reduce(q, axes, Combiner::Sum);
  return sum ? c.lowering.divide(sum, countOf(c, q, axes)) : nullptr;
}

/// Removes dimensions of size 1.
static SymbolicTensor *dropAxes(Call &c, SymbolicTensor *q,
                                ArrayRef<int64_t> axes) {
  Sizes shape, indices;
  for (size_t i = 0; i < q->rank(); ++i) {
    bool dropped = llvm::is_contained(axes, static_cast<int64_t>(i));
    indices.push_back(dropped ? c.math.constant(0) : c.math.dim(shape.size()));
    if (!dropped)
      shape.push_back(q->shape[i]);
  }
  return moved(c.lowering, q, shape, indices, [&](View &view) {
    decltype(view.dims) dims;
    for (auto [i, dim] : llvm::enumerate(view.dims))
      if (!llvm::is_contained(axes, static_cast<int64_t>(i)))
        dims.push_back(dim);
    view.dims = std::move(dims);
  });
}

std::optional<SmallVector<int64_t>> import::reducedAxes(Call &c) {
  SymbolicTensor *q = c.input(0);
  SmallVector<int64_t> axes;
  if (c.input(1)) {
    auto given = c.lowering.constantsOf(c.input(1), "an axis");
    if (!given)
      return std::nullopt;
    axes = *given;
  } else if (auto given = c.integers("axes")) {
    axes = *given;
  }
  if (axes.empty() && !c.integer("noop_with_empty_axes", 0))
    for (size_t i = 0; i < q->rank(); ++i)
      axes.push_back(i);
  for (int64_t &axis : axes) {
    auto normal = normalizeAxis(c.lowering, axis, q->rank());
    if (!normal)
      return std::nullopt;
    axis = *normal;
  }
  llvm::sort(axes);
  axes.erase(llvm::unique(axes), axes.end());
  return axes;
}

/// A reduction of integers that depend on data, within 32 bits.
static SymbolicTensor *reduceIntegers(Call &c, SymbolicTensor *q,
                                      ArrayRef<int64_t> axes,
                                      Combiner combiner) {
  Arithmetic &math = c.math;
  int64_t count = 1;
  for (int64_t axis : axes)
    count *= c.lowering.capacity(q->shape[axis]);
  Expr function = c.lowering.functionOf(q);
  if (!function)
    return c.refuse("of integers that are not known");
  math.dims = q->shape;
  if (combiner == Combiner::Sum &&
      !c.lowering.staysIn32Bits(math.mul(function, math.constant(count))))
    return nullptr;
  math.dims = q->shape;
  auto [low, high] = math.bounds(function);
  SymbolicTensor *result = c.lowering.reduce(q, axes, combiner);
  if (!result || !low || !high)
    return result;
  // What lies in the sum, for whoever computes with it.
  const int64_t times = combiner == Combiner::Sum ? count : 1;
  return c.lowering.withRange(result,
                              std::min<int64_t>(0, math.lowest(low)) * times,
                              std::max<int64_t>(0, math.highest(high)) * times);
}

static Combiner combinerOf(StringRef op) {
  return op == "ReduceSum"   ? Combiner::Sum
         : op == "ReduceMax" ? Combiner::Max
                             : Combiner::Min;
}

/// What a reduction over no elements gives, where the result has any.
static SymbolicTensor *reducedNothing(Call &c, SymbolicTensor *q,
                                      ArrayRef<int64_t> axes) {
  Sizes shape = q->shape;
  bool isEmpty = false;
  for (int64_t axis : axes) {
    isEmpty |= shape[axis] == c.math.constant(0);
    shape[axis] = c.math.constant(1);
  }
  if (!isEmpty)
    return nullptr;
  const double infinity = std::numeric_limits<double>::infinity();
  const unsigned bits = q->isInt() ? q->type.getIntOrFloatBitWidth() : 0;
  const double most =
      q->isInt() ? std::ldexp(1.0, std::min(bits, 32u) - 1) - 1 : infinity;
  const double neutral = c.op == "ReduceMax"    ? -most - q->isInt()
                         : c.op == "ReduceMin"  ? most
                         : c.op == "ReduceMean" ? std::nan("")
                                                : 0;
  return c.lowering.fromFunction(shape, q->type,
                                 c.lowering.constantOf(neutral, q->type));
}

static Results lowerReduce(Call &c) {
  SymbolicTensor *q = c.input(0);
  Lowering &lowering = c.lowering;
  auto axes = reducedAxes(c);
  if (!axes)
    return {};
  if (axes->empty())
    return one(q);
  if (SymbolicTensor *nothing = reducedNothing(c, q, *axes))
    return one(c.integer("keepdims", 1) ? nothing
                                        : dropAxes(c, nothing, *axes));
  const bool isBool = q->isBool();
  if (isBool) { // any, or all
    q = converted(c, q, lowering.builder.getI32Type());
    if (!q || c.op == "ReduceSum" || c.op == "ReduceMean")
      return one(q ? c.refuse("of booleans") : nullptr);
  }
  SymbolicTensor *result = nullptr;
  if (Expr function = reduceSymbolic(c, q, *axes)) {
    Sizes shape = q->shape;
    for (int64_t axis : *axes)
      shape[axis] = c.math.constant(1);
    result = lowering.fromFunction(shape, q->type, function);
  } else if (c.op == "ReduceMean") {
    result = q->isFloat() ? mean(c, q, *axes)
                          : c.refuse("of integers that depend on data");
  } else if (!q->isFloat()) {
    result = reduceIntegers(c, q, *axes, combinerOf(c.op));
  } else {
    result = lowering.reduce(q, *axes, combinerOf(c.op));
  }
  if (result && isBool)
    result = converted(c, result, c.input(0)->type);
  if (!result)
    return {};
  return one(c.integer("keepdims", 1) ? result : dropAxes(c, result, *axes));
}

SymbolicTensor *import::softmax(Call &c, SymbolicTensor *q,
                                ArrayRef<int64_t> axes, bool paddingIsExcluded,
                                SymbolicTensor *sink) {
  Lowering &lowering = c.lowering;
  bool bounded = false;
  for (int64_t axis : axes) {
    if (!lowering.isBounded(q->shape[axis]))
      continue;
    bounded = true;
    if (!paddingIsExcluded &&
        !(q = lowering.maskPadding(q, axis,
                                   -std::numeric_limits<double>::infinity())))
      return nullptr;
  }
  SymbolicTensor *largest =
      lowering.reduce(q, axes, Combiner::Max, /*paddingIsNeutral=*/true);
  if (largest && sink)
    largest = lowering.binary(ScalarOp::Max, largest, sink);
  if (!largest)
    return nullptr;
  auto power = [](OpBuilder &b, Location at, ValueRange args) -> Value {
    Value below = arith::SubFOp::create(b, at, args[0], args[1]);
    // Never positive: the power is finite.
    return math::ExpOp::create(b, at, below, arith::FastMathFlags::ninf);
  };
  SymbolicTensor *weights = lowering.pointwise({q, largest}, q->type, power);
  if (!weights)
    return nullptr;
  // exp(-inf) is an exact zero: the sum needs no second cut.
  SymbolicTensor *sum = lowering.reduce(weights, axes, Combiner::Sum,
                                        /*paddingIsNeutral=*/true);
  if (sum && sink) {
    SymbolicTensor *taken = lowering.pointwise({sink, largest}, q->type, power);
    sum = taken ? lowering.binary(ScalarOp::Add, sum, taken) : nullptr;
  }
  if (!sum)
    return nullptr;
  // At least 1, which the largest adds, and at most the number of elements.
  SymbolicTensor *inverse = lowering.pointwise(
      {sum}, sum->type,
      [](OpBuilder &b, Location at, ValueRange args) -> Value {
        Value one = arith::ConstantOp::create(
            b, at, b.getFloatAttr(args[0].getType(), 1));
        return arith::DivFOp::create(b, at, one, args[0],
                                     arith::FastMathFlags::ninf);
      });
  SymbolicTensor *result =
      inverse ? lowering.binary(ScalarOp::Mul, weights, inverse) : nullptr;
  if (!result)
    return nullptr;
  result->paddingIsZero = result->paddingIsFinite =
      bounded && !lowering.options.mistakePaddingIsKept;
  return result;
}

std::optional<SmallVector<int64_t>> import::softmaxAxes(Call &c) {
  SymbolicTensor *q = c.input(0);
  const bool isOld = c.version < 13;
  auto axis =
      normalizeAxis(c.lowering, c.integer("axis", isOld ? 1 : -1), q->rank());
  if (!axis)
    return std::nullopt;
  if (!q->isFloat())
    return c.refuse("of a value that is not a float"), std::nullopt;
  SmallVector<int64_t> axes{*axis};
  // Before version 13 all dimensions from the axis on are one.
  while (isOld && axes.back() + 1 < static_cast<int64_t>(q->rank()))
    axes.push_back(axes.back() + 1);
  return axes;
}

static Results lowerSoftmax(Call &c) {
  auto axes = softmaxAxes(c);
  return axes ? one(softmax(c, c.input(0), *axes)) : Results{};
}

/// x - max - log(sum(exp(x - max))): nothing overflows, and what is far below
/// the largest keeps its digits, which a logarithm of the softmax would lose.
static Results lowerLogSoftmax(Call &c) {
  auto axes = softmaxAxes(c);
  if (!axes)
    return {};
  Lowering &lowering = c.lowering;
  SymbolicTensor *q = c.input(0);
  SymbolicTensor *largest = lowering.reduce(q, *axes, Combiner::Max);
  SymbolicTensor *below =
      largest ? lowering.binary(ScalarOp::Sub, q, largest) : nullptr;
  SymbolicTensor *powers =
      below ? lowering.unary(ScalarOp::Exp, below) : nullptr;
  SymbolicTensor *sum =
      powers ? lowering.reduce(powers, *axes, Combiner::Sum) : nullptr;
  SymbolicTensor *log = sum ? lowering.unary(ScalarOp::Log, sum) : nullptr;
  return log ? one(lowering.binary(ScalarOp::Sub, below, log)) : Results{};
}

//===----------------------------------------------------------------------===//
// Norms
//===----------------------------------------------------------------------===//

/// The axes of a norm: from `axis` to the last, none of them bounded.
static std::optional<SmallVector<int64_t>> normAxes(Call &c,
                                                    SymbolicTensor *q) {
  auto first = normalizeAxis(c.lowering, c.integer("axis", -1), q->rank());
  if (!first)
    return std::nullopt;
  if (!q->isFloat()) {
    c.refuse("of a value that is not a float");
    return std::nullopt;
  }
  SmallVector<int64_t> axes;
  for (int64_t axis = *first; axis < static_cast<int64_t>(q->rank()); ++axis) {
    if (c.lowering.isBounded(q->shape[axis])) {
      c.refuse("normalizes over the live length");
      return std::nullopt;
    }
    axes.push_back(axis);
  }
  return axes;
}

/// 1 / sqrt(mean(q * q) + epsilon) over the axes.
static SymbolicTensor *inverseDeviation(Call &c, SymbolicTensor *q,
                                        ArrayRef<int64_t> axes,
                                        double epsilon) {
  SymbolicTensor *square = c.lowering.pointwise(
      q, q->type, [](OpBuilder &b, Location at, ValueRange args) -> Value {
        return arith::MulFOp::create(b, at, args[0], args[0]);
      });
  SymbolicTensor *variance = square ? mean(c, square, axes) : nullptr;
  if (!variance)
    return nullptr;
  return c.lowering.pointwise(
      variance, q->type,
      [&](OpBuilder &b, Location at, ValueRange args) -> Value {
        auto constant = [&](double value) -> Value {
          return arith::ConstantOp::create(
              b, at, b.getFloatAttr(args[0].getType(), value));
        };
        Value sum = arith::AddFOp::create(b, at, args[0], constant(epsilon));
        Value root = math::SqrtOp::create(b, at, sum);
        return arith::DivFOp::create(b, at, constant(1), root);
      });
}

static double epsilonOf(Call &c) {
  return c.real("epsilon", c.domain.empty() ? 1e-5 : 1e-12);
}

/// A norm over the axes: (q - mean(q)) or q itself, by the inverse of its
/// deviation, times `scale` (+ `bias`). Half precision is widened: a sum of
/// squares leaves its range. `inverse` and `centre` are
/// set if they are asked for.
static SymbolicTensor *normalized(Call &c, SymbolicTensor *q,
                                  ArrayRef<int64_t> axes, bool isCentred,
                                  SymbolicTensor *scale, SymbolicTensor *bias,
                                  double epsilon,
                                  SymbolicTensor **inverse = nullptr,
                                  SymbolicTensor **centre = nullptr) {
  Lowering &lowering = c.lowering;
  Type type = q->type, wide = lowering.builder.getF32Type();
  if (scale->type != type || (bias && bias->type != type))
    return c.refuse("its operands are not of one type");
  if (c.integer("stash_type", 1) != 1)
    return c.refuse("stash_type " + Twine(c.integer("stash_type", 1)) +
                    " is not supported");
  q = converted(c, q, wide);
  scale = q ? converted(c, scale, wide) : nullptr;
  if (!scale || (bias && !(bias = converted(c, bias, wide))))
    return nullptr;
  if (isCentred) {
    SymbolicTensor *average = mean(c, q, axes);
    q = average ? lowering.binary(ScalarOp::Sub, q, average) : nullptr;
    if (centre)
      *centre = average;
  }
  SymbolicTensor *factor = q ? inverseDeviation(c, q, axes, epsilon) : nullptr;
  q = factor ? lowering.binary(ScalarOp::Mul, q, factor) : nullptr;
  q = q ? lowering.binary(ScalarOp::Mul, q, scale) : nullptr;
  if (q && bias)
    q = lowering.binary(ScalarOp::Add, q, bias);
  if (inverse)
    *inverse = factor;
  return q ? converted(c, q, type) : nullptr;
}

SymbolicTensor *import::rmsNormalized(Call &c, SymbolicTensor *q,
                                      SymbolicTensor *scale, double epsilon) {
  return normalized(c, q, {static_cast<int64_t>(q->rank()) - 1},
                    /*isCentred=*/false, scale, nullptr, epsilon);
}

static Results lowerLayerNormalization(Call &c) {
  SymbolicTensor *q = c.input(0), *inverse = nullptr, *centre = nullptr;
  auto axes = normAxes(c, q);
  if (!axes)
    return {};
  SymbolicTensor *result =
      normalized(c, q, *axes, /*isCentred=*/true, c.input(1), c.input(2),
                 epsilonOf(c), &inverse, &centre);
  return result ? Results{result, centre, inverse} : Results{};
}

static Results lowerRMSNormalization(Call &c) {
  SymbolicTensor *q = c.input(0), *inverse;
  auto axes = normAxes(c, q);
  if (!axes)
    return {};
  SymbolicTensor *result =
      normalized(c, q, *axes, /*isCentred=*/false, c.input(1), nullptr,
                 epsilonOf(c), &inverse);
  return result ? Results{result, inverse} : Results{};
}

/// The norm of input + skip (+ bias), and that sum.
static Results lowerSkipNormalization(Call &c) {
  bool isCentred = c.op == "SkipLayerNormalization";
  SymbolicTensor *gamma = c.input(2);
  SymbolicTensor *beta = isCentred ? c.input(3) : nullptr;
  SymbolicTensor *bias = isCentred ? c.input(4) : c.input(3);
  for (unsigned i : {1, 2})
    if (c.wants(i))
      return one(c.refuse(i == 1
                              ? "its output 'mean' is not supported"
                              : "its output 'inv_std_var' is not supported"));
  SymbolicTensor *sum =
      c.lowering.binary(ScalarOp::Add, c.input(0), c.input(1));
  if (sum && bias)
    sum = c.lowering.binary(ScalarOp::Add, sum, bias);
  auto axes = sum ? normAxes(c, sum) : std::nullopt;
  if (!axes)
    return {};
  SymbolicTensor *result =
      normalized(c, sum, *axes, isCentred, gamma, beta, epsilonOf(c));
  return result ? Results{result, nullptr, nullptr, sum} : Results{};
}

ArrayRef<OperatorEntry> import::reductionOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"", "LayerNormalization", 2, 3, lowerLayerNormalization},
      {"", "LogSoftmax", 1, 1, lowerLogSoftmax},
      {"", "RMSNormalization", 2, 2, lowerRMSNormalization},
      {"", "ReduceMax", 1, 2, lowerReduce},
      {"", "ReduceMean", 1, 2, lowerReduce},
      {"", "ReduceMin", 1, 2, lowerReduce},
      {"", "ReduceSum", 1, 2, lowerReduce},
      {"", "SimplifiedLayerNormalization", 2, 2, lowerRMSNormalization},
      {"", "Softmax", 1, 1, lowerSoftmax},
      {"com.microsoft", "SkipLayerNormalization", 3, 5, lowerSkipNormalization},
      {"com.microsoft", "SkipSimplifiedLayerNormalization", 3, 4,
       lowerSkipNormalization},
  };
  return table;
}
