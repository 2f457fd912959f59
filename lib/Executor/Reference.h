// The reference engine's state: one thread per program and microthread, one
// small state per router that takes turns, and a queue of those that can go on.

#ifndef WAFERLOOM_LIB_EXECUTOR_REFERENCE_H
#define WAFERLOOM_LIB_EXECUTOR_REFERENCE_H

#include "Channels.h"
#include "Engine.h"
#include "ReferenceLinks.h"
#include "ReferenceRecord.h"
#include "llvm/ADT/SmallVector.h"
#include <string>
#include <vector>

namespace waferloom::executor {

enum class Waits : uint8_t { Nothing, Word, Credit, Thread };

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
  const Instruction *instructions = nullptr; // of its region
  const image::LoopStep *steps = nullptr;
  char *memory = nullptr;
  uint32_t counter = 0;
  uint64_t begun = 0; // instructions so far
  llvm::SmallVector<Loop, 4> loops;
  llvm::SmallVector<Started, 1> started;
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
      const RegionPrograms &region = prepared.regions[at.region];
      pes[i].program = &region.programs[at.program];
      pes[i].instructions = region.instructions.data();
      pes[i].steps = region.steps.data();
      pes[i].started.resize(slots);
      inRegion.push_back(within[at.region]++);
    }
    threads.resize(pes.size() * slots);
    gateStates.resize(streams.gates.size());
  }

  llvm::Error run(const EngineOptions &options, EngineResult &result) override;
  std::unique_ptr<Engine> onto(std::vector<Memory> &memories,
                               Workers &) const override {
    return createReferenceEngine(image, prepared, streams, memories);
  }

private:
  struct GateState {
    uint32_t turn = 0, given = 0;
    bool queued = false;
  };

  void start(const EngineOptions &options);
  llvm::Error runOnce(const EngineOptions &options, EngineResult &result);
  llvm::Error waitForLinks(const EngineOptions &options);
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
  bool isInterrupted(uint64_t work);
  void finish(uint32_t pe, Thread &thread, const Instruction &instruction);

  const char *resolve(uint32_t pe, const Operand &operand);
  uint64_t moved(const Pe &pe, Range steps, uint64_t address) const;

  void put(uint32_t producer, uint64_t stamp, uint32_t value, uint32_t node) {
    channels.put(producer, stamp, value);
    if (links)
      links->put(producer, stamp, node);
    if (record)
      record->put(producer, stamp);
  }
  void take(uint32_t consumer, uint64_t stamp) {
    channels.take(consumer, stamp);
    if (record)
      record->take(consumer, stamp);
  }

  void enqueue(uint32_t actor);
  void wakeConsumers(uint32_t producer);
  void wakeProducer(uint32_t consumer);
  llvm::Error report() const;

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
  uint64_t instructions = 0, words = 0;
  bool abstract = false;
  Trace *trace = nullptr;
  std::unique_ptr<ReferenceRecord> record; // for the critical path
  std::unique_ptr<ReferenceLinks> links;
  Holds holds; // what waits for links
  const std::map<uint32_t, Stop> *stops = nullptr;
  Interrupt *interrupt = nullptr;
  std::string failure; // a value out of its range stops the run
};
} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_REFERENCE_H
