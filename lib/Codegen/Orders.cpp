#include "Orders.h"
#include "Readers.h"
#include "Sums.h"

#include "waferloom/Dialect/Fabric/Fabric.h"
#include "waferloom/Machine/MachineModel.h"
#include "waferloom/Routing/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/STLExtras.h"

#include <numeric>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::codegen;

static SmallVector<int64_t> shapeOf(Value value) {
  return SmallVector<int64_t>(cast<ShapedType>(value.getType()).getShape());
}

static bool isProduct(linalg::GenericOp op) {
  return op && op.getNumReductionLoops() && op.getNumDpsInputs() == 2;
}

/// Are both factors halves when they are multiplied?
static bool hasHalves(linalg::GenericOp op, unsigned number) {
  return getElementTypeOrSelf(op->getOperand(number)).isF16() &&
         llvm::all_of(op.getBody()->getArguments().take_front(2),
                      [](Value factor) {
                        return factor.getType().isF16() ||
                               llvm::any_of(factor.getUsers(),
                                            llvm::IsaPred<arith::TruncFOp>);
                      });
}

/// Whether like values are, or can be laid, at equal distances: weights of the
/// trips of a loop lie behind each other, others where they are.
static bool liesBesideOthers(Value value) {
  auto weights = value.getDefiningOp<wafer::ParameterOp>();
  return !weights || weights.getWeights().size() > 1;
}

std::pair<int64_t, unsigned> codegen::siblingsOf(linalg::GenericOp op) {
  std::pair<int64_t, unsigned> best{1, 0};
  if (!isProduct(op))
    return best;
  auto sizesOf = [](linalg::GenericOp product) {
    return std::pair(
        cast<ShapedType>(product->getResult(0).getType()).getNumElements(),
        llvm::product_of(product.getStaticLoopRanges()));
  };
  for (unsigned number : {0, 1}) {
    int64_t found = 0;
    for (Operation *user : op->getOperand(number).getUsers()) {
      auto other = dyn_cast<linalg::GenericOp>(user);
      found += isProduct(other) && other->getBlock() == op->getBlock() &&
               sizesOf(other) == sizesOf(op) &&
               liesBesideOthers(other->getOperand(1 - number));
    }
    if (liesBesideOthers(op->getOperand(1 - number)) && found > best.first)
      best = {found, number};
  }
  return best;
}

namespace {
/// A product as it would be emitted: its factor `number`, and the other one.
struct Imagined {
  linalg::GenericOp op;
  unsigned number;
  SmallVector<int64_t> extents;
  Ref factor, other; ///< factors 1 and 0 of `standing`

  Imagined(linalg::GenericOp op, unsigned number, ArrayRef<int64_t> strides,
           bool isMoving)
      : op(op), number(number), extents(op.getStaticLoopRanges()) {
    const Word type = hasHalves(op, number) ? Word::f16 : Word::f32;
    factor = overLoops(number, type, strides);
    if (isMoving)
      factor.steps.push_back({0, 4});
    other = asItIs(1 - number, type);
  }
  Sum sum(Budget budget, const image::TargetT &target) const {
    return {nullptr,
            target,
            budget,
            extents,
            asItIs(2, Word::f32),
            Ref::constant(0.0f)};
  }
  Ref asItIs(unsigned operand, Word type) const {
    return overLoops(operand, type,
                     dense({}, type, shapeOf(op->getOperand(operand))).strides);
  }
  AffineMap mapOf(unsigned operand) const {
    linalg::GenericOp generic = op;
    return generic.getMatchingIndexingMap(&generic->getOpOperand(operand));
  }
  Ref overLoops(unsigned operand, Word type, ArrayRef<int64_t> each) const {
    Ref ref = dense({}, type, {});
    ref.strides.assign(extents.size(), 0);
    for (auto [expr, stride] :
         llvm::zip_equal(mapOf(operand).getResults(), each))
      if (auto loop = dyn_cast<AffineDimExpr>(expr))
        ref.strides[loop.getPosition()] += stride;
    return ref;
  }
};
} // namespace

std::optional<int64_t> codegen::countProduct(linalg::GenericOp op,
                                             unsigned number,
                                             ArrayRef<int64_t> strides,
                                             bool isMoving, Budget budget,
                                             const image::TargetT &target) {
  if (!isProduct(op))
    return std::nullopt;
  const Imagined product(op, number, strides, isMoving);
  return product.sum(budget, target)
      .countProducts(product.factor, product.other);
}

SmallVector<int64_t> codegen::stridesIn(ArrayRef<int64_t> order,
                                        ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size());
  int64_t elements = 1;
  for (int64_t dim : llvm::reverse(order)) {
    strides[dim] = elements;
    elements *= shape[dim];
  }
  return strides;
}

