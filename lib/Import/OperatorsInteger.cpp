//===- OperatorsInteger.cpp - Bits, and integers that stand for floats ----===//
//
// Quantized values are computed in floats, which hold integers up to 2^24: sums
// of products are cut where they could leave that, and added up as integers.
//
//===----------------------------------------------------------------------===//

#include "Compose.h"
#include "TensorBytes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

//===----------------------------------------------------------------------===//
// Bits
//===----------------------------------------------------------------------===//

/// What values of a type can be at run time, in 32 bits.
static std::pair<int64_t, int64_t> rangeOf(Type type) {
  const unsigned width = type.getIntOrFloatBitWidth();
  const bool isUnsigned = type.isUnsignedInteger();
  const int64_t high =
      (int64_t(1) << std::min(31u, width - (isUnsigned ? 0 : 1))) - 1;
  return {isUnsigned ? 0 : -high - 1, high};
}

/// `write` on integers at run time; the result has the range of its type.
static Results
onBits(Call &c, ArrayRef<SymbolicTensor *> operands,
       function_ref<Value(OpBuilder &, Location, ValueRange)> write) {
  for (SymbolicTensor *q : operands)
    if (!q->isInt())
      return one(c.refuse("of values that are not integers"));
  if (!sameTypes(c, operands))
    return {};
  Type type = operands[0]->type;
  SymbolicTensor *result = c.lowering.pointwise(operands, type, write);
  if (!result)
    return {};
  ReadTensor &read = c.math.reads.back();
  std::tie(read.low, read.high) = rangeOf(type);
  return {result};
}

static bool isWideUnsigned(Type type) {
  return type.isUnsignedInteger() && type.getIntOrFloatBitWidth() >= 32;
}

static Results lowerBitwise(Call &c) {
  return onBits(c, c.inputs,
                [&](OpBuilder &b, Location at, ValueRange args) -> Value {
                  if (c.op == "BitwiseAnd")
                    return arith::AndIOp::create(b, at, args[0], args[1]);
                  if (c.op == "BitwiseOr")
                    return arith::OrIOp::create(b, at, args[0], args[1]);
                  return arith::XOrIOp::create(b, at, args[0], args[1]);
                });
}

static Results lowerBitwiseNot(Call &c) {
  Type type = c.input(0)->type;
  if (!c.input(0)->isInt() || isWideUnsigned(type))
    return one(c.refuse("of values that 32 bits with a sign do not hold"));
  const int64_t mask = type.isUnsignedInteger()
                           ? (int64_t(1) << type.getIntOrFloatBitWidth()) - 1
                           : -1;
  return onBits(c, c.inputs,
                [&](OpBuilder &b, Location at, ValueRange args) -> Value {
                  Value all = arith::ConstantOp::create(
                      b, at, b.getI32IntegerAttr(static_cast<int32_t>(mask)));
                  return arith::XOrIOp::create(b, at, args[0], all);
                });
}

static Results lowerBitShift(Call &c) {
  Type type = c.input(0)->type;
  const bool isLeft = c.text("direction", "") == "LEFT";
  if (!type.isUnsignedInteger() || (isLeft && isWideUnsigned(type)))
    return one(c.refuse("of values that 32 bits with a sign do not hold"));
  const auto width = static_cast<int32_t>(type.getIntOrFloatBitWidth());
  return onBits(
      c, c.inputs, [&](OpBuilder &b, Location at, ValueRange args) -> Value {
        auto constant = [&](int32_t value) -> Value {
          return arith::ConstantOp::create(b, at, b.getI32IntegerAttr(value));
        };
        if (!isLeft)
          return arith::ShRUIOp::create(b, at, args[0], args[1]);
        Value moved = arith::ShLIOp::create(b, at, args[0], args[1]);
        return arith::AndIOp::create(b, at, moved,
                                     constant((int32_t(1) << width) - 1));
      });
}

//===----------------------------------------------------------------------===//
// Quantized values
//===----------------------------------------------------------------------===//

