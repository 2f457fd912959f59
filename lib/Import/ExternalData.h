//===- ExternalData.h - Tensors in files beside the model -------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_IMPORT_EXTERNALDATA_H
#define WAFERLOOM_LIB_IMPORT_EXTERNALDATA_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <string>

namespace onnx {
class TensorProto;
} // namespace onnx

namespace waferloom::import {

/// Where the bytes of a tensor lie.
struct ExternalData {
  std::string path;
  uint64_t offset = 0, length = 0;
};

/// What the model in file `model` says of the data of a tensor of so many
/// bytes. Errors: keys without sense, or a path that leaves the folder of the
/// model.
llvm::Expected<ExternalData> findExternalData(const onnx::TensorProto &tensor,
                                              llvm::StringRef model,
                                              uint64_t bytes);

/// Errors: there is no such file, it has fewer bytes, they are not as many as
/// the tensor has, or a symbolic link leaves the folder of the model: that in
/// which the model is named, or, where the model is a link itself, that to
/// which it leads (as in the caches of Hugging Face).
llvm::Error checkExternalData(const ExternalData &data, llvm::StringRef model,
                              uint64_t bytes);

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_EXTERNALDATA_H
