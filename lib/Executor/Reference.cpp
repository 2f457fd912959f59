// The reference engine: every PE runs its program as far as it can, then waits
// for a word, for room, or for a microthread, and is woken when there is
// something new. All stamps are maxima and sums of other stamps, and each
// instruction's predecessors are fixed by program and stream order, so the
// order in which PEs run changes neither values nor cycles.

#include "Channels.h"
#include "Engine.h"
#include "Hang.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/FormatVariadic.h"
#include <cstring>

using namespace llvm;

namespace waferloom::executor {

namespace {
enum class Waits : uint8_t { Nothing, Word, Room, Thread };

/// A program counter with a clock: the main program of a PE or a microthread.
struct Thread {
  const Instruction *current = nullptr; // begun and not finished
  Addresses addresses;
  uint64_t clock = 0;
  uint64_t busy = 0;  // cycles of work so far
  uint64_t begun = 0; // clock and work when `current` began
  uint64_t begunBusy = 0;
  uint64_t word = 0;  // of `current`
  bool holds = false; // recv_fold_send: word is taken but not put
  uint32_t held = 0;
  bool done = true;
  bool queued = false;
  Waits waits = Waits::Nothing;
};

struct Loop {
  uint32_t begin, end;
  uint32_t left, iteration;
};

/// What a microthread's wait needs to know of its start.
struct Started {
  uint64_t clock = 0, busy = 0;
  bool waited = false;
};

struct Pe {
  const Program *program = nullptr;
  char *memory = nullptr;
  uint32_t counter = 0;
  SmallVector<Loop, 4> loops;
  SmallVector<Started, 1> started;
};

class Reference : public Engine {
public:
  Reference(const image::ImageT &image, const PreparedEntry &prepared,
            const Streams &streams, std::vector<Memory> &memories)
      : image(image), target(*image.target), prepared(prepared),
        streams(streams), memories(memories), channels(streams) {
    for (const RegionPrograms &region : prepared.regions)
      for (const Program &program : region.programs)
        slots = std::max(slots, program.threads + 1);
    pes.resize(streams.places.size());
    std::vector<uint32_t> within(image.regions.size());
    for (size_t i = 0; i < pes.size(); ++i) {
      const Place &at = streams.places[i];
      pes[i].program = &prepared.regions[at.region].programs[at.program];
      pes[i].started.resize(slots);
      inRegion.push_back(within[at.region]++);
    }
    threads.resize(pes.size() * slots);
    gateStates.resize(streams.gates.size());
  }

  Error run(const EngineOptions &options, EngineResult &result) override;

private:
  struct GateState {
    uint32_t turn = 0, given = 0;
    bool queued = false;
  };

  void start(const EngineOptions &options);
  void runActor(uint32_t actor);
  void runMain(uint32_t pe);
  void runThread(uint32_t pe, uint32_t slot);
  void runGate(uint32_t gate);

  bool fetch(uint32_t pe, Thread &thread);
  bool control(uint32_t pe, Thread &thread, const Instruction &instruction);
  void launchThread(uint32_t pe, Thread &main, const Instruction &instruction);
  bool waitFor(uint32_t pe, Thread &main, const Instruction &instruction);
  bool begin(uint32_t pe, Thread &thread, const Instruction &instruction);
  bool execute(uint32_t pe, uint32_t slot, Thread &thread);
  bool send(uint32_t pe, uint32_t actor, Thread &thread);
  bool receive(uint32_t pe, uint32_t actor, Thread &thread);
  bool pass(uint32_t pe, uint32_t actor, Thread &thread);
  bool spend(uint64_t elements);
  void finish(uint32_t pe, Thread &thread, const Instruction &instruction);

  const char *resolve(uint32_t pe, const Operand &operand);
  uint64_t moved(const Pe &pe, Range steps, uint64_t address) const;

  void enqueue(uint32_t actor);
  void wakeConsumers(uint32_t producer);
  void wakeProducer(uint32_t consumer);
  Error report() const;

  Thread &mainOf(uint32_t pe) { return threads[size_t(pe) * slots]; }
  uint32_t actorOf(uint32_t pe, uint32_t slot) const {
    return pe * slots + slot;
  }

