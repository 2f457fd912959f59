// Who needs what an instruction computes. All PEs of a line execute what stands
// between a sum and its way back, on what they have of it, but only what the
// root makes of it is sent: the takes of the others write over theirs. Such
// instructions become the root's. The others take their answer without having
// been busy when it came, and copies of weights and rows for the caches have
// the time.
//
// A walk from the end of a program to its begin knows of all bytes of scratch
// on which PEs somebody will read them. An instruction is needed where its
// result is, and then needs what it reads there; streams and what outlives the
// program are needed wherever they are executed. Loops are walked until nothing
// new is read in front of them.

#include "waferloom/Codegen/Passes.h"
#include "waferloom/Dialect/Core/Accesses.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"

#include <map>

namespace waferloom::codegen {
#define GEN_PASS_DEF_CORENEEDS
#include "waferloom/Codegen/Passes.h.inc"
} // namespace waferloom::codegen

using namespace mlir;
using namespace waferloom;
using core::OperandAttr;
using core::PeSet;
using core::Window;

namespace {
/// Bytes that will be read, and where. Rather too many PEs than too few.
class Live {
public:
  PeSet find(const Window &window, const PeSet &nobody) const;
  /// Returns whether that was not known.
  bool add(const Window &window, const PeSet &pes);
  bool add(const Live &other);
  /// Nobody reads on `pes` any more what is in `window` now.
  void remove(const Window &window, const PeSet &pes);

private:
  /// Of bytes up to before `high`.
  struct Reads {
    int64_t high;
    PeSet pes;
  };
  /// By the first byte; no two share a byte.
  using Pieces = std::map<int64_t, Reads>;
  /// Lets a piece end, and the next begin, at `byte`.
  static void split(Pieces &pieces, int64_t byte);
  /// Joins neighbors that the same PEs read, those that touch the window too.
  static void joinEqual(Pieces &pieces, const Window &window);

  llvm::DenseMap<Attribute, Pieces> known; // by buffer
};

/// The instructions of one program.
class Needs {
public:
  Needs(core::ProgramOp program, const core::PeSets &sets);

  /// Lets instructions be executed only where they are needed.
  void restrict();

private:
  void walk(Block &block, Live &live);
  void visit(Operation *op, Live &live);
  PeSet neededOn(core::VectorOp op, const Live &live) const;
  bool isScratch(const Window &window) const {
    return window.buffer && scratch.contains(window.buffer);
  }

  core::ProgramOp program;
  const core::PeSets &sets;
  PeSet all, nobody;
  llvm::DenseSet<Attribute> scratch; // by name
  bool addresses = false;            // somebody names one
  core::Trips trips;
  llvm::DenseMap<Operation *, PeSet> needed;
};

struct CoreNeeds : codegen::impl::CoreNeedsBase<CoreNeeds> {
  using CoreNeedsBase::CoreNeedsBase;

  void runOnOperation() override {
    for (auto region : getOperation().getBody().getOps<core::RegionOp>()) {
      const core::PeSets sets(region);
      for (auto program : region.getBody().getOps<core::ProgramOp>())
        Needs(program, sets).restrict();
    }
  }
};
} // namespace

static bool isEmpty(const PeSet &pes) {
  return pes.columns.none() || pes.rows.none();
}

/// Whether every PE of `inner` is one of `outer`.
static bool contains(const PeSet &outer, const PeSet &inner) {
  return isEmpty(inner) ||
         (!inner.columns.test(outer.columns) && !inner.rows.test(outer.rows));
}

/// A rectangle of classes around both.
static void join(PeSet &to, const PeSet &other) {
  if (isEmpty(other))
    return;
  if (isEmpty(to)) {
    to = other;
    return;
  }
  to.columns |= other.columns;
  to.rows |= other.rows;
}

static PeSet common(PeSet a, const PeSet &b) {
  a.columns &= b.columns;
  a.rows &= b.rows;
  return a;
}

PeSet Live::find(const Window &window, const PeSet &nobody) const {
  PeSet found = nobody;
  auto of = known.find(window.buffer);
  if (of == known.end())
    return found;
  const Pieces &pieces = of->second;
  auto piece = pieces.upper_bound(window.low);
  if (piece != pieces.begin() && std::prev(piece)->second.high > window.low)
    --piece;
  for (; piece != pieces.end() && piece->first < window.high; ++piece)
    join(found, piece->second.pes);
  return found;
}

void Live::split(Pieces &pieces, int64_t byte) {
  auto behind = pieces.lower_bound(byte);
  if (behind == pieces.begin())
    return;
  Reads &reads = std::prev(behind)->second;
  if (reads.high <= byte)
    return;
  pieces.emplace_hint(behind, byte, reads);
  reads.high = byte;
}

void Live::joinEqual(Pieces &pieces, const Window &window) {
  auto piece = pieces.lower_bound(window.low);
  if (piece != pieces.begin())
    --piece;
  while (piece != pieces.end() && piece->first <= window.high) {
    auto next = std::next(piece);
    if (next != pieces.end() && next->first == piece->second.high &&
        next->second.pes == piece->second.pes) {
      piece->second.high = next->second.high;
      pieces.erase(next);
    } else {
      piece = next;
    }
  }
}

