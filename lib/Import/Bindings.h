//===- Bindings.h - Sizes of the dimensions of inputs -----------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_IMPORT_BINDINGS_H
#define WAFERLOOM_LIB_IMPORT_BINDINGS_H

#include "HostInputs.h"
#include "Lowering.h"

#include "llvm/ADT/StringMap.h"

namespace waferloom::import {

/// What the names of dimensions stand for in one entry. By role first: the
/// first dimension of an input is the batch, the second of the token ids is the
/// number of new tokens, the appended one of a state is p (of a static cache
/// the capacity), the second of the attention mask is the live length. Then by
/// the caller's sizes; names that are sums of names ("past + sequence") follow
/// from their parts.
class Bindings {
public:
  Bindings(onnx::GraphOp graph, llvm::ArrayRef<State> states,
           llvm::ArrayRef<HostInput> hostInputs, const Options &options);

  /// The input whose second dimension counts the new tokens; may be null.
  onnx::InputOp tokens() { return tokenInput; }
  /// Tokens per step that a model without states is bound to; none if the
  /// caller must say.
  std::optional<int64_t> fixedTokens();
  /// The entries that the caller wants and the model allows, as their tokens.
  mlir::FailureOr<llvm::SmallVector<int64_t>> chooseEntries();
  /// Binds the names for an entry of n tokens.
  void bind(Arithmetic &math, int64_t n);
  /// The size of one declared dimension; null if nothing says it.
  Expr size(Arithmetic &math, mlir::Attribute dim);
  /// The size of a dimension that the caller gives, the same in every entry and
  /// at every position; none of one that counts tokens, whatever it is bound
  /// to.
  std::optional<int64_t> givenSize(mlir::Attribute dim) const;
  /// The names of dimensions of inputs.
  llvm::SmallVector<std::string> knownNames();
  /// Dimension names the caller bound that no input has.
  llvm::SmallVector<std::string> unknownNames();

private:
  void put(mlir::Attribute dim, Expr size);

  onnx::GraphOp graph;
  llvm::ArrayRef<State> states;
  llvm::ArrayRef<HostInput> hostInputs;
  const Options &options;
  onnx::InputOp tokenInput;
  llvm::StringMap<Expr> sizes;
  llvm::StringMap<int64_t> given; // of those, the caller's
};

/// Refuses what the caller says of names that the model does not have, and a
/// context that is missing or none.
llvm::LogicalResult checkOptions(onnx::GraphOp graph, Bindings &bindings,
                                 llvm::ArrayRef<State> states,
                                 const Options &options);

/// An input that the host can fill in when the caller leaves it out.
llvm::StringRef fallbackOf(onnx::InputOp input);

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_BINDINGS_H
