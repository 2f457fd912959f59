//===- Fuzz.h - What the fuzz targets share ---------------------*- C++ -*-===//
//
// A target is one function on bytes, `LLVMFuzzerTestOneInput`. Two engines call
// it: libFuzzer, guided by coverage (builds with LLVM_USE_SANITIZE_COVERAGE),
// and Seeded.cpp, which repeats its cases by number (all other builds).
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_TEST_FUZZ_FUZZ_H
#define WAFERLOOM_TEST_FUZZ_FUZZ_H

#include "waferloom/Image/Image.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

extern "C" {
/// Tries one input. Dies when a promise is broken; what it gives means nothing.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/// Changes `size` bytes in a buffer of `most`; the new size. A target that has
/// none is given changed bytes.
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most,
                               unsigned seed);

/// The engine's own change of bytes, for mutators to call.
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
}

namespace waferloom::fuzz {

/// Dies with `what` on standard error: a promise is broken.
[[noreturn]] void broken(const llvm::Twine &what);

/// A message that users may see has words, is UTF-8, and does not say that the
/// mistake is ours.
void checkMessage(llvm::StringRef message);

/// The same of an error, which is taken.
void refused(llvm::Error error);

/// Of an error that quotes a text as it stands: its bytes may be any.
void refusedText(llvm::Error error);

/// Does with an image that passed the checker what the tools do: counts the
/// cycles of every entry, and where the wafer's memory is small, runs a step of
/// each on both engines, which must agree.
void useImage(const std::shared_ptr<const image::Loaded> &loaded);

/// A file with these bytes in a folder of this process, which is removed when
/// it ends. Each call overwrites the file before.
std::string fileOf(llvm::StringRef bytes, llvm::StringRef name);

} // namespace waferloom::fuzz

#endif // WAFERLOOM_TEST_FUZZ_FUZZ_H
