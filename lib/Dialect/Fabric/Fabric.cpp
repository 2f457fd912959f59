// What can be wrong with a place, a line or a collective before any plan is
// made. Whether colors meet on a router is for Routing, which has the plans.

#include "waferloom/Dialect/Fabric/Fabric.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::fabric;

#include "waferloom/Dialect/Fabric/FabricDialect.cpp.inc"

#include "waferloom/Dialect/Fabric/FabricEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "waferloom/Dialect/Fabric/FabricAttrs.cpp.inc"

#include "waferloom/Dialect/Fabric/FabricInterfaces.cpp.inc"

#define GET_OP_CLASSES
#include "waferloom/Dialect/Fabric/FabricOps.cpp.inc"

void FabricDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "waferloom/Dialect/Fabric/FabricAttrs.cpp.inc"
      >();
}

void FabricDialect::initialize() {
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "waferloom/Dialect/Fabric/FabricOps.cpp.inc"
      >();
}

LogicalResult FabricDialect::verifyOperationAttribute(Operation *op,
                                                      NamedAttribute named) {
  bool known = named.getName() == placeName ? isa<RectAttr>(named.getValue())
               : named.getName() == queuesName
                   ? isa<QueuesAttr>(named.getValue())
                   : false;
  if (!known)
    return op->emitError() << "attribute '" << named.getName().getValue()
                           << "' is neither a fabric.place, which is a "
                              "#fabric.rect, nor a fabric.queues, which is a "
                              "#fabric.queues";
  if (!isa<FunctionOpInterface>(op))
    return op->emitError() << "attribute '" << named.getName().getValue()
                           << "' belongs to a function";
  return success();
}

RectAttr fabric::getPlace(Operation *op) {
  auto function = isa<FunctionOpInterface>(op)
                      ? op
                      : op->getParentOfType<FunctionOpInterface>();
  return function ? function->getAttrOfType<RectAttr>(FabricDialect::placeName)
                  : RectAttr();
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

LogicalResult RectAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                               int64_t x, int64_t y, int64_t width,
                               int64_t height) {
  if (width < 1 || height < 1)
    return emitError() << "a rectangle has at least 1 by 1 PEs, not " << width
                       << " by " << height;
  if (x < 0 || y < 0)
    return emitError() << "a rectangle at (" << x << ", " << y
                       << ") begins outside the fabric, whose first PE is (0, "
                          "0)";
  return success();
}

LogicalResult LineAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                               Direction, int64_t length, int64_t stride,
                               int64_t segments) {
  if (length < 2)
    return emitError() << "a line has at least 2 PEs, not " << length;
  if (stride < 1 || segments < 1)
    return emitError() << "a line has a stride and segments of at least 1, not "
                       << stride << " and " << segments;
  constexpr int64_t longest = 1 << 20;
  if (length > longest || stride > longest || segments > longest ||
      length * stride > longest || length * stride * segments > longest)
    return emitError() << "a line of " << length << " x " << stride << " x "
                       << segments << " PEs is longer than " << longest
                       << ", longer than any fabric";
  return success();
}

LogicalResult AxisAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                               Direction, int64_t extent, int64_t stride) {
  if (extent < 1 || stride < 1)
    return emitError() << "an axis has an extent and a stride of at least 1, "
                          "not "
                       << extent << " and " << stride;
  return success();
}

// By hand, because the generated parser wants at least one number in a list.
Attribute QueuesAttr::parse(AsmParser &parser, Type) {
  SmallVector<int64_t> input, output;
  auto parseList = [&](StringRef name,
                       SmallVectorImpl<int64_t> &list) -> ParseResult {
    return failure(
        parser.parseKeyword(name) || parser.parseEqual() ||
        parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&] {
          return parser.parseInteger(list.emplace_back());
        }));
  };
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() || parseList("input", input) || parser.parseComma() ||
      parseList("output", output) || parser.parseGreater())
    return {};
  return parser.getChecked<QueuesAttr>(loc, parser.getContext(), input, output);
}

void QueuesAttr::print(AsmPrinter &printer) const {
  printer << "<input = [";
  llvm::interleaveComma(getInput(), printer);
  printer << "], output = [";
  llvm::interleaveComma(getOutput(), printer);
  printer << "]>";
}

