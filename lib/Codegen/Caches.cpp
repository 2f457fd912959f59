// Which states are caches: rows are appended to them by slot, and nobody writes
// anything else there.

#include "LiveSlots.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::codegen;
using core::OperandAttr;

Slots codegen::slotsOf(core::BindOp bind, int64_t stride, int64_t count) {
  int64_t bytes = core::bytesOf(bind.getType());
  for (auto dim : llvm::reverse(bind.getDims().getAsRange<core::DimAttr>())) {
    int64_t local = 1, parts = 1;
    bool isCyclic = !dim.getDigits().empty();
    for (auto [i, digit] : llvm::enumerate(dim.getDigits())) {
      const bool isLocal = digit.getAxis() == core::Axis::none;
      isCyclic &= isLocal == (i == 0);
      (isLocal ? local : parts) *= digit.getExtent();
    }
    if (isCyclic && bytes == stride && local == count)
      return {
          llvm::mod(static_cast<int64_t>(bind.getAddress()), stride * count),
          stride, count, parts};
    bytes *= local;
  }
  return {};
}

Caches codegen::findCaches(core::RegionOp region) {
  Caches caches;
  std::set<StringRef> others, states;
  for (auto buffer : region.getBody().getOps<core::BufferOp>())
    if (buffer.getUse() == core::Use::state)
      states.insert(buffer.getSymName());
  // How far apart rows are, and how many, says who appends them.
  std::map<StringRef, std::pair<int64_t, int64_t>> rows;
  region.walk([&](Operation *op) {
    core::Trips trips;
    if (isa<core::LoopOp>(op))
      return;
    core::forEachAccess(op, trips, [&](const core::Access &access) {
      if (!access.writes || !access.window.buffer ||
          !states.count(access.window.buffer.getValue()))
        return;
      const StringRef name = access.window.buffer.getValue();
      auto vector = dyn_cast<core::VectorOp>(op);
      const OperandAttr dst = vector ? vector.getDst() : OperandAttr();
      if (!dst || dst.getIndexScale() <= 0 || dst.getIndexCount() < 2) {
        others.insert(name);
        return;
      }
      const std::pair<int64_t, int64_t> row(dst.getIndexScale(),
                                            dst.getIndexCount());
      if (rows.try_emplace(name, row).first->second != row)
        others.insert(name);
    });
  });
  for (auto bind : region.getBody().getOps<core::BindOp>()) {
    if (bind.getRole() != core::Role::state || !bind.getBufferAttr())
      continue;
    const StringRef name = bind.getBufferAttr().getValue();
    const auto known = rows.find(name);
    if (known == rows.end())
      continue;
    const Slots slots =
        slotsOf(bind, known->second.first, known->second.second);
    if (slots.count == 0 ||
        !(caches.try_emplace(name, slots).first->second == slots))
      others.insert(name);
  }
  for (StringRef name : others)
    caches.erase(name);
  return caches;
}
