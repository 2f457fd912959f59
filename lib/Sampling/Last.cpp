// Of a chunk of a prompt only the last token decides what comes next; the other
// tokens matter through the states alone. This pass slices the outputs to the
// last token, and Pull.cpp moves the slices to where work is saved.

#include "waferloom/Dialect/Wafer/Wafer.h"
#include "waferloom/Sampling/Passes.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringSet.h"

namespace waferloom::sampling {
#define GEN_PASS_DEF_SAMPLINGLAST
#include "waferloom/Sampling/Passes.h.inc"
} // namespace waferloom::sampling

using namespace mlir;
using namespace waferloom;

static int64_t tokensOf(func::FuncOp func) {
  wafer::EntryOp entry = wafer::getEntry(func);
  return entry ? static_cast<int64_t>(entry.getTokens()) : 0;
}

static RankedTensorType typeOf(wafer::OutputOp output) {
  return cast<RankedTensorType>(output.getValue().getType());
}

/// Dimension 1 counts tokens: it has `tokens` elements here, and one in the
/// entry of one token.
static bool countsTokens(wafer::OutputOp output, int64_t tokens) {
  return typeOf(output).getRank() >= 2 &&
         typeOf(output).getDimSize(1) == tokens;
}

static void takeLast(wafer::OutputOp output) {
  RankedTensorType type = typeOf(output);
  OpBuilder b(output);
  SmallVector<OpFoldResult> offsets, sizes, strides;
  for (int64_t d = 0; d < type.getRank(); ++d) {
    offsets.push_back(b.getIndexAttr(d == 1 ? type.getDimSize(1) - 1 : 0));
    sizes.push_back(b.getIndexAttr(d == 1 ? 1 : type.getDimSize(d)));
    strides.push_back(b.getIndexAttr(1));
  }
  output.getValueMutable().assign(tensor::ExtractSliceOp::create(
      b, output.getLoc(), output.getValue(), offsets, sizes, strides));
}

namespace {
struct Last : sampling::impl::SamplingLastBase<Last> {
  void runOnOperation() override {
    llvm::StringSet<> perToken;
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (tokensOf(func) == 1)
        for (auto output : func.getOps<wafer::OutputOp>())
          if (countsTokens(output, 1))
            perToken.insert(output.getName());
    for (auto func : getOperation().getOps<func::FuncOp>()) {
      if (tokensOf(func) <= 1 || func.getOps<wafer::StateOp>().empty())
        continue;
      for (auto output : func.getOps<wafer::OutputOp>())
        if (perToken.contains(output.getName()) &&
            countsTokens(output, tokensOf(func)))
          takeLast(output);
    }
  }
};
} // namespace
