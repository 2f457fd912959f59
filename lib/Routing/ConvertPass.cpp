// From axes to lines. A collective over axes goes along x and along y. Axes of
// one direction that are neighbours are one factor of it and make one line;
// axes with others between them make several, one after the other. All lines of
// all entries are collected first, algorithms are chosen for them together, and
// only then is anything rewritten.

#include "Crossings.h"
#include "Mirrors.h"
#include "Pins.h"
#include "StageStreams.h"
#include "waferloom/Dialect/Fabric/Fabric.h"
#include "waferloom/Dialect/Wafer/Stages.h"
#include "waferloom/Dialect/Wafer/Wafer.h"
#include "waferloom/Routing/Passes.h"
#include "waferloom/Target/ImageTarget.h"
#include "waferloom/Target/TargetAttr.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SetVector.h"

namespace waferloom::routing {
#define GEN_PASS_DEF_CONVERTWAFERTOFABRIC
#include "waferloom/Routing/Passes.h.inc"
} // namespace waferloom::routing

using namespace mlir;
using namespace waferloom;
using namespace waferloom::routing;
using collectives::Kind;

namespace {

struct Conversion {
  bool middleRoots;
  std::vector<Crossing> crossings;
  SmallVector<routing::Collective> all;
  llvm::DenseSet<Operation *> aside = {}; // sums that nobody waits for

  LogicalResult add(Operation *op);
  void findAside(wafer::BroadcastOp op);
  void addLines(Crossing &crossing);
  LogicalResult check(const collectives::Costs &costs) const;
  /// What a mapping says of the collectives.
  LogicalResult pin(ModuleOp module, const collectives::Costs &costs);
  void settleRoots();
  void addMessages(Messages &messages, Kind kind, TypeRange types,
                   ArrayRef<routing::Collective> lines,
                   llvm::function_ref<bool(unsigned)> isOne = {});
  void addNeighbor(Crossing &crossing, wafer::ToNeighborOp op,
                   routing::Collective line);
  std::optional<unsigned> rootOf(const Crossing &crossing, size_t line,
                                 ArrayRef<size_t> before) const;
  SmallVector<Value> send(OpBuilder &builder, const Messages &messages,
                          SmallVector<Value> values) const;
  void rewrite(Crossing &crossing);
};

} // namespace

/// The types of what is reduced: a gather sums what it results in.
static TypeRange reducedTypes(Operation *op) {
  return isa<wafer::GatherOp>(op) ? TypeRange(op->getResultTypes())
                                  : TypeRange(op->getOperandTypes());
}

static uint64_t tripCountAround(Operation *op) {
  uint64_t tripCount = 1;
  for (auto repeat = op->getParentOfType<wafer::RepeatOp>(); repeat;
       repeat = repeat->getParentOfType<wafer::RepeatOp>())
    tripCount *= repeat.getTripCount();
  return tripCount;
}

/// What any PE of a line may give the others is there before it is needed, and
/// so are the sums that it is made of.
void Conversion::findAside(wafer::BroadcastOp op) {
  if (op.getRoot())
    return;
  llvm::SetVector<Operation *> origins;
  origins.insert(op);
  for (size_t i = 0; i < origins.size(); ++i)
    if (isa<wafer::AllReduceOp>(origins[i]))
      aside.insert(origins[i]);
    else
      for (Value operand : origins[i]->getOperands())
        if (Operation *def = operand.getDefiningOp())
          origins.insert(def);
}