/// Scales or zero points as they lie over `q`: one, one per index of `axis`,
/// or one per block along it.
static SymbolicTensor *overValue(Call &c, Compose &o, SymbolicTensor *q,
                                 SymbolicTensor *each, int64_t axis,
                                 int64_t block) {
  if (each->rank() == 0 || c.math.product(each->shape) == c.math.constant(1))
    return reshaped(c, each, {});
  if (each->rank() == 1) {
    if (each->shape[0] != q->shape[axis])
      return c.refuse("its scales do not fit the value");
    Sizes shape{each->shape[0]};
    shape.append(q->rank() - axis - 1, c.math.constant(1));
    return reshaped(c, each, shape);
  }
  auto size = q->shape[axis]->constant(),
       count = each->rank() == q->rank() ? each->shape[axis]->constant()
                                         : std::nullopt;
  if (!size || !count || block < 1 || (*count - 1) * block >= *size ||
      *count * block < *size)
    return c.refuse("its scales do not fit the value");
  SmallVector<int64_t> places;
  for (int64_t i = 0; i < *size; ++i)
    places.push_back(i / block);
  return o("Gather", {each, o.ints(places)}, o.attribute("axis", axis));
}

/// (q - zero) * scale, in the type of the scale.
SymbolicTensor *import::dequantized(Call &c, SymbolicTensor *q,
                                    SymbolicTensor *scale, SymbolicTensor *zero,
                                    int64_t axis, int64_t block) {
  Compose o(c);
  Type type = scale->type;
  scale = overValue(c, o, q, scale, axis, block);
  if (zero)
    zero = overValue(c, o, q, zero, axis, block);
  SymbolicTensor *value = scale ? converted(c, q, type) : nullptr;
  if (value && zero) {
    zero = converted(c, zero, type);
    value = zero ? o.sub(value, zero) : nullptr;
  }
  return value ? o.mul(value, scale) : nullptr;
}

/// The upper half of the digits of a float, and what is left of it.
static std::pair<SymbolicTensor *, SymbolicTensor *> halves(Compose &o,
                                                            SymbolicTensor *a) {
  SymbolicTensor *shifted = o.mul(a, o.constant(4097, a->type));
  SymbolicTensor *upper = o.sub(shifted, o.sub(shifted, a));
  return {upper, o.sub(a, upper)};
}

/// a / b as it is rounded once: halves of an integer must be found as such. A
/// product with a reciprocal misses by some units of its last place, which the
/// rest of the division, a product of halves without rounding, makes up for.
static SymbolicTensor *quotient(Compose &o, SymbolicTensor *a,
                                SymbolicTensor *b) {
  SymbolicTensor *near = o.div(a, b);
  if (o.failed())
    return nullptr;
  auto [nearUpper, nearLower] = halves(o, near);
  auto [upper, lower] = halves(o, b);
  if (o.failed())
    return nullptr;
  SymbolicTensor *back = o.mul(near, b);
  SymbolicTensor *lost = o.add(o.add(o.add(o.sub(o.mul(nearUpper, upper), back),
                                           o.mul(nearUpper, lower)),
                                     o.mul(nearLower, upper)),
                               o.mul(nearLower, lower));
  SymbolicTensor *rest = o.sub(o.sub(a, back), lost);
  // Large ones are integers anyway, and halves of the largest overflow.
  SymbolicTensor *isSmall =
      o.less(o("Abs", {near}), o.constant(0x1p23, a->type));
  return o.where(isSmall, o.add(near, o.div(rest, b)), near);
}

/// Floats that are integers, brought into the range of `type`.
static SymbolicTensor *asInteger(Call &c, Compose &o, SymbolicTensor *whole,
                                 Type type) {
  Type wide = c.lowering.builder.getF32Type();
  auto [low, high] = rangeOf(type);
  SymbolicTensor *inside = o("Min", {o("Max", {whole, o.constant(low, wide)}),
                                     o.constant(high, wide)});
  SymbolicTensor *result =
      inside ? converted(c, inside, c.lowering.builder.getI32Type()) : nullptr;
  if (result && result->view) {
    ReadTensor &read = c.math.reads.back();
    std::tie(read.low, read.high) = std::pair(low, high);
  }
  return result ? converted(c, result, type) : nullptr;
}

