// One instruction out of several side by side. Queries, keys and values come of
// three products with the same factor, their rotations of the same four steps:
// as many instructions, each with its issue. Where the operands of like
// instructions lie at equal distances, one instruction with one dimension more
// does what they did. Results are laid so, too, so that their readers merge.
//
// An instruction moves up to the first of its like, past what neither writes
// what it touches nor touches what it writes, and never past a stream, a wait
// or the end of a loop: every element is computed from the same numbers.

#include "InstructionCost.h"
#include "Machine.h"
#include "Meetings.h"
#include "SideBySide.h"
#include "waferloom/Codegen/Passes.h"
#include "waferloom/Dialect/Core/Accesses.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"

namespace waferloom::codegen {
#define GEN_PASS_DEF_COREMERGE
#include "waferloom/Codegen/Passes.h.inc"
} // namespace waferloom::codegen

using namespace mlir;
using namespace waferloom;
using codegen::SideBySide;
using core::OperandAttr;

using Operands = SmallVector<OperandAttr, 4>; // the destination first

namespace {
/// An instruction of the block, and what it touches.
struct Instruction {
  Operation *op = nullptr;
  unsigned at = 0;      ///< where it stands, or the one that it was merged into
  unsigned stretch = 0; ///< between two of which nothing moves
  Attribute kind;       ///< what it can be merged by; null: by nothing
  Operands operands;
  SmallVector<core::Access, 4> accesses;
};

/// Some like instructions at equal distances.
struct Plan {
  SmallVector<unsigned> members;                ///< as they lie in memory
  SmallVector<std::optional<int64_t>, 4> steps; ///< bytes from one to the next
  int64_t gain = 0;                             ///< cycles
  std::optional<SideBySide> layout;
};

/// A block, and the loops around it.
struct Body {
  Block *block;
  core::Trips trips;
  int64_t times; ///< that it is executed
};

/// The instructions of one block.
class Merging {
public:
  Merging(const Body &body, SideBySide &layout,
          ArrayRef<codegen::Meeting> meetings,
          const machine::MachineModel &model);

  /// What was made of several may be one of several again.
  void run() {
    while (sweep())
      ;
  }

private:
  bool sweep();
  SmallVector<unsigned> likeOnes(unsigned first) const;
  bool canMove(unsigned from, unsigned to) const;
  std::optional<Plan> planOf(unsigned first, unsigned second,
                             ArrayRef<unsigned> others) const;
  bool isStep(const Plan &plan, unsigned from, unsigned to) const;
  void lay(Plan &plan, int64_t gap) const;
  bool collides(const codegen::Meeting &meeting, const SideBySide &now) const;
  int64_t countConflicts(const SideBySide &now) const;
  int64_t cyclesOf(ArrayRef<int64_t> shape, ArrayRef<OperandAttr> operands,
                   core::Opcode op, const SideBySide &now) const;
  void tryGaps(unsigned first, Plan open, Plan &best) const;
  void merge(const Plan &plan);

  SideBySide &layout;
  ArrayRef<codegen::Meeting> meetings;
  const machine::MachineModel &model;
  const int64_t times; ///< that the block is executed
  std::vector<Instruction> all;
  llvm::DenseMap<Attribute, SmallVector<unsigned>> byKind;
  llvm::DenseMap<Attribute, SmallVector<unsigned>> touching; // by buffer
};

struct CoreMerge : codegen::impl::CoreMergeBase<CoreMerge> {
  using CoreMergeBase::CoreMergeBase;
  explicit CoreMerge(const image::TargetT &machine) : given(machine) {}

  void runOnOperation() override {
    FailureOr<image::TargetT> machine =
        codegen::machineOf(getOperation(), given, target);
    if (failed(machine))
      return signalPassFailure();
    const machine::MachineModel model(*machine);
    getOperation().walk(
        [&](core::ProgramOp program) { merge(program, model); });
  }

