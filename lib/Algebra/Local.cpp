// Fewer instructions in the program of one PE. What is made of values that all
// layers share is made once, in front of their loop: the comparisons of masks
// above all, which planning and the model write into each layer. Masks over
// masks are one then. A product by a constant goes into the sum that reads it,
// for a multiply-add is one instruction; where it scales what was rotated, into
// the sines and cosines that all layers share.

#include "Patterns.h"

#include "waferloom/Algebra/Elementwise.h"
#include "waferloom/Algebra/Passes.h"
#include "waferloom/Algebra/Scalar.h"
#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/LoopInvariantCodeMotionUtils.h"

namespace waferloom::algebra {
#define GEN_PASS_DEF_ALGEBRALOCAL
#include "waferloom/Algebra/Passes.h.inc"
} // namespace waferloom::algebra

using namespace mlir;
using namespace waferloom;
using namespace waferloom::algebra;

/// Does `op` compute elements of one tensor, each by itself?
static bool isElementwise(linalg::GenericOp op) {
  return op && op->getNumResults() == 1 && op.hasPureTensorSemantics() &&
         op.getNumReductionLoops() == 0;
}

/// The elementwise op that computes input `number` of `op`, in the order of its
/// loops and for nobody else; null if it is another one.
static linalg::GenericOp getOwnProducer(linalg::GenericOp op, unsigned number) {
  auto made = op.getInputs()[number].getDefiningOp<linalg::GenericOp>();
  return made && isElementwise(made) && made->hasOneUse() &&
                 made.getIndexingMapsArray().back().isIdentity()
             ? made
             : linalg::GenericOp();
}

static Value getYielded(linalg::GenericOp op) {
  return op.getBody()->getTerminator()->getOperand(0);
}

//===----------------------------------------------------------------------===//
// Products into sums
//===----------------------------------------------------------------------===//

/// a + x * c, the product in a generic of its own that nobody else reads.
static LogicalResult joinProduct(linalg::GenericOp op,
                                 PatternRewriter &rewriter) {
  if (!isElementwise(op))
    return failure();
  for (BlockArgument argument : op.getRegionInputArgs()) {
    linalg::GenericOp made = getOwnProducer(op, argument.getArgNumber());
    if (!made || !argument.hasOneUse() || made.getInputs().size() != 1 ||
        getKind(*argument.user_begin()) != ScalarKind::Add)
      continue;
    Operation *product = getYielded(made).getDefiningOp();
    BlockArgument factor = made.getBody()->getArgument(0);
    if (!product || product->getBlock() != made.getBody() ||
        getKind(product) != ScalarKind::Multiply ||
        !argument.getType().isF32() || !factor.getType().isF32())
      continue;
    const unsigned side = product->getOperand(0) == factor ? 1 : 0;
    std::optional<double> constant = getNumber(product->getOperand(side));
    if (!constant || product->getOperand(1 - side) != factor)
      continue;
    rewriter.setInsertionPointToStart(op.getBody());
    Value number = arith::ConstantOp::create(
        rewriter, made.getLoc(), getAttribute(factor.getType(), *constant));
    Value scaled =
        arith::MulFOp::create(rewriter, made.getLoc(), argument, number);
    rewriter.replaceAllUsesExcept(argument, scaled, scaled.getDefiningOp());
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    AffineMap &map = maps[argument.getArgNumber()];
    map = made.getIndexingMapsArray().front().compose(map);
    rewriter.modifyOpInPlace(op, [&] {
      op.setIndexingMapsAttr(rewriter.getAffineMapArrayAttr(maps));
      op.getInputsMutable()
          .slice(argument.getArgNumber(), 1)
          .assign(made.getInputs().front());
    });
    return success();
  }
  return failure();
}

//===----------------------------------------------------------------------===//
// What all trips share
//===----------------------------------------------------------------------===//

static bool isOutside(Value value, Region &loop) {
  return !loop.isAncestor(value.getParentRegion());
}

/// Whether `op` may stand in front of the loop that it stands in, if what it
/// reads does: a computation of tensors, no message, nothing that lies in
/// memory trip by trip.
static bool mayStandOnce(Operation *op) {
  return isMemoryEffectFree(op) && !op->hasTrait<wafer::Collective>() &&
         !isa<wafer::StoredOpInterface>(op) &&
         !op->hasTrait<OpTrait::IsTerminator>();
}

namespace {
/// Values of a body that are made of inputs from outside of a loop alone, all
/// of them read in one order.
struct Shared {
  linalg::GenericOp op;
  Region &loop;
  llvm::DenseMap<Operation *, AffineMap> maps; ///< null: constants

  Shared(linalg::GenericOp op, Region &loop);
  /// A generic in front of the loop that computes `value`.
  Value createOnce(OpBuilder &builder, Operation *value);
};
} // namespace

