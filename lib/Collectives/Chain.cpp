// A chain folds as it passes on: the far end of each arm sends its vector,
// every PE adds its own to each word that comes by, and the root collects. A
// word is never stored on the way, so the arm is a pipeline: about one cycle
// per word and 2 ramps + hops + 1 per link.
//
// Colors. A link is a stream from a PE to the next one of its group, `stride`
// PEs away, so `stride` streams cross every gap between routers. Link colors
// count up along the line modulo stride + 1: the streams in a gap then differ,
// and so do the one that ends at a router and the one that starts there. The
// two arms meet at the root digit only; there the count is set such that they
// differ.

#include "Algorithms.h"

using namespace waferloom::collectives;

static void reduceByChain(Segment &segment, const Request &, const Costs &) {
  const unsigned h = segment.stride, length = segment.length;
  const unsigned root = segment.root;
  if (length == 1)
    return;
  const unsigned base = segment.newColors(h + 1);
  // Color of the link that starts at `pe`. The link into the root of group m
  // has color m on the high arm and m + 1 on the low arm.
  auto linkColor = [&](size_t pe) -> unsigned {
    if (pe >= size_t(root + 1) * h)
      return base + (pe - size_t(root + 1) * h) % (h + 1);
    size_t before = size_t(root) * h - 1 - pe; // 0: nearest to the root
    return base + (h + size_t(h) * before) % (h + 1);
  };
  using Kind = Transfer::Kind;
  for (size_t pe = 0; pe < segment.pes.size(); ++pe) {
    const unsigned digit = pe / h;
    if (digit > root) {
      segment.stream(pe, pe - h, linkColor(pe));
      if (digit + 1 < length)
        segment.transfer(pe, Kind::ReceiveFoldSend, linkColor(pe + h),
                         linkColor(pe));
      else
        segment.transfer(pe, Kind::Send, 0, linkColor(pe));
    } else if (digit < root) {
      segment.stream(pe, pe + h, linkColor(pe));
      if (digit > 0)
        segment.transfer(pe, Kind::ReceiveFoldSend, linkColor(pe - h),
                         linkColor(pe));
      else
        segment.transfer(pe, Kind::Send, 0, linkColor(pe));
    } else {
      // The shorter arm is ready first.
      const bool high = root + 1 < length, low = root > 0;
      const bool highFirst = length - 1 - root < root;
      if (high && highFirst)
        segment.transfer(pe, Kind::ReceiveFold, linkColor(pe + h));
      if (low)
        segment.transfer(pe, Kind::ReceiveFold, linkColor(pe - h));
      if (high && !highFirst)
        segment.transfer(pe, Kind::ReceiveFold, linkColor(pe + h));
    }
  }
}

uint64_t waferloom::collectives::chainArm(const CostModel &model,
                                          unsigned members) {
  return model.costs.issue + model.stream() + (members - 1) * model.link(1) - 1;
}

static uint64_t cyclesOfChain(const Line &line, const Request &request,
                              const Costs &costs) {
  const CostModel model(line, request, costs);
  return joinArms(model, line, request,
                  [&](unsigned members) { return chainArm(model, members); });
}

const Rules waferloom::collectives::chainRules = {
    .name = "chain",
    .colors = [](const Line &line, const Request &,
                 const Costs &) { return line.stride + 1; },
    .solve = reduceByChain,
    .cycles = cyclesOfChain,
    .published = [](double p, double words, double ramp,
                    unsigned) { return words + (2 * ramp + 2) * (p - 1); },
};
