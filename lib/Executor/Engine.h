// What every engine does: run one entry on the memory of all PEs. The reference
// engine runs PE by PE; an engine that runs equal lines in lock-step must give
// the same bits and cycles behind the same interface.

#ifndef WAFERLOOM_LIB_EXECUTOR_ENGINE_H
#define WAFERLOOM_LIB_EXECUTOR_ENGINE_H

#include "Prepared.h"
#include "Streams.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <memory>
#include <vector>

namespace waferloom::executor {

/// The SRAM of all PEs of a region, one after the other.
struct Memory {
  std::vector<char> bytes;
  size_t perPe = 0; // a multiple of 16

  char *of(size_t pe) { return bytes.data() + pe * perPe; }
};

class Trace;

struct EngineOptions {
  bool launch = false;    // every PE starts at the target's launch cycles
  uint64_t workLimit = 0; // elements and words until an error; 0: no limit
  Trace *trace = nullptr;
  /// Moves words without values through the narrowest queues: no memory is
  /// read or written. What ends here cannot hang, whatever the inputs.
  bool abstract = false;
};

/// Busy and waiting cycles.
struct Spent {
  uint64_t busy = 0, wait = 0;
};

struct EngineResult {
  uint64_t cycles = 0;
  uint32_t last = 0;        // PE that ended last; the first of them
  std::vector<Spent> spent; // of that PE, one per PreparedEntry::accounts
  uint64_t instructions = 0, words = 0;
};

class Engine {
public:
  virtual ~Engine() = default;
  /// Ends when every PE has, or with an error that says who waits for what.
  virtual llvm::Error run(const EngineOptions &options,
                          EngineResult &result) = 0;
};

/// `memories` has one per region. All references outlive the engine.
std::unique_ptr<Engine> createReferenceEngine(const image::ImageT &image,
                                              const PreparedEntry &prepared,
                                              const Streams &streams,
                                              std::vector<Memory> &memories);

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_ENGINE_H
