//===- OperatorsGenerator.cpp - Values made of sizes and indices ----------===//

#include "Compose.h"
#include "Rows.h"
#include "TensorBytes.h"

#include <cmath>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

/// Range of floats: constants, or 0, 1, .. up to a size.
static SymbolicTensor *floatRange(Call &c, Type type) {
  Lowering &lowering = c.lowering;
  Expr bounds[3];
  for (unsigned i = 0; i < 3; ++i) {
    const Sizes *elements = lowering.elementsOf(c.input(i));
    if (!elements || elements->empty())
      return c.refuse("a bound is computed at run time");
    bounds[i] = (*elements)[0];
  }
  Format format = lowering.formatOf(type);
  auto value = [](Expr e) -> std::optional<double> {
    if (e->kind != ExprKind::FloatConstant)
      return std::nullopt;
    return e->floatValue();
  };
  auto start = value(bounds[0]), limit = value(bounds[1]),
       delta = value(bounds[2]);
  Expr size = nullptr;
  if (start && limit && delta && *delta != 0) {
    double count = std::ceil((*limit - *start) / *delta);
    if (!(std::fabs(count) < (1 << 24)))
      return c.refuse("has too many elements");
    size = c.math.constant(std::max<int64_t>(0, count));
  } else if (start && *start == 0 && delta && *delta == 1 &&
             bounds[1]->kind == ExprKind::IntToFloat) {
    size = bounds[1]->args[0];
  } else {
    return c.refuse("bounds are floats that are not constants");
  }
  c.math.dims.assign(1, size);
  Expr index = c.math.toFloat(c.math.dim(0), format);
  Expr scaled = *delta == 1
                    ? index
                    : c.math.apply(ScalarOp::Mul, {index, bounds[2]}, format);
  Expr function =
      *start == 0 ? scaled
                  : c.math.apply(ScalarOp::Add, {bounds[0], scaled}, format);
  return lowering.fromFunction({size}, type, function);
}

static Results lowerRange(Call &c) {
  Lowering &lowering = c.lowering;
  Arithmetic &math = c.math;
  Type type = c.input(0)->type;
  if (isa<FloatType>(type))
    return one(floatRange(c, type));
  Expr begin = lowering.functionOf(c.input(0)),
       end = lowering.functionOf(c.input(1)),
       by = lowering.functionOf(c.input(2));
  if (begin && end && by == math.constant(1) &&
      (math.readsData(begin) || math.readsData(end)))
    return lowerWindow(c, begin, end);
  Expr bounds[3];
  for (unsigned i = 0; i < 3; ++i) {
    const Sizes *elements = lowering.sizesOf(c.input(i), "its bound");
    if (!elements)
      return {};
    if (elements->size() != 1)
      return one(c.refuse("a bound is not a scalar"));
    bounds[i] = (*elements)[0];
  }
  auto [start, limit, delta] = bounds;
  auto step = delta->constant();
  if (!step || *step == 0)
    return one(c.refuse("the step " + math.print(delta) +
                        " is not a constant other than 0"));
  Expr size;
  Expr distance = math.sub(limit, start);
  if (*step == 1 || *step == -1) {
    size = *step == 1 ? distance : math.neg(distance);
    if (math.highest(size) <= 0)
      size = math.constant(0);
  } else if (auto length = distance->constant()) {
    __int128 count = *step > 0
                         ? (__int128(*length) + *step - 1) / *step
                         : (-__int128(*length) - *step - 1) / -__int128(*step);
    size = math.constant(std::max<__int128>(0, count));
  } else {
    return one(c.refuse("the length of (" + math.print(distance) + ") / " +
                        Twine(*step) + " elements changes"));
  }
  if (math.lowest(size) < 0)
    return one(c.refuse("the length " + math.print(size) + " may be negative"));
  math.dims.assign(1, size);
  return one(lowering.fromFunction(
      {size}, type, math.add(start, math.mul(math.dim(0), delta))));
}

static Results lowerConstantOfShape(Call &c) {
  const Sizes *shape = c.lowering.sizesOf(c.input(0), "the shape");
  if (!shape)
    return {};
  for (Expr size : *shape)
    if (c.math.lowest(size) < 0)
      return one(
          c.refuse("the size " + c.math.print(size) + " may be negative"));
  Sizes sizes = *shape;
  Type type = c.lowering.builder.getF32Type();
  Expr element = c.math.floatConstant(0, Format::F32);
  if (auto value = c.attributes.getAs<DenseElementsAttr>("value")) {
    if (value.getNumElements() != 1)
      return one(c.refuse("its value has more than one element"));
    type = value.getElementType();
    element = c.lowering.functionOf(c.lowering.fromConstant(value, "value"));
  }
  if (!element)
    return one(c.refuse("its value is of a type that is not supported"));
  return one(c.lowering.fromFunction(sizes, type, element));
}

