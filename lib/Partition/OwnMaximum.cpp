// Exponentials of a softmax against a PE's own maximum. The maximum over all
// PEs is a message, and everything behind it waits: the exponentials, their
// sum, the values that they weight. But
//
//   exp(s - m) = exp(s - own) * exp(own - m)
//
// where `own` is the maximum of what this PE has. So it computes with its own,
// while the message is on its way, and scales its sums before they are added
// to those of others. Sums of exponentials are linear in them, which is all
// that is asked of the readers.
//
// An arg-max is alike: a PE finds the index of its own maximum meanwhile, and
// sends it if that turns out to be the maximum of all.
//
// A PE that has nothing but -inf takes the least finite number for its maximum:
// its exponentials are 0, and so is its factor.
//
// Any number near the own maximum will do. With a multiple of ln 2 the factor
// is a power of two, which is quicker to compute and exact. That needs scores
// that are products, to which 0 or -inf may be added: a mask of -3e38 leaves no
// multiples.

#include "Cost.h"
#include "Scores.h"

#include "waferloom/Algebra/Elementwise.h"
#include "waferloom/Algebra/Scalar.h"
#include "waferloom/Partition/Passes.h"
#include "waferloom/Target/ImageTarget.h"
#include "waferloom/Target/Resources.h"
#include "waferloom/Target/TargetAttr.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <cfloat>
#include <cmath>

namespace waferloom::partition {
#define GEN_PASS_DEF_PARTITIONOWNMAXIMUM
#include "waferloom/Partition/Passes.h.inc"
} // namespace waferloom::partition

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using linalg::GenericOp;

namespace {
/// A maximum over PEs.
struct Maximum {
  Maximum(wafer::AllReduceOp allReduce, unsigned number)
      : allReduce(allReduce), most(cast<OpResult>(allReduce.getResult(number))),
        own(allReduce->getOpOperand(number)) {}

  wafer::AllReduceOp allReduce;
  OpResult most;
  OpOperand &own; ///< what the maximum is made of
};

/// Exponentials of differences to a maximum over PEs, and what is summed of
/// them.
class Softmax : Maximum {
public:
  using Maximum::Maximum;

  /// Whether all that reads the maximum has that form.
  bool match();
  bool pays(const image::TargetT &target);
  void rewrite();

private:
  bool matchPowers();
  bool matchSum(OpOperand &use);
  SmallVector<AffineMap, 3> mapsOfScale(OpOperand &use);
  Value createLeast(OpBuilder &builder);
  Value createFactor(OpBuilder &builder, Value own);
  Value mapMaximum(OpBuilder &builder, ValueRange of,
                   llvm::function_ref<Value(OpBuilder &, ValueRange)> body);

  bool rounds = false; ///< the maximum to a multiple of ln 2
  GenericOp powers;
  unsigned subtrahend = 0;       ///< of their operands
  math::ExpOp exp;               ///< in their body
  SmallVector<OpOperand *> sums; ///< the powers in what sums them
};

/// The indices of what equals a maximum over PEs, and the least of them: each
/// PE has that of its own maximum, and it counts where that is the maximum.
class ArgMax : Maximum {
public:
  using Maximum::Maximum;

  bool match();
  /// Whether the message takes twice as long as one comparison and one select,
  /// as far as there is something to do meanwhile: something else might be.
  bool pays(const image::TargetT &target);
  void rewrite();

private:
  OpOperand *compared = nullptr; ///< the maximum, in what finds the indices
  GenericOp least;               ///< the fold of them
};

struct PartitionOwnMaximum
    : partition::impl::PartitionOwnMaximumBase<PartitionOwnMaximum> {
  void runOnOperation() override {
    func::FuncOp entry = getOperation();
    FailureOr<target::Target> target =
        target::getTarget(entry->getParentOfType<ModuleOp>());
    if (failed(target))
      return signalPassFailure();
    const std::unique_ptr<image::TargetT> machine = target::toImage(*target);
    SmallVector<wafer::AllReduceOp> maxima;
    entry.walk([&](wafer::AllReduceOp op) {
      if (op.getCombiner() == wafer::Combiner::Max)
        maxima.push_back(op);
    });
    for (wafer::AllReduceOp op : maxima)
      for (unsigned i = 0; i < op.getNumResults(); ++i)
        if (Softmax softmax(op, i); softmax.match()) {
          if (softmax.pays(*machine))
            softmax.rewrite();
        } else if (ArgMax argMax(op, i);
                   argMax.match() && argMax.pays(*machine)) {
          argMax.rewrite();
        }
  }
};
} // namespace

/// A fold of what one PE has that starts from a constant.
static bool startsFromConstant(GenericOp fold) {
  return algebra::getNumber(fold.getDpsInits().front()).has_value();
}