  static void merge(core::ProgramOp program,
                    const machine::MachineModel &model);

  std::optional<image::TargetT> given;
};
} // namespace

/// What instructions have in common that can become one; null if `op` cannot.
static Attribute kindOf(core::VectorOp op) {
  if (op.getPredicateAttr() || op->getAttr("thread") || op.getLiveAttr() ||
      op.getShape().size() > 3)
    return {};
  SmallVector<Attribute> parts{op.getOpAttr(), op.getShapeAttr(),
                               op->getDiscardableAttrDictionary()};
  for (Attribute optional :
       {Attribute(op.getColumnsAttr()), Attribute(op.getRowsAttr()),
        Attribute(op.getProductAttr())})
    parts.push_back(optional ? optional : UnitAttr::get(op->getContext()));
  for (OperandAttr operand : codegen::operandsOf(op)) {
    if (operand.getIndexScale() ||
        (!operand.getImmediate() && !operand.getBuffer()))
      return {};
    parts.push_back(OperandAttr::get(
        op->getContext(), operand.getType(), {}, 0, operand.getDense(),
        operand.getStrides(), operand.getSteps(), {}, 0, {}, 0, 0,
        operand.getImmediate(), operand.getBits()));
  }
  return ArrayAttr::get(op->getContext(), parts);
}

/// Whether nothing moves past it.
static bool isBarrier(Operation *op) {
  bool found = false;
  op->walk([&](Operation *inner) {
    found |= core::isStream(inner) || inner->getAttr("thread") ||
             isa<core::RewriteOp, core::WaitOp, core::EndOp>(inner);
  });
  return found;
}

Merging::Merging(const Body &body, SideBySide &layout,
                 ArrayRef<codegen::Meeting> meetings,
                 const machine::MachineModel &model)
    : layout(layout), meetings(meetings), model(model), times(body.times) {
  core::Trips trips = body.trips;
  unsigned stretch = 0;
  for (Operation &op : *body.block) {
    if (isa<core::BufferOp, core::BindOp, core::RouteOp>(op))
      continue;
    const auto at = static_cast<unsigned>(all.size());
    Instruction &made = all.emplace_back();
    made.op = &op;
    made.at = at;
    stretch += isBarrier(&op);
    made.stretch = stretch;
    core::forEachAccess(&op, trips, [&](const core::Access &access) {
      made.accesses.push_back(access);
      SmallVector<unsigned> &known = touching[access.window.buffer];
      if (known.empty() || known.back() != at)
        known.push_back(at);
    });
    auto vector = dyn_cast<core::VectorOp>(op);
    Attribute kind = vector ? kindOf(vector) : Attribute();
    if (!kind)
      continue;
    made.kind = kind;
    made.operands = codegen::operandsOf(vector);
    byKind[kind].push_back(at);
  }
}

/// Whether nothing between the two is in the way of moving `from` up to `to`,
/// which it does not depend on either.
bool Merging::canMove(unsigned from, unsigned to) const {
  for (const core::Access &mine : all[from].accesses)
    for (unsigned id : touching.lookup(mine.window.buffer)) {
      const Instruction &other = all[id];
      if (id == from || other.at < to || other.at >= from)
        continue;
      for (const core::Access &access : other.accesses)
        if ((access.writes || mine.writes) &&
            access.window.overlaps(mine.window))
          return false;
    }
  return true;
}

/// Those behind `first` that could stand where it does.
SmallVector<unsigned> Merging::likeOnes(unsigned first) const {
  constexpr size_t most = 32; // no kernel has more heads and rows side by side
  SmallVector<unsigned> found;
  for (unsigned id : byKind.lookup(all[first].kind))
    if (id > first && all[id].at == id && all[id].kind == all[first].kind &&
        all[id].stretch == all[first].stretch && found.size() < most &&
        canMove(id, first))
      found.push_back(id);
  return found;
}

