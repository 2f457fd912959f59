// Where dimensions are factored. A boundary of a dimension is the product of
// the factors minor to it: 576 as 9 x 64 has the boundaries {1, 64, 576}.
//
// Ops say which dimensions are factored alike (the loops of a generic) and
// which boundaries follow from others (a reshape: those of its flattened group;
// a slice of half a dimension: its length). All rules are applied until nothing
// changes; boundaries are divisors, so this ends. At last each set must be a
// chain of divisors, whose quotients are the factors.

#include "Boundaries.h"

#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Sequence.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;

static int64_t rankOf(Value value) {
  auto type = dyn_cast<ShapedType>(value.getType());
  return type ? type.getRank() : 0;
}

static int64_t sizeOf(Value value, int64_t dim) {
  return cast<ShapedType>(value.getType()).getDimSize(dim);
}

Boundaries::Set &Boundaries::get(Value value, int64_t dim) {
  DimId id = dims.find(dims.get(value, dim));
  if (static_cast<size_t>(dims.size()) > bounds.size())
    bounds.resize(dims.size());
  Set &set = bounds[id];
  if (set.empty())
    set = {1, sizeOf(value, dim)};
  return set;
}

void Boundaries::addBound(Value value, int64_t dim, int64_t bound) {
  changed |= get(value, dim).insert(bound).second;
}

void Boundaries::join(Value a, int64_t dimA, Value b, int64_t dimB) {
  if (sizeOf(a, dimA) != sizeOf(b, dimB))
    return;
  get(a, dimA);
  get(b, dimB);
  auto [kept, gone] = dims.join(dims.get(a, dimA), dims.get(b, dimB));
  if (kept == gone)
    return;
  bounds[kept].insert(bounds[gone].begin(), bounds[gone].end());
  changed = true;
}

void Boundaries::joinAll(Value a, Value b) {
  for (int64_t d = 0; d < std::min(rankOf(a), rankOf(b)); ++d)
    join(a, d, b, d);
}

Boundaries::Set Boundaries::flatten(Value value, ArrayRef<int64_t> group) {
  Set result{1};
  int64_t minor = 1;
  for (int64_t dim : llvm::reverse(group)) {
    for (int64_t bound : get(value, dim))
      result.insert(bound * minor);
    minor *= sizeOf(value, dim);
  }
  return result;
}

void Boundaries::unflatten(Value value, ArrayRef<int64_t> group,
                           const Set &flat) {
  int64_t minor = 1;
  for (int64_t dim : llvm::reverse(group)) {
    int64_t size = sizeOf(value, dim);
    for (int64_t bound : flat)
      if (bound % minor == 0 && bound / minor <= size)
        addBound(value, dim, bound / minor);
    minor *= size;
  }
}

void Boundaries::relateFlat(Value a, ArrayRef<int64_t> dimsA, Value b,
                            ArrayRef<int64_t> dimsB) {
  Set flat = flatten(a, dimsA);
  flat.merge(flatten(b, dimsB));
  unflatten(a, dimsA, flat);
  unflatten(b, dimsB, flat);
}

void Boundaries::relatePart(Value whole, Value part, int64_t dim, int64_t start,
                            int64_t step) {
  int64_t n = sizeOf(whole, dim), m = sizeOf(part, dim);
  Set ofWhole = get(whole, dim), ofPart = get(part, dim);
  if (step > 1) {
    addBound(whole, dim, step);
    for (int64_t bound : ofPart)
      addBound(whole, dim, bound * step);
    for (int64_t bound : ofWhole)
      if (bound % step == 0)
        addBound(part, dim, bound / step);
    return;
  }
  // An aligned part is one index of a major factor; any other shares the
  // boundaries that its ends leave alone, and the major factor stays whole.
  if (n % m == 0 && start % m == 0)
    addBound(whole, dim, m);
  for (int64_t bound : ofWhole)
    if (bound <= m && m % bound == 0 && start % bound == 0)
      addBound(part, dim, bound);
  for (int64_t bound : ofPart)
    if (n % bound == 0 && start % bound == 0 && (bound != m || n % m == 0))
      if (bound != m || start % m == 0)
        addBound(whole, dim, bound);
}

