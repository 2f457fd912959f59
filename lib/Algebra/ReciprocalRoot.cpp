// 1 / sqrt(x + c) with c > 0 and an x that is never negative becomes one
// reciprocal root. The machine has no instruction for a root and computes it
// from the reciprocal root, so a division by it would compute the reciprocal
// twice. Where x + c may be 0 or less nothing is rewritten: the quotient is
// infinite there or not a number, the computed reciprocal root is neither.

#include "Patterns.h"

#include "waferloom/Algebra/Passes.h"
#include "waferloom/Algebra/Scalar.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace waferloom::algebra {
#define GEN_PASS_DEF_ALGEBRARECIPROCALROOT
#include "waferloom/Algebra/Passes.h.inc"
} // namespace waferloom::algebra

using namespace mlir;
using namespace waferloom;
using namespace waferloom::algebra;

/// The one op of a parallel body on the input with the result's map, or null.
static Operation *getOnlyOp(linalg::GenericOp op) {
  if (!op || op.getNumReductionLoops() || op->getNumResults() != 1 ||
      op.getInputs().size() != 1 ||
      op.getIndexingMapsArray().front() != op.getIndexingMapsArray().back())
    return nullptr;
  Operation *only = nullptr;
  for (Operation &inner : op.getBody()->without_terminator()) {
    if (isa<arith::ConstantOp>(inner))
      continue;
    if (only)
      return nullptr;
    only = &inner;
  }
  return only && only->getNumResults() == 1 &&
                 op.getBody()->getTerminator()->getOperand(0) ==
                     only->getResult(0)
             ? only
             : nullptr;
}

static linalg::GenericOp getProducer(linalg::GenericOp op) {
  return op.getInputs().front().getDefiningOp<linalg::GenericOp>();
}

static bool isAtLeastZero(Value value, unsigned depth);

/// The tensor that `value` is another shape of, or `value`.
static Value throughShapes(Value value) {
  while (isa_and_nonnull<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(
      value.getDefiningOp()))
    value = value.getDefiningOp()->getOperand(0);
  return value;
}

/// Of a value inside of a body: a square, or made of such in a way that keeps
/// it from becoming negative.
static bool isScalarAtLeastZero(Operation *op, unsigned depth) {
  auto isSo = [&](Value value) { return isAtLeastZero(value, depth); };
  switch (getKind(op)) {
  case ScalarKind::Multiply:
    return op->getOperand(0) == op->getOperand(1) ||
           llvm::all_of(op->getOperands(), isSo);
  case ScalarKind::Add:
  case ScalarKind::Divide:
  case ScalarKind::Minimum:
  case ScalarKind::Widen:
  case ScalarKind::Narrow:
    return llvm::all_of(op->getOperands(), isSo);
  case ScalarKind::Maximum:
    return llvm::any_of(op->getOperands(), isSo);
  default:
    return false;
  }
}

/// Is `value`, a scalar of a body or a whole tensor, at least 0 or NaN
/// whatever the inputs are? Looks back a bounded number of ops.
static bool isAtLeastZero(Value value, unsigned depth = 16) {
  value = throughShapes(value);
  if (std::optional<double> number = getNumber(value))
    return *number >= 0;
  if (depth == 0)
    return false;
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    auto op = dyn_cast<linalg::GenericOp>(argument.getOwner()->getParentOp());
    return op && argument.getArgNumber() < op.getInputs().size() &&
           isAtLeastZero(op.getInputs()[argument.getArgNumber()], depth - 1);
  }
  Operation *op = value.getDefiningOp();
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (!generic)
    return isScalarAtLeastZero(op, depth - 1);
  if (!generic.getNumReductionLoops())
    return isAtLeastZero(generic.getBody()->getTerminator()->getOperand(
                             cast<OpResult>(value).getResultNumber()),
                         depth - 1);
  Value term;
  return getFold(generic, term) == Fold::Sum &&
         isAtLeastZero(term, depth - 1) &&
         isAtLeastZero(generic.getOutputs().front(), depth - 1);
}

