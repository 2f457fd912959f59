#include "waferloom/Format/Blocks.h"

using namespace waferloom;

const char *BlockFormat::fault(bool zerosInFile) const {
  constexpr uint64_t most = uint64_t(1) << 40; // elements, as import has it
  if (isBFloat16) {
    if (bits != 16 || isSigned || period || halfScales || zeros != Zeros::none)
      return "says more of bfloat16 than that it has 16 bits";
  } else if (bits != 2 && bits != 4 && bits != 8) {
    return "has integers of neither 2, 4 nor 8 bits";
  }
  if (code != Code::integer &&
      (isBFloat16 || isSigned || zeros != Zeros::none ||
       bits != (code == Code::e2m1 ? 4 : 8)))
    return "says of floats more than that they have 8 bits, e2m1 4";
  if (isBFloat16 && (rounded != Rounded::none || tall != 1 || isDense))
    return "says more of bfloat16 than that it has 16 bits";
  if (rounded != Rounded::none &&
      (!isDense || (zeros != Zeros::middle && zeros != Zeros::none)))
    return "is rounded but not dense, or has zeros of its own";
  if (leastSquares && rounded == Rounded::none)
    return "has scales of least squared error but is not rounded";
  if ((isPower || isWide) && !halfScales)
    return "has wide numbers or powers of two whose scales are not f16";
  if (tall == 0 || (tall > 1 && period))
    return "has blocks of no rows, or of several and a period";
  if (rows == 0 || columns == 0 || size == 0)
    return "has no rows, columns or integers in a block";
  if (rows > most || columns > most || size > most ||
      rows > most / (blocks() * size))
    return "has more than 2^40 integers";
  if (!isDense && size * bits % 8 != 0)
    return "has blocks that end within a byte";
  if (period > rows || (period && rows % period != 0))
    return "has a period of scales that does not divide its rows";
  if ((zeros == Zeros::packed || zeros == Zeros::scaled) != zerosInFile)
    return "has a file of zeros if and only if they are packed or scaled";
  return nullptr;
}
