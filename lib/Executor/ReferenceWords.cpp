// Words of the reference engine: what is put, taken, folded and passed on, and
// when (docs/executor.md, E11 to E15).

#include "Reference.h"
#include "waferloom/Machine/MachineModel.h"
#include <cstring>

namespace waferloom::executor {

/// Byte offset of element `i` of an operand.
static ptrdiff_t offsetOf(const Instruction &instruction,
                          const Operand &operand, uint64_t i) {
  const int32_t *strides = operand.strides;
  if (instruction.isLine)
    return ptrdiff_t(i) * strides[3];
  const uint32_t *shape = instruction.shape;
  ptrdiff_t offset = ptrdiff_t(i % shape[3]) * strides[3];
  i /= shape[3];
  offset += ptrdiff_t(i % shape[2]) * strides[2];
  i /= shape[2];
  offset += ptrdiff_t(i % shape[1]) * strides[1];
  i /= shape[1];
  return offset + ptrdiff_t(i) * strides[0];
}

/// Word `word` of an operand that is sent: one element of 32 bits, or two of
/// 16, the last of which may be missing.
static uint32_t gather(const Instruction &instruction, const Operand &operand,
                       const char *base, uint64_t word) {
  uint32_t bits = 0;
  if (!instruction.packed) {
    std::memcpy(&bits, base + offsetOf(instruction, operand, word), 4);
    return bits;
  }
  uint16_t half = 0;
  std::memcpy(&half, base + offsetOf(instruction, operand, 2 * word), 2);
  bits = half;
  if (2 * word + 1 < instruction.elements) {
    std::memcpy(&half, base + offsetOf(instruction, operand, 2 * word + 1), 2);
    bits |= uint32_t(half) << 16;
  }
  return bits;
}

static bool stores(const Instruction &instruction, const Addresses &x,
                   uint64_t element) {
  if (!x.predicate)
    return true;
  int32_t value;
  std::memcpy(
      &value,
      x.predicate + offsetOf(instruction, instruction.predicate, element), 4);
  return value != 0;
}

/// Stores a word that came in, folding where the instruction says so.
static void scatter(const Instruction &instruction, const Addresses &x,
                    uint64_t word, uint32_t value) {
  if (!instruction.packed) {
    if (!stores(instruction, x, word))
      return;
    char *at = x.dst + offsetOf(instruction, instruction.dst, word);
    if (instruction.fold) {
      uint32_t old;
      std::memcpy(&old, at, 4);
      value = instruction.fold(old, value);
    }
    std::memcpy(at, &value, 4);
    return;
  }
  for (unsigned k = 0; k < 2; ++k) {
    uint64_t element = 2 * word + k;
    if (element >= instruction.elements || !stores(instruction, x, element))
      continue;
    char *at = x.dst + offsetOf(instruction, instruction.dst, element);
    auto half = static_cast<uint16_t>(value >> (16 * k));
    if (instruction.fold) {
      uint16_t old;
      std::memcpy(&old, at, 2);
      half = static_cast<uint16_t>(instruction.fold(old, half));
    }
    std::memcpy(at, &half, 2);
  }
}

/// The earliest stamp of a stream's next word, credits aside: one per cycle,
/// and where the target says so one more cycle after every burst.
static uint64_t earliestPut(const Channels::Out &out, uint64_t ready,
                            const image::TargetT &target) {
  if (out.count == 0)
    return ready;
  bool pause = machine::MachineModel(target).pausesAfter(out.count);
  return std::max(ready, out.next + (pause ? 1 : 0));
}

bool Reference::send(uint32_t pe, uint32_t actor, Thread &thread) {
  const Instruction &instruction = *thread.current;
  uint32_t producer = streams.sourceOf(pe, instruction.outColor);
  Channels::Out &out = channels.producers[producer];
  uint64_t before = thread.word;
  while (thread.word < instruction.words) {
    uint64_t stamp = earliestPut(out, thread.clock, target);
    if (!channels.hasCredit(producer, stamp)) {
      out.waiter = actor;
      thread.waits = Waits::Credit;
      break;
    }
    put(producer, stamp,
        abstract ? 0
                 : gather(instruction, instruction.a, thread.addresses.a,
                          thread.word),
        instruction.node);
    thread.clock = stamp + 1;
    ++thread.word;
  }
  thread.busy += thread.word - before;
  if (thread.word != before)
    wakeConsumers(producer);
  return thread.word == instruction.words;
}

bool Reference::receive(uint32_t pe, uint32_t actor, Thread &thread) {
  const Instruction &instruction = *thread.current;
  uint32_t consumer = streams.sinkOf(pe, instruction.inColor);
  uint64_t before = thread.word;
  while (thread.word < instruction.words) {
    if (!channels.hasWord(consumer)) {
      channels.consumers[consumer].waiter = actor;
      thread.waits = Waits::Word;
      break;
    }
    uint64_t stamp = std::max(thread.clock, channels.arrival(consumer));
    if (!abstract)
      scatter(instruction, thread.addresses, thread.word,
              channels.value(consumer));
    take(consumer, stamp);
    thread.clock = stamp + 1;
    ++thread.word;
  }
  thread.busy += thread.word - before;
  if (thread.word != before)
    wakeProducer(consumer);
  return thread.word == instruction.words;
}

/// recv_fold_send holds one word: the next is taken when this one is put.
bool Reference::pass(uint32_t pe, uint32_t actor, Thread &thread) {
  const Instruction &instruction = *thread.current;
  uint32_t consumer = streams.sinkOf(pe, instruction.inColor);
  uint32_t producer = streams.sourceOf(pe, instruction.outColor);
  Channels::Out &out = channels.producers[producer];
  uint64_t taken = channels.consumers[consumer].count, before = out.count;
  while (thread.word < instruction.words) {
    if (!thread.holds) {
      if (!channels.hasWord(consumer)) {
        channels.consumers[consumer].waiter = actor;
        thread.waits = Waits::Word;
        break;
      }
      uint64_t stamp = std::max(thread.clock, channels.arrival(consumer));
      thread.held = channels.value(consumer);
      take(consumer, stamp);
      thread.clock = stamp + 1;
      thread.busy += 1;
      thread.holds = true;
    }
    uint64_t ready = thread.clock - 1 + target.forward_cycles;
    uint64_t stamp = earliestPut(out, ready, target);
    if (!channels.hasCredit(producer, stamp)) {
      out.waiter = actor;
      thread.waits = Waits::Credit;
      break;
    }
    uint32_t value = 0;
    if (!abstract)
      value = instruction.fold(
          thread.held,
          gather(instruction, instruction.a, thread.addresses.a, thread.word));
    put(producer, stamp, value, instruction.node);
    // put >= take + forward, so this does not wrap.
    thread.clock = std::max(thread.clock, stamp - target.forward_cycles + 1);
    thread.holds = false;
    if (++thread.word == instruction.words)
      thread.clock = stamp + 1;
  }
  if (channels.consumers[consumer].count != taken)
    wakeProducer(consumer);
  if (out.count != before)
    wakeConsumers(producer);
  return thread.word == instruction.words;
}

} // namespace waferloom::executor
