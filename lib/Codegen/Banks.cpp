// Where buffers begin, modulo the banks of the memory. An instruction that
// reads two operands which advance alike takes twice as long if they begin in
// the same bank, every cycle anew. So buffers that are read together get starts
// that differ: heaviest first, each takes the start that costs least with those
// that have one. Buffers that meet nobody lie where there is room.

#include "Machine.h"
#include "Meetings.h"
#include "waferloom/Codegen/Passes.h"
#include "waferloom/Machine/MachineModel.h"

#include "llvm/ADT/STLExtras.h"

namespace waferloom::codegen {
#define GEN_PASS_DEF_COREASSIGNBANKS
#include "waferloom/Codegen/Passes.h.inc"
} // namespace waferloom::codegen

using namespace mlir;
using namespace waferloom;

namespace {
/// Two buffers that one instruction reads.
struct Neighbours {
  size_t a, b;
  int64_t distance; ///< start of b's window less that of a's, in their buffers
  int64_t width;    ///< bytes read per cycle
  double cycles;    ///< lost if they collide
};

/// The starts of one program's buffers.
class Starts {
public:
  Starts(core::ProgramOp program, const image::TargetT &target);

  /// Writes what was chosen.
  void choose();

private:
  void findNeighbours(core::ProgramOp program);
  int64_t cheapestStart(size_t id, ArrayRef<size_t> with) const;

  const machine::MachineModel model;
  SmallVector<core::BufferOp> buffers;
  llvm::DenseMap<StringAttr, size_t> ids;
  std::vector<int64_t> starts; ///< -1: anywhere
  std::vector<Neighbours> meetings;
};

struct CoreAssignBanks : codegen::impl::CoreAssignBanksBase<CoreAssignBanks> {
  using CoreAssignBanksBase::CoreAssignBanksBase;
  explicit CoreAssignBanks(const image::TargetT &machine) : given(machine) {}

  void runOnOperation() override {
    FailureOr<image::TargetT> machine =
        codegen::machineOf(getOperation(), given, target);
    if (failed(machine))
      return signalPassFailure();
    if (machine::MachineModel(*machine).getBankPeriod() <= 4)
      return;
    for (auto region : getOperation().getBody().getOps<core::RegionOp>())
      for (auto program : region.getBody().getOps<core::ProgramOp>())
        Starts(program, *machine).choose();
  }

  std::optional<image::TargetT> given;
};
} // namespace

Starts::Starts(core::ProgramOp program, const image::TargetT &target)
    : model(target) {
  // Its own come first: they are the ones that can still move.
  auto region = cast<core::RegionOp>(program->getParentOp());
  for (Region *body : {&program.getBody(), &region.getBody()})
    for (auto buffer : body->getOps<core::BufferOp>())
      if (ids.try_emplace(buffer.getSymNameAttr(), buffers.size()).second) {
        buffers.push_back(buffer);
        starts.push_back(buffer.getAddress()
                             ? static_cast<int64_t>(*buffer.getAddress()) %
                                   model.getBankPeriod()
                             : -1);
      }
  findNeighbours(program);
}

void Starts::findNeighbours(core::ProgramOp program) {
  SmallVector<codegen::Meeting> found;
  codegen::findMeetings(program.getBody().front(), 1, model, found);
  for (const codegen::Meeting &meeting : found) {
    auto a = ids.find(meeting.a.getBuffer().getAttr());
    auto b = ids.find(meeting.b.getBuffer().getAttr());
    if (a == ids.end() || b == ids.end() || a == b)
      continue;
    meetings.push_back({a->second, b->second,
                        meeting.b.getBase() - meeting.a.getBase(),
                        meeting.width,
                        static_cast<double>(meeting.times) *
                            static_cast<double>(meeting.elements) /
                            static_cast<double>(meeting.rate)});
  }
}

/// The start that costs least with the buffers of the meetings `with`.
int64_t Starts::cheapestStart(size_t id, ArrayRef<size_t> with) const {
  double least = -1;
  int64_t best = 0;
  for (int64_t start = 0; start < model.getBankPeriod(); start += 4) {
    double cost = 0;
    for (size_t m : with) {
      const Neighbours &meeting = meetings[m];
      bool first = meeting.a == id;
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
  return best;
}

void Starts::choose() {
  std::vector<SmallVector<size_t>> meetingsOf(buffers.size());
  std::vector<double> weight(buffers.size());
  for (auto [m, meeting] : llvm::enumerate(meetings))
    for (size_t id : {meeting.a, meeting.b}) {
      meetingsOf[id].push_back(m);
      weight[id] += meeting.cycles;
    }
  SmallVector<size_t> order;
  for (auto [id, buffer] : llvm::enumerate(buffers))
    if (!buffer.getAddress() && buffer.getUse() == core::Use::scratch &&
        !meetingsOf[id].empty())
      order.push_back(id);
  llvm::sort(order, [&](size_t a, size_t b) {
    return std::pair(-weight[a], a) < std::pair(-weight[b], b);
  });
  for (size_t id : order) {
    starts[id] = cheapestStart(id, meetingsOf[id]);
    buffers[id].setStart(static_cast<uint64_t>(starts[id]));
  }
}

std::unique_ptr<Pass>
codegen::createAssignBanksFor(const image::TargetT &machine) {
  return std::make_unique<CoreAssignBanks>(machine);
}
