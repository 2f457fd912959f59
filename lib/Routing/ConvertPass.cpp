// From axes to lines. A collective over axes goes along x and along y. Axes of
// one direction that are neighbours are one factor of it and make one line;
// axes with others between them make several, one after the other. All lines of
// all entries are collected first, algorithms are chosen for them together, and
// only then is anything rewritten.

#include "Mirrors.h"
#include "Pins.h"
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

/// One op of level 4 that words cross PEs for: what it becomes.
struct Crossing {
  Operation *op;
  wafer::RegionAttr region;
  wafer::StagesAttr stages;
  bool isHandOver = false; // what the stages' repeat carries
  /// Of a hand-over that turns: indices into the list of all lines. None: of
  /// one PE.
  std::optional<size_t> leave, enter;
  SmallVector<wafer::Axis> axes;
  Kind kind = Kind::AllReduce;
  wafer::Combiner combiner = wafer::Combiner::Sum;
  int64_t root = -1; // coordinate along `axes`; -1: any, we choose
  /// The operands of a message have one element type: positions among the
  /// operands, by type.
  llvm::MapVector<Type, SmallVector<unsigned>> messages;
  /// For each message its lines, in order: indices into the list of all.
  SmallVector<SmallVector<size_t>> lines;
};

struct Conversion {
  bool middleRoots;
  std::vector<Crossing> crossings;
  SmallVector<routing::Collective> all;

  LogicalResult add(Operation *op);
  LogicalResult addLines(Crossing &crossing);
  /// What a mapping says of the collectives.
  LogicalResult pin(ModuleOp module, const collectives::Costs &costs);
  void rewrite(Crossing &crossing);
};

} // namespace

/// The type of a crossing's operands: a gather sums what it results in.
static Type messageType(Operation *op, unsigned operand) {
  return isa<wafer::GatherOp>(op) ? op->getResult(0).getType()
                                  : op->getOperand(operand).getType();
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
  for (unsigned i = 0; i < op->getNumOperands(); ++i) {
    Type type = getElementTypeOrSelf(messageType(op, i));
    if (type.getIntOrFloatBitWidth() > 32 || type.isF16() || type.isBF16())
      return op->emitOpError()
             << "combines " << type << " values; words of the fabric carry f32 "
             << "or i32 for now";
    crossing.messages[type].push_back(i);
  }
  if (failed(addLines(crossing)))
    return failure();
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

/// What a stage in front of a turn and the one behind it sum: along the strips'
/// parts to the last PE of each lane, then over the lanes.
static void addTurn(Crossing &crossing,
                    SmallVectorImpl<routing::Collective> &all) {
  if (!wafer::hasTurns(crossing.stages))
    return;
  int64_t words = 0;
  for (Value value : crossing.op->getOperands())
    words += cast<ShapedType>(value.getType()).getNumElements();
  const Turn turn(crossing.region, crossing.stages, words);
  const bool inColumns = crossing.stages.getInColumns();
  auto add = [&](bool x, Kind kind, int64_t message) -> std::optional<size_t> {
    routing::Collective c{crossing.op->getLoc(),
                          x ? routing::Direction::X : routing::Direction::Y,
                          {},
                          {}};
    c.line.length = static_cast<unsigned>(x ? crossing.region.getWidth()
                                            : crossing.region.getHeight());
    if (c.line.length == 1)
      return std::nullopt;
    c.line.segments = static_cast<unsigned>(x ? crossing.stages.getColumns()
                                              : crossing.stages.getRows());
    c.request.kind = kind;
    c.request.words = static_cast<uint64_t>(message);
    c.request.root =
        kind == Kind::Reduce ? c.line.length - 1 : c.line.length / 2;
    all.push_back(c);
    return all.size() - 1;
  };
  crossing.leave = add(inColumns, Kind::Reduce, turn.laneWords);
  crossing.enter = add(!inColumns, Kind::AllReduce, turn.filled);
}

LogicalResult Conversion::addLines(Crossing &crossing) {
  if (crossing.isHandOver) {
    addTurn(crossing, all);
    return success();
  }
  SmallVector<routing::Collective> lines;
  auto [width, height] = wafer::getExtents(crossing.region, crossing.stages);
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
      routing::Collective c{crossing.op->getLoc(),
                            direction == wafer::Axis::X ? routing::Direction::X
                                                        : routing::Direction::Y,
                            {},
                            {}};
      c.line.length = static_cast<unsigned>(length);
      c.line.stride = static_cast<unsigned>(stride);
      c.line.segments = static_cast<unsigned>(extent / (length * stride));
      c.request.kind = crossing.kind;
      c.request.combiner = mirrored<collectives::Combiner>(crossing.combiner);
      c.request.root =
          crossing.root < 0
              ? (middleRoots ? c.line.length / 2 : 0)
              : rootOn(run, crossing.axes, crossing.root, crossing.region);
      c.times = tripCountAround(crossing.op);
      lines.push_back(c);
    }
  }
  // Inward along x then y; a broadcast goes outward, the other way round.
  if (crossing.kind == Kind::Broadcast)
    std::reverse(lines.begin(), lines.end());
  for (auto &[type, operands] : crossing.messages) {
    SmallVector<size_t> &indices = crossing.lines.emplace_back();
    uint64_t words = 0;
    for (unsigned i : operands)
      words += static_cast<uint64_t>(
          cast<ShapedType>(messageType(crossing.op, i)).getNumElements());
    if (words == 0)
      continue;
    for (routing::Collective line : lines) {
      line.request.words = words;
      indices.push_back(all.size());
      all.push_back(line);
    }
  }
  return success();
}

