// Results go to where they are moved. Code generation gives every tensor a
// buffer, so concatenations, functions of one more step, and what a loop
// carries end in a mov of a buffer that nobody reads afterwards. Whoever wrote
// that buffer can write the other one, if nobody else touches that one
// meanwhile. So can those that send and take words of it: a root makes what the
// other PEs of its line take.

#include "InstructionCost.h"
#include "waferloom/Codegen/Passes.h"
#include "waferloom/Dialect/Core/Accesses.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/SmallVectorExtras.h"

#include <functional>
#include <numeric>

namespace waferloom::codegen {
#define GEN_PASS_DEF_CORECOALESCE
#include "waferloom/Codegen/Passes.h.inc"
} // namespace waferloom::codegen

using namespace mlir;
using namespace waferloom;
using core::OperandAttr;
using core::PeSet;
using core::Window;

namespace {
/// The moves of one program.
class Moves {
public:
  explicit Moves(core::ProgramOp program);

  void coalesce();

private:
  /// Who writes and reads what `mov` moves, in order; empty if something is in
  /// the way.
  SmallVector<Operation *> findUsers(core::VectorOp mov);
  bool canMove(core::VectorOp mov) const;
  bool makeAll(ArrayRef<Operation *> ordered, core::VectorOp mov) const;
  bool isTouchedBetween(Operation *first, Operation *last,
                        const Window &window);
  /// `solid`: `to` has no gaps.
  void redirect(Operation *op, OperandAttr from, OperandAttr to,
                const Window &moved, bool solid);

  core::ProgramOp program;
  core::PeSets sets;
  PeSet all;
  llvm::DenseMap<Attribute, core::BufferOp> scratch; // by name
  llvm::DenseMap<Attribute, llvm::SetVector<Operation *>> users;
};

struct CoreCoalesce : codegen::impl::CoreCoalesceBase<CoreCoalesce> {
  using CoreCoalesceBase::CoreCoalesceBase;

  void runOnOperation() override {
    getOperation().walk(
        [](core::ProgramOp program) { Moves(program).coalesce(); });
  }
};
} // namespace

Moves::Moves(core::ProgramOp program)
    : program(program), sets(program->getParentOfType<core::RegionOp>()),
      all(sets.of(program)) {
  for (auto buffer : program.getBody().getOps<core::BufferOp>())
    if (buffer.getUse() == core::Use::scratch && !buffer.getAddress())
      scratch[FlatSymbolRefAttr::get(buffer.getSymNameAttr())] = buffer;
  program.walk([&](Operation *op) {
    core::forEachOperand(op, [&](OperandAttr operand) {
      for (FlatSymbolRefAttr name :
           {operand.getBuffer(), operand.getIndexBuffer()})
        if (name)
          users[name].insert(op);
    });
    if (auto bind = dyn_cast<core::BindOp>(op))
      scratch.erase(bind.getBufferAttr()); // the host's, too
  });
}

static Window windowOf(OperandAttr operand, Operation *op) {
  return core::windowOf(operand, core::shapeOf(op), {});
}

/// The loops around do not matter: neither operand moves, and what does move is
/// regarded for all trips.
bool Moves::isTouchedBetween(Operation *first, Operation *last,
                             const Window &window) {
  for (Operation *user : users[window.buffer]) {
    Operation *here = last->getBlock()->findAncestorOpInBlock(*user);
    if (!here || here == last || here->isBeforeInBlock(first) ||
        last->isBeforeInBlock(here))
      continue;
    core::Trips trips = core::tripsAround(user);
    bool found = false;
    core::forEachAccess(user, trips, [&](const core::Access &access) {
      found |= access.window.overlaps(window);
    });
    if (found)
      return true;
  }
  return false;
}

bool Moves::canMove(core::VectorOp mov) const {
  auto source = cast<OperandAttr>(mov.getSources()[0]);
  OperandAttr dst = mov.getDst();
  return mov.getOp() == core::Opcode::mov && !mov.getPredicateAttr() &&
         !mov->getAttr("thread") && !mov->getAttr("live") &&
         !source.getImmediate() && !core::moves(source) && !core::moves(dst) &&
         source.getType() == dst.getType() && dst.getBuffer() &&
         dst.getBuffer() != source.getBuffer() &&
         core::isSolid(source, mov.getShape()) &&
         scratch.contains(source.getBuffer());
}