LogicalResult Conversion::add(Operation *op) {
  Crossing crossing;
  crossing.op = op;
  if (auto allReduce = dyn_cast<wafer::AllReduceOp>(op)) {
    crossing.axes = llvm::to_vector(allReduce.getAxes().getAxes());
    crossing.kind = Kind::AllReduce;
    crossing.combiner = allReduce.getCombiner();
  } else if (auto both = dyn_cast<wafer::ReduceApplyBroadcastOp>(op)) {
    crossing.axes = llvm::to_vector(both.getAxes().getAxes());
    crossing.kind = Kind::AllReduce;
    crossing.combiner = both.getCombiner();
  } else if (auto reduce = dyn_cast<wafer::ReduceOp>(op)) {
    crossing.axes = llvm::to_vector(reduce.getAxes().getAxes());
    crossing.kind = Kind::Reduce;
    crossing.combiner = reduce.getCombiner();
    crossing.root = static_cast<int64_t>(reduce.getRoot());
  } else if (auto broadcast = dyn_cast<wafer::BroadcastOp>(op)) {
    crossing.axes = llvm::to_vector(broadcast.getAxes().getAxes());
    crossing.kind = Kind::Broadcast;
    if (std::optional<uint64_t> root = broadcast.getRoot())
      crossing.root = static_cast<int64_t>(*root);
  } else if (auto gather = dyn_cast<wafer::GatherOp>(op)) {
    crossing.axes = llvm::to_vector(gather.getAxes().getAxes());
    crossing.kind = Kind::AllReduce;
  } else if (auto repeat = dyn_cast<wafer::RepeatOp>(op)) {
    auto entry = op->getParentOfType<func::FuncOp>();
    if (repeat != wafer::getStagedRepeat(entry))
      return success();
    crossing.isHandOver = true;
  } else {
    return success();
  }
  crossing.region = wafer::getRegion(op);
  if (!crossing.region)
    return op->emitOpError("is in no program with a region");
  crossing.stages = wafer::getStages(op);
  const bool reduces = crossing.kind != Kind::Broadcast;
  for (Type type : reduces ? reducedTypes(op) : TypeRange(op->getResultTypes()))
    if (Type element = getElementTypeOrSelf(type);
        element.getIntOrFloatBitWidth() > 32 || element.isBF16() ||
        (reduces && element.isF16()))
      return op->emitOpError()
             << (reduces ? "combines " : "broadcasts ") << element
             << " values; words of the fabric carry f32 or i32"
             << (reduces ? " when they are combined" : ", or two f16");
  addLines(crossing);
  crossings.push_back(std::move(crossing));
  return success();
}

/// The coordinate on `run` that `root` on all `axes` (major to minor) means.
static unsigned rootOn(ArrayRef<wafer::Axis> run, ArrayRef<wafer::Axis> axes,
                       int64_t root, wafer::RegionAttr region) {
  int64_t on = 0;
  for (wafer::Axis axis : run) {
    auto at = llvm::find(axes, axis);
    int64_t minor = region.getSize(ArrayRef(std::next(at), axes.end()));
    on = on * region.getSize(axis) + root / minor % region.getSize(axis);
  }
  return static_cast<unsigned>(on);
}

routing::Collective routing::collectiveOf(Operation *op, bool alongX) {
  const auto along = alongX ? routing::Direction::X : routing::Direction::Y;
  return {op->getLoc(), along, {}, {}};
}

/// A message for each element type of `types`, of those that are meant, which
/// takes `lines`.
void Conversion::addMessages(Messages &messages, Kind kind, TypeRange types,
                             ArrayRef<routing::Collective> lines,
                             llvm::function_ref<bool(unsigned)> isOne) {
  for (auto [i, type] : llvm::enumerate(types))
    if (!isOne || isOne(i))
      messages.values[getElementTypeOrSelf(type)].push_back(i);
  for (auto &[element, values] : messages.values) {
    SmallVector<size_t> &indices = messages.lines.emplace_back();
    int64_t elements = 0;
    for (unsigned i : values)
      elements += cast<ShapedType>(types[i]).getNumElements();
    if (elements == 0)
      continue;
    for (routing::Collective line : lines) {
      line.request.kind = kind;
      line.request.words = routing::wordsOf(element, elements);
      indices.push_back(all.size());
      all.push_back(line);
    }
  }
}

