//===- Npz.h - NumPy's archives of arrays -----------------------*- C++ -*-===//

#ifndef WAFERLOOM_TOOLS_WAFERLOOM_NPZ_H
#define WAFERLOOM_TOOLS_WAFERLOOM_NPZ_H

#include "llvm/ADT/ArrayRef.h"
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

/// Reads all arrays of an .npz file. Fortran order, big endian, object arrays
/// and files that lie about their size are refused by name.
llvm::Expected<std::map<std::string, Array>> readNpz(llvm::StringRef path);

/// Writes an .npz file, whole or not at all.
llvm::Error writeNpz(llvm::StringRef path,
                     const std::map<std::string, Array> &arrays);

} // namespace waferloom::tool

#endif // WAFERLOOM_TOOLS_WAFERLOOM_NPZ_H
