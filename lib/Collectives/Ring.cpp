// An all-reduce that moves each word about twice instead of P times through one
// PE: the buffer is cut into P parts, each travels around the ring once to be
// summed and once to be copied. 2 B (P - 1) / P words per PE, but 2 (P - 1)
// messages deep: for very many words. A line has no way back, so the link from
// the last PE to the first passes through all routers, on a color of its own.
//
// If everybody sent first, parts longer than the queues would block the ring;
// so every second PE receives first. A PE has one datapath: sending and
// receiving beside each other would take as long.

#include "Algorithms.h"

using namespace waferloom::collectives;

static void allReduceOnRing(Segment &segment, const Request &, const Costs &) {
  const unsigned length = segment.length;
  const unsigned base = segment.newColors(3);
  auto linkColor = [&](unsigned pe) {
    return base + (pe + 1 == length ? 2 : pe % 2);
  };
  for (unsigned pe = 0; pe < length; ++pe) {
    const unsigned in = linkColor(pe ? pe - 1 : length - 1);
    const unsigned out = linkColor(pe);
    segment.stream(pe, (pe + 1) % length, out);
    for (Transfer::Kind kind :
         {Transfer::Kind::RingFold, Transfer::Kind::RingCopy}) {
      segment.transfer(pe, kind, in, out);
      segment.pes[pe].transfers.back().copies = length - 1;
    }
  }
}

/// In each of 2 (P - 1) rounds half of the PEs send while the others receive,
/// and then the other way. A ring of an odd length has two neighbours that
/// receive first, and loses one round in P to them.
static uint64_t cyclesOfRing(const Line &line, const Request &request,
                             const Costs &costs) {
  const uint64_t length = line.length;
  const uint64_t part = (request.words + length - 1) / length;
  const uint64_t round =
      2 * (costs.rewrite + costs.issue + part + costs.getLink(1));
  return length % 2 ? 2 * length * round : 2 * (length - 1) * round;
}

static double publishedRing(double p, double words, double ramp, unsigned) {
  return 2 * (p - 1) * words / p + 4 * p - 6 + 2 * (p - 1) * (2 * ramp + 1);
}

const Rules waferloom::collectives::ringRules = {
    .name = "ring",
    .neighboursOnly = true,
    .wholeAllReduce = true,
    .longest =
        0, // its transfers work on parts of a buffer, which programs cannot
    .colors = [](const Line &, const Request &, const Costs &) { return 3u; },
    .solve = allReduceOnRing,
    .cycles = cyclesOfRing,
    .published = publishedRing,
};
