// What the lock-step engine does at a stroke: multiply-adds into the same
// elements as one sum, and words that neighbours take alike.

#include "LaneValues.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>

using namespace llvm;

namespace waferloom::executor {

/// Bytes of each PE that a vector of so many elements lies in.
static std::pair<int64_t, int64_t> extentOf(int64_t at, int64_t stride,
                                            int64_t elements, unsigned size) {
  int64_t last = at + stride * (elements - 1);
  return {std::min(at, last), std::max(at, last) + size};
}

/// Whether the act can be the first of a sum: dst = a + b * c on a line; c is a
/// scalar (I20).
bool LaneValues::beginSum(const LaneAct &act, LaneSum &sum) const {
  const Instruction &i = *act.act->instruction;
  if (i.op != Opcode::fma || !i.isLine || act.indexed || i.predicate.present ||
      i.dst.type != Type::f32 || i.a.type != Type::f32 ||
      i.b.type == Type::i32 || i.b.type != i.c.type || i.b.immediate ||
      i.c.immediate || i.dst.strides[3] != 4 || act.act->addresses[0] % 4 != 0)
    return false;
  sum = LaneSum();
  sum.dst = act.act->addresses[0];
  sum.elements = i.shape[3];
  sum.halves = i.b.type == Type::f16;
  sum.isFresh = i.a.immediate;
  sum.start = i.a.bits;
  sum.stride = i.b.strides[3];
  sum.inPairs = sum.halves && sum.stride == 2;
  return addRow(act, sum, /*isFirst=*/true);
}

/// Whether the act was added to the sum.
bool LaneValues::addRow(const LaneAct &act, LaneSum &sum, bool isFirst) const {
  LaneSum other;
  if (!isFirst && (!beginSum(act, other) || other.dst != sum.dst ||
                   other.elements != sum.elements || other.isFresh ||
                   other.halves != sum.halves || other.stride != sum.stride))
    return false;
  const Instruction &i = *act.act->instruction;
  const uint32_t *at = act.act->addresses;
  if (!i.a.immediate && (i.a.strides[3] != 4 || at[1] != sum.dst))
    return false;
  LaneSum::Row row{at[2], at[3]};
  const unsigned size = sum.halves ? 2 : 4;
  // What is read must not be what is written, nor lie across words.
  if (row.vector % size != 0 || row.scalar % size != 0 ||
      sum.stride % int32_t(size) != 0)
    return false;
  auto isApart = [&](std::pair<int64_t, int64_t> read) {
    return read.second <= sum.dst ||
           read.first >= sum.dst + int64_t(sum.elements) * 4;
  };
  if (!isApart(extentOf(row.vector, sum.stride, sum.elements, size)) ||
      !isApart(extentOf(row.scalar, 0, 1, size)))
    return false;
  sum.inPairs &= row.vector % 4 == 0;
  sum.rows.push_back(row);
  return true;
}

/// Divides compute blocks into steps.
void LaneValues::prepareSteps() {
  // Between two of them a run can be broken off.
  constexpr uint64_t mostWork = 4096;
  for (const ComputeBlock &block : schedule.segments.computeBlocks) {
    std::vector<Step> &list = steps.emplace_back();
    for (uint32_t k = 0; k < block.size();) {
      const LaneAct &act = acts[block[k]];
      LaneSum sum;
      if (sumKernel && beginSum(act, sum)) {
        Step step{k, 1, static_cast<uint32_t>(sums.size()), sum.elements};
        while (++k < block.size() && step.work < mostWork &&
               addRow(acts[block[k]], sum, /*isFirst=*/false)) {
          ++step.count;
          step.work += sum.elements;
        }
        sums.push_back(std::move(sum));
        list.push_back(step);
        continue;
      }
      if (list.empty() || list.back().sum != none ||
          list.back().work >= mostWork)
        list.push_back({k, 0});
      ++list.back().count;
      list.back().work += act.instruction.elements;
      ++k;
    }
  }
}

/// The steps of a group in a row of PEs; null where it is none.
const std::vector<LaneValues::GroupStep> *LaneValues::stepsOf(uint32_t index,
                                                              uint32_t base) {
  const ExchangeGroup &group = schedule.groups[index];
  const Place &first = streams.places[base];
  const Place &end = streams.places[base + group.pes.back()];
  if (first.region != end.region || first.y != end.y)
    return nullptr;
  const uint32_t lane =
      memories[first.region].slotOf(base - firstPe[first.region]) % lanes;
  auto [it, fresh] = groupSteps.try_emplace({index, lane});
  std::vector<GroupStep> &list = it->second;
  if (!fresh)
    return &list;
  for (auto [k, op] : enumerate(group.ops)) {
    GroupStep step{static_cast<uint32_t>(k)};
    if (op.kind == GroupOp::Stream && acts[op.act].inWords &&
        acts[op.act].act->instruction->op == Opcode::recv) {
      const uint32_t slot = lane + group.pes[op.pe];
      step.block = slot / lanes;
      step.bits = 1u << slot % lanes;
      if (!list.empty() && list.back().bits != 0 &&
          list.back().block == step.block) {
        const GroupOp &before = group.ops[list.back().op];
        if (before.act == op.act && before.inAt == op.inAt) {
          list.back().bits |= step.bits;
          continue;
        }
      }
    }
    list.push_back(step);
  }
  return &list;
}

} // namespace waferloom::executor
