// Where buffers begin, modulo the banks of the memory. An instruction that
// reads two operands which advance alike takes twice as long if they begin in
// the same bank, every cycle anew. So buffers that are read together get starts
// that differ: heaviest first, each takes the start that costs least with those
// that have one. Buffers that meet nobody lie where there is room.

#include "Emitter.h"

#include "waferloom/Machine/MachineModel.h"

#include "llvm/ADT/STLExtras.h"

using namespace waferloom;
using namespace waferloom::codegen;
using llvm::SmallVector;

namespace {
/// Two buffers that one instruction reads.
struct Meeting {
  int a, b;
  int64_t distance; ///< start of b's window less that of a's, in their buffers
  int64_t width;    ///< bytes read per cycle
  double cycles;    ///< lost if they collide
};
} // namespace

static void findMeetings(const Draft &draft, double times,
                         const image::TargetT &target,
                         std::vector<Meeting> &meetings) {
  if (draft.shape.empty() || draft.op == Opcode::loop)
    return;
  int64_t elements = 1;
  for (int64_t extent : draft.shape)
    elements *= extent;
  bool folds = llvm::is_contained(draft.dst.strides, 0);
  const machine::MachineModel model(target);
  int64_t rate = folds ? 1
                       : model.getRate(draft.op, draft.dst.type, draft.a.type,
                                       draft.b.type);
  const Ref *refs[] = {&draft.a, &draft.b, &draft.c};
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < i; ++j) {
      const Ref &a = *refs[j], &b = *refs[i];
      if (a.buffer < 0 || b.buffer < 0 || a.buffer == b.buffer ||
          a.strides.empty() || b.strides.empty() || a.strides.back() == 0 ||
          a.strides.back() * bytesOf(a.type) !=
              b.strides.back() * bytesOf(b.type))
        continue;
      meetings.push_back({a.buffer, b.buffer, b.offset - a.offset,
                          model.getBytesPerCycle(a.type, rate),
                          times * static_cast<double>(elements) / rate});
    }
}

std::vector<int64_t> codegen::chooseStarts(const std::vector<Buffer> &buffers,
                                           const std::vector<Draft> &drafts,
                                           const image::TargetT &target) {
  const machine::MachineModel model(target);
  const int64_t period = model.getBankPeriod();
  std::vector<int64_t> starts(buffers.size(), -1);
  if (period <= 4)
    return starts;
  std::vector<Meeting> meetings;
  std::vector<std::pair<size_t, double>> open; // end of a loop, its trips
  double times = 1;
  for (auto [i, draft] : llvm::enumerate(drafts)) {
    while (!open.empty() && i > open.back().first) {
      times /= open.back().second;
      open.pop_back();
    }
    findMeetings(draft, times, target, meetings);
    if (draft.op == Opcode::loop) {
      // Entries that share code share its addresses.
      auto tripCount = static_cast<double>(
          draft.perEntry ? 1 : std::max<int64_t>(draft.count, 1));
      open.emplace_back(i + draft.body, tripCount);
      times *= tripCount;
    }
  }
  std::vector<SmallVector<size_t>> meetingsOf(buffers.size());
  std::vector<double> weight(buffers.size());
  for (auto [m, meeting] : llvm::enumerate(meetings))
    for (int id : {meeting.a, meeting.b}) {
      meetingsOf[id].push_back(m);
      weight[id] += meeting.cycles;
    }
  SmallVector<size_t> order;
  for (auto [id, buffer] : llvm::enumerate(buffers)) {
    if (buffer.address)
      starts[id] = *buffer.address % period;
    else if (!meetingsOf[id].empty())
      order.push_back(id);
  }
  llvm::sort(order, [&](size_t a, size_t b) {
    return std::pair(-weight[a], a) < std::pair(-weight[b], b);
  });
  for (size_t id : order) {
    double least = -1;
    int64_t best = 0;
    for (int64_t start = 0; start < period; start += 4) {
      double cost = 0;
      for (size_t m : meetingsOf[id]) {
        const Meeting &meeting = meetings[m];
        bool first = meeting.a == static_cast<int>(id);
        int64_t other = starts[first ? meeting.b : meeting.a];
        if (other < 0)
          continue;
        int64_t from = first ? start : other, to = first ? other : start;
        if (model.collide(to - from + meeting.distance, meeting.width))
          cost += meeting.cycles;
      }
      if (least < 0 || cost < least) {
        least = cost;
        best = start;
      }
    }
    starts[id] = best;
  }
  for (auto [id, buffer] : llvm::enumerate(buffers))
    if (buffer.address)
      starts[id] = -1; // it lies already
  return starts;
}
