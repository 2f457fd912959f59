//===- OperatorsQuantized.cpp - Weights kept as small integers ------------===//
//
// DequantizeLinear of weights of integers and floats of 8 bits and less, with a
// scale for all, one per index of an axis or one per block, and MatMulNBits of
// com.microsoft: A [.., K] times the transpose of a weight [N, K] that the file
// holds as small integers in blocks. The integers never enter the IR: what
// reads them reads a weight of numbers, whose `blocks` say how its bytes, and
// those of its scales and zeros, stand for them.
//
//===----------------------------------------------------------------------===//

#include "Operators.h"
#include "TensorBytes.h"
#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/IR/SymbolTable.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

/// The numbers of a constant of the file.
static std::vector<float> numbersOf(DenseElementsAttr constant) {
  std::vector<float> numbers;
  if (isa<FloatType>(constant.getElementType())) {
    for (const APFloat &value : asSingles(constant).getValues<APFloat>())
      numbers.push_back(value.convertToFloat());
    return numbers;
  }
  const bool isSigned = !constant.getElementType().isUnsignedInteger();
  for (const APInt &value : constant.getValues<APInt>())
    numbers.push_back(isSigned ? static_cast<float>(value.getSExtValue())
                               : static_cast<float>(value.getZExtValue()));
  return numbers;
}

namespace {
/// The operands of one node as the file has them.
struct Packed {
  Call &c;
  ModuleOp module;
  RankedTensorType type = {}; // of the numbers
  BlockFormat format = {};
  wafer::WeightOp integers = {}, scales = {}, zeros = {};

  explicit Packed(Call &c)
      : c(c), module(c.lowering.builder.getInsertionBlock()
                         ->getParentOp()
                         ->getParentOfType<ModuleOp>()) {}
  wafer::WeightOp weight(unsigned input, StringRef what, uint64_t bytes);
  /// Finds the operands, which are the inputs of these numbers.
  bool find(unsigned integersAt, unsigned scalesAt, unsigned zerosAt);
  bool readBlocks();
  bool readLinear();
  bool scalesOfAxis(ArrayRef<int64_t> shape);
  bool scalesOfBlocks(ArrayRef<int64_t> shape, int64_t block);
  bool readCodes(Type element);
  bool readZeros(Type element);
  SymbolicTensor *declare();
};
} // namespace

/// The weight that an input is, which must have so many bytes.
wafer::WeightOp Packed::weight(unsigned input, StringRef what, uint64_t bytes) {
  SymbolicTensor *q = c.input(input);
  auto found =
      q->weight
          ? dyn_cast_or_null<wafer::WeightOp>(module.lookupSymbol(q->weight))
          : wafer::WeightOp();
  if (!found)
    return c.refuse("its " + what +
                    " are no weight whose bytes the file holds"),
           wafer::WeightOp();
  if (found.getBlocks())
    return c.refuse("its " + what + " are bfloat16; f32 and f16 are supported"),
           wafer::WeightOp();
  const auto held =
      static_cast<uint64_t>(byteSize(cast<RankedTensorType>(found.getType())));
  if (held != bytes)
    return c.refuse("its " + what + " have " + Twine(held) +
                    " bytes, and the node says " + Twine(bytes)),
           wafer::WeightOp();
  return found;
}

bool Packed::find(unsigned integersAt, unsigned scalesAt, unsigned zerosAt) {
  integers = weight(integersAt, "integers", format.packedBytes());
  if (!integers || !(scales = weight(scalesAt, "scales", format.scaleBytes())))
    return false;
  return !format.zeroBytes() ||
         (zeros = weight(zerosAt, "zero points", format.zeroBytes()));
}

