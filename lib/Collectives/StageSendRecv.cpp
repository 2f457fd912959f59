// From stage to stage. What a stage sends is the same in all columns of a
// stage, so its last column speaks for it, and one multicast reaches every
// column of the next. A stage that takes and gives in one row of routers needs
// two colors for it; stages alternate. The way back passes under all stages in
// a color of its own.

#include "Solvers.h"

using namespace waferloom::collectives;

void waferloom::collectives::stageSendRecv(Segment &segment) {
  const size_t stages = segment.length, width = segment.stride;
  if (stages < 2)
    return;
  const unsigned forward = segment.newColors(stages == 2 ? 1 : 2);
  const unsigned back = segment.newColors(1);
  auto colorFrom = [&](size_t stage) {
    return forward + static_cast<unsigned>(stage % 2);
  };
  const size_t speaker = (stages - 1) * width; // of the last stage
  for (size_t stage = 0; stage < stages; ++stage)
    for (size_t pe = stage * width; pe < (stage + 1) * width; ++pe) {
      const bool last = pe == (stage + 1) * width - 1;
      const bool sends = last && stage + 1 < stages;
      if (stage > 0) {
        segment.route(pe, colorFrom(stage - 1), Low, Ramp | (last ? 0 : High));
        segment.transfer(pe, Transfer::Kind::Receive, colorFrom(stage - 1));
      }
      if (sends) {
        segment.route(pe, colorFrom(stage), Ramp, High);
        segment.transfer(pe, Transfer::Kind::Send, 0, colorFrom(stage));
      }
      if (pe == speaker) {
        segment.route(pe, back, Ramp, Low);
        segment.transfer(pe, Transfer::Kind::Send, 0, back);
      } else if (pe < speaker) {
        segment.route(pe, back, High,
                      (stage == 0 ? Ramp : 0) | (pe == 0 ? 0 : Low));
        if (stage == 0)
          segment.transfer(pe, Transfer::Kind::Receive, back);
      }
    }
}
