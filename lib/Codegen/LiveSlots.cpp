// What stands in dead slots is followed through the program, twice at once: as
// it is where all instructions are whole (Fact::dead), and whether it may
// differ from that where some end with the live slots (Fact::isStale). Masks
// make scores of dead slots -infinity, their exponentials are 0 and so are
// their products; so a sum or a maximum is the same without them. An
// instruction may leave dead slots out if they change nothing in what it adds
// to, or if nobody reads what it makes of them. The second is tried and taken
// back where somebody does.

#include "LiveSlots.h"
#include "SlotVisit.h"

#include "InstructionCost.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::codegen;
using core::Opcode;
using core::OperandAttr;
using core::Window;

/// Slots of each PE that always count as live (docs/executor.md, E34).
static constexpr int64_t leastLive = 2;

//===----------------------------------------------------------------------===//
// The walk
//===----------------------------------------------------------------------===//

LiveSlots::LiveSlots(core::ProgramOp program, const Caches &caches,
                     int64_t tokens)
    : program(program), caches(caches), tokens(tokens) {
  for (auto buffer : program.getBody().getOps<core::BufferOp>())
    if (buffer.getUse() == core::Use::scratch)
      scratch.insert(buffer.getSymName());
  for (auto bind : program.getBody().getOps<core::BindOp>())
    if (bind.getBufferAttr())
      scratch.erase(bind.getBufferAttr().getValue());
}

/// What is known in front of the program.
void LiveSlots::begin() {
  facts = Facts();
  auto region = cast<core::RegionOp>(program->getParentOp());
  auto name = [](StringRef buffer, MLIRContext *context) {
    return FlatSymbolRefAttr::get(context, buffer);
  };
  for (auto buffer : region.getBody().getOps<core::BufferOp>())
    if (auto cache = caches.find(buffer.getSymName()); cache != caches.end())
      facts.write({name(buffer.getSymName(), buffer.getContext()), 0,
                   static_cast<int64_t>(buffer.getBytes())},
                  {cache->second, SlotValue::bits(0), {}, false, {}}, true);
  for (auto bind : region.getBody().getOps<core::BindOp>()) {
    if (bind.getRole() != core::Role::index || !bind.getBufferAttr() ||
        bind.getDims().size() != 1)
      continue;
    int64_t local = 1, all = 1;
    for (core::DigitAttr digit :
         cast<core::DimAttr>(bind.getDims()[0]).getDigits()) {
      all *= digit.getExtent();
      local *= digit.getAxis() == core::Axis::none ? digit.getExtent() : 1;
    }
    Fact fact;
    fact.every = {SlotValue::AtMost, all - 1};
    const Slots slots = slotsOf(bind, 4, local);
    if (llvm::any_of(caches, [&](const auto &cache) {
          return cache.second.isLike(slots);
        })) {
      fact.slots = slots;
      fact.dead = {SlotValue::Behind, tokens};
    }
    const auto at = static_cast<int64_t>(bind.getAddress());
    facts.write({bind.getBufferAttr(), at, at + 4 * local}, fact, true);
  }
  for (auto bind : program.getBody().getOps<core::BindOp>())
    if (bind.getName() == "wafer.position" && bind.getBufferAttr() &&
        bind.getAddress() == 0) {
      Fact fact;
      fact.every = {SlotValue::Before, 0};
      facts.write({bind.getBufferAttr(), 0, 4}, fact, true);
    }
}

bool LiveSlots::walk(const std::set<Operation *> &given) {
  whole = &given;
  endings.clear();
  wrong.clear();
  begin();
  return walk(program.getBody().front());
}

/// Whether some PEs do not execute it.
static bool isGuarded(Operation *op) {
  return op->getAttr("columns") || op->getAttr("rows");
}

static bool namesAddress(Operation *op) {
  bool found = false;
  core::forEachOperand(op, [&](OperandAttr operand) {
    found |= !operand.getImmediate() && !operand.getBuffer();
    found |= operand.getIndexScale() && !operand.getIndexBuffer();
  });
  return found;
}

