// The one resource accountant: what the memory of a PE holds, where buffers
// lie, how far lines may interleave. Partition's planner and code generation
// both ask here, so that a byte that one of them counts is a byte for the
// other.

#ifndef WAFERLOOM_TARGET_RESOURCES_H
#define WAFERLOOM_TARGET_RESOURCES_H

#include "llvm/ADT/ArrayRef.h"

#include <cstdint>
#include <string>
#include <vector>

namespace waferloom::target {

/// One weight, state or table in the memory of every PE.
struct Held {
  std::string name; ///< in the model's file; empty for tables
  int64_t bytes = 0;
};

/// How the memory of the fullest PE is used, in bytes.
struct Fit {
  int64_t weights = 0, states = 0, tables = 0, buffers = 0, code = 0,
          reserved = 0;
  int64_t limit = 0;
  /// How many forms that take memory to be quick were given up until it was so
  /// small (lib/Codegen/Passes.cpp has them in order).
  int64_t economies = 0;
  /// Weights and states, each once, in program order.
  std::vector<Held> held;

  int64_t total() const {
    return weights + states + tables + buffers + code + reserved;
  }
  bool fits() const { return total() <= limit; }
};

/// Bytes that a local shard of `elements` takes in the memory of a PE: whole
/// words.
int64_t shardBytes(int64_t elements, int64_t elementBytes);

/// Bytes that lie in memory from step `first` to step `last` of a program,
/// both included. `address` is the answer; `start` is what it should be modulo
/// the period of `place`, -1 for anything.
struct Life {
  int64_t bytes = 0, first = 0, last = 0;
  int64_t address = 0;
  int64_t start = -1;
};

/// Gives every life an address at or above `base`, so that two that overlap in
/// time share no byte. In order of birth each takes the lowest gap. Returns the
/// end of the highest.
int64_t place(llvm::MutableArrayRef<Life> lives, int64_t base,
              int64_t period = 1);

/// Most multiply-adds of one product, one per row, that a program writes out
/// one behind the other where its memory has the room; more are a loop, which
/// rewrites a descriptor in each trip.
constexpr int64_t mostRowsWrittenOut = 64;

/// How many hops the PEs of a line may be apart. Lines that interleave share
/// links: with PEs `s` apart one collective takes 2 s + 1 colors, and no line
/// may take more than half of them.
int64_t mostHops(int64_t colors);

} // namespace waferloom::target

#endif // WAFERLOOM_TARGET_RESOURCES_H