/// As MatMulNBits says it.
bool Packed::readBlocks() {
  auto refuse = [&](const Twine &reason) { return c.refuse(reason), false; };
  int64_t bits = c.integer("bits", 4), size = c.integer("block_size", 0);
  int64_t rows = c.integer("N", 0), columns = c.integer("K", 0);
  constexpr int64_t most = int64_t(1) << 24;
  if (bits != 2 && bits != 4 && bits != 8)
    return refuse("bits " + Twine(bits) + " is none of 2, 4 and 8");
  if (size < 16 || size > most || !llvm::isPowerOf2_64(size))
    return refuse("block_size " + Twine(size) +
                  " is no power of two from 16 on");
  if (rows < 1 || columns < 1 || rows > most || columns > most)
    return refuse("has a weight of " + Twine(rows) + " by " + Twine(columns));
  if (c.integer("weight_prepacked", 0) != 0)
    return refuse("weight_prepacked is not supported");
  if (c.input(4))
    return refuse("its input 'g_idx' is not supported");
  Type number = c.input(0)->type;
  if (!number.isF32() && !number.isF16())
    return refuse("multiplies values that are neither f32 nor f16");
  if (c.input(2)->type != number)
    return refuse("its scales are not of the type of its operand");
  type = RankedTensorType::get({rows, columns}, number);
  format.rows = rows;
  format.columns = columns;
  format.bits = bits;
  format.size = size;
  format.halfScales = number.isF16();
  if (SymbolicTensor *given = c.input(3))
    format.zeros = given->type == number ? BlockFormat::Zeros::scaled
                                         : BlockFormat::Zeros::packed;
  return find(1, 2, 3);
}

/// One scale, or one per index of an axis: what has the same index lies in rows
/// of the elements behind that axis, and the scales start over with each index
/// before it.
bool Packed::scalesOfAxis(ArrayRef<int64_t> shape) {
  format.rows = 1;
  format.columns = type.getNumElements();
  SmallVector<Expr> &given = c.input(1)->shape;
  if (llvm::all_of(given, [](Expr size) { return size->constant() == 1; })) {
    format.size = format.columns;
    return true;
  }
  auto axis = normalizeAxis(c.lowering, c.integer("axis", 1), shape.size());
  if (!axis)
    return false;
  if (given.size() != 1 || given[0]->constant() != shape[*axis])
    return c.refuse("has scales of shape " + c.lowering.print(given) + " for " +
                    Twine(shape[*axis]) + " indices of axis " + Twine(*axis)),
           false;
  for (int64_t size : shape.take_front(*axis + 1))
    format.rows *= size;
  format.columns /= format.rows;
  format.size = format.columns;
  format.period = shape[*axis];
  return true;
}

/// One scale per `block` indices of an axis, for each place beside it.
bool Packed::scalesOfBlocks(ArrayRef<int64_t> shape, int64_t block) {
  auto axis = normalizeAxis(c.lowering, c.integer("axis", 1), shape.size());
  if (!axis)
    return false;
  SmallVector<int64_t> expected(shape);
  expected[*axis] = llvm::divideCeil(shape[*axis], std::max<int64_t>(block, 1));
  SmallVector<Expr> &given = c.input(1)->shape;
  auto isExpected = [&] {
    return given.size() == expected.size() &&
           llvm::all_of(llvm::zip(given, expected), [](auto pair) {
             return std::get<0>(pair)->constant() == std::get<1>(pair);
           });
  };
  if (block < 1 || !isExpected())
    return c.refuse("has scales of shape " + c.lowering.print(given) +
                    " for blocks of " + Twine(block) + " along axis " +
                    Twine(*axis) + " of " + Twine(shape[*axis])),
           false;
  const int64_t behind = llvm::product_of(shape.drop_front(*axis + 1));
  format.isDense = true;
  format.columns = behind == 1 ? shape[*axis] : behind;
  format.rows = type.getNumElements() / static_cast<int64_t>(format.columns);
  format.size = behind == 1 ? block : 1;
  format.tall = behind == 1 ? 1 : block;
  return true;
}

