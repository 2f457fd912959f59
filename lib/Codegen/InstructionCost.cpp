#include "InstructionCost.h"

#include "Core/ImageEnums.h"

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

machine::VectorInstruction codegen::describe(core::VectorOp op,
                                             const core::Buffers *buffers) {
  machine::VectorInstruction described;
  described.op = mirrored<image::Opcode>(op.getOp());
  described.elements = elementsOf(op);
  std::optional<size_t> dimension;
  if (!op.getShape().empty())
    dimension = op.getShape().size() - 1;
  for (auto [k, extent] : llvm::enumerate(op.getShape())) {
    if (extent <= 1)
      continue;
    dimension = k;
    described.folds |=
        !op.getDst().getDense() && op.getDst().getStrides()[k] == 0;
  }
  described.operands[0] = ::describe(op.getDst(), dimension, buffers);
  for (auto [k, source] :
       llvm::enumerate(op.getSources().getAsRange<core::OperandAttr>()))
    described.operands[k + 1] = ::describe(source, dimension, buffers);
  return described;
}

int64_t codegen::rateOf(core::VectorOp op, const MachineModel &machine) {
  const machine::VectorInstruction described = describe(op);
  return described.folds
             ? 1
             : machine.getRate(described.op, described.operands[0].type,
                               described.operands[1].type,
                               described.operands[2].type);
}

int64_t codegen::cyclesOf(core::VectorOp op, const MachineModel &machine) {
  bool isMoving = false;
  core::forEachOperand(op, [&](core::OperandAttr operand) {
    isMoving |= !operand.getSteps().empty() || operand.getIndexScale() != 0;
  });
  return machine.getIssue() + (isMoving ? machine.getRewrite() : 0) +
         machine::costOf(describe(op), machine).cycles;
}
