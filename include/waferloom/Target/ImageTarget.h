// What an image says of the machine that it was compiled for.

#ifndef WAFERLOOM_TARGET_IMAGETARGET_H
#define WAFERLOOM_TARGET_IMAGETARGET_H

#include "waferloom/Image/Image_generated.h"
#include "waferloom/Target/Target.h"
#include <memory>

namespace waferloom::target {

/// The figures that the executor and the image checker need.
std::unique_ptr<image::TargetT> toImage(const Target &target);

} // namespace waferloom::target

#endif // WAFERLOOM_TARGET_IMAGETARGET_H
