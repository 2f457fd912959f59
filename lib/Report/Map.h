// Pictures of where a program lies on the wafer.

#ifndef WAFERLOOM_LIB_REPORT_MAP_H
#define WAFERLOOM_LIB_REPORT_MAP_H

#include "waferloom/Image/Image.h"
#include "llvm/Support/raw_ostream.h"

namespace waferloom::report {

/// Two pictures beside each other: the fabric with all regions to scale, and
/// the regions alone, enlarged, their stages numbered.
void writeMap(llvm::raw_ostream &os, const image::ImageT &image);

} // namespace waferloom::report

#endif // WAFERLOOM_LIB_REPORT_MAP_H
