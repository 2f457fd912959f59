// Names and messages on their way to JSON, Python and terminals.

#ifndef WAFERLOOM_IMAGE_UTF8_H
#define WAFERLOOM_IMAGE_UTF8_H

#include "llvm/ADT/StringRef.h"
#include <string>

namespace waferloom::image {

/// The text with each byte that is no part of UTF-8 as \xNN.
std::string escapeToUtf8(llvm::StringRef text);

} // namespace waferloom::image

#endif // WAFERLOOM_IMAGE_UTF8_H
