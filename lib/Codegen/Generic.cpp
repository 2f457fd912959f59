// A generic is a loop nest with one body. Three shapes of it matter:
//
//   elementwise   every body op becomes one vector instruction over all loops;
//   contraction   sum of a * b; factors may be halves, stored so or rounded
//                 here;
//   other folds   the folded expression into a temporary, then its fold
//                 (Sums.cpp has the ways of both).
//
// Temporaries of an expression are as large as its loops. Where they exceed the
// budget, the outer loops become loops of the program, so that temporaries are
// as large as what is left.

#include "Generic.h"
#include "Body.h"
#include "Orders.h"
#include "Sums.h"

#include "waferloom/Format/TypeFormat.h"
#include "waferloom/Scalar/Functions.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"

#include <limits>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::codegen;

FailureOr<Word> codegen::wordType(Operation *op, mlir::Type element) {
  std::optional<Format> format = waferloom::formatOf(element);
  if (format == Format::i1)
    format = factsOf(*format).widened; // a word of 0 or 1
  if (format)
    if (std::optional<Word> word = image::typeOf(*format))
      return *word;
  InFlightDiagnostic diag = op->emitOpError()
                            << "holds elements of type " << element
                            << ", which the machine does not have";
  if (format)
    diag.attachNote() << nameOf(*format) << " is widened to "
                      << nameOf(factsOf(*format).widened)
                      << " before a PE computes with it";
  return diag;
}

namespace {
struct GenericEmitter {
  Emitter &emitter;
  linalg::GenericOp op;
  ArrayRef<Ref> operands;
  Ref dst;
  Budget budget;
  const image::TargetT &target;

  SmallVector<int64_t> extents;
  llvm::DenseMap<Value, Ref> &values;  // body values, one stride per loop
  llvm::DenseMap<Value, Ref> &rounded; // operands as halves

  LogicalResult run();
  FailureOr<Ref> overLoops(unsigned operand, Ref ref);
  FailureOr<Ref> read(Value value);
  LogicalResult evaluate(Value value, Ref into);
  LogicalResult elementwise(Value yielded);
  LogicalResult reduction(Value yielded);
  std::optional<Ref> factorOf(Value factor);
  LogicalResult foldExpression(Opcode opcode, Value folded, Ref init);
  /// Opens loops of the program until the temporaries of the body are small;
  /// returns how many. `extents` and all operands are of one trip from then on.
  unsigned strip(bool intoResult);
  int64_t stripElements(bool intoResult);
  void openLoop(size_t loop, int64_t kept);
  int64_t elements() const { return llvm::product_of(extents); }
  bool reduces(unsigned loop) {
    return op.getIteratorTypesArray()[loop] == utils::IteratorType::reduction;
  }
};
} // namespace

/// Strides per tensor dimension become strides per loop.
FailureOr<Ref> GenericEmitter::overLoops(unsigned operand, Ref ref) {
  AffineMap map = op.getMatchingIndexingMap(&op->getOpOperand(operand));
  SmallVector<int64_t, 4> strides(extents.size(), 0);
  for (auto [i, expr] : llvm::enumerate(map.getResults())) {
    if (auto loop = dyn_cast<AffineDimExpr>(expr)) {
      if (!ref.immediate && !ref.isAbsent())
        strides[loop.getPosition()] += ref.strides[i];
      continue;
    }
    auto constant = dyn_cast<AffineConstantExpr>(expr);
    if (!constant || constant.getValue() != 0)
      return op.emitOpError() << "reads operand " << operand
                              << " through a map that is no projection";
  }
  ref.strides = strides;
  return ref;
}

FailureOr<Ref> GenericEmitter::read(Value value) {
  if (auto it = values.find(value); it != values.end())
    return it->second;
  Attribute attr;
  if (matchPattern(value, m_Constant(&attr)))
    if (std::optional<Ref> ref = constantRef(attr))
      return *ref;
  Operation *def = value.getDefiningOp();
  if (!def || def->getBlock() != op.getBody())
    return op.emitOpError("reads a value from outside its body");
  FailureOr<Word> type = wordType(op, value.getType());
  if (failed(type))
    return failure();
  Ref into = emitter.temporary(*type, extents);
  if (failed(evaluate(value, into)))
    return failure();
  values[value] = into;
  return into;
}

