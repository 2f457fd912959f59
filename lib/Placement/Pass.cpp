// Entries to stages, solve, prove, and back. The one file of this room that
// knows dialects.

#include "waferloom/Dialect/Fabric/Fabric.h"
#include "waferloom/Dialect/Wafer/Stages.h"
#include "waferloom/Mapping/MappingAttr.h"
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
/// stages, of all kinds, stand side by side.
static FailureOr<placement::Problem> readProblem(wafer::ProgramOp program) {
  FailureOr<target::Target> target = target::getTarget(program);
  if (failed(target))
    return failure();
  placement::Problem problem{
      program.getLoc(), target->userWidth, target->userHeight, {}, {}};
  if (!program.getPesAttr())
    return program.emitOpError("has no region to find a place for");
  auto [columns, rows] = wafer::getWholeExtents(program);
  problem.stages.push_back({program.getLoc(), columns, rows});
  for (const target::Rectangle &defect : target->defects)
    problem.defects.push_back(
        {defect.x, defect.y, defect.width, defect.height});
  if (failed(placement::check(problem)))
    return failure();
  return problem;
}

/// The part of `whole`, the place of all stages, that is of those which the
/// program is for.
static fabric::RectAttr getPart(wafer::ProgramOp program,
                                placement::Rect whole) {
  auto [x, y] =
      wafer::getOffset(program, wafer::getStagesOfKind(program).first);
  auto [width, height] = wafer::getExtents(program);
  return fabric::RectAttr::get(program->getContext(), whole.x + x, whole.y + y,
                               width, height);
}

/// The place of all stages of which `part` is of those that the program is for.
static placement::Rect getWhole(wafer::ProgramOp program,
                                fabric::RectAttr part) {
  auto [x, y] =
      wafer::getOffset(program, wafer::getStagesOfKind(program).first);
  auto [width, height] = wafer::getExtents(program);
  auto [wide, high] = wafer::getWholeExtents(program);
  return {part.getX() - x, part.getY() - y, part.getWidth() + wide - width,
          part.getHeight() + high - height};
}

namespace {
/// What a module has to place: the functions that entries run, all on the same
/// rectangles. Without entries there is no problem to solve.
struct Placed {
  SmallVector<func::FuncOp> entries;
  std::optional<placement::Problem> problem;
};
} // namespace

/// The place that a mapping says, if it says one. Reports one where programs
/// may not be.
static FailureOr<std::optional<placement::Solution>>
readPinned(ModuleOp module, const placement::Problem &problem) {
  FailureOr<mapping::Mapping> mapping = mapping::getMapping(module);
  if (failed(mapping))
    return failure();
  if (mapping->stages.empty() || !mapping->stages.front().at)
    return std::optional<placement::Solution>();
  const auto &at = mapping->stages.front().at;
  const placement::Stage &stage = problem.stages.front();
  FailureOr<target::Target> target = target::getTarget(module);
  if (failed(target))
    return failure();
  if (llvm::Error error = target::checkRectangle(
          *target, stage.width, stage.height, (*at)[0], (*at)[1]))
    return emitError(mapping::locate(module.getContext(), *mapping, at.line))
           << llvm::toString(std::move(error));
  return std::optional(
      placement::Solution{{(*at)[0], (*at)[1], stage.width, stage.height}});
}

static FailureOr<Placed> readPlaced(ModuleOp module) {
  Placed placed;
  placed.entries = llvm::filter_to_vector(
      module.getOps<func::FuncOp>(),
      [](func::FuncOp function) { return wafer::getEntry(function); });
  if (placed.entries.empty())
    return placed;
  FailureOr<placement::Problem> problem =
      readProblem(wafer::getProgram(module));
  if (failed(problem))
    return failure();
  placed.problem = std::move(*problem);
  return placed;
}

namespace {
struct FabricPlace : placement::impl::FabricPlaceBase<FabricPlace> {
  using FabricPlaceBase::FabricPlaceBase;

  void runOnOperation() override {
    FailureOr<Placed> placed = readPlaced(getOperation());
    if (failed(placed))
      return signalPassFailure();
    if (placed->entries.empty())
      return;
    auto pinned = readPinned(getOperation(), *placed->problem);
    if (failed(pinned))
      return signalPassFailure();
    FailureOr<placement::Solution> solution =
        *pinned ? FailureOr<placement::Solution>(std::move(**pinned))
                : placement::place(*placed->problem);
    if (failed(solution) ||
        failed(placement::verify(*placed->problem, *solution)))
      return signalPassFailure();
    placement::Rect rect = solution->front();
    LDBG() << placed->entries.size() << " entries at " << rect.x << ", "
           << rect.y;
    fabric::RectAttr place = getPart(wafer::getProgram(getOperation()), rect);
    for (func::FuncOp entry : placed->entries)
      entry->setAttr(fabric::FabricDialect::placeName, place);
  }
};

struct FabricVerifyPlacement
    : placement::impl::FabricVerifyPlacementBase<FabricVerifyPlacement> {
  using FabricVerifyPlacementBase::FabricVerifyPlacementBase;

  void runOnOperation() override {
    FailureOr<Placed> placed = readPlaced(getOperation());
    if (failed(placed))
      return signalPassFailure();
    fabric::RectAttr common;
    for (func::FuncOp entry : placed->entries) {
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
                      *placed->problem,
                      {getWhole(wafer::getProgram(getOperation()), common)})))
      signalPassFailure();
  }
};
} // namespace