void Conversion::addLines(Crossing &crossing) {
  if (crossing.isHandOver)
    return addTurn(crossing, middleRoots, all);
  SmallVector<routing::Collective> lines;
  auto [width, height] = wafer::getExtents(crossing.op);
  for (auto direction : {wafer::Axis::X, wafer::Axis::Y}) {
    SmallVector<wafer::Axis> mine =
        llvm::filter_to_vector(crossing.region.getAxes(), [&](auto axis) {
          return axis.direction == direction;
        });
    int64_t extent = direction == wafer::Axis::X ? width : height;
    for (size_t i = 0; i < mine.size(); ++i) {
      SmallVector<wafer::Axis> run;
      for (; i < mine.size() && llvm::is_contained(crossing.axes, mine[i]); ++i)
        run.push_back(mine[i]);
      int64_t length = crossing.region.getSize(run);
      if (length == 1)
        continue;
      int64_t stride = crossing.region.getStride(run.back());
      routing::Collective c =
          collectiveOf(crossing.op, direction == wafer::Axis::X);
      c.line.length = static_cast<unsigned>(length);
      c.line.stride = static_cast<unsigned>(stride);
      c.line.segments = static_cast<unsigned>(extent / (length * stride));
      c.request.combiner = mirrored<collectives::Combiner>(crossing.combiner);
      c.request.root =
          crossing.root < 0
              ? (middleRoots ? c.line.length / 2 : 0)
              : rootOn(run, crossing.axes, crossing.root, crossing.region);
      c.freeRoot = crossing.root < 0;
      c.times = tripCountAround(crossing.op);
      c.isAside = aside.contains(crossing.op);
      lines.push_back(c);
    }
  }
  if (crossing.kind != Kind::Broadcast)
    addMessages(crossing.in, Kind::Reduce, reducedTypes(crossing.op), lines);
  // What went inward along x, then y, goes outward the other way round.
  std::reverse(lines.begin(), lines.end());
  for (routing::Collective &line : lines)
    line.freeRoot = false;
  if (crossing.kind == Kind::Reduce)
    return;
  auto both = dyn_cast<wafer::ReduceApplyBroadcastOp>(crossing.op);
  addMessages(crossing.out, Kind::Broadcast, crossing.op->getResultTypes(),
              lines,
              [&](unsigned i) { return !both || !both.isOfNeighbor(i); });
  if (both)
    for (auto op : both.getBodyBlock()->getOps<wafer::ToNeighborOp>())
      addNeighbor(crossing, op, lines.front());
}

/// The line in pairs, and the line from the other PE of the root's pair.
void Conversion::addNeighbor(Crossing &crossing, wafer::ToNeighborOp op,
                             routing::Collective line) {
  auto both = cast<wafer::ReduceApplyBroadcastOp>(crossing.op);
  const unsigned root = line.request.root;
  line.request.root = root ^ 1;
  addMessages(crossing.fromNeighbor, Kind::Broadcast, both.getResultTypes(),
              line, [&](unsigned i) { return both.isOfNeighbor(i); });
  line.line.segments *= line.line.length / 2;
  line.line.length = 2;
  line.request.root = root % 2;
  addMessages(crossing.toNeighbor, Kind::Broadcast, op.getResultTypes(), line);
}

/// A line has colors for both ways of what travels both.
LogicalResult Conversion::check(const collectives::Costs &costs) const {
  for (const Crossing &crossing : crossings)
    for (ArrayRef<size_t> lines : crossing.in.lines)
      for (size_t line : lines) {
        collectives::Request request = all[line].request;
        request.kind = crossing.kind;
        if (llvm::Error error =
                collectives::check(all[line].line, request, costs))
          return emitError(all[line].loc) << llvm::toString(std::move(error));
      }
  return success();
}

/// Where a line of a crossing has to begin or end because of those `before` it;
/// none: anywhere.
std::optional<unsigned> Conversion::rootOf(const Crossing &crossing,
                                           size_t line,
                                           ArrayRef<size_t> before) const {
  if (crossing.root >= 0)
    return std::nullopt;
  if (crossing.toNeighbor.takes(line))
    return all[before.front()].request.root % 2;
  if (crossing.fromNeighbor.takes(line))
    return all[before.front()].request.root ^ 1;
  for (size_t other : llvm::reverse(before))
    if (all[other].isOn(all[line]))
      return all[other].request.root; // what travels back leaves where it came
  return std::nullopt;
}