LogicalResult QueuesAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 ArrayRef<int64_t> input,
                                 ArrayRef<int64_t> output) {
  if (input.size() != output.size())
    return emitError() << "gives input queues to " << input.size()
                       << " colors but output queues to " << output.size();
  for (ArrayRef<int64_t> queues : {input, output})
    for (int64_t queue : queues)
      if (queue < -1)
        return emitError() << "a queue is -1 for none, or a number from 0 on, "
                              "not "
                           << queue;
  return success();
}

//===----------------------------------------------------------------------===//
// Collectives
//===----------------------------------------------------------------------===//

LogicalResult fabric::verifyCollective(Operation *op) {
  auto collective = cast<CollectiveOpInterface>(op);
  OperandRange values = collective.getValues();
  if (values.empty() || values.size() != op->getNumResults())
    return op->emitOpError() << "turns " << values.size() << " values into "
                             << op->getNumResults();
  Type element = getElementTypeOrSelf(values.front().getType());
  for (auto [value, result] : llvm::zip_equal(values, op->getResults())) {
    if (value.getType() != result.getType())
      return op->emitOpError()
             << "turns " << value.getType() << " into " << result.getType();
    if (getElementTypeOrSelf(value.getType()) != element)
      return op->emitOpError()
             << "fuses " << getElementTypeOrSelf(value.getType()) << " with "
             << element << ", but one message has one element type";
  }
  LineAttr line = collective.getLine();
  if (collective.getRoot() >= static_cast<uint64_t>(line.getLength()))
    return op->emitOpError() << "has root " << collective.getRoot()
                             << " on a line of " << line.getLength() << " PEs";
  if (RectAttr place = getPlace(op)) {
    bool along = line.getDirection() == Direction::X;
    int64_t extent = along ? place.getWidth() : place.getHeight();
    if (line.getExtent() != extent)
      return op->emitOpError()
             << "has lines over " << line.getExtent()
             << (along ? " columns" : " rows") << " but runs on " << extent;
  }
  return success();
}

/// What an algorithm asks of the line.
template <typename ReduceLike>
static LogicalResult verifyAlgorithm(ReduceLike op) {
  Algorithm algorithm = op.getAlgorithm();
  StringRef name = stringifyAlgorithm(algorithm);
  int64_t stride = op.getLine().getStride();
  const bool grown = algorithm == Algorithm::Grown;
  const bool hasGroup = grown || algorithm == Algorithm::TwoPhase;
  if (hasGroup && !op.getGroup())
    return op.emitOpError() << "goes by " << name << " without a group size";
  if (!hasGroup && op.getGroup())
    return op.emitOpError() << "gives a group of " << *op.getGroup()
                            << " PEs to '" << name << "', which has no groups";
  if (grown && !op.getLevels())
    return op.emitOpError("goes by grown without a number of levels");
  if (!grown && op.getLevels())
    return op.emitOpError() << "gives " << *op.getLevels() << " levels to '"
                            << name << "', which has none";
  if (stride > 1 && algorithm != Algorithm::Chain &&
      algorithm != Algorithm::Star)
    return op.emitOpError() << "goes by '" << name << "' over PEs " << stride
                            << " apart, which needs neighbours; chain and star "
                               "do not";
  return success();
}

LogicalResult AllReduceOp::verify() { return verifyAlgorithm(*this); }
LogicalResult ReduceOp::verify() { return verifyAlgorithm(*this); }

bool BroadcastOp::goesAhead() {
  SetVector<Operation *> open;
  auto push = [&](Operation *op) {
    for (Value operand : op->getOperands())
      if (Operation *def = operand.getDefiningOp())
        open.insert(def);
  };
  push(*this);
  for (size_t i = 0; i < open.size(); ++i) {
    auto other = dyn_cast<CollectiveOpInterface>(open[i]);
    if (!other || other.getLine() != getLine())
      push(open[i]);
    else if (isa<ReduceOp>(open[i]))
      return false;
  }
  return true;
}

int64_t StageSendRecvOp::getWords() {
  int64_t words = 0;
  for (Value value : getValues())
    words += cast<ShapedType>(value.getType()).getNumElements();
  return words;
}

/// Words of the one value among `types`; 0: it is not one.
static int64_t wordsOf(TypeRange types) {
  return types.size() == 1 ? cast<ShapedType>(types[0]).getNumElements() : 0;
}

/// Words that `turn` takes, and those that it gives.
static std::pair<int64_t, int64_t> wordsOf(Region &turn) {
  return {wordsOf(turn.getArgumentTypes()),
          wordsOf(turn.front().getTerminator()->getOperandTypes())};
}