namespace {
/// A product that reads what lies in memory, or rows of it.
struct Reader {
  linalg::GenericOp op;
  unsigned number;       ///< of its factor
  int64_t indexDims = 0; ///< of a lookup, in place of the dimension of rows

  /// Dimension `dim` of what lies in memory, of the factor.
  int64_t dimOf(int64_t dim) const {
    return indexDims ? dim - 1 + indexDims : dim;
  }
};

/// Finds the order of dimensions, the first `fixed` of which stay outermost.
struct Ordering {
  SmallVector<int64_t> shape;
  SmallVector<Reader> readers;
  int64_t fixed = 0;
  bool isMoving = false;
  Budget budget;
  const image::TargetT &target;

  void addReaders(Value value, int64_t indexDims) {
    for (OpOperand &use : value.getUses())
      if (auto op = dyn_cast<linalg::GenericOp>(use.getOwner());
          isProduct(op) && use.getOperandNumber() < 2)
        readers.push_back({op, use.getOperandNumber(), indexDims});
  }
  int64_t count(ArrayRef<int64_t> order) const {
    int64_t cycles = 0;
    for (const Reader &reader : readers) {
      SmallVector<int64_t> factorOrder;
      for (int64_t dim = 0; dim < reader.indexDims; ++dim)
        factorOrder.push_back(dim);
      for (int64_t dim : order.drop_front(reader.indexDims ? 1 : 0))
        factorOrder.push_back(reader.dimOf(dim));
      cycles += *countProduct(
          reader.op, reader.number,
          stridesIn(factorOrder, shapeOf(reader.op->getOperand(reader.number))),
          isMoving, budget, target);
    }
    return cycles;
  }
  SmallVector<int64_t> best() const {
    SmallVector<int64_t> natural(shape.size());
    std::iota(natural.begin(), natural.end(), 0);
    SmallVector<int64_t> best = natural;
    for (const Reader &reader : readers) {
      // What its other factor has not lies innermost: a vector of it meets each
      // element of that.
      linalg::GenericOp op = reader.op;
      AffineMap mine =
          op.getMatchingIndexingMap(&op->getOpOperand(reader.number));
      AffineMap other =
          op.getMatchingIndexingMap(&op->getOpOperand(1 - reader.number));
      auto isOwn = [&](int64_t dim) {
        return !llvm::is_contained(other.getResults(),
                                   mine.getResult(reader.dimOf(dim)));
      };
      SmallVector<int64_t> order = natural;
      std::sort(order.begin() + fixed, order.end(), [&](int64_t a, int64_t b) {
        return std::pair(isOwn(a), a) < std::pair(isOwn(b), b);
      });
      if (count(order) < count(best))
        best = order;
    }
    return best;
  }
};
} // namespace

SmallVector<int64_t> codegen::orderOf(wafer::StateOp state, Budget budget,
                                      const image::TargetT &target) {
  Ordering ordering{shapeOf(state.getResult()),  {},     0,
                    state.getNames().size() > 1, budget, target};
  SmallVector<Value> values{state.getResult()};
  for (size_t i = 0; i < values.size(); ++i)
    for (OpOperand &use : values[i].getUses())
      if (auto append = dyn_cast<wafer::AppendOp>(use.getOwner()))
        values.push_back(append.getResult());
  for (Value value : values)
    ordering.addReaders(value, 0);
  return ordering.best();
}

/// The lookups that take rows of `weights`.
static SmallVector<wafer::LookupOp> lookupsOf(wafer::ParameterOp weights) {
  SmallVector<wafer::LookupOp> found;
  for (Operation *user : weights.getResult().getUsers())
    if (auto lookup = dyn_cast<wafer::LookupOp>(user))
      if (lookup.getTable() == weights.getResult())
        found.push_back(lookup);
  return found;
}

bool codegen::isLookedUp(wafer::ParameterOp weights) {
  return !lookupsOf(weights).empty();
}

bool codegen::isOnlyLookedUp(wafer::ParameterOp weights) {
  const auto uses = weights.getResult().getUses();
  return isLookedUp(weights) &&
         lookupsOf(weights).size() ==
             static_cast<size_t>(std::distance(uses.begin(), uses.end()));
}

SmallVector<int64_t> codegen::orderOf(wafer::ParameterOp weights, bool isTable,
                                      Budget budget,
                                      const image::TargetT &target) {
  Ordering ordering{
      shapeOf(weights.getResult()), {}, isTable ? 1 : 0, false, budget, target};
  ordering.addReaders(weights.getResult(), 0);
  for (wafer::LookupOp lookup : lookupsOf(weights))
    // A single row has no dimension of indices, which readers are told by.
    if (auto rank = static_cast<int64_t>(shapeOf(lookup.getIndices()).size()))
      ordering.addReaders(lookup.getResult(), rank);
  return ordering.best();
}

