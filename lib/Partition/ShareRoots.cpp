// A root computes what stands between a sum and its readers while all other PEs
// of its line wait. Where that is long, the PE beside it takes half: the root
// gives it its part of the sums, both compute, and both broadcast.
//
// Cut is one dimension of what the body yields, and with it that of the sums
// that it is computed from, where the body treats each of its elements alike.
// Sums that have no such dimension, the squares of a norm, go to both.

#include "waferloom/Algebra/Scalar.h"
#include "waferloom/Partition/Passes.h"
#include "waferloom/Target/ImageTarget.h"
#include "waferloom/Target/TargetAttr.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/MathExtras.h"

namespace waferloom::partition {
#define GEN_PASS_DEF_PARTITIONSHAREROOTS
#include "waferloom/Partition/Passes.h.inc"
} // namespace waferloom::partition

using namespace mlir;
using namespace waferloom;
using wafer::Axis;
using wafer::RegionAttr;

/// Tokens of a prompt follow each other closely: messages in pairs of one would
/// meet sums of the next on their links. Entries share code, so one of several
/// tokens is reason enough for all.
static bool hasPrompts(ModuleOp module) {
  bool any = false;
  module.walk([&](wafer::EntryOp entry) { any |= entry.getTokens() > 1; });
  return any;
}

namespace {
/// Elements of the dimension that is cut.
struct Part {
  int64_t begin, size;
};

/// One op, whose body becomes that of two PEs.
class Sharing {
public:
  Sharing(wafer::ReduceApplyBroadcastOp op, RegionAttr region, int64_t issue)
      : op(op), body(op.getBodyBlock()), region(region), issue(issue) {}

  void run();

private:
  bool makesPairs();
  bool link(Value value, int64_t dim);
  bool linkLoop(linalg::GenericOp generic, AffineExpr loop);
  bool follow(Value value, int64_t dim);
  bool findCut();
  Part halfOf(int64_t which);
  bool pays();
  bool isYielded(Value value, bool byNeighbor) const {
    return !byNeighbor || cut.contains(value);
  }
  llvm::DenseSet<Value> neededBy(bool neighbor);
  Value slice(OpBuilder &builder, Value value, int64_t dim, Part part);
  void giveSums(OpBuilder &builder, Part part, IRMapping &mapping,
                const llvm::DenseSet<Value> &needed);
  SmallVector<Value> clone(OpBuilder &builder, Block *to, bool neighbor);
  void rewrite();

  wafer::ReduceApplyBroadcastOp op;
  Block *body;
  RegionAttr region;
  int64_t issue;
  llvm::MapVector<Value, int64_t> cut; // the dimension of each cut value
  int64_t extent = 0;                  // of that dimension
};

struct PartitionShareRoots
    : partition::impl::PartitionShareRootsBase<PartitionShareRoots> {
  void runOnOperation() override {
    func::FuncOp entry = getOperation();
    auto module = entry->getParentOfType<ModuleOp>();
    RegionAttr region = wafer::getRegion(entry);
    if (!region || hasPrompts(module))
      return; // partition-verify says so if there is no region
    FailureOr<target::Target> target = target::getTarget(module);
    if (failed(target))
      return signalPassFailure();
    const int64_t issue = target::toImage(*target)->issue_cycles;
    SmallVector<wafer::ReduceApplyBroadcastOp> ops;
    entry.walk([&](wafer::ReduceApplyBroadcastOp op) { ops.push_back(op); });
    for (wafer::ReduceApplyBroadcastOp op : ops)
      Sharing(op, region, issue).run();
  }
};
} // namespace

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

static RankedTensorType withSize(RankedTensorType type, int64_t dim,
                                 int64_t size) {
  SmallVector<int64_t> shape(type.getShape());
  shape[dim] = size;
  return type.clone(shape);
}

/// The outermost dimension that is more than one element: parts of others do
/// not lie behind each other.
static int64_t outermost(RankedTensorType type) {
  return llvm::find_if(type.getShape(), [](int64_t n) { return n > 1; }) -
         type.getShape().begin();
}

/// Whether the axes are neighbors and make one line, which pairs fill.
bool Sharing::makesPairs() {
  ArrayRef<Axis> axes = op.getAxes().getAxes();
  const SmallVector<Axis> all = region.getAxes();
  const auto *first = llvm::find(all, axes.front());
  return static_cast<size_t>(all.end() - first) >= axes.size() &&
         std::equal(axes.begin(), axes.end(), first) &&
         axes.front().direction == axes.back().direction &&
         region.getSize(axes) % 2 == 0;
}

/// Cuts `value` along `dim`; false if it cannot be.
bool Sharing::link(Value value, int64_t dim) {
  auto [known, isNew] = cut.try_emplace(value, dim);
  if (!isNew)
    return known->second == dim;
  const RankedTensorType type = typeOf(value);
  return type.getDimSize(dim) == extent && outermost(type) == dim &&
         follow(value, dim);
}

