#include "Scores.h"

#include "waferloom/Algebra/Scalar.h"
#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/ADT/STLExtras.h"

#include <cmath>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using linalg::GenericOp;

/// Whether `op` scales, or masks by -inf.
static bool scalesOrMasks(Operation &op) {
  const algebra::ScalarKind kind = algebra::getKind(&op);
  if (kind == algebra::ScalarKind::Select)
    return llvm::all_of(op.getOperands().drop_front(), [](Value value) {
      return algebra::getNumber(value).value_or(-INFINITY) == -INFINITY;
    });
  return kind == algebra::ScalarKind::Multiply || op.getNumOperands() == 0 ||
         !op.getResult(0).getType().isF32();
}

static bool adds(Operation *op) {
  return algebra::getKind(op) == algebra::ScalarKind::Add;
}

/// Whether all of `value` are 0 or -inf, as a mask adds them.
static bool isMask(Value value) {
  auto op = value.getDefiningOp<GenericOp>();
  Operation *select =
      op ? op.getBody()->getTerminator()->getOperand(0).getDefiningOp()
         : nullptr;
  return select && !op.getNumReductionLoops() &&
         algebra::getKind(select) == algebra::ScalarKind::Select &&
         llvm::all_of(select->getOperands().drop_front(), [](Value branch) {
           std::optional<double> number = algebra::getNumber(branch);
           return number == 0.0 || number == -INFINITY;
         });
}

/// Whether `argument` is such a mask, and only added.
static bool isAddedMask(GenericOp op, Value argument) {
  auto mask = dyn_cast<BlockArgument>(argument);
  return mask && mask.getArgNumber() < op.getNumDpsInputs() &&
         isMask(op.getInputs()[mask.getArgNumber()]) &&
         llvm::all_of(mask.getUsers(), adds);
}

bool partition::isProduct(Value value) {
  Operation *def = value.getDefiningOp();
  if (auto sum = dyn_cast_or_null<wafer::AllReduceOp>(def))
    return sum.getCombiner() == wafer::Combiner::Sum &&
           isProduct(sum.getValues()[cast<OpResult>(value).getResultNumber()]);
  auto op = dyn_cast_or_null<GenericOp>(def);
  if (!op)
    return false;
  Value term;
  if (op.getNumReductionLoops())
    return algebra::getFold(op, term) == algebra::Fold::Sum &&
           term.getDefiningOp() &&
           algebra::getKind(term.getDefiningOp()) ==
               algebra::ScalarKind::Multiply;
  auto isAdded = [&](Value argument) { return isAddedMask(op, argument); };
  return llvm::all_of(op.getBody()->without_terminator(),
                      [&](Operation &inner) {
                        return scalesOrMasks(inner) ||
                               (adds(&inner) &&
                                llvm::any_of(inner.getOperands(), isAdded));
                      }) &&
         llvm::all_of(op.getRegionInputArgs(), [&](BlockArgument argument) {
           return !argument.getType().isF32() || isAdded(argument) ||
                  isProduct(op.getInputs()[argument.getArgNumber()]);
         });
}
