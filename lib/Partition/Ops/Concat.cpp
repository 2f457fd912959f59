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

/// `value` with one dimension of one element more, in front of `dim`.
static Value addDimension(OpBuilder &builder, Location loc, Value value,
                          int64_t dim) {
  auto type = cast<RankedTensorType>(value.getType());
  SmallVector<int64_t> shape(type.getShape());
  shape.insert(shape.begin() + dim, 1);
  // The new dimension joins the group of the one behind it, or the last.
  int64_t rank = type.getRank();
  SmallVector<ReassociationIndices> groups(rank);
  for (int64_t d = 0; d < rank; ++d)
    groups[d].push_back(d < dim ? d : d + 1);
  if (dim < rank)
    groups[dim].insert(groups[dim].begin(), dim);
  else if (rank > 0)
    groups[rank - 1].push_back(dim);
  return tensor::ExpandShapeOp::create(
      builder, loc, RankedTensorType::get(shape, type.getElementType()), value,
      groups);
}

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
      boundaries.relateSlice(op.getResult(), dim, slice, dim, start, 1);
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
    OpBuilder &builder = factorizer.getBuilder();
    ArrayRef<int64_t> minor = ArrayRef(whole).drop_front();
    bool alike = true, single = true;
    for (Value part : op.getInputs()) {
      SmallVector<int64_t> factors = factorizer.getFactors(part, dim);
      alike &= factors.size() <= whole.size() &&
               ArrayRef(factors).take_back(minor.size()) == minor;
      single &= factors.size() <= 1;
    }
    SmallVector<Value> values;
    for (Value part : op.getInputs()) {
      size_t factors = factorizer.getFactors(part, dim).size();
      Value value = factorizer.get(part);
      // One index of the first factor, or one element.
      if (alike ? factors < whole.size() : factors == 0)
        value = addDimension(builder, op.getLoc(), value, before);
      values.push_back(value);
    }
    RankedTensorType type = factorizer.getType(op.getResult());
    if (alike) {
      factorizer.bind(op.getResult(), ConcatOp::create(builder, op.getLoc(),
                                                       type, before, values));
      return success();
    }
    if (!single)
      return op.emitError() << "concatenates parts across several factors of "
                            << "dimension " << dim;
    factorizer.bind(op.getResult(),
                    joinAcross(builder, op, values, before, whole, type));
    return success();
  }

  /// The seam of two parts is inside a factor: one dimension is joined and then
  /// factored, whole on every PE.
  static Value joinAcross(OpBuilder &builder, ConcatOp op, ValueRange parts,
                          int64_t dim, ArrayRef<int64_t> factors,
                          RankedTensorType type) {
    SmallVector<int64_t> shape(type.getShape());
    shape.erase(shape.begin() + dim, shape.begin() + dim + factors.size());
    shape.insert(shape.begin() + dim,
                 op.getResultType().getDimSize(op.getDim()));
    SmallVector<ReassociationIndices> groups;
    int64_t next = 0;
    for (int64_t d = 0; d < static_cast<int64_t>(shape.size()); ++d) {
      groups.emplace_back();
      for (size_t i = 0; i < (d == dim ? factors.size() : 1); ++i)
        groups.back().push_back(next++);
    }
    Value joined = ConcatOp::create(
        builder, op.getLoc(),
        RankedTensorType::get(shape, type.getElementType()), dim, parts);
    return tensor::ExpandShapeOp::create(builder, op.getLoc(), type, joined,
                                         groups);
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