/// Cuts what a generic reads and gives along one of its loops.
bool Sharing::linkLoop(linalg::GenericOp generic, AffineExpr loop) {
  auto which = dyn_cast<AffineDimExpr>(loop);
  if (!which || generic.getNumResults() != 1 ||
      generic.getIteratorTypesArray()[which.getPosition()] !=
          utils::IteratorType::parallel)
    return false;
  for (OpOperand &operand : generic->getOpOperands())
    for (auto [dim, expression] :
         llvm::enumerate(generic.getMatchingIndexingMap(&operand).getResults()))
      if (expression.isFunctionOfDim(which.getPosition()) &&
          (expression != loop ||
           !link(operand.get(), static_cast<int64_t>(dim))))
        return false;
  AffineMap out = generic.getIndexingMapsArray().back();
  const auto *at = llvm::find(out.getResults(), loop);
  return at != out.getResults().end() &&
         link(generic.getResult(0), at - out.getResults().begin());
}

/// Cuts along with `value` what it is made of and what is made of it.
bool Sharing::follow(Value value, int64_t dim) {
  const auto at = static_cast<unsigned>(dim);
  Operation *def = value.getDefiningOp();
  if (def && def->getBlock() == body) {
    auto generic = dyn_cast<linalg::GenericOp>(def);
    if (!generic ||
        !linkLoop(generic, generic.getIndexingMapsArray().back().getResult(at)))
      return false;
  }
  return llvm::all_of(value.getUses(), [&](OpOperand &use) {
    Operation *reader = use.getOwner();
    if (reader->getBlock() != body || reader == op.getYield())
      return true;
    auto generic = dyn_cast<linalg::GenericOp>(reader);
    return generic &&
           linkLoop(generic,
                    generic.getMatchingIndexingMap(&use).getResult(at));
  });
}

/// The dimension of the longest value that is yielded.
bool Sharing::findCut() {
  Value longest =
      *llvm::max_element(op.getYield().getValues(), [](Value a, Value b) {
        return typeOf(a).getNumElements() < typeOf(b).getNumElements();
      });
  const RankedTensorType type = typeOf(longest);
  const int64_t dim = outermost(type);
  if (dim == type.getRank())
    return false;
  extent = type.getDimSize(dim);
  return link(longest, dim);
}

/// Of the root (0), or of its neighbor. Halves travel in pairs.
Part Sharing::halfOf(int64_t which) {
  const bool pairs = llvm::any_of(op.getResultTypes(), [](Type type) {
    return getElementTypeOrSelf(type).isF16();
  });
  const int64_t first =
      llvm::alignTo(llvm::divideCeil(extent, 2), pairs ? 2 : 1);
  return which == 0 ? Part{0, first} : Part{first, extent - first};
}

/// Whether what the neighbor computes takes longer than its sums on their way:
/// a word is a cycle, and sends, takes and ramps on that way are about as long
/// as it takes to issue eighteen instructions. On a line whose trees have
/// several levels the two colors are missed, which is worth twelve more.
bool Sharing::pays() {
  const Part part = halfOf(1);
  const bool isLong = region.getSize(op.getAxes().getAxes()) > 32;
  double work = 0;
  for (auto generic : body->getOps<linalg::GenericOp>())
    if (cut.contains(generic.getResult(0)))
      work +=
          algebra::getBodyCycles(generic) *
          static_cast<double>(typeOf(generic.getResult(0)).getNumElements());
  int64_t words = 0;
  for (Value sum : body->getArguments())
    words += cut.contains(sum)
                 ? typeOf(sum).getNumElements() / extent * part.size
                 : typeOf(sum).getNumElements();
  return part.size > 0 &&
         work * static_cast<double>(part.size) / static_cast<double>(extent) >
             static_cast<double>(words + (isLong ? 30 : 18) * issue);
}

/// The values of the body that one of the two computes with.
llvm::DenseSet<Value> Sharing::neededBy(bool neighbor) {
  llvm::DenseSet<Value> needed;
  for (Value value : op.getYield().getValues())
    if (isYielded(value, neighbor))
      needed.insert(value);
  for (Operation &inner : llvm::reverse(*body))
    if (llvm::any_of(inner.getResults(),
                     [&](Value result) { return needed.contains(result); }))
      needed.insert_range(inner.getOperands());
  return needed;
}