void Boundaries::visit(Operation *op) {
  auto relateSymbol = [&](Attribute symbol, Value value) {
    auto [it, isNew] = firstUse.try_emplace(symbol, value);
    auto all = [](Value v) { return llvm::to_vector(llvm::seq(rankOf(v))); };
    if (!isNew)
      relateFlat(it->second, all(it->second), value, all(value));
  };

  if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op)) {
    // Loop by loop: the first operand that has it leads the others.
    llvm::DenseMap<unsigned, std::pair<Value, int64_t>> leader;
    for (OpOperand &operand : op->getOpOperands()) {
      AffineMap map = linalgOp.getMatchingIndexingMap(&operand);
      for (auto [d, expr] : llvm::enumerate(map.getResults())) {
        auto loop = cast<AffineDimExpr>(expr).getPosition();
        auto [it, isNew] = leader.try_emplace(
            loop, std::pair(operand.get(), static_cast<int64_t>(d)));
        if (!isNew)
          join(it->second.first, it->second.second, operand.get(), d);
      }
    }
    for (auto [init, result] :
         llvm::zip(linalgOp.getDpsInits(), op->getResults()))
      joinAll(init, result);
    return;
  }
  auto relateReshape = [&](Value from, Value to,
                           ArrayRef<ReassociationIndices> groups,
                           bool expands) {
    for (auto [d, group] : llvm::enumerate(groups)) {
      int64_t one[] = {static_cast<int64_t>(d)};
      if (expands)
        relateFlat(from, one, to, group);
      else
        relateFlat(from, group, to, one);
    }
  };
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    return relateReshape(expand.getSrc(), expand.getResult(),
                         expand.getReassociationIndices(), true);
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op))
    return relateReshape(collapse.getSrc(), collapse.getResult(),
                         collapse.getReassociationIndices(), false);
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
    for (int64_t d = 0; d < rankOf(slice.getSource()); ++d) {
      if (sizeOf(slice.getSource(), d) == sizeOf(slice.getResult(), d))
        join(slice.getSource(), d, slice.getResult(), d);
      else
        relatePart(slice.getSource(), slice.getResult(), d,
                   slice.getStaticOffset(d), slice.getStaticStride(d));
    }
    return;
  }
  if (auto concat = dyn_cast<tensor::ConcatOp>(op)) {
    int64_t start = 0, dim = concat.getDim();
    for (Value part : concat.getInputs()) {
      for (int64_t d = 0; d < rankOf(part); ++d)
        if (d != dim)
          join(concat.getResult(), d, part, d);
      if (concat.getInputs().size() == 1)
        join(concat.getResult(), dim, part, dim);
      else
        relatePart(concat.getResult(), part, dim, start, 1);
      start += sizeOf(part, dim);
    }
    return;
  }
  if (auto lookup = dyn_cast<wafer::LookupOp>(op)) {
    int64_t lead = rankOf(lookup.getIndices());
    for (int64_t d = 0; d < lead; ++d)
      join(lookup.getIndices(), d, lookup.getResult(), d);
    for (int64_t d = 1; d < rankOf(lookup.getTable()); ++d)
      join(lookup.getTable(), d, lookup.getResult(), lead + d - 1);
    return;
  }
  if (auto append = dyn_cast<wafer::AppendOp>(op)) {
    joinAll(append.getState(), append.getResult());
    int64_t dim = append.getDim();
    bool oneRow = rankOf(append.getUpdate()) < rankOf(append.getState());
    for (int64_t d = 0; d < rankOf(append.getState()); ++d)
      if (d != dim)
        join(append.getState(), d, append.getUpdate(),
             d - (oneRow && d > dim ? 1 : 0));
    return;
  }
  if (auto repeat = dyn_cast<wafer::RepeatOp>(op)) {
    for (auto [i, init] : llvm::enumerate(repeat.getInits())) {
      joinAll(init, repeat.getBodyBlock()->getArgument(i));
      joinAll(init, repeat.getResult(i));
      joinAll(init, repeat.getYield().getValues()[i]);
    }
    return;
  }
  if (auto parameter = dyn_cast<wafer::ParameterOp>(op)) {
    for (Attribute symbol : parameter.getWeights())
      relateSymbol(symbol, parameter.getResult());
    return;
  }
  if (auto state = dyn_cast<wafer::StateOp>(op)) {
    for (Attribute name : state.getNames())
      relateSymbol(name, state.getResult());
    return;
  }
  if (isa<wafer::WaferDialect>(op->getDialect()) ||
      isa<tensor::EmptyOp, arith::ConstantOp>(op))
    return;
  bool tensors = llvm::any_of(op->getResultTypes(),
                              [](Type type) { return isa<ShapedType>(type); });
  if (tensors || llvm::any_of(op->getOperandTypes(), [](Type type) {
        return isa<ShapedType>(type);
      })) {
    op->emitError() << "'" << op->getName()
                    << "' has no rule for factoring its dimensions: express it "
                       "by linalg.generic";
    failedOp = true;
  }
}

