// From level 2 to level 3: read the classes of dimensions off the module,
// search one split per class, and write it.

#include "Classes.h"
#include "Pins.h"
#include "Search.h"
#include "StageGrids.h"
#include "Write.h"

#include "waferloom/Collectives/Collectives.h"
#include "waferloom/Dialect/Wafer/Layers.h"
#include "waferloom/Dialect/Wafer/Stages.h"
#include "waferloom/Partition/PartitionOpInterfaces.h"
#include "waferloom/Partition/Passes.h"
#include "waferloom/Partition/Planning.h"
#include "waferloom/Target/ImageTarget.h"
#include "waferloom/Target/TargetAttr.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Remarks.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

#include <set>

namespace waferloom::partition {
#define GEN_PASS_DEF_PARTITIONPLAN
#include "waferloom/Partition/Passes.h.inc"
} // namespace waferloom::partition

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using wafer::Axis;

/// Gives each reader its own constant, fill or iota: readers that share one
/// would have their dimensions joined by it.
static void unshareSources(ModuleOp module) {
  SmallVector<Operation *> sources;
  module.walk([&](Operation *op) {
    if (getRerolling(op) == Rerolling::Source &&
        isa<RankedTensorType>(op->getResult(0).getType()) &&
        !isStored(op->getResult(0)))
      sources.push_back(op);
  });
  // Readers before what they read: a fill that is copied reads its own empty.
  for (Operation *op : llvm::reverse(sources)) {
    Value value = op->getResult(0);
    SmallVector<OpOperand *> uses;
    for (OpOperand &use : value.getUses())
      uses.push_back(&use);
    for (OpOperand *use : llvm::drop_begin(uses, uses.empty() ? 0 : 1)) {
      OpBuilder builder(op);
      use->set(builder.clone(*op)->getResult(0));
    }
  }
}

static void describe(const Problem &problem, const LayoutPlan &plan,
                     Location loc) {
  auto join = [](ArrayRef<int64_t> factors) {
    std::string text;
    for (int64_t factor : factors)
      text += (text.empty() ? "" : " x ") + std::to_string(factor);
    return text;
  };
  remark::analysis(loc,
                   remark::RemarkOpts::name("plan").category("partition-plan"))
      << remark::metric("x", join(plan.factors.x))
      << remark::metric("y", join(plan.factors.y))
      << remark::metric("cycles_estimated", static_cast<int64_t>(plan.cycles))
      << remark::metric("cycles_compute_estimated",
                        static_cast<int64_t>(plan.computeCycles))
      << remark::metric("collectives", plan.messages)
      << remark::metric("bytes_per_pe", plan.bytes)
      << remark::metric("classes",
                        static_cast<int64_t>(problem.classes.size()));
}

/// Says that no plan was found, with the numbers.
static void refuse(ModuleOp module, const Problem &problem, int64_t looked) {
  if (std::string why = tellWhetherGaveUp(problem, looked); !why.empty()) {
    module.emitError() << why;
    return;
  }
  int64_t total = 0;
  for (const Stored &entry : problem.stored) {
    int64_t bytes = entry.count * entry.shape.elementBytes;
    for (int index : entry.shape.classes)
      bytes *= problem.classes[index].size;
    total +=
        entry.packed
            ? entry.count * static_cast<int64_t>(entry.packed->format.bytes())
            : bytes;
  }
  InFlightDiagnostic diag = module.emitError();
  diag << "no layout found that fits: weights and states take "
       << llvm::divideCeil(total, problem.width * problem.height)
       << " bytes per PE when divided evenly over " << problem.width << " x "
       << problem.height << " PEs, before padding, replicas and buffers, but "
       << problem.bytesPerPe << " bytes are free for data in each";
  diag.attachNote() << "choose a larger grid, more memory per PE, or a "
                       "smaller state capacity";
}

/// Whether some grid of stages has them where a mapping says.
static LogicalResult checkPlaces(ModuleOp module, const ModuleClasses &classes,
                                 const PartitionPlanOptions &options,
                                 const target::Target &target) {
  if (classes.problem.places.size() < 2)
    return success();
  SmallVector<StageGrid> grids =
      listGrids(options.width, options.height, options.stages, target);
  const size_t before = grids.size();
  keepPinned(grids, options.width, options.height, classes.problem.places);
  if (!grids.empty() || !before) // placement says what has no room
    return success();
  return refusePlaces(module);
}