Shared::Shared(linalg::GenericOp op, Region &loop) : op(op), loop(loop) {
  for (Operation &inner : op.getBody()->without_terminator()) {
    AffineMap map;
    bool fits = inner.getNumResults() == 1;
    auto read = [&](AffineMap other) {
      fits = fits && (!map || !other || map == other);
      if (!map)
        map = other;
    };
    for (Value operand : inner.getOperands()) {
      auto argument = dyn_cast<BlockArgument>(operand);
      if (!argument) {
        auto known = maps.find(operand.getDefiningOp());
        fits = fits && (known != maps.end() ||
                        operand.getParentBlock() != op.getBody());
        read(known != maps.end() ? known->second : AffineMap());
        continue;
      }
      OpOperand *whole = op.getMatchingOpOperand(argument);
      fits = fits && !op.isDpsInit(whole) && isOutside(whole->get(), loop);
      read(op.getMatchingIndexingMap(whole));
    }
    if (fits)
      maps[&inner] = map;
  }
}

Value Shared::createOnce(OpBuilder &builder, Operation *value) {
  SmallVector<Operation *> steps{value};
  llvm::SetVector<BlockArgument> arguments;
  for (size_t i = 0; i < steps.size(); ++i)
    for (Value operand : steps[i]->getOperands())
      if (auto argument = dyn_cast<BlockArgument>(operand))
        arguments.insert(argument);
      else if (operand.getParentBlock() == op.getBody())
        steps.push_back(operand.getDefiningOp());
  SmallVector<Value> inputs;
  for (BlockArgument argument : arguments)
    inputs.push_back(op.getMatchingOpOperand(argument)->get());
  auto like = cast<RankedTensorType>(inputs.front().getType());
  return createElementwise(builder, value->getLoc(),
                           like.clone(value->getResult(0).getType()), inputs,
                           [&](OpBuilder &inner, ValueRange made) {
                             IRMapping mapping;
                             for (auto [argument, replacement] :
                                  llvm::zip_equal(arguments, made))
                               mapping.map(argument, replacement);
                             for (Operation &step : *op.getBody())
                               if (llvm::is_contained(steps, &step))
                                 inner.clone(step, mapping);
                             return mapping.lookup(value->getResult(0));
                           })
      .getResult(0);
}

/// Lets `op` read as an input what a part of its body made of shared values.
static void readOnce(linalg::GenericOp op, Region &loop) {
  Shared shared(op, loop);
  SmallVector<Operation *> ends;
  for (Operation &inner : op.getBody()->without_terminator()) {
    auto known = shared.maps.find(&inner);
    if (known != shared.maps.end() && known->second &&
        llvm::any_of(inner.getUsers(), [&](Operation *user) {
          return !shared.maps.contains(user);
        }))
      ends.push_back(&inner);
  }
  OpBuilder builder(loop.getParentOp());
  for (Operation *end : ends) {
    Value once = shared.createOnce(builder, end);
    const auto count = static_cast<unsigned>(op.getInputs().size());
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    maps.insert(maps.begin() + count, shared.maps[end]);
    op.getInputsMutable().append(once);
    op.setIndexingMapsAttr(builder.getAffineMapArrayAttr(maps));
    BlockArgument argument = op.getBody()->insertArgument(
        count, end->getResult(0).getType(), end->getLoc());
    end->getResult(0).replaceAllUsesWith(argument);
  }
  if (ends.empty())
    return;
  SmallVector<Operation *> body;
  for (Operation &inner : op.getBody()->without_terminator())
    body.push_back(&inner);
  for (Operation *inner : llvm::reverse(body))
    if (inner->use_empty())
      inner->erase();
}

/// Moves what `body`, in `loop` or its own, computes of values from outside of
/// `loop` in front of it.
static void hoist(Region &body, Region &loop) {
  moveLoopInvariantCode(
      {&body}, [&](Value value, Region *) { return isOutside(value, loop); },
      [](Operation *op, Region *) { return mayStandOnce(op); },
      [&](Operation *op, Region *) { op->moveBefore(loop.getParentOp()); });
}

/// The bodies of a loop: its own, and what is computed at roots.
static SmallVector<Region *> getBodies(wafer::RepeatOp loop) {
  SmallVector<Region *> bodies{&loop.getBody()};
  for (auto both : loop.getBody().getOps<wafer::ReduceApplyBroadcastOp>())
    bodies.push_back(&both.getBody());
  return bodies;
}

//===----------------------------------------------------------------------===//
// Products into what all trips share
//===----------------------------------------------------------------------===//

namespace {
/// Sums of products, each with a factor from outside of a loop, and what only
/// moves them: times a constant if the factors are.
class ScaledFactors {
public:
  ScaledFactors(Region &loop, double constant)
      : loop(loop), constant(constant) {}

