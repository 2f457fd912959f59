// What moves, stores and repeats: inputs, appends, slices, joins, and the
// rerolled layers, whose carried values must know as much of their padding at
// the end of a trip as at its beginning.

#include "Rules.h"
#include "Writer.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using wafer::DimAttr;
using wafer::LayoutAttr;
using wafer::Padding;

LogicalResult Writer::writeInput(wafer::InputOp op) {
  // The host gives every PE the whole input; what lies split is sliced from it.
  ArrayRef<int> list = classes.values.at(op.getResult());
  RankedTensorType type = getType(op.getResult(), Padding::constant(0));
  SmallVector<DimAttr> dims;
  for (DimAttr dim : wafer::getLayout(type).getDims())
    dims.push_back(dim.withoutAxes(dim.getAxes()));
  Operation *copy =
      cloneWith(op, withLayout(type, LayoutAttr::get(context, dims)));
  bind(op.getResult(), changeTo(copy->getResult(0), list));
  return success();
}

LogicalResult Writer::writeAppend(wafer::AppendOp op) {
  Value update = getOperand(op, 0), state = map.lookup(op.getState());
  // A state promises finite numbers, so no garbage may be stored.
  LayoutAttr layout = wafer::getLayout(update.getType());
  for (auto [d, dim] : llvm::enumerate(layout.getDims()))
    if (dim.isPadded() && dim.getPadding().kind == Padding::Any)
      update = mask(update, d, 0);
  auto copy = wafer::AppendOp::create(
      builder, op.getLoc(), state.getType(), update, state,
      map.lookup(op.getPosition()), op.getDimAttr(), LayoutAttr());
  bind(op.getResult(), copy.getResult());
  return success();
}

LogicalResult Writer::writeMove(Operation *op) {
  SmallVector<Value> operands;
  for (unsigned i = 0; i < op->getNumOperands(); ++i)
    operands.push_back(getOperand(op, i));
  RankedTensorType type = getType(op->getResult(0), Padding::any());
  SmallVector<DimAttr> dims(wafer::getLayout(type).getDims());
  // The padding of a dimension is what all operands that have its class know of
  // it.
  ArrayRef<int> list = classes.values.at(op->getResult(0));
  for (auto [d, dim] : llvm::enumerate(dims)) {
    if (!dim.isPadded())
      continue;
    std::optional<Padding> known;
    for (auto [i, operand] : llvm::enumerate(operands)) {
      auto changed = classes.changes.find({op, static_cast<unsigned>(i)});
      ArrayRef<int> of =
          changed != classes.changes.end()
              ? ArrayRef<int>(changed->second)
              : ArrayRef<int>(classes.values.at(op->getOperand(i)));
      for (auto [e, index] : llvm::enumerate(of))
        if (index == list[d]) {
          Padding padding =
              wafer::getLayout(operand.getType()).getDim(e).getPadding();
          known = known ? joinPadding(*known, padding) : padding;
        }
    }
    dim = dim.withPadding(known.value_or(Padding::any()));
  }
  RankedTensorType result = withLayout(type, LayoutAttr::get(context, dims));
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
    // Sizes of whole dimensions are the padded ones.
    SmallVector<OpFoldResult> sizes;
    for (auto [d, size] : llvm::enumerate(slice.getStaticSizes())) {
      bool full = size == slice.getSourceType().getDimSize(d);
      sizes.push_back(builder.getIndexAttr(
          full ? typeOf(operands[0]).getDimSize(d) : size));
    }
    bind(slice.getResult(),
         tensor::ExtractSliceOp::create(builder, op->getLoc(), result,
                                        operands[0], slice.getMixedOffsets(),
                                        sizes, slice.getMixedStrides()));
    return success();
  }
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op)) {
    bind(expand.getResult(), tensor::ExpandShapeOp::create(
                                 builder, op->getLoc(), result, operands[0],
                                 expand.getReassociationIndices()));
    return success();
  }
  auto concat = cast<tensor::ConcatOp>(op);
  bind(concat.getResult(),
       tensor::ConcatOp::create(builder, op->getLoc(), result, concat.getDim(),
                                operands));
  return success();
}

LogicalResult Writer::writeRepeat(wafer::RepeatOp op) {
  SmallVector<Value> inits;
  for (Value init : op.getInits())
    inits.push_back(map.lookup(init));
  // The types of carried values hold in every trip. If a trip ends with less
  // known of padding than it began with, the value is masked at its end; if it
  // began with less, before the first trip, and the body is written again.
  for (int attempt = 0; attempt < 8; ++attempt) {
    SmallVector<Type> types;
    SmallVector<Location> locs(inits.size(), op.getLoc());
    for (Value init : inits)
      types.push_back(init.getType());
    auto copy = wafer::RepeatOp::create(builder, op.getLoc(), types,
                                        op.getTripCountAttr(), inits);
    Block *body = builder.createBlock(&copy.getBody(), {}, types, locs);
    for (auto [from, to] :
         llvm::zip(op.getBodyBlock()->getArguments(), body->getArguments()))
      bind(from, to);
    builder.setInsertionPointToEnd(body);
    if (failed(writeBlock(*op.getBodyBlock())))
      return failure();
    SmallVector<Value> yielded;
    bool again = false;
    for (unsigned i = 0; i < op.getYield().getNumOperands(); ++i) {
      Value value = getOperand(op.getYield(), i);
      if (isa<RankedTensorType>(value.getType())) {
        LayoutAttr begins = wafer::getLayout(inits[i].getType());
        for (auto [d, dim] : llvm::enumerate(begins.getDims())) {
          Padding ends =
              wafer::getLayout(value.getType()).getDim(d).getPadding();
          if (!dim.isPadded() || dim.getPadding() == ends)
            continue;
          if (dim.getPadding().kind == Padding::Constant) {
            value = mask(value, d, dim.getPadding().value);
            continue;
          }
          OpBuilder::InsertionGuard guard(builder);
          builder.setInsertionPoint(copy);
          inits[i] = mask(inits[i], d,
                          ends.kind == Padding::Constant ? ends.value : 0);
          again = true;
        }
      }
      yielded.push_back(value);
    }
    wafer::YieldOp::create(builder, op.getLoc(), yielded);
    builder.setInsertionPointAfter(copy);
    if (again) {
      copy.erase();
      continue;
    }
    for (auto [from, to] : llvm::zip(op.getResults(), copy.getResults()))
      bind(from, to);
    return success();
  }
  return op.emitError("the padding of carried values does not settle");
}