bool LiveSlots::walk(Block &block) {
  constexpr int most = 16; // of trips in which something new is found
  for (Operation &op : block) {
    auto loop = dyn_cast<core::LoopOp>(op);
    if (!loop) {
      if (op.getAttr("thread") || isa<core::WaitOp>(op) || namesAddress(&op))
        return false;
      visit(&op);
      continue;
    }
    if (loop.getCount() == 0)
      continue;
    trips.push_back(static_cast<int64_t>(loop.getCount()));
    Facts head = facts;
    int trip = 0;
    do {
      facts = head;
      if (++trip > most || !walk(loop.getBody().front())) {
        trips.pop_back();
        return false;
      }
    } while (head.join(facts));
    if (isGuarded(loop))
      facts = head;
    trips.pop_back();
  }
  return true;
}

/// Patterns are those of words; of halves only 0 is the same.
static void keepPatterns(OperandAttr operand, Fact &fact) {
  for (SlotValue *value : {&fact.dead, &fact.every})
    if (operand.getType().isF16() && !value->isBits(0))
      *value = {};
}

Fact LiveSlots::find(OperandAttr operand, ArrayRef<int64_t> shape) const {
  Fact fact;
  if (operand.getImmediate())
    fact.every = SlotValue::bits(operand.getBits());
  else
    fact = facts.find(core::windowOf(operand, shape, trips));
  keepPatterns(operand, fact);
  return fact;
}

/// Words that choose where an operand lies, or what is stored.
void LiveSlots::checkWords(OperandAttr operand) {
  if (!operand || operand.getImmediate() || !operand.getIndexScale())
    return;
  const Fact words = facts.find(core::indexWindowOf(operand, trips));
  if (words.isStale)
    refuse(words);
}

void LiveSlots::visit(Operation *op) {
  if (auto vector = dyn_cast<core::VectorOp>(op))
    return visit(vector);
  const ArrayRef<int64_t> shape = core::shapeOf(op);
  bool writes = isa<core::RecvOp, core::RecvFoldOp>(op); // its first operand
  core::forEachOperand(op, [&](OperandAttr operand) {
    const bool isWritten = std::exchange(writes, false);
    checkWords(operand);
    if (operand.getImmediate())
      return;
    // Streams carry all slots.
    const Fact fact = find(operand, shape);
    if (fact.isStale && !(isWritten && isa<core::RecvOp>(op)))
      refuse(fact);
    if (isWritten)
      facts.write(core::windowOf(operand, shape, trips), {},
                  !isGuarded(op) && !op->getAttr("predicate") &&
                      covers(operand, walkOf(operand, shape)));
  });
}

//===----------------------------------------------------------------------===//
// Vector instructions
//===----------------------------------------------------------------------===//

void LiveSlots::visit(core::VectorOp op) {
  endings.erase(op);
  Visit visit{op, codegen::operandsOf(op), {}, {}, {}, true, trips};
  for (OperandAttr operand : visit.operands) {
    checkWords(operand);
    visit.walks.push_back(walkOf(operand, op.getShape()));
    visit.facts.push_back(find(operand, op.getShape()));
  }
  if (OperandAttr predicate = op.getPredicateAttr()) {
    checkWords(predicate);
    if (const Fact fact = find(predicate, op.getShape()); fact.isStale)
      refuse(fact);
  }
  visit.cut();
  std::optional<unsigned> dim;
  const Slots *kind = nullptr;
  bool isMixed = false;
  visit.aligned.resize(visit.operands.size());
  for (size_t i = 1; i < visit.operands.size(); ++i) {
    const Fact &fact = visit.facts[i];
    visit.isFree &= !fact.isStale;
    if (visit.hasSlots(i))
      visit.aligned[i] = align(visit.operands[i], visit.walks[i], fact.slots);
    const std::optional<Alignment> &at = visit.aligned[i];
    if (!at) {
      if (fact.isStale)
        refuse(fact);
      continue;
    }
    if (!at->dim)
      continue;
    isMixed |= dim && *dim != *at->dim;
    isMixed |= kind && !kind->isLike(fact.slots);
    dim = at->dim;
    kind = &fact.slots;
  }
  if (caches.count(visit.dst().getBuffer().getValue()))
    append(op);
  if (isMixed) {
    for (const Fact &fact : ArrayRef(visit.facts).drop_front())
      if (fact.isStale)
        refuse(fact);
    return write(visit, {});
  }
  return dim ? overSlots(visit, *dim) : inSlots(visit);
}

