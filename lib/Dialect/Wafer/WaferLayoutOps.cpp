// The ops that change a layout, and rerolled layers. Their verifiers compare
// shapes and, where types carry layouts, the states of the axes before and
// after. What an op's operands may lie like is for the layout verifier
// (Partition/Verify.cpp), which sees whole functions.

#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"
#include "llvm/ADT/STLExtras.h"

#include <map>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::wafer;

LayoutAttr wafer::getLayout(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor ? dyn_cast_or_null<LayoutAttr>(tensor.getEncoding())
                : LayoutAttr();
}

RankedTensorType wafer::getLocalType(RankedTensorType global,
                                     RegionAttr region) {
  LayoutAttr layout = getLayout(global);
  return RankedTensorType::get(layout.getLocalShape(global.getShape(), region),
                               global.getElementType());
}

static LogicalResult verifyAxes(Operation *op, ArrayRef<Axis> axes) {
  if (axes.empty())
    return op->emitOpError("names no axis");
  RegionAttr region = getRegion(op);
  SmallVector<Axis> seen;
  for (Axis axis : axes) {
    if (region && !region.has(axis))
      return op->emitOpError()
             << "is along '" << axis.str() << "', which region " << region
             << " does not have";
    if (llvm::is_contained(seen, axis))
      return op->emitOpError() << "names axis '" << axis.str() << "' twice";
    seen.push_back(axis);
  }
  return success();
}

static LogicalResult verifySameShape(Operation *op, Type from, Type to) {
  auto source = cast<RankedTensorType>(from),
       target = cast<RankedTensorType>(to);
  if (source.getShape() != target.getShape() ||
      source.getElementType() != target.getElementType())
    return op->emitOpError() << "turns " << from << " into " << to
                             << ", another shape or element type";
  return success();
}

/// Layouts before and after, if both types carry one.
static std::optional<std::pair<LayoutAttr, LayoutAttr>> getLayouts(Type from,
                                                                   Type to) {
  LayoutAttr source = getLayout(from), target = getLayout(to);
  if (!source || !target)
    return std::nullopt;
  return std::pair(source, target);
}

/// No dimension but `except` is split, padded or known otherwise than before.
static LogicalResult verifySameDims(Operation *op, LayoutAttr source,
                                    LayoutAttr target, int64_t except = -1) {
  for (auto [d, pair] :
       llvm::enumerate(llvm::zip(source.getDims(), target.getDims())))
    if (static_cast<int64_t>(d) != except &&
        std::get<0>(pair) != std::get<1>(pair))
      return op->emitOpError()
             << "changes dimension " << d << " otherwise than it says";
  return success();
}

using Roots = std::map<Axis, int64_t>;

static Roots getRoots(LayoutAttr layout) {
  Roots roots;
  for (auto [axis, coordinate] :
       llvm::zip(layout.getRootAxes(), layout.getRootCoordinates()))
    roots[axis] = coordinate;
  return roots;
}

/// Coordinate `root` of a line along `axes`, major to minor, axis by axis.
static Roots getRoots(RegionAttr region, ArrayRef<Axis> axes, int64_t root) {
  Roots roots;
  for (Axis axis : llvm::reverse(axes)) {
    roots[axis] = root % region.getSize(axis);
    root /= region.getSize(axis);
  }
  return roots;
}

/// `rooted` lives where `everywhere` does and, besides, at `root` along `axes`.
static LogicalResult verifyRooted(Operation *op, LayoutAttr everywhere,
                                  LayoutAttr rooted, ArrayRef<Axis> axes,
                                  int64_t root) {
  RegionAttr region = getRegion(op);
  if (!region)
    return success();
  Roots expected = getRoots(everywhere);
  for (auto [axis, coordinate] : getRoots(region, axes, root))
    expected[axis] = coordinate;
  if (getRoots(rooted) != expected ||
      getRoots(everywhere).size() + axes.size() != expected.size())
    return op->emitOpError()
           << "is about the root " << root << " but turns " << everywhere
           << " and " << rooted << " into each other";
  return success();
}

/// A reduction over `axes` finishes what is partial along them and nothing
/// else.
static LogicalResult verifyReduced(Operation *op, Type from, Type to,
                                   ArrayRef<Axis> axes, Combiner combiner) {
  LayoutAttr source = getLayout(from), target = getLayout(to);
  if (!source || !target)
    return success();
  SmallVector<Axis> left;
  for (Axis axis : source.getPartial())
    if (!llvm::is_contained(axes, axis))
      left.push_back(axis);
  for (Axis axis : axes)
    if (!llvm::is_contained(source.getPartial(), axis))
      return op->emitOpError() << "reduces along '" << axis.str()
                               << "', along which its operand is not partial";
  if (source.getCombiner() != combiner)
    return op->emitOpError() << "computes a " << stringifyCombiner(combiner)
                             << " but its operand is a partial "
                             << stringifyCombiner(source.getCombiner());
  if (ArrayRef<Axis>(left) != target.getPartial() ||
      (target.isPartial() && target.getCombiner() != combiner))
    return op->emitOpError("gives a value with another partial reduction than "
                           "what is left of its operand's");
  return verifySameDims(op, source, target);
}

