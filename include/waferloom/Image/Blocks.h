// Weights as small integers in blocks that share a scale, and what they stand
// for.

#ifndef WAFERLOOM_IMAGE_BLOCKS_H
#define WAFERLOOM_IMAGE_BLOCKS_H

#include "waferloom/Format/Format.h"
#include <cstdint>

namespace waferloom::image {

/// A matrix of `rows` by `columns`, rows in blocks of `size` elements of `bits`
/// bits, lowest bits first; a row ends with a whole block. Element = (integer -
/// zero of its block) * scale of its block.
struct BlockFormat {
  enum class Zeros : uint8_t {
    middle, ///< 2^(bits - 1) for all
    packed, ///< integers of `bits` bits; a row ends with a whole byte
    scaled, ///< numbers of the type of the scales
  };
  uint64_t rows = 0, columns = 0;
  unsigned bits = 4, size = 32; ///< bits: 2, 4 or 8
  bool halfScales = false;      ///< scales are f16, else f32
  Zeros zeros = Zeros::middle;

  uint64_t blocks() const { return (columns + size - 1) / size; }
  uint64_t packedBytes() const { return rows * blocks() * (size * bits / 8); }
  uint64_t scaleBytes() const {
    return bytesOf(halfScales ? Format::f16 : Format::f32, rows * blocks());
  }
  uint64_t zeroBytes() const {
    return zeros == Zeros::packed   ? rows * ((blocks() * bits + 7) / 8)
           : zeros == Zeros::scaled ? scaleBytes()
                                    : 0;
  }
};

/// Writes the elements, row-major, in the type of the scales.
void expandBlocks(const BlockFormat &format, const char *packed,
                  const char *scales, const char *zeros, char *to);

} // namespace waferloom::image

#endif // WAFERLOOM_IMAGE_BLOCKS_H
