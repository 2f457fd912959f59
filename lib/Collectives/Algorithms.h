//===- Algorithms.h - What an algorithm of reduction is ---------*- C++ -*-===//
//
// One file per algorithm: its routes and transfers, its colors, its cycles. The
// table in Algorithms.cpp is the only list of them; everyone else goes through
// it (docs/add-a-collective.md).
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_COLLECTIVES_ALGORITHMS_H
#define WAFERLOOM_LIB_COLLECTIVES_ALGORITHMS_H

#include "Solvers.h"

#include <algorithm>
#include <climits>

namespace waferloom::collectives {

/// Sums of the parts below are in cycles, from the start to the last word that
/// is taken.
struct CostModel {
  CostModel(const Line &line, const Request &request, const Costs &costs)
      : words(costs.getPassing(request.words)), stride(line.stride),
        costs(costs) {}

  uint64_t words; ///< cycles that those of a message take to pass
  uint64_t stride;
  const Costs &costs;

  /// Streams of interleaved groups share the links.
  uint64_t stream() const { return words * stride; }
  /// From the put of a word to its take.
  uint64_t travel(uint64_t distance) const {
    return costs.getTravel(distance * stride);
  }
  /// From the put of a word to the put of its sum at the next PE.
  uint64_t link(uint64_t distance) const {
    return costs.getLink(distance * stride);
  }
};

/// When the root has what its two arms bring, each counted with the root; the
/// second arm enters behind the first.
template <typename ArmCycles>
uint64_t joinArms(const CostModel &model, const Line &line,
                  const Request &request, ArmCycles arm) {
  const unsigned low = request.root + 1, high = line.length - request.root;
  const uint64_t longer = arm(std::max(low, high));
  if (std::min(low, high) == 1)
    return longer;
  return std::max(longer, arm(std::min(low, high)) + model.costs.issue +
                              model.stream());
}

/// A chain over `members` PEs, the root included.
uint64_t chainArm(const CostModel &model, unsigned members);

/// What an algorithm brings. The functions see lines and requests that `check`
/// accepted.
struct Rules {
  /// What a user types.
  llvm::StringLiteral name;
  /// PEs must be neighbours: no groups that interleave.
  bool neighboursOnly = false;
  /// What the `group` of a request is: PEs per group, or the number of words
  /// that the shape is for.
  enum class Group { None, Pes, Words };
  Group group = Group::None;
  /// Levels that a request may ask for; 0: it has none.
  unsigned mostLevels = 0;
  /// Routes count words: colors are shared among equal numbers of words only.
  bool countsWords = false;
  /// It does an all-reduce as a whole, without a multicast, and nothing else.
  bool wholeAllReduce = false;
  /// `auto` takes it for lines of at most so many PEs.
  unsigned longest = UINT_MAX;
  /// Colors, without those of a multicast.
  unsigned (*colors)(const Line &, const Request &, const Costs &) = nullptr;
  /// Leaves the result in the buffer of the root. The request has its group
  /// and levels.
  void (*solve)(Segment &, const Request &, const Costs &) = nullptr;
  /// Gives a request that leaves group or levels open those that cost least;
  /// null without either.
  void (*fillIn)(const Line &, Request &, const Costs &) = nullptr;
  /// Cycles until the root has the result.
  uint64_t (*cycles)(const Line &, const Request &, const Costs &) = nullptr;
  /// The published form, for `p` PEs and a root at the line's end. Of an
  /// all-reduce where the algorithm does one as a whole. Null: nobody published
  /// one.
  double (*published)(double p, double words, double ramp,
                      unsigned group) = nullptr;
};

extern const Rules chainRules, treeRules, twoPhaseRules, starRules, ringRules,
    grownRules;

/// Of any algorithm but Auto.
const Rules &rulesOf(Algorithm algorithm);

} // namespace waferloom::collectives

#endif // WAFERLOOM_LIB_COLLECTIVES_ALGORITHMS_H