LogicalResult GenericEmitter::evaluate(Value value, Ref into) {
  Operation *def = value.getDefiningOp();
  BodyForm form = formOf(def);
  SmallVector<Ref, 4> refs;
  for (Value operand : form.operands) {
    FailureOr<Ref> ref = read(operand);
    if (failed(ref))
      return failure();
    refs.push_back(*ref);
  }
  return emitBodyOp(emitter, def, form.kind, extents, refs, into);
}

LogicalResult GenericEmitter::run() {
  Block *body = op.getBody();
  for (auto [i, operand] : llvm::enumerate(operands)) {
    FailureOr<Ref> ref = overLoops(i, operand);
    if (failed(ref))
      return failure();
    if (!operand.isAbsent())
      values[body->getArgument(i)] = *ref;
  }
  FailureOr<Ref> out = overLoops(op.getNumDpsInputs(), dst);
  if (failed(out))
    return failure();
  dst = *out;
  Value yielded = body->getTerminator()->getOperand(0);
  return op.getNumReductionLoops() == 0 ? elementwise(yielded)
                                        : reduction(yielded);
}

/// Temporaries that live at one time while `op` is computed, at most.
static int64_t countTemporaries(Operation *op) {
  if (std::optional<scalar::Function> function = scalar::functionOf(op))
    return scalar::factsOf(*function).temporaries;
  if (isa<arith::FPToSIOp>(op))
    return 6;
  return isa<arith::ConstantOp>(op) ? 0 : 1;
}

/// `kept` elements of `loop` per trip.
void GenericEmitter::openLoop(size_t loop, int64_t kept) {
  unsigned depth = emitter.depth();
  auto advance = [&](Ref &ref) {
    if (ref.isAbsent() || ref.immediate)
      return;
    if (int64_t bytes = ref.strides[loop] * kept * bytesOf(ref.type))
      ref.steps.push_back({depth, bytes});
  };
  for (BlockArgument argument : op.getBody()->getArguments())
    if (auto it = values.find(argument); it != values.end())
      advance(it->second);
  advance(dst);
  emitter.loop(extents[loop] / kept);
  extents[loop] = kept;
}

/// Elements below which another trip costs more than its elements.
static constexpr int64_t leastStrip = 16;

/// Elements of one trip at most, so that temporaries are small.
int64_t GenericEmitter::stripElements(bool intoResult) {
  int64_t temporaries = 0;
  for (Operation &inner : op.getBody()->without_terminator())
    temporaries += countTemporaries(&inner);
  if (intoResult)
    temporaries -= 1; // the last one needs none
  if (temporaries <= 0)
    return std::numeric_limits<int64_t>::max();
  return std::max(budget.temporaryBytes / 4 / temporaries, leastStrip);
}

unsigned GenericEmitter::strip(bool intoResult) {
  int64_t most = stripElements(intoResult);
  unsigned opened = 0;
  for (size_t loop = 0; loop < extents.size(); ++loop) {
    if (elements() <= most || opened == 3)
      break;
    int64_t inner = elements() / extents[loop];
    // The largest share of this loop that is small enough.
    int64_t kept = 1;
    for (int64_t share = 1; share < extents[loop]; ++share)
      if (extents[loop] % share == 0 && share * inner <= std::max(most, inner))
        kept = share;
    if (kept * inner < leastStrip || kept == extents[loop])
      break;
    openLoop(loop, kept);
    ++opened;
  }
  return opened;
}

LogicalResult GenericEmitter::elementwise(Value yielded) {
  Operation *def = yielded.getDefiningOp();
  bool constant = def && def->hasTrait<OpTrait::ConstantLike>();
  if (def && def->getBlock() == op.getBody() && !constant) {
    unsigned loops = strip(true);
    LogicalResult done = evaluate(yielded, dst);
    while (loops-- > 0)
      emitter.endLoop();
    return done;
  }
  FailureOr<Ref> ref = read(yielded);
  if (failed(ref))
    return failure();
  emitter.vector(Opcode::mov, extents, dst, *ref);
  return success();
}