/// The problem of a module, under what `options` allow.
static FailureOr<ModuleClasses> pose(ModuleOp module,
                                     const PartitionPlanOptions &options,
                                     const Lanes *lanes = nullptr) {
  FailureOr<target::Target> target = target::getTarget(module);
  if (failed(target))
    return failure();
  const int64_t memory = int64_t(target->sram) - int64_t(target->reserved);
  if (options.width < 1 || options.height < 1 || memory < 1)
    return module.emitError()
           << "partitioning needs a region and memory, not " << options.width
           << " x " << options.height << " PEs with " << memory
           << " bytes for data each";
  FailureOr<ModuleClasses> classes = classify(module);
  if (failed(classes))
    return failure();
  classes->problem.width = options.width;
  classes->problem.height = options.height;
  classes->problem.bytesPerPe = memory;
  classes->problem.stages = options.stages;
  if (failed(pin(module, *classes)) ||
      failed(checkPlaces(module, *classes, options, *target)))
    return failure();
  classes->problem.stagesAlong =
      getOnlyWay(*target, options.width, options.height, options.stages,
                 classes->problem.places);
  for (auto entry : module.getOps<func::FuncOp>())
    if (wafer::RepeatOp layers = wafer::getLayersRepeat(entry))
      for (Value value : layers.getInits())
        for (int index : classes->values.lookup(value))
          classes->problem.carried.insert(index);
  if (wafer::getKind(module) && failed(poseKind(module, *classes, lanes)))
    return failure();
  classes->problem.mostHops = target::mostHops(target->colors);
  classes->problem.mostBranches = options.mostBranches;
  classes->problem.fusedCollectives = options.fusedCollectives;
  classes->problem.middleRoots = options.middleRoots;
  classes->problem.target = *target::toImage(*target);
  return classes;
}

namespace {
/// A plan that fits, and the module that it was written into.
struct Fitting {
  OwningOpRef<ModuleOp> module;
  LayoutPlan plan;
  target::Fit fit;
};

/// Asks about plans, cheapest first, and keeps the first that fits. One that
/// fits only without what takes memory to be quick competes with a few that are
/// estimated to be nearly as good: estimates know nothing of that.
class Asking {
public:
  Asking(ModuleOp module, const PartitionPlanOptions &options, Measure measure,
         Planned &planned, int mostAnswers, const Interrupted &interrupted,
         const Lanes *lanes)
      : module(module), options(options), measure(measure), planned(planned),
        mostAnswers(mostAnswers), interrupted(interrupted), lanes(lanes) {}

  LogicalResult run();

private:
  std::optional<Fitting> ask(const LayoutPlan &plan);
  /// `module` is at level 3 behind it.
  LogicalResult take(std::optional<Fitting> fitting);

  ModuleOp module;
  const PartitionPlanOptions &options;
  Measure measure;
  Planned &planned;
  int mostAnswers;
  const Interrupted &interrupted;
  const Lanes *lanes;
  /// What answers added to the bytes that the planner knows, at least.
  std::optional<int64_t> leastOverhead;
  std::set<std::vector<SmallVector<int64_t>>> asked;
};
} // namespace

std::optional<Fitting> Asking::ask(const LayoutPlan &plan) {
  OwningOpRef<ModuleOp> copy = module.clone();
  FailureOr<ModuleClasses> classes = failure();
  {
    // A plan that cannot be written is one of many: only the last is told of.
    ScopedDiagnosticHandler quiet(module.getContext(), [&](Diagnostic &found) {
      planned.reason = found.str();
    });
    classes = pose(*copy, options, lanes);
    if (failed(classes) || failed(write(*copy, *classes, plan)) ||
        failed(setStages(*copy, options.stages, classes->problem.places)))
      return std::nullopt;
  }
  ++planned.answers;
  llvm::Expected<target::Fit> fit = measure(*copy);
  if (!fit) {
    planned.reason = llvm::toString(fit.takeError());
    return std::nullopt;
  }
  int64_t overhead = fit->total() - fit->reserved - plan.bytes;
  leastOverhead = std::min(leastOverhead.value_or(overhead), overhead);
  if (!planned.asked || fit->total() < planned.fit.total())
    planned.fit = *fit;
  planned.asked = true;
  if (!fit->fits())
    return std::nullopt;
  return Fitting{std::move(copy), plan, std::move(*fit)};
}

LogicalResult Asking::take(std::optional<Fitting> fitting) {
  if (!fitting)
    return failure();
  FailureOr<ModuleClasses> classes = pose(module, options, lanes);
  if (failed(classes))
    return failure();
  const LayoutPlan &plan = fitting->plan;
  planned.fit = std::move(fitting->fit);
  planned.arithmetic = plan.computeCycles;
  planned.cycles = plan.cycles + getStageSendRecvCycles(
                                     *fitting->module, classes->problem.target);
  planned.layouts = describeLayouts(module, *classes, plan);
  planned.layers = countLayers(module);
  module.getBodyRegion().takeBody(fitting->module->getBodyRegion());
  describe(classes->problem, plan, module.getLoc());
  return success();
}

/// What makes two plans one.
static std::vector<SmallVector<int64_t>> getKey(const LayoutPlan &plan) {
  std::vector<SmallVector<int64_t>> key{plan.factors.x, plan.factors.y};
  for (ArrayRef<Axis> axes : plan.axes) {
    SmallVector<int64_t> &numbers = key.emplace_back();
    for (Axis axis : axes)
      llvm::append_values(numbers, int64_t(axis.direction),
                          int64_t(axis.number));
  }
  return key;
}