/// Whether `to` lies behind `from` as the plan has it.
bool Merging::isStep(const Plan &plan, unsigned from, unsigned to) const {
  for (auto [a, b, step] :
       llvm::zip_equal(all[from].operands, all[to].operands, plan.steps))
    if (!a.getImmediate()) {
      std::optional<int64_t> known =
          layout.distance(a.getBuffer(), b.getBuffer());
      if (known.has_value() != step.has_value() ||
          (known && *known + b.getBase() - a.getBase() != *step))
        return false;
    }
  return true;
}

/// All that continue from `first` to `second` and on, and in front of it.
std::optional<Plan> Merging::planOf(unsigned first, unsigned second,
                                    ArrayRef<unsigned> others) const {
  Plan plan;
  plan.members = {first, second};
  int64_t direction = 0;
  for (auto [a, b] :
       llvm::zip_equal(all[first].operands, all[second].operands)) {
    std::optional<int64_t> step = 0;
    if (!a.getImmediate()) {
      step = layout.distance(a.getBuffer(), b.getBuffer());
      if (step)
        *step += b.getBase() - a.getBase();
      else if (!layout.leastDistance(a.getBuffer(), b.getBuffer()))
        return std::nullopt;
    }
    if (step && *step % image::bytesOf(codegen::wordOf(a.getType())) != 0)
      return std::nullopt;
    if (step && direction == 0)
      direction = *step;
    plan.steps.push_back(step);
  }
  // A multiply-add takes one scalar.
  if (cast<core::VectorOp>(all[first].op).getOp() == core::Opcode::fma &&
      plan.steps.back() != 0)
    return std::nullopt;
  if (plan.steps.front() == 0)
    return std::nullopt;
  for (bool forward : {true, false})
    for (unsigned end = forward ? second : first;;) {
      const auto *next = llvm::find_if(others, [&](unsigned id) {
        return !llvm::is_contained(plan.members, id) &&
               (forward ? isStep(plan, end, id) : isStep(plan, id, end));
      });
      if (next == others.end())
        break;
      end = *next;
      plan.members.insert(forward ? plan.members.end() : plan.members.begin(),
                          end);
    }
  if (direction < 0) {
    std::reverse(plan.members.begin(), plan.members.end());
    for (std::optional<int64_t> &step : plan.steps)
      if (step)
        step = -*step;
  }
  return plan;
}

/// Decides what is open of a plan: buffers that nothing was said of lie behind
/// each other, `gap` bytes apart. Without a layout if they cannot.
void Merging::lay(Plan &plan, int64_t gap) const {
  SideBySide made = layout;
  for (size_t k = 0; k < plan.steps.size(); ++k) {
    std::optional<int64_t> &step = plan.steps[k];
    if (step)
      continue;
    auto operand = [&](size_t member) {
      return all[plan.members[member]].operands[k];
    };
    std::optional<int64_t> least;
    for (size_t i = 1; i < plan.members.size(); ++i) {
      OperandAttr a = operand(i - 1), b = operand(i);
      const int64_t between = b.getBase() - a.getBase();
      std::optional<int64_t> known =
          made.distance(a.getBuffer(), b.getBuffer());
      if (!known)
        known = made.leastDistance(a.getBuffer(), b.getBuffer());
      if (!known)
        return;
      least = std::max(least.value_or(*known + between), *known + between);
    }
    step = llvm::alignTo(*least + gap, 4);
    for (size_t i = 1; i < plan.members.size(); ++i) {
      OperandAttr a = operand(i - 1), b = operand(i);
      const int64_t wanted = *step + a.getBase() - b.getBase();
      if (made.distance(a.getBuffer(), b.getBuffer()) != wanted &&
          !made.settle(a.getBuffer(), b.getBuffer(), wanted))
        return;
    }
  }
  plan.layout = std::move(made);
}

