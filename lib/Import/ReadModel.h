//===- ReadModel.h - A checked model and where its weights lie --*- C++ -*-===//

#ifndef WAFERLOOM_LIB_IMPORT_READMODEL_H
#define WAFERLOOM_LIB_IMPORT_READMODEL_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <string>
#include <vector>

namespace onnx {
class ModelProto;
class NodeProto;
} // namespace onnx

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

/// A node that was part of a function's body.
struct NodeOrigin {
  /// Of the operator set that the body was written for.
  int64_t version;
  /// The operator of the model's node; the name of that node is this one's.
  std::string bodyOf;
};

/// Whether an operator (domain, name) is lowered without its body.
using IsNative = llvm::function_ref<bool(llvm::StringRef, llvm::StringRef)>;

struct CheckedModel {
  std::unique_ptr<::onnx::ModelProto> proto;
  WeightPositions positions;
  /// Of nodes from function bodies, by their first output.
  llvm::StringMap<NodeOrigin> origins;

  /// Null for a node of the model's own.
  const NodeOrigin *originOf(const ::onnx::NodeProto &node) const;

  CheckedModel();
  CheckedModel(CheckedModel &&);
  ~CheckedModel();
};

/// Parses, checks, and expands functions: those that the model defines, and the
/// bodies of operators that are not native. No exception of the ONNX library
/// gets out.
llvm::Expected<CheckedModel> readModel(llvm::StringRef bytes,
                                       IsNative isNative);

/// The same from the ONNX text format; for tests.
llvm::Expected<CheckedModel> readModelText(llvm::StringRef text,
                                           IsNative isNative);

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_READMODEL_H