  /// Whether `value` is one that nobody else reads.
  bool match(Value value);
  void rewrite(OpBuilder &builder);

private:
  bool matchSum(linalg::GenericOp op);

  Region &loop;
  double constant;
  SmallVector<OpOperand *> factors;
};
} // namespace

bool ScaledFactors::matchSum(linalg::GenericOp op) {
  Operation *last =
      isElementwise(op) ? getYielded(op).getDefiningOp() : nullptr;
  if (!last || op.getInputs().size() != 2 || last->getNumOperands() != 2 ||
      &op.getBody()->front() != last || !last->getResult(0).getType().isF32() ||
      !llvm::all_of(last->getOperands(), llvm::IsaPred<BlockArgument>) ||
      last->getOperand(0) == last->getOperand(1))
    return false;
  const ScalarKind kind = getKind(last);
  if (kind == ScalarKind::Add || kind == ScalarKind::Subtract)
    return llvm::all_of(op.getInputs(), [&](Value v) { return match(v); });
  if (kind != ScalarKind::Multiply)
    return false;
  for (OpOperand *factor : op.getDpsInputOperands())
    if (isOutside(factor->get(), loop) &&
        getElementTypeOrSelf(factor->get().getType()).isF32()) {
      factors.push_back(factor);
      return true;
    }
  return false;
}

bool ScaledFactors::match(Value value) {
  Operation *def = value.getDefiningOp();
  if (!def || !value.hasOneUse() || isOutside(value, loop))
    return false;
  if (auto op = dyn_cast<linalg::GenericOp>(def))
    return matchSum(op);
  return isa<tensor::TensorDialect>(def->getDialect()) &&
         def->getNumOperands() > 0 &&
         llvm::all_of(def->getOperands(), [&](Value v) { return match(v); });
}

void ScaledFactors::rewrite(OpBuilder &builder) {
  builder.setInsertionPoint(loop.getParentOp());
  for (OpOperand *factor : factors) {
    auto type = cast<RankedTensorType>(factor->get().getType());
    const Location loc = factor->getOwner()->getLoc();
    factor->set(createElementwise(builder, loc, type, factor->get(),
                                  [&](OpBuilder &b, ValueRange arguments) {
                                    Value number = arith::ConstantOp::create(
                                        b, loc, b.getF32FloatAttr(constant));
                                    return arith::MulFOp::create(
                                        b, loc, arguments[0], number);
                                  })
                    .getResult(0));
  }
}

/// The scale of scores goes into the tables of a rotation: made once, not once
/// per layer.
static void scaleOnce(linalg::GenericOp op, Region &loop) {
  if (!isElementwise(op) || op.getInputs().size() != 1 ||
      !op.getIndexingMapsArray().front().isIdentity() ||
      !op.getIndexingMapsArray().back().isIdentity())
    return;
  auto product = getYielded(op).getDefiningOp<arith::MulFOp>();
  Value argument = op.getBody()->getArgument(0);
  if (!product || !argument.getType().isF32() || !argument.hasOneUse())
    return;
  const unsigned side = product.getLhs() == argument ? 1 : 0;
  std::optional<double> constant = getNumber(product->getOperand(side));
  if (!constant || product->getOperand(1 - side) != argument)
    return;
  ScaledFactors scaled(loop, *constant);
  Value rotated = op.getInputs().front();
  if (!scaled.match(rotated))
    return;
  OpBuilder builder(op);
  scaled.rewrite(builder);
  op.getResult(0).replaceAllUsesWith(rotated);
  op.erase();
}

//===----------------------------------------------------------------------===//
// Masks over masks
//===----------------------------------------------------------------------===//

namespace {
/// `condition ? value : other`, all of a generic.
struct Mask {
  linalg::GenericOp op;
  OpOperand *condition = nullptr, *value = nullptr;
  double other = 0;
};
} // namespace

static std::optional<Mask> getMask(linalg::GenericOp op) {
  if (!isElementwise(op) || op.getInputs().size() != 2 ||
      !op.getIndexingMapsArray().back().isIdentity())
    return std::nullopt;
  Operation *select = getYielded(op).getDefiningOp();
  if (!select || select->getBlock() != op.getBody() ||
      getKind(select) != ScalarKind::Select)
    return std::nullopt;
  auto condition = dyn_cast<BlockArgument>(select->getOperand(0));
  auto value = dyn_cast<BlockArgument>(select->getOperand(1));
  std::optional<double> other = getNumber(select->getOperand(2));
  if (!condition || !value || !other)
    return std::nullopt;
  return Mask{op, op.getMatchingOpOperand(condition),
              op.getMatchingOpOperand(value), *other};
}

