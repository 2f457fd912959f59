#include "LaneValues.h"
#include "Hang.h"
#include <algorithm>
#include <cstring>
#include <set>

using namespace llvm;

namespace waferloom::executor {

/// Lanes that take part, as kernels want them.
static void activeOf(uint32_t bits, int32_t (&active)[lanes]) {
  for (uint32_t l = 0; l < lanes; ++l)
    active[l] = (bits >> l) & 1;
}

LaneValues::LaneValues(const image::ImageT &image,
                       const PreparedEntry &prepared, const Streams &streams,
                       const Schedule &schedule, std::vector<Memory> &memories)
    : image(image), streams(streams), schedule(schedule), memories(memories) {
  uint32_t pes = 0;
  for (size_t r = 0; r < prepared.regions.size(); ++r) {
    firstPe.push_back(pes);
    peOfSlot.emplace_back(size_t(memories[r].blocks()) * lanes, none);
    for (uint32_t i = 0; i < prepared.regions[r].ofPe.size(); ++i)
      peOfSlot[r][memories[r].slotOf(i)] = pes++;
  }
  for (uint32_t pe = 0; pe < pes; ++pe) {
    uint32_t region = streams.places[pe].region;
    uint32_t slot = memories[region].slotOf(pe - firstPe[region]);
    laneOfPe.push_back(memories[region].block(slot / lanes) +
                       4 * (slot % lanes));
  }
  prepareActs();
  prepareSteps();
  prepareFetches();
  for (const std::vector<uint32_t> &set : schedule.sets)
    parts.push_back(partsOf(set));
  for (const std::vector<GroupPlaces> &exchange : schedule.exchanges) {
    exchanges.emplace_back();
    for (const GroupPlaces &places : exchange)
      addTasks(places, exchanges.back());
  }
}

/// Strides of elements one after the other.
static void makeDense(Operand &operand, Type type,
                      const Instruction &instruction) {
  operand = Operand();
  operand.present = true;
  operand.type = type;
  auto stride = static_cast<int32_t>(image::bytesOf(type));
  for (int k = 3; k >= 0; --k) {
    operand.strides[k] = stride;
    stride *= static_cast<int32_t>(instruction.shape[k]);
  }
}

/// A stream act is a vector operation between memory and the group's buffer.
void LaneValues::prepareStream(LaneAct &to) {
  Instruction &made = to.instruction;
  Opcode op = made.op;
  made.op = made.fold ? made.foldOp : Opcode::mov;
  switch (op) {
  case Opcode::send: // buffer = a
    makeDense(made.dst, made.a.type, made);
    break;
  case Opcode::recv: // dst = buffer
    makeDense(made.a, made.dst.type, made);
    break;
  case Opcode::recv_fold: // dst = fold(dst, buffer)
    made.a = made.dst;
    makeDense(made.b, made.dst.type, made);
    break;
  default: // buffer = fold(buffer, a)
    made.b = made.a;
    makeDense(made.a, made.b.type, made);
    makeDense(made.dst, made.b.type, made);
  }
  to.kernel = laneKernelOf(made);
  unsigned k = image::sends(op) ? 1 : 0;
  const Operand &own = to.act->operand(k);
  int32_t stride = own.strides[3];
  to.inWords =
      !to.indexed && made.isLine && !made.predicate.present && !own.immediate &&
      to.act->addresses[k] % 4 == 0 &&
      (made.packed ? stride == 2 && made.elements % 2 == 0 : stride % 4 == 0);
  to.step = made.packed ? 4 * lanes : int64_t(stride) * lanes;
}

/// Adds the words that an operand reads, found by so many looks at elements.
static void wordsOf(const Instruction &instruction, const Operand &operand,
                    uint32_t address, size_t most, uint64_t &looks,
                    std::set<uint32_t> &words) {
  const uint64_t elements = instruction.elements;
  for (uint64_t i = 0; i < elements && words.size() < most && looks; ++i) {
    --looks;
    int64_t at = address;
    uint64_t rest = i;
    for (int k = 3; k >= 0; --k) {
      at += int64_t(rest % instruction.shape[k]) * operand.strides[k];
      rest /= instruction.shape[k];
    }
    words.insert(static_cast<uint32_t>(at / 4));
  }
}

/// What a compute block reads of a block of PEs is known before, and mostly
/// lies in no cache.
void LaneValues::prepareFetches() {
  constexpr size_t most = 1024; // words: 64 KiB of a block
  for (const ComputeBlock &computeBlock : schedule.segments.computeBlocks) {
    std::set<uint32_t> words;
    uint64_t looks = 64 * most; // a block may be long and read one word
    for (uint32_t index : computeBlock) {
      if (words.size() >= most || looks == 0)
        break;
      const Act &act = schedule.segments.acts[index];
      for (unsigned k = 1; k < 4; ++k) {
        const Operand &operand = act.operand(k);
        if (operand.present && !operand.immediate && operand.indexScale == 0)
          wordsOf(*act.instruction, operand, act.addresses[k], most, looks,
                  words);
      }
    }
    fetches.emplace_back(words.begin(), words.end());
  }
}

void LaneValues::prepareActs() {
  acts.resize(schedule.segments.acts.size());
  size_t count = 0;
  for (const Act &act : schedule.segments.acts)
    for (unsigned k = 0; k < 5; ++k)
      count += act.operand(k).immediate;
  splats.resize(count);
  size_t next = 0;
  for (size_t i = 0; i < acts.size(); ++i) {
    LaneAct &to = acts[i];
    to.act = &schedule.segments.acts[i];
    to.instruction = *to.act->instruction;
    for (unsigned k = 0; k < 5; ++k) {
      const Operand &operand = to.act->operand(k);
      to.indexed |= operand.present && operand.indexScale != 0;
      if (!operand.immediate)
        continue;
      uint32_t bits = operand.bits;
      if (operand.type == Type::f16)
        bits = (bits & 0xffff) | bits << 16;
      std::fill_n(splats[next].words, lanes, bits);
      to.splat[k] = reinterpret_cast<char *>(splats[next++].words);
    }
    if (image::isStream(to.instruction.op))
      prepareStream(to);
    else if (!image::isControl(to.instruction.op))
      to.kernel = laneKernelOf(to.instruction);
    LaneAddress *addresses[] = {&to.at.dst, &to.at.a, &to.at.b, &to.at.c,
                                &to.at.predicate};
    for (unsigned k = 0; k < 5; ++k) {
      to.isOwn[k] = to.act->operand(k).present && !to.splat[k];
      *addresses[k] = {to.splat[k], to.isOwn[k] ? to.act->addresses[k] : 0};
    }
  }
}

std::vector<LaneValues::BlockPart>
LaneValues::partsOf(const std::vector<uint32_t> &pes) const {
  std::vector<BlockPart> list;
  for (uint32_t pe : pes) {
    uint32_t region = streams.places[pe].region;
    uint32_t slot = memories[region].slotOf(pe - firstPe[region]);
    if (list.empty() || list.back().region != region ||
        list.back().block != slot / lanes)
      list.push_back({region, slot / lanes, 0});
    list.back().bits |= 1u << slot % lanes;
  }
  // Lanes without a PE may take part; a block without gaps is faster.
  for (BlockPart &part : list) {
    uint32_t empty = 0;
    for (uint32_t l = 0; l < lanes; ++l)
      if (peOfSlot[part.region][part.block * lanes + l] == none)
        empty |= 1u << l;
    if ((part.bits | empty) == 0xffff)
      part.bits = 0xffff;
  }
  return list;
}

/// Whether the PEs of an exchange group have one lane.
bool LaneValues::isColumn(const ExchangeGroup &group, uint32_t base) const {
  uint32_t region = streams.places[base].region;
  uint32_t slot = memories[region].slotOf(base - firstPe[region]);
  for (uint32_t pe : group.pes) {
    if (streams.places[base + pe].region != region)
      return false;
    uint32_t other = memories[region].slotOf(base + pe - firstPe[region]);
    if (other % lanes != slot % lanes ||
        other / lanes - slot / lanes != memories[region].blocksBetween(pe))
      return false;
  }
  for (const GroupOp &op : group.ops)
    if (op.act != none && (acts[op.act].indexed || op.kind == GroupOp::Vector))
      return false;
  return true;
}

/// Columns of neighbours become one task where all of their PEs lie in the same
/// blocks.
void LaneValues::addTasks(const GroupPlaces &places,
                          std::vector<GroupTask> &tasks) {
  const ExchangeGroup &group = schedule.groups[places.group];
  // (region, block of the base PE, distance to the last) -> task
  std::map<std::pair<uint32_t, uint32_t>, size_t> known;
  for (uint32_t base : places.bases) {
    uint32_t region = streams.places[base].region;
    if (!isColumn(group, base)) {
      tasks.push_back({&group, base, region, 0, stepsOf(places.group, base)});
      continue;
    }
    uint32_t slot = memories[region].slotOf(base - firstPe[region]);
    auto [it, fresh] = known.try_emplace({region, slot / lanes}, tasks.size());
    if (fresh)
      tasks.push_back({&group, slot / lanes, region, 0});
    tasks[it->second].bits |= 1u << slot % lanes;
  }
}

/// The addresses of a PE's operands; false after an index out of its range.
bool LaneValues::resolve(const LaneAct &act, uint32_t pe, uint64_t begun,
                         size_t superstep, bool afterCompute, Bench &bench,
                         uint32_t (&addresses)[5]) {
  for (unsigned k = 0; k < 5; ++k) {
    const Operand &operand = act.act->operand(k);
    addresses[k] = act.act->addresses[k];
    if (!operand.present || operand.indexScale == 0)
      continue;
    int32_t value;
    std::memcpy(&value, laneAt(laneOf(pe), act.act->indexAt[k]), 4);
    if (value < 0 || static_cast<uint32_t>(value) >= operand.indexCount) {
      bench.failures.push_back({pe, superstep, begun, afterCompute, value,
                                operand.indexCount, act.act->instruction});
      return false;
    }
    addresses[k] += static_cast<uint32_t>(int64_t(value) * operand.indexScale);
  }
  return true;
}

/// Every PE has its own addresses; lanes that agree go together.
void LaneValues::runIndexed(const LaneAct &act, const BlockPart &part,
                            uint64_t begun, size_t superstep, bool afterCompute,
                            Bench &bench) {
  uint32_t addresses[lanes][5];
  uint32_t left = 0;
  for (uint32_t l = 0; l < lanes; ++l) {
    uint32_t pe = peOfSlot[part.region][part.block * lanes + l];
    if ((part.bits >> l) & 1 && pe != none &&
        resolve(act, pe, begun, superstep, afterCompute, bench, addresses[l]))
      left |= 1u << l;
  }
  char *block = memories[part.region].block(part.block);
  while (left != 0) {
    uint32_t first = static_cast<uint32_t>(__builtin_ctz(left)), same = 0;
    for (uint32_t l = first; l < lanes; ++l)
      if ((left >> l) & 1 &&
          std::equal(addresses[first], addresses[first] + 5, addresses[l]))
        same |= 1u << l;
    left &= ~same;
    int32_t active[lanes];
    activeOf(same, active);
    LaneAddresses x;
    LaneAddress *to[] = {&x.dst, &x.a, &x.b, &x.c, &x.predicate};
    for (unsigned k = 0; k < 5; ++k)
      if (act.splat[k])
        *to[k] = {act.splat[k], 0};
      else if (act.act->operand(k).present)
        *to[k] = {block, addresses[first][k]};
    x.active = same == 0xffff ? nullptr : active;
    act.kernel(act.instruction, x);
  }
}

void LaneValues::runAct(const LaneAct &act, const BlockPart &part,
                        uint64_t begun, size_t superstep, bool afterCompute,
                        Bench &bench) {
  if (act.indexed)
    return runIndexed(act, part, begun, superstep, afterCompute, bench);
  char *block = memories[part.region].block(part.block);
  LaneAddresses x = act.at;
  x.dst.block = act.isOwn[0] ? block : x.dst.block;
  x.a.block = act.isOwn[1] ? block : x.a.block;
  x.b.block = act.isOwn[2] ? block : x.b.block;
  x.c.block = act.isOwn[3] ? block : x.c.block;
  x.predicate.block = act.isOwn[4] ? block : x.predicate.block;
  int32_t active[lanes];
  if (part.bits != 0xffff) {
    activeOf(part.bits, active);
    x.active = active;
  }
  act.kernel(act.instruction, x);
}

/// Asks for words of a block.
void LaneValues::fetch(ArrayRef<uint32_t> words, const BlockPart &part) {
  const char *block = memories[part.region].block(part.block);
  for (uint32_t word : words)
    __builtin_prefetch(block + size_t(word) * (4 * lanes), 0, 2);
}

/// Between its steps it asks for a share of the words of the `next` block, if
/// there is one, so that these come while it computes.
void LaneValues::runComputeBlock(const SuperstepBlock &computeBlock,
                                 const BlockPart &part, const BlockPart *next,
                                 size_t superstep, Bench &bench) {
  ArrayRef<uint32_t> words = fetches[computeBlock.computeBlock];
  const size_t share =
      words.size() / steps[computeBlock.computeBlock].size() + 1;
  const uint32_t *list =
      schedule.segments.computeBlocks[computeBlock.computeBlock].data();
  int32_t active[lanes];
  activeOf(part.bits, active);
  for (const Step &step : steps[computeBlock.computeBlock]) {
    if (isInterrupted(bench, step.work))
      return;
    if (next) {
      fetch(words.take_front(share), *next);
      words = words.drop_front(std::min(share, words.size()));
    }
    if (step.sum != none) {
      sumKernel(sums[step.sum], memories[part.region].block(part.block),
                part.bits == 0xffff ? nullptr : active);
      continue;
    }
    for (uint32_t i = step.first; i < step.first + step.count; ++i)
      runAct(acts[list[i]], part, i, superstep, /*afterCompute=*/false, bench);
  }
}

/// Thread 0 is the one that was called, and asks.
bool LaneValues::isInterrupted(const Bench &bench, uint64_t work) {
  return interrupt &&
         (&bench == &benches.front() ? interrupt->due(work) : interrupt->is());
}

bool LaneValues::run(Workers &workers, Interrupt *asked,
                     std::map<uint32_t, Stop> &stops) {
  interrupt = asked;
  benches.resize(workers.size());
  for (Bench &bench : benches)
    bench.failures.clear();
  for (size_t p = 0; p < schedule.supersteps.size(); ++p) {
    if (isInterrupted(benches.front(), 1))
      return true;
    const Superstep &superstep = schedule.supersteps[p];
    for (const SuperstepBlock &computeBlock : superstep.computeBlocks) {
      const std::vector<BlockPart> &list = parts[computeBlock.pes];
      // A few blocks at a time, so that a thread knows the next one.
      constexpr size_t group = 8;
      workers.forEach((list.size() + group - 1) / group,
                      [&](size_t g, unsigned thread) {
                        size_t end = std::min(list.size(), (g + 1) * group);
                        for (size_t i = g * group; i < end; ++i)
                          runComputeBlock(computeBlock, list[i],
                                          i + 1 < end ? &list[i + 1] : nullptr,
                                          p, benches[thread]);
                      });
    }
    const std::vector<GroupTask> &tasks = exchanges[superstep.exchange];
    workers.forEach(tasks.size(), [&](size_t i, unsigned thread) {
      if (!isInterrupted(benches[thread], 16 + tasks[i].group->words))
        runGroup(tasks[i], p, benches[thread]);
    });
  }
  return collect(stops);
}

/// The first failure of each PE. True: there is none.
bool LaneValues::collect(std::map<uint32_t, Stop> &stops) const {
  for (const Bench &bench : benches)
    for (const Failure &failure : bench.failures) {
      const Superstep &superstep = schedule.supersteps[failure.superstep];
      uint32_t kind = schedule.kindIn(superstep, failure.pe);
      Stop stop;
      stop.begun =
          failure.begun + (failure.afterCompute ? superstep.begunAfterCompute
                                                : superstep.begun)[kind];
      auto [it, fresh] = stops.try_emplace(failure.pe, stop);
      if (!fresh && it->second.begun <= stop.begun)
        continue;
      stop.message = describeIndex(streams.places[failure.pe], failure.value,
                                   failure.count) +
                     describeInstruction(image, *failure.instruction);
      it->second = std::move(stop);
    }
  return stops.empty();
}

} // namespace waferloom::executor
