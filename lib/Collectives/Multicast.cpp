// The root sends once; every router on the way copies the word to its own PE
// and passes it on. A word needs one cycle per hop and the two ramps. One color
// per interleaved group, in both directions from the root.

#include "Solvers.h"

using namespace waferloom::collectives;

void waferloom::collectives::multicast(Segment &segment) {
  const unsigned h = segment.stride, last = segment.length - 1;
  if (last == 0)
    return;
  const unsigned base = segment.newColors(h);
  for (unsigned minor = 0; minor < h; ++minor) {
    const unsigned color = base + minor;
    const size_t root = size_t(segment.root) * h + minor;
    const size_t lowest = minor, highest = size_t(last) * h + minor;
    for (size_t pe = lowest; pe <= highest; ++pe) {
      if (pe == root) {
        segment.route(pe, color, Ramp,
                      (pe > lowest ? Low : 0) | (pe < highest ? High : 0));
        segment.transfer(pe, Transfer::Kind::Send, 0, color);
        continue;
      }
      const bool mine = pe % h == minor;
      const Port from = pe > root ? Low : High;
      const Port on = pe > root ? High : Low;
      const bool end = pe == lowest || pe == highest;
      segment.route(pe, color, from, (mine ? Ramp : 0) | (end ? 0 : on));
      if (mine)
        segment.transfer(pe, Transfer::Kind::Receive, color);
    }
  }
}
