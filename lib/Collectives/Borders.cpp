// Streams from one region to another, seen from one of them. One PE of a line
// speaks for it: what the region sends is the same in all of them, or was
// summed there. One multicast reaches every PE of the line that takes it.

#include "Solvers.h"

using namespace waferloom::collectives;

CollectivePlan waferloom::collectives::planBorder(unsigned length,
                                                  Border border, bool up,
                                                  unsigned sender) {
  const Line line{length, 1, 1};
  Segment segment(line, Request());
  const unsigned color = segment.newColors(1);
  const Port from = up ? Low : High, to = up ? High : Low;
  const size_t last = up ? length - 1 : 0;
  for (size_t pe = 0; pe < length; ++pe)
    switch (border) {
    case Border::Send:
      if (pe == sender) {
        segment.route(pe, color, Ramp, to);
        segment.transfer(pe, Transfer::Kind::Send, 0, color);
      } else if ((pe > sender) == up) {
        segment.route(pe, color, from, to);
      }
      break;
    case Border::Receive:
      segment.route(pe, color, from, Ramp | (pe == last ? 0 : to));
      segment.transfer(pe, Transfer::Kind::Receive, color);
      break;
    case Border::Pass:
      segment.route(pe, color, from, to);
      break;
    }
  return compress(line, std::move(segment));
}
