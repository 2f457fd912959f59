// What a collective costs, in closed form. The published forms
// (docs/collectives.md has them with their sources) leave out the issue of
// instructions and assume a root at the end of the line; `cycles` has both, for
// the machine that the executor simulates, and is what `auto` compares.

#include "Algorithms.h"

#include <algorithm>
#include <cmath>

using namespace waferloom::collectives;

uint64_t waferloom::collectives::cycles(const Line &line,
                                        const Request &request,
                                        const Costs &costs) {
  if (line.length < 2)
    return 0;
  const CostModel model(line, request, costs);
  const uint64_t farthest =
      std::max(request.root, line.length - 1 - request.root);
  const uint64_t broadcast =
      costs.issue + model.stream() + model.travel(farthest);
  switch (request.kind) {
  case Kind::Broadcast:
    return broadcast;
  case Kind::Reduce:
    return rulesOf(request.algorithm).cycles(line, request, costs);
  case Kind::AllReduce: {
    const Rules &rules = rulesOf(request.algorithm);
    return rules.cycles(line, request, costs) +
           (rules.wholeAllReduce ? 0 : broadcast);
  }
  }
  return 0;
}

uint64_t waferloom::collectives::hardBoundCycles(const Line &line,
                                                 const Request &request,
                                                 const Costs &costs) {
  if (line.length < 2)
    return 0;
  // Of an all-reduce each end must hear of the other.
  const unsigned farthest =
      request.kind == Kind::AllReduce
          ? line.length - 1
          : std::max(request.root, line.length - 1 - request.root);
  return costs.getPassing(request.words) +
         costs.getTravel(uint64_t(farthest) * line.stride);
}

double waferloom::collectives::publishedCycles(Kind kind, Algorithm algorithm,
                                               unsigned length, uint64_t words,
                                               unsigned group, unsigned ramp) {
  const double p = length, b = double(words), r = ramp;
  if (length < 2)
    return 0;
  const double broadcast = b + p + 2 * r;
  if (kind == Kind::Broadcast)
    return broadcast;
  const Rules &rules =
      rulesOf(algorithm == Algorithm::Auto ? Algorithm::Chain : algorithm);
  if (!rules.published)
    return 0;
  const double reduce = rules.published(p, b, r, group);
  return kind == Kind::Reduce || rules.wholeAllReduce ? reduce
                                                      : reduce + broadcast;
}

/// min over depths D of B E(P, D) / (P - 1) + P - 1 + D (2 ramp + 1), where
/// E(P, D) are the fewest word-hops of a reduction of P PEs whose messages
/// depend on each other at most D deep: the last message into the root comes
/// from the first PE of the rest, j away.
static double reduceBound(unsigned length, uint64_t words, unsigned ramp) {
  if (length < 2)
    return 0;
  constexpr uint64_t never = UINT64_MAX / 4;
  std::vector<uint64_t> shallower(length + 1, never), energy(length + 1, never);
  shallower[1] = 0;
  double best = HUGE_VAL;
  for (unsigned depth = 1; depth < length; ++depth) {
    const double fixed = length - 1.0 + depth * (2.0 * ramp + 1);
    if (fixed + double(words) >= best)
      break;
    energy[1] = 0;
    for (unsigned p = 2; p <= length; ++p) {
      energy[p] = never;
      for (unsigned j = 1; j < p; ++j)
        energy[p] = std::min(energy[p], energy[j] + shallower[p - j] + j);
    }
    best = std::min(
        best, double(words) * double(energy[length]) / (length - 1.0) + fixed);
    std::swap(shallower, energy);
  }
  return best;
}

double waferloom::collectives::lowerBoundCycles(Kind kind, unsigned length,
                                                unsigned root, uint64_t words,
                                                unsigned ramp) {
  if (length < 2)
    return 0;
  const unsigned arm = std::max(root + 1, length - root);
  const double across = double(words) + 2.0 * ramp - 1;
  switch (kind) {
  case Kind::Broadcast:
    return across + arm - 1;
  case Kind::Reduce:
    return reduceBound(arm, words, ramp);
  case Kind::AllReduce:
    // Any PE may be the first to know; each end must hear of the other.
    return std::max(reduceBound(length / 2 + 1, words, ramp),
                    across + length - 1);
  }
  return 0;
}