  const image::ImageT &image;
  const image::TargetT &target;
  const PreparedEntry &prepared;
  const Streams &streams;
  std::vector<Memory> &memories;
  Channels channels;
  uint32_t slots = 1; // threads per PE: the main program and microthreads
  std::vector<Pe> pes;
  std::vector<uint32_t> inRegion;
  std::vector<Thread> threads;
  std::vector<GateState> gateStates;
  std::vector<uint32_t> queue;
  size_t queueHead = 0;
  std::vector<Spent> spent; // PE-major, one per account
  uint64_t instructions = 0, words = 0, work = 0, workLimit = 0;
  std::string failure; // a value out of its range stops the run
};
} // namespace

//===-- Scheduling --------------------------------------------------------===//

void Reference::enqueue(uint32_t actor) {
  bool &queued = actor < threads.size()
                     ? threads[actor].queued
                     : gateStates[actor - threads.size()].queued;
  if (queued)
    return;
  queued = true;
  queue.push_back(actor);
}

/// New words may let consumers go on.
void Reference::wakeConsumers(uint32_t producer) {
  const Producer &info = streams.producers[producer];
  for (uint32_t c = info.consumers.first, end = c + info.consumers.count;
       c < end; ++c) {
    if (streams.consumers[c].gate != none) {
      enqueue(static_cast<uint32_t>(threads.size()) +
              streams.consumers[c].gate);
    } else if (channels.consumers[c].waiter != none) {
      enqueue(channels.consumers[c].waiter);
      channels.consumers[c].waiter = none;
    }
  }
}

/// New room may let the producer go on.
void Reference::wakeProducer(uint32_t consumer) {
  uint32_t producer = streams.consumers[consumer].producer;
  uint32_t gate = streams.producers[producer].gate;
  if (gate != none) {
    enqueue(static_cast<uint32_t>(threads.size()) + gate);
  } else if (channels.producers[producer].waiter != none) {
    enqueue(channels.producers[producer].waiter);
    channels.producers[producer].waiter = none;
  }
}

void Reference::start(const EngineOptions &options) {
  channels.reset();
  queue.clear();
  queueHead = 0;
  failure.clear();
  instructions = words = work = 0;
  workLimit = options.workLimit;
  spent.assign(pes.size() * prepared.accounts.size(), Spent());
  for (GateState &gate : gateStates)
    gate = GateState();
  for (Thread &thread : threads)
    thread = Thread();
  for (uint32_t i = 0; i < pes.size(); ++i) {
    Pe &pe = pes[i];
    pe.memory = memories[streams.places[i].region].of(inRegion[i]);
    pe.counter = 0;
    pe.loops.clear();
    for (Started &started : pe.started)
      started = Started();
    Thread &main = mainOf(i);
    main.done = false;
    main.clock = options.launch ? target.launch_cycles : 0;
    enqueue(actorOf(i, 0));
  }
}

Error Reference::run(const EngineOptions &options, EngineResult &result) {
  start(options);
  while (queueHead < queue.size()) {
    uint32_t actor = queue[queueHead++];
    // The queue is a ring without a fixed size: drop what is done.
    if (queueHead > 4096 && queueHead * 2 > queue.size()) {
      queue.erase(queue.begin(), queue.begin() + queueHead);
      queueHead = 0;
    }
    runActor(actor);
    if (!failure.empty())
      return createStringError(failure);
  }
  for (const Thread &thread : threads)
    if (!thread.done)
      return report();

  result = EngineResult();
  for (uint32_t pe = 0; pe < pes.size(); ++pe) {
    uint64_t end = 0;
    for (uint32_t slot = 0; slot < slots; ++slot)
      end = std::max(end, threads[actorOf(pe, slot)].clock);
    if (end > result.cycles) {
      result.cycles = end;
      result.last = pe;
    }
  }
  size_t accounts = prepared.accounts.size();
  auto first = spent.begin() + result.last * accounts;
  result.spent.assign(first, first + accounts);
  result.instructions = instructions;
  result.words = words;
  return Error::success();
}

void Reference::runActor(uint32_t actor) {
  if (actor >= threads.size()) {
    auto gate = static_cast<uint32_t>(actor - threads.size());
    gateStates[gate].queued = false;
    return runGate(gate);
  }
  threads[actor].queued = false;
  if (threads[actor].done)
    return;
  uint32_t pe = actor / slots, slot = actor % slots;
  if (slot == 0)
    runMain(pe);
  else
    runThread(pe, slot);
}

/// Passes words on as inputs have their turns.
void Reference::runGate(uint32_t index) {
  const Gate &gate = streams.gates[index];
  GateState &state = gateStates[index];
  bool moved = false;
  while (true) {
    const GateTurn &turn = streams.turns[gate.turns.first + state.turn];
    if (!channels.hasWord(turn.consumer))
      break;
    uint64_t stamp = std::max(channels.arrival(turn.consumer),
                              channels.producers[gate.producer].next);
    if (!channels.hasRoom(gate.producer, stamp))
      break;
    channels.put(gate.producer, stamp, channels.value(turn.consumer));
    channels.take(turn.consumer, stamp);
    wakeProducer(turn.consumer);
    moved = true;
    if (++state.given == turn.words) {
      state.given = 0;
      state.turn = (state.turn + 1) % gate.turns.count;
    }
  }
  if (moved)
    wakeConsumers(gate.producer);
}

//===-- Programs ----------------------------------------------------------===//

void Reference::runMain(uint32_t pe) {
  Thread &thread = mainOf(pe);
  while (true) {
    if (!thread.current && !fetch(pe, thread))
      return;
    if (!execute(pe, 0, thread))
      return;
  }
}

void Reference::runThread(uint32_t pe, uint32_t slot) {
  Thread &thread = threads[actorOf(pe, slot)];
  if (!execute(pe, slot, thread))
    return;
  thread.done = true;
  Thread &main = mainOf(pe);
  if (main.waits == Waits::Thread)
    enqueue(actorOf(pe, 0));
}

/// Moves to the next instruction of the main program that takes part in
/// arithmetic or streams, and begins it. False: ended, or waits.
bool Reference::fetch(uint32_t index, Thread &thread) {
  Pe &pe = pes[index];
  const std::vector<Instruction> &program = pe.program->instructions;
  while (true) {
    while (!pe.loops.empty() && pe.counter == pe.loops.back().end) {
      Loop &loop = pe.loops.back();
      if (--loop.left == 0) {
        pe.loops.pop_back();
        continue;
      }
      ++loop.iteration;
      pe.counter = loop.begin;
      break;
    }
    if (pe.counter >= program.size()) {
      thread.done = true;
      return false;
    }
    const Instruction &next = program[pe.counter];
    if (image::isControl(next.op)) {
      if (!spend(1) || !control(index, thread, next))
        return false;
      continue;
    }
    ++pe.counter;
    if (next.thread >= 0) {
      launchThread(index, thread, next);
      if (!failure.empty())
        return false;
      continue;
    }
    return begin(index, thread, next);
  }
}

bool Reference::control(uint32_t index, Thread &thread,
                        const Instruction &instruction) {
  Pe &pe = pes[index];
  switch (instruction.op) {
  case Opcode::loop:
    ++pe.counter;
    if (instruction.count == 0 || instruction.end == pe.counter)
      pe.counter = instruction.end;
    else
      pe.loops.push_back({pe.counter, instruction.end, instruction.count, 0});
    return true;
  case Opcode::wait:
    if (!waitFor(index, thread, instruction))
      return false;
    ++pe.counter;
    return true;
  case Opcode::rewrite:
    thread.begun = thread.clock;
    thread.begunBusy = thread.busy;
    thread.clock += instruction.rewrite;
    thread.busy += instruction.rewrite;
    finish(index, thread, instruction);
    ++pe.counter;
    return true;
  default: // end
    pe.loops.clear();
    pe.counter = static_cast<uint32_t>(pe.program->instructions.size());
    return true;
  }
}

/// The thread begins now; the main program goes on one cycle later.
void Reference::launchThread(uint32_t index, Thread &main,
                             const Instruction &instruction) {
  uint32_t slot = static_cast<uint32_t>(instruction.thread) + 1;
  Thread &thread = threads[actorOf(index, slot)];
  main.clock += instruction.rewrite;
  main.busy += instruction.rewrite;
  thread = Thread();
  thread.done = false;
  thread.clock = main.clock;
  Started &started = pes[index].started[slot];
  started.clock = main.clock;
  started.busy = main.busy;
  if (!begin(index, thread, instruction))
    return;
  main.clock += 1;
  enqueue(actorOf(index, slot));
}

/// One datapath serves both: the wait ends when the thread has, and not before
/// all work since the start could have been done.
bool Reference::waitFor(uint32_t index, Thread &main,
                        const Instruction &instruction) {
  uint32_t slot = static_cast<uint32_t>(instruction.thread) + 1;
  const Thread &thread = threads[actorOf(index, slot)];
  if (!thread.done) {
    main.waits = Waits::Thread;
    return false;
  }
  main.waits = Waits::Nothing;
  const Started &started = pes[index].started[slot];
  uint64_t before = main.clock;
  main.busy += thread.busy;
  main.clock = std::max(main.clock, thread.clock);
  main.clock = std::max(main.clock, started.clock + main.busy - started.busy);
  main.clock += 1;
  ++instructions;
  if (!prepared.accounts.empty())
    spent[index * prepared.accounts.size() + instruction.account].wait +=
        main.clock - before;
  return true;
}

uint64_t Reference::moved(const Pe &pe, Range steps, uint64_t address) const {
  for (uint32_t i = 0; i < steps.count; ++i) {
    const image::LoopStep &step = pe.program->steps[steps.first + i];
    address += static_cast<uint64_t>(int64_t(pe.loops[step.depth()].iteration) *
                                     step.bytes());
  }
  return address;
}

/// The address of an operand's first element, now.
const char *Reference::resolve(uint32_t index, const Operand &operand) {
  if (!operand.present)
    return nullptr;
  if (operand.immediate)
    return reinterpret_cast<const char *>(&operand.bits);
  const Pe &pe = pes[index];
  uint64_t address = moved(pe, operand.steps, operand.base);
  if (operand.indexScale != 0) {
    int32_t value;
    std::memcpy(&value,
                pe.memory + moved(pe, operand.indexSteps, operand.indexAt), 4);
    if (value < 0 || static_cast<uint32_t>(value) >= operand.indexCount) {
      failure =
          formatv("PE {0}: an index is {1} but must be in [0, {2})",
                  nameOf(streams.places[index]), value, operand.indexCount)
              .str();
      return nullptr;
    }
    address += static_cast<uint64_t>(int64_t(value) * operand.indexScale);
  }
  return pe.memory + address;
}

/// Pays for descriptors and issue, and fixes the operands' addresses.
bool Reference::begin(uint32_t index, Thread &thread,
                      const Instruction &instruction) {
  thread.current = &instruction;
  thread.begun = thread.clock;
  thread.begunBusy = thread.busy;
  thread.word = 0;
  thread.holds = false;
  uint64_t prologue =
      target.issue_cycles + (instruction.thread < 0 ? instruction.rewrite : 0);
  thread.clock += prologue;
  thread.busy += prologue;
  Addresses &x = thread.addresses;
  x.dst = const_cast<char *>(resolve(index, instruction.dst));
  x.a = resolve(index, instruction.a);
  x.b = resolve(index, instruction.b);
  x.c = resolve(index, instruction.c);
  x.predicate = resolve(index, instruction.predicate);
  if (!failure.empty()) {
    failure += formatv(" (instruction {0}, {1}, node '{2}')", instruction.index,
                       image::EnumNameOpcode(instruction.op),
                       image.names[instruction.node])
                   .str();
    return false;
  }
  return spend(instruction.elements);
}

/// Counts work against the run's limit.
bool Reference::spend(uint64_t elements) {
  work += elements;
  if (workLimit == 0 || work <= workLimit)
    return true;
  failure =
      formatv("stopped after {0} elements, the limit of this run", workLimit)
          .str();
  return false;
}

void Reference::finish(uint32_t pe, Thread &thread,
                       const Instruction &instruction) {
  uint64_t busy = thread.busy - thread.begunBusy;
  Spent &entry = spent[pe * prepared.accounts.size() + instruction.account];
  entry.busy += busy;
  uint64_t elapsed = thread.clock - thread.begun;
  // A microthread's waiting is seen by the wait of the main program.
  if (instruction.thread < 0)
    entry.wait += elapsed - std::min(elapsed, busy);
  ++instructions;
  thread.current = nullptr;
}

/// Goes on with the current instruction; true when it has finished.
bool Reference::execute(uint32_t pe, uint32_t slot, Thread &thread) {
  const Instruction &instruction = *thread.current;
  uint32_t actor = actorOf(pe, slot);
  thread.waits = Waits::Nothing;
  bool ended = true;
  switch (instruction.op) {
  case Opcode::send:
    ended = send(pe, actor, thread);
    break;
  case Opcode::recv:
  case Opcode::recv_fold:
    ended = receive(pe, actor, thread);
    break;
  case Opcode::recv_fold_send:
    ended = pass(pe, actor, thread);
    break;
  default:
    instruction.kernel(instruction, thread.addresses);
    thread.clock += instruction.work;
    thread.busy += instruction.work;
  }
  if (ended) {
    words += instruction.words;
    finish(pe, thread, instruction);
  }
  return ended;
}

//===-- Streams -----------------------------------------------------------===//

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

/// The earliest stamp of a stream's next word, room aside: one per cycle, and
/// where the target says so one more cycle after every burst.
static uint64_t earliestPut(const Channels::Out &out, uint64_t ready,
                            const image::TargetT &target) {
  if (out.count == 0)
    return ready;
  bool pause =
      target.words_per_burst != 0 && out.count % target.words_per_burst == 0;
  return std::max(ready, out.next + (pause ? 1 : 0));
}

bool Reference::send(uint32_t pe, uint32_t actor, Thread &thread) {
  const Instruction &instruction = *thread.current;
  uint32_t producer = streams.sourceOf(pe, instruction.outColor);
  Channels::Out &out = channels.producers[producer];
  uint64_t before = thread.word;
  while (thread.word < instruction.words) {
    uint64_t stamp = earliestPut(out, thread.clock, target);
    if (!channels.hasRoom(producer, stamp)) {
      out.waiter = actor;
      thread.waits = Waits::Room;
      break;
    }
    channels.put(
        producer, stamp,
        gather(instruction, instruction.a, thread.addresses.a, thread.word));
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
    scatter(instruction, thread.addresses, thread.word,
            channels.value(consumer));
    channels.take(consumer, stamp);
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
  uint64_t taken = channels.consumers[consumer].count, put = out.count;
  while (thread.word < instruction.words) {
    if (!thread.holds) {
      if (!channels.hasWord(consumer)) {
        channels.consumers[consumer].waiter = actor;
        thread.waits = Waits::Word;
        break;
      }
      uint64_t stamp = std::max(thread.clock, channels.arrival(consumer));
      thread.held = channels.value(consumer);
      channels.take(consumer, stamp);
      thread.clock = stamp + 1;
      thread.busy += 1;
      thread.holds = true;
    }
    uint64_t ready = thread.clock - 1 + target.forward_cycles;
    uint64_t stamp = earliestPut(out, ready, target);
    if (!channels.hasRoom(producer, stamp)) {
      out.waiter = actor;
      thread.waits = Waits::Room;
      break;
    }
    uint32_t own =
        gather(instruction, instruction.a, thread.addresses.a, thread.word);
    channels.put(producer, stamp, instruction.fold(thread.held, own));
    // put >= take + forward, so this does not wrap.
    thread.clock = std::max(thread.clock, stamp - target.forward_cycles + 1);
    thread.holds = false;
    if (++thread.word == instruction.words)
      thread.clock = stamp + 1;
  }
  if (channels.consumers[consumer].count != taken)
    wakeProducer(consumer);
  if (out.count != put)
    wakeConsumers(producer);
  return thread.word == instruction.words;
}

//===-- Quiescence --------------------------------------------------------===//

Error Reference::report() const {
  std::vector<Waiting> list;
  for (uint32_t actor = 0; actor < threads.size(); ++actor) {
    const Thread &thread = threads[actor];
    if (thread.done)
      continue;
    uint32_t pe = actor / slots;
    Waiting waiting;
    waiting.place = streams.places[pe];
    waiting.thread = static_cast<int>(actor % slots) - 1;
    const Instruction *instruction = thread.current;
    if (!instruction) {
      instruction = &pes[pe].program->instructions[pes[pe].counter];
      waiting.forThread = instruction->thread;
    }
    waiting.instruction = instruction->index;
    waiting.op = instruction->op;
    waiting.node = image.names[instruction->node];
    waiting.word = thread.word;
    waiting.words = instruction->words;
    waiting.forRoom = thread.waits == Waits::Room;
    waiting.color =
        waiting.forRoom ? instruction->outColor : instruction->inColor;
    if (thread.waits == Waits::Word) {
      uint32_t consumer = streams.sinkOf(pe, waiting.color);
      uint32_t from = streams.consumers[consumer].producer;
      waiting.source = nameOf(streams.places[streams.producers[from].pe]);
    }
    list.push_back(std::move(waiting));
  }
  return createStringError(describeHang(list));
}

std::unique_ptr<Engine> createReferenceEngine(const image::ImageT &image,
                                              const PreparedEntry &prepared,
                                              const Streams &streams,
                                              std::vector<Memory> &memories) {
  return std::make_unique<Reference>(image, prepared, streams, memories);
}

} // namespace waferloom::executor
