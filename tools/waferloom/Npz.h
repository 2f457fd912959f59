//===- Npz.h - NumPy's archives of arrays -----------------------*- C++ -*-===//

#ifndef WAFERLOOM_TOOLS_WAFERLOOM_NPZ_H
#define WAFERLOOM_TOOLS_WAFERLOOM_NPZ_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <map>
#include <string>
#include <vector>

namespace waferloom::tool {

/// A dense little-endian array in C order. `type` is NumPy's: "f4", "i8", "b1".
struct Array {
  std::string type;
  std::vector<int64_t> shape;
  std::string bytes;
};

/// Whether an array is wanted, by name and shape; it has no bytes yet.
using Wanted =
    llvm::function_ref<llvm::Error(llvm::StringRef name, const Array &)>;

/// Reads all arrays of an .npz file. Fortran order, big endian, object arrays
/// and files that lie about their size are refused by name. Nothing is unpacked
/// but a header before `wanted` has agreed and the host's memory would hold it.
llvm::Expected<std::map<std::string, Array>> readNpz(
    llvm::StringRef path, Wanted wanted = [](llvm::StringRef, const Array &) {
      return llvm::Error::success();
    });

/// Writes an .npz file, whole or not at all, and over none that was `read`.
llvm::Error writeNpz(llvm::StringRef path,
                     const std::map<std::string, Array> &arrays,
                     llvm::ArrayRef<std::string> read = {});

} // namespace waferloom::tool

#endif // WAFERLOOM_TOOLS_WAFERLOOM_NPZ_H