/// The only reader of the maximum is exp(s - most).
bool Softmax::matchPowers() {
  if (!most.hasOneUse())
    return false;
  OpOperand &use = *most.use_begin();
  powers = dyn_cast<GenericOp>(use.getOwner());
  if (!powers || powers.getNumReductionLoops() ||
      powers.getNumDpsInputs() != 2 || !powers.isDpsInput(&use))
    return false;
  subtrahend = use.getOperandNumber();
  Block *body = powers.getBody();
  exp = body->getTerminator()->getOperand(0).getDefiningOp<math::ExpOp>();
  Operation *difference = exp ? exp.getOperand().getDefiningOp() : nullptr;
  return difference &&
         algebra::getKind(difference) == algebra::ScalarKind::Subtract &&
         difference->getOperand(1) == body->getArgument(subtrahend) &&
         difference->getOperand(0) == body->getArgument(1 - subtrahend) &&
         powers.getIndexingMapsArray().back().isIdentity();
}

/// Whether `value` is `powers`, perhaps rounded on the way.
static bool isRounded(Value value, Value powers) {
  if (auto widened = value.getDefiningOp<arith::ExtFOp>())
    if (auto rounded = widened.getIn().getDefiningOp<arith::TruncFOp>())
      value = rounded.getIn();
  return value == powers;
}

/// Whether `value` is only combined with those of the PEs of `most`.
static bool isSent(Value value, wafer::AllReduceOp most,
                   wafer::Combiner combiner) {
  if (!value.hasOneUse())
    return false;
  Operation *reader = *value.user_begin();
  auto isOver = [&](auto op) {
    return op && op.getAxesAttr() == most.getAxesAttr() &&
           op.getCombiner() == combiner;
  };
  return isOver(dyn_cast<wafer::AllReduceOp>(reader)) ||
         isOver(dyn_cast<wafer::ReduceApplyBroadcastOp>(reader));
}

/// Whether `use` enters a sum once, as it is or as a factor, and the sum keeps
/// every dimension of the maximum.
bool Softmax::matchSum(OpOperand &use) {
  auto sum = dyn_cast<GenericOp>(use.getOwner());
  Value term;
  if (!sum || !sum.isDpsInput(&use) ||
      algebra::getFold(sum, term) != algebra::Fold::Sum ||
      algebra::getNumber(sum.getDpsInits().front()) != 0.0)
    return false;
  Value power = sum.getMatchingBlockArgument(&use);
  if (!isRounded(term, power)) {
    auto product = term.getDefiningOp<arith::MulFOp>();
    if (!product || !power.hasOneUse() ||
        (!isRounded(product.getLhs(), power) &&
         !isRounded(product.getRhs(), power)))
      return false;
  }
  // Loops of the dimensions of the maximum, as the sum has them.
  AffineMap read = sum.getMatchingIndexingMap(&use),
            result = sum.getIndexingMapsArray().back();
  for (AffineExpr dim :
       powers.getIndexingMapsArray()[subtrahend].getResults()) {
    auto at = dyn_cast<AffineDimExpr>(dim);
    if (!at || !llvm::is_contained(result.getResults(),
                                   read.getResult(at.getPosition())))
      return false;
  }
  sums.push_back(&use);
  return isSent(sum.getResult(0), allReduce, wafer::Combiner::Sum);
}

bool Softmax::match() {
  auto fold = own.get().getDefiningOp<GenericOp>();
  Value term;
  rounds = fold && isProduct(fold.getInputs().front());
  return fold && own.get().hasOneUse() &&
         getElementTypeOrSelf(own.get().getType()).isF32() &&
         algebra::getFold(fold, term) == algebra::Fold::Max &&
         startsFromConstant(fold) && matchPowers() &&
         !powers.getResult(0).use_empty() &&
         llvm::all_of(powers.getResult(0).getUses(),
                      [&](OpOperand &use) { return matchSum(use); });
}

static int64_t elementsOf(Value value) {
  return cast<ShapedType>(value.getType()).getNumElements();
}

/// Issue and elements of the instructions of an elementwise body.
static int64_t cyclesOf(GenericOp op, int64_t issue) {
  return static_cast<int64_t>(
      algebra::getBodyCycles(op) *
      static_cast<double>(issue + elementsOf(op.getResult(0))));
}

/// What a message of `words` takes, as `op` travels.
static double messageCycles(wafer::AllReduceOp op, int64_t words,
                            const image::TargetT &target) {
  wafer::RegionAttr region = wafer::getRegion(op);
  Factors factors;
  llvm::append_range(factors.x, region.getX());
  llvm::append_range(factors.y, region.getY());
  const Axes axes(factors, target::mostHops(target.colors),
                  /*middleRoots=*/true,
                  machine::MachineModel(target).getLinks());
  return getAllReduceCycles(axes, op.getAxes().getAxes(), words);
}