LogicalResult AllReduceOp::verify() {
  if (getValues().size() != getResults().size() || getValues().empty())
    return emitOpError() << "reduces " << getValues().size() << " values into "
                         << getResults().size();
  if (failed(verifyAxes(*this, getAxes().getAxes())))
    return failure();
  for (auto [value, result] : llvm::zip(getValues(), getResults()))
    if (failed(verifySameShape(*this, value.getType(), result.getType())) ||
        failed(verifyReduced(*this, value.getType(), result.getType(),
                             getAxes().getAxes(), getCombiner())))
      return failure();
  for (auto [value, result] : llvm::zip(getValues(), getResults()))
    if (auto layouts = getLayouts(value.getType(), result.getType()))
      if (getRoots(layouts->first) != getRoots(layouts->second))
        return emitOpError("moves a root: only reduce and broadcast do");
  return success();
}

YieldOp ReduceApplyBroadcastOp::getYield() {
  return cast<YieldOp>(getBodyBlock()->getTerminator());
}

namespace {
/// Where a value of a body is right.
enum class Place { Everywhere, Root, Neighbor, Nowhere };
} // namespace

/// Of the results of `op`, if every operand is where `places` says.
static Place placeOf(Operation *op, const DenseMap<Value, Place> &places) {
  Place place = Place::Everywhere;
  for (Value operand : op->getOperands()) {
    const Place other = places.lookup_or(operand, Place::Everywhere);
    if (place == Place::Everywhere)
      place = other;
    else if (other != Place::Everywhere && other != place)
      return Place::Nowhere;
  }
  if (!isa<ToNeighborOp>(op))
    return place;
  return place == Place::Root ? Place::Neighbor : Place::Nowhere;
}

static DenseMap<Value, Place> placesOf(Block *body) {
  DenseMap<Value, Place> places;
  for (Value sum : body->getArguments())
    places[sum] = Place::Root;
  for (Operation &op : body->without_terminator())
    for (Value result : op.getResults())
      places[result] = placeOf(&op, places);
  return places;
}

bool ReduceApplyBroadcastOp::isOfNeighbor(unsigned result) {
  return placesOf(getBodyBlock()).lookup(getYield().getOperand(result)) ==
         Place::Neighbor;
}

LogicalResult ToNeighborOp::verify() {
  if (getValues().empty() || getValues().getTypes() != getResults().getTypes())
    return emitOpError("gives other types than it has");
  return success();
}

/// Values with this layout are the same on all PEs along `axes`.
static LogicalResult verifyAlike(Operation *op, Type type,
                                 ArrayRef<Axis> axes) {
  LayoutAttr layout = getLayout(type);
  if (!layout)
    return success();
  SmallVector<Axis> used = layout.getSplitAxes();
  llvm::append_range(used, layout.getPartial());
  llvm::append_range(used, layout.getRootAxes());
  for (Axis axis : axes)
    if (llvm::is_contained(used, axis))
      return op->emitOpError()
             << "is computed at one place along '" << axis.str() << "', but "
             << type << " differs there: compute it behind the broadcast";
  return success();
}

LogicalResult ReduceApplyBroadcastOp::verify() {
  ArrayRef<Axis> axes = getAxes().getAxes();
  Block *body = getBodyBlock();
  if (getValues().empty() || body->getNumArguments() != getValues().size())
    return emitOpError() << "reduces " << getValues().size() << " values into "
                         << body->getNumArguments();
  if (failed(verifyAxes(*this, axes)))
    return failure();
  for (auto [value, sum] : llvm::zip(getValues(), body->getArguments()))
    if (failed(verifySameShape(*this, value.getType(), sum.getType())) ||
        failed(verifyReduced(*this, value.getType(), sum.getType(), axes,
                             getCombiner())))
      return failure();
  if (body->empty() || !isa<YieldOp>(body->back()) ||
      getYield().getValues().getTypes() != getResultTypes())
    return emitOpError("does not yield what it gives");
  return success();
}

LogicalResult ReduceApplyBroadcastOp::verifyRegions() {
  LogicalResult result = success();
  for (auto [value, place] : placesOf(getBodyBlock()))
    if (place == Place::Nowhere)
      result = value.getDefiningOp()->emitOpError(
          "reads values of the root and of its neighbor: a PE has those of one "
          "of them");
  getBody().walk([&](Operation *op) {
    if (op->hasTrait<Collective>())
      result = op->emitOpError("is a collective between the two ways of another"
                               ": only local ops are");
    if (op->getParentRegion() != &getBody())
      return; // what stands in a generic is scalar
    for (Value operand : op->getOperands())
      if (failed(verifyAlike(op, operand.getType(), getAxes().getAxes())))
        result = failure();
  });
  return result;
}

