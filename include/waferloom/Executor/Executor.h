// Runs images and counts cycles. A session owns the states of a model; a step
// takes the tokens of one entry through the wafer.
//
// Values never depend on time, and cycles depend only on the image, the entry
// and the position: any number of threads gives the same of both.

#ifndef WAFERLOOM_EXECUTOR_EXECUTOR_H
#define WAFERLOOM_EXECUTOR_EXECUTOR_H

#include "waferloom/Format/Format.h"
#include "waferloom/Image/Image.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace waferloom::executor {

/// Element types of the host's arrays.
enum class HostType : uint8_t { f32, f16, i32, i64, boolean };

/// "float32", "int64", ... as NumPy says it.
llvm::StringRef nameOf(HostType type);
Format formatOf(HostType type);
/// Of an element.
unsigned bytesOf(HostType type);

/// An array that the caller owns: row-major, `data` need not be aligned.
struct HostTensor {
  std::string name;
  const void *data = nullptr;
  HostType type = HostType::f32;
  std::vector<int64_t> shape;
};

/// An array that a step produced: row-major, shape as in the model.
struct OutputTensor {
  std::string name;
  HostType type = HostType::f32;
  std::vector<int64_t> shape;
  std::vector<char> bytes;
};

/// Both give the same outputs, cycles and errors. The reference engine runs PE
/// by PE and is meant to be read; the lock-step engine is the fast one.
enum class EngineKind : uint8_t { lockstep, reference };

/// "lockstep" or "reference".
std::optional<EngineKind> engineNamed(llvm::StringRef name);

class Trace;
struct CriticalPath;

/// The limit of work that tools and Python set: an hour or so of a host.
inline constexpr uint64_t usualWorkLimit = 1'000'000'000'000;

struct RunOptions {
  unsigned threads = 0; // of the host; 0 chooses. Never changes a result.
  bool launch = false;  // add the target's launch cycles, as a measured run has
  /// What `countStep` counts: a step behind so many tokens; nothing: the last
  /// one that the states have room for. A session knows it by itself.
  std::optional<uint64_t> position;
  /// A step that computes, sends and takes more elements on all PEs together is
  /// refused before it begins (they are counted from the programs' loops); so
  /// is counting cycles where more instructions and words have to be followed
  /// one by one. 0: no limit.
  uint64_t workLimit = 0;
  /// Asked now and then, on the calling thread, whether to stop. What was being
  /// done ends with an error; a session then wants a reset.
  std::function<bool()> interrupted;
  Trace *trace = nullptr; // collects what every PE does (Trace.h)
  /// Becomes the critical path of the step (CriticalPath.h), of several entries
  /// the last's.
  CriticalPath *critical = nullptr;
  /// An input that is left out is what the step before left there: the token
  /// that the wafer picked. The step before must have been of the same entry.
  bool feedBack = false;
  /// Of a count: messages that meet on a link do not wait for each other, which
  /// is quicker to count where they would be followed word by word. To compare
  /// programs with, no figure.
  bool estimate = false;
  /// The outputs to bring to the host; none given: all.
  std::vector<std::string> outputs;
};

/// Cycles of the PE that ended last, by ONNX node, kind of instruction and
/// loop: the innermost over layers or tokens, else the outermost. Equal layers
/// of a model are trips of one loop: what stands in it, over all trips, names
/// the nodes of the first.
struct Account {
  std::string node;
  image::Opcode op;
  bool product = false; // part of a matrix product
  uint32_t loop = 0;    // loops count from 1; 0: in none
  uint32_t repeats = 1; // trips of that loop, over all loops around it
  image::LoopOver over = image::LoopOver::nothing; // what its trips are
  uint64_t busy = 0, wait = 0;
};

/// What a trip of such a loop is called: "layer", "token", or nothing.
llvm::StringRef tripOf(image::LoopOver over);

/// Words of two colors that want links in the same cycles, so that one of them
/// waits (docs/executor.md, E32, E33).
struct SharedLinks {
  uint8_t colors[2] = {0, 0};
  std::string nodes[2];  // of the instructions that put them
  uint64_t cycles = 0;   // of all links together
  uint64_t links = 0;    // how many
  uint32_t x = 0, y = 0; // the router that the first of them leaves
  image::Side side = image::Side::ramp; // and by which side
};

/// A stage of the program (docs/partition.md): where the PE of it stands that
/// ended last, when that was, and its accounts.
struct StageResult {
  uint32_t x = 0, y = 0;
  uint64_t cycles = 0;
  std::vector<Account> accounts;
};

