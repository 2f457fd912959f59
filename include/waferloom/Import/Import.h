//===- Import.h - From an ONNX file to static tensors -----------*- C++ -*-===//
//
// The door of the room. A model enters as a file or as bytes and leaves as
// level 1 (what the file says) or level 2 (one program per entry, every shape
// static, no shape arithmetic left). docs/import.md says how.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_IMPORT_IMPORT_H
#define WAFERLOOM_IMPORT_IMPORT_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace waferloom::import {

/// Which experts of a mixture compute a token.
enum class Experts {
  ByCost, ///< the chosen ones, unless fewer matrices are all there are
  Chosen,
  All,
};

/// What the caller knows about a model that its file does not say.
struct Options {
  /// Sizes of dimensions, by the name they have in the file. Batch dimensions
  /// (the first of every input) without a size are 1.
  std::vector<std::pair<std::string, int64_t>> dims;
  /// Capacity of the states in tokens; needed by models that have any whose
  /// file does not fix it.
  std::optional<int64_t> context;
  /// Tokens per step of further entries; the entry of 1 token is always there.
  std::vector<int64_t> chunks;
  /// States by hand: input of the past, output of the present.
  std::vector<std::pair<std::string, std::string>> states;
  /// Inputs of one element that are fixed for good.
  std::vector<std::pair<std::string, double>> sets;
  Experts experts = Experts::ByCost;

  /// Two mistakes on purpose, for the tests of the tests: `Shape` of a bounded
  /// dimension is its capacity; padding of reductions is not masked.
  bool mistakeShapeIsCapacity = false;
  bool mistakePaddingIsKept = false;
};

/// Reads and checks a model and gives level 1: a module with one `onnx.graph`.
/// Errors are reported to the context's handlers, at the file's name or at the
/// node that reads a weight whose bytes are not there. `withWeights`: false
/// leaves their bytes out, wherever they are, and weights have shapes only.
mlir::OwningOpRef<mlir::ModuleOp> importOnnx(llvm::StringRef path,
                                             mlir::MLIRContext *context,
                                             bool withWeights = true);

/// The same from bytes; `name` stands for the file in locations and weights.
mlir::OwningOpRef<mlir::ModuleOp> importOnnxBytes(llvm::StringRef bytes,
                                                  llvm::StringRef name,
                                                  mlir::MLIRContext *context,
                                                  bool withWeights = true);

/// The same from the text format of the ONNX library; for tests.
mlir::OwningOpRef<mlir::ModuleOp> importOnnxText(llvm::StringRef text,
                                                 llvm::StringRef name,
                                                 mlir::MLIRContext *context);

/// Lowers level 1 to level 2: one `func.func @tokensN` per entry, and the
/// weights they read. Every node that is not supported is reported at once.
mlir::OwningOpRef<mlir::ModuleOp> lowerOnnx(mlir::ModuleOp onnx,
                                            const Options &options);

/// File to level 2. Null after an error was reported.
mlir::OwningOpRef<mlir::ModuleOp> importModel(llvm::StringRef path,
                                              const Options &options,
                                              mlir::MLIRContext *context);

/// The nodes of level 1 that are not supported, each with the reason.
std::vector<std::string> unsupportedNodes(mlir::ModuleOp onnx);

/// What import makes of an operator, from a version on.
struct OperatorSupport {
  enum class How { Native, Body, Refused } how;
  std::string domain, name;
  int64_t version;    // 0: any
  std::string reason; // why the machine cannot, if that is why
};

/// All operators that import knows, by domain, name and version.
std::vector<OperatorSupport> operatorSupport();

/// The dialects that levels 1 and 2 consist of.
void registerDialects(mlir::DialectRegistry &registry);

/// Loads them.
void loadDialects(mlir::MLIRContext &context);

} // namespace waferloom::import

#endif // WAFERLOOM_IMPORT_IMPORT_H