/// Whether what the message takes, as far as there is something to do
/// meanwhile, is more than the factor and its products, by a quarter: something
/// else might have been done meanwhile.
bool Softmax::pays(const image::TargetT &target) {
  const int64_t issue = target.issue_cycles;
  const double message = messageCycles(allReduce, elementsOf(most), target);
  int64_t meanwhile = cyclesOf(powers, issue);
  // Rounded, its begin and end are two and three instructions.
  double cost = (rounds ? 5 : 1 + algebra::getVectorCycles(exp)) *
                static_cast<double>(issue + elementsOf(most));
  for (OpOperand *use : sums) {
    meanwhile += issue + elementsOf(powers.getResult(0));
    cost +=
        static_cast<double>(issue + elementsOf(use->getOwner()->getResult(0)));
  }
  return std::min(message, static_cast<double>(meanwhile)) > 1.25 * cost;
}

/// What the maximum of a PE begins with, which is finite. Up to 2^22 all whole
/// multiples of ln 2 are rounded to exactly; up to 2^27 they are near enough
/// for exponentials to be finite, and as coarse as such scores are.
Value Softmax::createLeast(OpBuilder &builder) {
  auto fold = own.get().getDefiningOp<GenericOp>();
  builder.setInsertionPoint(fold);
  const Location loc = fold.getLoc();
  Value least = arith::ConstantOp::create(
      builder, loc, builder.getF32FloatAttr(rounds ? -0x1p27f : -FLT_MAX));
  Value empty = tensor::EmptyOp::create(
      builder, loc, cast<ShapedType>(own.get().getType()).getShape(),
      builder.getF32Type());
  return linalg::FillOp::create(builder, loc, least, empty).getResult(0);
}

/// `body` of one maximum each.
Value Softmax::mapMaximum(
    OpBuilder &builder, ValueRange of,
    llvm::function_ref<Value(OpBuilder &, ValueRange)> body) {
  return algebra::createElementwise(builder, powers.getLoc(),
                                    cast<RankedTensorType>(most.getType()), of,
                                    body)
      .getResult(0);
}

static Value createNumber(OpBuilder &b, Location loc, float number) {
  return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(number));
}

/// exp(own - most), of each maximum; 2^(own - most) of rounded ones.
Value Softmax::createFactor(OpBuilder &builder, Value own) {
  const Location loc = powers.getLoc();
  return mapMaximum(
      builder, {own, most}, [&](OpBuilder &b, ValueRange v) -> Value {
        Value difference = arith::SubFOp::create(b, loc, v[0], v[1]);
        if (rounds)
          return math::Exp2Op::create(b, loc, difference);
        return math::ExpOp::create(b, loc, difference, exp.getFastmathAttr());
      });
}

/// Of the result of `sum`, the factor and the product.
SmallVector<AffineMap, 3> Softmax::mapsOfScale(OpOperand &use) {
  auto sum = cast<GenericOp>(use.getOwner());
  AffineMap read = sum.getMatchingIndexingMap(&use),
            result = sum.getIndexingMapsArray().back();
  MLIRContext *context = sum.getContext();
  SmallVector<AffineExpr> dims;
  for (AffineExpr dim :
       powers.getIndexingMapsArray()[subtrahend].getResults()) {
    AffineExpr loop = read.getResult(cast<AffineDimExpr>(dim).getPosition());
    dims.push_back(getAffineDimExpr(llvm::find(result.getResults(), loop) -
                                        result.getResults().begin(),
                                    context));
  }
  const unsigned rank = result.getNumResults();
  const AffineMap identity = AffineMap::getMultiDimIdentityMap(rank, context);
  return {identity, AffineMap::get(rank, 0, dims, context), identity};
}

