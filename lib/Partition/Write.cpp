// Writes a plan into a module. Ops are rebuilt in program order on values whose
// types carry layouts, so what is known of tails is always at hand:
//
//   1. an operand that is read with another split is taken or gathered first;
//   2. where a padded reduction loop would let garbage in, an operand is
//   masked,
//      and every later reader sees the masked value;
//   3. a result that is owed a combination is combined directly behind its op.

#include "Write.h"

#include "Rules.h"

#include "waferloom/Algebra/Scalar.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using wafer::Axis;
using wafer::DimAttr;
using wafer::LayoutAttr;
using wafer::Tail;

namespace {
class Writer {
public:
  Writer(const ModuleClasses &classes, const Plan &plan,
         wafer::RegionAttr region)
      : classes(classes), plan(plan), region(region),
        context(region.getContext()), builder(context) {}

  LogicalResult writeEntry(func::FuncOp entry);

private:
  LogicalResult writeBlock(Block &block);
  LogicalResult writeOp(Operation *op);
  LogicalResult writeGeneric(linalg::GenericOp op);
  LogicalResult writeLookup(wafer::LookupOp op);
  LogicalResult writeAppend(wafer::AppendOp op);
  LogicalResult writeRepeat(wafer::RepeatOp op);
  LogicalResult writeInput(wafer::InputOp op);
  /// An op that moves whole elements: each dimension keeps what is known.
  LogicalResult writeMove(Operation *op);
  LogicalResult mendTails(linalg::GenericOp op, SmallVectorImpl<Value> &inputs);

  DimAttr getDim(int index, Tail tail);
  RankedTensorType getType(Type element, ArrayRef<int> list, Tail tail);
  RankedTensorType getType(Value old, Tail tail) {
    return getType(getElementTypeOrSelf(old.getType()), classes.values.at(old),
                   tail);
  }
  /// Operand `index` of `op` as `op` reads it.
  Value getOperand(Operation *op, unsigned index);
  Value changeTo(Value value, ArrayRef<int> target);
  Value mask(Value value, int64_t dim, double fill);
  Value combine(Value value);
  Operation *cloneWith(Operation *op, Type result);
  void bind(Value old, Value fresh) { map.map(old, fresh); }

  const ModuleClasses &classes;
  const Plan &plan;
  wafer::RegionAttr region;
  MLIRContext *context;
  OpBuilder builder;
  IRMapping map;
};
} // namespace

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

static RankedTensorType withLayout(RankedTensorType type, LayoutAttr layout) {
  return RankedTensorType::get(type.getShape(), type.getElementType(), layout);
}

DimAttr Writer::getDim(int index, Tail tail) {
  const DimClass &entry = classes.problem.classes[index];
  SmallVector<wafer::Digit> digits;
  for (Axis axis : plan.axes[index])
    digits.push_back(axis);
  bool padded = plan.padded[index] != entry.size;
  // With one element per PE there is nothing that cyclic and block tell apart.
  bool cyclic = entry.cyclic && !digits.empty() &&
                plan.padded[index] > region.getSize(plan.axes[index]);
  return DimAttr::get(context, digits, cyclic, padded ? entry.size : -1,
                      padded ? tail : Tail::none());
}

RankedTensorType Writer::getType(Type element, ArrayRef<int> list, Tail tail) {
  SmallVector<int64_t> shape;
  SmallVector<DimAttr> dims;
  for (int index : list) {
    shape.push_back(plan.padded[index]);
    dims.push_back(getDim(index, tail));
  }
  return RankedTensorType::get(shape, element, LayoutAttr::get(context, dims));
}

