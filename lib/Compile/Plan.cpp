// Which region, how many of them, and which layouts: plans are asked about by
// running the phases behind on a copy, and the quickest that fits is kept.

#include "Kinds.h"
#include "Phases.h"

#include "waferloom/Algebra/Rewrites.h"
#include "waferloom/Codegen/Codegen.h"
#include "waferloom/Compile/Pipelines.h"
#include "waferloom/Compile/Regions.h"
#include "waferloom/Dialect/Wafer/Layers.h"
#include "waferloom/Dialect/Wafer/Stages.h"
#include "waferloom/Partition/Passes.h"
#include "waferloom/Target/ImageTarget.h"
#include "waferloom/Target/TargetAttr.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

#include <limits>

using namespace mlir;
using namespace waferloom;
using partition::Planned;

/// What is asked exactly; `CompileOptions::searchPlans` bounds what is
/// estimated.
static constexpr int mostShapesAsked = 12;
static constexpr int answersPerShape = 3;
/// Of those that fit, so many are counted, if they are estimated to take at
/// most so much longer than the best: estimates are within about a tenth.
static constexpr int mostShapesCounted = 5;
static constexpr int plansPerCount = 32;
static constexpr double worthCounting = 1.12;
/// No more are counted once so many PEs, each as often as there are layers,
/// were; but two are always.
static constexpr int64_t mostCountedLayers = 30'000'000;

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
  return success(succeeded(runPhase(module,
                                    [&](OpPassManager &pm) {
                                      populatePerPePipeline(pm, options);
                                    })) &&
                 !isInterrupted(options) &&
                 succeeded(runPhase(module, [&](OpPassManager &pm) {
                   populateFabricPipeline(pm, options);
                 })));
}

/// What a later phase could not do that a mapping says, and where it says so.
using Refusal = std::optional<std::pair<Location, std::string>>;

