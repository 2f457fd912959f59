// Addresses for buffers. A buffer's life is the span of instructions that touch
// it. Programs loop, so spans are first widened: what lives across the start or
// the end of a loop lives through all of it, since the next iteration may still
// read what this one seems to be done with. Then the accountant places them.

#include "Emitter.h"

#include "waferloom/Target/Resources.h"

#include "llvm/ADT/STLExtras.h"

using namespace waferloom;
using namespace waferloom::codegen;

/// Widens lives over loops until nothing changes. Loops are few and nest, so a
/// pass per nesting depth is enough; the bound only guards against mistakes.
static void widenOverLoops(std::vector<Buffer> &buffers,
                           const std::vector<Draft> &drafts) {
  for (bool changed = true; changed;) {
    changed = false;
    for (auto [i, draft] : llvm::enumerate(drafts)) {
      if (draft.op != Opcode::loop)
        continue;
      auto begin = static_cast<int64_t>(i), end = begin + draft.body;
      for (Buffer &buffer : buffers) {
        bool inside = buffer.first <= end && buffer.last >= begin;
        if (!inside || (buffer.first > begin && buffer.last <= end))
          continue;
        int64_t first = std::min(buffer.first, begin);
        int64_t last = std::max(buffer.last, end);
        changed |= first != buffer.first || last != buffer.last;
        buffer.first = first;
        buffer.last = last;
      }
    }
  }
}

int64_t Emitter::allocate(int64_t base, const image::TargetT *target) {
  int64_t top = base;
  for (Buffer &buffer : buffers) {
    if (!buffer.pinned)
      continue;
    if (!buffer.address) {
      buffer.address = top;
    }
    top = std::max(top, *buffer.address + buffer.bytes);
  }
  const int64_t scratch = top;

  std::vector<Buffer> widened = buffers;
  widenOverLoops(widened, drafts);
  std::vector<int64_t> starts(buffers.size(), -1);
  if (target)
    starts = chooseStarts(buffers, drafts, *target);
  const int64_t period =
      target ? int64_t(target->banks) * target->bank_bytes : 1;
  std::vector<target::Life> lives;
  std::vector<size_t> ids;
  for (auto [i, buffer] : llvm::enumerate(widened))
    if (!buffer.pinned && buffer.first >= 0) {
      lives.push_back({buffer.bytes, buffer.first, buffer.last, 0, starts[i]});
      ids.push_back(i);
    }
  top = std::max(top, target::place(lives, scratch, period));
  for (auto [id, life] : llvm::zip_equal(ids, lives))
    buffers[id].address = life.address;
  for (Buffer &buffer : buffers)
    if (!buffer.address)
      buffer.address = scratch; // never touched
  return top;
}
