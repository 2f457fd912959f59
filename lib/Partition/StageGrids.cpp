// How equal stages stand beside each other: grids of them in strips, and what
// it costs to hand values on along these.

#include "StageGrids.h"

#include "waferloom/Collectives/Collectives.h"
#include "waferloom/Dialect/Wafer/Layers.h"
#include "waferloom/Dialect/Wafer/Stages.h"
#include "waferloom/Target/ImageTarget.h"
#include "waferloom/Target/TargetAttr.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using wafer::Axis;

SmallVector<StageGrid> partition::listGrids(int64_t width, int64_t height,
                                            int64_t count,
                                            const target::Target &target) {
  SmallVector<StageGrid> grids;
  for (int64_t rows = 1; rows <= count; ++rows) {
    const int64_t columns = count / rows;
    if (columns * rows != count ||
        !target::findPlace(target, columns * width, rows * height))
      continue;
    for (bool inColumns : {false, true})
      if (wafer::StagesAttr::closes(columns, rows, inColumns))
        grids.push_back({columns, rows, inColumns});
  }
  llvm::sort(grids, [](StageGrid a, StageGrid b) {
    return std::tuple(a.strips(), a.rows, a.inColumns) <
           std::tuple(b.strips(), b.rows, b.inColumns);
  });
  // Strips of one stage each only where there is nothing else.
  if (!grids.empty() && grids.front().strips() < count)
    llvm::erase_if(grids,
                   [&](StageGrid grid) { return grid.strips() == count; });
  return grids;
}

std::optional<Axis::Direction>
partition::getOnlyWay(const target::Target &target, int64_t width,
                      int64_t height, int64_t stages,
                      const StagePlaces &places) {
  SmallVector<StageGrid> grids = listGrids(width, height, stages, target);
  keepPinned(grids, width, height, places);
  if (stages == 1 || grids.empty() || llvm::any_of(grids, [&](StageGrid grid) {
        return grid.inColumns != grids.front().inColumns;
      }))
    return std::nullopt;
  return grids.front().inColumns ? Axis::Y : Axis::X;
}

LogicalResult partition::setStages(ModuleOp module, int64_t count,
                                   const StagePlaces &places) {
  if (count == 1)
    return success();
  if (wafer::getKind(module)) // which stand where they have room
    return success(
        llvm::all_of(module.getOps<func::FuncOp>(), [](func::FuncOp entry) {
          return succeeded(wafer::verifyStages(entry));
        }));
  FailureOr<target::Target> fabric = target::getTarget(module);
  if (failed(fabric))
    return failure();
  wafer::ProgramOp program = wafer::ProgramOp::getOrCreate(module);
  SmallVector<StageGrid> grids =
      listGrids(program.getPesAttr().getWidth(),
                program.getPesAttr().getHeight(), count, *fabric);
  if (grids.empty()) // placement says what is too large
    grids = {{count, 1, false}, {1, count, true}};
  keepPinned(grids, program.getPesAttr().getWidth(),
             program.getPesAttr().getHeight(), places);
  if (grids.empty())
    return refusePlaces(module);
  for (auto [columns, rows, inColumns] : grids) {
    program.setStagesAttr(
        wafer::StagesAttr::get(module.getContext(), columns, rows, inColumns));
    if (llvm::all_of(module.getOps<func::FuncOp>(), [](func::FuncOp entry) {
          return succeeded(wafer::verifyStages(entry));
        }))
      return success();
  }
  return failure();
}

double partition::getStageSendRecvCycles(ModuleOp module,
                                         const image::TargetT &target) {
  auto entries = module.getOps<func::FuncOp>();
  if (entries.empty())
    return 0;
  func::FuncOp entry = *entries.begin();
  wafer::RepeatOp repeat = wafer::getSharedRepeat(entry);
  if (!repeat)
    return 0;
  wafer::RegionAttr region = wafer::getRegion(entry);
  wafer::StagesAttr stages = wafer::getStages(entry);
  const collectives::Costs costs(target);
  collectives::Request message;
  message.words = 0;
  for (Value value : repeat.getInits())
    message.words += static_cast<uint64_t>(
        wafer::getLocalType(cast<RankedTensorType>(value.getType()), region)
            .getNumElements());
  auto getLine = [&](wafer::Axis::Direction direction) {
    return collectives::Line{static_cast<unsigned>(direction == wafer::Axis::X
                                                       ? region.getWidth()
                                                       : region.getHeight()),
                             1, 1};
  };
  auto getCycles = [&](collectives::Kind kind, collectives::Line line,
                       unsigned root) {
    collectives::Request request = message;
    request.kind = kind;
    request.root = root;
    if (kind != collectives::Kind::Broadcast)
      request.algorithm = collectives::Algorithm::Tree;
    return static_cast<double>(collectives::cycles(line, request, costs));
  };
  double cycles = 0;
  for (int64_t from = 0; from < stages.getCount(); ++from) {
    const wafer::HandOver way = wafer::getHandOver(stages, from);
    const collectives::Line line = getLine(way.direction);
    cycles += getCycles(collectives::Kind::Broadcast, line, 0) +
              static_cast<double>(way.between * line.length * costs.hop);
    if (!way.turns)
      continue;
    const collectives::Line across = getLine(
        way.direction == wafer::Axis::X ? wafer::Axis::Y : wafer::Axis::X);
    cycles +=
        getCycles(collectives::Kind::AllReduce, line, line.length / 2) +
        getCycles(collectives::Kind::AllReduce, across, across.length / 2);
  }
  return cycles;
}