/// What each element of a weight of this type is.
bool Packed::readCodes(Type element) {
  format.bits = element.getIntOrFloatBitWidth();
  if (isa<IntegerType>(element)) {
    format.isSigned = !element.isUnsignedInteger();
    return true;
  }
  if (isa<Float8E4M3FNType>(element))
    format.code = BlockFormat::Code::e4m3fn;
  else if (isa<Float8E5M2Type>(element))
    format.code = BlockFormat::Code::e5m2;
  else if (isa<Float4E2M1FNType>(element))
    format.code = BlockFormat::Code::e2m1;
  return format.code != BlockFormat::Code::integer;
}

/// Zeros that take something off.
bool Packed::readZeros(Type element) {
  SymbolicTensor *taken = c.input(2);
  if (!taken)
    return true;
  if (taken->type != element)
    return c.refuse("its zero points are not of the type of its integers"),
           false;
  const Sizes *known = c.lowering.elementsOf(taken);
  if (known &&
      llvm::all_of(*known, [](Expr zero) { return zero->constant() == 0; }))
    return true;
  if (format.code == BlockFormat::Code::integer) {
    format.zeros = BlockFormat::Zeros::packed;
    return true;
  }
  const bool areZero =
      taken->given && llvm::all_of(numbersOf(taken->given),
                                   [](float zero) { return zero == 0; });
  return areZero || (c.refuse("has zero points other than 0, which floats do "
                              "not have"),
                     false);
}

/// As DequantizeLinear says it.
bool Packed::readLinear() {
  auto refuse = [&](const Twine &reason) { return c.refuse(reason), false; };
  SymbolicTensor *given = c.input(0);
  Type number = c.input(1)->type;
  if (!given->weight)
    return refuse("its integers are no weight whose bytes the file holds");
  if (!readCodes(given->type))
    return refuse("its weight is of a type that is not supported; there are "
                  "integers of 2, 4 and 8 bits, float8e4m3fn, float8e5m2 and "
                  "float4e2m1");
  if (isa<Float8E8M0FNUType>(number)) {
    format.isPower = true;
    number = elementType(static_cast<int32_t>(c.integer("output_dtype", 1)),
                         c.lowering.builder.getContext());
  }
  if (!number || (!number.isF32() && !number.isF16()))
    return refuse("has scales that are neither f32 nor f16");
  SmallVector<int64_t> shape;
  for (Expr size : given->shape)
    shape.push_back(*size->constant());
  type = RankedTensorType::get(shape, number);
  if (type.getNumElements() == 0)
    return refuse("has no elements");
  format.isDense = format.bits < 8;
  format.halfScales = number.isF16() || format.isPower;
  format.isWide = format.isPower && !number.isF16();
  format.zeros = BlockFormat::Zeros::none;
  const int64_t block = c.integer("block_size", 0);
  if (!(block ? scalesOfBlocks(shape, block) : scalesOfAxis(shape)) ||
      !readZeros(given->type))
    return false;
  return find(0, 1, 2);
}

