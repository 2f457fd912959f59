// The hand-over of stages in strips that turn around: which lines a stage in
// front of a turn and the one behind it sum along, and the op that becomes of
// the repeat's results.

#include "Crossings.h"
#include "waferloom/Dialect/Fabric/Fabric.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::routing;
using collectives::Kind;

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

/// What a stage in front of a turn and the one behind it sum: over the parts of
/// each lane, whose last PE then speaks for it, and over the lanes. The lines
/// and roots are those of a layer's sums, so that they share colors.
void routing::addTurn(Crossing &crossing, bool middleRoots,
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

void routing::addStageSendRecv(const Crossing &crossing,
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
