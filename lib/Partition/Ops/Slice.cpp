// tensor.extract_slice: dimensions that it takes as a whole are those of its
// source; one that it cuts is whole on every PE.

#include "Ops.h"

#include "../Checks.h"
#include "../ClassReader.h"
#include "../Factorizer.h"
#include "../Writer.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/SmallBitVector.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using tensor::ExtractSliceOp;
using wafer::DimAttr;
using wafer::RegionAttr;

/// Which dimension of the result each of the source is; -1 for a dropped one.
static SmallVector<int64_t> getResultDims(ExtractSliceOp op) {
  llvm::SmallBitVector dropped = op.getDroppedDims();
  SmallVector<int64_t> dims;
  int64_t kept = 0;
  for (int64_t d = 0; d < op.getSourceType().getRank(); ++d)
    dims.push_back(dropped[d] ? -1 : kept++);
  return dims;
}

static bool isFull(ExtractSliceOp op, int64_t dim) {
  return op.getStaticSize(dim) == op.getSourceType().getDimSize(dim);
}

/// One dimension over the factors `whole` of the source and `part` of the
/// result; appends an offset and a size per factor of the source. False: the
/// slice cuts across factors.
static bool
factorDimension(ArrayRef<int64_t> whole, ArrayRef<int64_t> part, int64_t start,
                int64_t step, int64_t size,
                SmallVectorImpl<std::pair<int64_t, int64_t>> &slices) {
  auto addWhole = [&](ArrayRef<int64_t> factors) {
    for (int64_t factor : factors)
      slices.emplace_back(0, factor);
  };
  if (whole == part) {
    addWhole(whole);
    return true;
  }
  if (step > 1) { // the most minor factor is the step
    if (whole.empty() || whole.drop_back() != part || whole.back() != step ||
        start >= step)
      return false;
    addWhole(part);
    slices.emplace_back(start, 1);
    return true;
  }
  if (start % size == 0 && whole.size() >= part.size() &&
      whole.take_back(part.size()) == part) {
    // One index of the major factors, in mixed radix.
    size_t lead = whole.size() - part.size();
    SmallVector<int64_t> digits(lead);
    int64_t index = start / size;
    for (size_t i = lead; i-- > 0; index /= whole[i])
      digits[i] = index % whole[i];
    for (int64_t digit : digits)
      slices.emplace_back(digit, 1);
    addWhole(part);
    return true;
  }
  if (whole.size() != part.size())
    return false;
  int64_t minor = 1;
  for (int64_t factor : whole.drop_front())
    minor *= factor;
  // Some of the major factor, with all of the others.
  if (start % minor != 0 || part.drop_front() != whole.drop_front())
    return false;
  slices.emplace_back(start / minor, part.front());
  addWhole(part.drop_front());
  return true;
}

