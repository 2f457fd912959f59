#include "waferloom/Dialect/Wafer/Stages.h"
#include "waferloom/Dialect/Wafer/Layers.h"

#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::wafer;

LogicalResult StagesAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 int64_t columns, int64_t rows,
                                 bool inColumns) {
  if (std::min(columns, rows) < 1)
    return emitError() << "there are no " << columns << " x " << rows
                       << " stages";
  if (!closes(columns, rows, inColumns))
    return emitError() << columns << " x " << rows << " stages end in another "
                       << (inColumns ? "row" : "column")
                       << " than they begin in; take an even number of "
                       << (inColumns ? "columns" : "rows") << ", or one";
  return success();
}

Attribute StagesAttr::parse(AsmParser &parser, Type) {
  int64_t columns = 0, rows = 0;
  llvm::SMLoc at = parser.getCurrentLocation();
  if (parser.parseLess() || parser.parseInteger(columns) ||
      parser.parseKeyword("x") || parser.parseInteger(rows))
    return {};
  bool inColumns = columns == 1 && rows > 1;
  if (succeeded(parser.parseOptionalKeyword("in"))) {
    StringRef strips;
    if (parser.parseKeyword(&strips))
      return {};
    inColumns = strips == "columns";
    if (!inColumns && strips != "rows") {
      parser.emitError(at, "stages stand in rows or in columns, not in ")
          << strips;
      return {};
    }
  }
  if (parser.parseGreater())
    return {};
  return parser.getChecked<StagesAttr>(at, parser.getContext(), columns, rows,
                                       inColumns);
}

void StagesAttr::print(AsmPrinter &printer) const {
  printer << "<" << getColumns() << " x " << getRows();
  if (getInColumns() != (getColumns() == 1 && getRows() > 1))
    printer << " in " << (getInColumns() ? "columns" : "rows");
  printer << ">";
}

Axis::Direction wafer::getDirection(StagesAttr stages) {
  return stages.getInColumns() ? Axis::Y : Axis::X;
}

std::pair<int64_t, int64_t> wafer::getStagePlace(StagesAttr stages,
                                                 int64_t index) {
  return getStagePlace(stages.getColumns(), stages.getRows(),
                       stages.getInColumns(), index);
}

std::pair<int64_t, int64_t> wafer::getStagePlace(int64_t columns, int64_t rows,
                                                 bool inColumns,
                                                 int64_t index) {
  const int64_t length = inColumns ? rows : columns;
  const int64_t strip = index / length;
  // Every other strip goes back.
  const int64_t along =
      strip % 2 ? length - 1 - index % length : index % length;
  return inColumns ? std::pair(strip, along) : std::pair(along, strip);
}

HandOver wafer::getHandOver(StagesAttr stages, int64_t index) {
  auto [fromX, fromY] = getStagePlace(stages, index);
  auto [toX, toY] = getStagePlace(stages, (index + 1) % stages.getCount());
  const int64_t x = toX - fromX, y = toY - fromY;
  const Axis::Direction direction = y ? Axis::Y : Axis::X;
  return {direction, x + y > 0, direction != getDirection(stages),
          std::max<int64_t>(std::abs(x + y) - 1, 0)};
}

bool wafer::hasTurns(StagesAttr stages) { return stages.getStrips() > 1; }

RepeatOp wafer::getStagedRepeat(func::FuncOp entry) {
  return getKind(entry) ? RepeatOp() : getSharedRepeat(entry);
}

RepeatOp wafer::getSharedRepeat(func::FuncOp entry) {
  return getStages(entry).getCount() == 1 || getKind(entry) == Kind::Ends
             ? RepeatOp()
             : getLayersRepeat(entry);
}

std::pair<int64_t, int64_t> wafer::getTrips(RepeatOp repeat, int64_t index) {
  const auto trips = static_cast<int64_t>(repeat.getTripCount());
  const int64_t sharing = getStages(repeat).getCount() - 1;
  const int64_t each = trips / sharing, more = trips % sharing;
  auto first = [&](int64_t stage) {
    return stage * each + std::min(stage, more);
  };
  return {first(index - 1), first(index)};
}

llvm::DenseMap<Operation *, StageSet> wafer::getStageSets(func::FuncOp entry) {
  llvm::DenseMap<Operation *, StageSet> stageSets;
  RepeatOp staged = getStagedRepeat(entry); // kinds run all that they have
  if (!staged) {
    for (Operation &op : entry.getBody().front())
      stageSets[&op] = StageSet::All;
    return stageSets;
  }
  // What the body reads, and what that reads.
  SetVector<Value> captured;
  getUsedValuesDefinedAbove(staged.getBody(), captured);
  llvm::SetVector<Operation *> needed;
  auto need = [&](Value value) {
    if (Operation *op = value.getDefiningOp())
      needed.insert(op);
  };
  llvm::for_each(captured, need);
  for (size_t i = 0; i < needed.size(); ++i) {
    llvm::for_each(needed[i]->getOperands(), need);
    SetVector<Value> inner;
    for (Region &region : needed[i]->getRegions())
      getUsedValuesDefinedAbove(region, inner);
    llvm::for_each(inner, need);
  }
  // Stage 0 runs all ops whose values do not go to the body alone.
  for (Operation &op : llvm::reverse(entry.getBody().front())) {
    if (&op == staged) {
      stageSets[&op] = StageSet::Others;
      continue;
    }
    bool first =
        op.getNumResults() == 0 || op.use_empty() ||
        llvm::any_of(op.getUses(), [&](OpOperand &use) {
          Operation *user = use.getOwner();
          if (user == staged)
            return true; // an initial value
          user = entry.getBody().front().findAncestorOpInBlock(*user);
          return user != staged && stageSets.lookup(user) != StageSet::Others;
        });
    stageSets[&op] = !needed.contains(&op) ? StageSet::First
                     : first               ? StageSet::All
                                           : StageSet::Others;
  }
  return stageSets;
}

