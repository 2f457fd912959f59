// The Gumbel-max trick: if g[v] = -log(-log(u[v])) with u uniform and
// independent, the arg-max of logits[v] / T + g[v] is distributed as
// softmax(logits / T). So a draw is an arg-max, which needs no running sum over
// the cores. Times T there is no division, and at T = 0 the scores are the
// logits.
//
// u[v] comes from a hash of seed, position and v: the same text for the same
// seed on any region, and on the host (python/waferloom/generation.py computes
// the same bits).

#include "Rows.h"

#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <limits>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::sampling;

/// What the caller may give: inputs of ours are zero when left out.
static Value createInput(OpBuilder &b, Location loc, StringRef name,
                         Type element, int64_t limit = 0) {
  return wafer::InputOp::create(
      b, loc, RankedTensorType::get({}, element), b.getStringAttr(name),
      b.getStringAttr("required"), b.getI64IntegerAttr(limit), IntegerAttr(),
      TypeAttr(), wafer::LayoutAttr());
}

/// A bijection of 32 bits in which every bit of `x` changes about half of them.
static Value mix(OpBuilder &b, Location loc, Value x) {
  auto shifted = [&](int32_t by) {
    x = arith::XOrIOp::create(
        b, loc, x, arith::ShRUIOp::create(b, loc, x, number(b, loc, by)));
  };
  auto times = [&](uint32_t by) {
    x = arith::MulIOp::create(b, loc, x,
                              number(b, loc, static_cast<int32_t>(by)));
  };
  shifted(16);
  times(0x7feb352d);
  shifted(15);
  times(0x846ca68b);
  shifted(16);
  return x;
}

/// -log(x) of a normal positive number.
static Value minusLog(OpBuilder &b, Location loc, Value x) {
  using arith::FastMathFlags;
  auto plain = FastMathFlags::nnan | FastMathFlags::ninf | FastMathFlags::afn;
  return arith::NegFOp::create(b, loc, math::LogOp::create(b, loc, x, plain));
}

/// logits + T g: 23 random bits and a half are a number between 0 and 1 that
/// f32 has exactly.
static Value disturb(OpBuilder &b, Location loc, ValueRange v) {
  Value logit = v[0], index = v[1], key = v[2], temperature = v[3];
  Value bits = mix(b, loc, arith::AddIOp::create(b, loc, index, key));
  bits = arith::ShRUIOp::create(b, loc, bits, number(b, loc, int32_t(9)));
  Value u = arith::SIToFPOp::create(b, loc, b.getF32Type(), bits);
  u = arith::AddFOp::create(b, loc, u, number(b, loc, 0.5f));
  u = arith::MulFOp::create(b, loc, u, number(b, loc, 0x1p-23f));
  Value noise = minusLog(b, loc, minusLog(b, loc, u));
  noise = arith::MulFOp::create(b, loc, noise, temperature);
  return arith::AddFOp::create(b, loc, logit, noise);
}

/// The `top`-th largest logit of each row (equal ones count once): the largest
/// below the one before, so many times. A smaller count may be asked for.
static Value createThreshold(Rows rows, Value logits, int64_t top) {
  OpBuilder &b = rows.b;
  Location loc = rows.loc;
  const float infinity = std::numeric_limits<float>::infinity();
  Value asked = createInput(b, loc, "wafer.top_k", b.getI32Type(), top + 1);
  Type i32 = b.getI32Type(), f32 = b.getF32Type();
  Value left = rows.mapRows(
      asked, i32, [&](OpBuilder &b, Location loc, ValueRange v) -> Value {
        Value none = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                           v[0], number(b, loc, int32_t(0)));
        return arith::SelectOp::create(
            b, loc, none, number(b, loc, static_cast<int32_t>(top)), v[0]);
      });
  Value start = rows.mapRows(
      left, f32, [&](OpBuilder &b, Location loc, ValueRange) -> Value {
        return number(b, loc, infinity);
      });
  SmallVector<Value> inits{start, left};
  SmallVector<Type> types{start.getType(), left.getType()};
  auto repeat =
      wafer::RepeatOp::create(b, loc, types, b.getI64IntegerAttr(top), inits);
  OpBuilder::InsertionGuard guard(b);
  Block *body = b.createBlock(&repeat.getBody(), {}, types,
                              SmallVector<Location>(2, loc));
  Value below =
      rows.map({logits, body->getArgument(0)}, f32,
               [&](OpBuilder &b, Location loc, ValueRange v) -> Value {
                 Value less = arith::CmpFOp::create(
                     b, loc, arith::CmpFPredicate::OLT, v[0], v[1]);
                 return arith::SelectOp::create(b, loc, less, v[0],
                                                number(b, loc, -infinity));
               });
  Value next = rows.mapRows(
      {rows.maximum(below), body->getArgument(0), body->getArgument(1)}, f32,
      [](OpBuilder &b, Location loc, ValueRange v) -> Value {
        Value more = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt,
                                           number(b, loc, int32_t(0)), v[2]);
        return arith::SelectOp::create(b, loc, more, v[0], v[1]);
      });
  Value rest = rows.mapRows(
      body->getArgument(1), i32,
      [](OpBuilder &b, Location loc, ValueRange v) -> Value {
        return arith::SubIOp::create(b, loc, v[0], number(b, loc, int32_t(1)));
      });
  wafer::YieldOp::create(b, loc, ValueRange{next, rest});
  return repeat.getResult(0);
}

Value sampling::createScores(Rows rows, Value logits, int64_t top,
                             int64_t tokens) {
  OpBuilder &b = rows.b;
  Location loc = rows.loc;
  Type i32 = b.getI32Type(), f32 = b.getF32Type();
  Value temperature = createInput(b, loc, "wafer.temperature", f32);
  Value seed = createInput(b, loc, "wafer.seed", i32);
  Value position =
      wafer::PositionOp::create(b, loc, RankedTensorType::get({}, i32));
  Value key = rows.mapRows(
      {seed, position}, i32,
      [&](OpBuilder &b, Location loc, ValueRange v) -> Value {
        Value at = arith::AddIOp::create(
            b, loc, v[1], number(b, loc, static_cast<int32_t>(tokens)));
        Value mixed = mix(b, loc, v[0]);
        return mix(b, loc, arith::AddIOp::create(b, loc, mixed, at));
      });
  Value scores =
      rows.map({logits, rows.indices(), key, temperature}, f32, disturb);
  if (!top)
    return scores;
  Value threshold = createThreshold(rows, logits, top);
  return rows.map({logits, threshold, scores}, f32,
                  [](OpBuilder &b, Location loc, ValueRange v) -> Value {
                    // A logit that is not a number is below nothing, so it
                    // shows.
                    Value less = arith::CmpFOp::create(
                        b, loc, arith::CmpFPredicate::OLT, v[0], v[1]);
                    Value none =
                        number(b, loc, -std::numeric_limits<float>::infinity());
                    return arith::SelectOp::create(b, loc, less, none, v[2]);
                  });
}
