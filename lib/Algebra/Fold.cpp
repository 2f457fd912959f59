// Rewrites that change no number. Ops are visited once, in program order, so an
// operand is folded before its readers are: chains of transposes and broadcasts
// end up in one map.

#include "waferloom/Algebra/Passes.h"
#include "waferloom/Algebra/Scalar.h"
#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace waferloom::algebra {
#define GEN_PASS_DEF_ALGEBRAFOLD
#include "waferloom/Algebra/Passes.h.inc"
} // namespace waferloom::algebra

using namespace mlir;
using namespace waferloom;
using namespace waferloom::algebra;

/// A generic with other inputs and maps and the body of `op`; `inputOf` gives
/// for each old input the new one whose element it reads. Replaces `op`.
static linalg::GenericOp
rebuild(linalg::GenericOp op, ArrayRef<Value> inputs, Value init,
        ArrayRef<AffineMap> maps,
        function_ref<void(OpBuilder &, Block &, IRMapping &)> mapArguments) {
  OpBuilder builder(op);
  auto copy =
      linalg::GenericOp::create(builder, op.getLoc(), op.getResult(0).getType(),
                                inputs, init, maps, op.getIteratorTypesArray());
  Block *body = builder.createBlock(&copy.getRegion());
  for (Value value : inputs)
    body->addArgument(getElementTypeOrSelf(value.getType()), value.getLoc());
  body->addArgument(getElementTypeOrSelf(init.getType()), op.getLoc());
  IRMapping map;
  builder.setInsertionPointToEnd(body);
  mapArguments(builder, *body, map);
  for (Operation &inner : *op.getBody())
    builder.clone(inner, map);
  op.getResult(0).replaceAllUsesWith(copy.getResult(0));
  op.erase();
  return copy;
}

/// Puts copies into the maps of their reader, in place.
static void foldCopies(linalg::GenericOp op) {
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  bool changed = false;
  for (OpOperand *operand : op.getDpsInputOperands()) {
    while (auto copy = operand->get().getDefiningOp<linalg::GenericOp>()) {
      if (!isCopy(copy))
        break;
      AffineMap &map = maps[operand->getOperandNumber()];
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
      trial[operand->getOperandNumber()] = composed;
      llvm::SmallBitVector covered(map.getNumDims());
      for (AffineMap each : trial)
        for (AffineExpr expr : each.getResults())
          covered.set(cast<AffineDimExpr>(expr).getPosition());
      if (!covered.all())
        break;
      map = composed;
      operand->set(copy.getInputs().front());
      changed = true;
    }
  }
  if (changed)
    op.setIndexingMapsAttr(
        Builder(op.getContext()).getAffineMapArrayAttr(maps));
}

/// Makes splat inputs constants of the body, and joins inputs that are read
/// twice by the same map.
static linalg::GenericOp simplifyInputs(linalg::GenericOp op) {
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
    return op;
  maps.push_back(oldMaps.back());
  return rebuild(
      op, inputs, op.getDpsInits().front(), maps,
      [&](OpBuilder &builder, Block &body, IRMapping &map) {
        for (auto [source, old] :
             llvm::zip(sources, op.getBody()->getArguments()))
          map.map(old, source.constant
                           ? arith::ConstantOp::create(
                                 builder, op.getLoc(),
                                 getAttribute(old.getType(), *source.constant))
                                 .getResult()
                           : body.getArgument(source.input));
        map.map(op.getBody()->getArguments().back(),
                body.getArguments().back());
      });
}

static Value createEmpty(OpBuilder &builder, Location loc, Value like) {
  auto type = cast<RankedTensorType>(like.getType());
  return tensor::EmptyOp::create(builder, loc, type.getShape(),
                                 type.getElementType());
}

/// Lets a reduction start from its neutral element, and a parallel body read
/// its init as an input.
static void separateInit(linalg::GenericOp op) {
  Value init = op.getDpsInits().front();
  BlockArgument argument = op.getBody()->getArguments().back();
  OpBuilder builder(op);
  Location loc = op.getLoc();
  if (op.getNumReductionLoops() == 0) {
    if (init.getDefiningOp<tensor::EmptyOp>())
      return;
    Value empty = createEmpty(builder, loc, init);
    if (argument.use_empty()) {
      op.getDpsInitsMutable().assign(empty);
      return;
    }
    SmallVector<Value> inputs(op.getInputs());
    inputs.push_back(init);
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    maps.push_back(maps.back());
    rebuild(
        op, inputs, empty, maps, [&](OpBuilder &, Block &body, IRMapping &map) {
          for (auto [i, old] : llvm::enumerate(op.getBody()->getArguments()))
            map.map(old, body.getArgument(i));
        });
    return;
  }
  Value term;
  Fold fold = getFold(op, term);
  Type element = argument.getType();
  double neutral = getNeutral(fold, element);
  if (fold == Fold::None)
    return;
  std::optional<double> start = getNumber(init);
  if (start == neutral && init.getDefiningOp<linalg::FillOp>())
    return;
  Value zero =
      arith::ConstantOp::create(builder, loc, getAttribute(element, neutral));
  Value fresh = linalg::FillOp::create(builder, loc, zero,
                                       createEmpty(builder, loc, init))
                    .getResult(0);
  op.getDpsInitsMutable().assign(fresh);
  if (start == neutral)
    return;
  // What it started from is combined with the result.
  builder.setInsertionPointAfter(op);
  Operation *combine =
      op.getBody()->getTerminator()->getOperand(0).getDefiningOp();
  int64_t rank = cast<RankedTensorType>(init.getType()).getRank();
  AffineMap identity = builder.getMultiDimIdentityMap(rank);
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  auto joined = linalg::GenericOp::create(
      builder, loc, op.getResult(0).getType(),
      ValueRange{op.getResult(0), init}, createEmpty(builder, loc, init),
      ArrayRef<AffineMap>{identity, identity, identity}, iterators,
      [&](OpBuilder &inner, Location loc, ValueRange arguments) {
        Operation *copy = inner.clone(*combine);
        copy->setOperands({arguments[0], arguments[1]});
        linalg::YieldOp::create(inner, loc, copy->getResults());
      });
  op.getResult(0).replaceAllUsesExcept(joined.getResult(0), joined);
}

namespace {
struct AlgebraFold : algebra::impl::AlgebraFoldBase<AlgebraFold> {
  void runOnOperation() override {
    SmallVector<linalg::GenericOp> generics;
    getOperation().walk([&](linalg::GenericOp op) { generics.push_back(op); });
    for (linalg::GenericOp op : generics) {
      if (op->getNumResults() != 1 || !op.hasPureTensorSemantics())
        continue;
      AffineMap in = op.getIndexingMapsArray().front();
      if (isCopy(op) && in == op.getIndexingMapsArray().back() &&
          op.getInputs().front().getType() == op.getResult(0).getType()) {
        op.getResult(0).replaceAllUsesWith(op.getInputs().front());
        continue;
      }
      foldCopies(op);
      separateInit(simplifyInputs(op));
    }
    dropDead();
  }

  /// Users stand behind what they use, so one walk from the end is enough.
  void dropDead() {
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) { ops.push_back(op); });
    for (Operation *op : llvm::reverse(ops))
      if (op->getBlock() && op != getOperation() && isOpTriviallyDead(op))
        op->erase();
  }
};
} // namespace
