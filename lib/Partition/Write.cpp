// Writes a plan into a module. Ops are rebuilt in program order on values whose
// types carry layouts, so what is known of padding is always at hand:
//
//   1. an operand that is read with another split is sliced or gathered first;
//   2. where a padded reduction loop would let garbage in, an operand is
//   masked,
//      and every later reader sees the masked value;
//   3. a partial result is all-reduced directly behind its op.

#include "Rules.h"
#include "Writer.h"

#include "waferloom/Algebra/Elementwise.h"
#include "waferloom/Algebra/Scalar.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Iterators.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using wafer::Axis;
using wafer::DimAttr;
using wafer::LayoutAttr;
using wafer::Padding;

DimAttr Writer::getDim(int index, Padding padding) {
  const DimClass &entry = classes.problem.classes[index];
  SmallVector<wafer::Digit> digits;
  for (Axis axis : plan.axes[index])
    digits.push_back(axis);
  bool padded = plan.padded[index] != entry.size;
  // With one element per PE there is nothing that cyclic and block tell apart.
  bool cyclic = entry.cyclic && !digits.empty() &&
                plan.padded[index] > region.getSize(plan.axes[index]);
  return DimAttr::get(context, digits, cyclic, padded ? entry.size : -1,
                      padded ? padding : Padding::none());
}

RankedTensorType Writer::getType(Value old, Padding padding) {
  SmallVector<int64_t> shape;
  SmallVector<DimAttr> dims;
  for (int index : classes.values.at(old)) {
    shape.push_back(plan.padded[index]);
    dims.push_back(getDim(index, padding));
  }
  return RankedTensorType::get(shape, getElementTypeOrSelf(old.getType()),
                               LayoutAttr::get(context, dims));
}

/// Slices or gathers the dimensions of `value` that lie otherwise than the
/// classes `target` say.
Value Writer::changeTo(Value value, ArrayRef<int> target) {
  auto dimOf = [&](int64_t d) {
    return wafer::getLayout(value.getType()).getDim(d);
  };
  auto setDim = [&](int64_t d, DimAttr dim) {
    SmallVector<DimAttr> dims(wafer::getLayout(value.getType()).getDims());
    dims[d] = dim;
    LayoutAttr layout = wafer::getLayout(value.getType()).withDims(dims);
    return withLayout(typeOf(value), layout);
  };
  // An axis splits one dimension only: another must be gathered first.
  auto areFree = [&](ArrayRef<Axis> axes) {
    SmallVector<Axis> used = wafer::getLayout(value.getType()).getSplitAxes();
    return llvm::none_of(
        axes, [&](Axis axis) { return llvm::is_contained(used, axis); });
  };
  // Takes are free and come first: what is gathered then is smaller. Those that
  // need the axes of a gathered dimension come last.
  for (bool gathers : {false, true, false}) {
    for (auto [d, index] : llvm::enumerate(target)) {
      DimAttr have = dimOf(d), want = getDim(index, have.getPadding());
      if (have.getDigits() == want.getDigits() &&
          have.getCyclic() == want.getCyclic())
        continue;
      if (gathers && !have.isWhole()) {
        auto axes = wafer::AxesAttr::get(context, have.getAxes());
        DimAttr open = have.withoutAxes(have.getAxes());
        // Words of a gather are added to zeros, which are no halves.
        const Type element = getElementTypeOrSelf(value.getType());
        value = algebra::convertFloats(
            builder, value, element.isF16() ? builder.getF32Type() : element);
        value =
            wafer::GatherOp::create(builder, value.getLoc(), setDim(d, open),
                                    value, d, axes, have.getCyclic());
        value = algebra::convertFloats(builder, value, element);
        have = dimOf(d);
      }
      if (have.isWhole() && !want.isWhole() && areFree(want.getAxes())) {
        auto axes = wafer::AxesAttr::get(context, want.getAxes());
        value = wafer::SliceOp::create(builder, value.getLoc(), setDim(d, want),
                                       value, d, axes, want.getCyclic());
      }
    }
  }
  return value;
}

Value Writer::getOperand(Operation *op, unsigned index) {
  Value old = op->getOperand(index), fresh = map.lookup(old);
  auto it = classes.changes.find({op, index});
  return it == classes.changes.end() ? fresh : changeTo(fresh, it->second);
}

SmallVector<Value> Writer::getOperands(Operation *op) {
  SmallVector<Value> operands;
  for (unsigned i = 0; i < op->getNumOperands(); ++i)
    operands.push_back(getOperand(op, i));
  return operands;
}

