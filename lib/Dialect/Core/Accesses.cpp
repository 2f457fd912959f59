#include "waferloom/Dialect/Core/Accesses.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

#include <limits>

using namespace mlir;
using namespace waferloom::core;

void waferloom::core::forEachOperand(
    Operation *instruction, llvm::function_ref<void(OperandAttr)> visit) {
  OperandAttr predicate;
  llvm::TypeSwitch<Operation *>(instruction)
      .Case([&](VectorOp op) {
        visit(op.getDst());
        for (auto source : op.getSources().getAsRange<OperandAttr>())
          visit(source);
        predicate = op.getPredicateAttr();
      })
      .Case<RecvOp, RecvFoldOp>([&](auto op) {
        visit(op.getDst());
        predicate = op.getPredicateAttr();
      })
      .Case<SendOp, RecvFoldSendOp>([&](auto op) {
        visit(op.getA());
        predicate = op.getPredicateAttr();
      });
  if (predicate)
    visit(predicate);
}

/// Numbers of a text may be anything.
static int64_t multiply(int64_t a, int64_t b) {
  int64_t result;
  if (!llvm::MulOverflow(a, b, result))
    return result;
  using Limits = std::numeric_limits<int64_t>;
  return (a < 0) == (b < 0) ? Limits::max() : Limits::min();
}

static int64_t add(int64_t a, int64_t b) {
  int64_t result;
  if (!llvm::AddOverflow(a, b, result))
    return result;
  using Limits = std::numeric_limits<int64_t>;
  return a < 0 ? Limits::min() : Limits::max();
}

void Window::move(int64_t times, int64_t bytes) {
  int64_t &end = bytes < 0 ? low : high;
  end = add(end, multiply(add(times, -1), bytes));
}

static void moveWithLoops(Window &window, ArrayRef<int64_t> steps,
                          const Trips &trips) {
  for (size_t i = 0; i + 1 < steps.size(); i += 2)
    if (steps[i] >= 0 && steps[i] < static_cast<int64_t>(trips.size()))
      window.move(trips[steps[i]], steps[i + 1]);
}

Window waferloom::core::windowOf(OperandAttr operand, ArrayRef<int64_t> shape,
                                 const Trips &trips) {
  const int64_t size = bytesOf(operand.getType());
  Window window{operand.getBuffer(), operand.getBase(),
                add(operand.getBase(), size)};
  if (operand.getDense()) {
    int64_t elements = 1;
    for (int64_t extent : shape)
      elements = multiply(elements, extent);
    window.move(elements, size);
  } else {
    for (auto [extent, stride] : llvm::zip(shape, operand.getStrides()))
      window.move(extent, multiply(stride, size));
  }
  moveWithLoops(window, operand.getSteps(), trips);
  if (operand.getIndexScale())
    window.move(operand.getIndexCount(), operand.getIndexScale());
  return window;
}

Window waferloom::core::indexWindowOf(OperandAttr operand, const Trips &trips) {
  Window window{operand.getIndexBuffer(), operand.getIndexAt(),
                add(operand.getIndexAt(), 4)};
  moveWithLoops(window, operand.getIndexSteps(), trips);
  return window;
}

waferloom::core::Trips waferloom::core::tripsAround(Operation *instruction) {
  Trips trips;
  for (auto loop = instruction->getParentOfType<LoopOp>(); loop;
       loop = loop->getParentOfType<LoopOp>())
    trips.insert(trips.begin(), static_cast<int64_t>(loop.getCount()));
  return trips;
}

bool waferloom::core::isSolid(OperandAttr operand, ArrayRef<int64_t> shape) {
  if (operand.getDense())
    return true;
  int64_t elements = 1;
  for (auto [extent, stride] :
       llvm::reverse(llvm::zip_equal(shape, operand.getStrides()))) {
    if (extent > 1 && stride != elements)
      return false;
    elements *= extent;
  }
  return true;
}

ArrayRef<int64_t> waferloom::core::shapeOf(Operation *instruction) {
  if (auto attr = instruction->getAttrOfType<DenseI64ArrayAttr>("shape"))
    return attr;
  return {};
}

void waferloom::core::forEachAccess(
    Operation *op, Trips &trips,
    llvm::function_ref<void(const Access &)> visit) {
  if (auto loop = dyn_cast<LoopOp>(op)) {
    trips.push_back(static_cast<int64_t>(loop.getCount()));
    for (Operation &inner : loop.getBody().front())
      forEachAccess(&inner, trips, visit);
    trips.pop_back();
    return;
  }
  // The destination comes first, if there is one.
  bool writes = isa<VectorOp, RecvOp, RecvFoldOp>(op);
  const bool folds = isa<RecvFoldOp>(op);
  forEachOperand(op, [&](OperandAttr operand) {
    if (!operand.getImmediate()) {
      const Window window = windowOf(operand, shapeOf(op), trips);
      if (writes)
        visit({window, true});
      if (!writes || folds)
        visit({window, false});
      if (operand.getIndexScale())
        visit({indexWindowOf(operand, trips), false});
    }
    writes = false;
  });
}

/// How many positions have each class.
static SmallVector<int64_t> sizesOf(ArrayAttr runs) {
  SmallVector<int64_t> sizes;
  for (auto run : runs.getAsRange<RunAttr>())
    for (int64_t id : run.getClasses()) {
      if (id >= static_cast<int64_t>(sizes.size()))
        sizes.resize(id + 1, 0);
      sizes[id] += run.getRepeats();
    }
  return sizes;
}

PeSets::PeSets(RegionOp region)
    : columnsOfClass(sizesOf(region.getColumns())),
      rowsOfClass(sizesOf(region.getRows())) {
  allColumns.resize(columnsOfClass.size(), true);
  allRows.resize(rowsOfClass.size(), true);
  // Columns and rows count their classes apart, and a set may be either's.
  const size_t most = std::max(columnsOfClass.size(), rowsOfClass.size());
  for (auto set : region.getBody().getOps<SetOp>()) {
    llvm::BitVector classes(most);
    for (int64_t id : set.getClasses())
      if (id >= 0 && id < static_cast<int64_t>(most))
        classes.set(id);
    sets[FlatSymbolRefAttr::get(set.getSymNameAttr())] = std::move(classes);
  }
}

const llvm::BitVector &PeSets::lookup(Attribute name,
                                      const llvm::BitVector &all) const {
  auto known = sets.find(name);
  return known == sets.end() ? all : known->second;
}

PeSet PeSets::of(Operation *op) const {
  return {columnsOf(op->getAttr("columns")), rowsOf(op->getAttr("rows"))};
}

int64_t PeSets::count(const llvm::BitVector &classes, ArrayRef<int64_t> sizes) {
  int64_t total = 0;
  for (unsigned id : classes.set_bits())
    if (id < sizes.size())
      total += sizes[id];
  return total;
}