void Softmax::rewrite() {
  OpBuilder builder(powers);
  const Location loc = powers.getLoc();
  own.get().getDefiningOp<GenericOp>().getDpsInitsMutable().assign(
      createLeast(builder));
  Value sent = own.get(), near = sent;
  if (rounds) {
    // In multiples of ln 2: the last bits of a sum with 1.5 * 2^23 are whole.
    builder.setInsertionPointAfterValue(sent);
    sent = mapMaximum(builder, sent, [&](OpBuilder &b, ValueRange v) -> Value {
      Value rounder = createNumber(b, loc, 0x1.8p23f);
      Value scaled = arith::MulFOp::create(b, loc, v[0],
                                           createNumber(b, loc, 1.44269504f));
      Value sum = arith::AddFOp::create(b, loc, rounder, scaled);
      return arith::SubFOp::create(b, loc, sum, rounder);
    });
    own.set(sent);
    builder.setInsertionPoint(powers);
    near = mapMaximum(builder, sent, [&](OpBuilder &b, ValueRange v) -> Value {
      return arith::MulFOp::create(b, loc, v[0],
                                   createNumber(b, loc, 0.693147181f));
    });
  }
  powers->setOperand(subtrahend, near);
  // The factor stands where the last sum is there, the answer of the message is
  // not needed before.
  Operation *last = sums.front()->getOwner();
  for (OpOperand *use : sums)
    if (last->isBeforeInBlock(use->getOwner()))
      last = use->getOwner();
  builder.setInsertionPointAfter(last);
  Value factor = createFactor(builder, sent);
  for (OpOperand *use : sums) {
    auto sum = cast<GenericOp>(use->getOwner());
    auto type = cast<RankedTensorType>(sum.getResult(0).getType());
    OpOperand &part = *sum.getResult(0).use_begin();
    auto scaled = algebra::createElementwise(
        builder, sum.getLoc(), type, {sum.getResult(0), factor},
        mapsOfScale(*use), [&](OpBuilder &b, ValueRange arguments) {
          return arith::MulFOp::create(b, sum.getLoc(), arguments[0],
                                       arguments[1]);
        });
    part.set(scaled.getResult(0));
  }
}

/// Whether `use` is x in select(condition, x, other), all of an elementwise op.
static bool masks(OpOperand &use, double other) {
  auto op = dyn_cast<GenericOp>(use.getOwner());
  if (!op || op.getNumReductionLoops() || !op.isDpsInput(&use))
    return false;
  Operation *select =
      op.getBody()->getTerminator()->getOperand(0).getDefiningOp();
  return select && algebra::getKind(select) == algebra::ScalarKind::Select &&
         select->getOperand(1) == op.getMatchingBlockArgument(&use) &&
         algebra::getNumber(select->getOperand(2)) == other;
}

/// select(x == most, index, c), then the least of these, which starts from c,
/// over the same PEs.
bool ArgMax::match() {
  if (!most.hasOneUse() || !own.get().getDefiningOp<GenericOp>())
    return false;
  compared = &*most.use_begin();
  auto found = dyn_cast<GenericOp>(compared->getOwner());
  if (!found || found.getNumReductionLoops() || !found.isDpsInput(compared) ||
      cast<ShapedType>(most.getType()).getRank() != 0)
    return false;
  Operation *select =
      found.getBody()->getTerminator()->getOperand(0).getDefiningOp();
  if (!select || algebra::getKind(select) != algebra::ScalarKind::Select)
    return false;
  auto equal = select->getOperand(0).getDefiningOp<arith::CmpFOp>();
  std::optional<double> none = algebra::getNumber(select->getOperand(2));
  if (!equal || equal.getPredicate() != arith::CmpFPredicate::OEQ ||
      equal.getRhs() != found.getMatchingBlockArgument(compared) || !none)
    return false;
  // Padding is masked by the same constant.
  while (found.getResult(0).hasOneUse() &&
         masks(*found.getResult(0).use_begin(), *none))
    found = cast<GenericOp>(*found.getResult(0).user_begin());
  if (!found.getResult(0).hasOneUse())
    return false;
  least = dyn_cast<GenericOp>(*found.getResult(0).user_begin());
  Value term;
  return least && algebra::getFold(least, term) == algebra::Fold::Min &&
         algebra::getNumber(least.getDpsInits().front()) == none &&
         cast<ShapedType>(least.getResult(0).getType()).getRank() == 0 &&
         isSent(least.getResult(0), allReduce, wafer::Combiner::Min);
}

bool ArgMax::pays(const image::TargetT &target) {
  const int64_t issue = target.issue_cycles;
  // A comparison, a select and a fold.
  const int64_t meanwhile =
      3 * (issue + elementsOf(compared->getOwner()->getResult(0)));
  return std::min(messageCycles(allReduce, 1, target),
                  static_cast<double>(meanwhile)) > 2.0 * 2 * (issue + 1);
}

void ArgMax::rewrite() {
  compared->set(own.get());
  OpOperand &sent = *least.getResult(0).use_begin();
  OpBuilder builder(least->getNextNode());
  const Location loc = least.getLoc();
  auto type = cast<RankedTensorType>(least.getResult(0).getType());
  const double none = *algebra::getNumber(least.getDpsInits().front());
  auto counted = algebra::createElementwise(
      builder, loc, type, {own.get(), most, least.getResult(0)},
      [&](OpBuilder &b, ValueRange arguments) {
        Value equal = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ,
                                            arguments[0], arguments[1]);
        Value nothing = arith::ConstantOp::create(
            b, loc, algebra::getAttribute(type.getElementType(), none));
        return arith::SelectOp::create(b, loc, equal, arguments[2], nothing);
      });
  sent.set(counted.getResult(0));
}
