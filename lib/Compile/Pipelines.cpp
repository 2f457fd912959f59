// What each phase of Compile.cpp is made of, for the compiler and waferloom-opt
// alike.

#include "waferloom/Compile/Pipelines.h"
#include "Phases.h"

#include "waferloom/Algebra/Passes.h"
#include "waferloom/Algebra/Rewrites.h"
#include "waferloom/Codegen/Passes.h"
#include "waferloom/Dialect/Fabric/Fabric.h"
#include "waferloom/Dialect/Wafer/Packed.h"
#include "waferloom/Dialect/Wafer/Stages.h"
#include "waferloom/Import/Import.h"
#include "waferloom/Partition/Passes.h"
#include "waferloom/Placement/Passes.h"
#include "waferloom/Routing/Passes.h"
#include "waferloom/Sampling/Passes.h"
#include "waferloom/Target/TargetAttr.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassOptions.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace waferloom;

namespace {
/// Lowers nodes to tensors, an entry after the other.
struct LowerOnnx : PassWrapper<LowerOnnx, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerOnnx)
  LowerOnnx(import::Options options, const CompileOptions &given)
      : options(std::move(options)), given(given) {}

  StringRef getName() const override { return "lower-onnx"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    import::registerDialects(registry);
  }
  void runOnOperation() override {
    FailureOr<llvm::StringSet<>> excepted = findExcepted(getOperation(), given);
    if (failed(excepted))
      return signalPassFailure();
    OwningOpRef<ModuleOp> made = import::lowerOnnx(getOperation(), options);
    if (!made)
      return signalPassFailure();
    if (roundsWeights(given))
      markRounded(*made, *excepted);
    getOperation().getBodyRegion().takeBody(made->getBodyRegion());
  }

  import::Options options;
  CompileOptions given;
};

/// Writes into each entry the shapes that users know, before any is cut or
/// padded.
struct RecordShapes : PassWrapper<RecordShapes, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(RecordShapes)
  StringRef getName() const override { return "record-shapes"; }
  void runOnOperation() override;
};

struct KeepClone : PassWrapper<KeepClone, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(KeepClone)
  explicit KeepClone(OwningOpRef<ModuleOp> &copy) : copy(copy) {}
  StringRef getName() const override { return "keep-clone"; }
  void runOnOperation() override { copy = getOperation().clone(); }

  OwningOpRef<ModuleOp> &copy;
};

/// Says what the module is compiled for.
struct SetTarget : PassWrapper<SetTarget, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(SetTarget)
  explicit SetTarget(target::Target target) : target(std::move(target)) {}
  StringRef getName() const override { return "set-target"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<wafer::WaferDialect>();
  }
  void runOnOperation() override { target::setTarget(getOperation(), target); }

  target::Target target;
};

/// Runs passes on the program of each kind of stages, or on the one that is for
/// all.
struct EachKind : PassWrapper<EachKind, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(EachKind)
  explicit EachKind(OpPassManager passes) : passes(std::move(passes)) {}

  StringRef getName() const override { return "each-kind"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    passes.getDependentDialects(registry);
  }
  void runOnOperation() override {
    if (failed(wafer::verifyKinds(getOperation())))
      return signalPassFailure();
    for (ModuleOp kind : wafer::getKinds(getOperation()))
      if (failed(runPipeline(passes, kind)))
        return signalPassFailure();
  }

  OpPassManager passes;
};

/// Tells code generation that loops over caches go over all of their slots.
struct KeepCachesWhole : PassWrapper<KeepCachesWhole, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(KeepCachesWhole)

  StringRef getName() const override { return "keep-caches-whole"; }
  void runOnOperation() override {
    getOperation()->setAttr(codegen::wholeCaches, UnitAttr::get(&getContext()));
  }
};

/// Chooses region, stages and layouts.
struct PlanProgram : PassWrapper<PlanProgram, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PlanProgram)
  PlanProgram(const CompileOptions &options, partition::Planned *planned)
      : options(options), planned(planned) {}

  StringRef getName() const override { return "plan-program"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    import::registerDialects(registry);
    registry.insert<fabric::FabricDialect>();
  }
  void runOnOperation() override;
  /// Weights that the file has as integers stay so where the model does not fit
  /// otherwise.
  LogicalResult plan(partition::Planned &found);

  CompileOptions options;
  partition::Planned *planned;
};
} // namespace

