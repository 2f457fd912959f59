// What every engine does: run one entry on the memory of all PEs. The reference
// engine runs PE by PE, the lock-step engine sixteen PEs at a time; both give
// the same bits and cycles.

#ifndef WAFERLOOM_LIB_EXECUTOR_ENGINE_H
#define WAFERLOOM_LIB_EXECUTOR_ENGINE_H

#include "Interrupt.h"
#include "Memory.h"
#include "Prepared.h"
#include "SharedLinks.h"
#include "Streams.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace waferloom::executor {

class Trace;
struct CriticalPath;

/// A PE's `begun`th instruction (0 is the first) fails; control instructions do
/// not count.
struct Stop {
  uint64_t begun = 0;
  std::string message;
};

struct EngineOptions {
  bool launch = false;    // every PE starts at the target's launch cycles
  uint64_t workLimit = 0; // steps (Effort) of abstract runs; 0: no limit
  Interrupt *interrupt = nullptr;
  Trace *trace = nullptr;
  CriticalPath *critical = nullptr;
  /// Words have no values: no memory is read or written. Times are as ever.
  bool abstract = false;
  /// Only times are wanted: who can, works them out without a run.
  bool countOnly = false;
  /// Messages that meet on a link pass as if they were alone.
  bool estimate = false;
  /// A word is put only when a place in its receiver's queue is free: what ends
  /// here cannot hang, whatever the inputs.
  bool narrow = false;
  /// Where abstract runs fail, by PE.
  const std::map<uint32_t, Stop> *stops = nullptr;
};

/// Busy and waiting cycles.
struct Spent {
  uint64_t busy = 0, wait = 0;
};

/// The PE of a stage that ended last; the first of them.
struct StageEnd {
  uint32_t pe = none;
  uint64_t cycles = 0;
  std::vector<Spent> spent; // one per PreparedEntry::accounts
};

struct EngineResult {
  uint64_t cycles = 0;
  uint32_t last = 0;            // PE that ended last; the first of them
  std::vector<StageEnd> stages; // by Place::stage
  uint64_t instructions = 0, words = 0;
  /// Nothing: not known.
  std::optional<SharedCounts> shared;
  bool isArbitrated = true; // every word that has to waits for its links (E33)
  // What the lock-step engine did, and not the reference engine.
  bool inLanes = false, countedInLanes = false;

  /// Takes note that a PE of `stage` has ended; PEs come in ascending order.
  void end(uint32_t pe, uint32_t stage, uint64_t at) {
    if (stage >= stages.size())
      stages.resize(stage + 1);
    if (stages[stage].pe == none || at > stages[stage].cycles)
      stages[stage] = {pe, at, {}};
    if (at > cycles) {
      cycles = at;
      last = pe;
    }
  }
};

class Engine {
public:
  virtual ~Engine() = default;
  /// Ends when every PE has, or with an error that says who waits for what.
  virtual llvm::Error run(const EngineOptions &options,
                          EngineResult &result) = 0;
  /// The same on other memories of the same sizes: it shares what depends on
  /// none.
  virtual std::unique_ptr<Engine> onto(std::vector<Memory> &memories,
                                       Workers &workers) const = 0;
};

/// `memories` has one per region. All references outlive the engine.
std::unique_ptr<Engine> createReferenceEngine(const image::ImageT &image,
                                              const PreparedEntry &prepared,
                                              const Streams &streams,
                                              std::vector<Memory> &memories);

/// The same on memories in lanes.
std::unique_ptr<Engine> createLockstepEngine(const image::ImageT &image,
                                             const PreparedEntry &prepared,
                                             const Streams &streams,
                                             std::vector<Memory> &memories,
                                             Workers &workers);

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_ENGINE_H
