// What leaves for the host need not be on every PE. The logits of a model are
// the longest sums of a step: the host reads them, and the choice of a token
// makes one number of them. So they are reduced to the middle of their lines
// and stay there: the output is read at the roots, and what is computed of them
// on the way to a few words everybody needs is right at the roots only; those
// few words are then broadcast. Other PEs compute, and send along other axes,
// what nobody reads.

#include "waferloom/Dialect/Wafer/Local.h"
#include "waferloom/Partition/PartitionOpInterfaces.h"
#include "waferloom/Partition/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/SetVector.h"

namespace waferloom::partition {
#define GEN_PASS_DEF_PARTITIONKEEPATROOTS
#include "waferloom/Partition/Passes.h.inc"
} // namespace waferloom::partition

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using wafer::Axis;
using wafer::LayoutAttr;
using wafer::RegionAttr;

static int64_t wordsOf(Value value) {
  return cast<ShapedType>(value.getType()).getNumElements();
}

namespace {
/// A sum and what is computed of it.
class Keeping {
public:
  Keeping(wafer::AllReduceOp sum, RegionAttr region, bool middleRoots)
      : sum(sum), region(region), axes(sum.getAxes().getAxes()),
        middleRoots(middleRoots) {}

  void run();

private:
  bool splits(Operation *op) const;
  bool keep(Operation *op, llvm::DenseSet<Value> &atRoots);
  void collect();
  bool pays();
  void setRoots();
  void leave(wafer::OutputOp output);
  void rewrite();

  wafer::AllReduceOp sum;
  RegionAttr region;
  ArrayRef<Axis> axes;
  bool middleRoots;
  SmallVector<int64_t> roots;  // along each of `axes`
  llvm::DenseSet<Value> alike; // on all PEs along them, as far as is seen
  llvm::DenseSet<Operation *> kept;
  SmallVector<wafer::OutputOp> outputs;
  llvm::SetVector<Value> needed; // everywhere
};

struct PartitionKeepAtRoots
    : partition::impl::PartitionKeepAtRootsBase<PartitionKeepAtRoots> {
  using PartitionKeepAtRootsBase::PartitionKeepAtRootsBase;

  void runOnOperation() override {
    RegionAttr region = wafer::getRegion(getOperation());
    if (!region)
      return; // partition-verify says so
    for (auto sum : llvm::make_early_inc_range(
             getOperation().getBody().getOps<wafer::AllReduceOp>()))
      Keeping(sum, region, middleRoots).run();
  }
};
} // namespace

/// Whether PEs along the axes hold different parts.
bool Keeping::splits(Operation *op) const {
  if (isa<wafer::PositionOp>(op))
    return false;
  auto layout = op->getAttrOfType<LayoutAttr>("layout");
  return !layout || llvm::any_of(layout.getSplitAxes(), [&](Axis axis) {
    return llvm::is_contained(axes, axis);
  });
}

/// Adds to `atRoots` what `op` makes of values that are right there only. False
/// if it cannot be right: it reads something else of which the roots have
/// another part than others, or words cross the axes.
bool Keeping::keep(Operation *op, llvm::DenseSet<Value> &atRoots) {
  auto isRight = [&](Value value) {
    return atRoots.contains(value) || alike.contains(value);
  };
  auto message = dyn_cast<wafer::AllReduceOp>(op);
  if (message
          ? llvm::any_of(
                message.getAxes().getAxes(),
                [&](Axis axis) { return llvm::is_contained(axes, axis); })
          : !wafer::isLocal(op) || !llvm::all_of(op->getOperands(), isRight))
    return false;
  kept.insert(op);
  for (OpResult result : op->getResults())
    if (!message || atRoots.contains(op->getOperand(result.getResultNumber())))
      atRoots.insert(result);
  return true;
}

void Keeping::collect() {
  llvm::DenseSet<Value> atRoots{sum.getResult(0)};
  for (Operation &op : *sum->getBlock()) {
    llvm::SmallSetVector<Value, 4> read; // of these, here and inside
    op.walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        if (atRoots.contains(operand))
          read.insert(operand);
    });
    auto output = dyn_cast<wafer::OutputOp>(op);
    if (read.empty()) {
      const bool isSource = op.getNumOperands() == 0;
      if (isSource && !wafer::isLocal(&op)
              ? !splits(&op)
              : wafer::isLocal(&op) &&
                    llvm::all_of(op.getOperands(),
                                 [&](Value v) { return alike.contains(v); }))
        alike.insert_range(op.getResults());
    } else if (output && !output.getFeeds() && !splits(output)) {
      outputs.push_back(output);
    } else if (!keep(&op, atRoots)) {
      needed.insert_range(read);
    }
  }
}

/// Whether fewer words travel back, each message of which takes about as long
/// as eight words.
bool Keeping::pays() {
  int64_t words = 0;
  for (Value value : needed)
    words += wordsOf(value) + 8;
  return !outputs.empty() && words < wordsOf(sum.getResult(0));
}

/// The middles of the lines that the axes make: neighbours make one.
void Keeping::setRoots() {
  roots.assign(axes.size(), 0);
  if (!middleRoots)
    return;
  const SmallVector<Axis> all = region.getAxes();
  for (auto axis = all.begin(); axis != all.end();) {
    SmallVector<Axis> line;
    while (axis != all.end() && llvm::is_contained(axes, *axis) &&
           (line.empty() || line.back().direction == axis->direction))
      line.push_back(*axis++);
    int64_t middle = region.getSize(line) / 2;
    for (Axis each : llvm::reverse(line)) {
      roots[llvm::find(axes, each) - axes.begin()] =
          middle % region.getSize(each);
      middle /= region.getSize(each);
    }
    if (line.empty())
      ++axis;
  }
}

/// The host reads it at the roots.
void Keeping::leave(wafer::OutputOp output) {
  LayoutAttr layout = output.getLayoutAttr();
  SmallVector<Axis> rootAxes(layout.getRootAxes());
  SmallVector<int64_t> coordinates(layout.getRootCoordinates());
  llvm::append_range(rootAxes, axes);
  llvm::append_range(coordinates, roots);
  output.setLayoutAttr(LayoutAttr::get(
      output.getContext(), layout.getDims(), layout.getPartial(),
      layout.getCombiner(), rootAxes, coordinates));
}

void Keeping::rewrite() {
  setRoots();
  int64_t root = 0;
  for (auto [axis, coordinate] : llvm::zip_equal(axes, roots))
    root = root * region.getSize(axis) + coordinate;
  for (wafer::OutputOp output : outputs)
    leave(output);
  OpBuilder builder(sum);
  Value whole = sum.getResult(0);
  auto reduce = wafer::ReduceOp::create(
      builder, sum.getLoc(), whole.getType(), sum.getValues().front(),
      sum.getAxesAttr(), root, sum.getCombiner());
  for (Value value : needed) {
    Value here = value == whole ? reduce.getResult() : value;
    builder.setInsertionPointAfterValue(here);
    auto broadcast = wafer::BroadcastOp::create(
        builder, value.getLoc(), value.getType(), here, sum.getAxesAttr(),
        builder.getI64IntegerAttr(root));
    value.replaceUsesWithIf(broadcast.getResult(), [&](OpOperand &use) {
      return use.getOwner() != broadcast && !kept.contains(use.getOwner()) &&
             !llvm::is_contained(outputs, use.getOwner());
    });
  }
  whole.replaceAllUsesWith(reduce.getResult());
  sum.erase();
}

void Keeping::run() {
  if (sum.getNumResults() != 1)
    return;
  collect();
  if (pays())
    rewrite();
}
