// Early send, late take. What a PE sends comes back as an answer after the
// words have been through all of a line; until then it need not stand still.
// Takes of answers move behind all else that is done for the same message, and
// between the two come vector instructions that do not need the answer: later
// ones that are ready, and earlier ones that were not needed for what was sent.
//
// Streams keep their order on every PE, and no instruction is added: what could
// not hang before cannot now. Instructions change places only where neither
// writes what the other touches, so every element is computed from the same
// numbers as before.

#include "CopyRuns.h"
#include "InstructionCost.h"
#include "Machine.h"
#include "Orders.h"
#include "waferloom/Codegen/Passes.h"
#include "waferloom/Dialect/Core/Accesses.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"

namespace waferloom::codegen {
#define GEN_PASS_DEF_CORESCHEDULE
#include "waferloom/Codegen/Passes.h.inc"
} // namespace waferloom::codegen

using namespace mlir;
using namespace waferloom;
using codegen::continues;
using core::PeSet;

namespace {
/// Instructions that stay together: a vector instruction, a loop of such, or
/// the streams of one place in the program.
struct Node {
  enum Kind : uint8_t { Compute, Early, Late };
  Kind kind = Compute;
  SmallVector<Operation *, 1> ops;
  SmallVector<core::Access, 4> accesses;
  PeSet pes;
  SmallVector<unsigned, 4> before; ///< nodes that must have been
  int64_t cycles = 0;              ///< of work; late: that there is time for
  bool isLong = false;             ///< late: its root waits for those that take
  bool done = false;
};

/// What touched a buffer so far.
struct Touched {
  SmallVector<std::pair<unsigned, core::Window>> reads, writes;
};

/// Orders the instructions between two barriers of a block.
class Stretch {
public:
  Stretch(const core::PeSets &sets, const image::TargetT &target,
          ArrayRef<int64_t> trips)
      : sets(sets), target(target), model(target), trips(trips) {}

  void add(Operation *op) { ops.push_back(op); }
  /// Puts all that was added in front of `end`, in its new order.
  void place(Block &block, Block::iterator end);

private:
  void makeNodes();
  void closeRun(SmallVectorImpl<Operation *> &run);
  unsigned addNode(Node::Kind kind, ArrayRef<Operation *> ops);
  void addOrder(unsigned node);
  void setSlack(unsigned first);
  /// Chooses `order`.
  void choose();
  void fill(unsigned late);
  /// What must be before `node` and is not done.
  llvm::BitVector needsOf(unsigned node) const;
  bool hasTimeLater(unsigned node, unsigned late) const;
  void emit(unsigned node);
  int64_t cyclesNow(const Node &node) const;
  bool joinCopies();
  bool isReady(const Node &node) const {
    return llvm::all_of(node.before,
                        [&](unsigned id) { return nodes[id].done; });
  }

  const core::PeSets &sets;
  const image::TargetT &target;
  const machine::MachineModel model;
  core::Trips trips;
  SmallVector<Operation *> ops; // as they stand
  std::vector<Node> nodes;
  llvm::MapVector<Attribute, Touched> touched; // by buffer
  SmallVector<Operation *> order;
  SmallVector<Operation *> onPath;   // what no message hides
  llvm::DenseSet<Operation *> parts; // copies that continue the one before
  bool addresses = false;            ///< somebody names one: all stays as it is
};

struct CoreSchedule : codegen::impl::CoreScheduleBase<CoreSchedule> {
  using CoreScheduleBase::CoreScheduleBase;
  explicit CoreSchedule(const image::TargetT &machine) : given(machine) {}

  void runOnOperation() override {
    FailureOr<image::TargetT> machine =
        codegen::machineOf(getOperation(), given, target);
    if (failed(machine))
      return signalPassFailure();
    for (auto region : getOperation().getBody().getOps<core::RegionOp>()) {
      const core::PeSets sets(region);
      for (auto program : region.getBody().getOps<core::ProgramOp>())
        schedule(program, sets, *machine);
    }
  }

  void schedule(core::ProgramOp program, const core::PeSets &sets,
                const image::TargetT &machine);
  void schedule(Block &block, core::Trips &trips, const core::PeSets &sets,
                const image::TargetT &machine);

  std::optional<image::TargetT> given;
};
} // namespace

static bool isPartOfRun(Operation *op) {
  return core::isStream(op) || isa<core::RewriteOp>(op);
}

