#include "Trips.h"
#include "llvm/ADT/SmallVector.h"
#include <algorithm>

using namespace llvm;

namespace waferloom::executor {

namespace {
struct Loop {
  uint32_t begin, end, count, iteration;
  bool isAccounted; // trips are its iterations, within those of `outer`
  uint32_t outer;
  uint32_t trip() const {
    return isAccounted ? outer * count + iteration : outer;
  }
};
} // namespace

std::vector<Trips::Change> Trips::follow(const RegionPrograms &region,
                                         const Program &program) const {
  std::vector<Change> changes;
  SmallVector<Loop, 8> loops;
  SmallVector<const AccountKey *, 8> accounts; // of the loops
  uint32_t counter = 0;
  uint64_t number = 0;
  auto note = [&] {
    uint32_t trip = loops.empty() ? 0 : loops.back().trip();
    if (!changes.empty() && changes.back().number == number)
      changes.back().trip = trip;
    else if (changes.empty() || changes.back().trip != trip)
      changes.push_back({number, trip});
  };
  note();
  while (true) {
    while (!loops.empty() && counter == loops.back().end) {
      if (++loops.back().iteration < loops.back().count) {
        counter = loops.back().begin;
      } else {
        loops.pop_back();
        accounts.pop_back();
      }
      note();
    }
    if (counter >= program.order.size())
      return changes;
    const Instruction &next = region.instructions[program.order[counter]];
    if (next.op == Opcode::loop) {
      uint32_t end = program.ends[counter++];
      if (next.count == 0 || end == counter) {
        counter = end;
        continue;
      }
      const AccountKey &key = prepared.accounts[next.account];
      const AccountKey *around = accounts.empty() ? nullptr : accounts.back();
      bool isAccounted = key.loop != (around ? around->loop : 0);
      bool isWithin = around && around->over != image::LoopOver::nothing;
      uint32_t outer = loops.empty() ? 0 : loops.back().trip();
      if (isAccounted && !isWithin)
        outer = 0;
      loops.push_back({counter, end, next.count, 0, isAccounted, outer});
      accounts.push_back(&key);
      note();
      continue;
    }
    ++counter;
    number += !image::isControl(next.op);
  }
}

uint32_t Trips::of(uint32_t region, uint32_t program, uint64_t number) {
  auto [it, fresh] = known.try_emplace({region, program});
  if (fresh)
    it->second = follow(prepared.regions[region],
                        prepared.regions[region].programs[program]);
  auto change = std::upper_bound(
      it->second.begin(), it->second.end(), number,
      [](uint64_t value, const Change &c) { return value < c.number; });
  return std::prev(change)->trip;
}

} // namespace waferloom::executor
