#include "Kinds.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace waferloom;
using partition::Kinds;
using partition::Planned;

/// Asks about the ends together with the layers, which are settled.
static llvm::Expected<target::Fit> measureBoth(ModuleOp ends, ModuleOp layers,
                                               partition::Measure measure) {
  OwningOpRef<ModuleOp> both = partition::joinKinds(ends, layers);
  std::string reason;
  {
    ScopedDiagnosticHandler quiet(
        ends.getContext(), [&](Diagnostic &found) { reason = found.str(); });
    if (failed(wafer::verifyKinds(*both)))
      return llvm::createStringError(reason);
  }
  return measure(*both);
}

LogicalResult waferloom::planKinds(OwningOpRef<ModuleOp> &module,
                                   const partition::PartitionPlanOptions &grid,
                                   std::pair<int64_t, int64_t> ends,
                                   const target::Target &target,
                                   partition::Measure measure, Planned &planned,
                                   int mostAnswers,
                                   const partition::Interrupted &interrupted) {
  planned.width = grid.width;
  planned.height = grid.height;
  planned.stages = grid.stages;
  planned.ends = ends;
  auto strip =
      partition::getStrip({grid.width, grid.height}, ends, grid.stages, target);
  if (!strip) {
    planned.reason =
        llvm::formatv("in a row or a column beside each other they have no "
                      "room, where programs may take {0} x {1} PEs",
                      uint32_t(target.userWidth), uint32_t(target.userHeight));
    return failure();
  }
  FailureOr<Kinds> kinds = partition::outlineKinds(
      *module, wafer::StagesAttr::get(module->getContext(), strip->columns,
                                      strip->rows, strip->inColumns));
  if (failed(kinds) ||
      failed(partition::planWithin(*kinds->layers, grid, measure, planned,
                                   mostAnswers, interrupted)))
    return failure();
  const partition::Lanes lanes = partition::getLanes(*kinds->layers);
  partition::PartitionPlanOptions around = grid;
  std::tie(around.width, around.height) = ends;
  around.stages = 1;
  Planned outer;
  if (failed(partition::planWithin(
          *kinds->ends, around,
          [&](ModuleOp written) {
            return measureBoth(written, *kinds->layers, measure);
          },
          outer, mostAnswers, interrupted, &lanes))) {
    // A refusal tells of the ends.
    planned.fit = outer.fit;
    planned.asked = outer.asked;
    planned.reason = outer.reason;
    return failure();
  }
  planned.fit = outer.fit;
  planned.cycles += outer.cycles;
  planned.arithmetic += outer.arithmetic;
  planned.answers += outer.answers;
  for (mapping::Layout &layout : outer.layouts) {
    layout.kind.value = "ends";
    planned.layouts.push_back(std::move(layout));
  }
  module = partition::joinKinds(*kinds->ends, *kinds->layers);
  return success();
}
