// What computes: generics, whose padding is masked before and whose partial
// results are all-reduced behind, and lookups, which give a partial sum over
// the PEs that hold rows.

#include "Rules.h"
#include "Writer.h"

#include "waferloom/Algebra/Scalar.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using wafer::Axis;
using wafer::DimAttr;
using wafer::LayoutAttr;
using wafer::Padding;

/// Rule G8: masks an operand where a reduction would read garbage. Values that
/// are computed are masked before weights.
LogicalResult Writer::maskPadding(linalg::GenericOp op,
                                  SmallVectorImpl<Value> &inputs) {
  auto getTypes = [&] {
    SmallVector<RankedTensorType> types;
    for (Value value : inputs)
      types.push_back(dyn_cast<RankedTensorType>(value.getType()));
    return types;
  };
  for (int round = 0; round < 16; ++round) {
    std::optional<PaddingFault> fault = findPaddingFault(op, getTypes());
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
          inputs[i] != before && getBodyPadding(op, getTypes(), fault->loops)
                                     .isConstant(fault->needed);
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
               << "the padding of reduction loop d" << fault->loops.front()
               << " is " << fault->found.str() << " where "
               << Padding::constant(fault->needed).str()
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
  return op.emitError("padding cannot be masked");
}

LogicalResult Writer::writeGeneric(linalg::GenericOp op) {
  SmallVector<Value> inputs;
  for (unsigned i = 0; i < op.getNumDpsInputs(); ++i)
    inputs.push_back(isa<ShapedType>(op->getOperand(i).getType())
                         ? getOperand(op, i)
                         : map.lookup(op->getOperand(i)));
  if (failed(maskPadding(op, inputs)))
    return failure();
  SmallVector<RankedTensorType> types;
  for (Value value : inputs)
    types.push_back(dyn_cast<RankedTensorType>(value.getType()));
  RankedTensorType wanted = getType(op.getResult(0), Padding::any());
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
  bind(op.getResult(0), allReduce(copy.getResult(0)));
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
                                         ? rows.withPadding(Padding::finite())
                                         : rows)),
        LayoutAttr());
  SmallVector<DimAttr> dims(wafer::getLayout(indices.getType()).getDims());
  // Rows found for garbage indices are garbage.
  for (DimAttr &dim : dims)
    if (dim.isPadded())
      dim = dim.withPadding(Padding::any());
  llvm::append_range(dims, layout.getDims().drop_front());
  SmallVector<Axis> partial = rows.getAxes();
  llvm::sort(partial);
  LayoutAttr result =
      LayoutAttr::get(context, dims).withPartial(partial, wafer::Combiner::Sum);
  RankedTensorType type =
      withLayout(getType(op.getResult(), Padding::any()), result);
  Value found =
      wafer::LookupOp::create(builder, loc, type, table, indices, numbers);
  bind(op.getResult(), allReduce(found));
  return success();
}
