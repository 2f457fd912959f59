// Codes of 2, 4 or 8 bits never cross a byte, so an element is a shift and a
// mask away.

#include "waferloom/Image/Blocks.h"
#include "waferloom/Format/Packing.h"
#include "waferloom/Image/Half.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

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

float powerOf(uint8_t scale) {
  return scale == 0xff ? std::numeric_limits<float>::quiet_NaN()
                       : std::ldexp(1.0f, scale - 127);
}

float valueOf(BlockFormat::Code code, uint32_t bits) {
  const SmallFloat format = smallFloatOf(code);
  const auto width = code == BlockFormat::Code::e2m1 ? 4 : 8;
  // As an f16 it lacks a power of two; NaN alone is said otherwise.
  if (code == BlockFormat::Code::e4m3fn && (bits & 0x7f) == 0x7f)
    return std::numeric_limits<float>::quiet_NaN();
  return std::ldexp(
      floatOfHalf(static_cast<uint16_t>(format.pattern(bits, width))),
      format.lacking());
}

static float codeAt(const char *packed, uint64_t i, const BlockFormat &format) {
  const auto bits = static_cast<unsigned>(format.bits);
  const int range = 1 << bits;
  auto byte = static_cast<uint8_t>(packed[i * bits / 8]);
  int integer = (byte >> (i * bits % 8)) & (range - 1);
  if (format.code != BlockFormat::Code::integer)
    return valueOf(format.code, static_cast<uint32_t>(integer));
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
  const float middle = format.isSigned || format.zeros == Zeros::none
                           ? 0
                           : static_cast<float>(1u << (format.bits - 1));
  auto scaleOf = [&](uint64_t i) {
    return format.isPower ? powerOf(static_cast<uint8_t>(scales[i]))
                          : numberAt(scales, i, format.halfScales);
  };
  for (uint64_t row = 0; row < format.rows; ++row) {
    for (uint64_t first = 0; first < format.columns; first += format.size) {
      const uint64_t at = format.scaleIndex(row, first);
      const float scale = scaleOf(at);
      float zero = middle;
      if (format.zeros == Zeros::packed)
        zero = codeAt(zeros, format.zeroIndex(at), format);
      else if (format.zeros == Zeros::scaled)
        zero = numberAt(zeros, at, format.halfScales);
      const uint64_t end = std::min(first + format.size, format.columns);
      for (uint64_t column = first; column < end; ++column) {
        float value =
            (codeAt(packed, format.codeIndex(row, column), format) - zero) *
            scale;
        const uint64_t element = row * format.columns + column;
        // Powers of two round nothing.
        uint16_t half = 0;
        if (format.halfScales && !(format.isPower && format.isWide)) {
          half = halfOfFloat(value);
          value = floatOfHalf(half);
        }
        if (format.hasHalves())
          std::memcpy(to + 2 * element, &half, 2);
        else
          std::memcpy(to + 4 * element, &value, 4);
      }
    }
  }
}

} // namespace waferloom::image
