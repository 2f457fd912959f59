#include "InstructionCost.h"

#include "Core/ImageEnums.h"
#include "waferloom/Dialect/Core/Accesses.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using machine::MachineModel;

image::Type codegen::wordOf(Type type) {
  return type.isF32()   ? image::Type::f32
         : type.isF16() ? image::Type::f16
                        : image::Type::i32;
}

int64_t codegen::elementsOf(core::VectorOp op) {
  int64_t elements = 1;
  for (int64_t extent : op.getShape())
    elements *= extent;
  return elements;
}

/// `dimension`: the innermost that moves; none: there is one element.
static machine::VectorOperand describe(core::OperandAttr operand,
                                       std::optional<size_t> dimension,
                                       const core::Buffers *buffers) {
  machine::VectorOperand described;
  described.present = true;
  described.immediate = operand.getImmediate();
  described.type = codegen::wordOf(operand.getType());
  if (described.immediate)
    return described;
  // What lies behind it in a dense operand has one element.
  if (dimension)
    described.stride =
        (operand.getDense() ? 1 : operand.getStrides()[*dimension]) *
        image::bytesOf(described.type);
  if (!operand.getBuffer())
    described.address = operand.getBase();
  else if (core::BufferOp buffer = buffers
                                       ? buffers->lookup(operand.getBuffer())
                                       : core::BufferOp();
           buffer && buffer.getAddress())
    described.address =
        operand.getBase() + static_cast<int64_t>(*buffer.getAddress());
  return described;
}

SmallVector<core::OperandAttr, 4> codegen::operandsOf(core::VectorOp op) {
  SmallVector<core::OperandAttr, 4> operands{op.getDst()};
  llvm::append_range(operands, op.getSources().getAsRange<core::OperandAttr>());
  return operands;
}

static machine::VectorInstruction describe(core::Opcode op,
                                           ArrayRef<int64_t> shape,
                                           ArrayRef<core::OperandAttr> operands,
                                           const core::Buffers *buffers) {
  machine::VectorInstruction described;
  described.op = mirrored<image::Opcode>(op);
  described.elements = llvm::product_of(shape);
  std::optional<size_t> dimension;
  if (!shape.empty())
    dimension = shape.size() - 1;
  for (auto [k, extent] : llvm::enumerate(shape)) {
    if (extent <= 1)
      continue;
    dimension = k;
    described.folds |=
        !operands.front().getDense() && operands.front().getStrides()[k] == 0;
  }
  for (auto [k, operand] : llvm::enumerate(operands))
    described.operands[k] = ::describe(operand, dimension, buffers);
  return described;
}

machine::VectorInstruction codegen::describe(core::VectorOp op,
                                             const core::Buffers *buffers) {
  return ::describe(op.getOp(), op.getShape(), operandsOf(op), buffers);
}

int64_t codegen::rateOf(core::Opcode op, ArrayRef<int64_t> shape,
                        ArrayRef<core::OperandAttr> operands,
                        const MachineModel &machine) {
  const machine::VectorInstruction described =
      ::describe(op, shape, operands, nullptr);
  return described.folds
             ? 1
             : machine.getRate(described.op, described.operands[0].type,
                               described.operands[1].type,
                               described.operands[2].type);
}

int64_t codegen::rateOf(core::VectorOp op, const MachineModel &machine) {
  return rateOf(op.getOp(), op.getShape(), operandsOf(op), machine);
}

int64_t codegen::cyclesOf(core::Opcode op, ArrayRef<int64_t> shape,
                          ArrayRef<core::OperandAttr> operands,
                          const MachineModel &machine) {
  return machine.getIssue() +
         (llvm::any_of(operands, core::moves) ? machine.getRewrite() : 0) +
         machine::costOf(::describe(op, shape, operands, nullptr), machine)
             .cycles;
}

int64_t codegen::cyclesOf(core::VectorOp op, const MachineModel &machine) {
  SmallVector<core::OperandAttr, 4> operands = operandsOf(op);
  int64_t cycles = cyclesOf(op.getOp(), op.getShape(), operands, machine);
  core::OperandAttr predicate = op.getPredicateAttr();
  if (predicate && core::moves(predicate) &&
      llvm::none_of(operands, core::moves))
    cycles += machine.getRewrite();
  return cycles;
}
