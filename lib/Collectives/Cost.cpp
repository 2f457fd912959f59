// What a collective costs, in closed form. The published forms
// (docs/collectives.md has them with their sources) leave out the issue of
// instructions and assume a root at the end of the line; `cycles` has both, for
// the machine that the executor simulates, and is what `auto` compares.

#include "Solvers.h"

#include <algorithm>
#include <cmath>

using namespace waferloom::collectives;

namespace {

/// Sums of the pieces below are in cycles, from the start to the last word that
/// is taken.
struct Model {
  uint64_t words;
  uint64_t stride;
  const Costs &costs;

  /// Streams of interleaved groups share the links.
  uint64_t stream() const { return words * stride; }
  /// From the put of a word to its take.
  uint64_t travel(uint64_t distance) const {
    return 2 * costs.ramp + distance * stride * costs.hop;
  }
  /// From the put of a word to the put of its sum at the next PE.
  uint64_t link(uint64_t distance) const { return travel(distance) + 1; }
};

/// When the root has what its two arms bring, each counted with the root; the
/// second arm enters behind the first.
template <typename ArmCycles>
uint64_t joinArms(const Model &model, const Request &request, unsigned length,
                  ArmCycles arm) {
  const unsigned low = request.root + 1, high = length - request.root;
  const uint64_t longer = arm(std::max(low, high));
  if (std::min(low, high) == 1)
    return longer;
  return std::max(longer, arm(std::min(low, high)) + model.costs.issue +
                              model.stream());
}

uint64_t chainArm(const Model &model, unsigned members) {
  return model.costs.issue + model.stream() + (members - 1) * model.link(1) - 1;
}

/// The last message comes from the PE at the largest power of two, which has
/// the rest behind it and may be done earlier than the root's own half.
uint64_t treeArm(const Model &model, unsigned members) {
  if (members < 2)
    return 0;
  unsigned half = 1;
  while (half * 2 < members)
    half *= 2;
  const uint64_t take = model.costs.issue + model.words;
  return std::max(treeArm(model, half) + take,
                  treeArm(model, members - half) + take + model.travel(half));
}

/// The root takes all vectors, whatever the arms.
uint64_t star(const Model &model, const Request &request, unsigned length) {
  const bool twoArms = std::min(request.root, length - 1 - request.root) > 0;
  return (twoArms ? 2 : 1) * model.costs.issue + (length - 1) * model.stream() +
         model.travel(1);
}

/// When the last word of the chain of leaders of an arm reaches the root. The
/// outermost leader passes on early; the others set up their second phase when
/// their group is done, and then pass on.
uint64_t leadersOf(const Model &model, unsigned members, unsigned group) {
  const unsigned groups = (members + group - 1) / group;
  const uint64_t inner = chainArm(model, group);
  if (groups < 2)
    return 0;
  if (groups == 2)
    return inner + model.link(group);
  return inner + model.costs.rewrite + model.costs.issue + model.words +
         (groups - 2) * model.link(group);
}

uint64_t twoPhase(const Model &model, const Request &request, unsigned length,
                  unsigned group) {
  const unsigned low = request.root + 1, high = length - request.root;
  const unsigned shorter = std::min(low, high), longer = std::max(low, high);
  if (group == 1 || group >= longer)
    return joinArms(model, request, length,
                    [&](unsigned members) { return chainArm(model, members); });
  const uint64_t take = model.costs.issue + model.words;
  uint64_t time = chainArm(model, group);
  if (shorter > 1)
    time += take;
  time += model.costs.rewrite;
  for (unsigned members : {shorter, longer})
    if (members > group)
      time = std::max(time + take, leadersOf(model, members, group));
  return time;
}

} // namespace

/// The number of PEs per group that costs least.
static unsigned bestGroup(const Model &model, const Request &request,
                          unsigned length) {
  unsigned best = 1;
  uint64_t least = UINT64_MAX;
  const unsigned arm = std::max(request.root + 1, length - request.root);
  for (unsigned group = 2; group < arm; ++group) {
    const uint64_t total = twoPhase(model, request, length, group);
    if (total < least)
      best = group, least = total;
  }
  return best;
}

