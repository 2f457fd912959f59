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

/// The last dimension that has more than one element, or -1.
static int64_t innermost(ArrayRef<int64_t> shape) {
  int64_t at = static_cast<int64_t>(shape.size()) - 1;
  while (at >= 0 && shape[at] == 1)
    --at;
  return at;
}

int64_t codegen::rateOf(core::VectorOp op, const MachineModel &machine) {
  core::OperandAttr dst = op.getDst();
  if (!dst.getDense())
    for (auto [extent, stride] : llvm::zip(op.getShape(), dst.getStrides()))
      if (extent > 1 && stride == 0)
        return 1;
  SmallVector<core::OperandAttr, 3> sources(
      op.getSources().getAsRange<core::OperandAttr>());
  auto typeAt = [&](size_t i) {
    return i < sources.size() ? wordOf(sources[i].getType()) : image::Type::f32;
  };
  return machine.getRate(mirrored<image::Opcode>(op.getOp()),
                         wordOf(dst.getType()), typeAt(0), typeAt(1));
}

int64_t codegen::strideLimitOf(core::VectorOp op) {
  const int64_t inner = innermost(op.getShape());
  int64_t limit = MachineModel::unlimited;
  auto consider = [&](core::OperandAttr operand) {
    if (operand.getImmediate() || operand.getDense() || inner < 0)
      return;
    limit = std::min(limit, MachineModel::getStrideLimit(
                                operand.getStrides()[inner] *
                                image::bytesOf(wordOf(operand.getType()))));
  };
  consider(op.getDst());
  for (auto source : op.getSources().getAsRange<core::OperandAttr>())
    consider(source);
  return limit;
}

/// Whether a loop or an index moves an operand.
static bool moves(core::VectorOp op) {
  bool found = false;
  core::forEachOperand(op, [&](core::OperandAttr operand) {
    found |= !operand.getSteps().empty() || operand.getIndexScale() != 0;
  });
  return found;
}

int64_t codegen::cyclesOf(core::VectorOp op, const MachineModel &machine) {
  const int64_t before =
      machine.getIssue() + (moves(op) ? machine.getRewrite() : 0);
  const int64_t elements = elementsOf(op);
  if (op.getOp() == core::Opcode::floor_div ||
      op.getOp() == core::Opcode::floor_mod)
    return before + machine.getDivideCycles(elements);
  return before +
         MachineModel::getVectorCycles(
             elements, std::min(rateOf(op, machine), strideLimitOf(op)));
}