static bool isOnSamePes(Operation *a, Operation *b) {
  return a->getAttr("columns") == b->getAttr("columns") &&
         a->getAttr("rows") == b->getAttr("rows");
}

/// Whether `op` writes every byte of `window` and reads none of its buffer.
static bool makes(Operation *op, const Window &window) {
  OperandAttr dst;
  if (auto vector = dyn_cast<core::VectorOp>(op)) {
    dst = vector.getDst();
    for (auto source : vector.getSources().getAsRange<OperandAttr>())
      if (source.getBuffer() == window.buffer)
        return false;
  } else if (auto recv = dyn_cast<core::RecvOp>(op)) {
    dst = recv.getDst();
  }
  return dst && !op->getAttr("predicate") && dst.getBuffer() == window.buffer &&
         windowOf(dst, op).contains(window) &&
         core::isSolid(dst, core::shapeOf(op));
}

/// Whether all that is moved was made in front of its readers and of `mov`, on
/// each of their PEs: on the same, or on lines that are all PEs together.
bool Moves::makeAll(ArrayRef<Operation *> ordered, core::VectorOp mov) const {
  const Window moved = windowOf(cast<OperandAttr>(mov.getSources()[0]), mov);
  const bool onSame = llvm::all_of(
      ordered, [&](Operation *op) { return isOnSamePes(op, mov); });
  if (!onSame && (mov.getColumnsAttr() || mov.getRowsAttr()))
    return false;
  PeSet made = all; // whole columns, whole rows
  made.columns.reset();
  made.rows.reset();
  bool isMade = false;
  for (Operation *op : ordered) {
    const PeSet pes = sets.of(op);
    if (!makes(op, moved)) {
      if (onSame ? !isMade
                 : pes.columns.test(made.columns) && pes.rows.test(made.rows))
        return false;
      continue;
    }
    isMade = true;
    if (!all.rows.test(pes.rows))
      made.columns |= pes.columns;
    if (!all.columns.test(pes.columns))
      made.rows |= pes.rows;
  }
  return onSame ? isMade
                : !all.columns.test(made.columns) || !all.rows.test(made.rows);
}

/// Whether every element is the same one.
static bool isScalar(OperandAttr operand) {
  return !operand.getDense() &&
         llvm::all_of(operand.getStrides(), [](int64_t s) { return s == 0; });
}

static int64_t elementsOf(ArrayRef<int64_t> shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t(1),
                         std::multiplies<>());
}

/// Whether `op` would do the same in the shape of `mov`: its elements are as
/// many, and one behind another in each operand, or the same one.
static bool canTakeShape(Operation *op, core::VectorOp mov) {
  auto vector = dyn_cast<core::VectorOp>(op);
  if (!vector || vector.getPredicateAttr() ||
      elementsOf(vector.getShape()) != elementsOf(mov.getShape()))
    return false;
  bool can = true;
  core::forEachOperand(op, [&](OperandAttr operand) {
    can &= operand.getImmediate() ||
           (!core::moves(operand) &&
            (isScalar(operand) || core::isSolid(operand, vector.getShape())));
  });
  return can;
}

static void takeShape(core::VectorOp op, ArrayRef<int64_t> shape) {
  auto changed = [&](Attribute attribute) -> Attribute {
    auto operand = cast<OperandAttr>(attribute);
    if (operand.getImmediate())
      return operand;
    const bool scalar = isScalar(operand);
    return OperandAttr::get(op.getContext(), operand.getType(),
                            operand.getBuffer(), operand.getBase(), !scalar,
                            SmallVector<int64_t>(scalar ? shape.size() : 0, 0),
                            operand.getSteps(), operand.getIndexBuffer(),
                            operand.getIndexAt(), operand.getIndexSteps(),
                            operand.getIndexScale(), operand.getIndexCount(),
                            operand.getImmediate(), operand.getBits());
  };
  op.setDstAttr(cast<OperandAttr>(changed(op.getDst())));
  op.setSourcesAttr(ArrayAttr::get(
      op.getContext(), llvm::map_to_vector(op.getSources(), changed)));
  op.setShape(shape);
}

