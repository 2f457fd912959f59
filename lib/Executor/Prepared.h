// Programs as the engines run them: every instruction decoded once per session,
// with its cost in cycles, and for each class of PEs the list of those it has.

#ifndef WAFERLOOM_LIB_EXECUTOR_PREPARED_H
#define WAFERLOOM_LIB_EXECUTOR_PREPARED_H

#include "waferloom/Image/Image.h"
#include "waferloom/Image/Programs.h"
#include "llvm/Support/MathExtras.h"
#include <cstdint>
#include <optional>
#include <vector>

namespace waferloom::executor {

using image::Opcode;
using image::Type;

/// A range of some list.
struct Range {
  uint32_t first = 0, count = 0;
};

/// Strides are in bytes, one per dimension of the shape, right-aligned.
struct Operand {
  bool present = false;
  bool immediate = false;
  Type type = Type::f32;
  uint32_t base = 0;
  int32_t strides[4] = {0, 0, 0, 0};
  uint32_t bits = 0;
  Range steps, indexSteps; // into RegionPrograms::steps
  uint32_t indexAt = 0, indexCount = 0;
  int32_t indexScale = 0;
};

/// Where the operands of an instruction are now.
struct Addresses {
  char *dst = nullptr;
  const char *a = nullptr, *b = nullptr, *c = nullptr, *predicate = nullptr;
};

struct Instruction;
using Kernel = void (*)(const Instruction &, const Addresses &);
/// Folds an arriving word into an accumulator: for f16 both halves.
using Fold = uint32_t (*)(uint32_t accumulator, uint32_t word);

struct Instruction {
  Opcode op = Opcode::end;
  Kernel kernel = nullptr;     // vector operations
  Fold fold = nullptr;         // recv_fold, recv_fold_send
  Opcode foldOp = Opcode::add; // which
  uint32_t shape[4] = {1, 1, 1, 1};
  uint64_t elements = 1;
  uint64_t words = 0;    // streams
  bool isLine = true;    // all dimensions but the last are 1
  bool packed = false;   // streams: two f16 per word
  bool isStatic = false; // no operand moves
  Operand dst, a, b, c, predicate;
  uint8_t inColor = 0, outColor = 0;
  int8_t thread = -1;
  uint32_t count = 0;    // loop: iterations
  uint64_t rewrite = 0;  // cycles before issue
  uint64_t work = 0;     // vector operations: cycles after issue
  uint64_t conflict = 0; // of these: what strides and banks cost
  uint32_t node = 0;
  uint32_t account = 0; // index into Entry::accounts
  uint32_t index = 0;   // in the image's program, for messages
};

/// What one run costs the host, worked out from the loops' counts. Both
/// saturate.
struct Effort {
  uint64_t elements = 0; // computed, sent or taken, and control instructions
  uint64_t steps = 0;    // instructions, and words sent or taken

  void add(const Effort &other, uint64_t times) {
    auto more = [times](uint64_t &to, uint64_t from) {
      to = llvm::SaturatingMultiplyAdd(from, times, to);
    };
    more(elements, other.elements);
    more(steps, other.steps);
  }
};

/// What one class runs: indices into RegionPrograms::instructions.
struct Program {
  std::vector<uint32_t> order;
  std::vector<uint32_t> ends; // of a loop in `order`: position after its body
  unsigned threads = 0;       // microthread ids that it uses: 0 to threads - 1
  std::vector<uint64_t> sent, received; // words per color in one run
  Effort effort;
};

/// What cycles are accounted to. `loop` numbers the loops over layers and
/// tokens, and the outermost others, from 1; 0 is outside of any. `repeats` is
/// how often its body runs in all, `over` what its iterations are.
struct AccountKey {
  uint32_t node;
  Opcode op;
  bool product;
  uint32_t loop, repeats;
  image::LoopOver over;
};

/// The programs of a region, and the one that each PE runs.
struct RegionPrograms {
  std::vector<Instruction> instructions; // of all classes, as in the image
  std::vector<image::LoopStep> steps;
  std::vector<Program> programs;
  std::vector<uint32_t> ofPe; // row-major
};

struct PreparedEntry {
  std::vector<RegionPrograms> regions;
  std::vector<AccountKey> accounts;
  Effort effort; // of all PEs
};

/// Elements of its live dimension in a step that ends at `length` (E34).
uint32_t liveExtent(const image::InstructionT &instruction, uint64_t length);

/// `length`: tokens behind the step, where live dimensions end; nothing: they
/// are as long as they get.
PreparedEntry prepare(const image::ImageT &image, size_t entry,
                      std::optional<uint64_t> length = std::nullopt);

/// The live lengths of an entry, for each number of parts that its instructions
/// name: steps of equal ones are prepared alike.
std::vector<uint64_t> liveLengths(const image::ImageT &image, size_t entry,
                                  uint64_t length);

/// Works out `work` and `conflict` of a vector operation (docs/executor.md).
void countVector(Instruction &instruction, const image::TargetT &target);

/// The kernel of a vector operation; null for types that the checker refuses.
Kernel kernelOf(const Instruction &instruction);
Fold foldOf(Opcode fold, Type type);

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_PREPARED_H
