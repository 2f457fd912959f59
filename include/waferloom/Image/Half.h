// f16 as the target computes it: in f32, rounded once per operation to nearest,
// ties to even.

#ifndef WAFERLOOM_IMAGE_HALF_H
#define WAFERLOOM_IMAGE_HALF_H

#include <cstdint>
#include <cstring>

namespace waferloom::image {

inline float floatOfBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

inline uint32_t bitsOfFloat(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}

inline float floatOfHalf(uint16_t half) {
  uint32_t sign = uint32_t(half & 0x8000) << 16;
  uint32_t exponent = (half >> 10) & 31;
  uint32_t mantissa = half & 0x3ff;
  if (exponent == 31)
    return floatOfBits(sign | 0x7f800000 | (mantissa << 13));
  if (exponent != 0)
    return floatOfBits(sign | ((exponent + 112) << 23) | (mantissa << 13));
  // Subnormal: mantissa times 2^-24, exact in f32.
  float value = static_cast<float>(mantissa) * 0x1p-24f;
  return floatOfBits(bitsOfFloat(value) | sign);
}

inline uint16_t halfOfFloat(float value) {
  uint32_t bits = bitsOfFloat(value);
  auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  bits &= 0x7fffffff;
  if (bits > 0x7f800000) // NaN: keep the top of its payload, quiet
    return sign | 0x7e00 | static_cast<uint16_t>((bits >> 13) & 0x3ff);
  if (bits >= 0x477ff000) // rounds to at least 65520: infinity
    return sign | 0x7c00;
  if (bits < 0x38800000) {
    // Below 2^-14: adding 0.5 rounds to multiples of 2^-24, as f32 does.
    float rounded = floatOfBits(bits) + 0.5f;
    return sign | static_cast<uint16_t>(bitsOfFloat(rounded) - 0x3f000000);
  }
  uint32_t odd = (bits >> 13) & 1;
  bits += 0xfff + odd - (112u << 23);
  return sign | static_cast<uint16_t>(bits >> 13);
}

} // namespace waferloom::image

#endif // WAFERLOOM_IMAGE_HALF_H
