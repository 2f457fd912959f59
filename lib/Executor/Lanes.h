// Sixteen PEs at once. Their memories are interleaved word by word: word w of
// lane l is at (w * lanes + l) * 4 of their block, so that an element of all of
// them is one stretch of 64 bytes. Any operand is such stretches at addresses
// that are the same for all lanes, and an operation takes all lanes of an
// element before the next element: for each PE the order of E5.

#ifndef WAFERLOOM_LIB_EXECUTOR_LANES_H
#define WAFERLOOM_LIB_EXECUTOR_LANES_H

#include "Prepared.h"
#include <vector>

namespace waferloom::executor {

constexpr uint32_t lanes = 16;

/// An operand of all lanes: a block, and the byte address in each PE. A 16-bit
/// element is one half of its PE's word.
struct LaneAddress {
  char *block = nullptr;
  int64_t at = 0;
};

inline char *laneAt(char *block, int64_t address) {
  return block + (address >> 2) * int64_t(4 * lanes) + (address & 3);
}

/// Where the operands of an instruction are now.
struct LaneAddresses {
  LaneAddress dst, a, b, c, predicate;
  const int32_t *active = nullptr; // lanes that take part; null: all
};

using LaneKernel = void (*)(const Instruction &, const LaneAddresses &);

/// The kernel of a vector operation for the best instructions of this host.
LaneKernel laneKernelOf(const Instruction &instruction);

/// Multiply-adds one after another into the same elements: each row adds the
/// elements of a vector times a scalar. All are f32, or the factors f16.
struct LaneSum {
  struct Row {
    int64_t vector, scalar; // byte addresses in each PE
  };
  int64_t dst = 0;
  uint32_t elements = 0;
  bool isFresh = false; // begins at `start`, not at what is there
  uint32_t start = 0;
  bool halves = false;
  bool inPairs = false; // halves of a word follow each other in all vectors
  int32_t stride = 0;   // of vectors, in bytes
  std::vector<Row> rows;
};

/// Sums on a block; `active` as LaneAddresses has it.
using LaneSumKernel = void (*)(const LaneSum &, char *block,
                               const int32_t *active);

/// For the best instructions of this host; null: it has none that are worth it.
LaneSumKernel laneSumKernel();

/// Brings the memories of a block's PEs, one after the other, into lanes, or
/// back. `scratch` holds lanes * bytes; `bytes` is a multiple of 4.
void interleave(char *block, size_t bytes, char *scratch);
void separate(char *block, size_t bytes, char *scratch);

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_LANES_H