LogicalResult Conversion::pin(ModuleOp module,
                              const collectives::Costs &costs) {
  FailureOr<routing::Pins> pins = routing::Pins::of(module);
  if (failed(pins))
    return failure();
  for (const Crossing &crossing : crossings) {
    // In the order of level 5.
    SmallVector<size_t> mine;
    for (ArrayRef<size_t> turn : {crossing.leave, crossing.enter})
      llvm::append_range(mine, turn);
    for (const Messages *way : {&crossing.in, &crossing.toNeighbor,
                                &crossing.out, &crossing.fromNeighbor})
      for (const SmallVector<size_t> &lines : way->lines)
        llvm::append_range(mine, lines);
    auto function = crossing.op->getParentOfType<func::FuncOp>();
    for (auto [i, index] : llvm::enumerate(mine)) {
      routing::Collective &c = all[index];
      if (auto root = rootOf(crossing, index, ArrayRef(mine).take_front(i)))
        std::tie(c.request.root, c.freeRoot) = std::pair(*root, false);
      if (failed(pins->choose(function.getName(), c, costs)))
        return failure();
    }
  }
  return success();
}

/// What any PE may give begins where a sum along the same line ends: there its
/// values are known first, and the routes are those of the sum's way back.
void Conversion::settleRoots() {
  for (const Crossing &crossing : crossings) {
    if (crossing.root >= 0 || crossing.kind != Kind::Broadcast)
      continue;
    for (ArrayRef<size_t> lines : crossing.out.lines)
      for (size_t line : lines) {
        auto sum = llvm::find_if(all, [&](const routing::Collective &other) {
          return other.request.kind == Kind::Reduce && other.isOn(all[line]);
        });
        if (sum != all.end())
          all[line].request.root = sum->request.root;
      }
  }
}

/// The word of the dialect for it, which has `_` where users type `-`.
static fabric::Algorithm algorithmOf(collectives::Algorithm algorithm) {
  std::string name = collectives::nameOf(algorithm).str();
  llvm::replace(name, '-', '_');
  // `auto` never gets here, and what routing does not choose has no word.
  return fabric::symbolizeAlgorithm(name).value();
}

SmallVector<Value> routing::createCollective(OpBuilder &builder,
                                             const routing::Collective &c,
                                             SmallVector<Value> values) {
  MLIRContext *context = builder.getContext();
  auto line = fabric::LineAttr::get(
      context,
      c.direction == routing::Direction::X ? fabric::Direction::X
                                           : fabric::Direction::Y,
      c.line.length, c.line.stride, c.line.segments);
  auto combiner = fabric::CombinerAttr::get(
      context, mirrored<fabric::Combiner>(c.request.combiner));
  auto algorithm =
      fabric::AlgorithmAttr::get(context, algorithmOf(c.request.algorithm));
  IntegerAttr root = builder.getI64IntegerAttr(c.request.root), group, levels;
  if (collectives::hasGroups(c.request.algorithm))
    group = builder.getI64IntegerAttr(c.request.group);
  if (collectives::levelsOf(c.request.algorithm))
    levels = builder.getI64IntegerAttr(c.request.levels);
  SmallVector<Type> types =
      llvm::map_to_vector(values, [](Value value) { return value.getType(); });
  if (c.request.kind == Kind::Reduce)
    return fabric::ReduceOp::create(builder, c.loc, types, values, combiner,
                                    line, algorithm, group, levels, root,
                                    IntegerAttr())
        ->getResults();
  return fabric::BroadcastOp::create(builder, c.loc, types, values, line, root,
                                     IntegerAttr())
      ->getResults();
}