/// Takes or gathers the dimensions of `value` that lie otherwise than the
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
  // Free takes first: what is gathered then is smaller.
  for (bool gathers : {false, true}) {
    for (auto [d, index] : llvm::enumerate(target)) {
      DimAttr have = dimOf(d), want = getDim(index, have.getTail());
      if (have.getDigits() == want.getDigits() &&
          have.getCyclic() == want.getCyclic())
        continue;
      if (gathers && !have.isWhole()) {
        auto axes = wafer::AxesAttr::get(context, have.getAxes());
        DimAttr open = have.withoutAxes(have.getAxes());
        value =
            wafer::GatherOp::create(builder, value.getLoc(), setDim(d, open),
                                    value, d, axes, have.getCyclic());
        have = dimOf(d);
      }
      if (have.isWhole() && !want.isWhole()) {
        auto axes = wafer::AxesAttr::get(context, want.getAxes());
        value = wafer::TakeOp::create(builder, value.getLoc(), setDim(d, want),
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

Value Writer::mask(Value value, int64_t dim, double fill) {
  RankedTensorType type = typeOf(value);
  LayoutAttr layout = wafer::getLayout(type);
  SmallVector<DimAttr> dims(layout.getDims());
  dims[dim] = dims[dim].withTail(Tail::constant(fill));
  return wafer::MaskOp::create(
      builder, value.getLoc(), withLayout(type, layout.withDims(dims)), value,
      dim, algebra::getAttribute(type.getElementType(), fill));
}

Value Writer::combine(Value value) {
  LayoutAttr layout = wafer::getLayout(value.getType());
  if (!layout.isPartial())
    return value;
  Type type = withLayout(typeOf(value), layout.withoutPartial());
  auto axes = wafer::AxesAttr::get(context, layout.getPartial());
  return wafer::CombineOp::create(builder, value.getLoc(), type, value, axes,
                                  layout.getCombiner())
      .getResult(0);
}

/// Rule G8: masks an operand where a reduction would read garbage. Values that
/// are computed are masked before weights.
LogicalResult Writer::mendTails(linalg::GenericOp op,
                                SmallVectorImpl<Value> &inputs) {
  auto getTypes = [&] {
    SmallVector<RankedTensorType> types;
    for (Value value : inputs)
      types.push_back(dyn_cast<RankedTensorType>(value.getType()));
    return types;
  };
  for (int round = 0; round < 16; ++round) {
    std::optional<TailFault> fault = findTailFault(op, getTypes());
    if (!fault)
      return success();
    auto maskInput = [&](size_t i) {
      for (auto [d, expr] :
           llvm::enumerate(op.getIndexingMapsArray()[i].getResults()))
        if (llvm::is_contained(fault->loops,
                               cast<AffineDimExpr>(expr).getPosition()) &&
            wafer::getLayout(inputs[i].getType()).getDim(d).isPadded())
          inputs[i] = mask(inputs[i], d, fault->needed);
    };
    // A mask mends the fault if the body is neutral with it.
    auto mends = [&](size_t i) {
      if (!isa<RankedTensorType>(inputs[i].getType()))
        return false;
      Value before = inputs[i];
      maskInput(i);
      bool good =
          inputs[i] != before &&
          getBodyTail(op, getTypes(), fault->loops).isConstant(fault->needed);
      if (!good) {
        while (inputs[i] != before) {
          Operation *unused = inputs[i].getDefiningOp();
          inputs[i] = unused->getOperand(0);
          unused->erase();
        }
      }
      return good;
    };
    std::optional<size_t> chosen;
    for (bool weights : {false, true})
      for (size_t i = 0; i < inputs.size() && !chosen; ++i)
        if (isa_and_nonnull<wafer::ParameterOp, wafer::StateOp,
                            wafer::AppendOp>(inputs[i].getDefiningOp()) ==
                weights &&
            mends(i))
          chosen = i;
    if (!chosen) {
      // One operand is not enough (0 x garbage is not 0): mask all of them.
      bool any = false;
      for (size_t i = 0; i < inputs.size(); ++i)
        if (isa<RankedTensorType>(inputs[i].getType())) {
          Value before = inputs[i];
          maskInput(i);
          any |= inputs[i] != before;
        }
      if (!any || round == 15)
        return op.emitError()
               << "the tail of reduction loop d" << fault->loops.front()
               << " is " << fault->found.str() << " where "
               << Tail::constant(fault->needed).str()
               << " is needed, and no mask of an operand mends it: choose a "
                  "grid that divides the dimension";
    }
    // Later readers in this block see the masked value.
    for (auto [i, input] : llvm::enumerate(inputs)) {
      Value old = op.getInputs()[i];
      if (classes.changes.count({op, static_cast<unsigned>(i)}) == 0 &&
          input != map.lookup(old) &&
          map.lookup(old).getParentBlock() == builder.getInsertionBlock())
        bind(old, input);
    }
  }
  return op.emitError("tails cannot be masked");
}

LogicalResult Writer::writeGeneric(linalg::GenericOp op) {
  SmallVector<Value> inputs;
  for (unsigned i = 0; i < op.getNumDpsInputs(); ++i)
    inputs.push_back(isa<ShapedType>(op->getOperand(i).getType())
                         ? getOperand(op, i)
                         : map.lookup(op->getOperand(i)));
  if (failed(mendTails(op, inputs)))
    return failure();
  SmallVector<RankedTensorType> types;
  for (Value value : inputs)
    types.push_back(dyn_cast<RankedTensorType>(value.getType()));
  RankedTensorType wanted = getType(op.getResult(0), Tail::any());
  FailureOr<LayoutAttr> layout =
      inferGeneric(op, types, wanted, region, [&] { return op.emitError(); });
  if (failed(layout))
    return failure();
  RankedTensorType type = withLayout(wanted, *layout);
  Location loc = op.getLoc();
  Value init = tensor::EmptyOp::create(builder, loc, type.getShape(),
                                       type.getElementType(), *layout);
  if (op.getNumReductionLoops()) {
    std::optional<double> start = algebra::getNumber(op.getDpsInits().front());
    if (!start)
      return op.emitError("a reduction starts from a constant (algebra-fold)");
    Value number = arith::ConstantOp::create(
        builder, loc, algebra::getAttribute(type.getElementType(), *start));
    init = linalg::FillOp::create(builder, loc, number, init).getResult(0);
  }
  auto copy = linalg::GenericOp::create(builder, loc, type, inputs, init,
                                        op.getIndexingMapsArray(),
                                        op.getIteratorTypesArray());
  IRMapping bodyMap(map);
  op.getRegion().cloneInto(&copy.getRegion(), bodyMap);
  bind(op.getResult(0), combine(copy.getResult(0)));
  return success();
}

Operation *Writer::cloneWith(Operation *op, Type result) {
  Operation *copy = builder.clone(*op, map);
  copy->getResult(0).setType(result);
  bind(op->getResult(0), copy->getResult(0));
  return copy;
}

LogicalResult Writer::writeInput(wafer::InputOp op) {
  // The host gives every PE the whole input; what lies split is taken from it.
  ArrayRef<int> list = classes.values.at(op.getResult());
  RankedTensorType type = getType(op.getResult(), Tail::constant(0));
  SmallVector<DimAttr> dims;
  for (DimAttr dim : wafer::getLayout(type).getDims())
    dims.push_back(dim.withoutAxes(dim.getAxes()));
  Operation *copy =
      cloneWith(op, withLayout(type, LayoutAttr::get(context, dims)));
  bind(op.getResult(), changeTo(copy->getResult(0), list));
  return success();
}

LogicalResult Writer::writeLookup(wafer::LookupOp op) {
  Location loc = op.getLoc();
  Value table = getOperand(op, 0), indices = getOperand(op, 1);
  LayoutAttr layout = wafer::getLayout(table.getType());
  DimAttr rows = layout.getDim(0);
  Value numbers;
  if (!rows.isWhole())
    numbers = wafer::IotaOp::create(
        builder, loc,
        RankedTensorType::get(
            {typeOf(table).getDimSize(0)}, builder.getI32Type(),
            LayoutAttr::get(context, rows.isPadded()
                                         ? rows.withTail(Tail::finite())
                                         : rows)),
        LayoutAttr());
  SmallVector<DimAttr> dims(wafer::getLayout(indices.getType()).getDims());
  // Rows found for garbage indices are garbage.
  for (DimAttr &dim : dims)
    if (dim.isPadded())
      dim = dim.withTail(Tail::any());
  llvm::append_range(dims, layout.getDims().drop_front());
  SmallVector<Axis> owed = rows.getAxes();
  llvm::sort(owed);
  LayoutAttr result =
      LayoutAttr::get(context, dims).withPartial(owed, wafer::Combiner::Sum);
  RankedTensorType type =
      withLayout(getType(op.getResult(), Tail::any()), result);
  Value found =
      wafer::LookupOp::create(builder, loc, type, table, indices, numbers);
  bind(op.getResult(), combine(found));
  return success();
}

LogicalResult Writer::writeAppend(wafer::AppendOp op) {
  Value update = getOperand(op, 0), state = map.lookup(op.getState());
  // A state promises finite numbers, so no garbage may be stored.
  LayoutAttr layout = wafer::getLayout(update.getType());
  for (auto [d, dim] : llvm::enumerate(layout.getDims()))
    if (dim.isPadded() && dim.getTail().kind == Tail::Any)
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
  RankedTensorType type = getType(op->getResult(0), Tail::any());
  SmallVector<DimAttr> dims(wafer::getLayout(type).getDims());
  // A dimension's tail is what all operands that have its class know of it.
  ArrayRef<int> list = classes.values.at(op->getResult(0));
  for (auto [d, dim] : llvm::enumerate(dims)) {
    if (!dim.isPadded())
      continue;
    std::optional<Tail> known;
    for (auto [i, operand] : llvm::enumerate(operands)) {
      auto changed = classes.changes.find({op, static_cast<unsigned>(i)});
      ArrayRef<int> of =
          changed != classes.changes.end()
              ? ArrayRef<int>(changed->second)
              : ArrayRef<int>(classes.values.at(op->getOperand(i)));
      for (auto [e, index] : llvm::enumerate(of))
        if (index == list[d]) {
          Tail tail = wafer::getLayout(operand.getType()).getDim(e).getTail();
          known = known ? joinTails(*known, tail) : tail;
        }
    }
    dim = dim.withTail(known.value_or(Tail::any()));
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
  // known of a tail than it began with, the value is masked at its end; if it
  // began with less, before the first trip, and the body is written again.
  for (int attempt = 0; attempt < 8; ++attempt) {
    SmallVector<Type> types;
    SmallVector<Location> locs(inits.size(), op.getLoc());
    for (Value init : inits)
      types.push_back(init.getType());
    auto copy = wafer::RepeatOp::create(builder, op.getLoc(), types,
                                        op.getTripsAttr(), inits);
    Block *body = builder.createBlock(&copy.getBody(), {}, types, locs);
    for (auto [from, to] :
         llvm::zip(op.getBodyBlock()->getArguments(), body->getArguments()))
      bind(from, to);
    builder.setInsertionPointToEnd(body);
    if (failed(writeBlock(*op.getBodyBlock())))
      return failure();
    SmallVector<Value> yielded;
    bool again = false;
    for (auto [i, old] : llvm::enumerate(op.getYield().getValues())) {
      Value value = map.lookup(old);
      if (isa<RankedTensorType>(value.getType())) {
        LayoutAttr begins = wafer::getLayout(inits[i].getType());
        for (auto [d, dim] : llvm::enumerate(begins.getDims())) {
          Tail ends = wafer::getLayout(value.getType()).getDim(d).getTail();
          if (!dim.isPadded() || dim.getTail() == ends)
            continue;
          if (dim.getTail().kind == Tail::Constant) {
            value = mask(value, d, dim.getTail().value);
            continue;
          }
          OpBuilder::InsertionGuard guard(builder);
          builder.setInsertionPoint(copy);
          inits[i] =
              mask(inits[i], d, ends.kind == Tail::Constant ? ends.value : 0);
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
  return op.emitError("the tails of carried values do not settle");
}

LogicalResult Writer::writeOp(Operation *op) {
  if (auto generic = dyn_cast<linalg::GenericOp>(op))
    return writeGeneric(generic);
  if (auto input = dyn_cast<wafer::InputOp>(op))
    return writeInput(input);
  if (auto lookup = dyn_cast<wafer::LookupOp>(op))
    return writeLookup(lookup);
  if (auto append = dyn_cast<wafer::AppendOp>(op))
    return writeAppend(append);
  if (auto repeat = dyn_cast<wafer::RepeatOp>(op))
    return writeRepeat(repeat);
  if (isa<tensor::ExtractSliceOp, tensor::ConcatOp, tensor::ExpandShapeOp>(op))
    return writeMove(op);
  if (isa<wafer::ParameterOp>(op))
    return cloneWith(op, getType(op->getResult(0), Tail::constant(0))),
           success();
  if (isa<wafer::StateOp, wafer::IotaOp, wafer::PositionOp>(op))
    return cloneWith(op, getType(op->getResult(0), Tail::finite())), success();
  if (isa<tensor::EmptyOp>(op)) // generics and fills make their own
    return success();
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    std::optional<double> number = algebra::getNumber(constant.getValue());
    if (!isa<ShapedType>(op->getResult(0).getType()))
      return bind(op->getResult(0), builder.clone(*op)->getResult(0)),
             success();
    if (!number)
      return op->emitError("a constant that is no splat is a weight by now "
                           "(partition-cut)");
    RankedTensorType type = getType(op->getResult(0), Tail::constant(*number));
    bind(op->getResult(0),
         arith::ConstantOp::create(
             builder, op->getLoc(),
             DenseElementsAttr::get(
                 type, Attribute(algebra::getAttribute(type.getElementType(),
                                                       *number)))));
    return success();
  }
  if (auto fill = dyn_cast<linalg::FillOp>(op)) {
    std::optional<double> number = algebra::getNumber(fill.getInputs().front());
    RankedTensorType type = getType(
        fill.getResult(0), number ? Tail::constant(*number) : Tail::any());
    Value empty =
        tensor::EmptyOp::create(builder, op->getLoc(), type.getShape(),
                                type.getElementType(), type.getEncoding());
    bind(fill.getResult(0),
         linalg::FillOp::create(builder, op->getLoc(),
                                map.lookup(fill.getInputs().front()), empty)
             .getResult(0));
    return success();
  }
  if (auto output = dyn_cast<wafer::OutputOp>(op)) {
    wafer::OutputOp::create(builder, op->getLoc(), output.getName(),
                            map.lookup(output.getValue()), LayoutAttr());
    return success();
  }
  return op->emitError() << "'" << op->getName()
                         << "' has no rule for partitioning";
}

LogicalResult Writer::writeBlock(Block &block) {
  for (Operation &op : block.without_terminator())
    if (failed(writeOp(&op)))
      return failure();
  return success();
}

LogicalResult Writer::writeEntry(func::FuncOp entry) {
  Block &block = entry.getBody().front();
  // The new ops stand behind the old until all of them exist; verifiers of ops
  // look for the region, so it is there first.
  entry->setAttr("wafer.region", region);
  Operation *end = block.getTerminator();
  SmallVector<Operation *> old;
  for (Operation &op : block.without_terminator())
    old.push_back(&op);
  builder.setInsertionPoint(end);
  for (Operation *op : old)
    if (failed(writeOp(op)))
      return failure();
  for (Operation *op : llvm::reverse(old))
    op->erase();
  return success();
}

LogicalResult partition::write(ModuleOp module, const ModuleClasses &classes,
                               const Plan &plan) {
  auto region = wafer::RegionAttr::get(module.getContext(), plan.factors.x,
                                       plan.factors.y);
  for (auto entry : module.getOps<func::FuncOp>()) {
    if (failed(Writer(classes, plan, region).writeEntry(entry)))
      return failure();
    // Inits that generics made anew are read by nobody.
    SmallVector<Operation *> ops;
    entry.walk([&](Operation *op) { ops.push_back(op); });
    for (Operation *op : llvm::reverse(ops))
      if (op != entry && isOpTriviallyDead(op))
        op->erase();
    SmallVector<Block *> blocks{&entry.getBody().front()};
    entry.walk(
        [&](wafer::RepeatOp op) { blocks.push_back(op.getBodyBlock()); });
    for (Block *block : blocks)
      packCombines(*block);
  }
  return success();
}