bool Merging::collides(const codegen::Meeting &meeting,
                       const SideBySide &now) const {
  std::optional<int64_t> distance =
      now.distance(meeting.a.getBuffer(), meeting.b.getBuffer());
  return distance &&
         model.collide(*distance + meeting.b.getBase() - meeting.a.getBase(),
                       meeting.width);
}

/// Cycles of a whole run that sources in the same banks take, as far as their
/// distance is settled now and was not before.
int64_t Merging::countConflicts(const SideBySide &now) const {
  int64_t cycles = 0;
  for (const codegen::Meeting &meeting : meetings)
    if (collides(meeting, now) &&
        !layout.distance(meeting.a.getBuffer(), meeting.b.getBuffer()))
      cycles += meeting.cycles();
  return cycles;
}

/// `count` times what `operands` are, each `steps` bytes on. Leaves the shape
/// as short as it can be.
static SmallVector<int64_t> repeat(Operands &operands,
                                   ArrayRef<std::optional<int64_t>> steps,
                                   ArrayRef<int64_t> shape, int64_t count) {
  std::vector<SmallVector<int64_t>> strides;
  bool joins = !shape.empty();
  for (auto [operand, step] : llvm::zip_equal(operands, steps)) {
    strides.push_back(codegen::stridesOf(operand, shape));
    if (operand.getImmediate())
      continue;
    const int64_t size = image::bytesOf(codegen::wordOf(operand.getType()));
    strides.back().insert(strides.back().begin(), *step / size);
    joins = joins && strides.back()[0] == strides.back()[1] * shape.front();
  }
  SmallVector<int64_t> made(shape);
  made.insert(made.begin(), count);
  if (joins) {
    made[1] *= count;
    made.erase(made.begin());
  }
  for (auto [operand, mine] : llvm::zip_equal(operands, strides)) {
    if (operand.getImmediate())
      continue;
    if (joins)
      mine.erase(mine.begin());
    OperandAttr dense =
        OperandAttr::get(operand.getContext(), operand.getType(),
                         operand.getBuffer(), operand.getBase(), true, {},
                         operand.getSteps(), {}, 0, {}, 0, 0, false, 0);
    operand = codegen::stridesOf(dense, made) == mine
                  ? dense
                  : OperandAttr::get(operand.getContext(), operand.getType(),
                                     operand.getBuffer(), operand.getBase(),
                                     false, mine, operand.getSteps(), {}, 0, {},
                                     0, 0, false, 0);
  }
  return made;
}

/// Cycles of an instruction, banks regarded as far as distances are settled.
int64_t Merging::cyclesOf(ArrayRef<int64_t> shape,
                          ArrayRef<OperandAttr> operands, core::Opcode op,
                          const SideBySide &now) const {
  int64_t cycles = codegen::cyclesOf(op, shape, operands, model);
  for (const codegen::Meeting &meeting :
       codegen::meetingsOf(op, shape, operands, model))
    if (collides(meeting, now))
      cycles += meeting.cycles();
  return cycles;
}

void Merging::merge(const Plan &plan) {
  const unsigned first =
      *std::min_element(plan.members.begin(), plan.members.end());
  auto kept = cast<core::VectorOp>(all[first].op);
  Operands operands = all[plan.members.front()].operands;
  const auto count = static_cast<int64_t>(plan.members.size());
  SmallVector<int64_t> shape =
      repeat(operands, plan.steps, kept.getShape(), count);
  kept.setShape(shape);
  kept.setDstAttr(operands.front());
  SmallVector<Attribute> sources(operands.begin() + 1, operands.end());
  kept.setSourcesAttr(ArrayAttr::get(kept->getContext(), sources));
  layout = *plan.layout;
  SmallVector<Location> nodes;
  for (Instruction &each : all) {
    if (!llvm::is_contained(plan.members, each.at))
      continue;
    if (each.op)
      nodes.push_back(each.op->getLoc());
    if (each.op && each.at != first) {
      llvm::append_range(all[first].accesses, each.accesses);
      each.op->erase();
      each.op = nullptr;
    }
    each.at = first;
  }
  kept->setLoc(FusedLoc::get(kept->getContext(), nodes));
  all[first].operands = std::move(operands);
  all[first].kind = kindOf(kept);
  if (all[first].kind)
    byKind[all[first].kind].push_back(first);
}

