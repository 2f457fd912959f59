// Weights as small integers in blocks that share a scale, or as bfloat16: the
// one description of such a storage format. Attributes hold it, and who reads
// bytes asks it.

#ifndef WAFERLOOM_FORMAT_BLOCKS_H
#define WAFERLOOM_FORMAT_BLOCKS_H

#include "llvm/ADT/Hashing.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/LogicalResult.h"
#include <cstdint>
#include <tuple>

namespace waferloom {

/// A matrix of `rows` by `columns`, rows in blocks of `size` elements of `bits`
/// bits, lowest bits first; a row ends with a whole block. Element = (integer -
/// zero of its block) * scale of its block. Of bfloat16 an element is itself.
struct BlockFormat {
  enum class Zeros : uint8_t {
    middle, ///< the middle of the range of the integers
    packed, ///< integers like the elements; a row ends with a whole byte
    scaled, ///< numbers of the type of the scales
    none,   ///< 0
  };
  uint64_t rows = 0, columns = 0;
  uint64_t bits = 4, size = 32; ///< bits: 2, 4 or 8; of bfloat16 16
  bool isSigned = false;        ///< integers are in two's complement
  uint64_t period = 0;          ///< rows after which scales and zeros start
                                ///< over; 0: each row has its own
  bool halfScales = false;      ///< scales are f16, else f32
  Zeros zeros = Zeros::middle;
  bool isBFloat16 = false; ///< elements are bfloat16, without scales and zeros

  uint64_t blocks() const { return (columns + size - 1) / size; }
  uint64_t scaledRows() const { return period ? period : rows; }
  uint64_t packedBytes() const { return rows * blocks() * (size * bits / 8); }
  uint64_t scaleBytes() const {
    return isBFloat16 ? 0 : scaledRows() * blocks() * (halfScales ? 2 : 4);
  }
  /// Of zeros in a file; 0 if they lie in none.
  uint64_t zeroBytes() const {
    return zeros == Zeros::packed   ? scaledRows() * ((blocks() * bits + 7) / 8)
           : zeros == Zeros::scaled ? scaleBytes()
                                    : 0;
  }

  /// Of all of it in its files.
  uint64_t bytes() const { return packedBytes() + scaleBytes() + zeroBytes(); }

  /// What is wrong with it, or with having zeros in a file or not; null if
  /// nothing is.
  const char *fault(bool zerosInFile) const;

  auto tied() const {
    return std::tie(rows, columns, bits, size, isSigned, period, halfScales,
                    zeros, isBFloat16);
  }
  bool operator==(const BlockFormat &other) const {
    return tied() == other.tied();
  }
};

inline llvm::hash_code hash_value(const BlockFormat &format) {
  return llvm::hash_value(format.tied());
}

constexpr llvm::StringRef blockZeros[] = {"middle", "packed", "scaled", "none"};

/// The text in attributes: `12 by 5 bits 8 size 5 signed period 3 scales f16
/// zeros packed`, or `12 by 5 bits 16 size 5 bfloat16`. `signed` and `period`
/// are said where they are so, `zeros` unless they are in the middle. `Printer`
/// is a printer of MLIR.
template <typename Printer>
void printBlockFormat(Printer &printer, const BlockFormat &format) {
  printer << format.rows << " by " << format.columns << " bits " << format.bits
          << " size " << format.size;
  if (format.isSigned)
    printer << " signed";
  if (format.period)
    printer << " period " << format.period;
  if (format.isBFloat16) {
    printer << " bfloat16";
    return;
  }
  printer << " scales " << (format.halfScales ? "f16" : "f32");
  if (format.zeros != BlockFormat::Zeros::middle)
    printer << " zeros " << blockZeros[static_cast<size_t>(format.zeros)];
}

/// Reads what `printBlockFormat` writes. `Parser` is a parser of MLIR.
template <typename Parser>
llvm::ParseResult parseBlockFormat(Parser &parser, BlockFormat &format) {
  llvm::StringRef scales, zeros;
  if (parser.parseInteger(format.rows) || parser.parseKeyword("by") ||
      parser.parseInteger(format.columns) || parser.parseKeyword("bits") ||
      parser.parseInteger(format.bits) || parser.parseKeyword("size") ||
      parser.parseInteger(format.size))
    return llvm::failure();
  format.isSigned = succeeded(parser.parseOptionalKeyword("signed"));
  if (succeeded(parser.parseOptionalKeyword("period")) &&
      parser.parseInteger(format.period))
    return llvm::failure();
  if (succeeded(parser.parseOptionalKeyword("bfloat16"))) {
    format.isBFloat16 = true;
    format.zeros = BlockFormat::Zeros::none;
    return llvm::success();
  }
  auto at = parser.getCurrentLocation();
  if (parser.parseKeyword("scales") || parser.parseKeyword(&scales))
    return llvm::failure();
  format.halfScales = scales == "f16";
  if (!format.halfScales && scales != "f32")
    return parser.emitError(at, "scales are f16 or f32, not ") << scales;
  if (failed(parser.parseOptionalKeyword("zeros")))
    return llvm::success();
  at = parser.getCurrentLocation();
  if (parser.parseKeyword(&zeros))
    return llvm::failure();
  const auto *known = llvm::find(blockZeros, zeros);
  if (known == std::end(blockZeros))
    return parser.emitError(at, "zeros are middle, packed, scaled or none, "
                                "not ")
           << zeros;
  format.zeros = static_cast<BlockFormat::Zeros>(known - blockZeros);
  return llvm::success();
}

} // namespace waferloom

#endif // WAFERLOOM_FORMAT_BLOCKS_H
