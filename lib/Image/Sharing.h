// Guards unpacking against files that refer to one part many times.

#ifndef WAFERLOOM_LIB_IMAGE_SHARING_H
#define WAFERLOOM_LIB_IMAGE_SHARING_H

#include "waferloom/Image/Image_generated.h"

namespace waferloom::image {

/// Bytes of lists and texts that all references of a verified image reach,
/// counted once per reference.
uint64_t referredBytes(const Image &image);

} // namespace waferloom::image

#endif // WAFERLOOM_LIB_IMAGE_SHARING_H