static LogicalResult verifyRoot(Operation *op, ArrayRef<Axis> axes,
                                int64_t root) {
  if (failed(verifyAxes(op, axes)))
    return failure();
  RegionAttr region = getRegion(op);
  if (root < 0 || (region && root >= region.getSize(axes)))
    return op->emitOpError()
           << "root coordinate " << root << " is outside axis '"
           << axes.front().str() << "' of size "
           << (region ? region.getSize(axes) : 0);
  return success();
}

LogicalResult ReduceOp::verify() {
  if (failed(verifyRoot(*this, getAxes().getAxes(), getRoot())) ||
      failed(verifySameShape(*this, getValue().getType(),
                             getResult().getType())) ||
      failed(verifyReduced(*this, getValue().getType(), getResult().getType(),
                           getAxes().getAxes(), getCombiner())))
    return failure();
  auto layouts = getLayouts(getValue().getType(), getResult().getType());
  return layouts ? verifyRooted(*this, layouts->first, layouts->second,
                                getAxes().getAxes(), getRoot())
                 : success();
}

LogicalResult BroadcastOp::verify() {
  const std::optional<uint64_t> root = getRoot();
  if (failed(verifyRoot(*this, getAxes().getAxes(),
                        static_cast<int64_t>(root.value_or(0)))) ||
      failed(
          verifySameShape(*this, getValue().getType(), getResult().getType())))
    return failure();
  auto layouts = getLayouts(getValue().getType(), getResult().getType());
  if (!layouts)
    return success();
  if (!root)
    return emitOpError("broadcasts from any coordinate, but a value with a "
                       "layout is at one: name it");
  auto [source, target] = *layouts;
  if (source.isPartial() || target.isPartial())
    return emitOpError("broadcasts a value that is still partial: "
                       "all-reduce it first");
  if (failed(verifySameDims(*this, source, target)))
    return failure();
  return verifyRooted(*this, target, source, getAxes().getAxes(), *root);
}

/// Checks that `split` is `whole` with dimension `dim` divided over `axes`.
static LogicalResult verifyShare(Operation *op, Type whole, Type split,
                                 int64_t dim, ArrayRef<Axis> axes,
                                 bool cyclic) {
  if (failed(verifyAxes(op, axes)))
    return failure();
  auto from = cast<RankedTensorType>(whole), to = cast<RankedTensorType>(split);
  if (dim < 0 || dim >= from.getRank() || from.getRank() != to.getRank())
    return op->emitOpError() << "names dimension " << dim
                             << " of a tensor of rank " << from.getRank();
  RegionAttr region = getRegion(op);
  LayoutAttr source = getLayout(from), target = getLayout(to);
  int64_t share = source || !region ? 1 : region.getSize(axes);
  for (int64_t d = 0; d < from.getRank(); ++d) {
    int64_t size = to.getDimSize(d) * (d == dim ? share : 1);
    if (region && from.getDimSize(d) != size)
      return op->emitOpError()
             << "padded size of dimension " << d << " differs between source ("
             << from.getDimSize(d) << ") and target (" << size << ")";
  }
  if (!source || !target)
    return success();
  if (source.isPartial() || target.isPartial() || source.hasRoot() ||
      target.hasRoot())
    return op->emitOpError("moves a value that is partial or lives at a root: "
                           "all-reduce it first");
  DimAttr a = source.getDim(dim), b = target.getDim(dim);
  bool onlyAxes =
      llvm::all_of(b.getDigits(), [](const Digit &d) { return d.isAxis(); });
  // With one element per PE, block and cyclic are the same split.
  bool one = region && to.getDimSize(dim) == region.getSize(axes);
  if (!a.isWhole() || !onlyAxes || b.getAxes() != SmallVector<Axis>(axes) ||
      (b.getCyclic() != cyclic && !one) ||
      a.getLiveSize(from.getDimSize(dim)) !=
          b.getLiveSize(to.getDimSize(dim)) ||
      a.getPadding() != b.getPadding())
    return op->emitOpError()
           << "changes dimension " << dim << " otherwise than it says";
  return verifySameDims(op, source, target, dim);
}

LogicalResult SliceOp::verify() {
  return verifyShare(*this, getValue().getType(), getResult().getType(),
                     getDim(), getAxes().getAxes(), getCyclic());
}

LogicalResult GatherOp::verify() {
  return verifyShare(*this, getResult().getType(), getValue().getType(),
                     getDim(), getAxes().getAxes(), getCyclic());
}