/// Does `value` come out of an addition of a positive constant and of what is
/// never negative?
static bool isPositive(Value value) {
  auto add = value.getDefiningOp<arith::AddFOp>();
  if (!add)
    return false;
  for (unsigned side : {0, 1})
    if (getNumber(add->getOperand(side)).value_or(0) > 0 &&
        isAtLeastZero(add->getOperand(1 - side)))
      return true;
  return false;
}

/// In one body, as fused operators of a norm are lowered.
static LogicalResult joinInBody(arith::DivFOp div, PatternRewriter &rewriter) {
  auto root = div.getRhs().getDefiningOp<math::SqrtOp>();
  if (getNumber(div.getLhs()) != 1.0 || !root || !isPositive(root.getOperand()))
    return failure();
  rewriter.replaceOpWithNewOp<math::RsqrtOp>(div, root.getOperand(),
                                             div.getFastmath());
  return success();
}

/// As three generics, each of one op.
static LogicalResult joinGenerics(linalg::GenericOp op,
                                  PatternRewriter &rewriter) {
  auto div = dyn_cast_or_null<arith::DivFOp>(getOnlyOp(op));
  if (!div || getNumber(div.getLhs()) != 1.0)
    return failure();
  linalg::GenericOp root = getProducer(op);
  if (!isa_and_nonnull<math::SqrtOp>(getOnlyOp(root)) ||
      root.getIndexingMapsArray() != op.getIndexingMapsArray())
    return failure();
  Operation *sum = getOnlyOp(getProducer(root));
  if (!sum || !isPositive(sum->getResult(0)))
    return failure();
  rewriter.setInsertionPoint(div);
  rewriter.replaceOpWithNewOp<math::RsqrtOp>(div, op.getBody()->getArgument(0),
                                             div.getFastmath());
  rewriter.modifyOpInPlace(
      op, [&] { op.getInputsMutable().assign(root.getInputs()); });
  return success();
}

/// What `op` multiplies its input by, if that is all it does.
static std::optional<double> getShare(linalg::GenericOp op) {
  Operation *product = getOnlyOp(op);
  if (!product || getKind(product) != ScalarKind::Multiply)
    return std::nullopt;
  std::optional<double> left = getNumber(product->getOperand(0));
  return left ? left : getNumber(product->getOperand(1));
}

/// rsqrt(x + c) with x = y * d in another generic: the product goes into the
/// body, where it and the sum are one instruction.
static LogicalResult pullMean(math::RsqrtOp root, PatternRewriter &rewriter) {
  Operation *sum = root.getOperand().getDefiningOp();
  auto op = dyn_cast<linalg::GenericOp>(root->getParentOp());
  if (!sum || getKind(sum) != ScalarKind::Add || !op ||
      op.getInputs().size() != 1)
    return failure();
  linalg::GenericOp mean = getProducer(op);
  std::optional<double> share = getShare(mean);
  BlockArgument argument = op.getBody()->getArgument(0);
  if (!share || !mean->hasOneUse() || !argument.hasOneUse() ||
      !llvm::is_contained(sum->getOperands(), argument) ||
      mean.getIndexingMapsArray() != op.getIndexingMapsArray())
    return failure();
  rewriter.setInsertionPoint(sum);
  Value constant = arith::ConstantOp::create(
      rewriter, mean.getLoc(), getAttribute(argument.getType(), *share));
  Value scaled =
      arith::MulFOp::create(rewriter, mean.getLoc(), argument, constant);
  rewriter.replaceAllUsesExcept(argument, scaled, scaled.getDefiningOp());
  rewriter.modifyOpInPlace(
      op, [&] { op.getInputsMutable().assign(mean.getInputs()); });
  return success();
}

namespace {
struct AlgebraReciprocalRoot
    : algebra::impl::AlgebraReciprocalRootBase<AlgebraReciprocalRoot> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add(joinInBody);
    patterns.add(joinGenerics);
    patterns.add(pullMean);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns),
                                     keepingOrder())))
      signalPassFailure();
  }
};
} // namespace
