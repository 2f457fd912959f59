// A fold is one instruction whose destination stands still, an element per
// cycle; or halves are added to each other until one row is left, which takes
// an issue per halving but runs at the full rate.
//
// A sum of products is one of
//
//   a loop      one fma of a scalar with a vector per element of one factor;
//               issue and a descriptor rewrite each time
//   a sequence  the same fmas written out: no rewrites, but code, and a factor
//               that moves with an outer loop is copied first
//   a fold      all products at once, then their fold: a temporary
//
// Halves are multiplied by fma only; a fold widens them first. A half and a
// single are two singles.

#include "Sums.h"

#include "waferloom/Machine/MachineModel.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

#include <limits>

using namespace waferloom;
using namespace waferloom::codegen;
using llvm::ArrayRef;
using llvm::SmallVector;
using machine::MachineModel;

/// An operand that moves with a loop costs a descriptor rewrite.
static bool moves(const Ref &ref) {
  return !ref.steps.empty() || ref.indexBuffer;
}

static int64_t elements(ArrayRef<int64_t> extents) {
  return llvm::product_of(extents);
}

/// Elements that a vector instruction over the operand's own loops takes.
static SmallVector<int64_t> ownExtents(ArrayRef<int64_t> extents,
                                       const Ref &ref) {
  SmallVector<int64_t> own;
  for (auto [extent, stride] : llvm::zip_equal(extents, ref.strides))
    own.push_back(stride == 0 ? 1 : extent);
  return own;
}

/// Elements per cycle that the innermost stride of `ref` allows (E17).
static int64_t strideLimit(ArrayRef<int64_t> extents, const Ref &ref) {
  for (size_t loop = extents.size(); loop-- > 0;) {
    if (extents[loop] == 1)
      continue;
    return MachineModel::getStrideLimit(ref.strides[loop] * bytesOf(ref.type));
  }
  return MachineModel::unlimited;
}

/// Are two windows of one buffer read from the same banks (E18)?
static bool collide(ArrayRef<int64_t> extents, const Ref &a, const Ref &b,
                    int64_t rate, const image::TargetT &target) {
  const MachineModel machine(target);
  for (size_t loop = extents.size(); loop-- > 0;) {
    if (extents[loop] == 1)
      continue;
    if (a.strides[loop] == 0 || a.strides[loop] != b.strides[loop])
      return false;
    return machine.collide(a.offset - b.offset,
                           machine.getBytesPerCycle(a.type, rate));
  }
  return false;
}

/// Cycles of one instruction over `count` elements.
static int64_t cyclesOf(const image::TargetT &target, int64_t count,
                        int64_t rate, bool isMoving = false) {
  return MachineModel(target).getInstructionCycles(count, rate, isMoving);
}

/// Is `x op init` x, whatever x is?
static bool isNeutral(Opcode op, const Ref &init) {
  if (!init.immediate)
    return false;
  if (init.type == Word::i32)
    return op == Opcode::add && init.bits == 0;
  constexpr uint32_t one = 0x3f800000, infinity = 0x7f800000;
  switch (op) {
  case Opcode::add:
    return (init.bits << 1) == 0;
  case Opcode::mul:
    return init.bits == one;
  case Opcode::max:
    return init.bits == (infinity | 1u << 31);
  case Opcode::min:
    return init.bits == infinity;
  default:
    return false;
  }
}

static bool isSame(const Ref &a, const Ref &b) {
  return !a.immediate && a.buffer == b.buffer && a.offset == b.offset;
}

namespace {
/// Adds halves of a window to each other, loop by loop.
struct Halving {
  Opcode op;
  const image::TargetT &target;
  const Ref &dst;
  Emitter *emitter; ///< none: only count

  int64_t cycles = 0, steps = 0;

  void step(ArrayRef<int64_t> extents, const Ref &to, const Ref &a,
            const Ref &b) {
    ++steps;
    int64_t rate = MachineModel(target).getRate(op, a.type);
    for (const Ref *ref : {&to, &a, &b})
      rate = std::min(rate, strideLimit(extents, *ref));
    cycles += cyclesOf(target, elements(extents), rate, moves(a) || moves(b));
    if (collide(extents, a, b, rate, target))
      cycles += llvm::divideCeil(elements(extents), rate);
    if (emitter)
      emitter->vector(op, extents, to, a, b);
  }
  void run(SmallVector<int64_t> extents, Ref source, bool isOwned);
};
} // namespace

