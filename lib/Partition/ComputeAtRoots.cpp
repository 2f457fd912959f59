// What stands between a reduction and its readers is computed once, at the
// root, and only what they read travels back. All PEs of a line would compute
// the same from the same sums: elementwise ops, folds of what a PE holds,
// views.
//
// An all-reduce takes in the ops behind it that need nothing but its sums and
// what was there before, as long as that costs less: a word on the way back is
// a cycle, and so is what an op takes that the next message does not need, for
// it could be computed while that one is on its way. A value whose readers all
// round it to f16 is rounded at the root, so halves travel, and every reader
// finds the number that it would have rounded to.

#include "waferloom/Algebra/Elementwise.h"
#include "waferloom/Algebra/Scalar.h"
#include "waferloom/Partition/PartitionOpInterfaces.h"
#include "waferloom/Partition/Passes.h"
#include "waferloom/Target/ImageTarget.h"
#include "waferloom/Target/TargetAttr.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SetVector.h"

namespace waferloom::partition {
#define GEN_PASS_DEF_PARTITIONCOMPUTEATROOTS
#include "waferloom/Partition/Passes.h.inc"
} // namespace waferloom::partition

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using wafer::Axis;
using wafer::LayoutAttr;
using wafer::RegionAttr;

/// Whether all PEs along `axes` have the same of a value of this type.
static bool isAlike(Type type, ArrayRef<Axis> axes) {
  LayoutAttr layout = wafer::getLayout(type);
  if (!layout)
    return !isa<ShapedType>(type);
  SmallVector<Axis> used = layout.getSplitAxes();
  llvm::append_range(used, layout.getPartial());
  llvm::append_range(used, layout.getRootAxes());
  return llvm::none_of(
      axes, [&](Axis axis) { return llvm::is_contained(used, axis); });
}

/// Whether `op` is there whatever was computed before: constants, weights, and
/// what folds begin with.
static bool isSource(Operation *op) {
  return isMemoryEffectFree(op) && !op->hasTrait<wafer::Collective>() &&
         llvm::all_of(op->getOperands(), [](Value operand) {
           Operation *def = operand.getDefiningOp();
           return def && def->getNumOperands() == 0 && isMemoryEffectFree(def);
         });
}

/// What `op` reads, its body included.
static llvm::SetVector<Value> readBy(Operation *op) {
  llvm::SetVector<Value> values(op->operand_begin(), op->operand_end());
  getUsedValuesDefinedAbove(op->getRegions(), values);
  return values;
}

namespace {
/// One all-reduce and the ops that it may take in.
class Taking {
public:
  Taking(wafer::AllReduceOp allReduce, RegionAttr region, int64_t issue)
      : allReduce(allReduce), region(region), block(allReduce->getBlock()),
        axes(allReduce.getAxes().getAxes()), issue(issue) {}

  void run();

private:
  void collect();
  bool canTake(Operation &op) const;
  bool isThere(Value value) const;
  bool isRead(Value value) const;
  int64_t elementsOf(Value value) const;
  int64_t wordsOf(Value value) const;
  void findNext();
  int64_t cyclesOf(Operation *op) const;
  int64_t cost();
  bool leaveOut();
  SmallVector<Value> yielded();
  bool areRounded(Value value) const;
  void hoist(Value value);
  wafer::ReduceApplyBroadcastOp create(ArrayRef<Value> read);
  void rewrite();

  wafer::AllReduceOp allReduce;
  RegionAttr region;
  Block *block;
  ArrayRef<Axis> axes;
  int64_t issue;
  llvm::SetVector<Operation *> taken; // in the order of the block
  llvm::DenseSet<Operation *> needed; // by the next message
};

struct PartitionComputeAtRoots
    : partition::impl::PartitionComputeAtRootsBase<PartitionComputeAtRoots> {
  void runOnOperation() override {
    func::FuncOp entry = getOperation();
    RegionAttr region = wafer::getRegion(entry);
    if (!region)
      return; // partition-verify says so
    FailureOr<target::Target> target =
        target::getTarget(entry->getParentOfType<ModuleOp>());
    if (failed(target))
      return signalPassFailure();
    const int64_t issue = target::toImage(*target)->issue_cycles;
    SmallVector<wafer::AllReduceOp> ops;
    entry.walk([&](wafer::AllReduceOp op) { ops.push_back(op); });
    for (wafer::AllReduceOp op : ops)
      Taking(op, region, issue).run();
  }
};
} // namespace

