// Rewrites that change no number, as patterns on a generic: chains of
// transposes and broadcasts end up in one map, splats in bodies, and reductions
// start from their neutral element.

#include "Patterns.h"

#include "waferloom/Algebra/Passes.h"
#include "waferloom/Algebra/Scalar.h"
#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"

namespace waferloom::algebra {
#define GEN_PASS_DEF_ALGEBRAFOLD
#include "waferloom/Algebra/Passes.h.inc"
} // namespace waferloom::algebra

using namespace mlir;
using namespace waferloom;
using namespace waferloom::algebra;

/// A generic with other inputs and maps and the body of `op`; `inputOf` gives
/// for each old input the new one whose element it reads. Replaces `op`.
static void
rebuild(PatternRewriter &rewriter, linalg::GenericOp op, ArrayRef<Value> inputs,
        Value init, ArrayRef<AffineMap> maps,
        function_ref<void(OpBuilder &, Block &, IRMapping &)> mapArguments) {
  auto copy = linalg::GenericOp::create(rewriter, op.getLoc(),
                                        op.getResult(0).getType(), inputs, init,
                                        maps, op.getIteratorTypesArray());
  Block *body = rewriter.createBlock(&copy.getRegion());
  for (Value value : inputs)
    body->addArgument(getElementTypeOrSelf(value.getType()), value.getLoc());
  body->addArgument(getElementTypeOrSelf(init.getType()), op.getLoc());
  IRMapping map;
  rewriter.setInsertionPointToEnd(body);
  mapArguments(rewriter, *body, map);
  for (Operation &inner : *op.getBody())
    rewriter.clone(inner, map);
  rewriter.replaceOp(op, copy);
}

/// Puts copies into the maps of their reader, in place.
static LogicalResult foldCopies(linalg::GenericOp op,
                                PatternRewriter &rewriter) {
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  SmallVector<Value> inputs(op.getInputs());
  for (auto [i, input] : llvm::enumerate(inputs)) {
    while (auto copy = input.getDefiningOp<linalg::GenericOp>()) {
      if (!isCopy(copy))
        break;
      AffineMap &map = maps[i];
      AffineMap from = copy.getIndexingMapsArray()[0],
                to = copy.getIndexingMapsArray()[1];
      // The copy's loop of result dimension d is our loop map[d].
      SmallVector<AffineExpr> exprs;
      for (AffineExpr expr : from.getResults())
        for (auto [d, loop] : llvm::enumerate(to.getResults()))
          if (loop == expr)
            exprs.push_back(map.getResult(d));
      AffineMap composed =
          AffineMap::get(map.getNumDims(), 0, exprs, op.getContext());
      // A loop that would be on no operand has no extent: keep the copy.
      SmallVector<AffineMap> trial(maps);
      trial[i] = composed;
      llvm::SmallBitVector covered(map.getNumDims());
      for (AffineMap each : trial)
        for (AffineExpr expr : each.getResults())
          covered.set(cast<AffineDimExpr>(expr).getPosition());
      if (!covered.all())
        break;
      map = composed;
      input = copy.getInputs().front();
    }
  }
  if (inputs == SmallVector<Value>(op.getInputs()))
    return failure();
  rewriter.modifyOpInPlace(op, [&] {
    op.getInputsMutable().assign(inputs);
    op.setIndexingMapsAttr(rewriter.getAffineMapArrayAttr(maps));
  });
  return success();
}

/// Makes splat inputs constants of the body, and joins inputs that are read
/// twice by the same map.
static LogicalResult simplifyInputs(linalg::GenericOp op,
                                    PatternRewriter &rewriter) {
  struct Input {
    std::optional<double> constant;
    size_t input = 0;
  };
  SmallVector<AffineMap> oldMaps = op.getIndexingMapsArray(), maps;
  SmallVector<Value> inputs;
  SmallVector<Input> sources;
  llvm::SmallBitVector covered(op.getNumLoops());
  auto cover = [&](AffineMap map) {
    for (AffineExpr expr : map.getResults())
      covered.set(cast<AffineDimExpr>(expr).getPosition());
  };
  cover(oldMaps.back());
  for (auto [value, map] : llvm::zip(op.getInputs(), oldMaps)) {
    Input source;
    source.constant = getNumber(value);
    if (!source.constant) {
      while (source.input < inputs.size() &&
             (inputs[source.input] != value || maps[source.input] != map))
        ++source.input;
      if (source.input == inputs.size()) {
        inputs.push_back(value);
        maps.push_back(map);
        cover(map);
      }
    }
    sources.push_back(source);
  }
  if (inputs.size() == op.getInputs().size() || !covered.all())
    return failure();
  maps.push_back(oldMaps.back());
  rebuild(rewriter, op, inputs, op.getDpsInits().front(), maps,
          [&](OpBuilder &builder, Block &body, IRMapping &map) {
            for (auto [source, old] :
                 llvm::zip(sources, op.getBody()->getArguments()))
              map.map(old, source.constant ? arith::ConstantOp::create(
                                                 builder, op.getLoc(),
                                                 getAttribute(old.getType(),
                                                              *source.constant))
                                                 .getResult()
                                           : body.getArgument(source.input));
            map.map(op.getBody()->getArguments().back(),
                    body.getArguments().back());
          });
  return success();
}

