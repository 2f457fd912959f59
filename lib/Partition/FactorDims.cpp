// Rewrites every op over the factors of its dimensions (Boundaries.cpp finds
// them). The loops of a generic are replaced by the loops of their factors, in
// order, so bodies and row-major orders stay as they are and a reshape is its
// own operand.

#include "Boundaries.h"

#include "waferloom/Dialect/Wafer/Wafer.h"
#include "waferloom/Partition/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/STLExtras.h"

namespace waferloom::partition {
#define GEN_PASS_DEF_PARTITIONFACTOR
#include "waferloom/Partition/Passes.h.inc"
} // namespace waferloom::partition

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;

namespace {
class Factorizer {
public:
  Factorizer(Boundaries &boundaries, SymbolTable &symbols)
      : boundaries(boundaries), symbols(symbols),
        builder(symbols.getOp()->getContext()) {}

  LogicalResult rewriteEntry(func::FuncOp entry);

private:
  LogicalResult rewriteBlock(Block &block);
  LogicalResult rewrite(Operation *op);
  LogicalResult rewriteGeneric(linalg::GenericOp op);
  LogicalResult rewriteSlice(tensor::ExtractSliceOp op);
  LogicalResult rewriteConcat(tensor::ConcatOp op);
  LogicalResult rewriteIota(wafer::IotaOp op);
  LogicalResult rewriteRepeat(wafer::RepeatOp op);
  LogicalResult rewriteConstant(arith::ConstantOp op);
  LogicalResult rewriteAppend(wafer::AppendOp op);
  /// The same op on factored operands, its results retyped.
  Operation *cloneFactored(Operation *op);
  /// The number of factors of the dimensions before `dim`.
  int64_t countBefore(Value value, int64_t dim);

  Boundaries &boundaries;
  SymbolTable &symbols;
  OpBuilder builder;
  IRMapping map;
};
} // namespace

int64_t Factorizer::countBefore(Value value, int64_t dim) {
  int64_t count = 0;
  for (int64_t d = 0; d < dim; ++d)
    count += boundaries.getFactors(value, d).size();
  return count;
}

Operation *Factorizer::cloneFactored(Operation *op) {
  Operation *copy = builder.clone(*op, map);
  for (auto [from, to] : llvm::zip(op->getResults(), copy->getResults()))
    if (isa<ShapedType>(from.getType()))
      to.setType(boundaries.getType(from));
  return copy;
}

LogicalResult Factorizer::rewriteGeneric(linalg::GenericOp op) {
  MLIRContext *context = op.getContext();
  SmallVector<AffineMap> oldMaps = op.getIndexingMapsArray();
  // The factors of each loop, from an operand that has it.
  SmallVector<SmallVector<int64_t>> factors(op.getNumLoops());
  for (auto [operand, oldMap] : llvm::zip(op->getOperands(), oldMaps))
    for (auto [d, expr] : llvm::enumerate(oldMap.getResults()))
      factors[cast<AffineDimExpr>(expr).getPosition()] =
          boundaries.getFactors(operand, d);

  SmallVector<SmallVector<AffineExpr>> newLoops;
  SmallVector<utils::IteratorType> iterators;
  for (auto [loop, parts] : llvm::enumerate(factors)) {
    newLoops.emplace_back();
    for (size_t i = 0; i < parts.size(); ++i) {
      newLoops.back().push_back(getAffineDimExpr(iterators.size(), context));
      iterators.push_back(op.getIteratorTypesArray()[loop]);
    }
  }
  SmallVector<AffineMap> maps;
  for (AffineMap oldMap : oldMaps) {
    SmallVector<AffineExpr> exprs;
    for (AffineExpr expr : oldMap.getResults())
      llvm::append_range(exprs,
                         newLoops[cast<AffineDimExpr>(expr).getPosition()]);
    maps.push_back(AffineMap::get(iterators.size(), 0, exprs, context));
  }
  SmallVector<Value> inputs, inits;
  for (Value value : op.getInputs())
    inputs.push_back(map.lookupOrDefault(value));
  for (Value value : op.getOutputs())
    inits.push_back(map.lookupOrDefault(value));
  auto copy = linalg::GenericOp::create(builder, op.getLoc(),
                                        boundaries.getType(op.getResult(0)),
                                        inputs, inits, maps, iterators);
  IRMapping bodyMap(map);
  op.getRegion().cloneInto(&copy.getRegion(), bodyMap);
  map.map(op.getResult(0), copy.getResult(0));
  return success();
}