/// This PE's share in zeros.
static Value createPut(OpBuilder &builder, wafer::GatherOp op,
                       wafer::RegionAttr region) {
  SmallVector<Attribute> axes;
  for (wafer::Axis axis : op.getAxes().getAxes())
    if (region.getSize(axis) > 1)
      axes.push_back(fabric::AxisAttr::get(
          builder.getContext(), mirrored<fabric::Direction>(axis.direction),
          region.getSize(axis), region.getStride(axis)));
  if (axes.empty())
    return op.getValue();
  return fabric::PutOp::create(builder, op.getLoc(), op.getResult().getType(),
                               op.getValue(),
                               builder.getI64IntegerAttr(op.getDim()),
                               builder.getArrayAttr(axes), op.getCyclicAttr());
}

/// `values` behind all lines of `messages`.
SmallVector<Value> Conversion::send(OpBuilder &builder,
                                    const Messages &messages,
                                    SmallVector<Value> values) const {
  for (auto [message, lines] :
       llvm::zip_equal(messages.values, messages.lines)) {
    SmallVector<Value> now = llvm::map_to_vector(
        message.second, [&](unsigned i) { return values[i]; });
    for (size_t line : lines)
      now = createCollective(builder, all[line], now);
    for (auto [i, value] : llvm::zip_equal(message.second, now))
      values[i] = value;
  }
  return values;
}

void Conversion::rewrite(Crossing &crossing) {
  if (crossing.isHandOver)
    return addStageSendRecv(crossing, all);
  OpBuilder builder(crossing.op);
  SmallVector<Value> now(crossing.op->getOperands());
  if (auto gather = dyn_cast<wafer::GatherOp>(crossing.op))
    now = {createPut(builder, gather, crossing.region)};
  now = send(builder, crossing.in, std::move(now));
  // Every PE computes what the body says; what counts is the root's.
  if (auto both = dyn_cast<wafer::ReduceApplyBroadcastOp>(crossing.op)) {
    Block *body = both.getBodyBlock();
    wafer::YieldOp yield = both.getYield();
    for (auto [sum, value] : llvm::zip_equal(body->getArguments(), now))
      sum.replaceAllUsesWith(value);
    for (auto op :
         llvm::make_early_inc_range(body->getOps<wafer::ToNeighborOp>())) {
      builder.setInsertionPoint(op);
      op.replaceAllUsesWith(
          send(builder, crossing.toNeighbor, llvm::to_vector(op.getValues())));
      op.erase();
    }
    builder.setInsertionPoint(both);
    now = llvm::to_vector(yield.getValues());
    yield.erase();
    both->getBlock()->getOperations().splice(both->getIterator(),
                                             body->getOperations());
  }
  now = send(builder, crossing.out, std::move(now));
  now = send(builder, crossing.fromNeighbor, std::move(now));
  crossing.op->replaceAllUsesWith(now);
  crossing.op->erase();
}

namespace {
struct ConvertWaferToFabric
    : routing::impl::ConvertWaferToFabricBase<ConvertWaferToFabric> {
  using ConvertWaferToFabricBase::ConvertWaferToFabricBase;

  void runOnOperation() override {
    Conversion conversion{middleRoots, {}, {}};
    getOperation().walk(
        [&](wafer::BroadcastOp op) { conversion.findAside(op); });
    WalkResult walked = getOperation().walk([&](Operation *op) {
      return failed(conversion.add(op)) ? WalkResult::interrupt()
                                        : WalkResult::advance();
    });
    FailureOr<target::Target> target = target::getTarget(getOperation());
    if (failed(target))
      return signalPassFailure();
    collectives::Costs costs(*target::toImage(*target));
    routing::leaveStreamColors(getOperation(), costs);
    if (walked.wasInterrupted() || failed(conversion.check(costs)) ||
        failed(conversion.pin(getOperation(), costs)))
      return signalPassFailure();
    conversion.settleRoots();
    if (failed(routing::choose(conversion.all, costs)))
      return signalPassFailure();
    for (Crossing &crossing : conversion.crossings)
      conversion.rewrite(crossing);
    routing::convertStreams(getOperation());
  }
};
} // namespace

void routing::populateConversionPipeline(OpPassManager &pm, bool middleRoots) {
  ConvertWaferToFabricOptions options;
  options.middleRoots = middleRoots;
  pm.addPass(createConvertWaferToFabric(options));
}