bool Live::add(const Window &window, const PeSet &pes) {
  if (isEmpty(pes) || window.low >= window.high)
    return false;
  Pieces &pieces = known[window.buffer];
  split(pieces, window.low);
  split(pieces, window.high);
  bool any = false;
  auto piece = pieces.lower_bound(window.low);
  for (int64_t byte = window.low; byte < window.high;) {
    if (piece == pieces.end() || piece->first > byte) { // nobody reads these
      const int64_t end = piece == pieces.end()
                              ? window.high
                              : std::min(window.high, piece->first);
      pieces.emplace_hint(piece, byte, Reads{end, pes});
      byte = end;
      any = true;
      continue;
    }
    if (!contains(piece->second.pes, pes)) {
      join(piece->second.pes, pes);
      any = true;
    }
    byte = piece->second.high;
    ++piece;
  }
  joinEqual(pieces, window);
  return any;
}

bool Live::add(const Live &other) {
  bool any = false;
  for (const auto &[buffer, pieces] : other.known)
    for (const auto &[low, reads] : pieces)
      any |= add({cast<FlatSymbolRefAttr>(buffer), low, reads.high}, reads.pes);
  return any;
}

void Live::remove(const Window &window, const PeSet &pes) {
  auto of = known.find(window.buffer);
  if (of == known.end())
    return;
  Pieces &pieces = of->second;
  split(pieces, window.low);
  split(pieces, window.high);
  auto piece = pieces.lower_bound(window.low);
  while (piece != pieces.end() && piece->first < window.high) {
    // What is left is a rectangle only if one side of it goes as a whole.
    PeSet &where = piece->second.pes;
    if (!where.rows.test(pes.rows))
      where.columns.reset(pes.columns);
    else if (!where.columns.test(pes.columns))
      where.rows.reset(pes.rows);
    piece = isEmpty(where) ? pieces.erase(piece) : std::next(piece);
  }
  joinEqual(pieces, window);
}

Needs::Needs(core::ProgramOp program, const core::PeSets &sets)
    : program(program), sets(sets), all(sets.of(program)), nobody(all) {
  nobody.columns.reset();
  nobody.rows.reset();
  for (auto buffer : program.getBody().getOps<core::BufferOp>()) {
    if (buffer.getUse() == core::Use::scratch)
      scratch.insert(FlatSymbolRefAttr::get(buffer.getSymNameAttr()));
    addresses |= bool(buffer.getAddress());
  }
  program.walk([&](core::BindOp bind) { // the host's, too
    scratch.erase(bind.getBufferAttr());
  });
}

/// Whether every byte of the window of `operand` is written, each time.
static bool coversWindow(OperandAttr operand) {
  return operand.getDense() && operand.getSteps().empty() &&
         !operand.getIndexScale();
}

PeSet Needs::neededOn(core::VectorOp op, const Live &live) const {
  const PeSet own = sets.of(op);
  const Window written = core::windowOf(op.getDst(), op.getShape(), trips);
  if (!isScratch(written) || op->getAttr("thread"))
    return own;
  return common(own, live.find(written, nobody));
}

void Needs::visit(Operation *op, Live &live) {
  PeSet where = sets.of(op);
  OperandAttr dst;
  if (auto vector = dyn_cast<core::VectorOp>(op)) {
    where = needed[op] = neededOn(vector, live);
    dst = vector.getPredicateAttr() ? OperandAttr() : vector.getDst();
  } else if (auto recv = dyn_cast<core::RecvOp>(op)) {
    dst = recv.getPredicateAttr() ? OperandAttr() : recv.getDst();
  }
  if (dst && coversWindow(dst))
    live.remove(core::windowOf(dst, core::shapeOf(op), trips), sets.of(op));
  core::forEachAccess(op, trips, [&](const core::Access &access) {
    addresses |= !access.window.buffer;
    if (!access.writes && isScratch(access.window))
      live.add(access.window, where);
  });
}

void Needs::walk(Block &block, Live &live) {
  for (Operation &op : llvm::reverse(block)) {
    auto loop = dyn_cast<core::LoopOp>(op);
    if (!loop) {
      visit(&op, live);
      continue;
    }
    // What a trip reads first the one before may have written.
    trips.push_back(static_cast<int64_t>(loop.getCount()));
    while (true) {
      Live inside = live;
      walk(loop.getBody().front(), inside);
      if (!live.add(inside))
        break;
    }
    trips.pop_back();
  }
}

void Needs::restrict() {
  Live live;
  walk(program.getBody().front(), live);
  if (addresses)
    return;
  // Names of sets, the first of equal ones.
  llvm::SmallVector<std::pair<FlatSymbolRefAttr, llvm::BitVector>> names;
  auto region = program->getParentOfType<core::RegionOp>();
  for (auto set : region.getBody().getOps<core::SetOp>()) {
    auto name = FlatSymbolRefAttr::get(set.getSymNameAttr());
    names.emplace_back(name, sets.columnsOf(name));
  }
  auto nameOf = [&](llvm::BitVector classes) {
    FlatSymbolRefAttr found;
    for (const auto &[name, members] : names) {
      classes.resize(members.size());
      if (!found && members == classes)
        found = name;
    }
    return found;
  };
  for (auto &[op, pes] : needed) {
    if (isEmpty(pes) || op->getAttr("columns") || op->getAttr("rows"))
      continue;
    FlatSymbolRefAttr columns, rows;
    if (all.columns.test(pes.columns))
      columns = nameOf(pes.columns);
    if (all.rows.test(pes.rows))
      rows = nameOf(pes.rows);
    if (columns)
      op->setAttr("columns", columns);
    if (rows)
      op->setAttr("rows", rows);
  }
}