/// Both masks as one, in front of `loop`, and where the loops of `op` find it:
/// a mask of heads and one of their elements are one of both.
static std::pair<Value, AffineMap>
createBoth(PatternRewriter &rewriter, linalg::GenericOp op,
           wafer::RepeatOp loop, ArrayRef<std::pair<Value, AffineMap>> masks) {
  SmallVector<AffineExpr> dims;
  SmallVector<int64_t> shape;
  const SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  for (unsigned d = 0; d < op.getNumLoops(); ++d)
    if (llvm::any_of(masks, [&](const auto &mask) {
          return mask.second.isFunctionOfDim(d);
        })) {
      dims.push_back(rewriter.getAffineDimExpr(d));
      shape.push_back(ranges[d]);
    }
  const AffineMap found =
      AffineMap::get(op.getNumLoops(), 0, dims, rewriter.getContext());
  SmallVector<AffineMap> maps;
  for (const auto &[value, map] : masks) {
    SmallVector<AffineExpr> own;
    for (AffineExpr expr : map.getResults())
      own.push_back(rewriter.getAffineDimExpr(
          static_cast<unsigned>(llvm::find(dims, expr) - dims.begin())));
    maps.push_back(AffineMap::get(static_cast<unsigned>(dims.size()), 0, own,
                                  rewriter.getContext()));
  }
  maps.push_back(rewriter.getMultiDimIdentityMap(unsigned(dims.size())));
  rewriter.setInsertionPoint(loop);
  auto type = cast<RankedTensorType>(masks.front().first.getType());
  Value both = createElementwise(
                   rewriter, op.getLoc(),
                   RankedTensorType::get(shape, type.getElementType()),
                   {masks[0].first, masks[1].first}, maps,
                   [&](OpBuilder &builder, ValueRange conditions) {
                     return arith::AndIOp::create(builder, op.getLoc(),
                                                  conditions[0], conditions[1]);
                   })
                   .getResult(0);
  return {both, found};
}

/// b ? (a ? x : c) : c is (a and b) ? x : c: one instruction for two, where
/// both masks are the same in all trips.
static LogicalResult joinMasks(linalg::GenericOp op,
                               PatternRewriter &rewriter) {
  auto loop = op->getParentOfType<wafer::RepeatOp>();
  std::optional<Mask> outer = loop ? getMask(op) : std::nullopt;
  std::optional<Mask> inner =
      outer ? getMask(getOwnProducer(op, outer->value->getOperandNumber()))
            : std::nullopt;
  if (!inner || inner->other != outer->other ||
      !op.getMatchingIndexingMap(outer->value).isIdentity())
    return failure();
  const std::pair<Value, AffineMap> conditions[] = {
      {inner->condition->get(),
       inner->op.getMatchingIndexingMap(inner->condition)},
      {outer->condition->get(), op.getMatchingIndexingMap(outer->condition)}};
  for (const auto &[value, map] : conditions)
    if (!isOutside(value, loop.getBody()) || !map.isProjectedPermutation())
      return failure();
  const std::pair<Value, AffineMap> both =
      createBoth(rewriter, op, loop, conditions);
  SmallVector<AffineMap> own = op.getIndexingMapsArray();
  own[outer->value->getOperandNumber()] =
      inner->op.getMatchingIndexingMap(inner->value);
  own[outer->condition->getOperandNumber()] = both.second;
  rewriter.modifyOpInPlace(op, [&] {
    op.setIndexingMapsAttr(rewriter.getAffineMapArrayAttr(own));
    outer->condition->set(both.first);
    outer->value->set(inner->value->get());
  });
  return success();
}

namespace {
struct AlgebraLocal : algebra::impl::AlgebraLocalBase<AlgebraLocal> {
  void runOnOperation() override {
    RewritePatternSet products(&getContext()), masks(&getContext());
    products.add(joinProduct);
    linalg::populateEraseUnnecessaryInputsPatterns(masks);
    masks.add(joinMasks);
    if (failed(applyPatternsGreedily(getOperation(), std::move(products),
                                     keepingOrder())))
      return signalPassFailure();
    SmallVector<wafer::RepeatOp> loops;
    getOperation().walk([&](wafer::RepeatOp op) { loops.push_back(op); });
    for (wafer::RepeatOp loop : loops)
      for (Region *body : getBodies(loop)) {
        // What becomes outside lets more be so.
        hoist(*body, loop.getBody());
        for (auto op :
             llvm::make_early_inc_range(body->getOps<linalg::GenericOp>())) {
          readOnce(op, loop.getBody());
          scaleOnce(op, loop.getBody());
        }
      }
    if (failed(applyPatternsGreedily(getOperation(), std::move(masks),
                                     keepingOrder())))
      signalPassFailure();
  }
};
} // namespace