/// A row for a cache: in the slot of a token of this step.
void LiveSlots::append(core::VectorOp op) {
  const OperandAttr dst = op.getDst();
  const StringRef name = dst.getBuffer().getValue();
  const Slots &slots = caches.at(name);
  const SlotValue slot = facts.find(core::indexWindowOf(dst, trips)).every;
  const bool isLive =
      slots.parts == 1 ? slot.kind == SlotValue::Before && slot.number < tokens
                       : slot == SlotValue{SlotValue::SlotOf, slots.parts};
  // The index moves it by whole slots.
  const OperandAttr still =
      OperandAttr::get(dst.getContext(), dst.getType(), dst.getBuffer(),
                       dst.getBase(), dst.getDense(), dst.getStrides(),
                       dst.getSteps(), {}, 0, {}, 0, 0, false, 0);
  const auto first = align(still, walkOf(dst, op.getShape()), slots);
  if (!isLive || !first || first->dim || first->from != 0)
    unknown.insert(name);
}

/// The source that is added where it is not dead, and changes nothing where it
/// is.
static std::optional<size_t> addedBy(const LiveSlots::Visit &v) {
  const std::optional<size_t> to = v.accumulator();
  if (!to)
    return std::nullopt;
  const bool isFma = v.op.getOp() == Opcode::fma;
  const size_t other = isFma ? 2 : 3 - *to;
  if (other >= v.operands.size() || !v.aligned[other] || !v.aligned[other]->dim)
    return std::nullopt;
  const bool isNothing =
      isFma ? isNeutral(v.operands[2].getType(), v.facts[2].dead,
                        v.facts[3].every)
            : isNeutral(v.op.getOp(), v.dst().getType(), v.facts[other].dead);
  return isNothing ? std::optional(other) : std::nullopt;
}

/// What is known of the destination, which begins in slot `first`.
Fact LiveSlots::resultOf(const Visit &v, unsigned dim, int64_t first,
                         const Slots &of) const {
  Fact result;
  SmallVector<SlotValue, 3> dead, every;
  for (size_t i = 1; i < v.operands.size(); ++i) {
    const bool isElsewhere =
        v.hasSlots(i) && !(v.aligned[i] && v.aligned[i]->dim);
    dead.push_back(isElsewhere ? SlotValue() : v.deadOf(i));
    every.push_back(v.facts[i].every);
  }
  const int64_t stride = v.walks.front().strides[dim];
  if (stride <= 0) // it is added up
    return result;
  result.every = v.evaluate(every, tokens);
  Slots slots{0, stride, of.count, of.parts};
  slots.base = llvm::mod(v.dst().getBase() - first * stride, slots.period());
  const auto at = align(v.dst(), v.walks.front(), slots);
  if (at && at->dim == dim && at->from == first) {
    result.slots = slots;
    result.dead = v.evaluate(dead, tokens);
  }
  return result;
}

