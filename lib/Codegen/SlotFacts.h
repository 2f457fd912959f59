//===- SlotFacts.h - What is known of the slots of caches -------*- C++ -*-===//
//
// A cache has as many slots as its context; behind a step that ends at length L
// the first n of each PE are live. What follows is what core-live-lengths
// knows of the others, the dead ones: where they lie, and what stands in them.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_CODEGEN_SLOTFACTS_H
#define WAFERLOOM_LIB_CODEGEN_SLOTFACTS_H

#include "waferloom/Dialect/Core/Accesses.h"

#include <map>
#include <set>

namespace waferloom::codegen {

/// What is known of a word. p is the position, the tokens before the step.
struct SlotValue {
  enum Kind {
    Any,
    Bits,   ///< `number` is its pattern
    AtMost, ///< an integer of at most `number`
    Before, ///< an integer of at most p + `number`
    Behind, ///< an integer of at least p + `number`
    SlotOf, ///< at most (p + what `tokens` add) / `number`: a live slot
  };
  Kind kind = Any;
  int64_t number = 0;

  static SlotValue bits(uint32_t pattern) { return {Bits, pattern}; }
  bool isBits(uint32_t pattern) const {
    return kind == Bits && number == int64_t(pattern);
  }
  bool operator==(const SlotValue &other) const {
    return kind == other.kind && number == other.number;
  }
};

/// What `op` makes of sources of which that much is known, in a step of
/// `tokens`.
SlotValue evaluate(core::VectorOp op, llvm::ArrayRef<SlotValue> sources,
                   int64_t tokens);

/// Is `accumulator op value` the accumulator, whatever that is?
bool isNeutral(core::Opcode op, mlir::Type type, SlotValue value);
/// Is `accumulator + b * c` the accumulator?
bool isNeutral(mlir::Type type, SlotValue b, SlotValue c);

/// Where slots lie in a stretch of a buffer: byte o is of slot
/// ((o - base) / stride) % count.
struct Slots {
  int64_t base = 0, stride = 0;
  int64_t count = 0; ///< 0: it has none
  int64_t parts = 0; ///< PEs that they lie on cyclically

  int64_t period() const { return stride * count; }
  /// Whether as many are live as of `other`.
  bool isLike(const Slots &other) const {
    return count == other.count && parts == other.parts;
  }
  bool operator==(const Slots &other) const {
    return base == other.base && stride == other.stride &&
           count == other.count && parts == other.parts;
  }
};

/// What is known of a stretch of a buffer.
struct Fact {
  Slots slots;
  SlotValue dead;  ///< its dead slots, where all instructions are whole
  SlotValue every; ///< all of its elements
  /// Its dead slots may be other ones than there: instructions that end with
  /// the live slots left them out.
  bool isStale = false;
  std::set<mlir::Operation *> origins; ///< those instructions

  bool isNothing() const {
    return !isStale && slots.count == 0 && every.kind == SlotValue::Any;
  }
  bool operator==(const Fact &other) const {
    return slots == other.slots && dead == other.dead && every == other.every &&
           isStale == other.isStale && origins == other.origins;
  }
};

/// What holds of both.
Fact join(const Fact &a, const Fact &b);

/// All that is known at one place of a program.
class Facts {
public:
  /// What is known of all bytes of a window.
  Fact find(const core::Window &window) const;
  /// `window` is written. `covers`: every byte of it, on all PEs.
  void write(const core::Window &window, const Fact &fact, bool covers);
  /// Takes in what else may be so; returns whether that was new.
  bool join(const Facts &other);

private:
  struct Piece {
    int64_t high;
    Fact fact;
    bool operator==(const Piece &other) const {
      return high == other.high && fact == other.fact;
    }
  };
  /// By the first byte; no two share a byte.
  using Pieces = std::map<int64_t, Piece>;
  static void split(Pieces &pieces, int64_t byte);

  std::map<llvm::StringRef, Pieces> known; // by buffer
};

/// An operand as an instruction walks over it: bytes from element to element.
struct Walk {
  llvm::SmallVector<int64_t, 4> extents, strides;
};

/// Which dimension of an operand goes over slots, and from which on; none: it
/// stays in the slot `from`.
struct Alignment {
  std::optional<unsigned> dim;
  int64_t from = 0;
};
/// Nothing: it jumps between slots in another way.
std::optional<Alignment> align(core::OperandAttr operand, const Walk &walk,
                               const Slots &slots);

/// The dimension of `walk` that must be cut so that `slots` are one of its own,
/// and the extent of the inner part.
std::optional<std::pair<unsigned, int64_t>> findCut(const Walk &walk,
                                                    const Slots &slots);

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_SLOTFACTS_H