StageSet wafer::lookup(const llvm::DenseMap<Operation *, StageSet> &stageSets,
                       Operation *op) {
  for (; op; op = op->getParentOp())
    if (auto it = stageSets.find(op); it != stageSets.end())
      return it->second;
  return StageSet::All;
}

/// Whether words of `value` differ along the direction of the stages.
static bool isSplitAlong(Value value, Axis::Direction direction) {
  LayoutAttr layout = getLayout(value.getType());
  return layout && llvm::any_of(layout.getSplitAxes(), [&](Axis axis) {
           return axis.direction == direction;
         });
}

/// Reports a value that cannot be given from stage to stage.
static LogicalResult checkCarried(Operation *op, ValueRange values,
                                  StagesAttr stages) {
  Axis::Direction direction = getDirection(stages);
  for (Value value : values) {
    if (isSplitAlong(value, direction))
      return op->emitOpError() << "carries a value that is split along "
                               << (direction == Axis::X ? "x" : "y")
                               << ", the direction of the strips of stages";
    auto type = dyn_cast<ShapedType>(value.getType());
    if (!type || type.getElementTypeBitWidth() == 16 ||
        type.getElementType() != getElementTypeOrSelf(values.front().getType()))
      return op->emitOpError() << "carries a value of type " << value.getType()
                               << ", which does not travel between stages";
  }
  return success();
}

/// Reports why no repeat can be shared by so many stages.
static LogicalResult checkTripCount(RepeatOp shared, StagesAttr stages) {
  const int64_t sharing = stages.getCount() - 1;
  const auto tripCount = static_cast<int64_t>(shared.getTripCount());
  if (tripCount < sharing)
    return shared.emitOpError() << "has " << tripCount << " trips, too few for "
                                << sharing << " stages to share";
  return success();
}

/// An entry of one kind: what it gives and takes, and whose trips are shared.
static LogicalResult verifyKind(func::FuncOp entry) {
  FailureOr<KindMessages> messages = getMessages(entry);
  if (failed(messages))
    return failure();
  StagesAttr stages = getStages(entry);
  if (getKind(entry) == Kind::Ends)
    return checkCarried(entry, messages->sent, stages);
  RepeatOp shared = getSharedRepeat(entry);
  if (!shared)
    return entry.emitOpError("of kind 'layers' has not one loop of layers");
  for (auto output : entry.getBody().getOps<OutputOp>())
    return output.emitOpError("is given by a layer's stage, which several are");
  return success(succeeded(checkTripCount(shared, stages)) &&
                 succeeded(checkCarried(entry, messages->sent, stages)));
}

LogicalResult wafer::verifyStages(func::FuncOp entry) {
  StagesAttr stages = getStages(entry);
  if (stages.getCount() == 1)
    return success();
  if (getKind(entry))
    return verifyKind(entry);
  RepeatOp staged = getStagedRepeat(entry);
  if (!staged) {
    SmallVector<RepeatOp> found = getLayersCandidates(entry);
    InFlightDiagnostic error = entry.emitOpError()
                               << "has " << stages.getCount() << " stages but ";
    if (found.empty())
      return error << "no repeat to share";
    error << found.size()
          << " repeats that may be that of the layers, of which stages share "
             "one; compile it with one stage";
    for (RepeatOp repeat : found)
      error.attachNote(repeat.getLoc())
          << "one of " << repeat.getTripCount() << " trips";
    return error;
  }
  if (staged.getInits().empty())
    return staged.emitOpError("carries nothing from stage to stage");
  if (failed(checkTripCount(staged, stages)) ||
      failed(checkCarried(staged, staged.getInits(), stages)))
    return failure();
  // What a stage leaves for the next step must be where that step reads it.
  auto stageSets = getStageSets(entry);
  for (auto output : entry.getBody().getOps<OutputOp>())
    if (output.getFeeds())
      for (auto input : entry.getBody().getOps<InputOp>())
        if (input.getName() == *output.getFeeds() &&
            lookup(stageSets, input) != StageSet::First)
          return output.emitOpError()
                 << "feeds '" << *output.getFeeds()
                 << "', which not only the first stage reads";
  return success();
}