/// Whether it is part of a message that not all lines have.
static bool isOfFewLines(Operation *op) {
  return op->getAttr("columns") && op->getAttr("rows");
}

/// Whether nothing may pass it.
static bool isBarrier(Operation *op) {
  if (isa<core::WaitOp, core::EndOp>(op) || op->getAttr("thread"))
    return true;
  bool found = false;
  if (auto loop = dyn_cast<core::LoopOp>(op))
    loop.getBody().walk([&](Operation *inner) {
      found |= isPartOfRun(inner) || isa<core::WaitOp, core::EndOp>(inner) ||
               inner->getAttr("thread");
    });
  return found;
}

void Stretch::makeNodes() {
  nodes.clear();
  touched.clear();
  parts.clear();
  for (size_t i = 1; i < ops.size(); ++i)
    if (continues(ops[i - 1], ops[i]))
      parts.insert(ops[i]);
  SmallVector<Operation *> run; // streams behind each other
  for (Operation *op : ops) {
    if (!isPartOfRun(op)) {
      closeRun(run);
      addNode(Node::Compute, op);
      continue;
    }
    if (!run.empty() && isOfFewLines(op) != isOfFewLines(run.back()))
      closeRun(run); // another message
    run.push_back(op);
  }
  closeRun(run);
}

unsigned Stretch::addNode(Node::Kind kind, ArrayRef<Operation *> ops) {
  const auto id = static_cast<unsigned>(nodes.size());
  Node &node = nodes.emplace_back();
  node.kind = kind;
  llvm::append_range(node.ops, ops);
  for (Operation *op : ops) {
    PeSet pes = sets.of(op);
    node.pes.columns |= pes.columns;
    node.pes.rows |= pes.rows;
    core::forEachAccess(op, trips, [&](const core::Access &access) {
      if (llvm::none_of(node.accesses, [&](const auto &other) {
            return other.writes == access.writes &&
                   other.window.contains(access.window);
          }))
        node.accesses.push_back(access);
    });
    op->walk([&](core::VectorOp vector) {
      node.cycles += codegen::cyclesOf(vector, model);
    });
  }
  addOrder(id);
  return id;
}

/// What touched the same bytes on the same PEs before comes before, if either
/// writes them; streams come in their order.
void Stretch::addOrder(unsigned id) {
  Node &node = nodes[id];
  auto follow = [&](ArrayRef<std::pair<unsigned, core::Window>> earlier,
                    const core::Window &window) {
    for (const auto &[other, touching] : earlier)
      if (touching.overlaps(window) && nodes[other].pes.meets(node.pes) &&
          (node.before.empty() || node.before.back() != other))
        node.before.push_back(other);
  };
  for (const core::Access &access : node.accesses) {
    addresses |= !access.window.buffer;
    const Touched &known = touched[access.window.buffer];
    follow(known.writes, access.window);
    if (access.writes)
      follow(known.reads, access.window);
  }
  for (const core::Access &access : node.accesses) {
    Touched &known = touched[access.window.buffer];
    (access.writes ? known.writes : known.reads)
        .emplace_back(id, access.window);
  }
  if (node.kind != Node::Compute)
    for (unsigned other = id; other-- > 0;)
      if (nodes[other].kind != Node::Compute) {
        node.before.push_back(other);
        break;
      }
}

/// Parts the streams that stand together: takes that no later one on the same
/// PE waits behind are late.
void Stretch::closeRun(SmallVectorImpl<Operation *> &run) {
  if (run.empty())
    return;
  llvm::MapVector<Attribute, PeSet> passed; // by the set that they share
  SmallVector<Operation *> early, late;
  for (Operation *op : llvm::reverse(run)) {
    const PeSet pes = sets.of(op);
    const bool isLate =
        isa<core::RecvOp>(op) && llvm::none_of(passed, [&](const auto &other) {
          return other.second.meets(pes);
        });
    (isLate ? late : early).push_back(op);
    if (isLate)
      continue;
    Attribute shared = op->getAttr("rows") ? op->getAttr("columns")
                                           : UnitAttr::get(op->getContext());
    PeSet &all = passed[shared];
    all.columns |= pes.columns;
    all.rows |= pes.rows;
  }
  std::reverse(early.begin(), early.end());
  std::reverse(late.begin(), late.end());
  run.clear();
  if (!early.empty())
    addNode(Node::Early, early);
  if (late.empty())
    return;
  const unsigned id = addNode(Node::Late, late);
  if (!early.empty())
    setSlack(id - 1);
}