LogicalResult GenericEmitter::reduction(Value yielded) {
  Value accumulator = op.getRegionOutputArgs()[0];
  Operation *fold = yielded.getDefiningOp();
  std::optional<Opcode> opcode = fold && fold->getBlock() == op.getBody()
                                     ? combinerOpcode(fold)
                                     : std::nullopt;
  if (!opcode || llvm::count(fold->getOperands(), accumulator) != 1 ||
      !accumulator.hasOneUse())
    return op.emitOpError("reduces in a way the machine has no sequence for");
  Value folded = fold->getOperand(0) == accumulator ? fold->getOperand(1)
                                                    : fold->getOperand(0);

  auto init = values.find(accumulator);
  if (init == values.end())
    return op.emitOpError("reduces into a result without an initial value");
  auto [siblings, shared] = siblingsOf(op);
  Sum sum{&emitter, target,       budget,   extents,
          dst,      init->second, siblings, shared};

  auto product = folded.getDefiningOp<arith::MulFOp>();
  if (product && *opcode == Opcode::add && dst.type == Word::f32 &&
      product.getLhs() != product.getRhs()) {
    std::optional<Ref> a = factorOf(product.getLhs());
    std::optional<Ref> b = a ? factorOf(product.getRhs()) : std::nullopt;
    if (b) {
      sum.products(*a, *b);
      return success();
    }
  }
  if (isa<BlockArgument>(folded)) {
    FailureOr<Ref> value = read(folded);
    if (failed(value))
      return failure();
    sum.fold(*opcode, *value, /*isOwned=*/false);
    return success();
  }
  return foldExpression(*opcode, folded, init->second);
}

/// dst = init op the expression `folded`, a strip of it at a time.
LogicalResult GenericEmitter::foldExpression(Opcode opcode, Value folded,
                                             Ref init) {
  bool isStripped = elements() > stripElements(false);
  if (isStripped) { // the sum begins in front of the loops
    SmallVector<int64_t> outer = extents;
    for (size_t loop = 0; loop < outer.size(); ++loop)
      if (reduces(loop))
        outer[loop] = 1;
    emitter.vector(Opcode::mov, outer, dst, init);
  }
  unsigned loops = strip(false);
  FailureOr<Ref> value = read(folded);
  if (failed(value))
    return failure();
  Sum{&emitter, target, budget, extents, dst, isStripped ? dst : init}.fold(
      opcode, *value, /*isOwned=*/true);
  while (loops-- > 0)
    emitter.endLoop();
  return success();
}

/// A factor of a product: an input, or halves: extf of an input that is stored
/// so, or of one that is rounded first, once for all its products.
std::optional<Ref> GenericEmitter::factorOf(Value factor) {
  if (isa<BlockArgument>(factor)) {
    auto known = values.find(factor);
    return known != values.end() && known->second.type == Word::f32
               ? std::optional(known->second)
               : std::nullopt;
  }
  auto widening = factor.getDefiningOp<arith::ExtFOp>();
  if (!widening || !widening.getIn().getType().isF16())
    return std::nullopt;
  Value stored = widening.getIn();
  auto rounding = stored.getDefiningOp<arith::TruncFOp>();
  auto argument = dyn_cast<BlockArgument>(rounding ? rounding.getIn() : stored);
  auto known = argument ? values.find(argument) : values.end();
  if (known == values.end())
    return std::nullopt;
  if (!rounding)
    return known->second;
  if (known->second.type != Word::f32 || known->second.immediate)
    return std::nullopt;
  unsigned operand = argument.getArgNumber();
  auto [it, isNew] = rounded.try_emplace(op->getOperand(operand));
  if (isNew) {
    SmallVector<int64_t> shape(
        cast<ShapedType>(op->getOperand(operand).getType()).getShape());
    it->second = emitter.temporary(Word::f16, shape);
    emitter.vector(Opcode::convert, shape, it->second, operands[operand]);
  }
  FailureOr<Ref> half = overLoops(operand, it->second);
  return succeeded(half) ? std::optional(*half) : std::nullopt;
}

LogicalResult codegen::emitGeneric(Emitter &emitter, linalg::GenericOp generic,
                                   ArrayRef<Ref> operands, Ref dst,
                                   Budget budget, const image::TargetT &target,
                                   llvm::DenseMap<Value, Ref> &rounded) {
  llvm::DenseMap<Value, Ref> values;
  GenericEmitter state{emitter,
                       generic,
                       operands,
                       dst,
                       budget,
                       target,
                       generic.getStaticLoopRanges(),
                       values,
                       rounded};
  return state.run();
}
