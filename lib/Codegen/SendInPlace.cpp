// A root that gives its neighbor parts of several sums gathers them in a buffer
// first, as every message of several values is. But a stream is one word behind
// another, whoever puts them: several instructions can send the parts from
// where they are, and a take of all of them ends with the last. A `mov` of n
// words is then a `send` without the `mov`.

#include "waferloom/Codegen/Passes.h"
#include "waferloom/Dialect/Core/Accesses.h"

#include "llvm/ADT/STLExtras.h"

namespace waferloom::codegen {
#define GEN_PASS_DEF_CORESENDINPLACE
#include "waferloom/Codegen/Passes.h.inc"
} // namespace waferloom::codegen

using namespace mlir;
using namespace waferloom;
using core::OperandAttr;
using core::PeSet;
using core::Window;

namespace {
/// A message, and what gathers it.
class Message {
public:
  Message(core::SendOp send, const core::PeSets &sets)
      : send(send), sets(sets), pes(sets.of(send)),
        window(core::windowOf(send.getA(), send.getShape(), {})) {}

  /// Whether movs alone gather it, each of a part, and what they read stays
  /// until it is sent.
  bool match();
  void rewrite();

private:
  bool isPart(core::VectorOp mov) const;
  bool staysUntilSent(core::VectorOp mov) const;

  core::SendOp send;
  const core::PeSets &sets;
  PeSet pes;
  Window window;
  SmallVector<core::VectorOp> parts; // by their words
};

struct CoreSendInPlace : codegen::impl::CoreSendInPlaceBase<CoreSendInPlace> {
  void runOnOperation() override {
    getOperation().walk([](core::ProgramOp program) {
      const core::PeSets sets(program->getParentOfType<core::RegionOp>());
      SmallVector<core::SendOp> sends;
      program.walk([&](core::SendOp send) { sends.push_back(send); });
      for (core::SendOp send : sends)
        if (Message message(send, sets); message.match())
          message.rewrite();
    });
  }
};
} // namespace

/// Whether each element is a word. Halves travel in pairs.
static bool hasWords(OperandAttr operand) { return !operand.getType().isF16(); }

bool Message::isPart(core::VectorOp mov) const {
  auto source = cast<OperandAttr>(mov.getSources()[0]);
  OperandAttr dst = mov.getDst();
  return mov.getOp() == core::Opcode::mov && !mov.getPredicateAttr() &&
         !mov->getAttr("thread") && !mov->getAttr("live") &&
         mov->getBlock() == send->getBlock() && mov->isBeforeInBlock(send) &&
         sets.of(mov) == pes && !source.getImmediate() &&
         !core::moves(source) && !core::moves(dst) &&
         source.getType() == dst.getType() && hasWords(dst) &&
         source.getBuffer() != window.buffer &&
         core::isSolid(dst, mov.getShape()) &&
         window.contains(core::windowOf(dst, mov.getShape(), {}));
}

bool Message::staysUntilSent(core::VectorOp mov) const {
  auto source = cast<OperandAttr>(mov.getSources()[0]);
  const Window read = core::windowOf(source, mov.getShape(), {});
  core::Trips trips = core::tripsAround(mov);
  bool stays = true;
  for (Operation *op = mov->getNextNode(); op != send; op = op->getNextNode())
    core::forEachAccess(op, trips, [&](const core::Access &access) {
      stays &= !access.writes || !access.window.overlaps(read);
    });
  return stays;
}

bool Message::match() {
  if (send->getAttr("thread") || send->getAttr("live") ||
      send->getAttr("predicate") || core::moves(send.getA()) ||
      !hasWords(send.getA()) || !core::isSolid(send.getA(), send.getShape()))
    return false;
  auto program = send->getParentOfType<core::ProgramOp>();
  bool isFine = true;
  program.walk([&](Operation *op) {
    bool reads = false;
    core::forEachOperand(op, [&](OperandAttr operand) {
      reads |= operand.getBuffer() == window.buffer ||
               operand.getIndexBuffer() == window.buffer;
    });
    if (auto bind = dyn_cast<core::BindOp>(op))
      isFine &= bind.getBufferAttr() != window.buffer; // the host's
    if (auto buffer = dyn_cast<core::BufferOp>(op))
      isFine &=
          FlatSymbolRefAttr::get(buffer.getSymNameAttr()) != window.buffer ||
          buffer.getUse() == core::Use::scratch;
    if (!reads || op == send)
      return;
    auto mov = dyn_cast<core::VectorOp>(op);
    if (mov && isPart(mov))
      parts.push_back(mov);
    else
      isFine &= !sets.of(op).meets(pes);
  });
  llvm::sort(parts, [](core::VectorOp a, core::VectorOp b) {
    return a.getDst().getBase() < b.getDst().getBase();
  });
  int64_t next = window.low;
  for (core::VectorOp mov : parts) {
    const Window part = core::windowOf(mov.getDst(), mov.getShape(), {});
    isFine &= part.low == next && staysUntilSent(mov);
    next = part.high;
  }
  return isFine && !parts.empty() && next == window.high;
}

void Message::rewrite() {
  OpBuilder builder(send);
  for (core::VectorOp mov : parts) {
    auto part = cast<core::SendOp>(builder.clone(*send));
    part.setShape(mov.getShape());
    part.setAAttr(cast<OperandAttr>(mov.getSources()[0]));
    mov.erase();
  }
  send.erase();
}
