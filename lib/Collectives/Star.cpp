// Everybody sends to the root, which folds one vector after the other: B (P -
// 1) cycles, but only one message deep, so it wins for one word and few PEs.
//
// All PEs of an arm share one color. The routers put the vectors in order: each
// lets its own PE's words go first, then those from farther out. How many come
// from farther out differs from PE to PE, and so do the classes: this is for
// short lines. Colors as in a chain: group m has m on the high arm and m + 1 on
// the low arm, which differ wherever both pass.

#include "Solvers.h"

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
      segment.step(pe, Step::Kind::ReceiveFold, color);
      segment.pes[pe].steps.back().copies = members;
    } else if (hops % h != 0) {
      segment.route(pe, color, outward, inward);
    } else {
      segment.route(pe, color, Ramp, inward);
      if (farther)
        segment.pes[pe].routes.back().inputs = {{Ramp, words},
                                                {outward, farther * words}};
      segment.step(pe, Step::Kind::Send, 0, color);
    }
  }
}

void waferloom::collectives::reduceToStar(Segment &segment, uint64_t words) {
  if (segment.length == 1)
    return;
  const unsigned base = segment.newColors(segment.stride + 1);
  const bool high = segment.root + 1 < segment.length, low = segment.root > 0;
  const bool highFirst = segment.length - 1 - segment.root < segment.root;
  for (unsigned minor = 0; minor < segment.stride; ++minor) {
    if (high && highFirst)
      gatherArm(segment, minor, High, words, base + minor);
    if (low)
      gatherArm(segment, minor, Low, words, base + minor + 1);
    if (high && !highFirst)
      gatherArm(segment, minor, High, words, base + minor);
  }
}
