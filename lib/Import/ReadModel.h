//===- ReadModel.h - A checked model and where its weights lie --*- C++ -*-===//

#ifndef WAFERLOOM_LIB_IMPORT_READMODEL_H
#define WAFERLOOM_LIB_IMPORT_READMODEL_H

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <vector>

namespace onnx {
class ModelProto;
}

namespace waferloom::import {

/// Byte offsets into the file of `raw_data` fields, found by walking its wire
/// format: the parser copies the bytes and forgets where they came from.
struct WeightPositions {
  /// Per initializer of the graph, in order; -1 where it has no raw data.
  std::vector<int64_t> initializers;
  /// Of the tensor that a Constant node gives, by the node's output.
  llvm::StringMap<int64_t> constants;
};

WeightPositions findWeightPositions(llvm::StringRef bytes);

struct CheckedModel {
  std::unique_ptr<onnx::ModelProto> proto;
  WeightPositions positions;

  CheckedModel();
  CheckedModel(CheckedModel &&);
  ~CheckedModel();
};

/// Parses, checks, and inlines the functions that the model defines. No
/// exception of the ONNX library gets out.
llvm::Expected<CheckedModel> readModel(llvm::StringRef bytes);

/// The same from the ONNX text format; for tests.
llvm::Expected<CheckedModel> readModelText(llvm::StringRef text);

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_READMODEL_H