/// The weight of numbers; all entries and nodes that read it share one.
SymbolicTensor *Packed::declare() {
  Lowering &lowering = c.lowering;
  std::string name = (integers.getSymName() + ".expanded").str();
  // Where bytes are left out, no part has a file, and all is shape only.
  const bool isShapeOnly =
      llvm::all_of(ArrayRef{integers, scales, zeros}, [](wafer::WeightOp part) {
        return !part || (!part.getFile() && !part.getValue());
      });
  wafer::BlocksAttr blocks;
  if (isShapeOnly ||
      (integers.getFile() && scales.getFile() && (!zeros || zeros.getFile())))
    blocks = wafer::BlocksAttr::get(
        module.getContext(), format, scales.getFileAttr(),
        static_cast<int64_t>(scales.getOffset()),
        zeros ? zeros.getFileAttr() : StringAttr(),
        zeros ? static_cast<int64_t>(zeros.getOffset()) : 0);
  auto known = dyn_cast_or_null<wafer::WeightOp>(module.lookupSymbol(name));
  if (known && (known.getType() != type || known.getBlocksAttr() != blocks))
    return c.refuse("another node unpacks its integers in another way");
  if (!known) {
    OpBuilder::InsertionGuard guard(lowering.builder);
    lowering.builder.setInsertionPoint(integers);
    known = wafer::WeightOp::create(
        lowering.builder, lowering.loc, lowering.builder.getStringAttr(name),
        blocks ? integers.getFileAttr() : StringAttr(),
        lowering.builder.getI64IntegerAttr(blocks ? integers.getOffset() : 0),
        ElementsAttr(), blocks, wafer::PartAttr(), TypeAttr::get(type));
  }
  SymbolicTensor q;
  for (int64_t size : type.getShape())
    q.shape.push_back(c.math.constant(size));
  q.type = type.getElementType();
  q.weight = known.getSymNameAttr();
  return lowering.clone(q);
}

/// Constants all of them: the numbers they stand for. Null where one is not, or
/// they do not fit, which `dequantized` says.
static SymbolicTensor *dequantizedConstants(Call &c, int64_t axis,
                                            int64_t block) {
  SymbolicTensor *q = c.input(0), *scale = c.input(1), *zero = c.input(2);
  if (!q->given || !scale->given || (zero && !zero->given) || !q->rank())
    return nullptr;
  ArrayRef<int64_t> shape = q->given.getType().getShape(),
                    scales = scale->given.getType().getShape();
  if (zero && zero->given.getType().getShape() != scales)
    return nullptr;
  // The scale of an element is that of its place along the axis, or of its
  // block there.
  int64_t behind = llvm::product_of(shape.drop_front(axis + 1));
  int64_t each = 1, count = shape[axis];
  if (scales.size() == shape.size() && block > 0) {
    SmallVector<int64_t> expected(shape);
    expected[axis] = count = llvm::divideCeil(shape[axis], block);
    if (ArrayRef<int64_t>(expected) != scales)
      return nullptr;
    each = block;
  } else if (scale->given.getNumElements() != 1 &&
             (scales.size() != 1 || scales[0] != shape[axis])) {
    return nullptr;
  }
  auto scaleOf = [&](int64_t element) -> int64_t {
    if (scale->given.getNumElements() == 1)
      return 0;
    const int64_t at = element / behind % shape[axis] / each;
    if (scales.size() == 1)
      return at;
    return (element / behind / shape[axis] * count + at) * behind +
           element % behind;
  };
  std::vector<float> numbers = numbersOf(q->given),
                     factors = numbersOf(scale->given), zeros;
  if (zero)
    zeros = numbersOf(zero->given);
  for (auto [i, number] : llvm::enumerate(numbers)) {
    const int64_t at = scaleOf(static_cast<int64_t>(i));
    number = (number - (zero ? zeros[at] : 0)) * factors[at];
  }
  auto type =
      RankedTensorType::get(shape, Float32Type::get(q->given.getContext()));
  SymbolicTensor *result = c.lowering.fromConstant(
      DenseElementsAttr::get(type, ArrayRef<float>(numbers)), "dequantized");
  return converted(c, result, heldType(scale->type));
}

static Results lowerDequantizeLinear(Call &c) {
  SymbolicTensor *q = c.input(0);
  const auto rank = static_cast<int64_t>(q->rank());
  int64_t axis = c.integer("axis", 1);
  axis = std::clamp(axis < 0 ? axis + rank : axis, int64_t(0),
                    std::max(rank - 1, int64_t(0)));
  const int64_t block = c.integer("block_size", 0);
  SymbolicTensor *result = dequantizedConstants(c, axis, block);
  if (!result && !c.lowering.refusal.empty())
    return {};
  // No weight: known, or of the step.
  if (!result &&
      (c.lowering.functionOf(q) || (isSmallFloat(q->type) && !q->weight)))
    result = dequantized(c, q, c.input(1), c.input(2), axis, block);
  if (!result && c.lowering.refusal.empty()) {
    Packed packed(c);
    if (packed.readLinear())
      result = packed.declare();
  }
  const int64_t to = c.integer("output_dtype", 0);
  if (result && to)
    result = converted(
        c, result,
        elementType(static_cast<int32_t>(to), c.lowering.builder.getContext()));
  return one(result);
}

