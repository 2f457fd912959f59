// Programs of the reference engine: loops, operands, microthreads, arithmetic.

#include "Hang.h"
#include "Reference.h"
#include "waferloom/Executor/Trace.h"
#include "llvm/Support/FormatVariadic.h"
#include <cstring>

using namespace llvm;

namespace waferloom::executor {

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
  const std::vector<uint32_t> &order = pe.program->order;
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
    if (pe.counter >= order.size()) {
      thread.done = true;
      return false;
    }
    const Instruction &next = pe.instructions[order[pe.counter]];
    if (image::isControl(next.op)) {
      if (isInterrupted(1) || !control(index, thread, next))
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
  case Opcode::loop: {
    uint32_t end = pe.program->ends[pe.counter++];
    if (instruction.count == 0 || end == pe.counter)
      pe.counter = end;
    else
      pe.loops.push_back({pe.counter, end, instruction.count, 0});
    return true;
  }
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
    if (record)
      record->lead(index, instruction.rewrite);
    finish(index, thread, instruction);
    ++pe.counter;
    return true;
  default: // end
    pe.loops.clear();
    pe.counter = static_cast<uint32_t>(pe.program->order.size());
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
  if (record)
    record->start(index, instruction, main.clock, pes[index].begun);
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
  if (record)
    record->wait(index, instruction, before, main.clock, pes[index].begun);
  if (!prepared.accounts.empty())
    spent[index * prepared.accounts.size() + instruction.account].wait +=
        main.clock - before;
  if (trace)
    trace->add({streams.places[index].x, streams.places[index].y, -1,
                instruction.op, instruction.node, before, main.clock, 0});
  return true;
}

uint64_t Reference::moved(const Pe &pe, Range steps, uint64_t address) const {
  for (uint32_t i = 0; i < steps.count; ++i) {
    const image::LoopStep &step = pe.steps[steps.first + i];
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
      failure = describeIndex(streams.places[index], value, operand.indexCount);
      return nullptr;
    }
    address += static_cast<uint64_t>(int64_t(value) * operand.indexScale);
  }
  return pe.memory + address;
}

/// Pays for descriptors and issue, and fixes the operands' addresses.
bool Reference::begin(uint32_t index, Thread &thread,
                      const Instruction &instruction) {
  if (isInterrupted(16 + (abstract ? 0 : instruction.elements)))
    return false;
  thread.current = &instruction;
  thread.begun = thread.clock;
  thread.begunBusy = thread.busy;
  thread.word = 0;
  thread.holds = false;
  if (record)
    record->begin(index, instruction, thread.clock, pes[index].begun);
  uint64_t prologue =
      target.issue_cycles + (instruction.thread < 0 ? instruction.rewrite : 0);
  thread.clock += prologue;
  thread.busy += prologue;
  uint64_t begun = pes[index].begun++;
  if (stops)
    if (auto it = stops->find(index);
        it != stops->end() && it->second.begun == begun) {
      failure = it->second.message;
      return false;
    }
  if (abstract)
    return true;
  Addresses &x = thread.addresses;
  x.dst = const_cast<char *>(resolve(index, instruction.dst));
  x.a = resolve(index, instruction.a);
  x.b = resolve(index, instruction.b);
  x.c = resolve(index, instruction.c);
  x.predicate = resolve(index, instruction.predicate);
  if (!failure.empty()) {
    failure += describeInstruction(image, instruction);
    return false;
  }
  return true;
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
  if (trace)
    trace->add({streams.places[pe].x, streams.places[pe].y, instruction.thread,
                instruction.op, instruction.node, thread.begun, thread.clock,
                busy});
  ++instructions;
  if (record && !image::isControl(instruction.op))
    record->end(pe, instruction, thread.clock);
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
    if (!abstract)
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

} // namespace waferloom::executor
