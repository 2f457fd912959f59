//===- Operators.h - Families of operators, and what they share -*- C++ -*-===//

#ifndef WAFERLOOM_LIB_IMPORT_OPERATORS_H
#define WAFERLOOM_LIB_IMPORT_OPERATORS_H

#include "Lowering.h"

namespace waferloom::import {

/// The operators of each family, from the file that is called after it.
llvm::ArrayRef<OperatorEntry> attentionOperators();
llvm::ArrayRef<OperatorEntry> castOperators();
llvm::ArrayRef<OperatorEntry> gatherOperators();
llvm::ArrayRef<OperatorEntry> generatorOperators();
llvm::ArrayRef<OperatorEntry> movementOperators();
llvm::ArrayRef<OperatorEntry> pointwiseOperators();
llvm::ArrayRef<OperatorEntry> predicateOperators();
llvm::ArrayRef<OperatorEntry> productOperators();
llvm::ArrayRef<OperatorEntry> quantizedOperators();
llvm::ArrayRef<OperatorEntry> reductionOperators();
llvm::ArrayRef<OperatorEntry> reshapeOperators();
llvm::ArrayRef<OperatorEntry> slicingOperators();

/// A value with other indices: `indices` are those of `q` in terms of the dims
/// of `shape`; `change` does the same to a view.
SymbolicTensor *moved(Lowering &lowering, SymbolicTensor *q, Sizes shape,
                      Sizes indices, llvm::function_ref<void(View &)> change);

/// `q` in another element type.
SymbolicTensor *converted(Call &call, SymbolicTensor *q, mlir::Type to);
/// An integer as its type holds it: constants wrap as ONNX has it; refused if
/// another may.
Expr inRangeOf(Call &call, Expr integer, mlir::Type type);

/// `q` in another shape, elements in the same order.
SymbolicTensor *reshaped(Call &call, SymbolicTensor *q, Sizes to);

/// `q` with its dimension order[i] as dimension i.
SymbolicTensor *transposed(Call &call, SymbolicTensor *q,
                           llvm::ArrayRef<int64_t> order);

/// Matrix product over the last two dimensions; the others broadcast.
SymbolicTensor *product(Call &call, SymbolicTensor *a, SymbolicTensor *b);

/// Softmax over `axis`. With `paddingIsExcluded`, what lies beyond the live
/// length is known to be -inf.
SymbolicTensor *softmax(Call &call, SymbolicTensor *q, int64_t axis,
                        bool paddingIsExcluded = false);

/// Stores the new rows of the state `past` behind what it holds.
SymbolicTensor *append(Call &call, SymbolicTensor *past, SymbolicTensor *rows,
                       int64_t axis, Sizes shape);

/// Run-time tensors one behind the other; only `axis` may differ in size.
SymbolicTensor *joined(Call &call, llvm::ArrayRef<SymbolicTensor *> parts,
                       int64_t axis, Sizes shape);

using SymbolicFn = llvm::function_ref<Expr(llvm::ArrayRef<Expr>)>;

/// Applies `symbolic` if every operand is an index function; otherwise null
/// without a refusal.
SymbolicTensor *trySymbolic(Call &call,
                            llvm::ArrayRef<SymbolicTensor *> operands,
                            mlir::Type type, SymbolicFn symbolic);

/// Refuses operands of different element types.
bool sameTypes(Call &call, llvm::ArrayRef<SymbolicTensor *> operands);

/// `axis` counted from the front; none and a refusal if it is out of range.
std::optional<int64_t> normalizeAxis(Lowering &lowering, int64_t axis,
                                     int64_t rank);

/// [start, start + step, ..] along one axis; `length` is the new size.
SymbolicTensor *sliceAxis(Lowering &lowering, SymbolicTensor *q, int64_t axis,
                          Expr start, Expr length, int64_t step);

/// Elements of `axis` at computed indices (a function of d0), by lookup.
SymbolicTensor *takeAlong(Lowering &lowering, SymbolicTensor *q, int64_t axis,
                          SymbolicTensor *indices);

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_OPERATORS_H
