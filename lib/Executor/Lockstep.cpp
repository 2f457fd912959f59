// The lock-step engine. Values never depend on time and time depends on no
// value, so values and cycles are computed separately:
//
//   - Schedule.cpp finds, once per entry, an order in which whole instructions
//     can follow each other, for many PEs at a time: first all PEs execute what
//     they can alone, then groups of PEs exchange words, and so on. A word may
//     lie in its group's buffer for any time, so nobody waits for a credit.
//   - LaneValues.cpp executes that order. The memories of sixteen PEs are
//     interleaved word by word, so one instruction of the host does an element
//     of sixteen PEs. Blocks of PEs, and groups, are shared by threads.
//   - Timing.cpp counts cycles along the same order, once per entry, since they
//     do not depend on inputs.
//
// Both engines do the same arithmetic (Operations.h) on the same elements in
// the same order, PE by PE and stream by stream, so the bits are the same.
// Where an entry hangs, where only parts of instructions can follow each other,
// and for traces, the reference engine does the step.

#include "LaneValues.h"
#include "Timing.h"
#include "waferloom/Executor/CriticalPath.h"
#include "llvm/Support/Debug.h"

using namespace llvm;

namespace waferloom::executor {

namespace {
class Lockstep : public Engine {
public:
  Lockstep(const image::ImageT &image, const PreparedEntry &prepared,
           const Streams &streams, std::vector<Memory> &memories,
           Workers &workers)
      : image(image), prepared(prepared), streams(streams), memories(memories),
        workers(workers) {}

  Error run(const EngineOptions &options, EngineResult &result) override;
  std::unique_ptr<Engine> onto(std::vector<Memory> &memories,
                               Workers &workers) const override;

private:
  Error inReference(const EngineOptions &options, EngineResult &result);
  std::optional<EngineResult> time(const EngineOptions &options,
                                   CriticalPath *path);
  bool prepareRun(const EngineOptions &options);
  bool execute(Interrupt *interrupt, std::map<uint32_t, Stop> &stops);

  const image::ImageT &image;
  const PreparedEntry &prepared;
  const Streams &streams;
  std::vector<Memory> &memories;
  Workers &workers;
  bool scheduled = false;
  std::optional<EngineResult> timing;   // of a run that ends
  std::optional<CriticalPath> critical; // the same, if it was asked for
  std::shared_ptr<const Schedule> schedule;
  std::unique_ptr<LaneValues> values;
};
} // namespace

/// The whole step by the reference engine.
Error Lockstep::inReference(const EngineOptions &options,
                            EngineResult &result) {
  if (!options.abstract)
    for (Memory &memory : memories)
      memory.separate(workers);
  std::unique_ptr<Engine> reference =
      createReferenceEngine(image, prepared, streams, memories);
  Error error = reference->run(options, result);
  if (!options.abstract)
    for (Memory &memory : memories)
      memory.interleave(workers);
  return error;
}

/// The cycles of a run that ends, along the schedule or else by the reference
/// engine; nothing: it does not end, or is not to be counted word by word.
std::optional<EngineResult> Lockstep::time(const EngineOptions &options,
                                           CriticalPath *path) {
  std::optional<EngineResult> counted =
      timeSchedule(*image.target, prepared, streams, *schedule,
                   options.estimate, options.interrupt, path);
  if (counted || (options.interrupt && options.interrupt->is()))
    return counted;
  EngineOptions abstract;
  abstract.abstract = true;
  abstract.workLimit = options.workLimit;
  abstract.interrupt = options.interrupt;
  abstract.critical = path;
  EngineResult result;
  if (Error error = inReference(abstract, result)) {
    consumeError(std::move(error));
    return std::nullopt;
  }
  return result;
}

/// Once per entry: its cycles and its order, and its path if that is asked for.
/// False: there are none.
bool Lockstep::prepareRun(const EngineOptions &options) {
  if (!scheduled) {
    schedule = makeSchedule(prepared, streams, image.target->issue_cycles,
                            options.interrupt);
    scheduled = !(options.interrupt && options.interrupt->is());
  }
  if (!schedule)
    return false;
  std::optional<CriticalPath> walked;
  if (options.critical && !critical)
    walked.emplace();
  if (timing && !walked)
    return true;
  std::optional<EngineResult> counted =
      time(options, walked ? &*walked : nullptr);
  if (!counted)
    return false; // what is known stays: only the path may have been refused
  timing = std::move(counted);
  if (walked)
    critical = std::move(walked);
  return true;
}

/// Values of the schedule. False: the replay that finds who failed is needed.
bool Lockstep::execute(Interrupt *interrupt, std::map<uint32_t, Stop> &stops) {
  if (!values)
    values = std::make_unique<LaneValues>(image, prepared, streams, *schedule,
                                          memories);
  return values->run(workers, interrupt, stops);
}

Error Lockstep::run(const EngineOptions &options, EngineResult &result) {
  if (options.abstract || options.trace || !prepareRun(options)) {
    EngineOptions whole = options;
    whole.abstract |= options.countOnly;
    return inReference(whole, result);
  }
  std::map<uint32_t, Stop> stops;
  bool ended = options.countOnly || execute(options.interrupt, stops);
  if (options.interrupt && options.interrupt->is())
    return createStringError(Interrupt::message);
  if (!ended) {
    // Which of them the reference engine meets first depends on no value.
    EngineOptions replay = options;
    replay.abstract = true;
    replay.stops = &stops;
    return inReference(replay, result);
  }
  result = *timing;
  result.inLanes = true;
  if (options.critical)
    *options.critical = *critical;
  if (options.launch) {
    result.cycles += image.target->launch_cycles;
    for (StageEnd &stage : result.stages)
      stage.cycles += image.target->launch_cycles;
    if (options.critical)
      options.critical->delay(image.target->launch_cycles);
  }
  return Error::success();
}

std::unique_ptr<Engine> Lockstep::onto(std::vector<Memory> &memories,
                                       Workers &workers) const {
  auto copy =
      std::make_unique<Lockstep>(image, prepared, streams, memories, workers);
  copy->scheduled = scheduled;
  copy->schedule = schedule;
  copy->timing = timing;
  copy->critical = critical;
  return copy;
}

std::unique_ptr<Engine> createLockstepEngine(const image::ImageT &image,
                                             const PreparedEntry &prepared,
                                             const Streams &streams,
                                             std::vector<Memory> &memories,
                                             Workers &workers) {
  return std::make_unique<Lockstep>(image, prepared, streams, memories,
                                    workers);
}

} // namespace waferloom::executor
