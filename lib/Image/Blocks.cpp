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

static unsigned integerAt(const char *packed, uint64_t i, unsigned bits) {
  auto byte = static_cast<uint8_t>(packed[i * bits / 8]);
  return (byte >> (i * bits % 8)) & ((1u << bits) - 1);
}

void expandBlocks(const BlockFormat &format, const char *packed,
                  const char *scales, const char *zeros, char *to) {
  const auto bits = static_cast<unsigned>(format.bits);
  const uint64_t size = format.size, blocks = format.blocks();
  const uint64_t zeroRow = (blocks * bits + 7) / 8;
  for (uint64_t row = 0; row < format.rows; ++row)
    for (uint64_t block = 0; block < blocks; ++block) {
      uint64_t at = row * blocks + block;
      float scale = numberAt(scales, at, format.halfScales);
      float zero = static_cast<float>(1u << (bits - 1));
      if (format.zeros == BlockFormat::Zeros::packed)
        zero =
            static_cast<float>(integerAt(zeros + row * zeroRow, block, bits));
      else if (format.zeros == BlockFormat::Zeros::scaled)
        zero = numberAt(zeros, at, format.halfScales);
      const char *integers = packed + at * (size * bits / 8);
      uint64_t first = block * size;
      for (uint64_t i = 0; i < size && first + i < format.columns; ++i) {
        float value =
            (static_cast<float>(integerAt(integers, i, bits)) - zero) * scale;
        uint64_t element = row * format.columns + first + i;
        if (format.halfScales) {
          uint16_t half = halfOfFloat(value);
          std::memcpy(to + 2 * element, &half, 2);
        } else {
          std::memcpy(to + 4 * element, &value, 4);
        }
      }
    }
}

} // namespace waferloom::image
