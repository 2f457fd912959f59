// When ops and values of layers are alike: what rerolling compares.

#include "Sameness.h"

#include "waferloom/Dialect/Wafer/Wafer.h"
#include "waferloom/Partition/PartitionOpInterfaces.h"

#include "mlir/IR/Matchers.h"
#include "mlir/IR/OperationSupport.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;

bool partition::isSource(Operation *op) {
  return getRerolling(op) == Rerolling::Source;
}

/// Do two bodies compute the same? Constants count by their value, wherever
/// they stand; other values from outside are the same ones.
static bool isSameBody(Block &a, Block &b) {
  llvm::DenseMap<Value, Value> known; // of `a` -> of `b`
  auto mark = [&](Value x, Value y) { known[x] = y; };
  auto check = [&](Value x, Value y) {
    Attribute p, q;
    return success(known.lookup(x) == y ||
                   (matchPattern(x, m_Constant(&p)) &&
                    matchPattern(y, m_Constant(&q)) && p == q));
  };
  auto isComputed = [](Operation &op) {
    return !op.hasTrait<OpTrait::ConstantLike>();
  };
  if (a.getArgumentTypes() != b.getArgumentTypes())
    return false;
  for (auto [x, y] : llvm::zip(a.getArguments(), b.getArguments()))
    mark(x, y);
  auto ofA = llvm::make_filter_range(a, isComputed),
       ofB = llvm::make_filter_range(b, isComputed);
  return std::equal(ofA.begin(), ofA.end(), ofB.begin(), ofB.end(),
                    [&](Operation &x, Operation &y) {
                      return OperationEquivalence::isEquivalentTo(
                          &x, &y, check, mark,
                          OperationEquivalence::IgnoreLocations);
                    });
}

bool partition::isSameOp(Operation *a, Operation *b) {
  if (a->getName() != b->getName() ||
      a->getResultTypes() != b->getResultTypes() ||
      a->getOperandTypes() != b->getOperandTypes() ||
      a->getNumRegions() != b->getNumRegions() ||
      (isa<wafer::StoredOpInterface>(a)
           ? a->getDiscardableAttrDictionary() !=
                 b->getDiscardableAttrDictionary()
           : a->getAttrDictionary() != b->getAttrDictionary()))
    return false;
  return llvm::all_of(llvm::zip(a->getRegions(), b->getRegions()),
                      [](auto regions) {
                        auto &[x, y] = regions;
                        return x.hasOneBlock() && y.hasOneBlock() &&
                               isSameBody(x.front(), y.front());
                      });
}

bool partition::sameSource(Operation *a, Operation *b) {
  if (!isSameOp(a, b))
    return false;
  for (auto [x, y] : llvm::zip(a->getOperands(), b->getOperands())) {
    Operation *p = x.getDefiningOp(), *q = y.getDefiningOp();
    if (x == y)
      continue;
    if (!p || !q || !isSource(p) || !isSource(q) || !sameSource(p, q))
      return false;
  }
  return true;
}

bool partition::isSameValue(Value a, Value b) {
  if (a == b)
    return true;
  auto x = dyn_cast<OpResult>(a), y = dyn_cast<OpResult>(b);
  return x && y && x.getResultNumber() == y.getResultNumber() &&
         isMemoryEffectFree(x.getOwner()) &&
         !isa<wafer::StoredOpInterface>(x.getOwner()) &&
         isSameOp(x.getOwner(), y.getOwner()) &&
         llvm::all_of(llvm::zip(x.getOwner()->getOperands(),
                                y.getOwner()->getOperands()),
                      [](auto operands) {
                        auto [p, q] = operands;
                        return isSameValue(p, q);
                      });
}
