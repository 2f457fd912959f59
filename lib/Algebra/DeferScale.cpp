// (u * s) . W = (u . W) * s when no loop that the product contracts is one of
// s. A norm's factor and a softmax's denominator are such an s, and both come
// out of a reduction over what they scale: carried out first, that reduction is
// a message of its own in front of the product. Behind the product it is
// partial together with the product's own sum, and both travel as one.
//
// The rewrite follows a scaled value through products with other factors (the
// norm's gain) to the contractions that read it. One reader that is none of
// these needs the scaled value anyway: then nothing is gained and nothing is
// changed.
//
// Overflow. In f32, a norm's sum u^2 does not overflow, so |u| < 2^64; u . W
// overflows only where a column of gains and weights has a sum of absolute
// values above 2^64. With a softmax, 0 <= u <= 1, and u . V is at most the
// number of positions times the largest |V|. A factor that is rounded to f16 is
// HalfFactors.cpp's business.

#include "HalfFactors.h"

#include "waferloom/Algebra/Elementwise.h"
#include "waferloom/Algebra/Passes.h"
#include "waferloom/Algebra/Scalar.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace waferloom::algebra {
#define GEN_PASS_DEF_ALGEBRADEFERSCALE
#include "waferloom/Algebra/Passes.h.inc"
} // namespace waferloom::algebra

using namespace mlir;
using namespace waferloom;
using namespace waferloom::algebra;

namespace {
using Dims = SmallVector<unsigned>;

/// A value that carries the scale; scaleDims[i] is the dimension of the value
/// that dimension i of the scale runs along.
struct Scaled {
  Value value;
  Dims scaleDims;
};

/// A contraction behind which the scale can go; scaleDims as above, of its
/// result.
struct Target {
  linalg::GenericOp op;
  Dims scaleDims;
  unsigned operand; ///< the scaled one
};

/// All that one scaled value reaches.
struct Reach {
  SmallVector<Target> targets;
  SmallVector<linalg::GenericOp> products; ///< with other factors, on the way
  int64_t elements = 0;                    ///< of the targets' results
};
} // namespace

static unsigned getLoop(AffineMap map, unsigned dim) {
  return cast<AffineDimExpr>(map.getResult(dim)).getPosition();
}

static bool isF32(Value value) {
  return getElementTypeOrSelf(value.getType()).isF32();
}

/// `value` without the widening of a stored half.
static Value stripWidening(Value value) {
  auto widening = value.getDefiningOp<arith::ExtFOp>();
  return widening ? widening.getIn() : value;
}

/// Is `op` one parallel product of two inputs, written in the order of its
/// loops?
static bool isProduct(linalg::GenericOp op) {
  if (op.getNumReductionLoops() || op->getNumResults() != 1 ||
      op.getInputs().size() != 2 ||
      !op.getIndexingMapsArray().back().isIdentity() || !isF32(op.getResult(0)))
    return false;
  auto mul = op.getBody()
                 ->getTerminator()
                 ->getOperand(0)
                 .getDefiningOp<arith::MulFOp>();
  if (!mul)
    return false;
  auto arguments = op.getBody()->getArguments();
  Value left = stripWidening(mul.getLhs()), right = stripWidening(mul.getRhs());
  return (left == arguments[0] && right == arguments[1]) ||
         (left == arguments[1] && right == arguments[0]);
}

/// Is `use` one factor of a sum of products of two inputs?
static bool isContracted(OpOperand &use) {
  auto op = cast<linalg::GenericOp>(use.getOwner());
  Value term;
  if (op->getNumResults() != 1 || op.getInputs().size() != 2 ||
      getFold(op, term) != Fold::Sum || !isF32(op.getResult(0)))
    return false;
  auto mul = term.getDefiningOp<arith::MulFOp>();
  if (!mul)
    return false;
  Value factors[2] = {stripConversions(mul.getLhs()),
                      stripConversions(mul.getRhs())};
  Block *body = op.getBody();
  unsigned mine = use.getOperandNumber();
  for (unsigned side : {0, 1})
    if (mine < 2 && factors[side] == body->getArgument(mine) &&
        factors[1 - side] == body->getArgument(1 - mine))
      return true;
  return false;
}

/// The reduction that `scale` is computed from by elementwise ops alone.
static linalg::GenericOp findReduction(Value scale) {
  SmallVector<Value> open{scale};
  // Chains of a norm are four ops long; a bound keeps the walk short.
  for (size_t i = 0; i < open.size() && i < 16; ++i) {
    auto op = open[i].getDefiningOp<linalg::GenericOp>();
    if (!op)
      continue;
    if (op.getNumReductionLoops())
      return op;
    llvm::append_range(open, op.getInputs());
  }
  return {};
}