Value Writer::mask(Value value, int64_t dim, double fill) {
  RankedTensorType type = typeOf(value);
  LayoutAttr layout = wafer::getLayout(type);
  SmallVector<DimAttr> dims(layout.getDims());
  dims[dim] = dims[dim].withPadding(Padding::constant(fill));
  return wafer::MaskOp::create(
      builder, value.getLoc(), withLayout(type, layout.withDims(dims)), value,
      dim, algebra::getAttribute(type.getElementType(), fill));
}

Value Writer::maskGarbage(Value value) {
  LayoutAttr layout = wafer::getLayout(value.getType());
  for (auto [d, dim] : llvm::enumerate(layout.getDims()))
    if (dim.isPadded() && dim.getPadding().kind == Padding::Any)
      value = mask(value, static_cast<int64_t>(d), 0);
  return value;
}

Value Writer::allReduce(Value value) {
  LayoutAttr layout = wafer::getLayout(value.getType());
  if (!layout.isPartial())
    return value;
  Type type = withLayout(typeOf(value), layout.withoutPartial());
  auto axes = wafer::AxesAttr::get(context, layout.getPartial());
  return wafer::AllReduceOp::create(builder, value.getLoc(), type, value, axes,
                                    layout.getCombiner())
      .getResult(0);
}

Operation *Writer::cloneWith(Operation *op, Type result) {
  Operation *copy = builder.clone(*op, map);
  copy->getResult(0).setType(result);
  bind(op->getResult(0), copy->getResult(0));
  return copy;
}

/// The classes of each dimension of operand `index` as `op` reads it.
static ArrayRef<int> getRead(const ModuleClasses &classes, Operation *op,
                             unsigned index) {
  auto changed = classes.changes.find({op, index});
  return changed != classes.changes.end()
             ? ArrayRef<int>(changed->second)
             : ArrayRef<int>(classes.values.at(op->getOperand(index)));
}

RankedTensorType Writer::getMovedType(Operation *op, ArrayRef<Value> operands) {
  RankedTensorType type = getType(op->getResult(0), Padding::any());
  SmallVector<DimAttr> dims(wafer::getLayout(type).getDims());
  ArrayRef<int> list = classes.values.at(op->getResult(0));
  for (auto [d, dim] : llvm::enumerate(dims)) {
    if (!dim.isPadded())
      continue;
    std::optional<Padding> known;
    for (auto [i, operand] : llvm::enumerate(operands))
      for (auto [e, index] : llvm::enumerate(getRead(classes, op, i)))
        if (index == list[d]) {
          Padding padding =
              wafer::getLayout(operand.getType()).getDim(e).getPadding();
          known = known ? joinPadding(*known, padding) : padding;
        }
    dim = dim.withPadding(known.value_or(Padding::any()));
  }
  return withLayout(type, LayoutAttr::get(context, dims));
}

LogicalResult partition::refuseToWrite(Operation *op) {
  return op->emitError() << "'" << op->getName()
                         << "' has no rule for partitioning";
}

LogicalResult Writer::writeBlock(Block &block) {
  for (Operation &op : block.without_terminator())
    if (failed(cast<LayoutOpInterface>(op).writeLayouts(*this)))
      return failure();
  return success();
}

LogicalResult Writer::writeEntry(func::FuncOp entry) {
  Block &block = entry.getBody().front();
  // The new ops stand behind the old until all of them exist.
  Operation *end = block.getTerminator();
  SmallVector<Operation *> old;
  for (Operation &op : block.without_terminator())
    old.push_back(&op);
  builder.setInsertionPoint(end);
  for (Operation *op : old)
    if (failed(cast<LayoutOpInterface>(op).writeLayouts(*this)))
      return failure();
  for (Operation *op : llvm::reverse(old))
    op->erase();
  return success();
}

void partition::eraseDead(func::FuncOp entry) {
  // Readers before what they read, and bodies before their op.
  entry.walk<WalkOrder::PostOrder, ReverseIterator>([&](Operation *op) {
    if (op != entry && isOpTriviallyDead(op))
      op->erase();
  });
}

LogicalResult partition::write(ModuleOp module, const ModuleClasses &classes,
                               const LayoutPlan &plan) {
  auto region = wafer::RegionAttr::get(module.getContext(), plan.factors.x,
                                       plan.factors.y);
  // Verifiers of ops look for the region, so it is there first.
  wafer::ProgramOp::getOrCreate(module).setPesAttr(region);
  for (auto entry : module.getOps<func::FuncOp>()) {
    if (failed(Writer(classes, plan, region).writeEntry(entry)))
      return failure();
    eraseDead(entry); // inits that generics made anew
    SmallVector<Block *> blocks{&entry.getBody().front()};
    entry.walk(
        [&](wafer::RepeatOp op) { blocks.push_back(op.getBodyBlock()); });
    for (Block *block : blocks)
      fuseAllReduces(*block, classes.problem.fusedCollectives);
  }
  return success();
}