/// round(q / scale) + zero, brought into the range of `type`.
static SymbolicTensor *quantized(Call &c, Compose &o, SymbolicTensor *q,
                                 SymbolicTensor *scale, SymbolicTensor *zero,
                                 Type type, int64_t axis, int64_t block) {
  if (!q || o.failed())
    return nullptr;
  Type wide = c.lowering.builder.getF32Type();
  if (!isSmallFloat(type) &&
      (!isa<IntegerType>(type) || type.getIntOrFloatBitWidth() > 16))
    return c.refuse("quantizes to a type that is not supported");
  scale = overValue(c, o, q, scale, axis, block);
  if (zero)
    zero = overValue(c, o, q, zero, axis, block);
  q = scale ? converted(c, q, wide) : nullptr;
  scale = q ? converted(c, scale, wide) : nullptr;
  if (!scale || (zero && !(zero = converted(c, zero, wide))))
    return nullptr;
  if (isSmallFloat(type)) {
    SymbolicTensor *scaled = quotient(o, q, scale);
    if (scaled && zero)
      scaled = o.add(scaled, zero);
    return scaled ? converted(c, scaled, type) : nullptr;
  }
  SymbolicTensor *whole = o("Round", {quotient(o, q, scale)});
  if (zero)
    whole = o.add(whole, zero);
  return asInteger(c, o, whole, type);
}

static Results lowerQuantizeLinear(Call &c) {
  SymbolicTensor *q = c.input(0), *zero = c.input(2);
  OpBuilder &b = c.lowering.builder;
  int64_t axis = c.integer("axis", 1);
  if (axis < 0)
    axis += q->rank();
  if (!q->isFloat() || axis < 0)
    return one(c.refuse("of a value that is not a float"));
  Type type =
      zero ? zero->type
      : c.integer("output_dtype", 2)
          ? elementType(static_cast<int32_t>(c.integer("output_dtype", 2)),
                        b.getContext())
          : b.getIntegerType(8, false);
  if (!type)
    return one(c.refuse("quantizes to a type that is not supported"));
  if (axis >= static_cast<int64_t>(q->rank()))
    axis = q->rank() - 1; // of no meaning with one scale
  Compose o(c);
  return one(quantized(c, o, q, c.input(1), zero, type, axis,
                       c.integer("block_size", 0)));
}

/// The body of the library divides by products, which halves of an integer do
/// not survive, and by 0 where all is 0: runtimes have a scale of 1 there.
static Results lowerDynamicQuantizeLinear(Call &c) {
  Compose o(c);
  OpBuilder &b = c.lowering.builder;
  SymbolicTensor *q = c.input(0);
  if (!q->type.isF32())
    return one(c.refuse("of a value that is not f32"));
  Type byte = b.getIntegerType(8, false);
  SymbolicTensor *zero = o.constant(0);
  auto furthest = [&](StringRef reduce, StringRef of) {
    return o(of, {o(reduce, {q}, {o.attribute("keepdims", 0)}), zero});
  };
  SymbolicTensor *low = furthest("ReduceMin", "Min"),
                 *range = o.sub(furthest("ReduceMax", "Max"), low);
  SymbolicTensor *scale = quotient(o, range, o.constant(255));
  scale = o.where(o.less(zero, range), scale, o.constant(1));
  SymbolicTensor *point = o("Round", {quotient(o, o("Neg", {low}), scale)});
  point = o.failed() ? nullptr : asInteger(c, o, point, byte);
  if (!point)
    return {};
  return {quantized(c, o, q, scale, point, byte, 0, 0), scale, point};
}

/// So many products of bytes add up to what a float holds exactly.
static constexpr int64_t exactProducts = (1 << 24) / (255 * 255) - 1;

