// How a PE holds its shard of a weight whose integers stay packed: codes in
// words of 16 bits, and one scale (and zero) per group of elements. The layout
// of the weight is as ever; only bytes differ.

#ifndef WAFERLOOM_FORMAT_PACKING_H
#define WAFERLOOM_FORMAT_PACKING_H

#include "waferloom/Format/Blocks.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

namespace waferloom {

/// A dimension of a shard, as far as scales depend on it.
struct PackedDim {
  int64_t live = 1;   ///< indices of the weight
  int64_t stride = 1; ///< elements of the weight from one index to the next
  int64_t run = 1;    ///< indices that lie behind each other on a PE, from a
                      ///< multiple of their number on
};

/// Whether PEs can unpack what `format` says.
inline bool canStayPacked(const BlockFormat &format) {
  return !format.isBFloat16;
}

/// Per dimension, how many indices behind each other (from a multiple of that
/// number on) share a scale and a zero, whatever the others are. `at`: the
/// element of the weight where all indices are 0.
llvm::SmallVector<int64_t> groupsOf(const BlockFormat &format,
                                    llvm::ArrayRef<PackedDim> dims, int64_t at);

/// Codes lie in planes: of W words, word j has elements j, W + j, 2 W + j, ..,
/// the first integer in its lowest bits, and floats as `planesOf` says. So a
/// plane of elements is unpacked from words behind each other.
inline int64_t packedWords(int64_t elements, int64_t bits) {
  const int64_t each = 16 / bits;
  return (elements + each - 1) / each;
}

/// On a PE integers are unsigned: those in two's complement are moved up by the
/// middle of their range.
inline int64_t movedUp(const BlockFormat &format) {
  return format.isSigned ? int64_t(1) << (format.bits - 1) : 0;
}

/// What is taken off every unsigned integer; zeros of their own come besides,
/// where packed ones are moved up as the integers are.
inline int64_t commonZero(const BlockFormat &format) {
  return format.code != BlockFormat::Code::integer ||
                 format.zeros == BlockFormat::Zeros::packed
             ? 0
         : format.zeros == BlockFormat::Zeros::middle
             ? int64_t(1) << (format.bits - 1)
             : movedUp(format);
}

/// Whether each group has a zero of its own.
inline bool hasZeros(const BlockFormat &format) {
  return format.zeros == BlockFormat::Zeros::packed ||
         format.zeros == BlockFormat::Zeros::scaled;
}

/// A float of few bits, without its sign: an exponent above a mantissa.
struct SmallFloat {
  int mantissa;     ///< bits
  int bias;         ///< of the exponent
  uint32_t largest; ///< code of the largest finite number
  /// What its code is as a pattern of f16 lacks a power of two of that many,
  /// which scales on a PE have with them.
  int lacking() const { return 15 - bias; }
  /// The f16 of that pattern; `code` has the sign in its highest bit.
  uint32_t pattern(uint32_t code, int64_t bits) const {
    const uint32_t sign = 1u << (bits - 1);
    return (code & sign) << (16 - bits) | (code & (sign - 1))
                                              << (10 - mantissa);
  }
};
SmallFloat smallFloatOf(BlockFormat::Code code);

/// Where a plane of words has a piece of the patterns of f16: `words` shifted
/// up by `up`, and `mask` of it. What the pieces of a plane give is joined.
struct Piece {
  uint32_t up, mask;
};
/// The pieces of each plane of codes that are floats.
llvm::ArrayRef<llvm::SmallVector<Piece, 2>> planesOf(BlockFormat::Code code);

/// Unpacking makes an f16 of an integer by setting the bits of 2^10, whose
/// last digit is 1; a packed zero is that much more on a PE.
constexpr int64_t packedBias = 1024;
constexpr uint32_t packedBiasBits = 0x6400;

} // namespace waferloom

#endif // WAFERLOOM_FORMAT_PACKING_H
