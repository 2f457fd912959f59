#include "Readers.h"

#include "waferloom/Dialect/Wafer/Local.h"

using namespace mlir;
using namespace waferloom;
using codegen::Lines;
using codegen::Readers;

Readers::Readers(int64_t width, int64_t height)
    : all{llvm::BitVector(static_cast<unsigned>(width), true),
          llvm::BitVector(static_cast<unsigned>(height), true)} {}

/// The root of the group that position `at` of a line is in.
static unsigned rootOf(fabric::CollectiveOpInterface op, unsigned at) {
  const auto stride = static_cast<unsigned>(op.getLine().getStride());
  const auto extent = static_cast<unsigned>(op.getLine().getLength()) * stride;
  return at / extent * extent + static_cast<unsigned>(op.getRoot()) * stride +
         at % stride;
}

/// The roots of the groups that have one of `positions`.
static llvm::BitVector rootsOf(fabric::CollectiveOpInterface op,
                               const llvm::BitVector &positions) {
  llvm::BitVector roots(positions.size());
  for (unsigned at : positions.set_bits())
    roots.set(rootOf(op, at));
  return roots;
}

Lines Readers::readBy(OpOperand &use) {
  Operation *op = use.getOwner();
  auto message = dyn_cast<fabric::CollectiveOpInterface>(op);
  if (!message)
    return wafer::isLocal(op) && op->getNumResults() != 0 ? of(op) : all;
  const fabric::Direction direction = message.getLine().getDirection();
  Lines lines = of(op->getResult(use.getOperandNumber()));
  llvm::BitVector &along = lines.along(direction);
  along = isa<fabric::BroadcastOp>(op) ? rootsOf(message, along)
                                       : all.along(direction);
  return lines;
}

const Lines &Readers::of(Value value) {
  if (auto found = known.find(value); found != known.end())
    return found->second;
  Lines lines{llvm::BitVector(all.columns.size()),
              llvm::BitVector(all.rows.size())};
  for (OpOperand &use : value.getUses())
    lines |= readBy(use);
  if (value.use_empty())
    lines = all;
  return known[value] = std::move(lines);
}

Lines Readers::of(Operation *op) {
  Lines lines = of(op->getResult(0));
  for (Value result : op->getResults().drop_front())
    lines |= of(result);
  return lines;
}

Lines Readers::partsIn(fabric::CollectiveOpInterface op) {
  Lines lines = of(op.getOperation());
  llvm::BitVector &along = lines.along(op.getLine().getDirection());
  const llvm::BitVector roots = rootsOf(op, along);
  for (unsigned at = 0; at < along.size(); ++at)
    if (roots.test(rootOf(op, at)))
      along.set(at);
  return lines;
}

bool Readers::areRoots(fabric::BroadcastOp op) {
  const llvm::BitVector along =
      of(op.getOperation()).along(op.getLine().getDirection());
  return llvm::all_of(along.set_bits(),
                      [&](unsigned at) { return rootOf(op, at) == at; });
}
