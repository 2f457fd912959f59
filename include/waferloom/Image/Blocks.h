// What weights that are packed stand for.

#ifndef WAFERLOOM_IMAGE_BLOCKS_H
#define WAFERLOOM_IMAGE_BLOCKS_H

#include "waferloom/Format/Blocks.h"

namespace waferloom::image {

/// What the code of a small float stands for.
float valueOf(BlockFormat::Code code, uint32_t bits);
/// What a scale of a byte stands for.
float powerOf(uint8_t scale);

/// Writes the elements, row-major, in the type of the format's numbers.
void expandBlocks(const BlockFormat &format, const char *packed,
                  const char *scales, const char *zeros, char *to);

} // namespace waferloom::image

#endif // WAFERLOOM_IMAGE_BLOCKS_H
