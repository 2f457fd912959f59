// Says of which instructions strides or banks take the time: what they take, at
// which rate they could run, and which operand is to blame. Counted by the same
// rule as the executor counts.

#include "Core/ImageEnums.h"
#include "Machine.h"
#include "waferloom/Codegen/Passes.h"
#include "waferloom/Machine/VectorCost.h"

#include "llvm/Support/FormatVariadic.h"

namespace waferloom::codegen {
#define GEN_PASS_DEF_CORELINT
#include "waferloom/Codegen/Passes.h.inc"
} // namespace waferloom::codegen

using namespace mlir;
using namespace waferloom;

namespace {
struct CoreLint : codegen::impl::CoreLintBase<CoreLint> {
  using CoreLintBase::CoreLintBase;

  void runOnOperation() override {
    FailureOr<image::TargetT> machine =
        codegen::machineOf(getOperation(), std::nullopt, target);
    if (failed(machine))
      return signalPassFailure();
    getOperation().walk([&](core::ProgramOp program) {
      const core::Buffers buffers(program);
      lint(program.getBody().front(), 1, buffers,
           machine::MachineModel(*machine));
    });
    markAllAnalysesPreserved();
  }

private:
  void lint(Block &block, int64_t times, const core::Buffers &buffers,
            const machine::MachineModel &machine);
  void lint(core::VectorOp op, int64_t times, const core::Buffers &buffers,
            const machine::MachineModel &machine);
};
} // namespace

static image::Type wordOf(Type type) {
  return type.isF32()   ? image::Type::f32
         : type.isF16() ? image::Type::f16
                        : image::Type::i32;
}

/// `dimension`: the innermost that moves; none: there is one element.
static machine::VectorOperand describe(core::OperandAttr operand,
                                       std::optional<size_t> dimension,
                                       const core::Buffers &buffers) {
  machine::VectorOperand described;
  described.present = true;
  described.immediate = operand.getImmediate();
  described.type = wordOf(operand.getType());
  if (described.immediate)
    return described;
  // What lies behind it in a dense operand has one element.
  if (dimension)
    described.stride =
        (operand.getDense() ? 1 : operand.getStrides()[*dimension]) *
        image::bytesOf(described.type);
  described.address = operand.getBase();
  if (operand.getBuffer()) {
    core::BufferOp buffer = buffers.lookup(operand.getBuffer());
    if (buffer && buffer.getAddress())
      *described.address += static_cast<int64_t>(*buffer.getAddress());
    else
      described.address.reset();
  }
  return described;
}

static std::string nameOf(unsigned operand) {
  return operand == 0 ? "the destination"
                      : llvm::formatv("source {0}", operand).str();
}

void CoreLint::lint(core::VectorOp op, int64_t times,
                    const core::Buffers &buffers,
                    const machine::MachineModel &machine) {
  machine::VectorInstruction described;
  described.op = mirrored<image::Opcode>(op.getOp());
  std::optional<size_t> dimension;
  if (!op.getShape().empty())
    dimension = op.getShape().size() - 1;
  for (auto [k, extent] : llvm::enumerate(op.getShape())) {
    described.elements *= extent;
    if (extent <= 1)
      continue;
    dimension = k;
    described.folds |=
        !op.getDst().getDense() && op.getDst().getStrides()[k] == 0;
  }
  described.operands[0] = describe(op.getDst(), dimension, buffers);
  for (auto [k, source] :
       llvm::enumerate(op.getSources().getAsRange<core::OperandAttr>()))
    described.operands[k + 1] = describe(source, dimension, buffers);
  machine::VectorCost cost = machine::costOf(described, machine);
  if (cost.conflict * times < static_cast<int64_t>(least) || cost.conflict == 0)
    return;
  std::string why;
  if (cost.slowest)
    why = llvm::formatv("{0} steps by {1} bytes", nameOf(*cost.slowest),
                        described.operands[*cost.slowest].stride);
  if (cost.colliding)
    why += llvm::formatv("{0}sources {1} and {2} share banks",
                         why.empty() ? "" : ", and ", cost.colliding->first,
                         cost.colliding->second);
  InFlightDiagnostic remark = op.emitRemark()
                              << cost.cycles << " cycles where "
                              << cost.cycles - cost.conflict << " would do";
  if (times > 1)
    remark << ", " << times << " times";
  remark << ": " << why;
}

void CoreLint::lint(Block &block, int64_t times, const core::Buffers &buffers,
                    const machine::MachineModel &machine) {
  for (Operation &op : block)
    if (auto vector = dyn_cast<core::VectorOp>(op))
      lint(vector, times, buffers, machine);
    else if (auto loop = dyn_cast<core::LoopOp>(op))
      lint(loop.getBody().front(),
           times * static_cast<int64_t>(loop.getCount()), buffers, machine);
}
