// A decode step ends in a token, not in logits: the wafer picks it and has it
// where the next step reads its token. Said in ops that every level knows; only
// `feeds` is new, and it is a promise about memory that code generation keeps.

#include "waferloom/Dialect/Wafer/Wafer.h"
#include "waferloom/Sampling/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <limits>

namespace waferloom::sampling {
#define GEN_PASS_DEF_SAMPLINGGREEDY
#include "waferloom/Sampling/Passes.h.inc"
} // namespace waferloom::sampling

using namespace mlir;
using namespace waferloom;

using BodyBuilder = function_ref<Value(OpBuilder &, Location, ValueRange)>;

/// The token that the caller must give: it picks a row of the embedding.
static wafer::InputOp findToken(func::FuncOp func) {
  wafer::InputOp found;
  func.walk([&](wafer::LookupOp lookup) {
    auto input = lookup.getIndices().getDefiningOp<wafer::InputOp>();
    if (input && input.getFallback() == "required" && input.getLimit() > 0 &&
        input.getType().getNumElements() == 1)
      found = input;
  });
  return found;
}

/// The output that has a number per token of the vocabulary and nothing else.
/// An index beyond 2^24 would not be exact in f32.
static wafer::OutputOp findLogits(func::FuncOp func, wafer::InputOp token) {
  wafer::OutputOp found;
  for (auto output : func.getOps<wafer::OutputOp>()) {
    auto type = cast<RankedTensorType>(output.getValue().getType());
    if (type.getRank() == 0 || !type.getElementType().isF32() ||
        type.getNumElements() != type.getShape().back() ||
        type.getShape().drop_back() != token.getType().getShape() ||
        type.getShape().back() > static_cast<int64_t>(token.getLimit()) ||
        type.getShape().back() > (int64_t(1) << 24))
      continue;
    if (output.getName() == "logits")
      return output;
    if (type.getShape().back() == static_cast<int64_t>(token.getLimit()) &&
        !found)
      found = output;
  }
  return found;
}

static Value generic(OpBuilder &b, Location loc, ValueRange inputs, Value init,
                     ArrayRef<AffineMap> maps, unsigned reductions,
                     BodyBuilder body) {
  unsigned loops = maps.front().getNumDims();
  SmallVector<utils::IteratorType> kinds(loops, utils::IteratorType::parallel);
  for (unsigned i = loops - reductions; i < loops; ++i)
    kinds[i] = utils::IteratorType::reduction;
  return linalg::GenericOp::create(
             b, loc, init.getType(), inputs, init, maps, kinds,
             [&](OpBuilder &inner, Location at, ValueRange arguments) {
               linalg::YieldOp::create(inner, at, body(inner, at, arguments));
             })
      .getResult(0);
}

namespace {
/// Builds the arg-max over the last dimension of `logits`.
struct ArgMax {
  OpBuilder &b;
  Location loc;
  RankedTensorType logits;
  AffineMap all, kept, last;

  ArgMax(OpBuilder &b, Location loc, RankedTensorType logits)
      : b(b), loc(loc), logits(logits) {
    auto rank = static_cast<unsigned>(logits.getRank());
    all = b.getMultiDimIdentityMap(rank);
    kept = all.dropResult(rank - 1);
    last = AffineMap::get(rank, 0, b.getAffineDimExpr(rank - 1));
  }

  Value empty(ArrayRef<int64_t> shape, Type element) {
    return tensor::EmptyOp::create(b, loc, shape, element);
  }
  Value maximum(Value of) {
    Value lowest = arith::ConstantOp::create(
        b, loc, b.getF32FloatAttr(-std::numeric_limits<float>::infinity()));
    Value init = linalg::FillOp::create(
                     b, loc, lowest,
                     empty(logits.getShape().drop_back(), b.getF32Type()))
                     .getResult(0);
    return generic(b, loc, of, init, {all, kept}, 1,
                   [](OpBuilder &b, Location loc, ValueRange v) -> Value {
                     return arith::MaximumFOp::create(b, loc, v[1], v[0]);
                   });
  }
  Value build(Value values);
};
} // namespace

Value ArgMax::build(Value values) {
  Value best = maximum(values);
  Value indices = wafer::IotaOp::create(
      b, loc, RankedTensorType::get(logits.getShape().back(), b.getI32Type()),
      wafer::LayoutAttr());
  // Minus the index, so that the lowest wins.
  Value candidates = generic(
      b, loc, {values, best, indices}, empty(logits.getShape(), b.getF32Type()),
      {all, kept, last, all}, 0,
      [](OpBuilder &b, Location loc, ValueRange v) -> Value {
        Value equal = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ,
                                            v[0], v[1]);
        Value index = arith::SIToFPOp::create(b, loc, b.getF32Type(), v[2]);
        Value minus = arith::NegFOp::create(b, loc, index);
        Value none = arith::ConstantOp::create(
            b, loc, b.getF32FloatAttr(-std::numeric_limits<float>::infinity()));
        return arith::SelectOp::create(b, loc, equal, minus, none);
      });
  // A maximum that is NaN equals no logit: then there is no token.
  unsigned rank = kept.getNumResults();
  AffineMap map = b.getMultiDimIdentityMap(rank);
  return generic(
      b, loc, maximum(candidates),
      empty(logits.getShape().drop_back(), b.getI32Type()), {map, map}, 0,
      [](OpBuilder &b, Location loc, ValueRange v) -> Value {
        auto number = [&](float value) -> Value {
          return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(value));
        };
        Value some =
            arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLE,
                                  number(-static_cast<float>(1 << 24)), v[0]);
        Value index = arith::NegFOp::create(b, loc, v[0]);
        Value token = arith::SelectOp::create(b, loc, some, index, number(-1));
        return arith::FPToSIOp::create(b, loc, b.getI32Type(), token);
      });
}

namespace {
struct Greedy : sampling::impl::SamplingGreedyBase<Greedy> {
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    auto tokens = func->getAttrOfType<IntegerAttr>("wafer.tokens");
    if (!tokens || tokens.getInt() != 1)
      return;
    wafer::InputOp token = findToken(func);
    wafer::OutputOp logits = token ? findLogits(func, token) : nullptr;
    if (!logits)
      return;
    OpBuilder b(logits->getBlock()->getTerminator());
    Location loc = logits.getLoc();
    ArgMax argMax(b, loc, cast<RankedTensorType>(logits.getValue().getType()));
    // The name that images know it by (image::nextToken).
    wafer::OutputOp::create(b, loc, b.getStringAttr("wafer.next_token"),
                            argMax.build(logits.getValue()),
                            token.getNameAttr(), wafer::LayoutAttr());
  }
};
} // namespace
