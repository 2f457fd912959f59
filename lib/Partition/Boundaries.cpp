// Where dimensions are factored. A boundary of a dimension is the product of
// the factors minor to it: 576 as 9 x 64 has the boundaries {1, 64, 576}.
//
// Ops say which dimensions are factored alike (the loops of a generic) and
// which boundaries follow from others (a reshape: those of its flattened group;
// a slice of half a dimension: its length). All rules are applied until nothing
// changes; boundaries are divisors, so this ends. At last each set must be a
// chain of divisors, whose quotients are the factors. Where one is not (96 of
// 128 elements rotated by halves: 32 and 48), ops that cut or join the
// dimension share pieces of a common divisor (of 16) alone. Where there is none
// (6 heads as 2 x 3 here and as 3 x 2 there), they or its reshapes relate
// nothing, and it is whole on every PE for them.

#include "Boundaries.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Sequence.h"

#include <numeric>

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

void Boundaries::relateSlice(Operation *op, Value whole, int64_t dim,
                             Value slice, int64_t slicedDim, int64_t start,
                             int64_t step) {
  int64_t n = sizeOf(whole, dim), m = sizeOf(slice, slicedDim);
  Set ofWhole = get(whole, dim), ofSlice = get(slice, slicedDim);
  const int64_t grain = getGrain(op, Yielding::Cuts);
  if (step > 1) {
    // One index of a minor factor of that size, or it shares nothing.
    if (grain || start >= step || n != m * step)
      return;
    addBound(whole, dim, step);
    for (int64_t bound : ofSlice)
      addBound(whole, dim, bound * step);
    for (int64_t bound : ofWhole)
      if (bound % step == 0)
        addBound(slice, slicedDim, bound / step);
    return;
  }
  // Both are so many pieces of what divides all: an aligned slice is one, any
  // other some of them. Pieces are factored alike; their number stays whole.
  const int64_t piece = std::gcd(std::gcd(grain, start), std::gcd(n, m));
  ofWhole.merge(ofSlice);
  ofWhole.insert(piece);
  for (int64_t bound : ofWhole)
    if (piece % bound == 0) {
      addBound(whole, dim, bound);
      addBound(slice, slicedDim, bound);
    }
}

void Boundaries::relateSymbol(Attribute symbol, Value value) {
  auto [it, isNew] = firstUse.try_emplace(symbol, value);
  auto all = [](Value v) { return llvm::to_vector(llvm::seq(rankOf(v))); };
  if (!isNew)
    relateFlat(it->second, all(it->second), value, all(value));
}

void partition::relateLoops(Operation *op, Boundaries &boundaries) {
  IterationSpace space = cast<DimensionOpInterface>(op).getIterationSpace();
  // Loop by loop: the first tensor that has it leads the others.
  llvm::DenseMap<int, std::pair<Value, int64_t>> leader;
  auto relate = [&](Value value, ArrayRef<int> loops) {
    for (auto [d, loop] : llvm::enumerate(loops)) {
      auto [it, isNew] =
          leader.try_emplace(loop, std::pair(value, static_cast<int64_t>(d)));
      if (!isNew)
        boundaries.join(it->second.first, it->second.second, value, d);
    }
  };
  for (const IterationSpace::Tensor &tensor : space.operands)
    relate(op->getOperand(tensor.operand), tensor.loops);
  if (!space.result.empty())
    relate(op->getResult(0), space.result);
}

void Boundaries::visit(Operation *op) {
  if (auto known = dyn_cast<DimensionOpInterface>(op)) {
    failedOp |= failed(known.relateDimensions(*this));
    return;
  }
  auto isTensor = [](Type type) { return isa<ShapedType>(type); };
  if (llvm::any_of(op->getResultTypes(), isTensor) ||
      llvm::any_of(op->getOperandTypes(), isTensor)) {
    op->emitError() << "'" << op->getName()
                    << "' has no rule for factoring its dimensions: express it "
                       "by linalg.generic";
    failedOp = true;
  }
}

std::optional<std::pair<int64_t, int64_t>>
Boundaries::findClash(DimId id) const {
  int64_t below = 1;
  for (int64_t bound : bounds[id]) {
    if (bound % below != 0)
      return std::pair(below, bound);
    below = bound;
  }
  return std::nullopt;
}

LogicalResult Boundaries::checkNesting() {
  bounds.resize(dims.size());
  for (DimId id = 0; id < dims.size(); ++id) {
    if (dims.find(id) != id || !findClash(id))
      continue;
    std::string all;
    llvm::raw_string_ostream os(all);
    llvm::interleaveComma(bounds[id], os);
    return emitError(dims.getValue(id).getLoc())
           << "a dimension of " << dims.getSize(id)
           << " is factored at boundaries that do not nest: " << all
           << "; reshape it in steps whose parts divide each other";
  }
  return success();
}

LogicalResult Boundaries::findBounds(ArrayRef<Operation *> ops) {
  dims = Dimensions();
  bounds.clear();
  firstUse.clear();
  do {
    changed = false;
    for (Operation *op : ops)
      visit(op);
    if (failedOp)
      return failure();
  } while (changed);
  bounds.resize(dims.size());
  return success();
}

bool Boundaries::yield(ArrayRef<Operation *> ops) {
  auto isOn = [&](Operation *op, DimId id) {
    auto has = [&](Value value) {
      return llvm::any_of(llvm::seq(rankOf(value)), [&](int64_t d) {
        return dims.find(dims.get(value, d)) == id;
      });
    };
    return has(op->getResult(0)) || llvm::any_of(op->getOperands(), has);
  };
  // Those that share less than before, which may be enough for other dimensions
  // of theirs.
  llvm::DenseSet<Operation *> fresh;
  auto share = [&](Operation *op, int64_t most) {
    int64_t &grain = grains[op];
    const int64_t before = std::exchange(grain, std::gcd(grain, most));
    return grain != before && fresh.insert(op).second;
  };
  for (DimId id = 0, last = dims.size(); id < last; ++id) {
    if (dims.find(id) != id)
      continue;
    auto clash = findClash(id);
    if (!clash)
      continue;
    const std::pair<Yielding, int64_t> turns[] = {
        {Yielding::Cuts, std::gcd(clash->first, clash->second)},
        {Yielding::Cuts, 1},
        {Yielding::Reshapes, 1},
        {Yielding::Weights, 1}};
    for (auto [turn, most] : turns) {
      bool any = false;
      for (Operation *op : ops)
        if (auto it = yielding.find(op);
            it != yielding.end() && it->second == turn && isOn(op, id))
          any |= fresh.contains(op) || share(op, most);
      if (any)
        break;
    }
  }
  return !fresh.empty();
}

LogicalResult Boundaries::compute(ModuleOp module) {
  // Ops inside a generic are scalar and have no dimensions.
  SmallVector<Operation *> ops;
  for (auto entry : module.getOps<func::FuncOp>())
    entry.getBody().walk<WalkOrder::PreOrder>([&](Operation *op) {
      ops.push_back(op);
      return isa<linalg::LinalgOp>(op) ? WalkResult::skip()
                                       : WalkResult::advance();
    });
  do {
    if (failed(findBounds(ops)))
      return failure();
  } while (yield(ops));
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