/// For how long all PEs can do something else between node `first` and the
/// takes behind it without anybody waiting for it. The last one to take stands
/// at the end of the line; what is done until then, by the root too, is not
/// missed. Where the message is longer than what is on the way, though, those
/// next to the root must take in time: when it has done what it alone does in
/// front of it (core-needs).
void Stretch::setSlack(unsigned first) {
  const Node &early = nodes[first];
  Node &late = nodes[first + 1];
  const bool alongY = bool(late.ops.front()->getAttr("rows"));
  auto axis = [&](const PeSet &set) { return alongY ? set.rows : set.columns; };
  llvm::BitVector all = axis(early.pes), roots = all;
  all |= axis(late.pes);
  roots.reset(axis(late.pes));
  auto count = [&](const llvm::BitVector &classes) {
    return alongY ? sets.countRows(classes) : sets.countColumns(classes);
  };
  const int64_t length = count(all) / std::max<int64_t>(count(roots), 1);
  int64_t words = 0;
  for (Operation *op : late.ops) {
    auto recv = cast<core::RecvOp>(op);
    const int64_t bytes = llvm::product_of(recv.getShape()) *
                          core::bytesOf(recv.getDst().getType());
    words = std::max(words, (bytes + 3) / 4);
  }
  const machine::LinkCosts links = model.getLinks();
  int64_t alone = 0; // what the root does meanwhile
  for (unsigned id = first; id-- > 0 && nodes[id].kind == Node::Compute;)
    if (!nodes[id].pes.meets(late.pes))
      alone += nodes[id].cycles;
  const auto far = static_cast<int64_t>(links.getTravel(length / 2));
  const int64_t near = 2 * static_cast<int64_t>(links.getTravel(1)) +
                       3 * model.getIssue() + words;
  late.isLong = words > codegen::wordsUnderWay(target) &&
                (near >= far || near + alone < far);
  late.cycles = late.isLong ? std::min(near + alone, far) : far;
}

/// Cycles of `node` behind what was emitted last.
int64_t Stretch::cyclesNow(const Node &node) const {
  if (order.empty() || !continues(order.back(), node.ops.front()))
    return node.cycles;
  auto copy = cast<core::VectorOp>(node.ops.front());
  return machine::MachineModel::getVectorCycles(codegen::elementsOf(copy),
                                                codegen::rateOf(copy, model));
}

void Stretch::emit(unsigned id) {
  nodes[id].done = true;
  llvm::append_range(order, nodes[id].ops);
}

llvm::BitVector Stretch::needsOf(unsigned id) const {
  SmallVector<unsigned> todo{id};
  llvm::BitVector needed(nodes.size());
  while (!todo.empty())
    for (unsigned other : nodes[todo.pop_back_val()].before)
      if (!nodes[other].done && !needed.test(other)) {
        needed.set(other);
        todo.push_back(other);
      }
  return needed;
}

/// Whether there is time for `node` behind `late`, before a message needs it,
/// while an answer is on its way that nobody is held up for: for all that can
/// be done then, and a quarter more.
bool Stretch::hasTimeLater(unsigned node, unsigned late) const {
  llvm::BitVector needed(nodes.size());
  for (unsigned id = late + 1; id < nodes.size(); ++id) {
    if (nodes[id].kind == Node::Early)
      needed |= needsOf(id);
    if (needed.test(node))
      return false;
    if (nodes[id].kind != Node::Late || nodes[id].isLong)
      continue;
    int64_t cycles = 0;
    for (unsigned other = 0; other < id; ++other)
      if (nodes[other].kind == Node::Compute && !nodes[other].done &&
          !needed.test(other))
        cycles += nodes[other].cycles;
    if (cycles + cycles / 4 <= nodes[id].cycles)
      return true;
  }
  return false;
}