static Value createEmpty(OpBuilder &builder, Location loc, Value like) {
  auto type = cast<RankedTensorType>(like.getType());
  return tensor::EmptyOp::create(builder, loc, type.getShape(),
                                 type.getElementType());
}

/// A parallel op reads its init as an input.
static LogicalResult readInit(linalg::GenericOp op, PatternRewriter &rewriter) {
  Value init = op.getDpsInits().front();
  if (op.getNumReductionLoops() || init.getDefiningOp<tensor::EmptyOp>())
    return failure();
  Value empty = createEmpty(rewriter, op.getLoc(), init);
  if (op.getBody()->getArguments().back().use_empty()) {
    rewriter.modifyOpInPlace(op,
                             [&] { op.getDpsInitsMutable().assign(empty); });
    return success();
  }
  SmallVector<Value> inputs(op.getInputs());
  inputs.push_back(init);
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  maps.push_back(maps.back());
  rebuild(rewriter, op, inputs, empty, maps,
          [&](OpBuilder &, Block &body, IRMapping &map) {
            for (auto [i, old] : llvm::enumerate(op.getBody()->getArguments()))
              map.map(old, body.getArgument(i));
          });
  return success();
}

/// A reduction starts from its neutral element; what it started from is
/// combined with its result.
static LogicalResult startNeutral(linalg::GenericOp op,
                                  PatternRewriter &rewriter) {
  Value init = op.getDpsInits().front();
  BlockArgument argument = op.getBody()->getArguments().back();
  Location loc = op.getLoc();
  Value term;
  Fold fold = getFold(op, term);
  Type element = argument.getType();
  double neutral = getNeutral(fold, element);
  if (fold == Fold::None)
    return failure();
  std::optional<double> start = getNumber(init);
  if (start == neutral && init.getDefiningOp<linalg::FillOp>())
    return failure();
  Value zero =
      arith::ConstantOp::create(rewriter, loc, getAttribute(element, neutral));
  Value fresh = linalg::FillOp::create(rewriter, loc, zero,
                                       createEmpty(rewriter, loc, init))
                    .getResult(0);
  rewriter.modifyOpInPlace(op, [&] { op.getDpsInitsMutable().assign(fresh); });
  if (start == neutral)
    return success();
  rewriter.setInsertionPointAfter(op);
  Operation *combine =
      op.getBody()->getTerminator()->getOperand(0).getDefiningOp();
  int64_t rank = cast<RankedTensorType>(init.getType()).getRank();
  AffineMap identity = rewriter.getMultiDimIdentityMap(rank);
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  auto joined = linalg::GenericOp::create(
      rewriter, loc, op.getResult(0).getType(),
      ValueRange{op.getResult(0), init}, createEmpty(rewriter, loc, init),
      ArrayRef<AffineMap>{identity, identity, identity}, iterators,
      [&](OpBuilder &inner, Location loc, ValueRange arguments) {
        Operation *copy = inner.clone(*combine);
        copy->setOperands({arguments[0], arguments[1]});
        linalg::YieldOp::create(inner, loc, copy->getResults());
      });
  rewriter.replaceAllUsesExcept(op.getResult(0), joined.getResult(0), joined);
  return success();
}

/// A copy that moves nothing is its input.
static LogicalResult dropCopy(linalg::GenericOp op, PatternRewriter &rewriter) {
  if (!isCopy(op) ||
      op.getIndexingMapsArray().front() != op.getIndexingMapsArray().back() ||
      op.getInputs().front().getType() != op.getResult(0).getType())
    return failure();
  rewriter.replaceOp(op, op.getInputs().front());
  return success();
}

/// A rewrite of generics that give one tensor.
template <LogicalResult (*rewrite)(linalg::GenericOp, PatternRewriter &)>
static LogicalResult onTensors(linalg::GenericOp op,
                               PatternRewriter &rewriter) {
  return op->getNumResults() == 1 && op.hasPureTensorSemantics()
             ? rewrite(op, rewriter)
             : failure();
}

namespace {
struct AlgebraFold : algebra::impl::AlgebraFoldBase<AlgebraFold> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    // Copies first: what is left of them is read as they read it.
    patterns.add(onTensors<dropCopy>, 5);
    patterns.add(onTensors<foldCopies>, 4);
    patterns.add(onTensors<simplifyInputs>, 3);
    patterns.add(onTensors<readInit>, 2);
    patterns.add(onTensors<startNeutral>, 1);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns),
                                     keepingOrder())))
      signalPassFailure();
  }
};
} // namespace
