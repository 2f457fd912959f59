// A generic is a loop nest with one body. Three shapes of it matter:
//
//   elementwise   every body op becomes one vector instruction over all loops;
//   contraction   sum of a * b: either, for each element of one operand, one
//   fma
//                 of that scalar with a vector of the other, or all products at
//                 once and then a fold. The first pays issue and a descriptor
//                 rewrite per scalar, the second a temporary and two passes.
//                 Factors may be halves, stored so or rounded here: then fma
//                 multiplies halves, and the other way widens them first;
//   other folds   the folded expression into a temporary, then one instruction
//                 whose destination stands still along the reduction loops.
//
// Temporaries of an expression are as large as its loops. Where they exceed the
// budget, the outer loops become loops of the program, so that temporaries are
// as large as what is left.
//
// Which way a contraction goes is a comparison of cycles under the target.

#include "Generic.h"
#include "Body.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::codegen;

FailureOr<Word> codegen::wordType(Operation *op, mlir::Type element) {
  if (element.isF32())
    return Word::f32;
  if (element.isF16())
    return Word::f16;
  if (element.isInteger(32) || element.isInteger(1))
    return Word::i32;
  return op->emitOpError() << "holds elements of type " << element
                           << ", which the machine does not have";
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
  llvm::DenseMap<Value, Ref> &values; // body values, one stride per loop

  LogicalResult run();
  FailureOr<Ref> overLoops(unsigned operand, Ref ref);
  FailureOr<Ref> read(Value value);
  LogicalResult evaluate(Value value, Ref into);
  LogicalResult elementwise(Value yielded);
  LogicalResult reduction(Value yielded);
  std::optional<Ref> halves(Value factor);
  Ref converted(const Ref &from, Word type);
  LogicalResult contraction(Ref a, Ref b, Ref sum);
  /// Opens loops of the program until the temporaries of the body are small;
  /// returns how many. `extents` and all operands are of one trip from then on.
  unsigned strip(bool intoResult);
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
  SmallVector<Ref, 4> refs;
  for (Value operand : def->getOperands()) {
    FailureOr<Ref> ref = read(operand);
    if (failed(ref))
      return failure();
    refs.push_back(*ref);
  }
  return emitBodyOp(emitter, def, extents, refs, into);
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
  if (isa<math::SinOp, math::CosOp, math::ErfOp, math::TanhOp, math::LogOp>(op))
    return 8;
  if (isa<math::ExpOp, math::RsqrtOp, math::SqrtOp, arith::DivFOp,
          arith::FPToSIOp>(op))
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

unsigned GenericEmitter::strip(bool intoResult) {
  int64_t temporaries = 0;
  for (Operation &inner : op.getBody()->without_terminator())
    temporaries += countTemporaries(&inner);
  if (intoResult)
    temporaries -= 1; // the last one needs none
  int64_t most = budget.temporaryBytes / 4 / std::max<int64_t>(temporaries, 1);
  most = std::max(most, leastStrip);
  unsigned opened = 0;
  for (size_t loop = 0; temporaries > 0 && loop < extents.size(); ++loop) {
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

  // The destination starts as the init, once per element.
  auto init = values.find(accumulator);
  if (init == values.end())
    return op.emitOpError("reduces into a result without an initial value");
  SmallVector<int64_t> outer = extents;
  for (size_t loop = 0; loop < outer.size(); ++loop)
    if (reduces(loop))
      outer[loop] = 1;
  emitter.vector(Opcode::mov, outer, dst, init->second);

  auto product = folded.getDefiningOp<arith::MulFOp>();
  if (product && *opcode == Opcode::add && dst.type == Word::f32) {
    std::optional<Ref> a = halves(product.getLhs());
    std::optional<Ref> b = a ? halves(product.getRhs()) : std::nullopt;
    if (b)
      return contraction(*a, *b, dst);
  }
  if (product && *opcode == Opcode::add &&
      isa<BlockArgument>(product.getLhs()) &&
      isa<BlockArgument>(product.getRhs()) &&
      product.getLhs() != product.getRhs()) {
    FailureOr<Ref> a = read(product.getLhs()), b = read(product.getRhs());
    if (failed(a) || failed(b))
      return failure();
    return contraction(*a, *b, dst);
  }
  unsigned loops = isa<BlockArgument>(folded) ? 0 : strip(false);
  FailureOr<Ref> value = read(folded);
  if (failed(value))
    return failure();
  emitter.vector(*opcode, extents, dst, dst, *value);
  while (loops-- > 0)
    emitter.endLoop();
  return success();
}

/// A factor of a product as halves: extf of an input that is stored so, or of
/// one that is rounded first.
std::optional<Ref> GenericEmitter::halves(Value factor) {
  auto widening = factor.getDefiningOp<arith::ExtFOp>();
  if (!widening || !widening.getIn().getType().isF16())
    return std::nullopt;
  if (auto rounding = widening.getIn().getDefiningOp<arith::TruncFOp>()) {
    auto argument = dyn_cast<BlockArgument>(rounding.getIn());
    auto known = argument ? values.find(argument) : values.end();
    if (known == values.end() || known->second.type != Word::f32 ||
        known->second.immediate)
      return std::nullopt;
    return converted(known->second, Word::f16);
  }
  auto argument = dyn_cast<BlockArgument>(widening.getIn());
  auto known = argument ? values.find(argument) : values.end();
  return known == values.end() ? std::nullopt : std::optional(known->second);
}

/// The operand in another type, with the loops that it has and no others.
Ref GenericEmitter::converted(const Ref &from, Word type) {
  SmallVector<int64_t> own;
  for (auto [extent, stride] : llvm::zip_equal(extents, from.strides))
    own.push_back(stride == 0 ? 1 : extent);
  Ref to = emitter.temporary(type, own);
  emitter.vector(Opcode::convert, own, to, from);
  for (auto [extent, stride] : llvm::zip_equal(own, to.strides))
    if (extent == 1)
      stride = 0;
  return to;
}

/// Elements that a vector instruction over the operand's own loops takes.
static int64_t ownElements(ArrayRef<int64_t> extents, const Ref &ref) {
  int64_t count = 1;
  for (auto [extent, stride] : llvm::zip_equal(extents, ref.strides))
    count *= stride == 0 ? 1 : extent;
  return count;
}

/// Cycles of one fma per element of `scalar`, each over the other loops.
static int64_t scalarCycles(ArrayRef<int64_t> extents, const Ref &scalar,
                            const image::TargetT &target) {
  int64_t times = 1, length = 1;
  for (auto [extent, stride] : llvm::zip_equal(extents, scalar.strides))
    (stride == 0 ? length : times) *= extent;
  int64_t rate =
      scalar.type == Word::f16 ? target.rate_fma_mixed : target.rate_fma_f32;
  return times * (target.issue_cycles + target.rewrite_cycles +
                  llvm::divideCeil(length, std::max<int64_t>(rate, 1)));
}

LogicalResult GenericEmitter::contraction(Ref a, Ref b, Ref sum) {
  if (a.immediate || b.immediate)
    std::tie(a, b) = std::pair(a.immediate ? b : a, a.immediate ? a : b);
  int64_t byA = scalarCycles(extents, a, target);
  int64_t byB = scalarCycles(extents, b, target);
  int64_t rate = std::max<int64_t>(target.rate_mul_f32, 1);
  int64_t byFold =
      2 * target.issue_cycles + llvm::divideCeil(elements(), rate) + elements();
  int64_t temporary = elements() * bytesOf(sum.type);
  for (const Ref *factor : {&a, &b})
    if (factor->type != sum.type) {
      int64_t own = ownElements(extents, *factor);
      byFold +=
          target.issue_cycles +
          llvm::divideCeil(own, std::max<int64_t>(target.rate_convert, 1));
      temporary += own * bytesOf(sum.type);
    }
  bool fits = temporary <= budget.temporaryBytes;
  if (fits && byFold <= std::min(byA, byB)) {
    for (Ref *factor : {&a, &b})
      if (factor->type != sum.type)
        *factor = converted(*factor, sum.type);
    Ref products = emitter.temporary(sum.type, extents);
    emitter.setProduct(true);
    emitter.vector(Opcode::mul, extents, products, a, b);
    emitter.vector(Opcode::add, extents, sum, sum, products);
    emitter.setProduct(false);
    return success();
  }
  if (byB < byA)
    std::swap(a, b);
  // a is the scalar: the loops that it has become loops of the program.
  SmallVector<int64_t> inner;
  SmallVector<int64_t, 4> strides[2];
  unsigned loops = 0;
  for (auto [loop, extent] : llvm::enumerate(extents)) {
    if (extent == 1)
      continue;
    if (a.strides[loop] == 0) {
      inner.push_back(extent);
      strides[0].push_back(sum.strides[loop]);
      strides[1].push_back(b.strides[loop]);
      continue;
    }
    unsigned depth = emitter.depth();
    for (Ref *ref : {&sum, &a, &b})
      if (int64_t bytes = ref->strides[loop] * bytesOf(ref->type))
        ref->steps.push_back({depth, bytes});
    emitter.loop(extent);
    ++loops;
  }
  sum.strides = strides[0];
  b.strides = strides[1];
  a.strides.assign(inner.size(), 0);
  emitter.setProduct(true);
  emitter.vector(Opcode::fma, inner, sum, sum, b, a);
  emitter.setProduct(false);
  while (loops-- > 0)
    emitter.endLoop();
  return success();
}

LogicalResult codegen::emitGeneric(Emitter &emitter, linalg::GenericOp generic,
                                   ArrayRef<Ref> operands, Ref dst,
                                   Budget budget,
                                   const image::TargetT &target) {
  llvm::DenseMap<Value, Ref> values;
  GenericEmitter state{emitter,
                       generic,
                       operands,
                       dst,
                       budget,
                       target,
                       generic.getStaticLoopRanges(),
                       values};
  return state.run();
}