LogicalResult Factorizer::rewriteSlice(tensor::ExtractSliceOp op) {
  if (ShapedType::isDynamicShape(op.getStaticOffsets()) ||
      op.getSourceType().getRank() != op.getResultType().getRank())
    return op.emitError("partitioning takes slices with static offsets that "
                        "keep the rank");
  SmallVector<OpFoldResult> offsets, sizes, strides;
  auto add = [&](int64_t offset, int64_t size) {
    offsets.push_back(builder.getIndexAttr(offset));
    sizes.push_back(builder.getIndexAttr(size));
    strides.push_back(builder.getIndexAttr(1));
  };
  for (int64_t d = 0; d < op.getSourceType().getRank(); ++d) {
    SmallVector<int64_t> whole = boundaries.getFactors(op.getSource(), d);
    SmallVector<int64_t> part = boundaries.getFactors(op.getResult(), d);
    int64_t start = op.getStaticOffset(d), step = op.getStaticStride(d);
    if (whole == part) {
      for (int64_t factor : whole)
        add(0, factor);
      continue;
    }
    if (step > 1) { // the most minor factor is the step
      for (int64_t factor : part)
        add(0, factor);
      add(start, 1);
      continue;
    }
    int64_t m = op.getResultType().getDimSize(d);
    if (start % m == 0 && whole.size() >= part.size() &&
        ArrayRef(whole).take_back(part.size()) == ArrayRef(part)) {
      // One index of the major factors, in mixed radix.
      size_t lead = whole.size() - part.size();
      SmallVector<int64_t> digits(lead);
      int64_t index = start / m;
      for (size_t i = lead; i-- > 0; index /= whole[i])
        digits[i] = index % whole[i];
      for (int64_t digit : digits)
        add(digit, 1);
      for (int64_t factor : part)
        add(0, factor);
      continue;
    }
    if (whole.size() != part.size())
      return op.emitError()
             << "slice [" << start << ", " << start + m << ") of dimension "
             << d << " cuts across the factors of its "
             << op.getSourceType().getDimSize(d) << " elements";
    int64_t minor = 1;
    for (int64_t factor : ArrayRef(whole).drop_front())
      minor *= factor;
    add(start / minor, part.front());
    for (int64_t factor : ArrayRef(part).drop_front())
      add(0, factor);
  }
  Value source = map.lookup(op.getSource());
  map.map(op.getResult(),
          tensor::ExtractSliceOp::create(builder, op.getLoc(),
                                         boundaries.getType(op.getResult()),
                                         source, offsets, sizes, strides));
  return success();
}

LogicalResult Factorizer::rewriteConcat(tensor::ConcatOp op) {
  if (op.getInputs().size() == 1) {
    map.map(op.getResult(), map.lookup(op.getInputs().front()));
    return success();
  }
  int64_t dim = op.getDim(), before = countBefore(op.getResult(), dim);
  SmallVector<int64_t> whole = boundaries.getFactors(op.getResult(), dim);
  SmallVector<Value> parts;
  for (Value part : op.getInputs()) {
    SmallVector<int64_t> factors = boundaries.getFactors(part, dim);
    Value value = map.lookup(part);
    if (factors.size() + 1 == whole.size()) {
      // The part is one index of the factor: give it that dimension.
      auto type = cast<RankedTensorType>(value.getType());
      SmallVector<int64_t> shape(type.getShape());
      shape.insert(shape.begin() + before, 1);
      // The new dimension joins the group of the one behind it, or the last.
      int64_t rank = type.getRank();
      SmallVector<ReassociationIndices> groups(rank);
      for (int64_t d = 0; d < rank; ++d)
        groups[d].push_back(d < before ? d : d + 1);
      if (before < rank)
        groups[before].insert(groups[before].begin(), before);
      else if (rank > 0)
        groups[rank - 1].push_back(before);
      value = tensor::ExpandShapeOp::create(
          builder, op.getLoc(),
          RankedTensorType::get(shape, type.getElementType()), value, groups);
    } else if (factors.size() != whole.size()) {
      return op.emitError() << "concatenates parts across several factors of "
                            << "dimension " << dim;
    }
    parts.push_back(value);
  }
  map.map(op.getResult(),
          tensor::ConcatOp::create(builder, op.getLoc(),
                                   boundaries.getType(op.getResult()), before,
                                   parts));
  return success();
}

