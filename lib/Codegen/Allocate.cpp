// Addresses for scratch. A buffer's life is the span of instructions that touch
// it. Programs loop, so spans are first widened: what lives across the start or
// the end of a loop lives through all of it, since the next iteration may still
// read what this one seems to be done with. Then the accountant places them.

#include "Machine.h"
#include "waferloom/Codegen/Passes.h"
#include "waferloom/Machine/MachineModel.h"
#include "waferloom/Target/Resources.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"

namespace waferloom::codegen {
#define GEN_PASS_DEF_COREALLOCATE
#include "waferloom/Codegen/Passes.h.inc"
} // namespace waferloom::codegen

using namespace mlir;
using namespace waferloom;

namespace {
/// From the first to the last instruction that touches something.
struct Span {
  int64_t first = -1, last = -1;
};

/// When each scratch buffer of a program lives.
struct Lives {
  explicit Lives(core::ProgramOp program);

  llvm::MapVector<StringAttr, std::pair<core::BufferOp, Span>> buffers;

private:
  void read(Block &block, int64_t &at);
  void touch(FlatSymbolRefAttr name, int64_t at);
  void widenOverLoops();

  SmallVector<Span> loops;
};

struct CoreAllocate : codegen::impl::CoreAllocateBase<CoreAllocate> {
  using CoreAllocateBase::CoreAllocateBase;
  explicit CoreAllocate(const image::TargetT &machine) : given(machine) {}

  void runOnOperation() override {
    FailureOr<image::TargetT> machine =
        codegen::machineOf(getOperation(), given, target);
    if (failed(machine))
      return signalPassFailure();
    const int64_t period =
        std::max<int64_t>(machine::MachineModel(*machine).getBankPeriod(), 1);
    for (auto region : getOperation().getBody().getOps<core::RegionOp>()) {
      auto memory = static_cast<int64_t>(region.getMemory().value_or(0));
      for (auto program : region.getBody().getOps<core::ProgramOp>())
        memory = std::max(memory, allocate(program, period));
      region.setMemory(static_cast<uint64_t>(memory));
    }
  }

  /// Returns where the last buffer ends.
  int64_t allocate(core::ProgramOp program, int64_t period);

  std::optional<image::TargetT> given;
};
} // namespace

Lives::Lives(core::ProgramOp program) {
  for (auto buffer : program.getBody().getOps<core::BufferOp>())
    if (!buffer.getAddress() && buffer.getUse() == core::Use::scratch)
      buffers[buffer.getSymNameAttr()] = {buffer, {}};
  int64_t at = 0;
  read(program.getBody().front(), at);
  widenOverLoops();
}

void Lives::touch(FlatSymbolRefAttr name, int64_t at) {
  if (!name)
    return;
  auto *it = buffers.find(name.getAttr());
  if (it == buffers.end())
    return;
  Span &span = it->second.second;
  if (span.first < 0)
    span.first = at;
  span.last = at;
}

/// Numbers the instructions of `block` from `at` on: a loop, then its body.
void Lives::read(Block &block, int64_t &at) {
  for (Operation &op : block) {
    if (isa<core::BufferOp, core::BindOp, core::RouteOp>(op))
      continue;
    const int64_t mine = at++;
    if (auto loop = dyn_cast<core::LoopOp>(op)) {
      const size_t index = loops.size();
      loops.push_back({mine, mine});
      read(loop.getBody().front(), at);
      loops[index].last = at - 1;
      continue;
    }
    core::forEachOperand(&op, [&](core::OperandAttr operand) {
      touch(operand.getBuffer(), mine);
      touch(operand.getIndexBuffer(), mine);
    });
  }
}

/// Widens lives over loops until nothing changes. Loops are few and nest, so a
/// pass per nesting depth is enough; the bound only guards against mistakes.
void Lives::widenOverLoops() {
  for (bool changed = true; changed;) {
    changed = false;
    for (Span loop : loops)
      for (auto &[name, buffer] : buffers) {
        Span &span = buffer.second;
        bool inside = span.first <= loop.last && span.last >= loop.first;
        if (!inside || (span.first > loop.first && span.last <= loop.last))
          continue;
        int64_t first = std::min(span.first, loop.first);
        int64_t last = std::max(span.last, loop.last);
        changed |= first != span.first || last != span.last;
        span = {first, last};
      }
  }
}

int64_t CoreAllocate::allocate(core::ProgramOp program, int64_t period) {
  const int64_t base = codegen::endOfShared(program);
  Lives lives(program);
  std::vector<target::Life> toPlace;
  SmallVector<core::BufferOp> buffers;
  for (auto &[name, found] : lives.buffers) {
    auto [buffer, span] = found;
    if (span.first < 0) {
      buffer.setAddress(static_cast<uint64_t>(base)); // never touched
      continue;
    }
    int64_t start =
        buffer.getStart() ? static_cast<int64_t>(*buffer.getStart()) : -1;
    toPlace.push_back({static_cast<int64_t>(buffer.getBytes()), span.first,
                       span.last, 0, start});
    buffers.push_back(buffer);
  }
  const int64_t top = std::max(base, target::place(toPlace, base, period));
  for (auto [buffer, life] : llvm::zip_equal(buffers, toPlace))
    buffer.setAddress(static_cast<uint64_t>(life.address));
  return top;
}

std::unique_ptr<Pass>
codegen::createAllocateFor(const image::TargetT &machine) {
  return std::make_unique<CoreAllocate>(machine);
}
