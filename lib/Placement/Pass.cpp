// Entries to stages, solve, prove, and back. The one file of this room that
// knows dialects.

#include "waferloom/Dialect/Fabric/Fabric.h"
#include "waferloom/Dialect/Wafer/Stages.h"
#include "waferloom/Placement/Passes.h"
#include "waferloom/Placement/Placement.h"

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

/// What there is to place: one rectangle, since entries share their PEs and the
/// stages of an entry stand side by side.
static FailureOr<placement::Problem> readProblem(ModuleOp module,
                                                 ArrayRef<func::FuncOp> entries,
                                                 int64_t width,
                                                 int64_t height) {
  placement::Problem problem{module.getLoc(), width, height, {}, {}};
  wafer::RegionAttr region;
  wafer::StagesAttr stages;
  for (func::FuncOp entry : entries) {
    auto mine = entry->getAttrOfType<wafer::RegionAttr>("wafer.region");
    if (!mine)
      return entry.emitOpError("has no wafer.region to find a place for");
    if (region && mine != region)
      return entry.emitOpError()
             << "runs on " << mine.getWidth() << " by " << mine.getHeight()
             << " PEs but another entry on " << region.getWidth() << " by "
             << region.getHeight() << " with other axes";
    // Stages stand in one row or column: one rectangle holds them.
    wafer::StagesAttr side = wafer::getStages(entry);
    if (stages && side != stages)
      return entry.emitOpError()
             << "has other stages than another entry: " << side << " and "
             << stages;
    if (!region) {
      auto [columns, rows] = wafer::getExtents(mine, side);
      problem.stages.push_back({entry.getLoc(), columns, rows});
    }
    region = mine;
    stages = side;
  }
  if (failed(placement::check(problem)))
    return failure();
  return problem;
}

static SmallVector<func::FuncOp> entriesOf(ModuleOp module) {
  SmallVector<func::FuncOp> entries;
  for (auto func : module.getOps<func::FuncOp>())
    if (func->hasAttr("wafer.tokens"))
      entries.push_back(func);
  return entries;
}

namespace {
struct FabricPlace : placement::impl::FabricPlaceBase<FabricPlace> {
  using FabricPlaceBase::FabricPlaceBase;

  void runOnOperation() override {
    SmallVector<func::FuncOp> entries = entriesOf(getOperation());
    if (entries.empty())
      return;
    FailureOr<placement::Problem> problem =
        readProblem(getOperation(), entries, width, height);
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
    SmallVector<func::FuncOp> entries = entriesOf(getOperation());
    FailureOr<placement::Problem> problem =
        readProblem(getOperation(), entries, width, height);
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
