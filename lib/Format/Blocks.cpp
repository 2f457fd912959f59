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
  if (rows == 0 || columns == 0 || size == 0)
    return "has no rows, columns or integers in a block";
  if (rows > most || columns > most || size > most ||
      rows > most / (blocks() * size))
    return "has more than 2^40 integers";
  if (size * bits % 8 != 0)
    return "has blocks that end within a byte";
  if (period > rows || (period && rows % period != 0))
    return "has a period of scales that does not divide its rows";
  if ((zeros == Zeros::packed || zeros == Zeros::scaled) != zerosInFile)
    return "has a file of zeros if and only if they are packed or scaled";
  return nullptr;
}
