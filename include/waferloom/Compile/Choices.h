// Options of a compilation that take one of a few values.

#ifndef WAFERLOOM_COMPILE_CHOICES_H
#define WAFERLOOM_COMPILE_CHOICES_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace waferloom {

/// The values of an option, by its name on the command line; the usual one
/// first, if there is one. Empty: it takes others, such as numbers.
llvm::ArrayRef<llvm::StringRef> choicesOf(llvm::StringRef option);

} // namespace waferloom

#endif // WAFERLOOM_COMPILE_CHOICES_H
