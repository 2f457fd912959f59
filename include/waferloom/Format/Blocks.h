// Weights as small integers or floats in blocks that share a scale, or as
// bfloat16: the one description of such a storage format. Attributes hold it,
// and who reads bytes asks it.

#ifndef WAFERLOOM_FORMAT_BLOCKS_H
#define WAFERLOOM_FORMAT_BLOCKS_H

#include "llvm/ADT/Hashing.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/LogicalResult.h"
#include <cstdint>
#include <tuple>

namespace waferloom {

/// A matrix of `rows` by `columns` in blocks of `tall` rows by `size` columns
/// that share a scale. Elements have codes of `bits` bits, lowest bits first; a
/// row ends with a whole block, or, if it `isDense`, codes lie behind each
/// other without gaps. Element = (what its code stands for - zero of its block)
/// * scale of its block. Of bfloat16 an element is itself.
struct BlockFormat {
  /// What a code stands for.
  enum class Code : uint8_t {
    integer,
    e4m3fn, ///< floats: bits of the exponent, of the mantissa; `fn`: no
            ///< infinity
    e5m2,
    e2m1,
  };
  /// Of which type the file has numbers that are rounded to codes where the
  /// image is written; none: it has the codes.
  enum class Rounded : uint8_t { none, f32, f16, bfloat16 };
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
  Code code = Code::integer;
  uint64_t tall = 1;    ///< rows of a block
  bool isDense = false; ///< codes without gaps behind rows
  bool isPower = false; ///< a scale is a byte in the file, 2^(byte - 127)
  bool isWide = false;  ///< numbers are f32 although scales are f16
  Rounded rounded = Rounded::none;
  bool leastSquares = false; ///< rounded with the scales of least squared error

  uint64_t blocks() const { return (columns + size - 1) / size; }
  /// Rows of scales.
  uint64_t scaledRows() const {
    return tall > 1 ? (rows + tall - 1) / tall : period ? period : rows;
  }
  uint64_t packedBytes() const {
    return isDense ? (rows * columns * bits + 7) / 8
                   : rows * blocks() * (size * bits / 8);
  }
  uint64_t scales() const { return scaledRows() * blocks(); }
  uint64_t scaleBytes() const {
    return isBFloat16 ? 0 : scales() * (isPower ? 1 : halfScales ? 2 : 4);
  }
  /// Of zeros in a file; 0 if they lie in none.
  uint64_t zeroBytes() const {
    return zeros == Zeros::scaled   ? scaleBytes()
           : zeros != Zeros::packed ? 0
           : isDense ? (scales() * bits + 7) / 8
                     : scaledRows() * ((blocks() * bits + 7) / 8);
  }
  bool hasHalves() const { return halfScales && !isWide; } ///< as its numbers

  /// Which of the scales is that of an element of row `row`.
  uint64_t scaleIndex(uint64_t row, uint64_t column) const {
    return row / tall % scaledRows() * blocks() + column / size;
  }
  /// Where the code of an element is, counted in codes.
  uint64_t codeIndex(uint64_t row, uint64_t column) const {
    return row * (isDense ? columns : blocks() * size) + column;
  }
  /// Where the packed zero of a scale is, counted in zeros.
  uint64_t zeroIndex(uint64_t scale) const {
    const uint64_t each = 8 / bits; // a row of them ends with a whole byte
    return isDense ? scale
                   : scale / blocks() * ((blocks() + each - 1) / each * each) +
                         scale % blocks();
  }
  /// Of the numbers that are rounded.
  uint64_t roundedBytes() const {
    return rows * columns * (rounded == Rounded::f32 ? 4 : 2);
  }
  /// Of the codes in a file, or of the numbers that become codes.
  uint64_t bytesInFile() const {
    return rounded == Rounded::none ? packedBytes() : roundedBytes();
  }
  /// As an image has it: rounded, scales multiplied out.
  BlockFormat inImage() const {
    BlockFormat format = *this;
    format.rounded = Rounded::none;
    format.leastSquares = format.isPower = format.isWide = false;
    return format;
  }

  /// Of all of it in its files.
  uint64_t bytes() const { return packedBytes() + scaleBytes() + zeroBytes(); }

  /// What is wrong with it, or with having zeros in a file or not; null if
  /// nothing is.
  const char *fault(bool zerosInFile) const;