LogicalResult MaskOp::verify() {
  auto type = cast<RankedTensorType>(getValue().getType());
  if (static_cast<int64_t>(getDim()) >= type.getRank())
    return emitOpError() << "names dimension " << getDim()
                         << " of a tensor of rank " << type.getRank();
  if (cast<TypedAttr>(getFill()).getType() != type.getElementType())
    return emitOpError() << "fills with " << getFill() << " a tensor of "
                         << type.getElementType();
  return verifySameShape(*this, type, getResult().getType());
}

//===----------------------------------------------------------------------===//
// RepeatOp
//===----------------------------------------------------------------------===//

YieldOp RepeatOp::getYield() {
  return cast<YieldOp>(getBodyBlock()->getTerminator());
}

SmallVector<Region *> RepeatOp::getLoopRegions() { return {&getBody()}; }

std::optional<ResultRange> RepeatOp::getLoopResults() { return getResults(); }

Block::BlockArgListType RepeatOp::getRegionIterArgs() {
  return getBodyBlock()->getArguments();
}

std::optional<MutableArrayRef<OpOperand>> RepeatOp::getYieldedValuesMutable() {
  return getYield().getValuesMutable();
}

std::optional<APInt> RepeatOp::getStaticTripCount() {
  return APInt(64, getTripCount());
}

OperandRange RepeatOp::getEntrySuccessorOperands(RegionSuccessor) {
  return getInits();
}

void RepeatOp::getSuccessorRegions(RegionBranchPoint point,
                                   SmallVectorImpl<RegionSuccessor> &regions) {
  regions.emplace_back(&getBody(), getRegionIterArgs());
  if (!point.isParent()) // there is at least one trip
    regions.emplace_back(getOperation(), getResults());
}

void RepeatOp::getRegionInvocationBounds(
    ArrayRef<Attribute>, SmallVectorImpl<InvocationBounds> &bounds) {
  auto tripCount = static_cast<unsigned>(getTripCount());
  bounds.emplace_back(tripCount, tripCount);
}

ParseResult RepeatOp::parse(OpAsmParser &parser, OperationState &result) {
  int64_t tripCount;
  SmallVector<OpAsmParser::Argument> arguments;
  SmallVector<OpAsmParser::UnresolvedOperand> inits;
  SmallVector<Type> types;
  auto parsePair = [&]() -> ParseResult {
    return failure(parser.parseArgument(arguments.emplace_back()) ||
                   parser.parseEqual() ||
                   parser.parseOperand(inits.emplace_back()));
  };
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseInteger(tripCount) ||
      parser.parseCommaSeparatedList(OpAsmParser::Delimiter::Paren, parsePair))
    return failure();
  if (!inits.empty() && (parser.parseColon() || parser.parseTypeList(types)))
    return failure();
  if (types.size() != inits.size())
    return parser.emitError(loc) << "has " << inits.size() << " values but "
                                 << types.size() << " types";
  for (auto [argument, type] : llvm::zip(arguments, types))
    argument.type = type;
  result.addAttribute("tripCount",
                      parser.getBuilder().getI64IntegerAttr(tripCount));
  result.addTypes(types);
  return failure(parser.resolveOperands(inits, types, loc, result.operands) ||
                 parser.parseRegion(*result.addRegion(), arguments) ||
                 parser.parseOptionalAttrDict(result.attributes));
}

void RepeatOp::print(OpAsmPrinter &printer) {
  printer << " " << getTripCount() << " (";
  llvm::interleaveComma(llvm::zip(getBodyBlock()->getArguments(), getInits()),
                        printer, [&](auto pair) {
                          printer << std::get<0>(pair) << " = "
                                  << std::get<1>(pair);
                        });
  printer << ")";
  if (!getInits().empty())
    printer << " : " << getInits().getTypes();
  printer << " ";
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
  printer.printOptionalAttrDict((*this)->getAttrs(), {"tripCount"});
}

LogicalResult RepeatOp::verify() {
  if (getBody().empty() || getBodyBlock()->empty() ||
      !isa<YieldOp>(getBodyBlock()->back()))
    return emitOpError("has no wafer.yield at its end");
  auto inits = llvm::to_vector(getInits().getTypes());
  if (inits != llvm::to_vector(getResultTypes()) ||
      inits != llvm::to_vector(getBodyBlock()->getArgumentTypes()) ||
      inits != llvm::to_vector(getYield().getValues().getTypes()))
    return emitOpError("carries a value whose type changes from trip to trip");
  auto result = success();
  int64_t tripCount = getTripCount();
  getBody().walk([&](StoredOpInterface op) {
    ArrayAttr names = op.getStoredNames();
    if (static_cast<int64_t>(names.size()) != tripCount)
      result = op->emitOpError()
               << "names " << names.size() << " for a repeat of " << tripCount
               << " trips";
  });
  return result;
}