/// Whether `value` is known where the sums are, or can be.
bool Taking::isThere(Value value) const {
  Operation *def = value.getDefiningOp();
  return !def || def->getBlock() != block || def == allReduce ||
         taken.contains(def) || def->isBeforeInBlock(allReduce) ||
         isSource(def);
}

bool Taking::canTake(Operation &op) const {
  if (op.getNumResults() != 1 || !isMemoryEffectFree(&op) ||
      !isa<LayoutOpInterface>(op) || op.hasTrait<wafer::Collective>() ||
      op.hasTrait<OpTrait::IsTerminator>() || isa<LoopLikeOpInterface>(op))
    return false; // what stands in a loop may cross PEs
  auto isAlikeHere = [&](Value value) {
    return isAlike(value.getType(), axes);
  };
  return llvm::any_of(op.getOperands(),
                      [&](Value operand) {
                        Operation *def = operand.getDefiningOp();
                        return def && (def == allReduce || taken.contains(def));
                      }) &&
         llvm::all_of(readBy(&op),
                      [&](Value value) {
                        return isThere(value) && isAlikeHere(value);
                      }) &&
         isAlikeHere(op.getResult(0));
}

void Taking::collect() {
  for (Operation &op : llvm::make_range(
           std::next(Block::iterator(allReduce.getOperation())), block->end()))
    if (canTake(op))
      taken.insert(&op);
}

/// Whether an op outside reads `value`.
bool Taking::isRead(Value value) const {
  return llvm::any_of(value.getUsers(), [&](Operation *user) {
    return !taken.contains(block->findAncestorOpInBlock(*user));
  });
}

/// Whether all that read `value` outside round it.
bool Taking::areRounded(Value value) const {
  return getElementTypeOrSelf(value.getType()).isF32() &&
         llvm::all_of(value.getUses(), [&](OpOperand &use) {
           Operation *reader = use.getOwner();
           auto known = dyn_cast<LayoutOpInterface>(reader);
           return taken.contains(reader) ||
                  (reader->getBlock() == block && known &&
                   known.rounds(use.getOperandNumber()));
         });
}

int64_t Taking::elementsOf(Value value) const {
  auto type = cast<RankedTensorType>(value.getType());
  return llvm::product_of(
      wafer::getLayout(type).getLocalShape(type.getShape(), region));
}

int64_t Taking::wordsOf(Value value) const {
  const int64_t elements = elementsOf(value);
  return areRounded(value) ? (elements + 1) / 2 : elements;
}

/// What the next op that words cross PEs for, or the end, waits for.
void Taking::findNext() {
  Operation *next = allReduce->getNextNode();
  while (next->getNextNode() && !next->hasTrait<wafer::Collective>() &&
         !isa<LoopLikeOpInterface>(next))
    next = next->getNextNode();
  SmallVector<Operation *> todo{next};
  while (!todo.empty()) {
    Operation *reader = todo.pop_back_val();
    reader->walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        if (Operation *def = operand.getDefiningOp();
            def && def->getBlock() == block &&
            allReduce->isBeforeInBlock(def) && needed.insert(def).second)
          todo.push_back(def);
    });
  }
}

/// Issue and elements of what `op` takes of a PE: views take nothing.
int64_t Taking::cyclesOf(Operation *op) const {
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (!generic)
    return 0;
  int64_t most = 0;
  for (Value operand : generic->getOperands())
    if (isa<RankedTensorType>(operand.getType()))
      most = std::max(most, elementsOf(operand));
  return static_cast<int64_t>(algebra::getBodyCycles(generic) *
                              static_cast<double>(issue + most));
}

SmallVector<Value> Taking::yielded() {
  SmallVector<Value> values;
  for (Value sum : allReduce.getResults())
    if (isRead(sum))
      values.push_back(sum);
  for (Operation *op : taken)
    if (isRead(op->getResult(0)))
      values.push_back(op->getResult(0));
  return values;
}