int64_t codegen::wordsUnderWay(const image::TargetT &target) {
  return static_cast<int64_t>(
      target.output_queue_words +
      machine::MachineModel(target).getLinks().getTravel(1) +
      target.input_queue_words);
}

/// How long the answer of `message` is on its way.
static int64_t getWait(fabric::CollectiveOpInterface message,
                       const machine::MachineModel &machine) {
  return static_cast<int64_t>(machine.getLinks().getTravel(
      routing::readCollective(message).line.length / 2));
}

int64_t codegen::longestWait(wafer::RepeatOp op,
                             const machine::MachineModel &machine) {
  int64_t wait = 0;
  for (auto message :
       op.getBodyBlock()->getOps<fabric::CollectiveOpInterface>())
    wait = std::max(wait, getWait(message, machine));
  return wait;
}

/// Cycles of a trip in which nothing else is to be done but to wait for short
/// messages, less what copies of its weights take.
static int64_t getIdle(wafer::RepeatOp op, const image::TargetT &target) {
  const machine::MachineModel machine(target);
  const wafer::RegionAttr region = wafer::getRegion(op);
  Readers readers(region.getWidth(), region.getHeight());
  int64_t idle = 0;
  for (auto message :
       op.getBodyBlock()->getOps<fabric::CollectiveOpInterface>()) {
    if (!readers.of(message.getOperation())
             .across(message.getLine().getDirection())
             .all())
      continue; // most PEs have no part in it
    int64_t words = 0;
    for (Value value : message.getValues())
      words += cast<ShapedType>(value.getType()).getNumElements();
    if (words <= wordsUnderWay(target))
      idle += getWait(message, machine);
  }
  for (auto weights : op.getBodyBlock()->getOps<wafer::ParameterOp>()) {
    auto type = cast<ShapedType>(weights.getType());
    if (weights.getWeights().size() > 1)
      idle -= type.getNumElements() * type.getElementTypeBitWidth() / 32 /
              machine.getRate(Opcode::mov, Word::i32);
  }
  return idle;
}

std::optional<Patch> codegen::patchOf(wafer::AppendOp op, Budget budget,
                                      const image::TargetT &target) {
  auto state = op.getState().getDefiningOp<wafer::StateOp>();
  auto loop = op->getParentOfType<wafer::RepeatOp>();
  Value appended = op.getResult();
  if (!budget.schedules || !state || !loop || state.getNames().size() < 2 ||
      !appended.hasOneUse())
    return std::nullopt;
  OpOperand &use = *appended.use_begin();
  auto reader = dyn_cast<linalg::GenericOp>(use.getOwner());
  const SmallVector<int64_t> shape = shapeOf(appended);
  const int64_t rows = shape[op.getDim()];
  const int64_t updated =
      cast<ShapedType>(op.getUpdate().getType()).getNumElements();
  const int64_t elements = llvm::product_of(shape);
  if (!reader || !isProduct(reader) || use.getOperandNumber() > 1 ||
      updated != elements / rows)
    return std::nullopt;
  const Imagined product(reader, use.getOperandNumber(),
                         stridesIn(orderOf(state, budget, target), shape),
                         true);
  const Sum::Standing standing =
      product.sum(budget, target).standing(product.factor, product.other);
  const Word type = standing.factor.type;
  if (type != (getElementTypeOrSelf(appended).isF16() ? Word::f16 : Word::f32))
    return std::nullopt;
  const machine::MachineModel machine(target);
  const bool converts =
      getElementTypeOrSelf(op.getUpdate()) != getElementTypeOrSelf(appended);
  const int64_t convert =
      converts ? machine.getInstructionCycles(
                     updated, machine.getRate(Opcode::convert, type))
               : 0;
  const int64_t rate = machine.getRate(Opcode::select, type);
  const int64_t select = machine.getInstructionCycles(elements, rate);
  const int64_t store =
      machine.getInstructionCycles(updated, converts ? 1 : rate, true);
  const int64_t move = machine.getInstructionCycles(elements, rate, true);
  if (select + convert >= store + standing.cycles ||
      getIdle(loop, target) < 2 * (store + move))
    return std::nullopt;
  Patch patch;
  for (AffineExpr expr : product.mapOf(use.getOperandNumber()).getResults()) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    patch.strides.push_back(dim ? standing.factor.strides[dim.getPosition()]
                                : 0);
  }
  return patch;
}
