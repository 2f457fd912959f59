// A norm's sum of squares is known early in one place. What is normalized was
// added up along one direction, and the root of that sum has it half a line
// before all others. So the PEs of the root's line add up the squares along the
// other direction, one of them makes the factor of the norm, and gives it along
// the first direction to the roots that need it, all while products are
// computed everywhere:
//
//   x   --> --> o <-- <--        sums along x end in column o; the others hear
//                                of them half a line later
//               | squares
//               v
//       <-- <-- f --> -->        the factor, to the roots of sums along y
//               ^
//               |
//
// Nobody else computes squares, no root waits for its factor, and products
// travel without the squares.

#include "waferloom/Dialect/Wafer/Wafer.h"
#include "waferloom/Machine/MachineModel.h"
#include "waferloom/Partition/Passes.h"
#include "waferloom/Target/ImageTarget.h"
#include "waferloom/Target/TargetAttr.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SetVector.h"

namespace waferloom::partition {
#define GEN_PASS_DEF_PARTITIONEARLYNORMS
#include "waferloom/Partition/Passes.h.inc"
} // namespace waferloom::partition

using namespace mlir;
using namespace waferloom;
using wafer::AxesAttr;
using wafer::Axis;
using wafer::RegionAttr;

static int64_t elementsOf(Value value) {
  return cast<ShapedType>(value.getType()).getNumElements();
}

static SmallVector<Axis> axesAlong(RegionAttr region,
                                   Axis::Direction direction) {
  return llvm::filter_to_vector(
      region.getAxes(), [&](Axis axis) { return axis.direction == direction; });
}

namespace {
/// Where a value comes from, back to what is the same on all PEs along `axes`.
class Origin {
public:
  explicit Origin(ArrayRef<Axis> axes) : axes(axes) {}

  /// Whether it is the same on all of them, and a sum along them is added to
  /// it.
  bool isSumForAll(Value value);

private:
  /// Some of the axes, a bit each.
  using Some = unsigned;

  Some among(ArrayRef<Axis> others) const;
  bool follow(Operation *op, OpResult result, Some some);
  void push(ValueRange values, Some some) {
    for (Value value : values)
      open.insert({value, some});
  }
  void pushCarried(wafer::RepeatOp loop, unsigned number, Some some) {
    push({loop.getInits()[number],
          loop.getBodyBlock()->getTerminator()->getOperand(number)},
         some);
  }

  ArrayRef<Axis> axes;
  /// What must be the same along some of them, and what was looked at.
  llvm::SetVector<std::pair<Value, Some>> open;
  bool hasSum = false;
};

/// One op, whose body has a factor made of one of the sums.
class Norm {
public:
  Norm(wafer::ReduceApplyBroadcastOp op, RegionAttr region,
       const machine::MachineModel &machine)
      : op(op), body(op.getBodyBlock()), region(region), machine(machine) {}

  void run();

private:
  bool isAhead() const;
  bool findSum();
  SmallVector<linalg::GenericOp> chainFrom(Value sum) const;
  bool findNeighbor();
  void rewrite();

  wafer::ReduceApplyBroadcastOp op;
  Block *body;
  RegionAttr region;
  const machine::MachineModel &machine;
  SmallVector<Axis> other;               // axes of the other direction
  unsigned which = 0;                    // of the sums
  SmallVector<linalg::GenericOp> atRoot; // sum to factor
  SmallVector<linalg::GenericOp> atNeighbor;
  OpResult given; // the sum that the neighbor gets, if it does
};

struct PartitionEarlyNorms
    : partition::impl::PartitionEarlyNormsBase<PartitionEarlyNorms> {
  void runOnOperation() override {
    RegionAttr region = wafer::getRegion(getOperation());
    if (!region)
      return; // partition-verify says so
    FailureOr<target::Target> target =
        target::getTarget(getOperation()->getParentOfType<ModuleOp>());
    if (failed(target))
      return signalPassFailure();
    const std::unique_ptr<image::TargetT> image = target::toImage(*target);
    const machine::MachineModel machine(*image);
    SmallVector<wafer::ReduceApplyBroadcastOp> ops;
    getOperation().walk(
        [&](wafer::ReduceApplyBroadcastOp op) { ops.push_back(op); });
    for (wafer::ReduceApplyBroadcastOp op : ops)
      Norm(op, region, machine).run();
  }
};
} // namespace

Origin::Some Origin::among(ArrayRef<Axis> others) const {
  Some some = 0;
  for (auto [i, axis] : llvm::enumerate(axes))
    if (llvm::is_contained(others, axis))
      some |= 1u << i;
  return some;
}

/// Looks at what `result` of `op` is made of; false if it may differ.
bool Origin::follow(Operation *op, OpResult result, Some some) {
  if (auto sum = dyn_cast<wafer::AllReduceOp>(op)) {
    ArrayRef<Axis> over = sum.getAxes().getAxes();
    hasSum |= over.size() == axes.size() && among(over) == among(axes);
    push(sum.getValues(), some & ~among(over));
    return true;
  }
  if (auto loop = dyn_cast<wafer::RepeatOp>(op)) {
    pushCarried(loop, result.getResultNumber(), some);
    return true;
  }
  if (auto layout = op->getAttrOfType<wafer::LayoutAttr>("layout");
      layout && (some & among(layout.getSplitAxes())))
    return false;
  // What else goes by the place of a PE says along which axes.
  if (auto own = op->getAttrOfType<AxesAttr>("axes");
      own && (some & among(own.getAxes())))
    return false;
  if (!isMemoryEffectFree(op))
    return false;
  push(op->getOperands(), some);
  llvm::SetVector<Value> captured;
  getUsedValuesDefinedAbove(op->getRegions(), captured);
  push(captured.getArrayRef(), some);
  return true;
}