LogicalResult StageSendRecvOp::verify() {
  if (getValues().empty() || getValues().getTypes() != getResultTypes())
    return emitOpError("gives values of one type and takes those of another");
  Type element = getElementTypeOrSelf(getValues().front().getType());
  for (Value value : getValues())
    if (getElementTypeOrSelf(value.getType()) != element)
      return emitOpError() << "fuses " << getElementTypeOrSelf(value.getType())
                           << " with " << element
                           << ", but one message has one element type";
  if (getLeave().empty() != getEnter().empty())
    return emitOpError("has lanes that turn at one end only");
  if (!turns())
    return success();
  auto [left, sent] = wordsOf(getLeave());
  auto [taken, entered] = wordsOf(getEnter());
  if (left != getWords() || entered != getWords())
    return emitOpError() << "leaves with " << left << " words and enters with "
                         << entered << ", but a PE has " << getWords();
  if (sent < 1 || sent != taken)
    return emitOpError() << "sends lanes of " << sent << " words but takes "
                         << taken;
  return success();
}

LaneShares::LaneShares(int64_t parts, int64_t lanes)
    : lanesShare(lanes >= parts),
      each(lanesShare ? lanes / parts : llvm::divideCeil(parts, lanes)) {}

int64_t LaneShares::laneWords(int64_t words) const {
  return lanesShare ? llvm::divideCeil(words, each) : each * words;
}

int64_t LaneShares::filled(int64_t words) const {
  return lanesShare ? laneWords(words) * each : words;
}

/// Whether `part` and `lane` are the types of both ends.
static LogicalResult verifyLanes(Operation *op, Direction from, Direction to,
                                 int64_t parts, int64_t lanes, Type partType,
                                 Type laneType, bool filled) {
  auto part = cast<ShapedType>(partType), lane = cast<ShapedType>(laneType);
  if (from == to || parts < 1 || lanes < 1)
    return op->emitOpError() << "turns " << parts << " parts into " << lanes
                             << " lanes of the same direction, or none";
  if (part.getRank() != 1 || lane.getRank() != 1 ||
      part.getElementType() != lane.getElementType())
    return op->emitOpError("takes or gives more than words of one type");
  const LaneShares shares(parts, lanes);
  const int64_t words = shares.laneWords(part.getNumElements()),
                whole = shares.filled(part.getNumElements());
  if (words != lane.getNumElements() ||
      (filled && whole != part.getNumElements()))
    return op->emitOpError()
           << "has lanes of " << lane.getNumElements() << " words, but "
           << parts << " parts of " << part.getNumElements() << " on " << lanes
           << " lanes are " << words << " each";
  return success();
}

LogicalResult ToLanesOp::verify() {
  return verifyLanes(*this, getFrom(), getTo(), getFromCount(), getToCount(),
                     getValue().getType(), getResult().getType(), false);
}

LogicalResult FromLanesOp::verify() {
  return verifyLanes(*this, getFrom(), getTo(), getToCount(), getFromCount(),
                     getResult().getType(), getValue().getType(), true);
}

LogicalResult PutOp::verify() {
  auto share = cast<RankedTensorType>(getValue().getType());
  auto whole = cast<RankedTensorType>(getResult().getType());
  if (share.getRank() != whole.getRank() ||
      static_cast<int64_t>(getDim()) >= whole.getRank())
    return emitOpError() << "sets dimension " << getDim() << " of rank "
                         << share.getRank() << " into rank " << whole.getRank();
  if (share.getElementType() != whole.getElementType())
    return emitOpError() << "sets " << share.getElementType() << " into "
                         << whole.getElementType();
  int64_t shares = 1;
  for (auto axis : getAxes().getAsRange<AxisAttr>())
    if (llvm::MulOverflow(shares, axis.getExtent(), shares))
      return emitOpError("has more shares than a number can say");
  for (int64_t d = 0; d < whole.getRank(); ++d) {
    bool divided = d == static_cast<int64_t>(getDim());
    // Of a divided dimension the result has `shares` times as much.
    if (divided ? whole.getDimSize(d) % shares != 0 ||
                      whole.getDimSize(d) / shares != share.getDimSize(d)
                : whole.getDimSize(d) != share.getDimSize(d))
      return emitOpError() << "sets " << (divided ? shares : 1) << " shares of "
                           << share.getDimSize(d) << " into dimension " << d
                           << " of " << whole.getDimSize(d);
  }
  return success();
}