/// A sum of at most that many, as int32.
static SymbolicTensor *exactSum(Call &c, SymbolicTensor *sum) {
  sum = sum ? converted(c, sum, c.lowering.builder.getI32Type()) : nullptr;
  if (!sum)
    return nullptr;
  ReadTensor &read = c.math.reads.back();
  std::tie(read.low, read.high) = std::pair(-(1 << 24), 1 << 24);
  return sum;
}

/// A product of floats that are integers: exact, as int32.
static SymbolicTensor *integerProduct(Call &c, Compose &o, SymbolicTensor *a,
                                      SymbolicTensor *b) {
  if (!a || !b || a->rank() < 2 || b->rank() < 2)
    return a && b ? c.refuse("of vectors") : nullptr;
  auto inner = a->shape.back()->constant();
  if (!inner)
    return c.refuse("multiplies over the live length");
  SymbolicTensor *sum = nullptr;
  for (int64_t from = 0; from < *inner && !o.failed(); from += exactProducts) {
    const int64_t length = std::min(exactProducts, *inner - from);
    SymbolicTensor *left =
        sliceAxis(c.lowering, a, a->rank() - 1, from, length);
    SymbolicTensor *right =
        sliceAxis(c.lowering, b, b->rank() - 2, from, length);
    SymbolicTensor *part = exactSum(c, o("MatMul", {left, right}));
    sum = sum ? o.add(sum, part) : part;
  }
  return sum;
}

/// A quantized operand without its zero point, as floats.
static SymbolicTensor *centred(Call &c, Compose &o, SymbolicTensor *q,
                               SymbolicTensor *zero, bool perRow) {
  Type wide = c.lowering.builder.getF32Type();
  if (!q->isInt() || q->type.getIntOrFloatBitWidth() != 8)
    return c.refuse("of values that are not integers of 8 bits");
  SymbolicTensor *value = converted(c, q, wide);
  if (!value || !zero)
    return value;
  if (perRow && zero->rank() == 1 && zero->shape[0] != c.math.constant(1))
    zero = o("Unsqueeze", {zero, o.ints({1})});
  zero = zero ? converted(c, zero, wide) : nullptr;
  return zero ? o.sub(value, zero) : nullptr;
}

/// A zero point of each output channel of weights, before their other
/// dimensions.
static SymbolicTensor *perChannel(Compose &o, Call &c, unsigned weights,
                                  unsigned zero) {
  SymbolicTensor *points = c.input(zero);
  if (!points || points->rank() == 0 || points->shape[0] == c.math.constant(1))
    return points;
  SmallVector<int64_t> added;
  for (size_t i = 1; i < c.input(weights)->rank(); ++i)
    added.push_back(i);
  return o("Unsqueeze", {points, o.ints(added)});
}

static Results lowerMatMulInteger(Call &c) {
  Compose o(c);
  SymbolicTensor *a = centred(c, o, c.input(0), c.input(2), /*perRow=*/true);
  SymbolicTensor *b =
      a ? centred(c, o, c.input(1), c.input(3), /*perRow=*/false) : nullptr;
  return one(integerProduct(c, o, a, b));
}

static Results lowerQLinearMatMul(Call &c) {
  Compose o(c);
  Type wide = c.lowering.builder.getF32Type();
  SymbolicTensor *a = centred(c, o, c.input(0), c.input(2), /*perRow=*/true);
  SymbolicTensor *b =
      a ? centred(c, o, c.input(3), c.input(5), /*perRow=*/false) : nullptr;
  SymbolicTensor *sum = integerProduct(c, o, a, b);
  sum = sum ? converted(c, sum, wide) : nullptr;
  if (!sum)
    return {};
  SymbolicTensor *scaleA = converted(c, c.input(1), wide),
                 *scaleB = converted(c, c.input(4), wide);
  if (!scaleA || !scaleB)
    return {};
  if (scaleA->rank() == 1 && scaleA->shape[0] != c.math.constant(1))
    scaleA = o("Unsqueeze", {scaleA, o.ints({1})});
  SymbolicTensor *value = o.mul(o.mul(sum, scaleA), scaleB);
  return one(quantized(c, o, value, c.input(6), c.input(7), c.input(7)->type,
                       sum->rank() - 1, 0));
}

