#include "waferloom/Image/Rounding.h"
#include "waferloom/Format/Packing.h"
#include "waferloom/Image/Blocks.h"
#include "waferloom/Image/Half.h"

#include "llvm/Support/FormatVariadic.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace waferloom::image {

static float roundedToHalf(float value) {
  return floatOfHalf(halfOfFloat(value));
}

static float numberAt(const char *numbers, uint64_t i,
                      BlockFormat::Rounded type) {
  if (type == BlockFormat::Rounded::f32) {
    float value;
    std::memcpy(&value, numbers + 4 * i, 4);
    return value;
  }
  uint16_t half;
  std::memcpy(&half, numbers + 2 * i, 2);
  if (type == BlockFormat::Rounded::f16)
    return floatOfHalf(half);
  const uint32_t bits = uint32_t(half) << 16; // bfloat16
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

namespace {
/// The codes of a format, and what is nearest.
struct Codes {
  BlockFormat::Code code;
  bool isFloat;
  SmallFloat format;
  float largest; ///< number
  uint32_t middle, sign;

  explicit Codes(const BlockFormat &blocks)
      : code(blocks.code), isFloat(code != BlockFormat::Code::integer),
        format(smallFloatOf(code)), middle(1u << (blocks.bits - 1)),
        sign(middle) {
    largest = isFloat ? valueOf(code, format.largest)
                      : static_cast<float>(middle - 1);
  }

  /// To nearest, ties to even; what is beyond the largest becomes it.
  uint32_t nearest(float value) const {
    const float absolute = std::min(std::fabs(value), largest);
    if (!isFloat) {
      const auto whole = static_cast<int32_t>(std::nearbyint(absolute));
      return static_cast<uint32_t>(static_cast<int32_t>(middle) +
                                   (value < 0 ? -whole : whole));
    }
    if (absolute == 0)
      return 0;
    const int least = 1 - format.bias,
              exponent = std::max(std::ilogb(absolute), least);
    const auto steps = static_cast<uint32_t>(
        std::nearbyint(std::ldexp(absolute, format.mantissa - exponent)));
    // A carry out of the mantissa counts on in the exponent.
    return (static_cast<uint32_t>(exponent - least) << format.mantissa) +
           steps + (value < 0 ? sign : 0);
  }
  float number(uint32_t bits) const {
    return isFloat ? valueOf(code, bits)
                   : static_cast<float>(static_cast<int32_t>(bits) -
                                        static_cast<int32_t>(middle));
  }
};

/// Rounds one block after the other.
class Rounder {
public:
  Rounder(const BlockFormat &format, const char *numbers, Rounding &to)
      : format(format), codes(format), numbers(numbers), to(to) {}
  llvm::Error round();

private:
  llvm::Error roundBlock(uint64_t row, uint64_t column);
  double errorOf(float scale) const;
  float value(uint32_t code, float scale) const;
  float fit(float largest) const;
  float largestOnPes() const;
  float scaleFor(float largest) const;
  void store(uint64_t at, float scale);

  const BlockFormat &format;
  const Codes codes;
  const char *numbers;
  Rounding &to;
  std::vector<float> block;
  double squares = 0;
};
} // namespace

/// What a PE makes of a code.
float Rounder::value(uint32_t code, float scale) const {
  const float exact = codes.number(code) * scale;
  return format.halfScales && !(format.isPower && format.isWide)
             ? roundedToHalf(exact)
             : exact;
}

/// Scales and numbers are halves; scales have what codes lack.
float Rounder::largestOnPes() const {
  constexpr float half = 65504;
  if (!format.halfScales)
    return std::numeric_limits<float>::max();
  const int lacking = codes.isFloat ? codes.format.lacking() : 0;
  const float scale = format.isPower ? 0x1p15f : half;
  return std::min(half, codes.largest * std::ldexp(scale, -lacking));
}

/// The scale, as its type has it, that takes `largest` to the largest code.
float Rounder::scaleFor(float largest) const {
  if (largest == 0)
    return 0;
  const float exact = largest / codes.largest;
  if (format.isPower) {
    // Powers that a PE can hold beside what its codes lack.
    const int lacking = smallFloatOf(format.code).lacking();
    int exponent = std::ilogb(exact);
    if (std::ldexp(1.0f, exponent) < exact)
      ++exponent;
    return std::ldexp(1.0f, std::max(exponent, -24 - lacking));
  }
  if (!format.halfScales)
    return exact;
  constexpr float leastHalf = 0x1p-24f;
  return std::max(roundedToHalf(exact), leastHalf);
}

double Rounder::errorOf(float scale) const {
  double error = 0;
  for (float number : block) {
    const double moved =
        scale == 0 ? number
                   : value(codes.nearest(number / scale), scale) - number;
    error += moved * moved;
  }
  return error;
}

/// The scale of the block that is loaded.
float Rounder::fit(float largest) const {
  float best = scaleFor(largest);
  if (!format.leastSquares)
    return best;
  double least = errorOf(best);
  constexpr int tries = 8, parts = 20; // down to 0.6 of it, powers to a half
  for (int i = 1; i <= tries; ++i) {
    const float scale =
        scaleFor(largest * static_cast<float>(parts - i) / parts);
    if (const double error = errorOf(scale); error < least) {
      least = error;
      best = scale;
    }
  }
  return best;
}

void Rounder::store(uint64_t at, float scale) {
  if (format.isPower) {
    to.scales[at] = static_cast<char>(scale == 0 ? 0 : std::ilogb(scale) + 127);
  } else if (format.halfScales) {
    const uint16_t half = halfOfFloat(scale);
    std::memcpy(to.scales.data() + 2 * at, &half, 2);
  } else {
    std::memcpy(to.scales.data() + 4 * at, &scale, 4);
  }
}

llvm::Error Rounder::roundBlock(uint64_t row, uint64_t column) {
  const uint64_t lastRow = std::min(row + format.tall, format.rows),
                 last = std::min(column + format.size, format.columns);
  block.clear();
  float largest = 0;
  for (uint64_t r = row; r < lastRow; ++r)
    for (uint64_t c = column; c < last; ++c) {
      const float number =
          numberAt(numbers, r * format.columns + c, format.rounded);
      if (!std::isfinite(number))
        return llvm::createStringError(llvm::formatv(
            "has no finite number at element {0}, and codes stand "
            "for finite ones; leave it out by --keep NAME=f16",
            r * format.columns + c));
      largest = std::max(largest, std::fabs(number));
      block.push_back(number);
    }
  if (const float most = largestOnPes(); largest > most)
    return llvm::createStringError(llvm::formatv(
        "has {0} in the block of element {1}, and numbers in these codes end "
        "at "
        "{2}; leave it out by --keep NAME=f16, or choose other codes",
        largest, row * format.columns + column, most));
  const float scale = fit(largest);
  store(format.scaleIndex(row, column), scale);
  const float *number = block.data();
  for (uint64_t r = row; r < lastRow; ++r)
    for (uint64_t c = column; c < last; ++c, ++number) {
      const uint32_t code = codes.nearest(scale == 0 ? 0 : *number / scale);
      const uint64_t bit = format.codeIndex(r, c) * format.bits;
      to.codes[bit / 8] = static_cast<char>(
          static_cast<uint8_t>(to.codes[bit / 8]) | code << (bit % 8));
      const double moved = std::fabs(double(value(code, scale)) - *number);
      to.error.largest = std::max(to.error.largest, moved);
      squares += moved * moved;
    }
  to.error.largestNumber = std::max<double>(to.error.largestNumber, largest);
  return llvm::Error::success();
}

llvm::Error Rounder::round() {
  to.codes.assign(format.packedBytes(), 0);
  to.scales.assign(format.scaleBytes(), 0);
  for (uint64_t row = 0; row < format.rows; row += format.tall)
    for (uint64_t column = 0; column < format.columns; column += format.size)
      if (llvm::Error error = roundBlock(row, column))
        return error;
  to.error.rms = std::sqrt(squares / (static_cast<double>(format.rows) *
                                      static_cast<double>(format.columns)));
  return llvm::Error::success();
}

llvm::Expected<Rounding> roundToBlocks(const BlockFormat &format,
                                       const char *numbers) {
  Rounding rounding;
  if (llvm::Error error = Rounder(format, numbers, rounding).round())
    return std::move(error);
  return rounding;
}

std::optional<uint64_t> findNaN(const BlockFormat &format,
                                llvm::ArrayRef<char> codes) {
  if (format.code != BlockFormat::Code::e4m3fn)
    return std::nullopt; // e2m1 has none, and in e5m2 they are those of f16
  for (auto [i, byte] : llvm::enumerate(codes))
    if ((byte & 0x7f) == 0x7f)
      return i;
  return std::nullopt;
}

llvm::Error scalesOnPes(const BlockFormat &format, const char *scales,
                        char *to) {
  const int lacking = format.code == BlockFormat::Code::integer
                          ? 0
                          : smallFloatOf(format.code).lacking();
  for (uint64_t i = 0; i < format.scales(); ++i) {
    float scale;
    uint16_t half;
    if (format.isPower) {
      scale = powerOf(static_cast<uint8_t>(scales[i]));
    } else if (format.halfScales) {
      std::memcpy(&half, scales + 2 * i, 2);
      scale = floatOfHalf(half);
    } else {
      std::memcpy(&scale, scales + 4 * i, 4);
    }
    const float held = std::ldexp(scale, lacking);
    if (!format.halfScales) {
      std::memcpy(to + 4 * i, &held, 4);
      continue;
    }
    half = halfOfFloat(held);
    if ((half & 0x7fff) >= 0x7c00)
      return llvm::createStringError(llvm::formatv(
          "has {0} as number {1}, and scales of these codes end at {2} on a "
          "PE; compile with --weights expanded",
          scale, i, std::ldexp(65504.0f, -lacking)));
    std::memcpy(to + 2 * i, &half, 2);
  }
  return llvm::Error::success();
}

} // namespace waferloom::image
