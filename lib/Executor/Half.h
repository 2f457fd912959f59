// The executor's f16 is the image's.

#ifndef WAFERLOOM_LIB_EXECUTOR_HALF_H
#define WAFERLOOM_LIB_EXECUTOR_HALF_H

#include "waferloom/Image/Half.h"

namespace waferloom::executor {
using image::bitsOfFloat;
using image::floatOfBits;
using image::floatOfHalf;
using image::halfOfFloat;
} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_HALF_H