bool Origin::isSumForAll(Value value) {
  push(value, among(axes));
  for (size_t i = 0; i < open.size(); ++i) {
    const auto [each, some] = open[i];
    if (some == 0)
      continue;
    if (auto result = dyn_cast<OpResult>(each)) {
      if (!follow(result.getOwner(), result, some))
        return false;
      continue;
    }
    auto argument = cast<BlockArgument>(each);
    auto loop = dyn_cast<wafer::RepeatOp>(argument.getOwner()->getParentOp());
    if (!loop)
      return false;
    pushCarried(loop, argument.getArgNumber(), some);
  }
  return hasSum;
}

/// The ops that make as few elements of `sum`, one of the other: what is left
/// of a norm before its factor is multiplied with.
SmallVector<linalg::GenericOp> Norm::chainFrom(Value sum) const {
  SmallVector<linalg::GenericOp> chain;
  for (Value value = sum;;) {
    linalg::GenericOp next;
    for (Operation *user : value.getUsers()) {
      if (isa<wafer::ToNeighborOp>(user))
        continue;
      if (next && next != user)
        return chain;
      next = dyn_cast<linalg::GenericOp>(user);
      if (!next)
        return chain;
    }
    if (!next || next->getBlock() != body || next.getNumDpsInputs() != 1 ||
        next.getNumResults() != 1 || next.getNumReductionLoops() != 0 ||
        elementsOf(next.getResult(0)) != elementsOf(sum) ||
        next.getOutputs().front().getParentBlock() == body)
      return chain;
    llvm::SetVector<Value> captured;
    getUsedValuesDefinedAbove(next->getRegions(), captured);
    if (!captured.empty())
      return chain;
    chain.push_back(next);
    value = next.getResult(0);
  }
}

/// Whether the neighbor makes the same of the sum, if it gets it, and others.
bool Norm::findNeighbor() {
  const BlockArgument sum = body->getArgument(which);
  for (OpOperand &use : sum.getUses()) {
    auto beside = dyn_cast<wafer::ToNeighborOp>(use.getOwner());
    if (!beside)
      continue;
    if (given || beside.getValues().size() == 1)
      return false;
    given = beside->getResult(use.getOperandNumber());
    atNeighbor = chainFrom(given);
  }
  return !given || atNeighbor.size() == atRoot.size();
}

/// Whether the PEs that know the values first are so far ahead of the others
/// that they have made squares and factor before these begin: about as long as
/// it takes to issue twenty instructions. On shorter lines the squares would
/// meet the products on their links.
bool Norm::isAhead() const {
  const auto half = static_cast<uint64_t>(region.getSize(other) / 2);
  return static_cast<int64_t>(machine.getLinks().getTravel(half)) >=
         20 * machine.getIssue();
}

/// A sum of few elements of what was a sum along the other direction.
bool Norm::findSum() {
  constexpr int64_t few = 4;
  ArrayRef<Axis> axes = op.getAxes().getAxes();
  const Axis::Direction direction = axes.front().direction;
  other = axesAlong(region, direction == Axis::X ? Axis::Y : Axis::X);
  if (op.getCombiner() != wafer::Combiner::Sum || op.getValues().size() < 2 ||
      axes.size() != axesAlong(region, direction).size() ||
      llvm::any_of(axes, [&](Axis a) { return a.direction != direction; }) ||
      region.getSize(axes) == 1 || !isAhead())
    return false;
  for (auto [i, value] : llvm::enumerate(op.getValues())) {
    if (elementsOf(value) > few || !Origin(other).isSumForAll(value))
      continue;
    which = i;
    atRoot = chainFrom(body->getArgument(which));
    return findNeighbor();
  }
  return false;
}

void Norm::rewrite() {
  OpBuilder builder(op);
  const Location loc = op.getLoc();
  const BlockArgument sum = body->getArgument(which);
  Value squares = op.getValues()[which];
  auto whole =
      wafer::AllReduceOp::create(builder, loc, squares.getType(), squares,
                                 op.getAxesAttr(), op.getCombiner());
  IRMapping mapping;
  mapping.map(sum, whole.getResult(0));
  Value last = sum;
  for (linalg::GenericOp each : atRoot) {
    builder.clone(*each, mapping);
    last = each.getResult(0);
  }
  auto factor = wafer::BroadcastOp::create(
      builder, loc, last.getType(), mapping.lookup(last),
      AxesAttr::get(builder.getContext(), other), IntegerAttr());
  if (given) {
    OpOperand &use = given.getOwner()->getOpOperand(given.getResultNumber());
    Value made =
        atNeighbor.empty() ? Value(given) : atNeighbor.back().getResult(0);
    use.set(factor);
    given.setType(factor.getType());
    if (made != given)
      made.replaceAllUsesWith(given);
  }
  last.replaceAllUsesWith(factor);
  for (auto *chain : {&atNeighbor, &atRoot})
    for (linalg::GenericOp each : llvm::reverse(*chain))
      each.erase();
  op.getValuesMutable().erase(which);
  body->eraseArgument(which);
}

void Norm::run() {
  if (findSum())
    rewrite();
}