struct StepResult {
  std::vector<OutputTensor> outputs;
  uint64_t cycles = 0;
  uint32_t lastX = 0, lastY = 0; // the PE that ended last
  /// Of that PE. Microthreads' work counts twice: where it is done and in the
  /// wait for it; without them the sum is `cycles`.
  std::vector<Account> accounts;
  std::vector<StageResult> stages; // stage 0 first; one without stages
  uint64_t instructions = 0;       // executed by all PEs
  uint64_t words = 0;              // sent and taken by all PEs
  /// Cycles of links that words of two colors want; nothing: not known, of more
  /// words than can be written down. Then by whom, the most first.
  std::optional<uint64_t> sharedLinkCycles;
  std::vector<SharedLinks> sharedLinks;
  /// Every word waits for its links as long as it has to. False where these are
  /// too many to be found, or to be looked at together (docs/executor.md, E33).
  bool linksArbitrated = false;
  /// Who did the step: the lock-step engine leaves to the reference engine what
  /// it cannot do (docs/executor.md).
  EngineKind engine = EngineKind::reference;
  EngineKind counter = EngineKind::reference; // who counted the cycles
};

class Session {
public:
  /// Prepares every entry and fills the memories. Fails when routes and
  /// programs of an entry do not fit each other, or when the host's memory
  /// would not hold the wafer's. A session is for one thread at a time: what a
  /// second one asks of it meanwhile is refused. After a fork it goes on in
  /// both processes, unless it was at work.
  static llvm::Expected<std::unique_ptr<Session>>
  create(std::shared_ptr<const image::Loaded> image,
         EngineKind kind = EngineKind::lockstep);
  virtual ~Session() = default;

  /// Runs one entry. Inputs that are left out follow from the session's length
  /// where the image says so. A dimension may be given smaller than the model
  /// has it: what is missing reads as zero. Wrong inputs and a step beyond the
  /// capacity are refused and change nothing; after any other error the
  /// session wants a reset.
  virtual llvm::Expected<StepResult> step(size_t entry,
                                          llvm::ArrayRef<HostTensor> inputs,
                                          const RunOptions &options = {}) = 0;

  /// What `step` would refuse if `more` further tokens had been taken before
  /// it.
  virtual llvm::Error check(size_t entry, llvm::ArrayRef<HostTensor> inputs,
                            uint64_t more, const RunOptions &options) = 0;

  /// Shows that an entry cannot hang, whatever its inputs: runs its streams
  /// without values where words find credits only in the queues of their
  /// receivers. An entry that needs credits of the network fails here, with who
  /// waits for what, though it may run. Changes nothing.
  virtual llvm::Error proveHangFree(size_t entry) = 0;

  /// Forgets all tokens. Fails when the image's file has changed meanwhile.
  virtual llvm::Error reset() = 0;

  /// Forgets all but the first `length` tokens: from there the session gives
  /// the bits and cycles of one that took only those, in the same steps.
  /// Refused where what the states held then is gone (docs/executor.md, E35);
  /// to 0 it always can.
  virtual llvm::Error rewind(uint64_t length) = 0;

  /// A session without tokens has `length` of them then, whose rows of every
  /// state the host gives: arrays of the states' shapes, with so many rows.
  virtual llvm::Error load(llvm::ArrayRef<HostTensor> states,
                           uint64_t length) = 0;

  /// Another session that has taken the same tokens. It shares what depends on
  /// no value; each goes on by itself.
  virtual llvm::Expected<std::unique_ptr<Session>> fork() = 0;

  /// Tokens so far.
  virtual uint64_t length() const = 0;
  virtual const image::ImageT &image() const = 0;
};

/// Whether cycles of an entry depend on the tokens before it: its instructions
/// end with the live slots of caches (docs/executor.md, E34).
bool hasLiveLengths(const image::ImageT &image, size_t entry);

/// The position of the last step of an entry that the states have room for.
uint64_t lastPosition(const image::ImageT &image, size_t entry);

/// What a step of an entry costs, without executing it: cycles need no values,
/// so no PE gets a memory and no weight is read. The result has no outputs.
llvm::Expected<StepResult> countStep(std::shared_ptr<const image::Loaded> image,
                                     size_t entry,
                                     const RunOptions &options = {},
                                     EngineKind kind = EngineKind::lockstep);

/// `Session::proveHangFree` of an image alone. Tries nothing, and fails not,
/// where more instructions and words than `options.workLimit` (0: any number)
/// would have to be followed.
llvm::Error proveHangFree(const image::Loaded &loaded, size_t entry,
                          const RunOptions &options = {});

} // namespace waferloom::executor

#endif // WAFERLOOM_EXECUTOR_EXECUTOR_H
