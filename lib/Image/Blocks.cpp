// Integers of 2, 4 or 8 bits never cross a byte, so an element is a shift and a
// mask away.

#include "waferloom/Image/Blocks.h"
#include "waferloom/Image/Half.h"

#include <cstring>

namespace waferloom::image {

static float numberAt(const char *numbers, uint64_t i, bool half) {
  if (half) {
    uint16_t bits;
    std::memcpy(&bits, numbers + 2 * i, 2);
    return floatOfHalf(bits);
  }
  float value;
  std::memcpy(&value, numbers + 4 * i, 4);
  return value;
}

static float integerAt(const char *packed, uint64_t i,
                       const BlockFormat &format) {
  const auto bits = static_cast<unsigned>(format.bits);
  const int range = 1 << bits;
  auto byte = static_cast<uint8_t>(packed[i * bits / 8]);
  int integer = (byte >> (i * bits % 8)) & (range - 1);
  if (format.isSigned && integer >= range / 2)
    integer -= range;
  return static_cast<float>(integer);
}

/// Of a float a bfloat16 has the upper half.
static void widenBFloat16(const BlockFormat &format, const char *from,
                          char *to) {
  for (uint64_t i = 0; i < format.rows * format.columns; ++i) {
    uint16_t half;
    std::memcpy(&half, from + 2 * i, 2);
    const uint32_t bits = uint32_t(half) << 16;
    std::memcpy(to + 4 * i, &bits, 4);
  }
}

void expandBlocks(const BlockFormat &format, const char *packed,
                  const char *scales, const char *zeros, char *to) {
  if (format.isBFloat16)
    return widenBFloat16(format, packed, to);
  using Zeros = BlockFormat::Zeros;
  const uint64_t size = format.size, blocks = format.blocks();
  const uint64_t zeroRow = (blocks * format.bits + 7) / 8 * (8 / format.bits);
  const float middle = format.isSigned || format.zeros == Zeros::none
                           ? 0
                           : static_cast<float>(1u << (format.bits - 1));
  uint64_t scaled = 0; // row of the scales
  for (uint64_t row = 0; row < format.rows; ++row) {
    for (uint64_t block = 0; block < blocks; ++block) {
      const uint64_t at = scaled * blocks + block;
      const float scale = numberAt(scales, at, format.halfScales);
      float zero = middle;
      if (format.zeros == Zeros::packed)
        zero = integerAt(zeros, scaled * zeroRow + block, format);
      else if (format.zeros == Zeros::scaled)
        zero = numberAt(zeros, at, format.halfScales);
      const uint64_t first = block * size;
      const uint64_t packedAt = (row * blocks + block) * size;
      for (uint64_t i = 0; i < size && first + i < format.columns; ++i) {
        float value = (integerAt(packed, packedAt + i, format) - zero) * scale;
        uint64_t element = row * format.columns + first + i;
        if (format.halfScales) {
          uint16_t half = halfOfFloat(value);
          std::memcpy(to + 2 * element, &half, 2);
        } else {
          std::memcpy(to + 4 * element, &value, 4);
        }
      }
    }
    if (++scaled == format.scaledRows())
      scaled = 0;
  }
}

} // namespace waferloom::image
