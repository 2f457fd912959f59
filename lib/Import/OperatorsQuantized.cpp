//===- OperatorsQuantized.cpp - Products with packed weights --------------===//
//
// MatMulNBits of com.microsoft: A [.., K] times the transpose of a weight [N,
// K] that the file holds as small integers in blocks. The integers never enter
// the IR: the product reads a weight of N by K numbers, whose `blocks` say how
// its bytes, and those of its scales and zeros, stand for them.
//
//===----------------------------------------------------------------------===//

#include "Operators.h"
#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/IR/SymbolTable.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

namespace {
/// The operands of one node as the file has them.
struct Packed {
  Call &c;
  ModuleOp module;
  BlockFormat format = {};
  wafer::WeightOp integers = {}, scales = {}, zeros = {};

  wafer::WeightOp weight(unsigned input, StringRef what, uint64_t bytes);
  bool read();
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
    return c.refuse("its " + what + " are no weight that the file holds"),
           wafer::WeightOp();
  auto type = cast<ShapedType>(found.getType());
  uint64_t held = static_cast<uint64_t>(type.getNumElements()) *
                  (type.getElementTypeBitWidth() / 8);
  if (held != bytes)
    return c.refuse("its " + what + " have " + Twine(held) +
                    " bytes, and N, K, bits and block_size say " +
                    Twine(bytes)),
           wafer::WeightOp();
  return found;
}

bool Packed::read() {
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
  Type type = c.input(0)->type;
  if (!type.isF32() && !type.isF16())
    return refuse("multiplies values that are neither f32 nor f16");
  if (c.input(2)->type != type)
    return refuse("its scales are not of the type of its operand");
  format.rows = rows;
  format.columns = columns;
  format.bits = bits;
  format.size = size;
  format.halfScales = type.isF16();
  if (SymbolicTensor *given = c.input(3))
    format.zeros = given->type == type ? BlockFormat::Zeros::scaled
                                       : BlockFormat::Zeros::packed;
  integers = weight(1, "integers", format.packedBytes());
  scales = integers ? weight(2, "scales", format.scaleBytes()) : integers;
  if (!scales)
    return false;
  if (c.input(3) && !(zeros = weight(3, "zero points", format.zeroBytes())))
    return false;
  return true;
}

/// The weight of numbers; all entries and nodes that read it share one.
SymbolicTensor *Packed::declare() {
  Lowering &lowering = c.lowering;
  Type type = c.input(0)->type;
  std::string name = (integers.getSymName() + ".expanded").str();
  const int64_t rows = static_cast<int64_t>(format.rows);
  const int64_t columns = static_cast<int64_t>(format.columns);
  auto shape = RankedTensorType::get({rows, columns}, type);
  auto known = dyn_cast_or_null<wafer::WeightOp>(module.lookupSymbol(name));
  if (known && known.getType() != shape)
    return c.refuse("another node unpacks its integers in another way");
  if (!known) {
    OpBuilder::InsertionGuard guard(lowering.builder);
    lowering.builder.setInsertionPoint(integers);
    bool isThere =
        integers.getFile() && scales.getFile() && (!zeros || zeros.getFile());
    known = wafer::WeightOp::create(
        lowering.builder, lowering.loc, lowering.builder.getStringAttr(name),
        isThere ? integers.getFileAttr() : StringAttr(),
        lowering.builder.getI64IntegerAttr(isThere ? integers.getOffset() : 0),
        ElementsAttr(),
        isThere ? wafer::BlocksAttr::get(
                      module.getContext(), format, scales.getFileAttr(),
                      static_cast<int64_t>(scales.getOffset()),
                      zeros ? zeros.getFileAttr() : StringAttr(),
                      zeros ? static_cast<int64_t>(zeros.getOffset()) : 0)
                : wafer::BlocksAttr(),
        TypeAttr::get(shape));
  }
  SymbolicTensor q;
  q.shape = {c.math.constant(shape.getDimSize(0)),
             c.math.constant(shape.getDimSize(1))};
  q.type = type;
  q.weight = known.getSymNameAttr();
  return lowering.clone(q);
}

static Results lowerMatMulNBits(Call &c) {
  Block *block = c.lowering.builder.getInsertionBlock();
  Packed packed{c, block->getParentOp()->getParentOfType<ModuleOp>()};
  if (!packed.read())
    return {};
  SymbolicTensor *weight = packed.declare();
  SymbolicTensor *columns = weight ? transposed(c, weight, {1, 0}) : nullptr;
  SymbolicTensor *result = columns ? product(c, c.input(0), columns) : nullptr;
  if (result && c.input(5))
    result = c.lowering.binary(ScalarOp::Add, result, c.input(5));
  return one(result);
}

ArrayRef<OperatorEntry> import::quantizedOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"com.microsoft", "MatMulNBits", 3, 6, lowerMatMulNBits},
  };
  return table;
}