LogicalResult Factorizer::rewriteIota(wafer::IotaOp op) {
  Location loc = op.getLoc();
  RankedTensorType type = boundaries.getType(op.getResult());
  if (type.getRank() == 1) {
    cloneFactored(op);
    return success();
  }
  if (type.getRank() == 0) {
    map.map(op.getResult(),
            arith::ConstantOp::create(
                builder, loc,
                DenseElementsAttr::get(type, builder.getI32IntegerAttr(0))));
    return success();
  }
  // The index of (i, j, ..) is the mixed-radix number of the factors' indices.
  int64_t rank = type.getRank();
  SmallVector<Value> counts;
  SmallVector<AffineMap> maps;
  SmallVector<int64_t> minors(rank, 1);
  for (int64_t d = rank - 1; d > 0; --d)
    minors[d - 1] = minors[d] * type.getDimSize(d);
  for (int64_t d = 0; d < rank; ++d) {
    counts.push_back(wafer::IotaOp::create(
        builder, loc,
        RankedTensorType::get({type.getDimSize(d)}, type.getElementType()),
        wafer::LayoutAttr()));
    maps.push_back(AffineMap::get(rank, 0, builder.getAffineDimExpr(d)));
  }
  maps.push_back(builder.getMultiDimIdentityMap(rank));
  Value init = tensor::EmptyOp::create(builder, loc, type.getShape(),
                                       type.getElementType());
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  auto generic = linalg::GenericOp::create(
      builder, loc, type, counts, init, maps, iterators,
      [&](OpBuilder &b, Location loc, ValueRange args) {
        Value sum;
        for (int64_t d = 0; d < rank; ++d) {
          Value term = args[d];
          if (minors[d] != 1)
            term = arith::MulIOp::create(
                b, loc, term,
                arith::ConstantOp::create(b, loc,
                                          b.getI32IntegerAttr(minors[d])));
          sum = sum ? arith::AddIOp::create(b, loc, sum, term) : term;
        }
        linalg::YieldOp::create(b, loc, sum);
      });
  map.map(op.getResult(), generic.getResult(0));
  return success();
}

LogicalResult Factorizer::rewriteConstant(arith::ConstantOp op) {
  auto dense = dyn_cast<DenseElementsAttr>(op.getValue());
  if (!dense) {
    if (isa<ShapedType>(op.getType()))
      return op.emitError("partitioning takes dense constants only");
    cloneFactored(op);
    return success();
  }
  RankedTensorType type = boundaries.getType(op.getResult());
  if (dense.isSplat()) {
    map.map(op.getResult(), arith::ConstantOp::create(builder, op.getLoc(),
                                                      dense.resizeSplat(type)));
    return success();
  }
  // What differs from PE to PE is distributed as weights are.
  OpBuilder::InsertionGuard guard(builder);
  auto module = cast<ModuleOp>(symbols.getOp());
  auto savedBlock = builder.getInsertionBlock();
  auto savedPoint = builder.getInsertionPoint();
  builder.setInsertionPointToStart(module.getBody());
  auto weight = wafer::WeightOp::create(
      builder, op.getLoc(), builder.getStringAttr("constant"), StringAttr(),
      builder.getI64IntegerAttr(0), dense, TypeAttr::get(dense.getType()));
  StringAttr name = symbols.insert(weight, module.getBody()->begin());
  builder.setInsertionPoint(savedBlock, savedPoint);
  map.map(op.getResult(),
          wafer::ParameterOp::create(
              builder, op.getLoc(), type,
              builder.getArrayAttr(FlatSymbolRefAttr::get(name)),
              wafer::LayoutAttr()));
  return success();
}