/// What a plan takes: the later phases are run on a copy. They are the ones
/// that run in the end, so the answer is exact.
static llvm::Expected<target::Fit> measure(ModuleOp planned,
                                           const CompileOptions &options,
                                           const target::Target &target,
                                           Refusal &refusal) {
  OwningOpRef<ModuleOp> copy = planned.clone();
  std::string reason;
  ScopedDiagnosticHandler quiet(
      planned.getContext(), [&](mlir::Diagnostic &found) {
        if (found.getSeverity() != DiagnosticSeverity::Error || !reason.empty())
          return;
        reason = found.str();
        auto line = dyn_cast<FileLineColLoc>(found.getLocation());
        if (line && line.getFilename() == options.mapping.first)
          refusal.emplace(line, reason);
      });
  target::Fit fit;
  if (!isInterrupted(options) && succeeded(lowerToFabric(*copy, options)) &&
      !isInterrupted(options) &&
      succeeded(codegen::lowerToCore(*copy, *target::toImage(target), fit,
                                     options.interrupted)))
    return fit;
  if (!fit.fits()) // refused for its size, which is the answer
    return fit;
  return llvm::createStringError(reason);
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

namespace {
/// Chooses layouts, and the region unless it was given by hand. Shapes are
/// rated by estimates; the later phases are asked about the cheapest, one after
/// the other, until no other can be better than one that fits.
class Planning {
public:
  Planning(ModuleOp module, const CompileOptions &options,
           const target::Target &target, Planned &planned,
           PlanningEffort effort);

  LogicalResult run();

private:
  LogicalResult checkGivenStages();
  SmallVector<int64_t> stageCounts(Shape shape) const;
  bool hasRoom(Shape shape, int64_t stages) const;
  bool planOnce(int64_t stages, int answers, OwningOpRef<ModuleOp> &copy,
                Planned &next);
  double withStream(double cycles, int64_t stages) const;
  std::optional<double> estimate(partition::Estimates &estimates, Shape shape);
  partition::Considered &considerationOf(Shape shape);
  void tellConsidered();
  LogicalResult search();
  bool ask(Shape shape, int answers);

  ModuleOp module;
  const CompileOptions &options;
  const target::Target &target;
  Planned &planned;
  const PlanningEffort effort;
  partition::PartitionPlanOptions grid;
  int64_t tripCount;
  bool streams;
  bool counts = false; // plans that fit
  double rating = 0;   // of the best: counted cycles, else estimated
  int64_t spent = 0;   // PEs times layers that were counted
  OwningOpRef<ModuleOp> best;
  std::vector<partition::Considered> considered;
  Refusal refusal;
};
} // namespace

Planning::Planning(ModuleOp module, const CompileOptions &options,
                   const target::Target &target, Planned &planned,
                   PlanningEffort effort)
    : module(module), options(options), target(target), planned(planned),
      effort(effort), tripCount(sharedTripCount(module)) {
  grid.fusedCollectives = enabled(algebra::packedMessages, options);
  grid.middleRoots = enabled(algebra::middleRoot, options);
  streams = llvm::any_of(wafer::getProgram(module).getEntries(),
                         [](auto entry) { return entry.isStreamed(); });
}

/// Whether so many stages have room, those of another shape too.
bool Planning::hasRoom(Shape shape, int64_t stages) const {
  if (options.ends)
    return partition::getStrip(shape, *options.ends, stages, target)
        .has_value();
  return !partition::listGrids(shape.first, shape.second, stages, target)
              .empty();
}

/// How many regions there may be: one for all, or one for what is not repeated
/// and some that share the trips; more are only of use where the fullest has
/// fewer of them. The fewest first; where tokens of a prompt stream through
/// them and the region is not given, the most.
SmallVector<int64_t> Planning::stageCounts(Shape shape) const {
  if (options.stages)
    return {*options.stages};
  SmallVector<int64_t> counts;
  if (!options.ends)
    counts.push_back(1);
  int64_t fullest = tripCount + 1;
  for (int64_t sharing = 1; tripCount > 1 && sharing <= tripCount; ++sharing) {
    const int64_t most = llvm::divideCeil(tripCount, sharing);
    if (most == fullest || !hasRoom(shape, sharing + 1))
      continue;
    fullest = most;
    counts.push_back(sharing + 1);
  }
  if (streams && !options.region && options.objective != "decode")
    std::reverse(counts.begin(), counts.end());
  return counts;
}

/// One step of decoding, and what a token of a prompt adds, as far as they are
/// asked for.
double Planning::withStream(double cycles, int64_t stages) const {
  if (!streams || options.objective == "decode")
    return cycles;
  const double pace =
      cycles / static_cast<double>(std::max<int64_t>(stages - 1, 1));
  return options.objective == "prefill" ? pace : cycles + pace;
}

std::optional<double> Planning::estimate(partition::Estimates &estimates,
                                         Shape shape) {
  for (int64_t stages : stageCounts(shape)) {
    if (isInterrupted(options))
      return std::nullopt;
    auto found = estimates.get(shape.first, shape.second, stages);
    if (!found)
      continue;
    found->cycles = withStream(found->cycles, stages);
    partition::Considered &entry = considerationOf(shape);
    entry.stages = stages;
    entry.estimate = found;
    entry.outcome = "not asked";
    return found->cycles;
  }
  partition::Considered &entry = considerationOf(shape);
  entry.outcome = "impossible";
  entry.reason = "no layout whose weights, states and largest op fit was found";
  return std::nullopt;
}

partition::Considered &Planning::considerationOf(Shape shape) {
  for (partition::Considered &entry : considered)
    if (Shape(entry.width, entry.height) == shape)
      return entry;
  partition::Considered &entry = considered.emplace_back();
  std::tie(entry.width, entry.height) = shape;
  return entry;
}

/// Of all that were looked at, the one that was taken is known at the end.
void Planning::tellConsidered() {
  for (partition::Considered &entry : considered)
    if (best && Shape(entry.width, entry.height) ==
                    Shape(planned.width, planned.height))
      entry.outcome = "chosen";
  auto rank = [](const partition::Considered &entry) {
    const double none = std::numeric_limits<double>::infinity();
    return std::tuple(entry.estimate ? entry.estimate->cycles : none,
                      entry.width, entry.height);
  };
  llvm::sort(considered,
             [&](const auto &a, const auto &b) { return rank(a) < rank(b); });
  planned.considered = std::move(considered);
}

/// Plans a copy for `grid`, on so many stages; whether that fits.
bool Planning::planOnce(int64_t stages, int answers,
                        OwningOpRef<ModuleOp> &copy, Planned &next) {
  grid.stages = stages;
  copy = module.clone();
  auto asked = [&](ModuleOp written) {
    return measure(written, options, target, refusal);
  };
  if (options.ends)
    return succeeded(planKinds(copy, grid, *options.ends, target, asked, next,
                               answers, options.interrupted));
  return succeeded(partition::planWithin(*copy, grid, asked, next, answers,
                                         options.interrupted));
}

/// Whether a plan for `shape` fits; it is kept if it is the best so far.
bool Planning::ask(Shape shape, int answers) {
  std::tie(grid.width, grid.height) = shape;
  Planned found;
  OwningOpRef<ModuleOp> copy;
  bool fits = false;
  for (int64_t stages : stageCounts(shape)) {
    if (isInterrupted(options))
      return false;
    Planned next;
    fits = planOnce(stages, answers, copy, next);
    // More stages take what is repeated off each; if that was not what was
    // too much, they do not help. Fewer never do.
    bool helps = !found.asked || next.fit.total() < found.fit.total();
    next.cycles = withStream(next.cycles, stages);
    if (fits || !found.width || next.asked)
      found = std::move(next);
    if (fits || !helps)
      break;
  }
  partition::Considered &entry = considerationOf(shape);
  entry.stages = found.stages;
  if (fits)
    entry.estimate = partition::Estimate{found.cycles, found.arithmetic};
  entry.outcome = fits ? "slower" : found.asked ? "too large" : "impossible";
  entry.reason.clear(); // of an answer before
  if (!fits)
    entry.reason = found.asked
                       ? llvm::formatv("needs {0} of {1} bytes of SRAM",
                                       found.fit.total(), found.fit.limit)
                             .str()
                       : found.reason;
  double mine = found.cycles;
  if (fits && counts)
    if (std::optional<double> counted = countPlan(*copy, options, target)) {
      spent += found.width * found.height * found.stages *
               std::min<int64_t>(tripCount, 5 * found.stages);
      mine = withStream(*counted, found.stages);
      entry.counted = mine;
    }
  if (fits && (!best || mine < rating)) {
    best = std::move(copy);
    planned = std::move(found);
    rating = mine;
  } else if (!best && (!planned.width || !planned.asked || found.asked)) {
    planned = std::move(found); // refusals tell of the closest
  }
  return fits;
}

LogicalResult Planning::search() {
  FailureOr<partition::Estimates> estimates =
      partition::Estimates::of(module, grid, options.interrupted);
  if (failed(estimates))
    return failure();
  const Shape whole = target::findLargest(target);
  std::vector<RatedShape> shapes = rateShapes(
      whole, [&](Shape shape) { return estimate(*estimates, shape); },
      options.searchPlans, estimates->getLengths());
  // A smaller region than one that does not fit will not either.
  SmallVector<Shape> tooSmall;
  int asked = 0, fitting = 0;
  std::optional<double> least; // estimate of one that fits
  const auto mostCounted = static_cast<int>(std::min<int64_t>(
      mostShapesCounted, options.searchPlans / plansPerCount));
  counts = effort.counts && mostCounted > 1;
  for (const RatedShape &rated : shapes) {
    if (asked == mostShapesAsked || (counts && fitting == mostCounted) ||
        (fitting > 1 && spent >= mostCountedLayers) ||
        (least && rated.cycles >= *least * (counts ? worthCounting : 1)))
      break;
    if (llvm::any_of(tooSmall, [&](Shape shape) {
          return rated.shape.first <= shape.first &&
                 rated.shape.second <= shape.second;
        }))
      continue;
    ++asked;
    if (ask(rated.shape, std::min(effort.answers, answersPerShape))) {
      ++fitting;
      const double mine = considerationOf(rated.shape).estimate->cycles;
      least = std::min(least.value_or(mine), mine);
    } else {
      tooSmall.push_back(rated.shape);
    }
    if (isInterrupted(options))
      return failure();
  }
  if (!best)
    ask(whole, effort.answers);
  return success();
}

/// One stage has what stands around the layers, the others share these.
LogicalResult Planning::checkGivenStages() {
  const int64_t given = options.stages.value_or(1);
  if (given > 1 && tripCount == 1)
    return emitError(module.getLoc())
           << given
           << " stages share equal layers that follow each other, and this "
              "model has no two that all entries repeat; compile it for one "
              "stage";
  if (given > 1 && given - 1 > tripCount)
    return emitError(module.getLoc())
           << "one of " << given << " stages has what stands around the "
           << tripCount << " layers, and the others need a layer each; at most "
           << tripCount + 1 << " stages";
  return success();
}

LogicalResult Planning::run() {
  if (failed(checkGivenStages()))
    return failure();
  if (options.region)
    ask(*options.region, effort.answers);
  else if (failed(search()))
    return failure();
  if (!options.region)
    tellConsidered();
  if (!best && refusal)
    return emitError(refusal->first) << refusal->second;
  if (!best)
    return failure();
  module->setAttrs((*best)->getAttrDictionary());
  module.getBodyRegion().takeBody(best->getBodyRegion());
  return success();
}

LogicalResult waferloom::plan(ModuleOp module, const CompileOptions &options,
                              Planned &planned, PlanningEffort effort) {
  FailureOr<target::Target> target = target::getTarget(module);
  if (failed(target))
    return failure();
  return Planning(module, options, *target, planned, effort).run();
}
