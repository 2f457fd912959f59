// What each phase of Compile.cpp is made of.

#include "Phases.h"

#include "waferloom/Algebra/Passes.h"
#include "waferloom/Algebra/Rewrites.h"
#include "waferloom/Codegen/Codegen.h"
#include "waferloom/Dialect/Wafer/Layers.h"
#include "waferloom/Dialect/Wafer/Stages.h"
#include "waferloom/Import/Import.h"
#include "waferloom/Partition/Passes.h"
#include "waferloom/Placement/Passes.h"
#include "waferloom/Routing/Passes.h"
#include "waferloom/Sampling/Passes.h"
#include "waferloom/Target/ImageTarget.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace waferloom;
using partition::Planned;

/// Remembers the shapes that users know, before any is factored or padded: on
/// each entry, a dictionary from names of inputs, outputs and states to shapes.
static void recordShapes(ModuleOp module) {
  for (auto func : module.getOps<func::FuncOp>()) {
    NamedAttrList shapes;
    auto record = [&](StringRef name, mlir::Type type) {
      shapes.set(name,
                 DenseI64ArrayAttr::get(module.getContext(),
                                        cast<ShapedType>(type).getShape()));
    };
    func.walk([&](Operation *op) {
      if (auto input = dyn_cast<wafer::InputOp>(op))
        record(input.getName(), input.getType());
      else if (auto output = dyn_cast<wafer::OutputOp>(op))
        record(output.getName(), output.getValue().getType());
      else if (auto state = dyn_cast<wafer::StateOp>(op))
        for (auto name : state.getNames().getAsRange<StringAttr>())
          record(name.getValue(), state.getType());
    });
    func->setAttr("wafer.shapes", shapes.getDictionary(module.getContext()));
  }
}

static import::Options importOptions(const CompileOptions &options) {
  import::Options out;
  out.dims = options.dims;
  out.context = options.context;
  out.chunks = options.chunks;
  out.states = options.states;
  out.sets = options.sets;
  return out;
}

llvm::Expected<Sampling> waferloom::samplingOf(const CompileOptions &options) {
  StringRef how = options.sample;
  Sampling sampling;
  sampling.picks = how != "none";
  sampling.draws = sampling.picks && how != "greedy";
  if (!sampling.draws || how == "softmax")
    return sampling;
  if (!how.consume_front("top-"))
    return llvm::createStringError(
        "there is no way to sample called '" + options.sample +
        "'; there are greedy, softmax, top-N and none");
  constexpr int64_t most = 64; // each takes a collective
  if (how.getAsInteger(10, sampling.top) || sampling.top < 1 ||
      sampling.top > most)
    return llvm::createStringError(llvm::formatv(
        "top-N wants a number of tokens between 1 and {0}, not '{1}'", most,
        how));
  return sampling;
}

OwningOpRef<ModuleOp> waferloom::lowerToTensors(ModuleOp onnx,
                                                const CompileOptions &options) {
  OwningOpRef<ModuleOp> module =
      import::lowerOnnx(onnx, importOptions(options));
  if (!module)
    return module;
  PassManager pm(module->getContext());
  if (options.logits == "last")
    pm.addPass(sampling::createSamplingLast());
  if (Sampling how = llvm::cantFail(samplingOf(options)); how.picks) {
    sampling::SamplingChooseOptions choose;
    choose.draw = how.draws;
    choose.top = how.top;
    pm.addNestedPass<func::FuncOp>(sampling::createSamplingChoose(choose));
  }
  if (failed(pm.run(*module)))
    return nullptr;
  recordShapes(*module);
  return module;
}

LogicalResult waferloom::prepare(ModuleOp module,
                                 const CompileOptions &options) {
  PassManager pm(module.getContext());
  algebra::AlgebraPrecisionOptions precision;
  precision.precision = options.precision;
  pm.addPass(algebra::createAlgebraPrecision(precision));
  pm.addPass(partition::createPartitionFactor());
  pm.addNestedPass<func::FuncOp>(algebra::createAlgebraFold());
  pm.addPass(createCSEPass());
  // From here on dimensions are factors, and no reshape is left.
  algebra::populateRewrites(pm, options.disabledRewrites);
  pm.addNestedPass<func::FuncOp>(partition::createPartitionReroll());
  // Behind the loop of the layers, so that all of them stay alike.
  pm.addNestedPass<func::FuncOp>(sampling::createSamplingPull());
  pm.addPass(createCSEPass());
  return pm.run(module);
}

static bool enabled(StringRef rewrite, const CompileOptions &options) {
  return !llvm::is_contained(options.disabledRewrites, rewrite);
}

/// Level 3 to level 4.
LogicalResult waferloom::lowerToShards(ModuleOp module) {
  PassManager pm(module.getContext());
  // What the types of level 3 say is proven, not believed.
  pm.addNestedPass<func::FuncOp>(partition::createPartitionVerify());
  pm.addPass(partition::createPartitionToPerPe());
  pm.addPass(createCSEPass());
  return pm.run(module);
}

/// Level 4 to level 5.
LogicalResult waferloom::lowerToFabric(ModuleOp module,
                                       const CompileOptions &options,
                                       const target::Target &target) {
  PassManager pm(module.getContext());
  const collectives::Costs costs(*target::toImage(target));
  placement::FabricPlaceOptions fabric;
  fabric.width = target.userWidth;
  fabric.height = target.userHeight;
  routing::populateConversionPipeline(pm, costs,
                                      enabled(algebra::middleRoot, options));
  pm.addPass(placement::createFabricPlace(fabric));
  routing::populateRoutingPipeline(
      pm, {target.colors, target.inputQueues, target.outputQueues});
  return pm.run(module);
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
  auto goesOn = [&] { return !isInterrupted(options); };
  if (goesOn() && succeeded(lowerToShards(*copy)) && goesOn() &&
      succeeded(lowerToFabric(*copy, options, target)) && goesOn() &&
      succeeded(codegen::emitImage(*copy, *target::toImage(target), fit)))
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
                              const target::Target &target, Planned &planned,
                              int mostAnswers) {
  partition::PartitionPlanOptions grid;
  grid.sramBytes = target.sram;
  grid.reservedBytes = target.reserved;
  grid.colors = target.colors;
  grid.hop = target.hop;
  grid.ramp = target.ramp;
  grid.forward = target.forward;
  grid.issue = target.issue;
  grid.rewrite = target.rewrite;
  grid.fma = target.fmaF32;
  grid.fmaMixed = target.fmaMixed;
  grid.add = target.addF32;
  grid.convert = target.convert;
  grid.fusedCollectives = enabled(algebra::packedMessages, options);
  grid.middleRoots = enabled(algebra::middleRoot, options);
  SmallVector<std::pair<int64_t, int64_t>> regions = regionsOf(target);
  if (options.region)
    regions = {*options.region};
  // Where one region does not do, the next may: no need to try everything.
  const bool manyRegions = regions.size() > 1;
  const bool streams = llvm::any_of(module.getOps<mlir::func::FuncOp>(),
                                    [](mlir::func::FuncOp entry) {
                                      return entry->hasAttr("wafer.streamed");
                                    });
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