LogicalResult Factorizer::rewriteAppend(wafer::AppendOp op) {
  int64_t dim = op.getDim();
  bool oneRow = cast<ShapedType>(op.getUpdate().getType()).getRank() <
                cast<ShapedType>(op.getState().getType()).getRank();
  size_t slots = boundaries.getFactors(op.getState(), dim).size();
  size_t rows = oneRow ? 0 : boundaries.getFactors(op.getUpdate(), dim).size();
  if (slots != 1 || rows > 1)
    return op.emitError() << "the dimension of positions is factored into "
                          << slots << " factors and that of the new rows into "
                          << rows << ": it must stay whole";
  int64_t factoredDim = countBefore(op.getState(), dim);
  auto copy = cast<wafer::AppendOp>(cloneFactored(op));
  copy.setDim(factoredDim);
  return success();
}

LogicalResult Factorizer::rewriteRepeat(wafer::RepeatOp op) {
  SmallVector<Value> inits;
  SmallVector<Type> types;
  SmallVector<Location> locs;
  for (Value init : op.getInits()) {
    inits.push_back(map.lookup(init));
    types.push_back(inits.back().getType());
    locs.push_back(op.getLoc());
  }
  auto copy = wafer::RepeatOp::create(builder, op.getLoc(), types,
                                      op.getTripCountAttr(), inits);
  Block *body = builder.createBlock(&copy.getBody(), {}, types, locs);
  for (auto [from, to] :
       llvm::zip(op.getBodyBlock()->getArguments(), body->getArguments()))
    map.map(from, to);
  builder.setInsertionPointToEnd(body);
  if (failed(rewriteBlock(*op.getBodyBlock())))
    return failure();
  builder.clone(*op.getYield(), map);
  builder.setInsertionPointAfter(copy);
  for (auto [from, to] : llvm::zip(op.getResults(), copy.getResults()))
    map.map(from, to);
  return success();
}

LogicalResult Factorizer::rewrite(Operation *op) {
  if (auto generic = dyn_cast<linalg::GenericOp>(op))
    return rewriteGeneric(generic);
  if (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op)) {
    if (boundaries.getShape(op->getOperand(0)) !=
        boundaries.getShape(op->getResult(0)))
      return op->emitError("reshape does not vanish after factoring");
    map.map(op->getResult(0), map.lookup(op->getOperand(0)));
    return success();
  }
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op))
    return rewriteSlice(slice);
  if (auto concat = dyn_cast<tensor::ConcatOp>(op))
    return rewriteConcat(concat);
  if (auto iota = dyn_cast<wafer::IotaOp>(op))
    return rewriteIota(iota);
  if (auto repeat = dyn_cast<wafer::RepeatOp>(op))
    return rewriteRepeat(repeat);
  if (auto constant = dyn_cast<arith::ConstantOp>(op))
    return rewriteConstant(constant);
  if (auto append = dyn_cast<wafer::AppendOp>(op))
    return rewriteAppend(append);
  if (auto lookup = dyn_cast<wafer::LookupOp>(op))
    if (boundaries.getFactors(lookup.getTable(), 0).size() != 1)
      return op->emitError()
             << "the rows of the table are factored into "
             << boundaries.getFactors(lookup.getTable(), 0).size()
             << " factors: they must stay one dimension";
  cloneFactored(op);
  return success();
}

LogicalResult Factorizer::rewriteBlock(Block &block) {
  for (Operation &op : block.without_terminator())
    if (failed(rewrite(&op)))
      return failure();
  return success();
}

LogicalResult Factorizer::rewriteEntry(func::FuncOp entry) {
  if (!entry.getBody().hasOneBlock())
    return entry.emitError("an entry has one block");
  Block &block = entry.getBody().front();
  // The new ops stand in a block of their own until all of them exist.
  Block fresh;
  builder.setInsertionPointToEnd(&fresh);
  if (failed(rewriteBlock(block))) {
    fresh.dropAllDefinedValueUses();
    return failure();
  }
  Operation *end = block.getTerminator();
  while (Operation *last = end->getPrevNode())
    last->erase();
  block.getOperations().splice(end->getIterator(), fresh.getOperations());
  return success();
}

namespace {
struct PartitionFactor : partition::impl::PartitionFactorBase<PartitionFactor> {
  void runOnOperation() override {
    Boundaries boundaries;
    if (failed(boundaries.compute(getOperation())))
      return signalPassFailure();
    SymbolTable symbols(getOperation());
    for (auto entry : getOperation().getOps<func::FuncOp>())
      if (failed(Factorizer(boundaries, symbols).rewriteEntry(entry)))
        return signalPassFailure();
  }
};
} // namespace