static Results lowerTrilu(Call &c) {
  SymbolicTensor *q = c.input(0);
  Arithmetic &math = c.math;
  Expr offset = math.constant(0);
  if (c.input(1)) {
    const Sizes *given = c.lowering.sizesOf(c.input(1), "the diagonal");
    if (!given || given->size() != 1)
      return {};
    offset = (*given)[0];
  }
  Expr function = c.lowering.functionOf(q);
  if (q->rank() < 2)
    return one(c.refuse("of a value of rank " + Twine(q->rank())));
  math.dims = q->shape;
  Expr row = math.dim(q->rank() - 2), column = math.dim(q->rank() - 1);
  Expr distance = math.sub(column, math.add(row, offset));
  Expr kept =
      math.lessEqualZero(c.integer("upper", 1) ? math.neg(distance) : distance);
  Expr zero = c.lowering.constantOf(0, q->type);
  if (!function) {
    Compose o(c);
    SymbolicTensor *inside =
        c.lowering.fromFunction(q->shape, c.lowering.builder.getI1Type(), kept);
    return one(o.where(inside, q, o.constant(0)));
  }
  return one(c.lowering.fromFunction(q->shape, q->type,
                                     math.where(kept, function, zero)));
}

/// Whether a function is an element of an input that is ones where the caller
/// leaves it out.
static bool readsMask(Lowering &lowering, Expr function) {
  if (!function->isInt() || function->terms.size() != 1 ||
      function->terms[0].atoms.size() != 1)
    return false;
  Expr atom = function->terms[0].atoms[0];
  if (atom->kind != ExprKind::IntRead)
    return false;
  auto input = lowering.inputs.find(atom->payload);
  return input != lowering.inputs.end() &&
         input->second.getFallback() == "ones";
}

static Results lowerCumSum(Call &c) {
  SymbolicTensor *q = c.input(0);
  Arithmetic &math = c.math;
  auto given = c.lowering.constantsOf(c.input(1), "the axis");
  if (!given || given->size() != 1)
    return {};
  auto axis = normalizeAxis(c.lowering, (*given)[0], q->rank());
  if (!axis)
    return {};
  Expr function = c.lowering.functionOf(q);
  math.dims = q->shape;
  // Who adds up a mask counts what it lets through: it holds ones and zeros.
  if (function && readsMask(c.lowering, function))
    limitInput(c.lowering, function, 2);
  bool constant = function && function->isInt() && !c.integer("reverse", 0);
  if (constant) {
    llvm::SmallBitVector used = math.dimsOf(function);
    constant = *axis >= static_cast<int64_t>(used.size()) || !used[*axis];
  }
  if (!constant)
    return one(runningSum(c, q, *axis));
  Expr count = math.add(math.dim(*axis), c.integer("exclusive", 0) ? 0 : 1);
  return one(
      c.lowering.fromFunction(q->shape, q->type, math.mul(function, count)));
}

static Results lowerEyeLike(Call &c) {
  SymbolicTensor *q = c.input(0);
  Arithmetic &math = c.math;
  if (q->rank() != 2)
    return one(c.refuse("of a value of rank " + Twine(q->rank())));
  Type type = c.has("dtype")
                  ? elementType(static_cast<int32_t>(c.integer("dtype", 1)),
                                c.lowering.builder.getContext())
                  : q->type;
  if (!type)
    return one(c.refuse("of a type that is not supported"));
  math.dims = q->shape;
  Expr off = math.sub(math.sub(math.dim(1), math.dim(0)),
                      math.constant(c.integer("k", 0)));
  Expr on = math.equalZero(off);
  if (!type.isInteger(1))
    on = math.where(on, c.lowering.constantOf(1, type),
                    c.lowering.constantOf(0, type));
  return one(c.lowering.fromFunction(q->shape, type, on));
}

/// Each product is written out from the one before.
static Results lowerCumProd(Call &c) {
  constexpr int64_t most = 1024;
  SymbolicTensor *q = c.input(0);
  auto given = c.lowering.constantsOf(c.input(1), "the axis");
  if (!given || given->size() != 1)
    return {};
  auto axis = normalizeAxis(c.lowering, (*given)[0], q->rank());
  auto size = axis ? q->shape[*axis]->constant() : std::nullopt;
  if (!axis)
    return {};
  if (!size || *size < 1 || *size > most)
    return one(c.refuse("multiplies " + c.lowering.print(q->shape[*axis]) +
                        " elements; 1 to " + Twine(most) + " are written out"));
  const bool isReversed = c.integer("reverse", 0) != 0,
             isExclusive = c.integer("exclusive", 0) != 0;
  Compose o(c);
  SmallVector<SymbolicTensor *> parts(*size);
  SymbolicTensor *all = nullptr;
  for (int64_t i = 0; i < *size && !o.failed(); ++i) {
    const int64_t at = isReversed ? *size - 1 - i : i;
    SymbolicTensor *next = sliceAxis(c.lowering, q, *axis, at, 1);
    if (!all && isExclusive && next) {
      SymbolicTensor *ones = o.constant(1);
      parts[at] =
          o("Expand",
            {ones, c.lowering.fromElements(next->shape, false,
                                           c.lowering.builder.getI64Type())});
    } else {
      parts[at] = isExclusive ? all : all ? o.mul(all, next) : next;
    }
    all = all ? o.mul(all, next) : next;
  }
  return one(*size == 1 ? parts[0]
                        : o("Concat", parts, {o.attribute("axis", *axis)}));
}

ArrayRef<OperatorEntry> import::generatorOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"", "ConstantOfShape", 1, 1, lowerConstantOfShape},
      {"", "CumProd", 2, 2, lowerCumProd},
      {"", "CumSum", 2, 2, lowerCumSum},
      {"", "EyeLike", 1, 1, lowerEyeLike},
      {"", "Range", 3, 3, lowerRange},
      {"", "Trilu", 1, 2, lowerTrilu},
  };
  return table;
}