static Results lowerMatMulNBits(Call &c) {
  Packed packed(c);
  if (!packed.readBlocks())
    return {};
  SymbolicTensor *weight = packed.declare();
  SymbolicTensor *columns = weight ? transposed(c, weight, {1, 0}) : nullptr;
  SymbolicTensor *result = columns ? product(c, c.input(0), columns) : nullptr;
  if (result && c.input(5))
    result = c.lowering.binary(ScalarOp::Add, result, c.input(5));
  return one(result);
}

SymbolicTensor *import::packedWeight(Call &c, ArrayRef<int64_t> shape,
                                     int64_t bits, int64_t block,
                                     unsigned integers, unsigned scales,
                                     unsigned zeros) {
  Type number = c.input(scales) ? c.input(scales)->type : Type();
  if (!number || (!number.isF32() && !number.isF16()))
    return c.refuse("has scales that are neither f32 nor f16");
  if (bits != 2 && bits != 4 && bits != 8)
    return c.refuse("bits " + Twine(bits) + " is none of 2, 4 and 8");
  if (block < 0 || (block > 0 && (block < 16 || !llvm::isPowerOf2_64(block))))
    return c.refuse("block_size " + Twine(block) +
                    " is no power of two from 16 on");
  Packed packed(c);
  packed.type = RankedTensorType::get(shape, number);
  BlockFormat &format = packed.format;
  format.columns = shape.back();
  format.rows = packed.type.getNumElements() / shape.back();
  format.bits = bits;
  format.size = block ? block : shape.back();
  format.halfScales = number.isF16();
  if (c.input(zeros))
    format.zeros = BlockFormat::Zeros::packed;
  if (!block && bits < 8 && c.input(zeros))
    return c.refuse("has zero points of several rows in one byte");
  return packed.find(integers, scales, zeros) ? packed.declare() : nullptr;
}

/// Rows of a table that the file holds as small integers in blocks.
static Results lowerGatherBlockQuantized(Call &c) {
  SymbolicTensor *table = c.input(0);
  const auto rank = static_cast<int64_t>(table->rank());
  auto gathered = normalizeAxis(c.lowering, c.integer("gather_axis", 0), rank);
  auto blocked = normalizeAxis(c.lowering, c.integer("quantize_axis", 1), rank);
  if (!gathered || !blocked)
    return {};
  if (!table->type.isUnsignedInteger(8) || *gathered != 0 ||
      *blocked != rank - 1)
    return one(c.refuse("is supported for rows of uint8 that are in blocks "
                        "along their last dimension"));
  const int64_t bits = c.integer("bits", 4);
  SmallVector<int64_t> shape;
  for (Expr size : table->shape)
    shape.push_back(size->constant().value_or(0));
  shape.back() *= 8 / std::max<int64_t>(bits, 1);
  SymbolicTensor *weight =
      packedWeight(c, shape, bits, c.integer("block_size", 128), 0, 2, 3);
  return one(weight ? takeAlong(c.lowering, weight, 0, c.input(1)) : nullptr);
}

ArrayRef<OperatorEntry> import::quantizedOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"", "DequantizeLinear", 2, 3, lowerDequantizeLinear},
      {"com.microsoft", "GatherBlockQuantized", 3, 4,
       lowerGatherBlockQuantized},
      {"com.microsoft", "MatMulNBits", 3, 6, lowerMatMulNBits},
  };
  return table;
}