LogicalResult Boundaries::checkNesting() {
  bounds.resize(dims.size());
  for (DimId id = 0; id < dims.size(); ++id) {
    if (dims.find(id) != id || bounds[id].empty())
      continue;
    int64_t below = 1;
    for (int64_t bound : bounds[id]) {
      if (bound % below != 0) {
        std::string all;
        llvm::raw_string_ostream os(all);
        llvm::interleaveComma(bounds[id], os);
        return emitError(dims.getValue(id).getLoc())
               << "a dimension of " << dims.getSize(id)
               << " is factored at boundaries that do not nest: " << all
               << "; reshape it in steps whose parts divide each other";
      }
      below = bound;
    }
  }
  return success();
}

LogicalResult Boundaries::compute(ModuleOp module) {
  // Ops inside a generic are scalar and have no dimensions.
  SmallVector<Operation *> ops;
  module.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (isa<ModuleOp, func::FuncOp, func::ReturnOp>(op))
      return WalkResult::advance();
    if (isa<linalg::GenericOp>(op)) {
      auto generic = cast<linalg::GenericOp>(op);
      for (AffineMap map : generic.getIndexingMapsArray())
        if (!map.isProjectedPermutation()) {
          op->emitError() << "map " << AffineMapAttr::get(map)
                          << " is no projected permutation";
          failedOp = true;
        }
      if (op->getNumResults() != 1) {
        op->emitError() << "has " << op->getNumResults()
                        << " results but partitioning takes 1: split it";
        failedOp = true;
      }
      ops.push_back(op);
      return WalkResult::skip();
    }
    ops.push_back(op);
    return isa<linalg::LinalgOp>(op) ? WalkResult::skip()
                                     : WalkResult::advance();
  });
  if (failedOp)
    return failure();
  do {
    changed = false;
    for (Operation *op : ops)
      visit(op);
    if (failedOp)
      return failure();
  } while (changed);
  return checkNesting();
}

SmallVector<int64_t> Boundaries::getFactors(Value value, int64_t dim) {
  SmallVector<int64_t> factors;
  int64_t below = 0;
  for (int64_t bound : get(value, dim)) {
    if (below && bound != below)
      factors.push_back(bound / below);
    below = bound;
  }
  std::reverse(factors.begin(), factors.end());
  return factors;
}

SmallVector<int64_t> Boundaries::getShape(Value value) {
  SmallVector<int64_t> shape;
  for (int64_t d = 0; d < rankOf(value); ++d)
    llvm::append_range(shape, getFactors(value, d));
  return shape;
}

RankedTensorType Boundaries::getType(Value value) {
  return RankedTensorType::get(
      getShape(value), cast<ShapedType>(value.getType()).getElementType());
}
