//===- GraphBuilder.h - A model file as level 1 -----------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_IMPORT_GRAPHBUILDER_H
#define WAFERLOOM_LIB_IMPORT_GRAPHBUILDER_H

#include "ReadModel.h"
#include "TensorUses.h"
#include "waferloom/Dialect/Onnx/Onnx.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"

#include "onnx/onnx_pb.h"

namespace waferloom::import {

/// Where what concerns the whole model is. Names are kept for its nodes, and a
/// program must not depend on where the file lies.
mlir::Location locationOf(mlir::MLIRContext *context, llvm::StringRef file);

inline llvm::Error makeError(const llvm::Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
}

/// What callers and later levels print must be text.
llvm::Error checkUtf8(llvm::StringRef what, llvm::StringRef name);

/// Builds the `onnx.graph` of one model.
class GraphBuilder {
public:
  GraphBuilder(const CheckedModel &model, llvm::StringRef file,
               mlir::MLIRContext *context, bool withWeights)
      : checked(model), model(*model.proto), positions(model.positions),
        file(file), withWeights(withWeights), builder(context),
        errorAt(locationOf(context, file)), uses(model.proto->graph()) {}

  llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>> build();
  /// Where an error of `build` belongs: the file, or a node of it.
  mlir::Location whereItFailed() const { return errorAt; }

private:
  mlir::Location at(llvm::StringRef name) {
    return mlir::NameLoc::get(builder.getStringAttr(name));
  }
  llvm::Error addInputs(const llvm::StringMap<bool> &initialized);
  llvm::Error addInitializers();
  llvm::Error addNode(const ::onnx::NodeProto &node);
  llvm::Error addIf(const ::onnx::NodeProto &node, mlir::Location loc);
  llvm::Error addLoop(const ::onnx::NodeProto &node, mlir::Location loc);
  /// A branch or the body of a loop.
  llvm::Error addBranch(const ::onnx::GraphProto &graph, mlir::Region &region);
  llvm::Expected<mlir::DictionaryAttr>
  attributes(const ::onnx::NodeProto &node);
  llvm::Expected<llvm::SmallVector<mlir::Value>>
  inputs(const ::onnx::NodeProto &node);
  int64_t versionOf(const ::onnx::NodeProto &node, llvm::StringRef domain);
  llvm::Error addOutputs();
  llvm::Expected<mlir::Value> addTensor(const ::onnx::TensorProto &tensor,
                                        llvm::StringRef name, int64_t position,
                                        mlir::Location loc);
  llvm::Expected<mlir::Value> addExternal(const ::onnx::TensorProto &tensor,
                                          llvm::StringRef name,
                                          mlir::RankedTensorType type,
                                          mlir::Location loc);
  llvm::Error checkInterface(
      const google::protobuf::RepeatedPtrField<::onnx::ValueInfoProto> &values,
      llvm::StringRef what);
  llvm::Error refuseData(llvm::StringRef name, const llvm::Twine &reason);
  llvm::Expected<mlir::Value> addConstantNode(const ::onnx::NodeProto &node,
                                              mlir::Location loc);
  llvm::Expected<mlir::Attribute>
  attribute(const ::onnx::AttributeProto &attribute);
  llvm::Expected<std::pair<mlir::Type, mlir::ArrayAttr>>
  declaredType(const ::onnx::ValueInfoProto &value);
  llvm::Expected<mlir::Value> lookup(const std::string &name);
  const CheckedModel &checked;
  const ::onnx::ModelProto &model;
  const WeightPositions &positions;
  llvm::StringRef file;
  bool withWeights;
  mlir::OpBuilder builder;
  mlir::Location errorAt;
  llvm::StringMap<mlir::Value> values;
  TensorUses uses;
  llvm::StringMap<int64_t> versions;
  mlir::Value absent;
  mlir::Block *top = nullptr; // of the graph
};

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_GRAPHBUILDER_H
