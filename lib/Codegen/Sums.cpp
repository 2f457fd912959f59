// A fold is one instruction whose destination stands still, an element per
// cycle; or halves are added to each other until one row is left, which takes
// an issue per halving but runs at the full rate.
//
// A sum of products is one of
//
//   a loop      one fma of a scalar with a vector per element of one factor;
//               issue and a descriptor rewrite each time
//   a sequence  the same fmas written out: code, and a factor that moves with
//               an outer loop is copied first, or each of them rewrites
//   a fold      all products at once, then their fold: a temporary
//
// Halves are multiplied by fma only; a fold widens them first. A half and a
// single are two singles.

#include "Rows.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

#include <limits>
#include <map>

using namespace waferloom;
using namespace waferloom::codegen;
using llvm::ArrayRef;
using llvm::SmallVector;
using machine::MachineModel;

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

namespace {
/// Adds halves of a window to each other, loop by loop.
struct Halving {
  Opcode op;
  const image::TargetT &target;
  const Ref &dst;
  Emitter *emitter; ///< none: only count

  int64_t cycles = 0, steps = 0;

  int64_t stepCycles(ArrayRef<int64_t> extents, const Ref &to, const Ref &a,
                     const Ref &b) const {
    int64_t rate = MachineModel(target).getRate(op, a.type);
    for (const Ref *ref : {&to, &a, &b})
      rate = std::min(rate, strideLimit(extents, *ref));
    const int64_t taken =
        cyclesOf(target, elements(extents), rate, moves(a) || moves(b));
    return collide(extents, a, b, rate, target)
               ? taken + llvm::divideCeil(elements(extents), rate)
               : taken;
  }
  using Rest = std::pair<int64_t, int64_t>; ///< cycles; elements that are left
  Rest bestRest(SmallVector<int64_t> extents, size_t loop, const Ref &source,
                std::map<int64_t, Rest> &known) const;
  void step(ArrayRef<int64_t> extents, const Ref &to, const Ref &a,
            const Ref &b) {
    ++steps;
    cycles += stepCycles(extents, to, a, b);
    if (emitter)
      emitter->vector(op, extents, to, a, b);
  }
  void run(SmallVector<int64_t> extents, Ref source, bool isOwned);
};
} // namespace

/// A row-major buffer that is never used, to count with.
static Ref imagined(Word type, ArrayRef<int64_t> extents) {
  return dense({}, type, extents);
}

/// How many elements of `loop` are left when the others are added to them, and
/// the cycles of all steps down to one element at best. Half of them, or a few
/// more: where both begin in the same bank a step would take twice as long.
/// Few numbers of elements can be left at each step, however many there are.
Halving::Rest Halving::bestRest(SmallVector<int64_t> extents, size_t loop,
                                const Ref &source,
                                std::map<int64_t, Rest> &known) const {
  constexpr int64_t more = 3; // banks come again behind four words
  const int64_t count = extents[loop];
  if (count == 1)
    return {0, 1};
  if (auto found = known.find(count); found != known.end())
    return found->second;
  Rest least{std::numeric_limits<int64_t>::max(), 1};
  const int64_t half = llvm::divideCeil(count, 2);
  for (int64_t rest = half; rest < count && rest <= half + more; ++rest) {
    extents[loop] = rest;
    const int64_t behind = bestRest(extents, loop, source, known).first;
    extents[loop] = count - rest;
    least = std::min(least, {behind + stepCycles(extents, source, source,
                                                 at(source, loop, rest)),
                             rest});
  }
  return known[count] = least;
}

