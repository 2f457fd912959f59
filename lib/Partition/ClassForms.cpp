// How each form of op joins dimensions: which dimensions of its operands and
// its result are on one loop, what work it is, and which must stay whole.

#include "ClassReader.h"

#include "waferloom/Algebra/Scalar.h"
#include "waferloom/Scalar/Functions.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;

/// Cycles that an op of a body takes per element, in vector instructions.
static double getWeight(Operation *op) {
  if (std::optional<scalar::Function> function = scalar::functionOf(op))
    return scalar::factsOf(*function).weight;
  return isa<arith::ConstantOp>(op) ? 0 : 1;
}

void Reader::readGeneric(linalg::GenericOp op) {
  SmallVector<unsigned> operands;
  SmallVector<Loops> maps;
  SmallVector<AffineMap> all = op.getIndexingMapsArray();
  auto addOperand = [&](unsigned index) {
    if (!isa<ShapedType>(op->getOperand(index).getType()))
      return;
    operands.push_back(index);
    Loops &loops = maps.emplace_back();
    for (AffineExpr expr : all[index].getResults())
      loops.push_back(cast<AffineDimExpr>(expr).getPosition());
  };
  for (unsigned i = 0; i < op.getNumDpsInputs(); ++i)
    addOperand(i);
  Loops resultMap;
  for (AffineExpr expr : all.back().getResults())
    resultMap.push_back(cast<AffineDimExpr>(expr).getPosition());
  SmallVector<unsigned> reductionDims;
  op.getReductionDims(reductionDims);
  SmallVector<int> reductions(reductionDims.begin(), reductionDims.end());

  RawWork &raw = use(op, operands, maps, resultMap, reductions);
  Value term;
  algebra::Fold fold = algebra::getFold(op, term);
  raw.work.combiner = static_cast<int>(fold);
  double weight = 0;
  bool product = false;
  int halves = 0;
  for (Operation &inner : op.getBody()->without_terminator()) {
    weight += getWeight(&inner);
    if (auto mul = dyn_cast<arith::MulFOp>(inner)) {
      product = true;
      halves = llvm::count_if(mul->getOperands(), [](Value factor) {
        return isa_and_nonnull<arith::ExtFOp>(factor.getDefiningOp());
      });
    }
  }
  if (fold == algebra::Fold::Sum && product) {
    weight -= 1; // multiply and add are one instruction
    raw.work.halves = halves;
    for (unsigned operand : operands)
      if (operand < op.getNumDpsInputs())
        raw.factors.push_back(getIds(op->getOperand(operand)));
  }
  raw.work.cyclesPerElement = std::max(weight, 1.0);
  // A reduction that is no sum, max or min has no reduction over PEs.
  if (fold == algebra::Fold::None)
    for (DimId id : raw.reduction)
      whole.insert(id);
}

void Reader::readSlice(tensor::ExtractSliceOp op) {
  llvm::SmallBitVector dropped = op.getDroppedDims();
  Loops source, result;
  SmallVector<int64_t> sliced;
  for (int64_t d = 0; d < op.getSourceType().getRank(); ++d) {
    source.push_back(static_cast<int>(d));
    bool full = op.getStaticSize(d) == op.getSourceType().getDimSize(d);
    if (!full)
      sliced.push_back(d);
    if (!dropped[d])
      result.push_back(static_cast<int>(full ? d : 1000 + d));
  }
  use(op, {0}, {source}, result, {});
  for (int64_t d : sliced)
    whole.insert(getIds(op.getSource())[d]);
  for (auto [d, loop] : llvm::enumerate(result))
    if (loop >= 1000)
      whole.insert(getIds(op.getResult())[d]);
}

void Reader::readConcat(tensor::ConcatOp op) {
  auto dim = static_cast<int64_t>(op.getDim());
  SmallVector<unsigned> operands;
  SmallVector<Loops> maps;
  Loops result;
  for (int64_t d = 0; d < op.getResultType().getRank(); ++d)
    result.push_back(static_cast<int>(d));
  for (auto [i, part] : llvm::enumerate(op.getInputs())) {
    operands.push_back(i);
    maps.push_back(result);
    maps.back()[dim] = static_cast<int>(1000 + i);
    whole.insert(getIds(part)[dim]);
  }
  use(op, operands, maps, result, {});
  whole.insert(getIds(op.getResult())[dim]);
}

void Reader::readExpand(tensor::ExpandShapeOp op) {
  Loops source, result;
  int64_t d = 0, fresh = 1000;
  for (int64_t size : op.getResultType().getShape()) {
    // Only dimensions of one element are new (partition-factor).
    if (d < op.getSrcType().getRank() &&
        size == op.getSrcType().getDimSize(d) && size != 1) {
      source.push_back(static_cast<int>(d));
      result.push_back(static_cast<int>(d++));
    } else {
      result.push_back(static_cast<int>(fresh++));
    }
  }
  use(op, {0}, {source}, result, {});
}

void Reader::readAppend(wafer::AppendOp op) {
  auto dim = static_cast<int64_t>(op.getDim());
  auto state = cast<ShapedType>(op.getState().getType());
  auto update = cast<ShapedType>(op.getUpdate().getType());
  Loops stateLoops, updateLoops;
  for (int64_t d = 0; d < state.getRank(); ++d) {
    stateLoops.push_back(static_cast<int>(d));
    if (d != dim)
      updateLoops.push_back(static_cast<int>(d));
    else if (update.getRank() == state.getRank())
      updateLoops.push_back(1000);
  }
  if (update.getRank() == state.getRank()) {
    // New rows are whole on every PE, whatever split the tokens had.
    Ids rows = getIds(op.getUpdate());
    whole.insert(addChange(op, 0, rows, dim));
    Ids saved = getIds(op.getUpdate());
    ids[op.getUpdate()] = rows;
    use(op, {1, 0}, {stateLoops, updateLoops}, stateLoops, {});
    ids[op.getUpdate()] = saved;
  } else {
    use(op, {1, 0}, {stateLoops, updateLoops}, stateLoops, {});
  }
  cyclic.insert(getIds(op.getState())[dim]);
}

void Reader::readLookup(wafer::LookupOp op) {
  auto lead = cast<ShapedType>(op.getIndices().getType()).getRank();
  auto rank = cast<ShapedType>(op.getTable().getType()).getRank();
  Loops table{999}, indices, result;
  for (int64_t d = 0; d < lead; ++d)
    indices.push_back(static_cast<int>(d));
  result = indices;
  for (int64_t d = 1; d < rank; ++d) {
    table.push_back(static_cast<int>(1000 + d));
    result.push_back(table.back());
  }
  RawWork &raw = use(op, {0, 1}, {table, indices}, result, {999});
  raw.work.combiner = static_cast<int>(algebra::Fold::Sum);
  raw.work.cyclesPerElement = 0; // one row is copied, not the table
}
