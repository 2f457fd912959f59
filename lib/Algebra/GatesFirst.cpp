// sum over j of g_j (W_j a_j) is one sum of products, over j and what W_j
// contracts, of W_j and g_j a_j. A mixture of experts ends so: with its gates
// in front of the last product a token's sum over its experts is partial with
// the product's own, and one row travels instead of k. Biases behind the
// product are summed by themselves.
//
// In halves g_j a_j is rounded instead of a_j: gates are shares, at most a few
// units large, and where one is so small that the product loses digits, so is
// what it adds.

#include "waferloom/Algebra/Elementwise.h"
#include "waferloom/Algebra/Passes.h"
#include "waferloom/Algebra/Scalar.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"

namespace waferloom::algebra {
#define GEN_PASS_DEF_ALGEBRAGATESFIRST
#include "waferloom/Algebra/Passes.h.inc"
} // namespace waferloom::algebra

using namespace mlir;
using namespace waferloom;
using namespace waferloom::algebra;

namespace {
/// A parallel op of two inputs, of which the first has the result's map.
struct Pair {
  linalg::GenericOp op;
  Value wide, other;
  AffineMap otherMap;
};

/// sum of ((product + bias) * gates) over some dimensions.
struct Mixture {
  linalg::GenericOp sum, product;
  Pair gated;
  std::optional<Pair> biased;
  unsigned factor = 0; ///< of the product, which takes the gates
  AffineMap gates;     ///< from the product's loops
};
} // namespace

static bool isF32(Value value) {
  return getElementTypeOrSelf(value.getType()).isF32();
}

/// `value` as the result of a pair of that kind, read nowhere else; `wide` is
/// accepted by `accept`.
static std::optional<Pair> getPair(Value value, ScalarKind kind,
                                   function_ref<bool(Value)> accept) {
  auto op = value.getDefiningOp<linalg::GenericOp>();
  if (!op || !value.hasOneUse() || op.getNumReductionLoops() ||
      op->getNumResults() != 1 || op.getInputs().size() != 2 || !isF32(value))
    return std::nullopt;
  Operation *only =
      op.getBody()->getTerminator()->getOperand(0).getDefiningOp();
  if (!only || getKind(only) != kind || only->getBlock() != op.getBody() ||
      op.getBody()->getOperations().size() != 2 ||
      only->getOperand(0) == only->getOperand(1))
    return std::nullopt;
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  if (!maps.back().isIdentity())
    return std::nullopt;
  for (unsigned side : {0, 1})
    if (maps[side].isIdentity() && maps[1 - side].isProjectedPermutation() &&
        isF32(op.getInputs()[1 - side]) && accept(op.getInputs()[side]))
      return Pair{op, op.getInputs()[side], op.getInputs()[1 - side],
                  maps[1 - side]};
  return std::nullopt;
}

/// A sum of products of two values that is read once.
static linalg::GenericOp getProduct(Value value) {
  auto op = value.getDefiningOp<linalg::GenericOp>();
  Value term;
  if (!op || !value.hasOneUse() || op.getInputs().size() != 2 ||
      !isF32(value) || getFold(op, term) != Fold::Sum ||
      !isa_and_nonnull<arith::MulFOp>(term.getDefiningOp()) ||
      !llvm::all_of(op.getIndexingMapsArray(),
                    [](AffineMap map) { return map.isProjectedPermutation(); }))
    return nullptr;
  return op;
}

/// The map from the loops of `op` to those dimensions of its result that `map`
/// takes.
static AffineMap fromLoops(AffineMap map, linalg::GenericOp op) {
  return map.compose(op.getIndexingMapsArray().back());
}

/// The factor that has all loops of the gates and the fewest elements.
static std::optional<unsigned> getFactor(linalg::GenericOp product,
                                         AffineMap gates) {
  std::optional<unsigned> best;
  auto elements = [&](unsigned i) {
    return cast<ShapedType>(product.getInputs()[i].getType()).getNumElements();
  };
  for (unsigned i : {0, 1}) {
    const AffineMap map = product.getIndexingMapsArray()[i];
    const bool hasAll = llvm::all_of(gates.getResults(), [&](AffineExpr loop) {
      return llvm::is_contained(map.getResults(), loop);
    });
    if (hasAll && isF32(product.getInputs()[i]) &&
        (!best || elements(i) < elements(*best)))
      best = i;
  }
  return best;
}

static std::optional<Mixture> getMixture(linalg::GenericOp sum) {
  Value term;
  if (sum.getInputs().size() != 1 || sum->getNumResults() != 1 ||
      getFold(sum, term) != Fold::Sum || term != sum.getBody()->getArgument(0))
    return std::nullopt;
  Mixture found;
  found.sum = sum;
  auto isProduct = [&](Value value) {
    found.product = getProduct(value);
    return found.product != nullptr;
  };
  auto isBiased = [&](Value value) {
    found.biased = getPair(value, ScalarKind::Add, isProduct);
    return found.biased || isProduct(value);
  };
  std::optional<Pair> gated =
      getPair(sum.getInputs()[0], ScalarKind::Multiply, isBiased);
  if (!gated)
    return std::nullopt;
  found.gated = *gated;
  found.gates = fromLoops(gated->otherMap, found.product);
  std::optional<unsigned> factor = getFactor(found.product, found.gates);
  if (!factor)
    return std::nullopt;
  found.factor = *factor;
  return found;
}