/// A convolution of bytes: so many channels at a time that sums are exact.
static SymbolicTensor *integerConv(Call &c, Compose &o, unsigned x,
                                   unsigned zeroX, unsigned w, unsigned zeroW) {
  SymbolicTensor *a = centred(c, o, c.input(x), c.input(zeroX), false);
  SymbolicTensor *b =
      a ? centred(c, o, c.input(w), perChannel(o, c, w, zeroW), false)
        : nullptr;
  if (!b || b->rank() < 3)
    return b ? c.refuse("its weights do not fit the value") : nullptr;
  int64_t places = 1;
  for (Expr size : ArrayRef<Expr>(b->shape).drop_front(2))
    places *= size->constant().value_or(0);
  const int64_t channels = b->shape[1]->constant().value_or(0);
  const int64_t most = places ? exactProducts / places : 0;
  if (most < 1 || channels < 1 ||
      (channels > most && c.integer("group", 1) != 1))
    return c.refuse("adds up " + Twine(places * channels) +
                    " products of bytes in a group; floats hold exactly " +
                    Twine(exactProducts));
  SymbolicTensor *sum = nullptr;
  for (int64_t from = 0; from < channels && !o.failed(); from += most) {
    const int64_t length = std::min(most, channels - from);
    SymbolicTensor *left = a, *right = b;
    if (length < channels) {
      left = sliceAxis(c.lowering, a, 1, from, length);
      right = sliceAxis(c.lowering, b, 1, from, length);
    }
    SymbolicTensor *part =
        exactSum(c, o("Conv", {left, right}, c.attributes.getValue()));
    sum = sum ? o.add(sum, part) : part;
  }
  return sum;
}

static Results lowerConvInteger(Call &c) {
  Compose o(c);
  return one(integerConv(c, o, 0, 2, 1, 3));
}

static Results lowerQLinearConv(Call &c) {
  Compose o(c);
  Type wide = c.lowering.builder.getF32Type();
  SymbolicTensor *sum = integerConv(c, o, 0, 2, 3, 5);
  sum = sum ? converted(c, sum, wide) : nullptr;
  auto channels = [&](SymbolicTensor *values) -> SymbolicTensor * {
    values = values ? converted(c, values, wide) : nullptr;
    if (!values || values->rank() == 0 ||
        values->shape[0] == c.math.constant(1))
      return values;
    SmallVector<int64_t> added;
    for (size_t i = 2; i < c.input(0)->rank(); ++i)
      added.push_back(i - 1);
    return o("Unsqueeze", {values, o.ints(added)});
  };
  if (sum && c.input(8))
    sum = o.add(sum, channels(c.input(8)));
  if (!sum)
    return {};
  SymbolicTensor *scale = o.mul(channels(c.input(1)), channels(c.input(4)));
  SymbolicTensor *value = o.mul(sum, scale);
  return one(value ? quantized(c, o, value, c.input(6), c.input(7),
                               c.input(7)->type, 1, 0)
                   : nullptr);
}

ArrayRef<OperatorEntry> import::integerOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"", "BitShift", 2, 2, lowerBitShift},
      {"", "BitwiseAnd", 2, 2, lowerBitwise},
      {"", "BitwiseNot", 1, 1, lowerBitwiseNot},
      {"", "BitwiseOr", 2, 2, lowerBitwise},
      {"", "BitwiseXor", 2, 2, lowerBitwise},
      {"", "ConvInteger", 2, 4, lowerConvInteger},
      {"", "DynamicQuantizeLinear", 1, 1, lowerDynamicQuantizeLinear},
      {"", "MatMulInteger", 2, 4, lowerMatMulInteger},
      {"", "QLinearConv", 8, 9, lowerQLinearConv},
      {"", "QLinearMatMul", 8, 8, lowerQLinearMatMul},
      {"", "QuantizeLinear", 2, 3, lowerQuantizeLinear},
  };
  return table;
}