static Ref at(Ref ref, size_t loop, int64_t index) {
  ref.offset += index * ref.strides[loop] * bytesOf(ref.type);
  return ref;
}

/// A row-major buffer that is never used, to count with.
static Ref imagined(Word type, ArrayRef<int64_t> extents) {
  return dense({}, type, extents);
}

void Halving::run(SmallVector<int64_t> extents, Ref source, bool isOwned) {
  int64_t left = 1; // elements that become one
  for (auto [extent, stride] : llvm::zip_equal(extents, dst.strides))
    left *= stride == 0 ? extent : 1;
  for (size_t loop = 0; loop < extents.size(); ++loop) {
    while (dst.strides[loop] == 0 && extents[loop] > 1) {
      int64_t count = extents[loop], half = count / 2;
      // The middle row of an odd number waits if the window is ours.
      int64_t rest = isOwned ? count - half : half;
      bool isLast = left / count == 1 && rest == 1;
      extents[loop] = half;
      Ref into = isLast    ? dst
                 : isOwned ? source
                 : emitter ? emitter->temporary(source.type, extents)
                           : imagined(source.type, extents);
      step(extents, into, source, at(source, loop, rest));
      if (!isOwned && count % 2 != 0) {
        extents[loop] = 1;
        step(extents, into, into, at(source, loop, count - 1));
      }
      extents[loop] = rest;
      left = left / count * rest;
      source = into;
      isOwned = true;
    }
  }
}

void Sum::fold(Opcode op, const Ref &source, bool isOwned) {
  SmallVector<int64_t> kept = ownExtents(extents, dst);
  int64_t folded = elements(extents) / elements(kept);
  bool isFresh = isNeutral(op, init);
  int64_t begins =
      isSame(init, dst)
          ? 0
          : cyclesOf(target, elements(kept),
                     MachineModel(target).getRate(Opcode::mov, dst.type));
  int64_t atOnce =
      begins + cyclesOf(target, elements(extents), 1, moves(source));
  Halving counted{op, target, dst, nullptr};
  counted.run(SmallVector<int64_t>(extents), source, isOwned);
  int64_t byHalves =
      counted.cycles + (isFresh ? 0 : cyclesOf(target, elements(kept), 1));
  int64_t temporary =
      isOwned ? 0 : elements(extents) / 2 * bytesOf(source.type);
  bool isExact = source.type == dst.type && !source.immediate;
  if (folded == 1 || !isExact || byHalves >= atOnce ||
      counted.steps > budget.unrolled || temporary > budget.temporaryBytes) {
    if (!isSame(init, dst))
      emitter->vector(Opcode::mov, kept, dst, init);
    emitter->vector(op, extents, dst, dst, source);
    return;
  }
  Ref value = dst;
  if (!isFresh) {
    value = emitter->temporary(dst.type, kept);
    for (auto [stride, still] : llvm::zip_equal(value.strides, dst.strides))
      stride = still == 0 ? 0 : stride;
  }
  Halving emitted{op, target, value, emitter};
  emitted.run(SmallVector<int64_t>(extents), source, isOwned);
  if (!isFresh)
    emitter->vector(op, kept, dst, init, value);
}

namespace {
/// One fma per element of `scalar`, each over the other loops.
struct Scalars {
  const Sum &sum;
  const Ref &scalar, &vector;

  int64_t times = 1;           ///< fmas
  SmallVector<size_t> outer;   ///< loops of the scalar
  SmallVector<int64_t> inner;  ///< extents of the others
  SmallVector<size_t> innerOf; ///< and which they are
  bool foldsInside = false;

  Scalars(const Sum &sum, const Ref &scalar, const Ref &vector)
      : sum(sum), scalar(scalar), vector(vector) {
    for (auto [loop, extent] : llvm::enumerate(sum.extents)) {
      if (extent == 1)
        continue;
      if (scalar.strides[loop] != 0) {
        times *= extent;
        outer.push_back(loop);
        continue;
      }
      inner.push_back(extent);
      innerOf.push_back(loop);
      foldsInside |= sum.dst.strides[loop] == 0;
    }
  }

