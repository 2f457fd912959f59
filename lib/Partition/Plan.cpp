// From level 2 to level 3: read the classes of dimensions off the module,
// search one split per class, and write it.

#include "Classes.h"
#include "Pins.h"
#include "Search.h"
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
    total += bytes;
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

/// The direction of the strips of all grids that have room for `stages`
/// regions.
static std::optional<Axis::Direction> getOnlyWay(const target::Target &target,
                                                 int64_t width, int64_t height,
                                                 int64_t stages,
                                                 const StagePlaces &places) {
  SmallVector<StageGrid> grids = listGrids(width, height, stages, target);
  keepPinned(grids, width, height, places);
  if (stages == 1 || grids.empty() || llvm::any_of(grids, [&](StageGrid grid) {
        return grid.inColumns != grids.front().inColumns;
      }))
    return std::nullopt;
  return grids.front().inColumns ? Axis::Y : Axis::X;
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

/// Sets stages beside each other, in as few strips as there is room for: in
/// rows if what they carry is whole along x, else in columns.
static LogicalResult setStages(ModuleOp module, int64_t count,
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

/// What the values carried from stage to stage cost per step of the shortest
/// entry.
static double getStageSendRecvCycles(ModuleOp module,
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

namespace {
/// Asks about plans, cheapest first, and keeps the first that fits.
class Asking {
public:
  Asking(ModuleOp module, const PartitionPlanOptions &options, Measure measure,
         Planned &planned, int mostAnswers, const Interrupted &interrupted,
         const Lanes *lanes)
      : module(module), options(options), measure(measure), planned(planned),
        mostAnswers(mostAnswers), interrupted(interrupted), lanes(lanes) {}

  LogicalResult run();

private:
  /// True: `module` is at level 3 now.
  bool ask(const LayoutPlan &plan);

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

bool Asking::ask(const LayoutPlan &plan) {
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
      return false;
  }
  ++planned.answers;
  llvm::Expected<target::Fit> fit = measure(*copy);
  if (!fit) {
    planned.reason = llvm::toString(fit.takeError());
    return false;
  }
  int64_t overhead = fit->total() - fit->reserved - plan.bytes;
  leastOverhead = std::min(leastOverhead.value_or(overhead), overhead);
  bool closer = !planned.asked || fit->total() < planned.fit.total();
  bool fits = fit->fits();
  if (closer || fits)
    planned.fit = std::move(*fit);
  planned.asked = true;
  if (!fits)
    return false;
  planned.arithmetic = plan.computeCycles;
  planned.cycles =
      plan.cycles + getStageSendRecvCycles(*copy, classes->problem.target);
  if (FailureOr<ModuleClasses> read = classify(module); succeeded(read))
    planned.layouts = describeLayouts(module, *read, plan);
  planned.layers = countLayers(module);
  module.getBodyRegion().takeBody(copy->getBodyRegion());
  describe(classes->problem, plan, module.getLoc());
  return true;
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
  FailureOr<ModuleClasses> classes = pose(module, options, lanes);
  if (failed(classes))
    return failure();
  Problem problem = std::move(classes->problem);
  problem.interrupted = interrupted;
  const int64_t memory = problem.bytesPerPe;
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
      if (planned.answers >= mostAnswers)
        return failure();
      if (plan.bytes + leastOverhead.value_or(0) * percent / 100 > memory ||
          !asked.insert(getKey(plan)).second)
        continue;
      if (ask(plan))
        return success();
      // The first answer tells where to look.
      if (percent == 0 && leastOverhead)
        break;
    }
    if (!leastOverhead) // nothing to learn from: no plan, or none possible
      break;
  }
  return failure();
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
