// Lets a decode step end with a token instead of logits: the wafer picks it and
// leaves it where the next step reads its token. All of that is ordinary ops,
// but for `feeds`: it says that an output lies in the memory of an input, which
// code generation sees to.

#include "Rows.h"

#include "waferloom/Dialect/Wafer/Wafer.h"
#include "waferloom/Sampling/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <limits>

namespace waferloom::sampling {
#define GEN_PASS_DEF_SAMPLINGCHOOSE
#include "waferloom/Sampling/Passes.h.inc"
} // namespace waferloom::sampling

using namespace mlir;
using namespace waferloom;
using namespace waferloom::sampling;

/// The tokens that the caller must give, a single row: they pick rows of the
/// embedding.
static wafer::InputOp findTokens(func::FuncOp func, int64_t count) {
  wafer::InputOp found;
  func.walk([&](wafer::LookupOp lookup) {
    auto input = lookup.getIndices().getDefiningOp<wafer::InputOp>();
    if (input && input.getFallback() == "required" && input.getLimit() > 0 &&
        input.getType().getNumElements() == count &&
        input.getType().getRank() > 0 &&
        input.getType().getShape().back() == count)
      found = input;
  });
  return found;
}

/// The output that has a number per token of the vocabulary, for each of the
/// tokens or the last, and nothing else.
static wafer::OutputOp findLogits(func::FuncOp func, wafer::InputOp token) {
  wafer::OutputOp found;
  for (auto output : func.getOps<wafer::OutputOp>()) {
    auto type = cast<RankedTensorType>(output.getValue().getType());
    if (type.getRank() == 0 || !type.getElementType().isF32() ||
        type.getRank() != token.getType().getRank() + 1 ||
        (type.getNumElements() != type.getShape().back() &&
         type.getNumElements() / type.getShape().back() !=
             token.getType().getNumElements()) ||
        type.getShape().back() > static_cast<int64_t>(token.getLimit()))
      continue;
    if (output.getName() == "logits")
      return output;
    if (type.getShape().back() == static_cast<int64_t>(token.getLimit()) &&
        !found)
      found = output;
  }
  return found;
}

/// The row of the last token.
static Value takeLast(OpBuilder &b, wafer::OutputOp logits) {
  auto type = cast<RankedTensorType>(logits.getValue().getType());
  int64_t rank = type.getRank();
  if (rank < 2 || type.getDimSize(rank - 2) == 1)
    return logits.getValue();
  SmallVector<OpFoldResult> offsets(rank, b.getIndexAttr(0)), sizes,
      strides(rank, b.getIndexAttr(1));
  for (int64_t size : type.getShape())
    sizes.push_back(b.getIndexAttr(size));
  offsets[rank - 2] = b.getIndexAttr(type.getDimSize(rank - 2) - 1);
  sizes[rank - 2] = b.getIndexAttr(1);
  return tensor::ExtractSliceOp::create(b, logits.getLoc(), logits.getValue(),
                                        offsets, sizes, strides);
}

/// The index of the largest of each row, the lowest of equal ones; -1 where one
/// is not a number.
static Value createArgMax(Rows rows, Value values) {
  OpBuilder &b = rows.b;
  const int32_t none = std::numeric_limits<int32_t>::max();
  Value candidates =
      rows.map({values, rows.maximum(values), rows.indices()}, b.getI32Type(),
               [&](OpBuilder &b, Location loc, ValueRange v) -> Value {
                 Value equal = arith::CmpFOp::create(
                     b, loc, arith::CmpFPredicate::OEQ, v[0], v[1]);
                 return arith::SelectOp::create(b, loc, equal, v[2],
                                                number(b, loc, none));
               });
  Value lowest =
      rows.fold(candidates, b.getI32IntegerAttr(none),
                [](OpBuilder &b, Location loc, ValueRange v) -> Value {
                  return arith::MinSIOp::create(b, loc, v[1], v[0]);
                });
  // A maximum that is NaN equals no logit: then there is no token.
  return rows.mapRows(
      lowest, b.getI32Type(),
      [&](OpBuilder &b, Location loc, ValueRange v) -> Value {
        Value nothing = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                              v[0], number(b, loc, none));
        return arith::SelectOp::create(b, loc, nothing,
                                       number(b, loc, int32_t(-1)), v[0]);
      });
}

namespace {
struct Choose : sampling::impl::SamplingChooseBase<Choose> {
  using SamplingChooseBase::SamplingChooseBase;
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    wafer::EntryOp entry = wafer::getEntry(func);
    if (!entry)
      return;
    const auto count = static_cast<int64_t>(entry.getTokens());
    if (count != 1 && func.getOps<wafer::StateOp>().empty())
      return;
    wafer::InputOp token = findTokens(func, count);
    wafer::OutputOp logits = token ? findLogits(func, token) : nullptr;
    if (!logits)
      return;
    OpBuilder b(logits->getBlock()->getTerminator());
    Location loc = logits.getLoc();
    Value row = takeLast(b, logits);
    Rows rows(b, loc, cast<RankedTensorType>(row.getType()));
    if (draw)
      row = createScores(rows, row, top, count);
    // The name that images know it by (image::nextToken).
    wafer::OutputOp::create(
        b, loc, b.getStringAttr("wafer.next_token"), createArgMax(rows, row),
        count == 1 ? token.getNameAttr() : StringAttr(), wafer::LayoutAttr());
  }
};
} // namespace