  Ref over(const Ref &ref) const {
    Ref result = ref;
    result.strides.clear();
    for (size_t loop : innerOf)
      result.strides.push_back(ref.strides[loop]);
    return result;
  }
  int64_t rate() const {
    int64_t most =
        MachineModel(sum.target)
            .getRate(Opcode::fma, sum.dst.type, sum.dst.type, scalar.type);
    if (foldsInside)
      return 1;
    return std::min({most, strideLimit(inner, over(vector)),
                     strideLimit(inner, over(sum.dst))});
  }
  /// Without what setting the sum to its beginning costs.
  int64_t loopCycles() const {
    return times * cyclesOf(sum.target, elements(inner), rate(), times > 1);
  }
  int64_t copyCycles(const Ref &ref) const {
    if (!moves(ref))
      return 0;
    int64_t rate = MachineModel(sum.target).getRate(Opcode::mov, ref.type);
    SmallVector<int64_t> own = ownExtents(sum.extents, ref);
    return cyclesOf(sum.target, elements(own),
                    std::min(rate, strideLimit(own, ref)), true);
  }
  int64_t sequenceCycles() const {
    return times *
               cyclesOf(sum.target, elements(inner), rate(), moves(sum.dst)) +
           copyCycles(scalar) + copyCycles(vector);
  }
  Ref settled(const Ref &ref) const;
  void emitLoop() const;
  void emitSequence() const;
};
} // namespace

/// The operand at a place that no loop moves.
Ref Scalars::settled(const Ref &ref) const {
  if (!moves(ref))
    return ref;
  SmallVector<int64_t> own = ownExtents(sum.extents, ref);
  Ref to = sum.emitter->temporary(ref.type, own);
  sum.emitter->vector(Opcode::mov, own, to, ref);
  for (auto [extent, stride] : llvm::zip_equal(own, to.strides))
    stride = extent == 1 ? 0 : stride;
  return to;
}

void Scalars::emitLoop() const {
  Emitter &emitter = *sum.emitter;
  if (!isSame(sum.init, sum.dst))
    emitter.vector(Opcode::mov, ownExtents(sum.extents, sum.dst), sum.dst,
                   sum.init);
  Ref dst = sum.dst, a = scalar, b = vector;
  for (size_t loop : outer) {
    unsigned depth = emitter.depth();
    for (Ref *ref : {&dst, &a, &b})
      if (int64_t bytes = ref->strides[loop] * bytesOf(ref->type))
        ref->steps.push_back({depth, bytes});
    emitter.loop(sum.extents[loop]);
  }
  dst = over(dst);
  b = over(b);
  emitter.setProduct(true);
  if (b.type != a.type) { // a row at a time
    Ref wide = emitter.temporary(a.type, inner);
    emitter.vector(Opcode::convert, inner, wide, b);
    b = wide;
  }
  emitter.vector(Opcode::fma, inner, dst, dst, b, over(a));
  emitter.setProduct(false);
  for (size_t i = 0; i < outer.size(); ++i)
    emitter.endLoop();
}

void Scalars::emitSequence() const {
  Emitter &emitter = *sum.emitter;
  // The first fma of a window of the sum adds to its beginning.
  bool begins = !foldsInside && !isSame(sum.init, sum.dst);
  if (foldsInside && !isSame(sum.init, sum.dst))
    emitter.vector(Opcode::mov, ownExtents(sum.extents, sum.dst), sum.dst,
                   sum.init);
  emitter.setProduct(true);
  const Ref a = settled(scalar), b = settled(vector);
  SmallVector<int64_t> index(outer.size(), 0);
  for (int64_t time = 0; time < times; ++time) {
    int64_t rest = time;
    bool isFirst = begins;
    Ref to = sum.dst, init = sum.init, x = a, row = b;
    for (size_t k = outer.size(); k-- > 0; rest /= sum.extents[outer[k]]) {
      int64_t i = rest % sum.extents[outer[k]];
      isFirst &= i == 0 || sum.dst.strides[outer[k]] != 0;
      for (Ref *ref : {&to, &x, &row})
        *ref = at(*ref, outer[k], i);
      if (!init.immediate)
        init = at(init, outer[k], i);
    }
    to = over(to);
    if (isFirst && !init.immediate)
      init = over(init);
    emitter.vector(Opcode::fma, inner, to, isFirst ? init : to, over(row),
                   over(x));
  }
  emitter.setProduct(false);
}

/// The operand in another type, with the loops that it has and no others.
static Ref widened(const Sum &sum, const Ref &from) {
  SmallVector<int64_t> own = ownExtents(sum.extents, from);
  Ref to = sum.emitter->temporary(sum.dst.type, own);
  sum.emitter->vector(Opcode::convert, own, to, from);
  for (auto [extent, stride] : llvm::zip_equal(own, to.strides))
    stride = extent == 1 ? 0 : stride;
  return to;
}

