// The reference engine: every PE runs its program as far as it can, then waits
// for a word, for a credit, or for a microthread, and is woken when there is
// something new. All stamps are maxima and sums of other stamps, and each
// instruction's predecessors are fixed by program and stream order, so the
// order in which PEs run changes neither values nor cycles.

#include "Reference.h"
#include "Channels.h"
#include "Hang.h"
#include "HostNeeds.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;

namespace waferloom::executor {

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

/// A new credit may let the producer go on.
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
  abstract = options.abstract;
  trace = options.trace;
  record.reset();
  if (options.critical)
    record = std::make_unique<ReferenceRecord>(streams, slots);
  links.reset();
  if (!options.narrow)
    links = std::make_unique<ReferenceLinks>(streams, target);
  channels.reset(options.narrow, &holds);
  stops = options.stops;
  queue.clear();
  queueHead = 0;
  failure.clear();
  instructions = words = 0;
  interrupt = options.interrupt;
  spent.assign(pes.size() * prepared.accounts.size(), Spent());
  for (GateState &gate : gateStates)
    gate = GateState();
  for (Thread &thread : threads)
    thread = Thread();
  for (uint32_t i = 0; i < pes.size(); ++i) {
    Pe &pe = pes[i];
    pe.memory = memories[streams.places[i].region].of(inRegion[i]);
    pe.counter = 0;
    pe.begun = 0;
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
  uint64_t steps = prepared.effort.steps;
  if (options.abstract && options.workLimit != 0 && steps > options.workLimit)
    return createStringError(
        formatv("to count these cycles {0} instructions and words have to be "
                "followed one by one, more than the limit of {1}; a higher "
                "work limit allows it",
                steps, options.workLimit)
            .str());
  if (uint64_t bytes = ReferenceRecord::bytesFor(prepared.effort);
      options.critical && bytes > hostMemory() / 2)
    return createStringError(
        formatv("the critical path of these {0} instructions and words, which "
                "have to be followed one by one, needs {1} MiB, more than half "
                "of this host's {2}; --cycles counts without it",
                steps, bytes >> 20, hostMemory() >> 20)
            .str());
  // Also where the run ends with an error.
  scope_exit forget([&] {
    record.reset();
    links.reset();
    holds = Holds();
  });
  holds = Holds();
  if (Error error = waitForLinks(options))
    return error;
  return runOnce(options, result);
}

/// Finds out which words wait for links, by runs without values.
Error Reference::waitForLinks(const EngineOptions &options) {
  if (options.narrow ||
      none_of(streams.ways, [](const Way &way) { return way.isShared; }))
    return Error::success();
  EngineOptions abstract;
  abstract.abstract = true;
  abstract.launch = options.launch;
  abstract.interrupt = options.interrupt;
  abstract.stops = options.stops;
  holds = Holds(streams.producers.size(), streams.consumers.size());
  while (true) {
    EngineResult result;
    if (Error error = runOnce(abstract, result))
      return error;
    Holds found = links->arbitrate();
    if (found == holds)
      return Error::success();
    holds = std::move(found);
  }
}

Error Reference::runOnce(const EngineOptions &options, EngineResult &result) {
  start(options);
  while (queueHead < queue.size()) {
    uint32_t actor = queue[queueHead++];
    // The queue is a ring without a fixed size: drop what is done.
    if (queueHead > 4096 && queueHead * 2 > queue.size()) {
      queue.erase(queue.begin(), queue.begin() + queueHead);
      queueHead = 0;
    }
    if (!isInterrupted(64))
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
    result.end(pe, streams.places[pe].stage, end);
  }
  size_t accounts = prepared.accounts.size();
  for (StageEnd &stage : result.stages) {
    auto first = spent.begin() + stage.pe * accounts;
    stage.spent.assign(first, first + accounts);
  }
  result.instructions = instructions;
  result.words = words;
  if (links)
    result.shared = links->count();
  result.isArbitrated = result.shared.has_value();
  if (record)
    *options.critical =
        walkPath(*record, prepared, streams, target, result.last, result.cycles,
                 options.launch ? target.launch_cycles : 0);
  return Error::success();
}

/// The run then fails.
bool Reference::isInterrupted(uint64_t work) {
  if (!interrupt || !interrupt->due(work))
    return false;
  failure = Interrupt::message;
  return true;
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
    if (!channels.hasCredit(gate.producer, stamp))
      break;
    if (record)
      record->pass(index, turn.consumer);
    put(gate.producer, stamp, channels.value(turn.consumer), none);
    take(turn.consumer, stamp);
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
      instruction =
          &pes[pe].instructions[pes[pe].program->order[pes[pe].counter]];
      waiting.forThread = instruction->thread;
    }
    waiting.instruction = instruction->index;
    waiting.op = instruction->op;
    waiting.node = image.names[instruction->node];
    waiting.word = thread.word;
    waiting.words = instruction->words;
    waiting.forCredit = thread.waits == Waits::Credit;
    waiting.color =
        waiting.forCredit ? instruction->outColor : instruction->inColor;
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
