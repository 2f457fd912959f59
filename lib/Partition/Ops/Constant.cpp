// arith.constant, tensor.empty and linalg.fill: what reads nothing that is
// computed. Only one number for all elements is a constant when dimensions are
// divided; what differs from PE to PE is a weight.

#include "Ops.h"

#include "../Checks.h"
#include "../ClassReader.h"
#include "../Factorizer.h"
#include "../Rules.h"
#include "../Writer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using arith::ConstantOp;
using linalg::FillOp;
using tensor::EmptyOp;
using wafer::DimAttr;
using wafer::LayoutAttr;
using wafer::Padding;
using wafer::RegionAttr;

namespace {
struct ConstantDimensions
    : DimensionOpInterface::ExternalModel<ConstantDimensions, ConstantOp> {
  LogicalResult factorDims(Operation *self, Factorizer &factorizer) const {
    auto op = cast<ConstantOp>(self);
    auto dense = dyn_cast<DenseElementsAttr>(op.getValue());
    if (!dense) {
      if (isa<ShapedType>(op.getType()))
        return op.emitError("partitioning takes dense constants only");
      factorizer.clone(op);
      return success();
    }
    if (!dense.isSplat()) {
      factorizer.bind(op.getResult(), createWeight(op, dense, factorizer));
      return success();
    }
    factorizer.bind(op.getResult(),
                    ConstantOp::create(
                        factorizer.getBuilder(), op.getLoc(),
                        dense.resizeSplat(factorizer.getType(op.getResult()))));
    return success();
  }

  /// What differs from PE to PE is distributed as weights are.
  static Value createWeight(ConstantOp op, DenseElementsAttr dense,
                            Factorizer &factorizer) {
    OpBuilder &builder = factorizer.getBuilder();
    auto module = cast<ModuleOp>(factorizer.getSymbols().getOp());
    StringAttr name;
    {
      OpBuilder::InsertionGuard guard(builder);
      if (wafer::ProgramOp program = wafer::getProgram(module))
        builder.setInsertionPointAfter(program);
      else
        builder.setInsertionPointToStart(module.getBody());
      auto weight = wafer::WeightOp::create(
          builder, op.getLoc(), builder.getStringAttr("constant"), StringAttr(),
          builder.getI64IntegerAttr(0), dense, wafer::BlocksAttr(),
          wafer::PartAttr(), TypeAttr::get(dense.getType()));
      name = factorizer.getSymbols().insert(weight);
    }
    return wafer::ParameterOp::create(
        builder, op.getLoc(), factorizer.getType(op.getResult()),
        builder.getArrayAttr(FlatSymbolRefAttr::get(name)), LayoutAttr());
  }

  Rerolling getRerolling(Operation *) const { return Rerolling::Source; }
};

struct ConstantLayouts
    : LayoutOpInterface::ExternalModel<ConstantLayouts, ConstantOp> {
  LogicalResult writeLayouts(Operation *self, Writer &writer) const {
    auto op = cast<ConstantOp>(self);
    OpBuilder &builder = writer.getBuilder();
    if (!isa<ShapedType>(op.getType())) {
      writer.bind(op.getResult(), builder.clone(*op)->getResult(0));
      return success();
    }
    std::optional<double> number = algebra::getNumber(op.getValue());
    if (!number)
      return op->emitError("a constant that is no splat is a weight by now "
                           "(partition-factor)");
    RankedTensorType type =
        writer.getType(op.getResult(), Padding::constant(*number));
    Attribute element = algebra::getAttribute(type.getElementType(), *number);
    writer.bind(op.getResult(),
                ConstantOp::create(builder, op->getLoc(),
                                   DenseElementsAttr::get(type, element)));
    return success();
  }

  LogicalResult verifyLayouts(Operation *self, RegionAttr) const {
    auto op = cast<ConstantOp>(self);
    auto type = dyn_cast<RankedTensorType>(op.getType());
    if (!type)
      return success();
    LayoutAttr layout = wafer::getLayout(type);
    std::optional<double> number = algebra::getNumber(op.getResult());
    if (!number)
      return layout.getSplitAxes().empty() && !layout.isPartial() &&
                     !layout.hasRoot()
                 ? success()
                 : op->emitOpError(
                       "is split but no splat, so its local "
                       "shards differ: make it a weight (partition-factor)");
    for (DimAttr dim : layout.getDims())
      if (dim.isPadded() && !layout.isPartial() &&
          !implies(Padding::constant(*number), dim.getPadding()))
        return op->emitOpError("claims another padding than its value");
    return success();
  }

  LogicalResult makeLocal(Operation *self, RegionAttr region) const {
    auto op = cast<ConstantOp>(self);
    auto dense = dyn_cast<DenseElementsAttr>(op.getValue());
    if (!dense || !wafer::getLayout(dense.getType()))
      return success();
    if (!dense.isSplat())
      return op->emitError("a constant with a layout that is no splat: "
                           "make it a weight (partition-factor)");
    op.setValueAttr(dense.resizeSplat(
        wafer::getLocalType(cast<RankedTensorType>(dense.getType()), region)));
    return success();
  }
};

struct EmptyDimensions
    : DimensionOpInterface::ExternalModel<EmptyDimensions, EmptyOp> {
  Rerolling getRerolling(Operation *) const { return Rerolling::Source; }
};

struct EmptyLayouts : LayoutOpInterface::ExternalModel<EmptyLayouts, EmptyOp> {
  /// Generics and fills make their own.
  LogicalResult writeLayouts(Operation *, Writer &) const { return success(); }
};

struct FillDimensions
    : DimensionOpInterface::ExternalModel<FillDimensions, FillOp> {
  LogicalResult relateDimensions(Operation *self,
                                 Boundaries &boundaries) const {
    auto op = cast<FillOp>(self);
    boundaries.joinAll(op.getOutputs().front(), op.getResult(0));
    return success();
  }

  Rerolling getRerolling(Operation *) const { return Rerolling::Source; }
};

struct FillLayouts : LayoutOpInterface::ExternalModel<FillLayouts, FillOp> {
  LogicalResult writeLayouts(Operation *self, Writer &writer) const {
    auto op = cast<FillOp>(self);
    OpBuilder &builder = writer.getBuilder();
    Value number = op.getInputs().front();
    std::optional<double> known = algebra::getNumber(number);
    RankedTensorType type = writer.getType(
        op.getResult(0), known ? Padding::constant(*known) : Padding::any());
    Value empty = EmptyOp::create(builder, op.getLoc(), type.getShape(),
                                  type.getElementType(), type.getEncoding());
    writer.bind(op.getResult(0),
                FillOp::create(builder, op.getLoc(), writer.get(number), empty)
                    .getResult(0));
    return success();
  }
};
} // namespace

void partition::addConstantModels(MLIRContext &context) {
  ConstantOp::attachInterface<ConstantDimensions, ConstantLayouts>(context);
  EmptyOp::attachInterface<EmptyDimensions, EmptyLayouts>(context);
  FillOp::attachInterface<FillDimensions, FillLayouts>(context);
}