/// Factor times gates, in the order of the factor's dimensions.
static Value gateFactor(OpBuilder &b, Mixture m) {
  Value factor = m.product.getInputs()[m.factor];
  auto type = cast<RankedTensorType>(factor.getType());
  const AffineMap of = m.product.getIndexingMapsArray()[m.factor];
  SmallVector<AffineExpr> dims;
  for (AffineExpr loop : m.gates.getResults())
    dims.push_back(b.getAffineDimExpr(static_cast<unsigned>(
        llvm::find(of.getResults(), loop) - of.getResults().begin())));
  const AffineMap identity = b.getMultiDimIdentityMap(type.getRank());
  const Location loc = m.gated.op.getLoc();
  return createElementwise(
             b, loc, type, {factor, m.gated.other},
             {identity, AffineMap::get(type.getRank(), 0, dims, b.getContext()),
              identity},
             [&](OpBuilder &inner, ValueRange arguments) -> Value {
               return arith::MulFOp::create(inner, loc, arguments[0],
                                            arguments[1]);
             })
      .getResult(0);
}

/// The sum of products over what both sums contract.
static Value sumProducts(OpBuilder &b, Mixture m) {
  linalg::GenericOp product = m.product, sum = m.sum;
  SmallVector<Value> inputs(product.getInputs());
  inputs[m.factor] = gateFactor(b, m);
  SmallVector<AffineMap> maps = product.getIndexingMapsArray();
  // From a loop of the sum to a dimension of what it reads, and on to a loop of
  // the product.
  const AffineMap read = sum.getIndexingMapsArray().front();
  SmallVector<AffineExpr> results;
  for (AffineExpr loop : sum.getIndexingMapsArray().back().getResults())
    results.push_back(maps.back().getResult(static_cast<unsigned>(
        llvm::find(read.getResults(), loop) - read.getResults().begin())));
  maps.back() =
      AffineMap::get(product.getNumLoops(), 0, results, b.getContext());
  SmallVector<utils::IteratorType> iterators(product.getNumLoops(),
                                             utils::IteratorType::reduction);
  for (AffineExpr loop : results)
    iterators[cast<AffineDimExpr>(loop).getPosition()] =
        utils::IteratorType::parallel;
  auto made =
      linalg::GenericOp::create(b, product.getLoc(), sum.getResult(0).getType(),
                                inputs, sum.getDpsInits()[0], maps, iterators);
  IRMapping mapping;
  product.getRegion().cloneInto(&made.getRegion(), mapping);
  return made.getResult(0);
}

/// The sum of the biases by their gates.
static Value sumBiases(OpBuilder &b, Mixture m) {
  linalg::GenericOp sum = m.sum;
  SmallVector<AffineMap> maps = sum.getIndexingMapsArray();
  const AffineMap read = maps.front();
  const Location loc = m.biased->op.getLoc();
  return linalg::GenericOp::create(
             b, loc, sum.getResult(0).getType(),
             ValueRange{m.biased->other, m.gated.other}, sum.getDpsInits()[0],
             ArrayRef<AffineMap>{m.biased->otherMap.compose(read),
                                 m.gated.otherMap.compose(read), maps.back()},
             sum.getIteratorTypesArray(),
             [&](OpBuilder &inner, Location at, ValueRange arguments) {
               Value gated =
                   arith::MulFOp::create(inner, at, arguments[0], arguments[1]);
               Value added =
                   arith::AddFOp::create(inner, at, arguments[2], gated);
               linalg::YieldOp::create(inner, at, added);
             })
      .getResult(0);
}

namespace {
struct AlgebraGatesFirst
    : algebra::impl::AlgebraGatesFirstBase<AlgebraGatesFirst> {
  void runOnOperation() override {
    SmallVector<linalg::GenericOp> sums;
    getOperation().walk([&](linalg::GenericOp op) { sums.push_back(op); });
    for (linalg::GenericOp sum : sums) {
      std::optional<Mixture> found = getMixture(sum);
      if (!found)
        continue;
      OpBuilder b(sum);
      Value result = sumProducts(b, *found);
      if (found->biased) {
        Value biases = sumBiases(b, *found);
        result = createElementwise(
                     b, sum.getLoc(), cast<RankedTensorType>(result.getType()),
                     {result, biases},
                     [&](OpBuilder &inner, ValueRange arguments) -> Value {
                       return arith::AddFOp::create(inner, sum.getLoc(),
                                                    arguments[0], arguments[1]);
                     })
                     .getResult(0);
      }
      sum.getResult(0).replaceAllUsesWith(result);
      // What is behind it first: nobody reads the others then.
      sum.erase();
      found->gated.op.erase();
      if (found->biased)
        found->biased->op.erase();
      found->product.erase();
    }
  }
};
} // namespace