LogicalResult Conversion::pin(ModuleOp module,
                              const collectives::Costs &costs) {
  FailureOr<routing::Pins> pins = routing::Pins::of(module);
  if (failed(pins))
    return failure();
  for (const Crossing &crossing : crossings) {
    SmallVector<size_t> mine;
    for (std::optional<size_t> turn : {crossing.leave, crossing.enter})
      if (turn)
        mine.push_back(*turn);
    for (const SmallVector<size_t> &lines : crossing.lines)
      llvm::append_range(mine, lines);
    auto function = crossing.op->getParentOfType<func::FuncOp>();
    for (size_t index : mine)
      if (failed(pins->choose(function.getName(), all[index], costs)))
        return failure();
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
  switch (c.request.kind) {
  case Kind::AllReduce:
    return fabric::AllReduceOp::create(builder, c.loc, types, values, combiner,
                                       line, algorithm, group, levels, root,
                                       IntegerAttr())
        ->getResults();
  case Kind::Reduce:
    return fabric::ReduceOp::create(builder, c.loc, types, values, combiner,
                                    line, algorithm, group, levels, root,
                                    IntegerAttr())
        ->getResults();
  case Kind::Broadcast:
    break;
  }
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

/// Fills `leave` and `enter` by the two collectives of a turn.
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
  if (crossing.leave)
    value = createCollective(builder, all[*crossing.leave], {value}).front();
  fabric::YieldOp::create(builder, loc, value);
  builder.setInsertionPointToStart(&op.getEnter().emplaceBlock());
  value = op.getEnter().addArgument(words(turn.laneWords), loc);
  value = fabric::FromLanesOp::create(builder, loc, words(turn.filled), value,
                                      lanes, turn.lanes, parts, turn.parts);
  if (crossing.enter)
    value = createCollective(builder, all[*crossing.enter], {value}).front();
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

void Conversion::rewrite(Crossing &crossing) {
  if (crossing.isHandOver)
    return addStageSendRecv(crossing, all);
  OpBuilder builder(crossing.op);
  SmallVector<Value> now(crossing.op->getOperands());
  if (auto gather = dyn_cast<wafer::GatherOp>(crossing.op))
    now = {createPut(builder, gather, crossing.region)};
  for (auto [message, lines] :
       llvm::zip_equal(crossing.messages, crossing.lines)) {
    SmallVector<Value> values =
        llvm::map_to_vector(message.second, [&](unsigned i) { return now[i]; });
    for (size_t line : lines)
      values = createCollective(builder, all[line], values);
    for (auto [i, value] : llvm::zip_equal(message.second, values))
      now[i] = value;
  }
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
    for (const Crossing &crossing : conversion.crossings)
      if (crossing.isHandOver)
        costs.colors = target->colors -
                       std::min<unsigned>(target->colors,
                                          fabric::StageSendRecvOp::getColorsOf(
                                              crossing.stages.getCount()));
    if (walked.wasInterrupted() ||
        failed(conversion.pin(getOperation(), costs)) ||
        failed(routing::choose(conversion.all, costs)))
      return signalPassFailure();
    for (Crossing &crossing : conversion.crossings)
      conversion.rewrite(crossing);
  }
};
} // namespace

void routing::populateConversionPipeline(OpPassManager &pm, bool middleRoots) {
  ConvertWaferToFabricOptions options;
  options.middleRoots = middleRoots;
  pm.addPass(createConvertWaferToFabric(options));
}
