// Addresses for buffers. A buffer's life is the span of instructions that touch
// it. Programs loop, so spans are first widened: what lives across the start or
// the end of a loop lives through all of it, since the next iteration may still
// read what this one seems to be done with. Then, in order of birth, each
// buffer takes the lowest gap between the buffers that live at the same time.
// Graphs of a few hundred short-lived vectors leave little to gain over that.

#include "Emitter.h"

#include "llvm/ADT/STLExtras.h"

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

int64_t Emitter::allocate(int64_t base) {
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

  std::vector<Buffer> lives = buffers;
  widenOverLoops(lives, drafts);
  llvm::SmallVector<size_t> order;
  for (auto [i, buffer] : llvm::enumerate(lives))
    if (!buffer.pinned && buffer.first >= 0)
      order.push_back(i);
  llvm::sort(order, [&](size_t a, size_t b) {
    return std::pair(lives[a].first, a) < std::pair(lives[b].first, b);
  });

  llvm::SmallVector<size_t> placed; // by address
  for (size_t id : order) {
    Buffer &buffer = lives[id];
    int64_t at = scratch;
    for (size_t other : placed) {
      const Buffer &taken = lives[other];
      if (taken.last < buffer.first || taken.first > buffer.last)
        continue;
      if (*taken.address - at >= buffer.bytes)
        break;
      at = std::max(at, *taken.address + taken.bytes);
    }
    buffer.address = at;
    buffers[id].address = at;
    top = std::max(top, at + buffer.bytes);
    placed.insert(llvm::upper_bound(placed, at,
                                    [&](int64_t value, size_t other) {
                                      return value < *lives[other].address;
                                    }),
                  id);
    // What has ended before the next birth can never meet anyone again.
    llvm::erase_if(
        placed, [&](size_t other) { return lives[other].last < buffer.first; });
  }
  for (Buffer &buffer : buffers)
    if (!buffer.address)
      buffer.address = scratch; // never touched
  return top;
}
