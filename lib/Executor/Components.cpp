#include "Components.h"
#include "llvm/ADT/STLExtras.h"
#include <tuple>

using namespace llvm;

namespace waferloom::executor {

void Joiner::join(uint32_t pe, uint32_t producer) {
  joins[pe] = true;
  todo.assign(1, producer);
  while (!todo.empty()) {
    Range range = streams.producers[todo.back()].consumers;
    todo.pop_back();
    for (uint32_t c = range.first; c < range.first + range.count; ++c) {
      const Consumer &consumer = streams.consumers[c];
      if (consumer.gate == none) {
        if (takenBy[kinds[consumer.pe]].test(consumer.color))
          unite(pe, consumer.pe);
      } else if (reached[consumer.gate] == none) {
        reached[consumer.gate] = pe;
        todo.push_back(streams.gates[consumer.gate].producer);
      } else {
        unite(pe, reached[consumer.gate]);
      }
    }
  }
}

std::vector<Component> Joiner::components() {
  sizes.assign(parent.size(), 0);
  for (uint32_t pe = 0; pe < parent.size(); ++pe)
    if (parent[pe] != none)
      ++sizes[root(pe)];
  // All PEs of a component lie behind each other.
  numbers.assign(parent.size(), none);
  std::vector<uint32_t> ends;
  uint32_t all = 0;
  for (uint32_t pe = 0; pe < parent.size(); ++pe) {
    if (parent[pe] == none)
      continue;
    if (parent[pe] != pe) {
      numbers[pe] = numbers[root(pe)];
    } else if (sizes[pe] > 1 || joins[pe]) {
      numbers[pe] = static_cast<uint32_t>(ends.size());
      ends.push_back(all);
      all += sizes[pe];
    }
  }
  pes.resize(all);
  std::vector<Component> list;
  for (size_t k = 0; k < ends.size(); ++k)
    list.push_back(
        {ArrayRef(pes.data() + ends[k],
                  (k + 1 < ends.size() ? ends[k + 1] : all) - ends[k]),
         {}});
  for (uint32_t pe = 0; pe < parent.size(); ++pe)
    if (numbers[pe] != none)
      pes[ends[numbers[pe]]++] = pe;
  std::vector<std::tuple<uint32_t, uint32_t, uint8_t, uint32_t>> found;
  for (uint32_t gate = 0; gate < reached.size(); ++gate)
    if (reached[gate] != none) {
      const Producer &at = streams.producers[streams.gates[gate].producer];
      found.emplace_back(numbers[reached[gate]], at.pe, at.color, gate);
    }
  llvm::sort(found);
  gates.resize(found.size());
  for (size_t i = 0; i < found.size(); ++i) {
    gates[i] = std::get<3>(found[i]);
    ArrayRef<uint32_t> &of = list[std::get<0>(found[i])].gates;
    of = ArrayRef(of.empty() ? &gates[i] : of.data(), of.size() + 1);
  }
  return list;
}

} // namespace waferloom::executor
