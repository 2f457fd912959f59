// From axes to lines. A collective over axes goes along x and along y. Axes of
// one direction that are neighbours are one factor of it and make one line;
// axes with others between them make several, one after the other. All lines of
// all entries are collected first, algorithms are chosen for them together, and
// only then is anything rewritten.

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
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"

namespace waferloom::routing {
#define GEN_PASS_DEF_CONVERTWAFERTOFABRIC
#include "waferloom/Routing/Passes.h.inc"
} // namespace waferloom::routing

using namespace mlir;
using namespace waferloom;
using collectives::Kind;

namespace {

/// What travels one way.
struct Messages {
  /// The values of a message have one element type: positions among the
  /// operands (results, of what travels back), by type.
  llvm::MapVector<Type, SmallVector<unsigned>> values;
  /// For each message its lines, in order: indices into the list of all.
  SmallVector<SmallVector<size_t>> lines;
};

/// One op of level 4 that words cross PEs for: what it becomes.
struct Crossing {
  Operation *op;
  wafer::RegionAttr region;
  wafer::StagesAttr stages;
  bool isHandOver = false; // what the stages' repeat carries
  /// Of a hand-over that turns: indices into the list of all lines, both ways
  /// of each. None: of one PE.
  SmallVector<size_t> leave, enter;
  SmallVector<wafer::Axis> axes;
  Kind kind = Kind::AllReduce;
  wafer::Combiner combiner = wafer::Combiner::Sum;
  int64_t root = -1; // coordinate along `axes`; -1: any, we choose
  Messages in, out;  ///< to the root, and from it
};

struct Conversion {
  bool middleRoots;
  std::vector<Crossing> crossings;
  SmallVector<routing::Collective> all;

  LogicalResult add(Operation *op);
  void addLines(Crossing &crossing);
  LogicalResult check(const collectives::Costs &costs) const;
  /// What a mapping says of the collectives.
  LogicalResult pin(ModuleOp module, const collectives::Costs &costs);
  void addMessages(Messages &messages, Kind kind, TypeRange types,
                   ArrayRef<routing::Collective> lines);
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
    crossing.root = static_cast<int64_t>(broadcast.getRoot());
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

namespace {
/// The words of a PE, which are one of `parts`, on their way across strips of
/// stages: so many in each of `lanes`.
struct Turn {
  int64_t parts, lanes;
  int64_t words, laneWords, filled; // filled: a part from whole pieces

