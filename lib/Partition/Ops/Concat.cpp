// tensor.concat: the dimension that is joined is whole on every PE, the others
// are those of all operands.

#include "Ops.h"

#include "../Checks.h"
#include "../ClassReader.h"
#include "../Factorizer.h"
#include "../Writer.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using tensor::ConcatOp;
using wafer::DimAttr;
using wafer::LayoutAttr;
using wafer::RegionAttr;

namespace {
struct ConcatDimensions
    : DimensionOpInterface::ExternalModel<ConcatDimensions, ConcatOp> {
  IterationSpace getIterationSpace(Operation *self) const {
    auto op = cast<ConcatOp>(self);
    auto joined = static_cast<int>(op.getDim()),
         rank = static_cast<int>(op.getResultType().getRank());
    IterationSpace space;
    for (int d = 0; d < rank; ++d)
      space.result.push_back(d);
    space.whole.push_back(joined);
    for (unsigned i = 0; i < op.getInputs().size(); ++i) {
      // What is joined is a loop of its own.
      auto own = rank + static_cast<int>(i);
      space.operands.push_back({i, space.result});
      space.operands.back().loops[joined] = own;
      space.whole.push_back(own);
    }
    return space;
  }

  LogicalResult relateDimensions(Operation *self,
                                 Boundaries &boundaries) const {
    auto op = cast<ConcatOp>(self);
    auto dim = static_cast<int64_t>(op.getDim());
    relateLoops(op, boundaries);
    if (op.getInputs().size() == 1) {
      boundaries.join(op.getResult(), dim, op.getInputs().front(), dim);
      return success();
    }
    int64_t start = 0;
    for (Value slice : op.getInputs()) {
      boundaries.relateSlice(op, op.getResult(), dim, slice, dim, start, 1);
      start += cast<ShapedType>(slice.getType()).getDimSize(dim);
    }
    return success();
  }

  LogicalResult factorDims(Operation *self, Factorizer &factorizer) const {
    auto op = cast<ConcatOp>(self);
    if (op.getInputs().size() == 1) {
      factorizer.bind(op.getResult(), factorizer.get(op.getInputs().front()));
      return success();
    }
    auto dim = static_cast<int64_t>(op.getDim());
    int64_t before = factorizer.countBefore(op.getResult(), dim);
    SmallVector<int64_t> whole = factorizer.getFactors(op.getResult(), dim);
    Location loc = op.getLoc();
    // Minor factors that all have are kept. The others are one dimension
    // meanwhile, whole on every PE, or one index of it where a part has none.
    size_t minor = whole.size() - 1;
    for (Value part : op.getInputs())
      minor = std::min(
          minor, countCommonMinor(whole, factorizer.getFactors(part, dim)));
    SmallVector<Value> values;
    for (Value part : op.getInputs())
      values.push_back(
          factorizer.merged(loc, factorizer.get(part), before,
                            factorizer.getFactors(part, dim).size() - minor));
    Value all = ConcatOp::create(factorizer.getBuilder(), loc, before, values);
    factorizer.bind(
        op.getResult(),
        factorizer.cut(loc, all, before, ArrayRef(whole).drop_back(minor)));
    return success();
  }
};

struct ConcatLayouts
    : LayoutOpInterface::ExternalModel<ConcatLayouts, ConcatOp> {
  LogicalResult writeLayouts(Operation *self, Writer &writer) const {
    auto op = cast<ConcatOp>(self);
    SmallVector<Value> operands = writer.getOperands(op);
    writer.bind(op.getResult(),
                ConcatOp::create(writer.getBuilder(), op.getLoc(),
                                 writer.getMovedType(op, operands), op.getDim(),
                                 operands));
    return success();
  }

  LogicalResult verifyLayouts(Operation *self, RegionAttr region) const {
    auto op = cast<ConcatOp>(self);
    if (failed(checkMoves(op)))
      return failure();
    auto joined = static_cast<int64_t>(op.getDim());
    LayoutAttr claimed = wafer::getLayout(op.getResult().getType());
    DimAttr result = claimed.getDim(joined);
    if (!result.isWhole() || result.isPadded())
      return op.emitOpError() << "gives a whole dimension " << joined
                              << " but its result claims " << claimed;
    for (Value value : op.getInputs()) {
      if (failed(checkWhole(op, value, joined)))
        return failure();
      if (wafer::getLayout(value.getType()).getDim(joined).isPadded())
        return op.emitOpError()
               << "joins along dimension " << joined << ", which is padded";
      for (int64_t d = 0; d < op.getResultType().getRank(); ++d)
        if (d != joined && failed(checkKept(op, value, d, d, region)))
          return failure();
    }
    return success();
  }
};
} // namespace

void partition::addConcatModels(MLIRContext &context) {
  ConcatOp::attachInterface<ConcatDimensions, ConcatLayouts>(context);
}
