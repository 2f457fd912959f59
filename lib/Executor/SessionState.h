// What a session has: the memories of all PEs, one prepared program per entry,
// and how far it is. Session.cpp runs steps, Rewind.cpp goes back and forks.

#ifndef WAFERLOOM_LIB_EXECUTOR_SESSIONSTATE_H
#define WAFERLOOM_LIB_EXECUTOR_SESSIONSTATE_H

#include "Engine.h"
#include "Inputs.h"
#include "Workers.h"
#include "waferloom/Executor/Executor.h"
#include <atomic>
#include <memory>
#include <optional>
#include <vector>

namespace waferloom::executor {

/// What forks of a session share of an entry.
struct EntryProgram {
  PreparedEntry prepared;
  std::vector<uint64_t> lengths; // live ones that it is prepared for
  Streams streams;
};

struct EntryState {
  std::shared_ptr<const EntryProgram> program;
  std::unique_ptr<Engine> engine;
};

class SessionImpl : public Session {
public:
  SessionImpl(std::shared_ptr<const image::Loaded> image, EngineKind kind)
      : loaded(std::move(image)), kind(kind) {}

  /// All entries, and memories with the weights in them.
  llvm::Error begin();
  /// One entry, without values.
  llvm::Expected<StepResult> count(size_t entry, const RunOptions &options);
  llvm::Expected<StepResult> step(size_t entry,
                                  llvm::ArrayRef<HostTensor> inputs,
                                  const RunOptions &options) override;
  llvm::Error check(size_t entry, llvm::ArrayRef<HostTensor> inputs,
                    uint64_t more, const RunOptions &options) override;
  llvm::Error proveHangFree(size_t entry) override;
  llvm::Error reset() override;
  llvm::Error rewind(uint64_t length) override;
  llvm::Error load(llvm::ArrayRef<HostTensor> states, uint64_t length) override;
  llvm::Expected<std::unique_ptr<Session>> fork() override;
  uint64_t length() const override { return tokens; }
  const image::ImageT &image() const override { return loaded->image; }

private:
  llvm::Expected<std::unique_ptr<EntryState>>
  prepareEntry(size_t entry, std::optional<uint64_t> length, uint64_t &bytes,
               Interrupt *interrupt = nullptr);
  llvm::Expected<EntryState *> stateAt(size_t entry, uint64_t length,
                                       Interrupt *interrupt);
  bool makeMemories();
  llvm::Error lay();
  llvm::Error checkStep(size_t entry, uint64_t before,
                        uint64_t workLimit) const;
  unsigned threadsFor(unsigned asked) const;
  void place(size_t entry, llvm::ArrayRef<StagedInput> inputs);
  std::vector<OutputTensor> outputsOf(size_t entry,
                                      llvm::ArrayRef<std::string> wanted);
  void describe(const EntryState &state, const EngineResult &run,
                StepResult &result);
  std::unique_ptr<EntryState> forked(const EntryState &state,
                                     SessionImpl &other) const;

  std::shared_ptr<const image::Loaded> loaded;
  EngineKind kind;
  Workers workers;
  std::vector<Memory> memories;                     // one per region
  uint64_t bytesBesideLaid = 0;                     // of the host
  std::vector<std::unique_ptr<EntryState>> entries; // as long as they get
  /// Entries at shorter live lengths, the latest used last.
  struct Shorter {
    size_t entry;
    std::unique_ptr<EntryState> state;
  };
  std::vector<Shorter> shorter;
  std::atomic<bool> busy{false};
  std::atomic<uint64_t> tokens{0};
  uint64_t moved = 0; // tokens when rows last took the states of others
  std::optional<size_t> before; // the entry of the last step
  bool broken = false;
};

/// Row i of every state becomes what row `rows[i]` was, along its first
/// dimension; none given: nothing happens. `memories`: one per region.
void moveStates(const image::ImageT &image, const image::EntryT &entry,
                llvm::ArrayRef<int64_t> rows, std::vector<Memory> &memories,
                Workers &workers);

/// Who holds it may use the session.
class Use {
public:
  explicit Use(std::atomic<bool> &busy)
      : busy(busy), granted(!busy.exchange(true)) {}
  ~Use() {
    if (granted)
      busy = false;
  }
  llvm::Error refused() const {
    return granted
               ? llvm::Error::success()
               : llvm::createStringError("the session is in use by another "
                                         "thread; give each thread its own");
  }

private:
  std::atomic<bool> &busy;
  const bool granted;
};

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_SESSIONSTATE_H