namespace {
struct SliceDimensions
    : DimensionOpInterface::ExternalModel<SliceDimensions, ExtractSliceOp> {
  IterationSpace getIterationSpace(Operation *self) const {
    auto op = cast<ExtractSliceOp>(self);
    auto rank = static_cast<int>(op.getSourceType().getRank());
    IterationSpace space;
    SmallVector<int> source;
    for (auto [d, of] : llvm::enumerate(getResultDims(op))) {
      auto loop = static_cast<int>(d);
      source.push_back(loop);
      // What is sliced is no loop of the source.
      int sliced = isFull(op, loop) ? loop : rank + loop;
      if (sliced != loop)
        llvm::append_values(space.whole, loop, sliced);
      if (of >= 0)
        space.result.push_back(sliced);
    }
    space.operands.push_back({0, source});
    return space;
  }

  LogicalResult relateDimensions(Operation *self,
                                 Boundaries &boundaries) const {
    auto op = cast<ExtractSliceOp>(self);
    if (ShapedType::isDynamicShape(op.getStaticOffsets()) ||
        op.getSourceType().getRank() != op.getResultType().getRank())
      return op.emitError("partitioning takes slices with static offsets that "
                          "keep the rank");
    relateLoops(op, boundaries);
    for (int64_t d = 0; d < op.getSourceType().getRank(); ++d)
      if (!isFull(op, d))
        boundaries.relateSlice(op, op.getSource(), d, op.getResult(), d,
                               op.getStaticOffset(d), op.getStaticStride(d));
    return success();
  }

  LogicalResult factorDims(Operation *self, Factorizer &factorizer) const {
    auto op = cast<ExtractSliceOp>(self);
    SmallVector<std::pair<int64_t, int64_t>> slices;
    for (int64_t d = 0; d < op.getSourceType().getRank(); ++d) {
      int64_t start = op.getStaticOffset(d), size = op.getStaticSize(d);
      if (!factorDimension(factorizer.getFactors(op.getSource(), d),
                           factorizer.getFactors(op.getResult(), d), start,
                           op.getStaticStride(d), size, slices)) {
        factorizer.bind(op.getResult(), sliceWhole(op, factorizer));
        return success();
      }
    }
    OpBuilder &builder = factorizer.getBuilder();
    SmallVector<OpFoldResult> offsets, sizes, strides;
    for (auto [offset, size] : slices) {
      offsets.push_back(builder.getIndexAttr(offset));
      sizes.push_back(builder.getIndexAttr(size));
      strides.push_back(builder.getIndexAttr(1));
    }
    factorizer.bind(op.getResult(),
                    ExtractSliceOp::create(builder, op.getLoc(),
                                           factorizer.getType(op.getResult()),
                                           factorizer.get(op.getSource()),
                                           offsets, sizes, strides));
    return success();
  }

  /// A cut across factors: but for minor ones that both sides have and it
  /// leaves alone, they are one dimension meanwhile, whole on every PE.
  static Value sliceWhole(ExtractSliceOp op, Factorizer &factorizer) {
    OpBuilder &builder = factorizer.getBuilder();
    Value value = factorizer.get(op.getSource());
    SmallVector<OpFoldResult> offsets, sizes, strides;
    int64_t next = 0;
    SmallVector<size_t> minors; // of each dimension, how many are left alone
    for (int64_t d = 0; d < op.getSourceType().getRank(); ++d) {
      SmallVector<int64_t> factors = factorizer.getFactors(op.getSource(), d);
      minors.push_back(isFull(op, d) ? factors.size()
                                     : countMinorsAlone(op, d, factorizer));
      auto add = [&](int64_t offset, int64_t size, int64_t stride) {
        offsets.push_back(builder.getIndexAttr(offset));
        sizes.push_back(builder.getIndexAttr(size));
        strides.push_back(builder.getIndexAttr(stride));
        ++next;
      };
      if (isFull(op, d)) {
        for (int64_t factor : factors)
          add(0, factor, 1);
        continue;
      }
      value = factorizer.merged(op.getLoc(), value, next,
                                factors.size() - minors.back());
      ArrayRef<int64_t> alone = ArrayRef(factors).take_back(minors.back());
      const int64_t piece = llvm::product_of(alone);
      add(op.getStaticOffset(d) / piece, op.getStaticSize(d) / piece,
          op.getStaticStride(d));
      for (int64_t factor : alone)
        add(0, factor, 1);
    }
    value = ExtractSliceOp::create(builder, op.getLoc(), value, offsets, sizes,
                                   strides);
    next = 0;
    for (int64_t d = 0; d < op.getSourceType().getRank(); ++d) {
      SmallVector<int64_t> factors = factorizer.getFactors(op.getResult(), d);
      if (!isFull(op, d))
        value = factorizer.cut(op.getLoc(), value, next,
                               ArrayRef(factors).drop_back(minors[d]));
      next += static_cast<int64_t>(factors.size());
    }
    return value;
  }

  static size_t countMinorsAlone(ExtractSliceOp op, int64_t dim,
                                 Factorizer &factorizer) {
    if (op.getStaticStride(dim) != 1)
      return 0;
    SmallVector<int64_t> factors = factorizer.getFactors(op.getSource(), dim);
    size_t count =
        countCommonMinor(factors, factorizer.getFactors(op.getResult(), dim));
    auto isCut = [&] {
      const int64_t piece =
          llvm::product_of(ArrayRef(factors).take_back(count));
      return op.getStaticOffset(dim) % piece || op.getStaticSize(dim) % piece;
    };
    while (isCut())
      --count;
    return count;
  }
};

struct SliceLayouts
    : LayoutOpInterface::ExternalModel<SliceLayouts, ExtractSliceOp> {
  LogicalResult writeLayouts(Operation *self, Writer &writer) const {
    auto op = cast<ExtractSliceOp>(self);
    Value source = writer.getOperand(op, 0);
    OpBuilder &builder = writer.getBuilder();
    // Sizes of whole dimensions are the padded ones.
    SmallVector<OpFoldResult> sizes;
    for (auto [d, size] : llvm::enumerate(op.getStaticSizes()))
      sizes.push_back(builder.getIndexAttr(
          isFull(op, d) ? typeOf(source).getDimSize(d) : size));
    writer.bind(op.getResult(),
                ExtractSliceOp::create(
                    builder, op.getLoc(), writer.getMovedType(op, source),
                    source, op.getMixedOffsets(), sizes, op.getMixedStrides()));
    return success();
  }

  LogicalResult verifyLayouts(Operation *self, RegionAttr region) const {
    auto op = cast<ExtractSliceOp>(self);
    if (failed(checkMoves(op)))
      return failure();
    for (auto [d, of] : llvm::enumerate(getResultDims(op)))
      if (isFull(op, d)) {
        if (of >= 0 && failed(checkKept(op, op.getSource(), d, of, region)))
          return failure();
      } else if (failed(checkSliced(op, d, of))) {
        return failure();
      }
    return success();
  }

  LogicalResult checkSliced(ExtractSliceOp op, int64_t dim, int64_t of) const {
    if (failed(checkWhole(op, op.getSource(), dim)))
      return failure();
    RankedTensorType source = op.getSourceType();
    int64_t live = wafer::getLayout(source).getDim(dim).getLiveSize(
        source.getDimSize(dim));
    int64_t offset = op.getStaticOffset(dim),
            last =
                offset + (op.getStaticSize(dim) - 1) * op.getStaticStride(dim);
    if (!ShapedType::isDynamic(offset) && last >= live)
      return op.emitOpError()
             << "takes elements up to " << last << " of dimension " << dim
             << ", of which " << live << " are live";
    if (of < 0)
      return success();
    wafer::LayoutAttr claimed = wafer::getLayout(op.getResult().getType());
    if (!claimed.getDim(of).isWhole() || claimed.getDim(of).isPadded())
      return op.emitOpError() << "gives a whole dimension " << of
                              << " but its result claims " << claimed;
    return success();
  }

  /// The sizes of whole dimensions, in elements of one PE.
  LogicalResult makeLocal(Operation *self, RegionAttr region) const {
    auto op = cast<ExtractSliceOp>(self);
    RankedTensorType local = wafer::getLocalType(op.getSourceType(), region);
    SmallVector<int64_t> sizes(op.getStaticSizes());
    for (int64_t d = 0; d < local.getRank(); ++d)
      if (isFull(op, d))
        sizes[d] = local.getDimSize(d);
    op.setStaticSizes(sizes);
    return success();
  }
};
} // namespace

void partition::addSliceModels(MLIRContext &context) {
  ExtractSliceOp::attachInterface<SliceDimensions, SliceLayouts>(context);
}
