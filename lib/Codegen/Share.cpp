// Addresses for what stays: buffers of the region, then inputs and outputs of
// each program. Buffers of PEs that have nothing in common lie at the same
// bytes.

#include "Machine.h"
#include "waferloom/Codegen/Passes.h"
#include "waferloom/Dialect/Core/Accesses.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

namespace waferloom::codegen {
#define GEN_PASS_DEF_CORESHARE
#include "waferloom/Codegen/Passes.h.inc"
} // namespace waferloom::codegen

using namespace mlir;
using namespace waferloom;

namespace {
/// The sets that name the PEs of a buffer; null is all.
using Holders = std::pair<Attribute, Attribute>;

int64_t endOf(core::BufferOp buffer) {
  return static_cast<int64_t>(
      llvm::alignTo(*buffer.getAddress() + buffer.getBytes(), 4));
}

/// Where what lies by hand ends.
int64_t endOfGiven(Region &body, int64_t end) {
  for (core::BufferOp buffer : body.getOps<core::BufferOp>())
    if (buffer.getAddress())
      end = std::max(end, endOf(buffer));
  return end;
}

struct CoreShare : codegen::impl::CoreShareBase<CoreShare> {
  using CoreShareBase::CoreShareBase;

  void runOnOperation() override {
    for (auto region : getOperation().getBody().getOps<core::RegionOp>())
      share(region);
  }

  void share(core::RegionOp region);
  /// Places `buffers` behind each other from `at` on; returns their end.
  int64_t place(ArrayRef<core::BufferOp> buffers, int64_t at);
};
} // namespace

int64_t CoreShare::place(ArrayRef<core::BufferOp> buffers, int64_t at) {
  for (core::BufferOp buffer : buffers) {
    buffer.setAddress(static_cast<uint64_t>(at));
    at = endOf(buffer);
  }
  return at;
}

void CoreShare::share(core::RegionOp region) {
  const int64_t begin = endOfGiven(
      region.getBody(), static_cast<int64_t>(region.getMemory().value_or(0)));
  llvm::MapVector<Holders, SmallVector<core::BufferOp>> groups;
  groups[{}]; // what all PEs have comes first
  for (auto buffer : region.getBody().getOps<core::BufferOp>())
    if (!buffer.getAddress())
      groups[{buffer.getColumnsAttr(), buffer.getRowsAttr()}].push_back(buffer);
  const core::PeSets sets(region);
  SmallVector<std::pair<core::PeSet, int64_t>> ends;
  int64_t top = begin;
  for (auto &[holders, buffers] : groups) {
    const core::PeSet mine{sets.columnsOf(holders.first),
                           sets.rowsOf(holders.second)};
    int64_t at = begin;
    for (auto &[other, end] : ends)
      if (mine.meets(other))
        at = std::max(at, end);
    ends.emplace_back(mine, place(buffers, at));
    top = std::max(top, ends.back().second);
  }
  for (auto program : region.getBody().getOps<core::ProgramOp>()) {
    SmallVector<core::BufferOp> own;
    for (auto buffer : program.getBody().getOps<core::BufferOp>())
      if (!buffer.getAddress() && buffer.getUse() != core::Use::scratch)
        own.push_back(buffer);
    place(own, endOfGiven(program.getBody(), top));
  }
}

int64_t codegen::endOfShared(core::ProgramOp program) {
  auto region = cast<core::RegionOp>(program->getParentOp());
  return endOfGiven(
      program.getBody(),
      endOfGiven(region.getBody(),
                 static_cast<int64_t>(region.getMemory().value_or(0))));
}
