// Numbers rounded to codes of few bits, and codes and scales as PEs hold them.

#ifndef WAFERLOOM_IMAGE_ROUNDING_H
#define WAFERLOOM_IMAGE_ROUNDING_H

#include "waferloom/Format/Blocks.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <optional>
#include <vector>

namespace waferloom::image {

/// How far the numbers of a weight were moved.
struct RoundingError {
  double largest = 0, rms = 0;
  double largestNumber = 0; ///< of the weight, before it was rounded
};

/// Codes and scales as `format` has them in a file.
struct Rounding {
  std::vector<char> codes, scales;
  RoundingError error;
};

/// Rounds the numbers of a weight, `format.rounded` says of which type, to the
/// nearest codes. The scale of a block takes its largest number to the largest
/// code, or is, of several that are smaller, the one of least squared error.
/// Errors: a number is not finite.
llvm::Expected<Rounding> roundToBlocks(const BlockFormat &format,
                                       const char *numbers);

/// The first element whose code stands for no number that a PE unpacks.
std::optional<uint64_t> findNaN(const BlockFormat &format,
                                llvm::ArrayRef<char> codes);

/// Scales of a file as PEs hold them: f16 or f32, times the power of two that
/// codes lack as patterns of f16. Errors: one is beyond f16.
llvm::Error scalesOnPes(const BlockFormat &format, const char *scales,
                        char *to);

} // namespace waferloom::image

#endif // WAFERLOOM_IMAGE_ROUNDING_H