/// Lets `best` be `open` if that gains more.
void Merging::tryGaps(unsigned first, Plan open, Plan &best) const {
  auto op = cast<core::VectorOp>(all[first].op);
  const auto count = static_cast<int64_t>(open.members.size());
  for (int64_t gap = 0; gap < model.getBankPeriod(); gap += 4) {
    Plan plan = open;
    lay(plan, gap);
    if (!plan.layout)
      return;
    Operands operands = all[plan.members.front()].operands;
    SmallVector<int64_t> shape =
        repeat(operands, plan.steps, op.getShape(), count);
    for (unsigned member : plan.members)
      plan.gain +=
          cyclesOf(op.getShape(), all[member].operands, op.getOp(), layout);
    plan.gain -= cyclesOf(shape, operands, op.getOp(), *plan.layout);
    const int64_t conflicts = countConflicts(*plan.layout);
    plan.gain = plan.gain * times - conflicts;
    if (plan.gain > best.gain)
      best = std::move(plan);
    if (conflicts == 0)
      return;
  }
}

/// Whether anything became one.
bool Merging::sweep() {
  bool any = false;
  for (unsigned first = 0; first < all.size(); ++first) {
    if (!all[first].kind || all[first].at != first)
      continue;
    const SmallVector<unsigned> others = likeOnes(first);
    Plan best;
    for (unsigned second : others)
      if (std::optional<Plan> open = planOf(first, second, others))
        tryGaps(first, *open, best);
    if (best.gain <= 0)
      continue;
    merge(best);
    any = true;
  }
  return any;
}

/// One name for all nodes that an instruction does the work of.
static void joinNames(core::VectorOp op) {
  llvm::SetVector<StringRef> names;
  op.getLoc()->walk([&](Location part) {
    if (auto named = dyn_cast<NameLoc>(part))
      names.insert(named.getName());
    return WalkResult::advance();
  });
  Builder builder(op.getContext());
  if (names.size() > 1)
    op->setLoc(NameLoc::get(builder.getStringAttr(llvm::join(names, " + "))));
}

void CoreMerge::merge(core::ProgramOp program,
                      const machine::MachineModel &model) {
  // Where buffers have addresses, those that never lived together share bytes.
  for (auto buffer : program.getBody().getOps<core::BufferOp>())
    if (buffer.getUse() == core::Use::scratch && buffer.getAddress())
      return;
  SideBySide layout(program);
  SmallVector<codegen::Meeting> meetings;
  codegen::findMeetings(program.getBody().front(), 1, model, meetings);
  SmallVector<Body> bodies{{&program.getBody().front(), {}, 1}};
  // The outer ones first: they see the inner ones as they were.
  for (size_t i = 0; i < bodies.size(); ++i) {
    const Body body = bodies[i];
    Merging(body, layout, meetings, model).run();
    for (auto loop : body.block->getOps<core::LoopOp>()) {
      // Entries that share the code must come to the same: for any number.
      constexpr int64_t any = 1 << 20;
      const auto count = static_cast<int64_t>(loop.getCount());
      Body inner{&loop.getBody().front(), body.trips, body.times};
      inner.trips.push_back(loop.getPerEntry() ? any : count);
      if (!loop.getPerEntry())
        inner.times *= std::max<int64_t>(count, 1);
      bodies.push_back(std::move(inner));
    }
  }
  layout.apply();
  program.walk(joinNames);
}

std::unique_ptr<Pass> codegen::createMergeFor(const image::TargetT &machine) {
  return std::make_unique<CoreMerge>(machine);
}
