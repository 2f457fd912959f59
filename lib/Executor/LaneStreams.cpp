// Executes exchange groups on values: words go from memory into the group's
// buffer and from there into memory. Nothing waits, because in the order of a
// group each word is sent before it is taken.

#include "LaneValues.h"
#include "Operations.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/MathExtras.h"
#include <cstring>

namespace waferloom::executor {

namespace {
/// The elements of an operand of one PE, by index.
class Elements {
public:
  Elements(const Instruction &instruction, const Operand &operand, char *lane,
           uint32_t address)
      : instruction(instruction), strides(operand.strides), lane(lane),
        address(address) {}

  char *operator[](uint64_t i) const {
    const uint32_t *shape = instruction.shape;
    int64_t offset = address;
    if (instruction.isLine)
      return laneAt(lane, offset + int64_t(i) * strides[3]);
    for (int k = 3; k >= 0; --k) {
      offset += int64_t(i % shape[k]) * strides[k];
      i /= shape[k];
    }
    return laneAt(lane, offset);
  }

private:
  const Instruction &instruction;
  const int32_t *strides;
  char *lane;
  int64_t address;
};
} // namespace

/// Word `word` of an operand that is sent.
static uint32_t gather(const Instruction &instruction, const Elements &from,
                       uint64_t word) {
  uint32_t bits = 0;
  if (!instruction.packed) {
    std::memcpy(&bits, from[word], 4);
    return bits;
  }
  uint16_t half = 0;
  std::memcpy(&half, from[2 * word], 2);
  bits = half;
  if (2 * word + 1 < instruction.elements) {
    std::memcpy(&half, from[2 * word + 1], 2);
    bits |= uint32_t(half) << 16;
  }
  return bits;
}

/// Stores a word that came in, folding where the instruction says so.
static void scatter(const Instruction &instruction, const Elements &to,
                    const Elements *predicate, uint64_t word, uint32_t value) {
  auto stores = [&](uint64_t element) {
    int32_t keep = 1;
    if (predicate)
      std::memcpy(&keep, (*predicate)[element], 4);
    return keep != 0;
  };
  if (!instruction.packed) {
    if (!stores(word))
      return;
    if (instruction.fold) {
      uint32_t old;
      std::memcpy(&old, to[word], 4);
      value = instruction.fold(old, value);
    }
    std::memcpy(to[word], &value, 4);
    return;
  }
  for (unsigned k = 0; k < 2; ++k) {
    uint64_t element = 2 * word + k;
    if (element >= instruction.elements || !stores(element))
      continue;
    auto half = static_cast<uint16_t>(value >> (16 * k));
    if (instruction.fold) {
      uint16_t old;
      std::memcpy(&old, to[element], 2);
      half = static_cast<uint16_t>(instruction.fold(old, half));
    }
    std::memcpy(to[element], &half, 2);
  }
}

/// Neighbours take the same words.
void LaneValues::takeInLanes(const GroupTask &task, const GroupStep &step,
                             Bench &bench) {
  const GroupOp &op = task.group->ops[step.op];
  const LaneAct &act = acts[op.act];
  Memory &memory = memories[task.region];
  const uint32_t slot = memory.slotOf(task.base - firstPe[task.region]);
  char *own =
      laneAt(memory.block(slot / lanes + step.block), act.act->addresses[0]);
  const auto *in =
      reinterpret_cast<const uint32_t *>(bench.buffer.data()) + op.inAt;
  // Other threads may be at the block's other lanes, so nothing is stored
  // there, not even what is read there.
  const auto first = static_cast<uint32_t>(llvm::countr_zero(step.bits));
  const uint32_t end = 32 - static_cast<uint32_t>(llvm::countl_zero(step.bits));
  const bool areNeighbours = llvm::isShiftedMask_32(step.bits);
  for (uint32_t w = 0; w < op.words; ++w, own += act.step) {
    auto *to = reinterpret_cast<uint32_t *>(own);
    for (uint32_t l = first; l < end; ++l)
      if (areNeighbours || ((step.bits >> l) & 1))
        to[l] = in[w];
  }
}

/// One PE's act on whole words.
void LaneValues::wordsOfPe(const GroupOp &op, uint32_t pe, Bench &bench) {
  const LaneAct &act = acts[op.act];
  const Instruction &instruction = *act.act->instruction;
  auto *words = reinterpret_cast<uint32_t *>(bench.buffer.data());
  const uint32_t *in = words + op.inAt;
  uint32_t *out = words + op.outAt;
  bool sends = image::sends(instruction.op);
  char *own = laneAt(laneOf(pe), act.act->addresses[sends ? 1 : 0]);
  auto each = [&](auto &&body) {
    for (uint32_t w = 0; w < op.words; ++w, own += act.step)
      body(w, *reinterpret_cast<uint32_t *>(own));
  };
  Fold fold = instruction.fold;
  // What most are, without a call for each word.
  const bool adds = fold && instruction.foldOp == Opcode::add &&
                    (sends ? instruction.a : instruction.dst).type == Type::f32;
  auto add = [](uint32_t a, uint32_t b) {
    return bitsOfFloat(Add::apply(floatOfBits(a), floatOfBits(b)));
  };
  if (adds && sends)
    each([&](uint32_t w, uint32_t mine) { out[w] = add(in[w], mine); });
  else if (adds)
    each([&](uint32_t w, uint32_t &mine) { mine = add(mine, in[w]); });
  else if (sends)
    each([&](uint32_t w, uint32_t mine) {
      out[w] = fold ? fold(in[w], mine) : mine;
    });
  else
    each([&](uint32_t w, uint32_t &mine) {
      mine = fold ? fold(mine, in[w]) : in[w];
    });
}

/// One PE's act. The buffer has one word after the other.
void LaneValues::streamOfPe(const GroupOp &op, uint32_t pe, size_t superstep,
                            Bench &bench) {
  const LaneAct &act = acts[op.act];
  if (act.inWords)
    return wordsOfPe(op, pe, bench);
  const Instruction &instruction = *act.act->instruction;
  uint32_t at[5];
  if (!resolve(act, pe, op.begun, superstep, /*afterCompute=*/true, bench, at))
    return;
  auto elements = [&](unsigned k) {
    const Operand &operand = act.act->operand(k);
    return act.splat[k] ? Elements(instruction, operand, act.splat[k], 0)
                        : Elements(instruction, operand, laneOf(pe), at[k]);
  };
  auto *words = reinterpret_cast<uint32_t *>(bench.buffer.data());
  uint32_t *in = words + op.inAt, *out = words + op.outAt;
  switch (instruction.op) {
  case Opcode::send: {
    Elements own = elements(1);
    for (uint32_t w = 0; w < op.words; ++w)
      out[w] = gather(instruction, own, w);
    break;
  }
  case Opcode::recv_fold_send: {
    Elements own = elements(1);
    for (uint32_t w = 0; w < op.words; ++w)
      out[w] = instruction.fold(in[w], gather(instruction, own, w));
    break;
  }
  default: {
    Elements own = elements(0), predicate = elements(4);
    const Elements *chooser =
        instruction.predicate.present ? &predicate : nullptr;
    for (uint32_t w = 0; w < op.words; ++w)
      scatter(instruction, own, chooser, w, in[w]);
  }
  }
}

/// The upper half of the last word of an odd number of halves.
static void finishOdd(const Instruction &instruction, bool passes,
                      uint32_t words, const uint32_t *in, uint32_t *out) {
  in += size_t(words - 1) * lanes;
  out += size_t(words - 1) * lanes;
  for (uint32_t l = 0; l < lanes; ++l) {
    uint32_t upper = passes ? instruction.fold(in[l] & 0xffff0000, 0) : 0;
    out[l] = (out[l] & 0xffff) | (upper & 0xffff0000);
  }
}

/// The same act of neighbours. The buffer is in lanes.
void LaneValues::streamOfLanes(const GroupOp &op, const BlockPart &part,
                               Bench &bench) {
  const LaneAct &act = acts[op.act];
  const Instruction &instruction = *act.act->instruction;
  char *block = memories[part.region].block(part.block);
  auto operand = [&](unsigned k) -> LaneAddress {
    if (act.splat[k])
      return {act.splat[k], 0};
    if (!act.act->operand(k).present)
      return {};
    return {block, act.act->addresses[k]};
  };
  Splat *in = bench.buffer.data() + op.inAt;
  Splat *out = bench.buffer.data() + op.outAt;
  LaneAddress from{reinterpret_cast<char *>(in), 0};
  LaneAddress to{reinterpret_cast<char *>(out), 0};
  LaneAddresses x;
  x.predicate = operand(4);
  bool sends = image::sends(instruction.op);
  switch (instruction.op) {
  case Opcode::send:
    x.dst = to;
    x.a = operand(1);
    break;
  case Opcode::recv:
    x.dst = operand(0);
    x.a = from;
    break;
  case Opcode::recv_fold:
    x.dst = x.a = operand(0);
    x.b = from;
    break;
  default:
    x.dst = to;
    x.a = from;
    x.b = operand(1);
  }
  int32_t active[lanes];
  if (part.bits != 0xffff && !sends) {
    for (uint32_t l = 0; l < lanes; ++l)
      active[l] = (part.bits >> l) & 1;
    x.active = active;
  }
  act.kernel(act.instruction, x);
  if (sends && instruction.packed && instruction.elements % 2 != 0)
    finishOdd(instruction, instruction.op == Opcode::recv_fold_send, op.words,
              in->words, out->words);
}

void LaneValues::runGroup(const GroupTask &task, size_t superstep,
                          Bench &bench) {
  const ExchangeGroup &group = *task.group;
  bool inLanes = task.bits != 0;
  size_t splatsNeeded = inLanes ? group.words : group.words / lanes + 1;
  if (bench.buffer.size() < splatsNeeded)
    bench.buffer.resize(splatsNeeded);
  Memory &memory = memories[task.region];
  uint32_t base = inLanes ? task.base : 0;
  const size_t count = task.steps ? task.steps->size() : group.ops.size();
  for (size_t i = 0; i < count; ++i) {
    if (task.steps && (*task.steps)[i].bits != 0) {
      takeInLanes(task, (*task.steps)[i], bench);
      continue;
    }
    const GroupOp &op = group.ops[task.steps ? (*task.steps)[i].op : i];
    switch (op.kind) {
    case GroupOp::Start:
    case GroupOp::Wait:
      break;
    case GroupOp::Gate: {
      if (inLanes) {
        std::copy_n(bench.buffer.data() + op.inAt, op.words,
                    bench.buffer.data() + op.outAt);
        break;
      }
      auto *words = reinterpret_cast<uint32_t *>(bench.buffer.data());
      for (uint32_t w = 0; w < op.words; ++w)
        words[op.outAt + w] = words[op.inAt + w];
      break;
    }
    case GroupOp::Vector: {
      uint32_t pe = task.base + group.pes[op.pe];
      uint32_t region = streams.places[pe].region;
      uint32_t slot = memories[region].slotOf(pe - firstPe[region]);
      runAct(acts[op.act], {region, slot / lanes, 1u << slot % lanes}, op.begun,
             superstep, /*afterCompute=*/true, bench);
      break;
    }
    case GroupOp::Stream:
      if (!inLanes)
        streamOfPe(op, task.base + group.pes[op.pe], superstep, bench);
      else
        streamOfLanes(op,
                      {task.region,
                       base + memory.blocksBetween(group.pes[op.pe]),
                       task.bits},
                      bench);
    }
  }
}

} // namespace waferloom::executor