void Halving::run(SmallVector<int64_t> extents, Ref source, bool isOwned) {
  int64_t left = 1; // elements that become one
  for (auto [extent, stride] : llvm::zip_equal(extents, dst.strides))
    left *= stride == 0 ? extent : 1;
  for (size_t loop = 0; loop < extents.size(); ++loop) {
    std::map<int64_t, Rest> known;
    while (dst.strides[loop] == 0 && extents[loop] > 1) {
      // What is not added waits if the window is ours.
      const int64_t count = extents[loop];
      const int64_t rest =
          isOwned ? bestRest(extents, loop, source, known).second : count / 2;
      const int64_t half = isOwned ? count - rest : rest;
      const bool isLast = left / count == 1 && rest == 1;
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

namespace {
/// A sum and its siblings as one sum, to count with.
struct Together {
  SmallVector<int64_t> extents;
  Sum sum;

  explicit Together(const Sum &one)
      : extents(one.extents),
        sum{nullptr, one.target, one.budget, extents, one.dst, one.init} {
    extents.insert(extents.begin(), one.siblings);
    sum.extents = extents;
    sum.dst = beside(one.dst, one);
    sum.init = beside(one.init, one);
  }
  /// Windows of all of them, which lie behind each other.
  static Ref beside(Ref ref, const Sum &one) {
    if (!ref.immediate)
      ref.strides.insert(ref.strides.begin(),
                         elements(ownExtents(one.extents, ref)));
    return ref;
  }
  /// The window that all of them read.
  static Ref common(Ref ref) {
    if (!ref.immediate)
      ref.strides.insert(ref.strides.begin(), 0);
    return ref;
  }
};
} // namespace

/// Cycles of a fold at once, and by halves; steps of the latter.
static std::tuple<int64_t, int64_t, int64_t>
countFolds(const Sum &sum, Opcode op, const Ref &source, bool isOwned) {
  const SmallVector<int64_t> kept = ownExtents(sum.extents, sum.dst);
  const int64_t rate =
      MachineModel(sum.target).getRate(Opcode::mov, sum.dst.type);
  const int64_t begins = isSame(sum.init, sum.dst)
                             ? 0
                             : cyclesOf(sum.target, elements(kept), rate);
  Halving halving{op, sum.target, sum.dst, nullptr};
  halving.run(SmallVector<int64_t>(sum.extents), source, isOwned);
  return {begins +
              cyclesOf(sum.target, elements(sum.extents), 1, moves(source)),
          halving.cycles + (isNeutral(op, sum.init)
                                ? 0
                                : cyclesOf(sum.target, elements(kept), 1)),
          halving.steps};
}

void Sum::fold(Opcode op, const Ref &source, bool isOwned) {
  SmallVector<int64_t> kept = ownExtents(extents, dst);
  int64_t folded = elements(extents) / elements(kept);
  bool isFresh = isNeutral(op, init);
  const auto [atOnce, byHalves, steps] =
      siblings == 1 ? countFolds(*this, op, source, isOwned)
                    : countFolds(Together(*this).sum, op,
                                 Together::beside(source, *this), isOwned);
  int64_t temporary =
      isOwned ? 0 : elements(extents) / 2 * bytesOf(source.type);
  bool isExact = source.type == dst.type && !source.immediate;
  if (folded == 1 || !isExact || byHalves >= atOnce ||
      steps > budget.unrolled || temporary > budget.temporaryBytes) {
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
  /// Fmas written out.
  struct Rows {
    int64_t cycles = std::numeric_limits<int64_t>::max(); ///< never
    bool copies = false;                                  ///< the vector first
    int64_t moving = 0; ///< cycles because the vector moves
  };

  Scalars byA, byB;
  int64_t begin; ///< the sum set to its beginning
  int64_t fold = 0;
  Rows rowsOfA, rowsOfB;
  int64_t temporary; ///< bytes that the fold takes

  Ways(const Sum &sum, const Ref &a, const Ref &b);

  int64_t loop() const {
    return std::min(byA.loopCycles(), byB.loopCycles()) + begin;
  }
  int64_t sequence() const { return std::min(rowsOfA.cycles, rowsOfB.cycles); }
  bool folds() const { return folds(loop()); }
  bool folds(int64_t loop) const {
    return temporary <= byA.sum.budget.temporaryBytes &&
           fold <= std::min(loop, sequence());
  }

private:
  void countFold(const Sum &sum, const Ref &a, const Ref &b);
  Rows countRows(const Scalars &way) const;
};
} // namespace

Ways::Ways(const Sum &sum, const Ref &a, const Ref &b)
    : byA{sum, a, b}, byB{sum, b, a},
      begin(cyclesOf(
          sum.target, elements(ownExtents(sum.extents, sum.dst)),
          MachineModel(sum.target).getRate(Opcode::mov, sum.dst.type))),
      temporary(elements(sum.extents) * bytesOf(sum.dst.type)) {
  countFold(sum, a, b);
  rowsOfA = countRows(byA);
  rowsOfB = countRows(byB);
}

Ways::Rows Ways::countRows(const Scalars &way) const {
  if (way.times > way.sum.budget.unrolled)
    return {};
  const SmallVector<size_t> order = way.bestOrder();
  const int64_t copied = way.rowCycles(order),
                copy = way.copyCycles(way.vector, order);
  // Rows that read the vector where it lies rewrite, as those of a loop do.
  const int64_t inPlace = way.loopCycles();
  return {std::min(copied, inPlace) +
              way.copyCycles(way.scalar, way.asItLies(way.scalar)) +
              (way.foldsInside ? begin : 0),
          copied < inPlace, std::min(copy, inPlace - (copied - copy))};
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
  int64_t rate = machine.getRate(Opcode::mul, type);
  for (const Ref *factor : {&a, &b})
    if (factor->type == type)
      rate = std::min(rate, strideLimit(sum.extents, *factor));
  fold += cyclesOf(target, count, rate, isMoving);
  Halving halving{Opcode::add, target, sum.dst, nullptr};
  halving.run(SmallVector<int64_t>(sum.extents), imagined(type, sum.extents),
              true);
  int64_t atOnce = begin + cyclesOf(target, count, 1);
  fold += halving.steps > sum.budget.unrolled
              ? atOnce
              : std::min(halving.cycles, atOnce);
}

namespace {
struct Way {
  enum Kind { Fold, RowsOfA, RowsOfB, LoopOfA, LoopOfB } kind;
  bool copies = false; ///< rows: a copy of the vector is read
  int64_t moving = 0;  ///< rows: cycles of this sum because the vector moves
};
} // namespace

/// Loops do not become common ones.
static Way chooseWay(const Sum &sum, const Ref &a, const Ref &b) {
  const Ways alone(sum, a, b);
  const Together all(sum);
  const Ways together(all.sum,
                      sum.shared == 0 ? all.common(a) : all.beside(a, sum),
                      sum.shared == 1 ? all.common(b) : all.beside(b, sum));
  const Ways &ways = sum.siblings > 1 ? together : alone;
  const int64_t loop = alone.loop() * sum.siblings;
  if (ways.folds(loop))
    return {Way::Fold};
  if (ways.sequence() <= loop) {
    const bool byA = ways.rowsOfA.cycles <= ways.rowsOfB.cycles;
    const Ways::Rows &rows = byA ? ways.rowsOfA : ways.rowsOfB;
    return {byA ? Way::RowsOfA : Way::RowsOfB, rows.copies,
            rows.moving / sum.siblings};
  }
  return {alone.byA.loopCycles() <= alone.byB.loopCycles() ? Way::LoopOfA
                                                           : Way::LoopOfB};
}

void Sum::products(Ref a, Ref b) {
  if (a.immediate || b.immediate) {
    std::tie(a, b) = std::pair(a.immediate ? b : a, a.immediate ? a : b);
    siblings = 1;
  }
  if (a.type != b.type) {
    Ref &half = a.type == Word::f16 ? a : b, &single = &half == &a ? b : a;
    int64_t bytes = elements(ownExtents(extents, half)) * bytesOf(dst.type);
    if (bytes > budget.temporaryBytes || single.immediate)
      return Scalars(*this, single, half).emitLoop();
    emitter->setProduct(true);
    half = widened(*this, half);
  }
  const Way way = chooseWay(*this, a, b);
  switch (way.kind) {
  case Way::Fold: {
    emitter->setProduct(true);
    for (Ref *factor : {&a, &b})
      if (factor->type != dst.type)
        *factor = widened(*this, *factor);
    Ref all = emitter->temporary(dst.type, extents);
    emitter->vector(Opcode::mul, extents, all, a, b);
    fold(Opcode::add, all, true);
    return emitter->setProduct(false);
  }
  case Way::RowsOfA:
    return Scalars(*this, a, b).emitSequence(way.copies);
  case Way::RowsOfB:
    return Scalars(*this, b, a).emitSequence(way.copies);
  case Way::LoopOfA:
    return Scalars(*this, a, b).emitLoop();
  case Way::LoopOfB:
    return Scalars(*this, b, a).emitLoop();
  }
}

int64_t Sum::countProducts(const Ref &a, const Ref &b) const {
  const Ways ways(*this, a, b);
  return ways.folds() ? ways.fold : std::min(ways.loop(), ways.sequence());
}

Sum::Standing Sum::standing(const Ref &factor, const Ref &other) const {
  const Way way = chooseWay(*this, other, factor);
  if (way.kind == Way::RowsOfA) {
    const Scalars rows(*this, other, factor);
    return {rows.laid(factor, rows.bestOrder()), way.moving};
  }
  Ref still = factor;
  still.steps.clear();
  return {still, countProducts(factor, other) - countProducts(still, other)};
}
