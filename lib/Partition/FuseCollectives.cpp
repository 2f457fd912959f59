// Collectives of one depth travel together. The depth of an op is the largest
// number of all-reduces on a path to it; two all-reduces of one depth never
// depend on each other. Sorting a block by depth puts all products of a depth
// before all users of their all-reduces, and then all-reduces of one depth,
// axes and combiner become one op: a Llama layer has 12 all-reduces and 6 to 8
// messages.

#include "Write.h"

#include "waferloom/Partition/PartitionOpInterfaces.h"

#include "mlir/Interfaces/LoopLikeInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;

/// Are results of `op` there only behind messages?
static bool endsDepth(Operation *op) {
  return isa<wafer::AllReduceOp, wafer::SendRecvOp, LoopLikeOpInterface>(op);
}

/// Depths of the ops of `block`. An all-reduce counts for its readers only.
static llvm::DenseMap<Operation *, int> getDepths(Block &block) {
  llvm::DenseMap<Operation *, int> depths;
  for (Operation &op : block) {
    int depth = 0;
    // What a nested op reads, its parent in this block reads.
    op.walk([&](Operation *inner) {
      for (Value operand : inner->getOperands()) {
        Operation *source = operand.getDefiningOp();
        if (!source || source->getBlock() != &block)
          continue;
        int behind = endsDepth(source) ? 1 : 0;
        depth = std::max(depth, depths[source] + behind);
      }
    });
    // A state that is read and then written keeps that order.
    for (Value operand : op.getOperands())
      if (mlir::hasEffect<MemoryEffects::Write>(&op, operand))
        for (Operation *reader : operand.getUsers())
          if (reader->getBlock() == &block && depths.count(reader))
            depth = std::max(depth, depths[reader]);
    depths[&op] = depth;
  }
  return depths;
}

static void join(MutableArrayRef<wafer::AllReduceOp> message) {
  if (message.size() == 1)
    return;
  SmallVector<Value> values;
  SmallVector<Type> types;
  SmallVector<Location> locs;
  for (wafer::AllReduceOp op : message) {
    llvm::append_range(values, op.getValues());
    llvm::append_range(types, op.getResults().getTypes());
    locs.push_back(op.getLoc());
  }
  OpBuilder builder(message.back());
  auto joined = wafer::AllReduceOp::create(
      builder, FusedLoc::get(builder.getContext(), locs), types, values,
      message.front().getAxesAttr(), message.front().getCombiner());
  unsigned next = 0;
  for (wafer::AllReduceOp op : message) {
    for (Value result : op.getResults())
      result.replaceAllUsesWith(joined.getResult(next++));
    op.erase();
  }
}

void partition::fuseAllReduces(Block &block, bool fusedCollectives) {
  llvm::DenseMap<Operation *, int> depths = getDepths(block);
  // By depth; at one depth, first what computes, then what reduces, in the old
  // order. Constants and inits stay before their first reader.
  struct Entry {
    Operation *op;
    int depth, phase;
    size_t index;
  };
  SmallVector<Entry> entries;
  for (Operation &op : block.without_terminator())
    entries.push_back(
        {&op, depths[&op], endsDepth(&op) ? 1 : 0, entries.size()});
  llvm::sort(entries, [](const Entry &a, const Entry &b) {
    return std::tie(a.depth, a.phase, a.index) <
           std::tie(b.depth, b.phase, b.index);
  });
  for (const Entry &entry : entries)
    entry.op->moveBefore(block.getTerminator());

  using Key = std::tuple<int, Attribute, int>;
  llvm::MapVector<Key, SmallVector<wafer::AllReduceOp>> messages;
  for (const Entry &entry : entries)
    if (auto allReduce = dyn_cast<wafer::AllReduceOp>(entry.op);
        allReduce && fusedCollectives)
      messages[Key(entry.depth, allReduce.getAxesAttr(),
                   static_cast<int>(allReduce.getCombiner()))]
          .push_back(allReduce);
  for (auto &[key, message] : messages)
    join(message);

  // What reads nothing stands directly before its first reader: its buffer is
  // not held from the beginning of the entry.
  SmallVector<Operation *> sources;
  for (Operation &op : block.without_terminator())
    if (op.getNumResults() && isMemoryEffectFree(&op) &&
        (op.getNumOperands() == 0 || getRerolling(&op) == Rerolling::Source))
      sources.push_back(&op);
  llvm::DenseMap<Operation *, size_t> order;
  size_t index = 0;
  for (Operation &op : block)
    order[&op] = index++;
  for (Operation *source : llvm::reverse(sources)) {
    Operation *first = nullptr;
    for (Operation *user : source->getUsers()) {
      Operation *ancestor = block.findAncestorOpInBlock(*user);
      if (ancestor && (!first || order[ancestor] < order[first]))
        first = ancestor;
    }
    if (first) {
      source->moveBefore(first);
      order[source] = order[first];
    }
  }
}
