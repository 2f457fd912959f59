// wafer.lookup: rows of a table. Where rows are divided over PEs each finds
// what it holds, and the result is a partial sum.

#include "Ops.h"

#include "../Checks.h"
#include "../ClassReader.h"
#include "../Factorizer.h"
#include "../Writer.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using wafer::Axis;
using wafer::DimAttr;
using wafer::LayoutAttr;
using wafer::LookupOp;
using wafer::Padding;
using wafer::RegionAttr;

static int rankOf(Value value) {
  return static_cast<int>(cast<ShapedType>(value.getType()).getRank());
}

namespace {
struct LookupDimensions
    : DimensionOpInterface::ExternalModel<LookupDimensions, LookupOp> {
  /// The dimensions of the indices, the rows, then those of a row.
  IterationSpace getIterationSpace(Operation *self) const {
    auto op = cast<LookupOp>(self);
    int rows = rankOf(op.getIndices());
    IterationSpace space;
    SmallVector<int> table{rows}, indices;
    for (int d = 0; d < rows; ++d)
      indices.push_back(d);
    space.result = indices;
    for (int d = 1; d < rankOf(op.getTable()); ++d) {
      table.push_back(rows + d);
      space.result.push_back(rows + d);
    }
    space.operands = {{0, table}, {1, indices}};
    space.reductions = {rows};
    // What is found of divided rows is a sum of f32.
    if (getElementTypeOrSelf(op.getResult().getType()).isF16())
      space.whole = {rows};
    return space;
  }

  /// Rows that others see in parts, or a single one, are a dimension here.
  LogicalResult factorDims(Operation *self, Factorizer &factorizer) const {
    auto op = cast<LookupOp>(self);
    Value table =
        factorizer.merged(op.getLoc(), factorizer.get(op.getTable()), 0,
                          factorizer.getFactors(op.getTable(), 0).size());
    factorizer.bind(op.getResult(),
                    LookupOp::create(factorizer.getBuilder(), op.getLoc(),
                                     factorizer.getType(op.getResult()), table,
                                     factorizer.get(op.getIndices()), Value()));
    return success();
  }
};

struct LookupLayouts
    : LayoutOpInterface::ExternalModel<LookupLayouts, LookupOp> {
  LocalWork getLocalWork(Operation *) const {
    LocalWork work;
    work.fold = algebra::Fold::Sum;
    work.cyclesPerElement = 0; // one row is copied, not the table
    work.takesRows = true;
    return work;
  }

  LogicalResult writeLayouts(Operation *self, Writer &writer) const {
    auto op = cast<LookupOp>(self);
    OpBuilder &builder = writer.getBuilder();
    Location loc = op.getLoc();
    Value table = writer.getOperand(op, 0), indices = writer.getOperand(op, 1);
    LayoutAttr layout = wafer::getLayout(table.getType());
    DimAttr rows = layout.getDim(0);
    Value numbers;
    if (!rows.isWhole())
      numbers = wafer::IotaOp::create(
          builder, loc,
          RankedTensorType::get(
              {typeOf(table).getDimSize(0)}, builder.getI32Type(),
              LayoutAttr::get(builder.getContext(),
                              rows.isPadded()
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
    LayoutAttr result = LayoutAttr::get(builder.getContext(), dims)
                            .withPartial(partial, wafer::Combiner::Sum);
    RankedTensorType type =
        withLayout(writer.getType(op.getResult(), Padding::any()), result);
    Value found = LookupOp::create(builder, loc, type, table, indices, numbers);
    writer.bind(op.getResult(), writer.allReduce(found));
    return success();
  }

  LogicalResult verifyLayouts(Operation *self, RegionAttr region) const {
    auto op = cast<LookupOp>(self);
    if (failed(checkRows(op, region)))
      return failure();
    LayoutAttr result = wafer::getLayout(op.getResult().getType());
    int64_t lead = rankOf(op.getIndices());
    for (int64_t d = 0; d < lead; ++d) {
      if (failed(checkKept(op, op.getIndices(), d, d, region)))
        return failure();
      // What is found for garbage indices is garbage.
      if (result.getDim(d).isPadded() &&
          result.getDim(d).getPadding().kind != Padding::Any)
        return op.emitOpError() << "finds anything in the padding of dimension "
                                << d << " but its result claims "
                                << result.getDim(d).getPadding().str();
    }
    for (int64_t d = 1; d < rankOf(op.getTable()); ++d)
      if (failed(checkKept(op, op.getTable(), d, lead + d - 1, region)))
        return failure();
    return success();
  }

  /// How rows are divided, and along what the result is partial for it.
  LogicalResult checkRows(LookupOp op, RegionAttr region) const {
    LayoutAttr table = wafer::getLayout(op.getTable().getType());
    LayoutAttr indices = wafer::getLayout(op.getIndices().getType());
    LayoutAttr result = wafer::getLayout(op.getResult().getType());
    SmallVector<Axis> rows = table.getDim(0).getAxes();
    llvm::sort(rows);
    for (Axis axis : indices.getSplitAxes())
      if (llvm::is_contained(table.getSplitAxes(), axis))
        return op.emitOpError()
               << "ids are split along '" << axis.str()
               << "', which splits the table: gather them first";
    if (indices.isPartial() || table.isPartial())
      return op.emitOpError("reads a value that is still partial");
    if (!rows.empty() && !op.getRows())
      return op.emitOpError("has a table whose rows are split and needs their "
                            "numbers in 'rows'");
    if (result.getPartial() != ArrayRef<Axis>(rows))
      return op.emitOpError() << "finds its rows on some PEs along the axes of "
                              << "dimension 0 of the table only, so its result "
                                 "is partial there";
    if (!rows.empty() && result.getCombiner() != wafer::Combiner::Sum)
      return op.emitOpError(
          "adds up what the PEs found: its result is a partial sum");
    if (Value numbers = op.getRows()) {
      DimAttr of = wafer::getLayout(numbers.getType()).getDim(0);
      int64_t size = cast<ShapedType>(op.getTable().getType()).getDimSize(0);
      if (of.resolve(size, region) != table.getDim(0).resolve(size, region))
        return op.emitOpError("has rows split otherwise than their numbers");
    }
    return success();
  }
};
} // namespace

void partition::addLookupModels(MLIRContext &context) {
  LookupOp::attachInterface<LookupDimensions, LookupLayouts>(context);
}
