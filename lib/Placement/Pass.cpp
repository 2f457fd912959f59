// Entries to stages, solve, prove, and back. The one file of this room that
// knows dialects.

#include "waferloom/Dialect/Fabric/Fabric.h"
#include "waferloom/Dialect/Wafer/Stages.h"
#include "waferloom/Placement/Passes.h"
#include "waferloom/Placement/Placement.h"
#include "waferloom/Target/TargetAttr.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/DebugLog.h"

#define DEBUG_TYPE "fabric-place"

namespace waferloom::placement {
#define GEN_PASS_DEF_FABRICPLACE
#define GEN_PASS_DEF_FABRICVERIFYPLACEMENT
#include "waferloom/Placement/Passes.h.inc"
} // namespace waferloom::placement

using namespace mlir;
using namespace waferloom;

/// What there is to place: one rectangle, since entries share their PEs and
/// stages stand side by side in one row or column.
static FailureOr<placement::Problem> readProblem(wafer::ProgramOp program) {
  FailureOr<target::Target> target = target::getTarget(program);
  if (failed(target))
    return failure();
  placement::Problem problem{
      program.getLoc(), target->userWidth, target->userHeight, {}, {}};
  wafer::RegionAttr region = program.getPesAttr();
  if (!region)
    return program.emitOpError("has no region to find a place for");
  auto [columns, rows] = wafer::getExtents(region, wafer::getStages(program));
  problem.stages.push_back({program.getLoc(), columns, rows});
  if (failed(placement::check(problem)))
    return failure();
  return problem;
}

/// The functions that entries run.
static SmallVector<func::FuncOp> functionsOf(ModuleOp module) {
  return llvm::filter_to_vector(
      module.getOps<func::FuncOp>(),
      [](func::FuncOp function) { return wafer::getEntry(function); });
}

namespace {
struct FabricPlace : placement::impl::FabricPlaceBase<FabricPlace> {
  using FabricPlaceBase::FabricPlaceBase;

  void runOnOperation() override {
    wafer::ProgramOp program = wafer::getProgram(getOperation());
    SmallVector<func::FuncOp> entries = functionsOf(getOperation());
    if (entries.empty())
      return;
    FailureOr<placement::Problem> problem = readProblem(program);
    if (failed(problem))
      return signalPassFailure();
    FailureOr<placement::Solution> solution = placement::place(*problem);
    if (failed(solution) || failed(placement::verify(*problem, *solution)))
      return signalPassFailure();
    placement::Rect rect = solution->front();
    LDBG() << entries.size() << " entries at " << rect.x << ", " << rect.y;
    auto place = fabric::RectAttr::get(&getContext(), rect.x, rect.y,
                                       rect.width, rect.height);
    for (func::FuncOp entry : entries)
      entry->setAttr(fabric::FabricDialect::placeName, place);
  }
};

struct FabricVerifyPlacement
    : placement::impl::FabricVerifyPlacementBase<FabricVerifyPlacement> {
  using FabricVerifyPlacementBase::FabricVerifyPlacementBase;

  void runOnOperation() override {
    wafer::ProgramOp program = wafer::getProgram(getOperation());
    SmallVector<func::FuncOp> entries = functionsOf(getOperation());
    if (entries.empty())
      return;
    FailureOr<placement::Problem> problem = readProblem(program);
    if (failed(problem))
      return signalPassFailure();
    fabric::RectAttr common;
    for (func::FuncOp entry : entries) {
      fabric::RectAttr place = fabric::getPlace(entry);
      if (!place) {
        entry.emitOpError("has no fabric.place");
        return signalPassFailure();
      }
      if (common && place != common) {
        entry.emitOpError()
            << "is placed on " << place << " but another entry on " << common;
        return signalPassFailure();
      }
      common = place;
    }
    if (common && failed(placement::verify(
                      *problem, {{common.getX(), common.getY(),
                                  common.getWidth(), common.getHeight()}})))
      signalPassFailure();
  }
};
} // namespace