SmallVector<Operation *> Moves::findUsers(core::VectorOp mov) {
  if (!canMove(mov))
    return {};
  auto source = cast<OperandAttr>(mov.getSources()[0]);
  const Window moved = windowOf(source, mov);
  const bool solid = core::isSolid(mov.getDst(), mov.getShape());
  SmallVector<Operation *> ordered;
  for (Operation *user : users[source.getBuffer()]) {
    if (user == mov)
      continue;
    bool fine = !user->getAttr("thread") && !user->getAttr("live");
    bool meets = false;
    core::forEachOperand(user, [&](OperandAttr operand) {
      fine &= operand.getIndexBuffer() != source.getBuffer();
      if (operand.getBuffer() != source.getBuffer())
        return;
      const Window window = windowOf(operand, user);
      fine &= !core::moves(operand);
      if (!window.overlaps(moved))
        return;
      meets = true;
      fine &= moved.contains(window);
      // Strides of the other buffer are only those of this one operand.
      fine &= solid ||
              (operand == source && core::shapeOf(user) == mov.getShape()) ||
              canTakeShape(user, mov);
    });
    if (!fine || (meets && (user->getBlock() != mov->getBlock() ||
                            !user->isBeforeInBlock(mov))))
      return {};
    if (meets)
      ordered.push_back(user);
  }
  llvm::sort(ordered,
             [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  if (ordered.empty() || !makeAll(ordered, mov) ||
      (!solid && ordered.size() > 1) ||
      isTouchedBetween(ordered.front(), mov, windowOf(mov.getDst(), mov)))
    return {};
  return ordered;
}

/// What `operand` is where the bytes of `from` are those of `to`.
static OperandAttr redirected(OperandAttr operand, OperandAttr from,
                              OperandAttr to, bool solid) {
  if (operand.getBuffer() != from.getBuffer() || operand.getImmediate())
    return operand;
  return OperandAttr::get(
      operand.getContext(), operand.getType(), to.getBuffer(),
      operand.getBase() - from.getBase() + to.getBase(),
      solid ? operand.getDense() : to.getDense(),
      solid ? operand.getStrides() : to.getStrides(), operand.getSteps(),
      operand.getIndexBuffer(), operand.getIndexAt(), operand.getIndexSteps(),
      operand.getIndexScale(), operand.getIndexCount(), operand.getImmediate(),
      operand.getBits());
}

void Moves::redirect(Operation *op, OperandAttr from, OperandAttr to,
                     const Window &moved, bool solid) {
  auto changed = [&](Attribute attribute) -> Attribute {
    auto operand = dyn_cast<OperandAttr>(attribute);
    return operand && !operand.getImmediate() &&
                   windowOf(operand, op).overlaps(moved)
               ? redirected(operand, from, to, solid)
               : attribute;
  };
  for (NamedAttribute named : llvm::to_vector(op->getAttrs())) {
    if (isa<OperandAttr>(named.getValue()))
      op->setAttr(named.getName(), changed(named.getValue()));
    else if (auto list = dyn_cast<ArrayAttr>(named.getValue()))
      op->setAttr(
          named.getName(),
          ArrayAttr::get(op->getContext(), llvm::map_to_vector(list, changed)));
  }
  users[to.getBuffer()].insert(op);
  bool reads = false;
  core::forEachOperand(op, [&](OperandAttr operand) {
    reads |= operand.getBuffer() == from.getBuffer();
  });
  if (!reads)
    users[from.getBuffer()].remove(op);
}

void Moves::coalesce() {
  SmallVector<core::VectorOp> movs;
  program.walk([&](core::VectorOp op) {
    if (op.getOp() == core::Opcode::mov)
      movs.push_back(op);
  });
  for (core::VectorOp mov : movs) {
    const SmallVector<Operation *> ordered = findUsers(mov);
    if (ordered.empty())
      continue;
    auto from = cast<OperandAttr>(mov.getSources()[0]);
    const OperandAttr to = mov.getDst();
    const Window moved = windowOf(from, mov);
    const bool solid = core::isSolid(to, mov.getShape());
    if (!solid && core::shapeOf(ordered.front()) != mov.getShape())
      takeShape(cast<core::VectorOp>(ordered.front()), mov.getShape());
    for (Operation *user : ordered)
      redirect(user, from, to, moved, solid);
    users[to.getBuffer()].remove(mov);
    users[from.getBuffer()].remove(mov);
    mov.erase();
    if (!users[from.getBuffer()].empty())
      continue; // other bytes of it
    users.erase(from.getBuffer());
    scratch.lookup(from.getBuffer()).erase();
    scratch.erase(from.getBuffer());
  }
}