/// Of the way back, and of what it waits for in vain. Words of each element
/// type are a message, which the root and every reader issue.
int64_t Taking::cost() {
  int64_t sum = 0;
  bool halves = false, words = false;
  for (Value value : yielded()) {
    sum += wordsOf(value);
    (areRounded(value) ? halves : words) = true;
  }
  if (halves && words)
    sum += 2 * issue;
  for (Operation *op : taken)
    if (!needed.contains(op))
      sum += cyclesOf(op) / 2;
  return sum;
}

/// Leaves out an op and what needs it, if that costs less.
bool Taking::leaveOut() {
  const int64_t least = cost();
  for (Operation *first : llvm::reverse(taken)) {
    const llvm::SetVector<Operation *> all = taken;
    llvm::DenseSet<Operation *> without{first};
    for (Operation *op : all)
      if (llvm::any_of(op->getOperands(), [&](Value operand) {
            return without.contains(operand.getDefiningOp());
          }))
        without.insert(op);
    taken.remove_if([&](Operation *op) { return without.contains(op); });
    if (cost() < least)
      return true;
    taken = all;
  }
  return false;
}

/// Moves what defines `value` in front of the all-reduce.
void Taking::hoist(Value value) {
  Operation *def = value.getDefiningOp();
  if (!def || def->getBlock() != block || def == allReduce ||
      taken.contains(def) || def->isBeforeInBlock(allReduce))
    return;
  for (Value read : readBy(def))
    hoist(read);
  def->moveBefore(allReduce);
}

/// The op without its body.
wafer::ReduceApplyBroadcastOp Taking::create(ArrayRef<Value> read) {
  OpBuilder builder(allReduce);
  SmallVector<Type> types;
  for (Value value : read) {
    auto type = cast<RankedTensorType>(value.getType());
    types.push_back(areRounded(value)
                        ? RankedTensorType::get(type.getShape(),
                                                builder.getF16Type(),
                                                type.getEncoding())
                        : type);
  }
  auto op = wafer::ReduceApplyBroadcastOp::create(
      builder, allReduce.getLoc(), types, allReduce.getValues(),
      allReduce.getAxesAttr(), allReduce.getCombiner());
  builder.createBlock(
      &op.getBody(), {}, llvm::to_vector(allReduce.getResultTypes()),
      SmallVector<Location>(allReduce.getNumResults(), allReduce.getLoc()));
  return op;
}

void Taking::rewrite() {
  for (Operation *op : taken)
    for (Value value : readBy(op))
      hoist(value);
  const SmallVector<Value> read = yielded();
  auto op = create(read);
  Block *body = op.getBodyBlock();
  auto builder = OpBuilder::atBlockEnd(body);
  for (Operation *inner : taken)
    inner->moveBefore(body, body->end());
  auto isOutside = [&](OpOperand &use) {
    return !op->isAncestor(use.getOwner());
  };
  for (auto [value, result] : llvm::zip_equal(read, op.getResults()))
    for (OpOperand &use : llvm::make_early_inc_range(value.getUses()))
      if (isOutside(use)) {
        if (value.getType() == result.getType())
          use.set(result);
        else
          cast<LayoutOpInterface>(use.getOwner())
              .readHalves(use.getOperandNumber(), result);
      }
  SmallVector<Value> yields;
  for (auto [value, result] : llvm::zip_equal(read, op.getResults()))
    yields.push_back(algebra::convertFloats(
        builder, value, getElementTypeOrSelf(result.getType())));
  wafer::YieldOp::create(builder, op.getLoc(), yields);
  for (auto [sum, argument] :
       llvm::zip_equal(allReduce.getResults(), body->getArguments()))
    sum.replaceAllUsesWith(argument);
  allReduce.erase();
}

void Taking::run() {
  int64_t all = 0;
  for (Value sum : allReduce.getResults())
    all += wordsOf(sum);
  collect();
  findNext();
  while (leaveOut()) {
  }
  if (!taken.empty() && cost() < all)
    rewrite();
}
