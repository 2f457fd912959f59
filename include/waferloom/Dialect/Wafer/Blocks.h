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
#include "waferloom/Image/Blocks.h"

#include <string>

namespace waferloom::wafer {

/// Where a stretch of bytes lies.
struct BytesAt {
  std::string file;
  int64_t offset = 0;
};

struct Blocks {
  image::BlockFormat format;
  BytesAt scales, zeros; // zeros: only if the format has any
};

/// Marks `weight`, whose file and offset are those of the integers.
void setBlocks(WeightOp weight, const Blocks &blocks);

/// How the bytes of a weight are packed; none if they are its elements.
std::optional<Blocks> getBlocks(WeightOp weight);

} // namespace waferloom::wafer

#endif // WAFERLOOM_DIALECT_WAFER_BLOCKS_H
