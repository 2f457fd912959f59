// Results go to where they are moved. Code generation gives every tensor a
// buffer, so concatenations, functions of one more step, and what a loop
// carries end in a mov of a buffer that nobody reads afterwards. Whoever wrote
// that buffer can write the other one, if nobody else touches that one
// meanwhile.

#include "InstructionCost.h"
#include "waferloom/Codegen/Passes.h"
#include "waferloom/Dialect/Core/Accesses.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SetVector.h"

namespace waferloom::codegen {
#define GEN_PASS_DEF_CORECOALESCE
#include "waferloom/Codegen/Passes.h.inc"
} // namespace waferloom::codegen

using namespace mlir;
using namespace waferloom;
using core::OperandAttr;
using core::Window;

namespace {
/// The moves of one program.
class Moves {
public:
  explicit Moves(core::ProgramOp program);

  void coalesce();

private:
  /// Who first wrote what `mov` moves; null if something is in the way.
  core::VectorOp findWriter(core::VectorOp mov);
  bool isTouchedBetween(Operation *first, Operation *last,
                        const Window &window);
  /// `solid`: `to` has no gaps.
  void redirect(Operation *op, OperandAttr from, OperandAttr to, bool solid);

  core::ProgramOp program;
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

Moves::Moves(core::ProgramOp program) : program(program) {
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

/// Whether a loop or an index moves it.
static bool moves(OperandAttr operand) {
  return !operand.getSteps().empty() || operand.getIndexScale() != 0;
}

/// Whether every byte between its first and its last element is one of it.
static bool isSolid(OperandAttr operand, ArrayRef<int64_t> shape) {
  if (operand.getDense())
    return true;
  int64_t elements = 1;
  for (auto [extent, stride] :
       llvm::reverse(llvm::zip_equal(shape, operand.getStrides()))) {
    if (extent > 1 && stride != elements)
      return false;
    elements *= extent;
  }
  return true;
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
    core::Trips trips;
    for (auto loop = user->getParentOfType<core::LoopOp>(); loop;
         loop = loop->getParentOfType<core::LoopOp>())
      trips.insert(trips.begin(), static_cast<int64_t>(loop.getCount()));
    bool found = false;
    core::forEachAccess(user, trips, [&](const core::Access &access) {
      found |= access.window.overlaps(window);
    });
    if (found)
      return true;
  }
  return false;
}

core::VectorOp Moves::findWriter(core::VectorOp mov) {
  auto source = cast<OperandAttr>(mov.getSources()[0]);
  OperandAttr dst = mov.getDst();
  if (mov.getOp() != core::Opcode::mov || mov.getPredicateAttr() ||
      mov->getAttr("thread") || source.getImmediate() || moves(source) ||
      moves(dst) || source.getType() != dst.getType() || !dst.getBuffer() ||
      dst.getBuffer() == source.getBuffer() ||
      !isSolid(source, mov.getShape()) || !scratch.contains(source.getBuffer()))
    return {};
  const Window moved = windowOf(source, mov);
  const bool solid = isSolid(dst, mov.getShape());
  core::VectorOp writer;
  for (Operation *user : users[source.getBuffer()]) {
    auto vector = dyn_cast<core::VectorOp>(user);
    if (!vector || vector->getBlock() != mov->getBlock() ||
        vector.getColumnsAttr() != mov.getColumnsAttr() ||
        vector.getRowsAttr() != mov.getRowsAttr() || vector->getAttr("thread"))
      return {};
    if (vector == mov)
      continue;
    if (!vector->isBeforeInBlock(mov))
      return {};
    if (!writer || vector->isBeforeInBlock(writer))
      writer = vector;
    bool fine = true;
    core::forEachOperand(vector, [&](OperandAttr operand) {
      fine &= operand.getIndexBuffer() != source.getBuffer();
      if (operand.getBuffer() != source.getBuffer())
        return;
      fine &= !moves(operand) && moved.contains(windowOf(operand, vector));
      // Strides of the other buffer are only those of this one operand.
      fine &=
          solid || (operand == source && vector.getShape() == mov.getShape());
    });
    if (!fine)
      return {};
  }
  // The first one makes all of it, out of something else.
  if (!writer || writer.getPredicateAttr() ||
      writer.getDst().getBuffer() != source.getBuffer() ||
      !windowOf(writer.getDst(), writer).contains(moved) ||
      !isSolid(writer.getDst(), writer.getShape()))
    return {};
  if (!solid && users[source.getBuffer()].size() > 2)
    return {};
  bool reads = false;
  for (auto operand : writer.getSources().getAsRange<OperandAttr>())
    reads |= operand.getBuffer() == source.getBuffer();
  if (reads || isTouchedBetween(writer, mov, windowOf(dst, mov)))
    return {};
  return writer;
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
                     bool solid) {
  auto vector = cast<core::VectorOp>(op);
  auto changed = [&](OperandAttr operand) {
    return redirected(operand, from, to, solid);
  };
  vector.setDstAttr(changed(vector.getDst()));
  SmallVector<Attribute, 3> sources;
  for (auto source : vector.getSources().getAsRange<OperandAttr>())
    sources.push_back(changed(source));
  vector.setSourcesAttr(ArrayAttr::get(op->getContext(), sources));
  if (OperandAttr predicate = vector.getPredicateAttr())
    vector.setPredicateAttr(changed(predicate));
  users[to.getBuffer()].insert(op);
}

void Moves::coalesce() {
  SmallVector<core::VectorOp> movs;
  program.walk([&](core::VectorOp op) {
    if (op.getOp() == core::Opcode::mov)
      movs.push_back(op);
  });
  for (core::VectorOp mov : movs) {
    if (!findWriter(mov))
      continue;
    auto from = cast<OperandAttr>(mov.getSources()[0]);
    const OperandAttr to = mov.getDst();
    const bool solid = isSolid(to, mov.getShape());
    users[to.getBuffer()].remove(mov);
    for (Operation *user : users[from.getBuffer()])
      if (user != mov)
        redirect(user, from, to, solid);
    users.erase(from.getBuffer());
    scratch.lookup(from.getBuffer()).erase();
    scratch.erase(from.getBuffer());
    mov.erase();
  }
}
