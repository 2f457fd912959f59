// Pairs, pairs of pairs, and so on: in round r the PEs at odd multiples of 2^r
// send all their words 2^r PEs toward the root, which folds. log2 P rounds
// instead of P - 1 links, but every round takes B cycles: for few words.
//
// One color per round. The high arm's tree ends in the root; the low arm's ends
// in the PE before the root, which sends the sum on a color of its own, so that
// both arms use the same colors for their rounds.
//
// A PE routes round r by the number of zeros that end its distance from the
// tree's end: fewer than r, words pass; r, it sends; more, it receives. Some of
// those routes never see a word. They are there so that PEs with the same
// number are of the same class, else there were as many classes as PEs.

#include "Algorithms.h"

#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <cmath>

using namespace waferloom::collectives;

static unsigned rounds(unsigned members) {
  return members < 2 ? 0 : llvm::Log2_32_Ceil(members);
}

static unsigned treeColors(unsigned length, unsigned root) {
  return std::max(rounds(length - root), rounds(root)) + (root > 0 ? 1 : 0);
}

/// A tree over `members` PEs from `end` on in the direction of `outward`.
static void reduceArm(Segment &segment, unsigned end, Port outward,
                      unsigned members, unsigned base) {
  const Port inward = outward == High ? Low : High;
  for (unsigned member = 0; member < members; ++member) {
    const size_t pe = outward == High ? end + member : end - member;
    const unsigned zeros = member ? llvm::countr_zero(member) : rounds(members);
    for (unsigned round = 0; round < rounds(members); ++round) {
      const unsigned color = base + round;
      if (round < zeros) {
        if (uint64_t(member) + (1u << round) >= members)
          continue;
        segment.route(pe, color, outward, Ramp);
        segment.transfer(pe, Transfer::Kind::ReceiveFold, color);
      } else if (round == zeros) {
        segment.route(pe, color, Ramp, inward);
        segment.transfer(pe, Transfer::Kind::Send, 0, color);
      } else {
        segment.route(pe, color, outward, inward);
      }
    }
  }
}

static void reduceByTree(Segment &segment, const Request &, const Costs &) {
  const unsigned length = segment.length, root = segment.root;
  if (length == 1)
    return;
  const unsigned base = segment.newColors(treeColors(length, root));
  reduceArm(segment, root, High, length - root, base);
  if (root == 0)
    return;
  reduceArm(segment, root - 1, Low, root, base);
  const unsigned last = segment.colors - 1;
  segment.stream(root - 1, root, last);
  segment.transfer(root - 1, Transfer::Kind::Send, 0, last);
  segment.transfer(root, Transfer::Kind::ReceiveFold, last);
}

/// The last message comes from the PE at the largest power of two, which has
/// the rest behind it and may be done earlier than the root's own half.
static uint64_t treeArm(const CostModel &model, unsigned members) {
  if (members < 2)
    return 0;
  unsigned half = 1;
  while (half * 2 < members)
    half *= 2;
  const uint64_t take = model.costs.issue + model.words;
  return std::max(treeArm(model, half) + take,
                  treeArm(model, members - half) + take + model.travel(half));
}

static uint64_t cyclesOfTree(const Line &line, const Request &request,
                             const Costs &costs) {
  const CostModel model(line, request, costs);
  return joinArms(model, line, request,
                  [&](unsigned members) { return treeArm(model, members); });
}

static double publishedTree(double p, double words, double ramp, unsigned) {
  const double depth = std::log2(p);
  return std::max(words * depth, words * p / (2 * (p - 1)) * depth + p - 1) +
         (2 * ramp + 1) * depth;
}

const Rules waferloom::collectives::treeRules = {
    .name = "tree",
    .neighboursOnly = true,
    .colors = [](const Line &line, const Request &r,
                 const Costs &) { return treeColors(line.length, r.root); },
    .solve = reduceByTree,
    .cycles = cyclesOfTree,
    .published = publishedTree,
};