  Turn(wafer::RegionAttr region, wafer::StagesAttr stages, int64_t words)
      : parts(region.getHeight()), lanes(region.getWidth()), words(words) {
    if (stages.getInColumns())
      std::swap(parts, lanes);
    const fabric::LaneShares shares(parts, lanes);
    laneWords = shares.laneWords(words);
    filled = shares.filled(words);
  }
};
} // namespace

static routing::Collective collectiveOf(Operation *op, bool alongX) {
  const auto along = alongX ? routing::Direction::X : routing::Direction::Y;
  return {op->getLoc(), along, {}, {}};
}

/// What a stage in front of a turn and the one behind it sum: over the parts of
/// each lane, whose last PE then speaks for it, and over the lanes. The lines
/// and roots are those of a layer's sums, so that they share colors.
static void addTurn(Crossing &crossing, bool middleRoots,
                    SmallVectorImpl<routing::Collective> &all) {
  const wafer::StagesAttr stages = crossing.stages;
  if (!wafer::hasTurns(stages))
    return;
  int64_t words = 0;
  for (Type type : crossing.op->getOperandTypes())
    words += cast<ShapedType>(type).getNumElements();
  const Turn turn(crossing.region, stages, words);
  const bool inColumns = stages.getInColumns();
  // Each strip ends in a turn.
  const int64_t strips = inColumns ? stages.getColumns() : stages.getRows();
  auto add = [&](SmallVectorImpl<size_t> &ways, bool x, int64_t message) {
    routing::Collective c = collectiveOf(crossing.op, x);
    c.line.length = static_cast<unsigned>(x ? crossing.region.getWidth()
                                            : crossing.region.getHeight());
    if (c.line.length == 1)
      return;
    c.line.segments =
        static_cast<unsigned>(x ? stages.getColumns() : stages.getRows());
    c.request.words = static_cast<uint64_t>(message);
    c.request.root = middleRoots ? c.line.length / 2 : 0;
    c.freeRoot = true;
    c.times = strips;
    for (Kind kind : {Kind::Reduce, Kind::Broadcast}) {
      c.request.kind = kind;
      ways.push_back(all.size());
      all.push_back(c);
    }
  };
  add(crossing.leave, inColumns, turn.laneWords);
  add(crossing.enter, !inColumns, turn.filled);
}

/// A message for each element type of `types`, which takes `lines`.
void Conversion::addMessages(Messages &messages, Kind kind, TypeRange types,
                             ArrayRef<routing::Collective> lines) {
  for (auto [i, type] : llvm::enumerate(types))
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
      lines.push_back(c);
    }
  }
  if (crossing.kind != Kind::Broadcast)
    addMessages(crossing.in, Kind::Reduce, reducedTypes(crossing.op), lines);
  // What went inward along x, then y, goes outward the other way round.
  std::reverse(lines.begin(), lines.end());
  for (routing::Collective &line : lines)
    line.freeRoot = false;
  if (crossing.kind != Kind::Reduce)
    addMessages(crossing.out, Kind::Broadcast, crossing.op->getResultTypes(),
                lines);
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

LogicalResult Conversion::pin(ModuleOp module,
                              const collectives::Costs &costs) {
  FailureOr<routing::Pins> pins = routing::Pins::of(module);
  if (failed(pins))
    return failure();
  for (const Crossing &crossing : crossings) {
    // In the order of level 5. What travels back leaves where it arrived.
    SmallVector<size_t> mine;
    for (ArrayRef<size_t> turn : {crossing.leave, crossing.enter})
      llvm::append_range(mine, turn);
    for (const Messages *way : {&crossing.in, &crossing.out})
      for (const SmallVector<size_t> &lines : way->lines)
        llvm::append_range(mine, lines);
    auto function = crossing.op->getParentOfType<func::FuncOp>();
    for (auto [i, index] : llvm::enumerate(mine)) {
      routing::Collective &c = all[index];
      for (size_t before : ArrayRef(mine).take_front(i))
        if (crossing.root < 0 && all[before].isOn(c))
          std::tie(c.request.root, c.freeRoot) =
              std::pair(all[before].request.root, false);
      if (failed(pins->choose(function.getName(), c, costs)))
        return failure();
    }
  }
  return success();
}

/// The word of the dialect for it, which has `_` where users type `-`.
static fabric::Algorithm algorithmOf(collectives::Algorithm algorithm) {
  std::string name = collectives::nameOf(algorithm).str();
  llvm::replace(name, '-', '_');
  // `auto` never gets here, and what routing does not choose has no word.
  return fabric::symbolizeAlgorithm(name).value();
}

static SmallVector<Value> createCollective(OpBuilder &builder,
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

/// Fills `leave` and `enter` by the collectives of a turn.
static void createTurn(fabric::StageSendRecvOp op, const Crossing &crossing,
                       ArrayRef<routing::Collective> all) {
  const Turn turn(crossing.region, crossing.stages, op.getWords());
  Type element = getElementTypeOrSelf(op.getValues().front().getType());
  auto words = [&](int64_t count) {
    return RankedTensorType::get({count}, element);
  };
  const bool inColumns = crossing.stages.getInColumns();
  const auto parts = inColumns ? fabric::Direction::X : fabric::Direction::Y;
  const auto lanes = inColumns ? fabric::Direction::Y : fabric::Direction::X;
  auto builder = OpBuilder::atBlockBegin(&op.getLeave().emplaceBlock());
  Location loc = op.getLoc();
  Value value = op.getLeave().addArgument(words(turn.words), loc);
  value = fabric::ToLanesOp::create(builder, loc, words(turn.laneWords), value,
                                    parts, turn.parts, lanes, turn.lanes);
  for (size_t way : crossing.leave)
    value = createCollective(builder, all[way], {value}).front();
  fabric::YieldOp::create(builder, loc, value);
  builder.setInsertionPointToStart(&op.getEnter().emplaceBlock());
  value = op.getEnter().addArgument(words(turn.laneWords), loc);
  value = fabric::FromLanesOp::create(builder, loc, words(turn.filled), value,
                                      lanes, turn.lanes, parts, turn.parts);
  for (size_t way : crossing.enter)
    value = createCollective(builder, all[way], {value}).front();
  if (turn.filled != turn.words)
    value = tensor::ExtractSliceOp::create(
        builder, loc, value, ArrayRef<OpFoldResult>{builder.getIndexAttr(0)},
        ArrayRef<OpFoldResult>{builder.getIndexAttr(turn.words)},
        ArrayRef<OpFoldResult>{builder.getIndexAttr(1)});
  fabric::YieldOp::create(builder, loc, value);
}

/// What stands behind the repeat hands its results over.
static void addStageSendRecv(const Crossing &crossing,
                             ArrayRef<routing::Collective> all) {
  OpBuilder builder(crossing.op->getContext());
  builder.setInsertionPointAfter(crossing.op);
  ResultRange results = crossing.op->getResults();
  auto op = fabric::StageSendRecvOp::create(builder, crossing.op->getLoc(),
                                            results.getTypes(), results,
                                            IntegerAttr());
  if (wafer::hasTurns(crossing.stages))
    createTurn(op, crossing, all);
  for (auto [from, to] : llvm::zip_equal(results, op.getResults()))
    from.replaceAllUsesExcept(to, op);
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
    now = llvm::to_vector(yield.getValues());
    yield.erase();
    both->getBlock()->getOperations().splice(both->getIterator(),
                                             body->getOperations());
  }
  now = send(builder, crossing.out, std::move(now));
  crossing.op->replaceAllUsesWith(now);
  crossing.op->erase();
}

namespace {
struct ConvertWaferToFabric
    : routing::impl::ConvertWaferToFabricBase<ConvertWaferToFabric> {
  using ConvertWaferToFabricBase::ConvertWaferToFabricBase;

  void runOnOperation() override {
    Conversion conversion{middleRoots, {}, {}};
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
        failed(conversion.pin(getOperation(), costs)) ||
        failed(routing::choose(conversion.all, costs)))
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
