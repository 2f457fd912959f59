//===- Emitter.h - Writes the program of one region -------------*- C++ -*-===//
//
// An emitter is a growing list of instructions whose operands name buffers, not
// addresses. Addresses come last, when all lifetimes are known (Storage.cpp):
// a buffer lives from its first to its last instruction, and two buffers that
// never live at the same time may share bytes.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_CODEGEN_EMITTER_H
#define WAFERLOOM_LIB_CODEGEN_EMITTER_H

#include "waferloom/Image/Programs.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"

#include <optional>

namespace waferloom::codegen {

using image::Opcode;
/// The element types of the machine. Booleans are i32, 0 or 1.
using Word = image::Type;

using image::bytesOf;

/// Bytes that instructions use. A pinned buffer keeps its address for the whole
/// life of the image (weights, states) or of the entry (inputs, outputs).
struct Buffer {
  int64_t bytes = 0;
  bool pinned = false;
  std::optional<int64_t> address;
  int64_t first = -1, last = -1; // instructions that touch it
};

/// Movement per iteration of the loop at `depth`, in bytes.
struct LoopStep {
  unsigned depth;
  int64_t bytes;
};

/// An operand: a strided window of a buffer, or an immediate scalar.
struct Ref {
  int buffer = -1;
  int64_t offset = 0; // bytes
  Word type = Word::f32;
  llvm::SmallVector<int64_t, 4> strides; // elements, one per dimension
  llvm::SmallVector<LoopStep, 2> steps;
  int indexBuffer = -1; // an i32 word that selects a row
  int64_t indexOffset = 0;
  llvm::SmallVector<LoopStep, 2> indexSteps;
  int64_t indexScale = 0, indexCount = 0; // bytes, rows
  bool immediate = false;
  uint32_t bits = 0;

  bool isAbsent() const { return buffer < 0 && !immediate; }
  static Ref constant(float value);
  static Ref constant(int32_t value);
};

/// A scalar or a dense row-major window of `buffer`.
Ref dense(int buffer, Word type, llvm::ArrayRef<int64_t> shape,
          int64_t offset = 0);

/// The classes of columns and rows that have an instruction; 0 is all.
struct Guard {
  uint32_t columns = 0, rows = 0;
};

struct Draft {
  Opcode op = Opcode::mov;
  llvm::SmallVector<int64_t, 4> shape;
  Ref dst, a, b, c, predicate;
  Opcode fold = Opcode::add;
  uint8_t inColor = 0, outColor = 0;
  int64_t count = 0, body = 0;
  bool perEntry = false; // a loop whose count is the entry's, not the code's
  image::LoopOver over = image::LoopOver::nothing;
  int8_t thread = -1;
  Guard guard;
  uint32_t node = 0;
  bool product = false;
};

/// Where buffers without an address should begin, in bytes modulo the banks of
/// `target`; -1: anywhere (Banks.cpp).
std::vector<int64_t> chooseStarts(const std::vector<Buffer> &buffers,
                                  const std::vector<Draft> &drafts,
                                  const image::TargetT &target);

class Emitter {
public:
  int newBuffer(int64_t bytes);
  int pinBuffer(int64_t bytes);
  /// A buffer for `shape` elements, row-major.
  Ref temporary(Word type, llvm::ArrayRef<int64_t> shape);

  /// dst = op(a, b, c) over `shape`; every operand has one stride per
  /// dimension. Merges dimensions that lie behind each other in all operands,
  /// and loops over what four dimensions cannot hold.
  void vector(Opcode op, llvm::ArrayRef<int64_t> shape, Ref dst, Ref a,
              Ref b = {}, Ref c = {}, Ref predicate = {});
  void loop(int64_t count, bool perEntry = false,
            image::LoopOver over = image::LoopOver::nothing);
  void endLoop();
  unsigned depth() const { return open.size(); }

  void send(uint8_t color, Ref a, int64_t words, Guard guard);
  void receive(uint8_t color, Ref dst, int64_t words, Guard guard);
  void receiveFold(uint8_t color, Ref dst, int64_t words, Opcode fold,
                   Guard guard);
  void receiveFoldSend(uint8_t in, uint8_t out, Ref a, int64_t words,
                       Opcode fold, Guard guard);
  void rewrite(Guard guard);

  /// Who runs the instructions from here on, streams aside: those say it.
  void setGuard(Guard to) { guard = to; }
  /// What the instructions from here on are for.
  void setNode(uint32_t name) { node = name; }
  /// Whether they are part of a matrix product.
  void setProduct(bool is) { product = is; }

  /// Gives every buffer an address from `base` on: pinned ones first. Returns
  /// the bytes used, scratch included. With `target`, buffers that are read
  /// together begin in different banks, which takes some bytes more.
  int64_t allocate(int64_t base, const image::TargetT *target = nullptr);

  /// The program, after `allocate`.
  std::vector<std::unique_ptr<image::InstructionT>> finish() const;

  std::vector<Buffer> buffers;
  std::vector<Draft> drafts;

private:
  Draft &append(Opcode op);
  void touch(const Ref &ref, int64_t at);

  llvm::SmallVector<size_t> open; // loops under construction
  uint32_t node = 0;
  bool product = false;
  Guard guard;
};

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_EMITTER_H
