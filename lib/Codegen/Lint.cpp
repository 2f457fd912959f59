// Says of which instructions strides or banks take the time: what they take, at
// which rate they could run, and which operand is to blame. Counted by the same
// rule as the executor counts.

#include "InstructionCost.h"
#include "Machine.h"
#include "waferloom/Codegen/Passes.h"

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

static std::string nameOf(unsigned operand) {
  return operand == 0 ? "the destination"
                      : llvm::formatv("source {0}", operand).str();
}

void CoreLint::lint(core::VectorOp op, int64_t times,
                    const core::Buffers &buffers,
                    const machine::MachineModel &machine) {
  const machine::VectorInstruction described = codegen::describe(op, &buffers);
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