/// Puts in front of a late take what there is time for: first what the next
/// message needs, for that is on the way whatever comes of it. Of that all, if
/// nobody waits for the take, since it would only stand behind it. Where few
/// lines take something, the others have no time for more.
void Stretch::fill(unsigned late) {
  unsigned next = late + 1;
  while (next < nodes.size() && nodes[next].kind != Node::Early)
    ++next;
  llvm::BitVector needed =
      next < nodes.size() ? needsOf(next) : llvm::BitVector(nodes.size(), true);
  int64_t left = nodes[late].cycles;
  for (bool first : {true, false})
    for (unsigned id = 0; id < nodes.size(); ++id) {
      if (first ? left <= 0 && nodes[late].isLong
                : left <= 0 || isOfFewLines(nodes[late].ops.front()))
        break;
      const Node &node = nodes[id];
      if (node.kind != Node::Compute || node.done || needed.test(id) != first ||
          !isReady(node) || !node.pes.meets(nodes[late].pes))
        continue;
      const int64_t cycles = cyclesNow(node);
      const bool mayExceed = first && !parts.contains(node.ops.front()) &&
                             (!nodes[late].isLong || cycles <= 2 * left);
      if (cycles > left && !mayExceed)
        continue;
      if (!first && nodes[late].isLong && hasTimeLater(id, late))
        continue;
      left -= cycles;
      emit(id);
    }
}

void Stretch::choose() {
  order.clear();
  onPath.clear();
  auto prepare = [&](unsigned id) {
    const llvm::BitVector needed = needsOf(id);
    for (unsigned other : needed.set_bits()) {
      llvm::append_range(onPath, nodes[other].ops);
      emit(other);
    }
  };
  for (unsigned id = 0; id < nodes.size() && !addresses; ++id) {
    if (nodes[id].kind == Node::Compute)
      continue;
    const bool isAnswer = id > 0 && nodes[id - 1].kind == Node::Early;
    if (nodes[id].kind == Node::Late && isAnswer)
      fill(id);
    else if (nodes[id].kind == Node::Late)
      // What another one sends first may be long in coming.
      for (unsigned other = 0; other < id; ++other)
        if (!nodes[other].done && isReady(nodes[other]))
          emit(other);
    prepare(id);
    emit(id);
  }
  for (unsigned id = 0; id < nodes.size(); ++id)
    if (!nodes[id].done)
      emit(id);
}

/// Copies that stand behind each other become one. Returns whether there were
/// any among `ops` that nothing hides: they pay their issue for nothing.
bool Stretch::joinCopies() {
  bool any = false;
  for (Operation *op : onPath) {
    if (!parts.contains(op))
      continue;
    Operation **at = llvm::find(ops, op);
    codegen::join(*(at - 1), op);
    ops.erase(at);
    any = true;
  }
  return any;
}

void Stretch::place(Block &block, Block::iterator end) {
  do {
    makeNodes();
    choose();
  } while (joinCopies());
  Operation *last = nullptr;
  for (Operation *op : order) {
    if (continues(last, op)) {
      codegen::join(last, op);
      continue;
    }
    op->moveBefore(&block, end);
    last = op;
  }
}

void CoreSchedule::schedule(Block &block, core::Trips &trips,
                            const core::PeSets &sets,
                            const image::TargetT &machine) {
  SmallVector<Operation *> ops;
  for (Operation &op : block)
    if (!isa<core::BufferOp, core::BindOp, core::RouteOp>(op))
      ops.push_back(&op);
  auto stretch = std::make_unique<Stretch>(sets, machine, trips);
  for (Operation *op : ops) {
    if (!isBarrier(op)) {
      stretch->add(op);
      continue;
    }
    stretch->place(block, op->getIterator());
    stretch = std::make_unique<Stretch>(sets, machine, trips);
    if (auto loop = dyn_cast<core::LoopOp>(op)) {
      trips.push_back(static_cast<int64_t>(loop.getCount()));
      schedule(loop.getBody().front(), trips, sets, machine);
      trips.pop_back();
    }
  }
  stretch->place(block, block.end());
}

void CoreSchedule::schedule(core::ProgramOp program, const core::PeSets &sets,
                            const image::TargetT &machine) {
  // Where buffers have addresses, those that never lived together share bytes.
  for (auto buffer : program.getBody().getOps<core::BufferOp>())
    if (buffer.getUse() == core::Use::scratch && buffer.getAddress())
      return;
  core::Trips trips;
  schedule(program.getBody().front(), trips, sets, machine);
}

std::unique_ptr<Pass>
codegen::createScheduleFor(const image::TargetT &machine) {
  return std::make_unique<CoreSchedule>(machine);
}