LogicalResult Asking::run() {
  // Plans to compare, and how far behind the first.
  constexpr int mostCompared = 4;
  constexpr double worthComparing = 1.1;
  FailureOr<ModuleClasses> classes = pose(module, options, lanes);
  if (failed(classes))
    return failure();
  Problem problem = std::move(classes->problem);
  problem.interrupted = interrupted;
  const int64_t memory = problem.bytesPerPe;
  std::optional<Fitting> best;
  int compared = 0;
  // Overheads differ from plan to plan: each round trusts the least of them
  // more than the one before, and searches where it leaves room.
  for (int64_t percent : {0, 75, 90, 100, 110, 125}) {
    problem.bytesPerPe = memory - leastOverhead.value_or(0) * percent / 100;
    if (problem.bytesPerPe < 1)
      break;
    int64_t looked = 0;
    std::vector<LayoutPlan> plans = search(problem, 64, &looked);
    if (plans.empty() && !planned.asked && planned.reason.empty())
      planned.reason = tellWhetherGaveUp(problem, looked);
    for (const LayoutPlan &plan : plans) {
      if (planned.answers >= mostAnswers || compared == mostCompared ||
          (best && plan.cycles > worthComparing * best->plan.cycles))
        return take(std::move(best));
      if (plan.bytes + leastOverhead.value_or(0) * percent / 100 > memory ||
          !asked.insert(getKey(plan)).second)
        continue;
      std::optional<Fitting> found = ask(plan);
      compared += found || best;
      if (found && (!best || found->fit.economies < best->fit.economies))
        best = std::move(found);
      if (best && best->fit.economies == 0)
        return take(std::move(best));
      // The first answer tells where to look.
      if (percent == 0 && leastOverhead && !best)
        break;
    }
    // Without an answer there is nothing to learn from.
    if (best || !leastOverhead)
      break;
  }
  return take(std::move(best));
}

LogicalResult
partition::planWithin(ModuleOp module, const PartitionPlanOptions &options,
                      Measure measure, Planned &planned, int mostAnswers,
                      const Interrupted &interrupted, const Lanes *lanes) {
  planned.width = options.width;
  planned.height = options.height;
  planned.stages = options.stages;
  unshareSources(module);
  return Asking(module, options, measure, planned, mostAnswers, interrupted,
                lanes)
      .run();
}

Estimates::Estimates(std::unique_ptr<Problem> problem, target::Target target)
    : problem(std::move(problem)), target(std::move(target)) {}
Estimates::Estimates(Estimates &&) = default;
Estimates::~Estimates() = default;

FailureOr<Estimates> Estimates::of(ModuleOp module,
                                   const PartitionPlanOptions &options,
                                   const Interrupted &interrupted) {
  OwningOpRef<ModuleOp> copy = module.clone();
  unshareSources(*copy);
  FailureOr<ModuleClasses> classes = pose(*copy, options);
  if (failed(classes))
    return failure();
  FailureOr<target::Target> target = target::getTarget(module);
  if (failed(target))
    return failure();
  classes->problem.interrupted = interrupted;
  return Estimates(std::make_unique<Problem>(std::move(classes->problem)),
                   std::move(*target));
}

std::vector<int64_t> Estimates::getLengths() const {
  std::set<int64_t> lengths;
  for (const DimClass &entry : problem->classes)
    if (!entry.whole)
      lengths.insert(entry.size);
  return {lengths.begin(), lengths.end()};
}

std::optional<Estimate> Estimates::get(int64_t width, int64_t height,
                                       int64_t stages) {
  problem->width = width;
  problem->height = height;
  problem->stages = stages;
  problem->stagesAlong =
      getOnlyWay(target, width, height, stages, problem->places);
  std::vector<LayoutPlan> plans = search(*problem, 1);
  if (plans.empty())
    return std::nullopt;
  return Estimate{plans.front().cycles, plans.front().computeCycles};
}

namespace {
struct PartitionPlan : partition::impl::PartitionPlanBase<PartitionPlan> {
  using PartitionPlanBase::PartitionPlanBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    PartitionPlanOptions options;
    options.width = width;
    options.height = height;
    options.mostBranches = mostBranches;
    options.stages = stages;
    options.fusedCollectives = fusedCollectives;
    options.middleRoots = middleRoots;
    unshareSources(module);
    FailureOr<ModuleClasses> classes = pose(module, options);
    if (failed(classes))
      return signalPassFailure();
    int64_t looked = 0;
    std::vector<LayoutPlan> plans = search(classes->problem, 1, &looked);
    if (plans.empty()) {
      refuse(module, classes->problem, looked);
      return signalPassFailure();
    }
    describe(classes->problem, plans.front(), module.getLoc());
    if (failed(write(module, *classes, plans.front())) ||
        failed(setStages(module, options.stages, classes->problem.places)))
      return signalPassFailure();
  }
};
} // namespace