void RecordShapes::runOnOperation() {
  ModuleOp module = getOperation();
  for (wafer::EntryOp entry : wafer::getProgram(module).getEntries()) {
    auto func = module.lookupSymbol<func::FuncOp>(entry.getFunction());
    NamedAttrList shapes;
    auto record = [&](StringRef name, Type type) {
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
    entry.setShapesAttr(shapes.getDictionary(module.getContext()));
  }
}

LogicalResult PlanProgram::plan(partition::Planned &found) {
  ModuleOp module = getOperation();
  if (roundsWeights(options))
    roundMarked(module, options);
  if (options.storage == "kept" || roundsWeights(options))
    wafer::keepPacked(module, wafer::Keeping::All);
  if (succeeded(planEntries(module, options, found)))
    return success();
  if (options.storage != "auto" || isInterrupted(options) ||
      !wafer::keepPacked(module, wafer::Keeping::LeastBytes))
    return failure();
  found = {};
  return planEntries(module, options, found);
}

void PlanProgram::runOnOperation() {
  partition::Planned found;
  if (succeeded(plan(found))) {
    if (planned)
      *planned = found;
    return;
  }
  if (planned) {
    *planned = found;
  } else if (found.asked) {
    getOperation().emitError()
        << "needs " << found.fit.total()
        << " bytes of SRAM on the fullest PE of " << found.width << " x "
        << found.height << " but there are " << found.fit.limit;
  } else {
    getOperation().emitError()
        << "no layout found on " << found.width << " x " << found.height
        << " PEs"
        << (found.reason.empty() ? std::string() : ": " + found.reason);
  }
  signalPassFailure();
}

void waferloom::keepClone(OpPassManager &pm, OwningOpRef<ModuleOp> &copy) {
  pm.addPass(std::make_unique<KeepClone>(copy));
}

static import::Options importOptions(const CompileOptions &options) {
  import::Options out;
  out.dims = options.dims;
  out.context = options.context;
  out.chunks = options.chunks;
  out.states = options.states;
  out.sets = options.sets;
  out.experts = options.experts == "all"      ? import::Experts::All
                : options.experts == "chosen" ? import::Experts::Chosen
                                              : import::Experts::ByCost;
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

llvm::Error waferloom::populateTensorsPipeline(OpPassManager &pm,
                                               const CompileOptions &options) {
  llvm::Expected<Sampling> how = samplingOf(options);
  if (!how)
    return how.takeError();
  pm.addPass(std::make_unique<LowerOnnx>(importOptions(options), options));
  if (options.logits == "last")
    pm.addPass(sampling::createSamplingLast());
  if (how->picks) {
    sampling::SamplingChooseOptions choose;
    choose.draw = how->draws;
    choose.top = how->top;
    pm.addNestedPass<func::FuncOp>(sampling::createSamplingChoose(choose));
  }
  pm.addPass(std::make_unique<RecordShapes>());
  return llvm::Error::success();
}

void waferloom::populatePreparePipeline(OpPassManager &pm,
                                        const CompileOptions &options,
                                        bool reroll) {
  pm.addPass(partition::createPartitionSliceProducts());
  algebra::AlgebraPrecisionOptions precision;
  precision.precision = options.precision;
  pm.addPass(algebra::createAlgebraPrecision(precision));
  pm.addPass(partition::createPartitionFactor());
  pm.addNestedPass<func::FuncOp>(algebra::createAlgebraFold());
  pm.addPass(createCSEPass());
  // From here on dimensions are factors, and no reshape is left.
  algebra::populateRewrites(pm, options.disabledRewrites);
  if (reroll) {
    // Two layers one behind the other take fewer cycles than a loop of them,
    // but stages share what is a loop.
    const bool areStages = options.stages.value_or(1) > 1;
    pm.addNestedPass<func::FuncOp>(
        partition::createPartitionReroll({areStages ? 2 : 3}));
  }
  // Behind the loop of the layers, so that all of them stay alike.
  pm.addNestedPass<func::FuncOp>(sampling::createSamplingPull());
  pm.addPass(createCSEPass());
}

void waferloom::populatePlanPipeline(OpPassManager &pm,
                                     const CompileOptions &options,
                                     partition::Planned *planned) {
  pm.addPass(std::make_unique<PlanProgram>(options, planned));
}

void waferloom::populatePerPePipeline(OpPassManager &pm,
                                      const CompileOptions &options) {
  OpPassManager each(ModuleOp::getOperationName());
  if (!llvm::is_contained(options.disabledRewrites, algebra::atRoots))
    each.addNestedPass<func::FuncOp>(
        partition::createPartitionComputeAtRoots());
  // What the types of level 3 say is proven, not believed.
  each.addNestedPass<func::FuncOp>(partition::createPartitionVerify());
  each.addPass(partition::createPartitionToPerPe());
  if (!llvm::is_contained(options.disabledRewrites, algebra::ownMaximum))
    each.addNestedPass<func::FuncOp>(partition::createPartitionOwnMaximum());
  each.addPass(createCSEPass());
  each.addNestedPass<func::FuncOp>(algebra::createAlgebraLocal());
  each.addPass(createCSEPass());
  if (!llvm::is_contained(options.disabledRewrites, algebra::sharedRoots))
    each.addNestedPass<func::FuncOp>(partition::createPartitionShareRoots());
  if (!llvm::is_contained(options.disabledRewrites, algebra::earlyNorm))
    each.addNestedPass<func::FuncOp>(partition::createPartitionEarlyNorms());
  partition::PartitionKeepAtRootsOptions roots;
  roots.middleRoots =
      !llvm::is_contained(options.disabledRewrites, algebra::middleRoot);
  each.addNestedPass<func::FuncOp>(
      partition::createPartitionKeepAtRoots(roots));
  pm.addPass(std::make_unique<EachKind>(std::move(each)));
}

void waferloom::populateFabricPipeline(OpPassManager &pm,
                                       const CompileOptions &options) {
  OpPassManager each(ModuleOp::getOperationName());
  routing::populateConversionPipeline(
      each, !llvm::is_contained(options.disabledRewrites, algebra::middleRoot));
  each.addPass(placement::createFabricPlace());
  routing::populateRoutingPipeline(each);
  pm.addPass(std::make_unique<EachKind>(std::move(each)));
  if (llvm::is_contained(options.disabledRewrites, algebra::liveLengths))
    pm.addPass(std::make_unique<KeepCachesWhole>());
}

//===----------------------------------------------------------------------===//
// By name
//===----------------------------------------------------------------------===//

namespace {
/// The options of the command line, as pipelines have them.
struct PhaseOptions : PassPipelineOptions<PhaseOptions> {
  Option<std::string> target{
      *this, "target",
      llvm::cl::desc("Sets wafer.target: a preset, grid-WxH or a file")};
  Option<int64_t> context{*this, "context",
                          llvm::cl::desc("Tokens that states hold")};
  ListOption<int64_t> chunks{*this, "chunk",
                             llvm::cl::desc("Tokens of further entries")};
  ListOption<std::string> dims{*this, "dim", llvm::cl::desc("NAME=SIZE")};
  ListOption<std::string> states{*this, "state",
                                 llvm::cl::desc("PAST=PRESENT")};
  ListOption<std::string> sets{*this, "set", llvm::cl::desc("INPUT=VALUE")};
  Option<std::string> logits{*this, "logits", llvm::cl::desc("last or all"),
                             llvm::cl::init("last")};
  Option<std::string> sample{*this, "sample",
                             llvm::cl::desc("greedy, softmax, top-N or none"),
                             llvm::cl::init("greedy")};
  Option<std::string> precision{*this, "precision",
                                llvm::cl::desc("model, f32 or f16"),
                                llvm::cl::init("model")};
  Option<std::string> weights{
      *this, "weights",
      llvm::cl::desc("kept, expanded, auto, int8, int4, "
                     "fp8 or mxfp4"),
      llvm::cl::init("auto")};
  Option<std::string> block{*this, "block",
                            llvm::cl::desc("Rounded weights of a scale")};
  Option<std::string> scales{*this, "scales", llvm::cl::desc("absmax or mse"),
                             llvm::cl::init("absmax")};
  ListOption<std::string> keep{*this, "keep", llvm::cl::desc("PATTERN=f16")};
  Option<std::string> experts{*this, "experts",
                              llvm::cl::desc("chosen, all or auto"),
                              llvm::cl::init("auto")};
  Option<std::string> prefill{*this, "prefill",
                              llvm::cl::desc("auto, block or stream"),
                              llvm::cl::init("auto")};
  Option<std::string> region{*this, "region",
                             llvm::cl::desc("WxH; else chosen")};
  Option<std::string> ends{*this, "ends",
                           llvm::cl::desc("WxH of the ends' region")};
  Option<int64_t> stages{*this, "stages",
                         llvm::cl::desc("Regions; else chosen")};
  Option<int64_t> searchPlans{*this, "search-plans",
                              llvm::cl::desc("Regions to look at")};
  ListOption<std::string> disabledRewrites{*this, "disable-rewrite",
                                           llvm::cl::desc("NAME")};

  /// The options; `machine` is the target, or the usual one.
  llvm::Expected<CompileOptions> get(target::Target &machine) const;
};
} // namespace

static llvm::Error badOption(StringRef name, StringRef form, StringRef text) {
  return llvm::createStringError(
      llvm::formatv("{0} needs {1}, not '{2}'", name, form, text));
}

llvm::Expected<CompileOptions>
PhaseOptions::get(target::Target &machine) const {
  CompileOptions out;
  if (context.hasValue())
    out.context = context.getValue();
  if (stages.hasValue())
    out.stages = stages.getValue();
  if (searchPlans.hasValue())
    out.searchPlans = searchPlans.getValue();
  out.chunks.assign(chunks.begin(), chunks.end());
  out.logits = logits;
  out.sample = sample;
  out.precision = precision;
  out.storage = weights;
  out.experts = experts;
  out.block = block;
  out.scales = scales;
  for (StringRef text : keep) {
    auto [pattern, type] = text.rsplit('=');
    out.keep.emplace_back(pattern.str(), type.str());
  }
  out.prefill = prefill;
  out.disabledRewrites.assign(disabledRewrites.begin(), disabledRewrites.end());
  for (StringRef text : dims) {
    auto [name, value] = text.rsplit('=');
    int64_t size;
    if (value.getAsInteger(10, size))
      return badOption("dim", "NAME=SIZE", text);
    out.dims.emplace_back(name.str(), size);
  }
  for (StringRef text : states) {
    auto [past, present] = text.rsplit('=');
    out.states.emplace_back(past.str(), present.str());
  }
  for (StringRef text : sets) {
    auto [name, value] = text.rsplit('=');
    double number;
    if (value.getAsDouble(number))
      return badOption("set", "INPUT=VALUE", text);
    out.sets.emplace_back(name.str(), number);
  }
  for (auto [text, name, to] :
       {std::tuple(StringRef(region), "region", &out.region),
        std::tuple(StringRef(ends), "ends", &out.ends)}) {
    if (text.empty())
      continue;
    auto [width, height] = text.split('x');
    int64_t w, h;
    if (width.getAsInteger(10, w) || height.getAsInteger(10, h))
      return badOption(name, "WxH", text);
    *to = {w, h};
  }
  llvm::Expected<target::Target> parsed =
      target::parse(target.empty() ? out.target : target.getValue());
  if (!parsed)
    return parsed.takeError();
  machine = std::move(*parsed);
  if (llvm::Error error = checkOptions(out, machine))
    return std::move(error);
  return out;
}

static void registerPhase(
    StringRef name, StringRef description,
    std::function<llvm::Error(OpPassManager &, const CompileOptions &)>
        populate) {
  registerPassPipeline(
      name, description,
      [populate](OpPassManager &pm, StringRef text,
                 function_ref<LogicalResult(const Twine &)> refuse) {
        PhaseOptions given;
        if (failed(given.parseFromString(text)))
          return failure();
        target::Target machine;
        llvm::Expected<CompileOptions> options = given.get(machine);
        if (!options)
          return refuse(llvm::toString(options.takeError()));
        if (!given.target.empty())
          pm.addPass(std::make_unique<SetTarget>(std::move(machine)));
        if (llvm::Error error = populate(pm, *options))
          return refuse(llvm::toString(std::move(error)));
        return success();
      },
      [](function_ref<void(const mlir::detail::PassOptions &)> tell) {
        tell(PhaseOptions());
      });
}

void waferloom::registerPipelines() {
  registerPhase("waferloom-tensors", "Level 1 to level 2",
                populateTensorsPipeline);
  auto always = [](auto populate) {
    return [populate](OpPassManager &pm, const CompileOptions &options) {
      populate(pm, options);
      return llvm::Error::success();
    };
  };
  registerPhase("waferloom-prepare",
                "Level 2 as planning needs it: factored, folded, rewritten, "
                "rerolled",
                always([](OpPassManager &pm, const CompileOptions &options) {
                  populatePreparePipeline(pm, options);
                }));
  registerPhase("waferloom-plan", "Level 2, prepared, to level 3",
                always([](OpPassManager &pm, const CompileOptions &options) {
                  populatePlanPipeline(pm, options);
                }));
  registerPhase("waferloom-per-pe", "Level 3 to level 4",
                always(populatePerPePipeline));
  registerPhase("waferloom-fabric", "Level 4 to level 5",
                always(populateFabricPipeline));
}