Value Sharing::slice(OpBuilder &builder, Value value, int64_t dim, Part part) {
  const RankedTensorType type = withSize(typeOf(value), dim, part.size);
  const Location loc = value.getLoc();
  if (value.getDefiningOp<tensor::EmptyOp>())
    return tensor::EmptyOp::create(builder, loc, type, ValueRange());
  if (auto fill = value.getDefiningOp<linalg::FillOp>()) {
    Value empty = tensor::EmptyOp::create(builder, loc, type, ValueRange());
    return linalg::FillOp::create(builder, loc, fill.getInputs(), empty)
        .getResult(0);
  }
  SmallVector<OpFoldResult> offsets(type.getRank(), builder.getIndexAttr(0)),
      strides(type.getRank(), builder.getIndexAttr(1));
  offsets[dim] = builder.getIndexAttr(part.begin);
  return tensor::ExtractSliceOp::create(
      builder, loc, value, offsets,
      getAsIndexOpFoldResult(builder.getContext(), type.getShape()), strides);
}

/// Sends the neighbor what it needs of the sums.
void Sharing::giveSums(OpBuilder &builder, Part part, IRMapping &mapping,
                       const llvm::DenseSet<Value> &needed) {
  SmallVector<Value> sums, given;
  for (BlockArgument sum : body->getArguments()) {
    if (!needed.contains(sum))
      continue;
    Value here = mapping.lookup(sum);
    auto known = cut.find(sum);
    sums.push_back(sum);
    given.push_back(
        known == cut.end() ? here : slice(builder, here, known->second, part));
  }
  auto beside = wafer::ToNeighborOp::create(
      builder, op.getLoc(),
      llvm::map_to_vector(given, [](Value v) { return v.getType(); }), given);
  for (auto [sum, value] : llvm::zip_equal(sums, beside.getResults()))
    mapping.map(sum, value);
}

/// The body as one of the two computes it; what it yields. Both have the sums.
SmallVector<Value> Sharing::clone(OpBuilder &builder, Block *to,
                                  bool neighbor) {
  const Part part = halfOf(neighbor);
  const llvm::DenseSet<Value> needed = neededBy(neighbor);
  IRMapping mapping;
  for (auto [from, sum] :
       llvm::zip_equal(body->getArguments(), to->getArguments()))
    mapping.map(from, sum);
  if (neighbor)
    giveSums(builder, part, mapping, needed);
  for (auto [value, dim] : cut) {
    if (!needed.contains(value))
      continue;
    if (llvm::is_contained(body->getArguments(), value)) {
      if (!neighbor)
        mapping.map(value, slice(builder, mapping.lookup(value), dim, part));
    } else if (value.getParentBlock() != body) {
      mapping.map(value, slice(builder, value, dim, part));
    }
  }
  for (Operation &inner : body->without_terminator()) {
    if (llvm::none_of(inner.getResults(),
                      [&](Value result) { return needed.contains(result); }))
      continue;
    Operation *copy = builder.clone(inner, mapping);
    if (auto generic = dyn_cast<linalg::GenericOp>(copy))
      for (auto [result, init] :
           llvm::zip_equal(generic.getResults(), generic.getOutputs()))
        result.setType(init.getType());
  }
  SmallVector<Value> yields;
  for (Value value : op.getYield().getValues())
    if (isYielded(value, neighbor))
      yields.push_back(mapping.lookupOrDefault(value));
  return yields;
}

void Sharing::rewrite() {
  OpBuilder builder(op);
  const Location loc = op.getLoc();
  SmallVector<Type> results;
  for (bool neighbor : {false, true})
    for (Value value : op.getYield().getValues())
      if (isYielded(value, neighbor)) {
        auto known = cut.find(value);
        results.push_back(known == cut.end()
                              ? value.getType()
                              : withSize(typeOf(value), known->second,
                                         halfOf(neighbor).size));
      }
  auto shared = wafer::ReduceApplyBroadcastOp::create(
      builder, loc, results, op.getValues(), op.getAxesAttr(),
      op.getCombiner());
  Block *block = builder.createBlock(
      &shared.getBody(), {}, llvm::to_vector(body->getArgumentTypes()),
      SmallVector<Location>(body->getNumArguments(), loc));
  // The neighbor's sums leave first.
  SmallVector<Value> second = clone(builder, block, /*neighbor=*/true);
  SmallVector<Value> yields = clone(builder, block, /*neighbor=*/false);
  llvm::append_range(yields, second);
  wafer::YieldOp::create(builder, loc, yields);
  builder.setInsertionPoint(op);
  unsigned next = op.getNumResults();
  for (auto [i, value] : llvm::enumerate(op.getYield().getValues())) {
    Value whole = shared.getResult(i);
    if (auto known = cut.find(value); known != cut.end())
      whole =
          tensor::ConcatOp::create(builder, loc, known->second,
                                   ValueRange{whole, shared.getResult(next++)});
    op.getResult(i).replaceAllUsesWith(whole);
  }
  op.erase();
}

void Sharing::run() {
  if (makesPairs() && findCut() && pays())
    rewrite();
}