/// Follows a scaled value to contractions only; nothing if another op reads it.
static std::optional<Reach> follow(Scaled start) {
  Reach reach;
  SmallVector<Scaled> open{start};
  while (!open.empty()) {
    Scaled scaled = open.pop_back_val();
    if (scaled.value.use_empty())
      return std::nullopt;
    for (OpOperand &use : scaled.value.getUses()) {
      auto op = dyn_cast<linalg::GenericOp>(use.getOwner());
      if (!op || llvm::count(op->getOperands(), scaled.value) != 1)
        return std::nullopt;
      AffineMap map = op.getMatchingIndexingMap(&use);
      AffineMap result = op.getIndexingMapsArray().back();
      Dims dims;
      for (unsigned dim : scaled.scaleDims) {
        // Contracted loops are no dimension of the result.
        for (unsigned d = 0; d < result.getNumResults(); ++d)
          if (getLoop(result, d) == getLoop(map, dim))
            dims.push_back(d);
      }
      if (dims.size() != scaled.scaleDims.size())
        return std::nullopt;
      if (isContracted(use)) {
        reach.elements +=
            cast<ShapedType>(op.getResult(0).getType()).getNumElements();
        reach.targets.push_back({op, dims, use.getOperandNumber()});
      } else if (isProduct(op)) {
        reach.products.push_back(op);
        open.push_back({op.getResult(0), dims});
      } else {
        return std::nullopt;
      }
    }
  }
  return reach;
}

/// Multiplies the result of a contraction by the scale.
static linalg::GenericOp scaleResult(const Target &target, Value scale) {
  linalg::GenericOp op = target.op;
  OpBuilder builder(op->getContext());
  builder.setInsertionPointAfter(op);
  Location loc = op.getLoc();
  Value result = op.getResult(0);
  auto type = cast<RankedTensorType>(result.getType());
  SmallVector<AffineExpr> exprs;
  for (unsigned dim : target.scaleDims)
    exprs.push_back(builder.getAffineDimExpr(dim));
  AffineMap identity = builder.getMultiDimIdentityMap(type.getRank());
  AffineMap map =
      AffineMap::get(type.getRank(), 0, exprs, builder.getContext());
  auto scaled = createElementwise(
      builder, loc, type, {result, scale}, {identity, map, identity},
      [&](OpBuilder &b, ValueRange arguments) {
        return arith::MulFOp::create(b, loc, arguments[0], arguments[1]);
      });
  result.replaceAllUsesExcept(scaled.getResult(0), scaled);
  return scaled;
}

namespace {
struct AlgebraDeferScale
    : algebra::impl::AlgebraDeferScaleBase<AlgebraDeferScale> {
  using AlgebraDeferScaleBase::AlgebraDeferScaleBase;

  void runOnOperation() override {
    SmallVector<linalg::GenericOp> products;
    getOperation().walk([&](linalg::GenericOp op) {
      if (isProduct(op))
        products.push_back(op);
    });
    SmallVector<DeferredNorm> norms;
    for (linalg::GenericOp op : products)
      for (unsigned side : {0, 1})
        if (defer(op, side, norms))
          break;
    boundFactors(getOperation(), norms, halves);
  }

  /// Takes input `side` of a product as a scale and puts it behind what reads
  /// the product. False if it is none, or must stay.
  bool defer(linalg::GenericOp op, unsigned side,
             SmallVector<DeferredNorm> &norms) {
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    Value scale = op.getInputs()[side], other = op.getInputs()[1 - side];
    auto type = cast<RankedTensorType>(op.getResult(0).getType());
    if (!isF32(scale) || !isF32(other) || !maps[1 - side].isIdentity() ||
        maps[side].getNumResults() >= maps[1 - side].getNumResults())
      return false;
    linalg::GenericOp reduction = findReduction(scale);
    if (!reduction)
      return false;
    // A softmax divides by the sum of what it scales; a norm by a function of
    // another sum, of squares for one.
    Value term;
    bool ofItself = reduction.getInputs().size() == 1 &&
                    reduction.getInputs().front() == other &&
                    getFold(reduction, term) == Fold::Sum &&
                    term == reduction.getBody()->getArgument(0);
    if (!(ofItself ? softmax : norm))
      return false;
    Scaled start{op.getResult(0), {}};
    for (unsigned d = 0; d < maps[side].getNumResults(); ++d)
      start.scaleDims.push_back(getLoop(maps[side], d));
    std::optional<Reach> reach = follow(start);
    if (!reach || reach->elements >= growth * type.getNumElements())
      return false;
    DeferredNorm norm{scale, reach->products, {}};
    for (const Target &target : reach->targets)
      norm.readers.push_back(
          {target.op, target.operand, scaleResult(target, scale)});
    if (!ofItself)
      norms.push_back(std::move(norm));
    op.getResult(0).replaceAllUsesWith(other);
    Value init = op.getDpsInits().front();
    op.erase();
    if (Operation *empty = init.getDefiningOp())
      if (isOpTriviallyDead(empty))
        empty->erase();
    return true;
  }
};
} // namespace
