// One HTML file about an image: what was compiled, what a PE holds, where it
// lies on the wafer, where the cycles go. It needs no weights, no network and
// no script.

#ifndef WAFERLOOM_REPORT_REPORT_H
#define WAFERLOOM_REPORT_REPORT_H

#include "waferloom/Image/Image.h"
#include "llvm/Support/Error.h"
#include <memory>
#include <string>

namespace waferloom::report {

/// The page. `name` is the image's, `bytes` the size of its file. The same
/// arguments give the same page. Errors: an entry whose cycles cannot be
/// counted.
llvm::Expected<std::string>
writePage(std::shared_ptr<const image::Loaded> image, llvm::StringRef name,
          uint64_t bytes);

} // namespace waferloom::report

#endif // WAFERLOOM_REPORT_REPORT_H