/// An instruction whose dimension `dim` goes over slots.
void LiveSlots::overSlots(Visit &v, unsigned dim) {
  SmallVector<size_t> sources; // that go over slots
  int64_t first = 0, last = 0;
  for (size_t i = 1; i < v.operands.size(); ++i) {
    const std::optional<Alignment> &at = v.aligned[i];
    if (at && !at->dim && v.facts[i].isStale && at->from >= leastLive)
      refuse(v.facts[i]);
    if (!at || !at->dim)
      continue;
    first = sources.empty() ? at->from : std::min(first, at->from);
    last = std::max(last, at->from);
    sources.push_back(i);
  }
  Fact result = resultOf(v, dim, first, v.facts[sources.front()].slots);
  const bool isTangled = v.isTangled(dim, result.slots, first);
  if (isTangled)
    result = Fact();
  const bool mayEnd = !isTangled && !whole->count(v.op) &&
                      !v.op.getPredicateAttr() && !v.dst().getIndexScale();
  const std::optional<size_t> added = mayEnd ? addedBy(v) : std::nullopt;
  const bool isElementwise = result.slots.count != 0 && first == last;
  for (size_t i : sources) {
    const Fact &fact = v.facts[i];
    if (!fact.isStale)
      continue;
    const bool isRead =
        added ? v.aligned[i]->from > v.aligned[*added]->from : !isElementwise;
    if (isRead)
      refuse(fact);
    if (!isRead && (!added || v.operands[i] == v.dst())) {
      result.isStale = true;
      result.origins.insert(fact.origins.begin(), fact.origins.end());
    }
  }
  if (added) {
    end(v, v.facts[sources.front()].slots, dim, v.aligned[*added]->from);
  } else if (mayEnd && isElementwise && isScratch(v.dst()) &&
             v.dst().getSteps().empty()) {
    end(v, v.facts[sources.front()].slots, dim, first);
    result.isStale = true;
    result.origins.insert(v.op);
  }
  write(v, result);
}

/// The result of an instruction that reads single slots, or none.
void LiveSlots::inSlots(Visit &v) {
  std::optional<int64_t> slot;
  const Slots *kind = nullptr;
  bool isOne = true, isStale = false;
  SmallVector<SlotValue, 3> dead, every;
  for (size_t i = 1; i < v.operands.size(); ++i) {
    every.push_back(v.facts[i].every);
    dead.push_back(v.hasSlots(i) && !v.aligned[i] ? SlotValue() : v.deadOf(i));
    if (!v.aligned[i])
      continue;
    isOne &= !slot ||
             (*slot == v.aligned[i]->from && kind->isLike(v.facts[i].slots));
    slot = v.aligned[i]->from;
    kind = &v.facts[i].slots;
    isStale |= v.facts[i].isStale && v.aligned[i]->from >= leastLive;
  }
  const Opcode op = v.op.getOp();
  const std::optional<size_t> to =
      v.isTangled() ? std::nullopt : v.accumulator();
  bool isNothing = false; // what it adds, where the slot is dead
  if (slot && to && isOne)
    isNothing = op == Opcode::fma
                    ? isNeutral(v.operands[2].getType(), dead[1], dead[2])
                    : isNeutral(op, v.dst().getType(), dead[2 - *to]);
  const bool ends = isNothing && *slot >= leastLive && !whole->count(v.op) &&
                    !v.facts[*to].isStale && !v.op.getPredicateAttr() &&
                    !v.dst().getIndexScale() &&
                    v.walks.front().extents.size() < 4;
  if (ends)
    end(v, *kind, std::nullopt, *slot);
  else if (isStale)
    for (const Fact &fact : ArrayRef(v.facts).drop_front())
      refuse(fact);
  Fact result;
  if (!v.isTangled())
    result.every = v.evaluate(every, tokens);
  write(v, result);
}

void LiveSlots::end(Visit &v, const Slots &slots, std::optional<unsigned> dim,
                    int64_t from) {
  Ending &ending = endings[v.op];
  ending.walks = v.walks;
  if (!dim) // one that is there or not
    for (Walk &walk : ending.walks) {
      walk.extents.insert(walk.extents.begin(), 1);
      walk.strides.insert(walk.strides.begin(), 0);
    }
  ending.live = core::LiveAttr::get(v.op.getContext(), dim.value_or(0),
                                    slots.parts, from);
  ending.isFree = v.isFree;
  ending.slots = slots.count;
  ending.trips = llvm::product_of(trips);
}

void LiveSlots::write(const Visit &v, const Fact &fact) {
  const OperandAttr dst = v.dst();
  if (fact.isStale && !isScratch(dst))
    refuse(fact); // somebody else reads it
  if (caches.count(dst.getBuffer().getValue()))
    return; // a live row, or a cache that is given up
  Fact kept = fact;
  keepPatterns(dst, kept);
  facts.write(core::windowOf(dst, v.op.getShape(), trips), kept,
              !isGuarded(v.op) && !v.op.getPredicateAttr() &&
                  covers(dst, v.walks.front()));
}