unsigned waferloom::collectives::groupFor(const Line &line,
                                          const Request &request,
                                          const Costs &costs) {
  if (request.group)
    return request.group;
  return bestGroup({request.words, line.stride, costs}, request, line.length);
}

static uint64_t reduceCycles(const Line &line, const Request &request,
                             const Costs &costs) {
  const Model model{request.words, line.stride, costs};
  auto join = [&](auto arm) {
    return joinArms(model, request, line.length, arm);
  };
  switch (request.algorithm) {
  case Algorithm::TwoPhase:
    return twoPhase(model, request, line.length,
                    groupFor(line, request, costs));
  case Algorithm::Tree:
    return join([&](unsigned members) { return treeArm(model, members); });
  case Algorithm::Star:
    return star(model, request, line.length);
  default:
    return join([&](unsigned members) { return chainArm(model, members); });
  }
}

/// In each of 2 (P - 1) turns half of the PEs send while the others receive,
/// and then the other way. A ring of an odd length has two neighbours that
/// receive first, and loses one turn in P to them.
static uint64_t ringCycles(uint64_t length, uint64_t words,
                           const Costs &costs) {
  const uint64_t piece = (words + length - 1) / length;
  const uint64_t turn = 2 * (costs.rewrite + costs.issue + piece +
                             2 * costs.ramp + costs.hop + 1);
  return length % 2 ? 2 * length * turn : 2 * (length - 1) * turn;
}

uint64_t waferloom::collectives::cycles(const Line &line,
                                        const Request &request,
                                        const Costs &costs) {
  if (line.length < 2)
    return 0;
  if (request.algorithm == Algorithm::Ring)
    return ringCycles(line.length, request.words, costs);
  const Model model{request.words, line.stride, costs};
  const uint64_t farthest =
      std::max(request.root, line.length - 1 - request.root);
  const uint64_t broadcast = costs.issue + model.stream() + 2 * costs.ramp +
                             farthest * line.stride * costs.hop;
  switch (request.kind) {
  case Kind::Broadcast:
    return broadcast;
  case Kind::HandOver: {
    // Every stage but the last to the next, and the last one back over all.
    const uint64_t message = costs.issue + model.words + 2 * costs.ramp;
    const uint64_t hops = (2 * (line.length - 1) * line.stride) * costs.hop;
    return line.length * message + hops;
  }
  case Kind::Reduce:
    return reduceCycles(line, request, costs);
  case Kind::AllReduce:
    return reduceCycles(line, request, costs) + broadcast;
  }
  return 0;
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
  double reduce = 0;
  switch (algorithm) {
  case Algorithm::Star:
    reduce = b * (p - 1) + 2 * r + 1;
    break;
  case Algorithm::Tree: {
    const double depth = std::log2(p);
    reduce = std::max(b * depth, b * p / (2 * (p - 1)) * depth + p - 1) +
             (2 * r + 1) * depth;
    break;
  }
  case Algorithm::TwoPhase: {
    const double s = group ? group : std::sqrt(p);
    reduce = 2 * b + p - 1 + (2 * r + 1) * (s - 1 + p / s - 1);
    break;
  }
  case Algorithm::Ring:
    return 2 * (p - 1) * b / p + 4 * p - 6 + 2 * (p - 1) * (2 * r + 1);
  case Algorithm::Auto:
  case Algorithm::Chain:
    reduce = b + (2 * r + 2) * (p - 1);
    break;
  }
  return kind == Kind::Reduce ? reduce : reduce + broadcast;
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
  case Kind::HandOver: // there and back
    return 2 * (across + length - 1);
  case Kind::Reduce:
    return reduceBound(arm, words, ramp);
  case Kind::AllReduce:
    // Any PE may be the first to know; each end must hear of the other.
    return std::max(reduceBound(length / 2 + 1, words, ramp),
                    across + length - 1);
  }
  return 0;
}
