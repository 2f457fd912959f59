// Which PEs may exchange words in an exchange of the schedule: components of
// the graph of their streams.

#ifndef WAFERLOOM_LIB_EXECUTOR_COMPONENTS_H
#define WAFERLOOM_LIB_EXECUTOR_COMPONENTS_H

#include "Streams.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/BitVector.h"

namespace waferloom::executor {

/// PEs whose sequences may move words to each other, ascending, and the routers
/// with turns between them, by PE and color.
struct Component {
  llvm::ArrayRef<uint32_t> pes, gates;
};

/// Joins PEs into components.
class Joiner {
public:
  explicit Joiner(const Streams &streams) : streams(streams) {}

  /// Forgets all. `kindOf`: by PE; `taken`: by kind, the colors of which its
  /// sequence takes words.
  void begin(llvm::ArrayRef<uint32_t> kindOf,
             llvm::ArrayRef<llvm::BitVector> taken) {
    kinds = kindOf;
    takenBy = taken;
    parent.assign(streams.places.size(), none);
    joins.assign(streams.places.size(), false);
    reached.assign(streams.gates.size(), none);
  }
  /// A PE that takes part.
  void add(uint32_t pe) { parent[pe] = pe; }
  /// With all that words of a producer come to and that take such words now.
  /// Where one does not, none of them is sent.
  void join(uint32_t pe, uint32_t producer);
  /// In the order of their first PEs; valid until the next begin. None has a PE
  /// alone that joined nobody.
  std::vector<Component> components();
  /// Whether a PE that takes part is alone. After `components`.
  bool isAlone(uint32_t pe) const { return numbers[pe] == none; }

private:
  uint32_t root(uint32_t pe) {
    while (parent[pe] != pe)
      pe = parent[pe] = parent[parent[pe]];
    return pe;
  }
  /// The smallest is the root, so that lists come out in order.
  void unite(uint32_t one, uint32_t other) {
    uint32_t a = root(one), b = root(other);
    parent[std::max(a, b)] = std::min(a, b);
  }

  const Streams &streams;
  llvm::ArrayRef<uint32_t> kinds;
  llvm::ArrayRef<llvm::BitVector> takenBy;
  std::vector<uint32_t> parent;
  std::vector<bool> joins;       // by PE
  std::vector<uint32_t> reached; // by gate: a PE whose words come to it
  std::vector<uint32_t> todo;
  std::vector<uint32_t> numbers; // by PE: of its component; none: alone
  std::vector<uint32_t> sizes;   // by first PE
  std::vector<uint32_t> pes, gates;
};

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_COMPONENTS_H
