// What weights that are packed stand for.

#ifndef WAFERLOOM_IMAGE_BLOCKS_H
#define WAFERLOOM_IMAGE_BLOCKS_H

#include "waferloom/Format/Blocks.h"

namespace waferloom::image {

/// Writes the elements, row-major, in the type of the scales.
void expandBlocks(const BlockFormat &format, const char *packed,
                  const char *scales, const char *zeros, char *to);

} // namespace waferloom::image

#endif // WAFERLOOM_IMAGE_BLOCKS_H
