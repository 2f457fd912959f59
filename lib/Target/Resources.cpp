// Addresses by lifetime: graphs of a few hundred short-lived vectors leave
// little to gain over the lowest gap in order of birth.

#include "waferloom/Target/Resources.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Sequence.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/MathExtras.h"

using namespace waferloom;
using namespace waferloom::target;

int64_t target::shardBytes(int64_t elements, int64_t elementBytes) {
  return static_cast<int64_t>(llvm::alignTo(elements * elementBytes, 4));
}

int64_t target::place(llvm::MutableArrayRef<Life> lives, int64_t base,
                      int64_t period) {
  llvm::SmallVector<size_t> order =
      llvm::to_vector(llvm::seq<size_t>(0, lives.size()));
  llvm::sort(order, [&](size_t a, size_t b) {
    return std::pair(lives[a].first, a) < std::pair(lives[b].first, b);
  });
  int64_t top = base;
  llvm::SmallVector<size_t> placed; // by address
  for (size_t id : order) {
    Life &life = lives[id];
    // The lowest address from `at` on that begins as the life asks for.
    auto next = [&](int64_t at) {
      if (life.start < 0)
        return at;
      return at + ((life.start - at) % period + period) % period;
    };
    int64_t at = next(base);
    for (size_t other : placed) {
      const Life &taken = lives[other];
      if (taken.last < life.first || taken.first > life.last)
        continue;
      if (taken.address - at >= life.bytes)
        break;
      at = std::max(at, next(taken.address + taken.bytes));
    }
    life.address = at;
    top = std::max(top, at + life.bytes);
    placed.insert(llvm::upper_bound(placed, at,
                                    [&](int64_t value, size_t other) {
                                      return value < lives[other].address;
                                    }),
                  id);
    // What has ended before the next birth can never meet anyone again.
    llvm::erase_if(
        placed, [&](size_t other) { return lives[other].last < life.first; });
  }
  return top;
}

int64_t target::mostHops(int64_t colors) {
  return std::max<int64_t>((colors / 2 - 1) / 2, 1);
}
