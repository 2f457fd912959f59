//===- Blocks.h - Weights that are packed in the file -----------*- C++ -*-===//
//
// A weight [n, k] whose file holds small integers, and whose scales (and zeros)
// lie elsewhere: `wafer.blocks` on the op says how. Its type is that of the
// numbers they stand for; who reads the bytes expands them.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_DIALECT_WAFER_BLOCKS_H
#define WAFERLOOM_DIALECT_WAFER_BLOCKS_H

#include "waferloom/Dialect/Wafer/Wafer.h"

#include <string>

namespace waferloom::wafer {

/// Where a stretch of bytes lies.
struct BytesAt {
  std::string file;
  int64_t offset = 0;
};

/// Rows of a matrix in blocks of `size` integers of `bits` bits, lowest first.
struct Blocks {
  /// What is taken off the integers: 2^(bits - 1), one integer per block in the
  /// same bits, or one number per block in the type of the scales.
  enum class Zeros { Middle, Packed, Scaled };
  unsigned bits = 4, size = 32;
  Zeros zeros = Zeros::Middle;
  BytesAt scales, zerosAt; // zerosAt: unless they are in the middle
};

/// Marks `weight`, whose file and offset are those of the integers.
void setBlocks(WeightOp weight, const Blocks &blocks);

/// How the bytes of a weight are packed; none if they are its elements.
std::optional<Blocks> getBlocks(WeightOp weight);

} // namespace waferloom::wafer

#endif // WAFERLOOM_DIALECT_WAFER_BLOCKS_H
