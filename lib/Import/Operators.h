//===- Operators.h - One function per operator ------------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_IMPORT_OPERATORS_H
#define WAFERLOOM_LIB_IMPORT_OPERATORS_H

#include "Lowering.h"

namespace waferloom::import {

// OperatorsMovement.cpp
Results lowerIdentity(Call &);
Results lowerShape(Call &);
Results lowerSize(Call &);
Results lowerUnsqueeze(Call &);
Results lowerSqueeze(Call &);
Results lowerTranspose(Call &);
Results lowerExpand(Call &);
Results lowerTile(Call &);

// OperatorsReshape.cpp
Results lowerReshape(Call &);
Results lowerFlatten(Call &);

// OperatorsSlicing.cpp
Results lowerSlice(Call &);
Results lowerSplit(Call &);
Results lowerConcat(Call &);

// OperatorsGather.cpp
Results lowerGather(Call &);
Results lowerGatherElements(Call &);
Results lowerGatherND(Call &);

// OperatorsPointwise.cpp
Results lowerArithmetic(Call &);
Results lowerUnary(Call &);
Results lowerPow(Call &);
Results lowerClip(Call &);
Results lowerGelu(Call &);

// OperatorsPredicate.cpp
Results lowerComparison(Call &);
Results lowerLogic(Call &);
Results lowerIsNaN(Call &);
Results lowerWhere(Call &);

// OperatorsCast.cpp
Results lowerCast(Call &);
Results lowerCastLike(Call &);

// OperatorsReduction.cpp
Results lowerReduce(Call &);
Results lowerSoftmax(Call &);
Results lowerLayerNormalization(Call &);
Results lowerRMSNormalization(Call &);
Results lowerSkipNormalization(Call &);

// OperatorsProduct.cpp
Results lowerMatMul(Call &);
Results lowerGemm(Call &);

// OperatorsAttention.cpp
Results lowerGroupQueryAttention(Call &);
Results lowerRotaryEmbedding(Call &);

// OperatorsQuantized.cpp
Results lowerMatMulNBits(Call &);

// OperatorsGenerator.cpp
Results lowerRange(Call &);
Results lowerConstantOfShape(Call &);
Results lowerTrilu(Call &);
Results lowerCumSum(Call &);

/// A value with other indices: `indices` are those of `q` in terms of the dims
/// of `shape`; `change` does the same to a view.
SymbolicTensor *moved(Lowering &lowering, SymbolicTensor *q, Sizes shape,
                      Sizes indices, llvm::function_ref<void(View &)> change);

/// `q` in another element type.
SymbolicTensor *converted(Call &call, SymbolicTensor *q, mlir::Type to);

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