  auto tied() const {
    return std::tie(rows, columns, bits, size, isSigned, period, halfScales,
                    zeros, isBFloat16, code, tall, isDense, isPower, isWide,
                    rounded, leastSquares);
  }
  bool operator==(const BlockFormat &other) const {
    return tied() == other.tied();
  }
};

inline llvm::hash_code hash_value(const BlockFormat &format) {
  return llvm::hash_value(format.tied());
}

constexpr llvm::StringRef blockZeros[] = {"middle", "packed", "scaled", "none"};
constexpr llvm::StringRef blockCodes[] = {"integer", "e4m3fn", "e5m2", "e2m1"};
constexpr llvm::StringRef blockRounded[] = {"none", "f32", "f16", "bfloat16"};

/// The text in attributes: `12 by 5 bits 8 size 5 signed period 3 scales f16
/// zeros packed`, `12 by 5 bits 16 size 5 bfloat16`, or `64 by 8 bits 4 size 1
/// tall 32 dense code e2m1 rounded f32 scales e8m0 wide zeros none`. Words are
/// said where they are so, `zeros` unless they are in the middle. `Printer` is
/// a printer of MLIR.
template <typename Printer>
void printBlockFormat(Printer &printer, const BlockFormat &format) {
  printer << format.rows << " by " << format.columns << " bits " << format.bits
          << " size " << format.size;
  if (format.tall != 1)
    printer << " tall " << format.tall;
  if (format.isDense)
    printer << " dense";
  if (format.isSigned)
    printer << " signed";
  if (format.period)
    printer << " period " << format.period;
  if (format.isBFloat16) {
    printer << " bfloat16";
    return;
  }
  if (format.code != BlockFormat::Code::integer)
    printer << " code " << blockCodes[static_cast<size_t>(format.code)];
  if (format.rounded != BlockFormat::Rounded::none)
    printer << " rounded " << blockRounded[static_cast<size_t>(format.rounded)];
  if (format.leastSquares)
    printer << " mse";
  printer << " scales "
          << (format.isPower      ? "e8m0"
              : format.halfScales ? "f16"
                                  : "f32");
  if (format.isWide)
    printer << " wide";
  if (format.zeros != BlockFormat::Zeros::middle)
    printer << " zeros " << blockZeros[static_cast<size_t>(format.zeros)];
}

/// Reads one of `words` as the enumeration that they are the names of.
template <typename Parser, typename Enum, size_t n>
llvm::ParseResult parseBlockWord(Parser &parser,
                                 const llvm::StringRef (&words)[n], Enum &to,
                                 llvm::StringRef known) {
  llvm::StringRef word;
  auto at = parser.getCurrentLocation();
  if (parser.parseKeyword(&word))
    return llvm::failure();
  const auto *found = llvm::find(words, word);
  if (found == std::end(words))
    return parser.emitError(at, known) << ", not " << word;
  to = static_cast<Enum>(found - words);
  return llvm::success();
}

/// Reads what `printBlockFormat` writes. `Parser` is a parser of MLIR.
template <typename Parser>
llvm::ParseResult parseBlockFormat(Parser &parser, BlockFormat &format) {
  if (parser.parseInteger(format.rows) || parser.parseKeyword("by") ||
      parser.parseInteger(format.columns) || parser.parseKeyword("bits") ||
      parser.parseInteger(format.bits) || parser.parseKeyword("size") ||
      parser.parseInteger(format.size))
    return llvm::failure();
  auto says = [&](llvm::StringRef word) {
    return succeeded(parser.parseOptionalKeyword(word));
  };
  if (says("tall") && parser.parseInteger(format.tall))
    return llvm::failure();
  format.isDense = says("dense");
  format.isSigned = says("signed");
  if (says("period") && parser.parseInteger(format.period))
    return llvm::failure();
  if (says("bfloat16")) {
    format.isBFloat16 = true;
    format.zeros = BlockFormat::Zeros::none;
    return llvm::success();
  }
  if (says("code") && parseBlockWord(parser, blockCodes, format.code,
                                     "codes are integer, e4m3fn, e5m2 or e2m1"))
    return llvm::failure();
  if (says("rounded") &&
      parseBlockWord(parser, blockRounded, format.rounded,
                     "numbers are rounded from f32, f16 or bfloat16"))
    return llvm::failure();
  format.leastSquares = says("mse");
  llvm::StringRef scales;
  if (parser.parseKeyword("scales"))
    return llvm::failure();
  auto at = parser.getCurrentLocation();
  if (parser.parseKeyword(&scales))
    return llvm::failure();
  format.isPower = scales == "e8m0";
  format.halfScales = format.isPower || scales == "f16";
  if (!format.halfScales && scales != "f32")
    return parser.emitError(at, "scales are f16, f32 or e8m0, not ") << scales;
  format.isWide = says("wide");
  if (says("zeros"))
    return parseBlockWord(parser, blockZeros, format.zeros,
                          "zeros are middle, packed, scaled or none");
  return llvm::success();
}

/// Where scales lie in a file, `from "m.onnx" at 512`, or `nowhere`.
template <typename Printer, typename Text>
void printBlockScales(Printer &printer, Text file, int64_t at) {
  if (file)
    printer << "from " << file << " at " << at;
  else
    printer << "nowhere";
}

template <typename Parser, typename Text>
llvm::ParseResult parseBlockScales(Parser &parser, Text &file, int64_t &at) {
  if (succeeded(parser.parseOptionalKeyword("nowhere")))
    return llvm::success();
  return llvm::failure(parser.parseKeyword("from") ||
                       parser.parseAttribute(file) ||
                       parser.parseKeyword("at") || parser.parseInteger(at));
}

} // namespace waferloom

#endif // WAFERLOOM_FORMAT_BLOCKS_H
