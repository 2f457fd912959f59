// An all-reduce that moves each word about twice instead of P times through one
// PE: the buffer is cut into P pieces, each travels around the ring once to be
// summed and once to be copied. 2 B (P - 1) / P words per PE, but 2 (P - 1)
// messages deep: for very many words. A line has no way back, so the link from
// the last PE to the first passes through all routers, on a color of its own.
//
// If everybody sent first, pieces longer than the queues would block the ring;
// so every second PE receives first. A PE has one datapath: sending and
// receiving beside each other would take as long.

#include "Solvers.h"

using namespace waferloom::collectives;

void waferloom::collectives::allReduceOnRing(Segment &segment) {
  const unsigned length = segment.length;
  const unsigned base = segment.newColors(3);
  auto linkColor = [&](unsigned pe) {
    return base + (pe + 1 == length ? 2 : pe % 2);
  };
  for (unsigned pe = 0; pe < length; ++pe) {
    const unsigned in = linkColor(pe ? pe - 1 : length - 1);
    const unsigned out = linkColor(pe);
    segment.stream(pe, (pe + 1) % length, out);
    for (Step::Kind kind : {Step::Kind::RingFold, Step::Kind::RingCopy}) {
      segment.step(pe, kind, in, out);
      segment.pes[pe].steps.back().copies = length - 1;
    }
  }
}