namespace {
/// What the ways of one sum of products take, in cycles.
struct Ways {
  static constexpr int64_t never = std::numeric_limits<int64_t>::max();

  Scalars byA, byB;
  int64_t begin; ///< the sum set to its beginning
  int64_t fold = 0, sequenceA, sequenceB;
  int64_t temporary; ///< bytes that the fold takes

  Ways(const Sum &sum, const Ref &a, const Ref &b);

  int64_t loop() const {
    return std::min(byA.loopCycles(), byB.loopCycles()) + begin;
  }
  int64_t sequence() const { return std::min(sequenceA, sequenceB); }
  bool folds() const {
    return temporary <= byA.sum.budget.temporaryBytes &&
           fold <= std::min(loop(), sequence());
  }

private:
  void countFold(const Sum &sum, const Ref &a, const Ref &b);
  int64_t sequenceCycles(const Scalars &way) const {
    return way.times <= way.sum.budget.unrolled
               ? way.sequenceCycles() + (way.foldsInside ? begin : 0)
               : never;
  }
};
} // namespace

Ways::Ways(const Sum &sum, const Ref &a, const Ref &b)
    : byA{sum, a, b}, byB{sum, b, a},
      begin(cyclesOf(
          sum.target, elements(ownExtents(sum.extents, sum.dst)),
          MachineModel(sum.target).getRate(Opcode::mov, sum.dst.type))),
      temporary(elements(sum.extents) * bytesOf(sum.dst.type)) {
  countFold(sum, a, b);
  sequenceA = sequenceCycles(byA);
  sequenceB = sequenceCycles(byB);
}

/// All products, then their fold.
void Ways::countFold(const Sum &sum, const Ref &a, const Ref &b) {
  const image::TargetT &target = sum.target;
  const MachineModel machine(target);
  const Word type = sum.dst.type;
  const int64_t count = elements(sum.extents);
  bool isMoving = false;
  for (const Ref *factor : {&a, &b}) {
    if (factor->type == type) {
      isMoving |= moves(*factor);
      continue;
    }
    int64_t own = elements(ownExtents(sum.extents, *factor));
    fold += cyclesOf(target, own, machine.getRate(Opcode::convert, type),
                     moves(*factor));
    temporary += own * bytesOf(type);
  }
  fold += cyclesOf(target, count, machine.getRate(Opcode::mul, type), isMoving);
  Halving halving{Opcode::add, target, sum.dst, nullptr};
  halving.run(SmallVector<int64_t>(sum.extents), imagined(type, sum.extents),
              true);
  int64_t atOnce = begin + cyclesOf(target, count, 1);
  fold += halving.steps > sum.budget.unrolled
              ? atOnce
              : std::min(halving.cycles, atOnce);
}

void Sum::products(Ref a, Ref b) {
  if (a.immediate || b.immediate)
    std::tie(a, b) = std::pair(a.immediate ? b : a, a.immediate ? a : b);
  if (a.type != b.type) {
    Ref &half = a.type == Word::f16 ? a : b, &single = &half == &a ? b : a;
    int64_t bytes = elements(ownExtents(extents, half)) * bytesOf(dst.type);
    if (bytes > budget.temporaryBytes || single.immediate)
      return Scalars(*this, single, half).emitLoop();
    emitter->setProduct(true);
    half = widened(*this, half);
  }
  const Ways ways(*this, a, b);
  if (ways.folds()) {
    emitter->setProduct(true);
    for (Ref *factor : {&a, &b})
      if (factor->type != dst.type)
        *factor = widened(*this, *factor);
    Ref all = emitter->temporary(dst.type, extents);
    emitter->vector(Opcode::mul, extents, all, a, b);
    fold(Opcode::add, all, true);
    emitter->setProduct(false);
  } else if (ways.sequence() <= ways.loop()) {
    (ways.sequenceA <= ways.sequenceB ? ways.byA : ways.byB).emitSequence();
  } else {
    (ways.byA.loopCycles() <= ways.byB.loopCycles() ? ways.byA : ways.byB)
        .emitLoop();
  }
}

int64_t Sum::countProducts(const Ref &a, const Ref &b) const {
  const Ways ways(*this, a, b);
  return ways.folds() ? ways.fold : std::min(ways.loop(), ways.sequence());
}
