// Which region, how many of them, and which layouts: plans are asked about by
// running the phases behind on a copy, and the quickest that fits is kept.

#include "Phases.h"

#include "waferloom/Algebra/Rewrites.h"
#include "waferloom/Codegen/Codegen.h"
#include "waferloom/Compile/Pipelines.h"
#include "waferloom/Dialect/Wafer/Layers.h"
#include "waferloom/Dialect/Wafer/Stages.h"
#include "waferloom/Partition/Passes.h"
#include "waferloom/Target/ImageTarget.h"
#include "waferloom/Target/TargetAttr.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"

using namespace mlir;
using namespace waferloom;
using partition::Planned;

static bool enabled(StringRef rewrite, const CompileOptions &options) {
  return !llvm::is_contained(options.disabledRewrites, rewrite);
}

LogicalResult
waferloom::runPhase(ModuleOp module,
                    llvm::function_ref<void(OpPassManager &)> populate) {
  PassManager pm(module.getContext());
  populate(pm);
  return pm.run(module);
}

LogicalResult waferloom::lowerToFabric(ModuleOp module,
                                       const CompileOptions &options) {
  return success(succeeded(runPhase(module, populatePerPePipeline)) &&
                 !isInterrupted(options) &&
                 succeeded(runPhase(module, [&](OpPassManager &pm) {
                   populateFabricPipeline(pm, options);
                 })));
}

/// What a plan takes: the later phases are run on a copy. They are the ones
/// that run in the end, so the answer is exact.
static llvm::Expected<target::Fit> measure(ModuleOp planned,
                                           const CompileOptions &options,
                                           const target::Target &target) {
  OwningOpRef<ModuleOp> copy = planned.clone();
  std::string reason;
  ScopedDiagnosticHandler quiet(
      planned.getContext(), [&](mlir::Diagnostic &found) {
        if (found.getSeverity() == DiagnosticSeverity::Error && reason.empty())
          reason = found.str();
      });
  target::Fit fit;
  if (!isInterrupted(options) && succeeded(lowerToFabric(*copy, options)) &&
      !isInterrupted(options) &&
      succeeded(codegen::lowerToCore(*copy, *target::toImage(target), fit)))
    return fit;
  if (!fit.fits()) // refused for its size, which is the answer
    return fit;
  return llvm::createStringError(reason);
}

/// Regions to choose from: squares with many factors, cut off at the rectangle
/// for programs, up to all of it.
static SmallVector<std::pair<int64_t, int64_t>>
regionsOf(const target::Target &target) {
  SmallVector<std::pair<int64_t, int64_t>> regions;
  const int64_t width = target.userWidth, height = target.userHeight;
  for (int64_t side = 8;; side *= 2)
    for (int64_t size : {side, side * 3 / 2}) {
      regions.emplace_back(std::min(size, width), std::min(size, height));
      if (size >= width && size >= height)
        return regions;
    }
}

/// The trips that stages can share: of the layers of every entry, if all have
/// as many; else 1.
static int64_t sharedTripCount(ModuleOp module) {
  int64_t tripCount = 0;
  for (auto entry : module.getOps<mlir::func::FuncOp>()) {
    wafer::RepeatOp layers = wafer::getLayersRepeat(entry);
    if (!layers)
      return 1;
    auto mine = static_cast<int64_t>(layers.getTripCount());
    if (tripCount && mine != tripCount)
      return 1;
    tripCount = mine;
  }
  return std::max<int64_t>(tripCount, 1);
}

/// How many regions may stand side by side, the fewest first: one for all, or
/// one for what is not repeated and some that share the trips evenly.
static SmallVector<int64_t> stageCounts(ModuleOp module,
                                        const CompileOptions &options,
                                        const target::Target &target,
                                        int64_t width, int64_t height) {
  if (options.stages)
    return {*options.stages};
  SmallVector<int64_t> counts = {1};
  const int64_t tripCount = sharedTripCount(module);
  for (int64_t sharing = 1; tripCount > 1 && sharing <= tripCount; ++sharing)
    if (tripCount % sharing == 0 &&
        ((sharing + 1) * width <= target.userWidth ||
         (sharing + 1) * height <= target.userHeight))
      counts.push_back(sharing + 1);
  return counts;
}

/// Chooses layouts, and the region unless it was given by hand. More PEs do
/// less each but wait longer for each other; so regions are tried from small to
/// large until the next two are no better than the best. A region that does not
/// hold all layers is set beside others of its size, as few as will do; as many
/// as there is room for where tokens of a prompt stream through them.
LogicalResult waferloom::plan(ModuleOp module, const CompileOptions &options,
                              Planned &planned, int mostAnswers) {
  FailureOr<target::Target> machine = target::getTarget(module);
  if (failed(machine))
    return failure();
  const target::Target &target = *machine;
  partition::PartitionPlanOptions grid;
  grid.fusedCollectives = enabled(algebra::packedMessages, options);
  grid.middleRoots = enabled(algebra::middleRoot, options);
  SmallVector<std::pair<int64_t, int64_t>> regions = regionsOf(target);
  if (options.region)
    regions = {*options.region};
  // Where one region does not do, the next may: no need to try everything.
  const bool manyRegions = regions.size() > 1;
  wafer::ProgramOp program = wafer::getProgram(module);
  const bool streams = llvm::any_of(
      program.getEntries(), [](auto entry) { return entry.isStreamed(); });
  constexpr int answersPerRegion = 3;
  OwningOpRef<ModuleOp> best;
  int worse = 0;
  for (auto [width, height] : regions) {
    grid.width = width;
    grid.height = height;
    Planned found;
    OwningOpRef<ModuleOp> copy;
    bool fits = false;
    SmallVector<int64_t> counts =
        stageCounts(module, options, target, width, height);
    if (streams && !options.region)
      std::reverse(counts.begin(), counts.end());
    for (int64_t stages : counts) {
      if (isInterrupted(options))
        return failure();
      grid.stages = stages;
      Planned next;
      copy = module.clone();
      fits = succeeded(partition::planWithin(
          *copy, grid,
          [&](ModuleOp written) { return measure(written, options, target); },
          next,
          manyRegions ? std::min(mostAnswers, answersPerRegion) : mostAnswers));
      // More stages take what is repeated off each; if that was not what was
      // too much, they do not help. Fewer never do.
      bool helps = !found.asked || next.fit.total() < found.fit.total();
      // One step of decoding, and what a token of a prompt adds.
      if (streams)
        next.cycles +=
            next.cycles / static_cast<double>(std::max<int64_t>(stages - 1, 1));
      if (fits || !found.width || next.asked)
        found = std::move(next);
      if (fits || !helps)
        break;
    }
    if (fits && (!best || found.cycles < planned.cycles)) {
      best = std::move(copy);
      planned = std::move(found);
      worse = 0;
    } else if (best) {
      if (++worse == 2)
        break;
    } else if (!planned.width || !planned.asked || found.asked) {
      planned = std::move(found); // refusals tell of the closest
    }
  }
  if (!best)
    return failure();
  module->setAttrs((*best)->getAttrDictionary());
  module.getBodyRegion().takeBody(best->getBodyRegion());
  return success();
}
