// Everybody sends to the root, which folds one vector after the other: B (P -
// 1) cycles, but only one message deep, so it wins for one word and few PEs.
//
// All PEs of an arm share one color. The routers put the vectors in order: each
// lets its own PE's words go first, then those from farther out. How many come
// from farther out differs from PE to PE, and so do the classes: this is for
// short lines. Colors as in a chain: group m has m on the high arm and m + 1 on
// the low arm, which differ wherever both pass.

#include "Algorithms.h"

using namespace waferloom::collectives;

static void gatherArm(Segment &segment, unsigned minor, Port outward,
                      uint64_t words, unsigned color) {
  const Port inward = outward == High ? Low : High;
  const unsigned h = segment.stride;
  const unsigned members =
      outward == High ? segment.length - 1 - segment.root : segment.root;
  const size_t root = size_t(segment.root) * h + minor;
  for (size_t hops = 0; hops <= size_t(members) * h; ++hops) {
    const size_t pe = outward == High ? root + hops : root - hops;
    const uint64_t farther = members - hops / h;
    if (hops == 0) {
      segment.route(pe, color, outward, Ramp);
      segment.transfer(pe, Transfer::Kind::ReceiveFold, color);
      segment.pes[pe].transfers.back().copies = members;
    } else if (hops % h != 0) {
      segment.route(pe, color, outward, inward);
    } else {
      segment.route(pe, color, Ramp, inward);
      if (farther)
        segment.pes[pe].routes.back().inputs = {{Ramp, words},
                                                {outward, farther * words}};
      segment.transfer(pe, Transfer::Kind::Send, 0, color);
    }
  }
}

static void reduceToStar(Segment &segment, const Request &request,
                         const Costs &) {
  if (segment.length == 1)
    return;
  const unsigned base = segment.newColors(segment.stride + 1);
  const bool high = segment.root + 1 < segment.length, low = segment.root > 0;
  const bool highFirst = segment.length - 1 - segment.root < segment.root;
  for (unsigned minor = 0; minor < segment.stride; ++minor) {
    if (high && highFirst)
      gatherArm(segment, minor, High, request.words, base + minor);
    if (low)
      gatherArm(segment, minor, Low, request.words, base + minor + 1);
    if (high && !highFirst)
      gatherArm(segment, minor, High, request.words, base + minor);
  }
}

/// The root takes all vectors, whatever the arms.
static uint64_t cyclesOfStar(const Line &line, const Request &request,
                             const Costs &costs) {
  const CostModel model(line, request, costs);
  const bool twoArms =
      std::min(request.root, line.length - 1 - request.root) > 0;
  return (twoArms ? 2 : 1) * costs.issue + (line.length - 1) * model.stream() +
         model.travel(1);
}

const Rules waferloom::collectives::starRules = {
    .name = "star",
    .countsWords = true,
    .longest = 16, // its routes differ from PE to PE
    .colors = [](const Line &line, const Request &,
                 const Costs &) { return line.stride + 1; },
    .solve = reduceToStar,
    .cycles = cyclesOfStar,
    .published = [](double p, double words, double ramp,
                    unsigned) { return words * (p - 1) + 2 * ramp + 1; },
};
