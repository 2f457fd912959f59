//===- Operators.h - Families of operators, and what they share -*- C++ -*-===//

#ifndef WAFERLOOM_LIB_IMPORT_OPERATORS_H
#define WAFERLOOM_LIB_IMPORT_OPERATORS_H

#include "Lowering.h"

namespace waferloom::import {

/// The operators of each family, from the file that is called after it.
llvm::ArrayRef<OperatorEntry> activationOperators();
llvm::ArrayRef<OperatorEntry> attentionOperators();
llvm::ArrayRef<OperatorEntry> castOperators();
llvm::ArrayRef<OperatorEntry> einsumOperators();
llvm::ArrayRef<OperatorEntry> expertOperators();
llvm::ArrayRef<OperatorEntry> gatherOperators();
llvm::ArrayRef<OperatorEntry> generatorOperators();
llvm::ArrayRef<OperatorEntry> integerOperators();
llvm::ArrayRef<OperatorEntry> movementOperators();
llvm::ArrayRef<OperatorEntry> multiHeadOperators();
llvm::ArrayRef<OperatorEntry> normOperators();
llvm::ArrayRef<OperatorEntry> pointwiseOperators();
llvm::ArrayRef<OperatorEntry> predicateOperators();
llvm::ArrayRef<OperatorEntry> productOperators();
llvm::ArrayRef<OperatorEntry> quantizedOperators();
llvm::ArrayRef<OperatorEntry> recurrentOperators();
llvm::ArrayRef<OperatorEntry> reductionOperators();
llvm::ArrayRef<OperatorEntry> reshapeOperators();
llvm::ArrayRef<OperatorEntry> resizeOperators();
llvm::ArrayRef<OperatorEntry> rowsOperators();
llvm::ArrayRef<OperatorEntry> sampleOperators();
llvm::ArrayRef<OperatorEntry> scatterOperators();
llvm::ArrayRef<OperatorEntry> selectionOperators();
llvm::ArrayRef<OperatorEntry> slicingOperators();
llvm::ArrayRef<OperatorEntry> spectrumOperators();
llvm::ArrayRef<OperatorEntry> transposedOperators();
llvm::ArrayRef<OperatorEntry> windowOperators();

/// A value with other indices: `indices` are those of `q` in terms of the dims
/// of `shape`; `change` does the same to a view.
SymbolicTensor *moved(Lowering &lowering, SymbolicTensor *q, Sizes shape,
                      Sizes indices, llvm::function_ref<void(View &)> change);

/// `q` in another element type; what small floats do not hold becomes their
/// largest number, unless it does not `saturate`.
SymbolicTensor *converted(Call &call, SymbolicTensor *q, mlir::Type to,
                          bool saturates = true);
/// Floats of at most 8 bits: the wafer has them as f32.
bool isSmallFloat(mlir::Type type);
/// The type by which values of `type` are known: bfloat16 and doubles are f32.
mlir::Type heldType(mlir::Type type);
/// The elements of a tensor of doubles or bfloat16 as singles, which the wafer
/// has; one double alone keeps its precision, as it decides sizes and scales.
mlir::DenseElementsAttr narrowed(mlir::DenseElementsAttr elements);
/// Floats of any type as singles.
mlir::DenseElementsAttr asSingles(mlir::DenseElementsAttr elements);
/// Doubles among operands that were narrowed become singles too.
void narrowDoubles(Call &call);

/// Integers as the floats they stand for, in the type of `scale`: one scale and
/// zero point, one per index of `axis`, or one per `block` of them.
SymbolicTensor *dequantized(Call &call, SymbolicTensor *q,
                            SymbolicTensor *scale, SymbolicTensor *zero,
                            int64_t axis, int64_t block);

/// An integer as its type holds it: constants and narrow types wrap; others are
/// refused if they may.
Expr inRangeOf(Call &call, Expr integer, mlir::Type type);

/// A weight of numbers that the file holds as small integers, `block` of them
/// with one scale along the last dimension, or all (0): the weight, its scales
/// and its zero points are the inputs of these numbers.
SymbolicTensor *packedWeight(Call &call, llvm::ArrayRef<int64_t> shape,
                             int64_t bits, int64_t block, unsigned integers,
                             unsigned scales, unsigned zeros);

/// `q` in another shape, elements in the same order.
SymbolicTensor *reshaped(Call &call, SymbolicTensor *q, Sizes to);

/// `q` with its dimension order[i] as dimension i.
SymbolicTensor *transposed(Call &call, SymbolicTensor *q,
                           llvm::ArrayRef<int64_t> order);

/// Matrix product over the last two dimensions; the others broadcast.
SymbolicTensor *product(Call &call, SymbolicTensor *a, SymbolicTensor *b);

/// [b, n, h * d] -> [b, h, n, d], and back.
SymbolicTensor *splitHeads(Call &call, SymbolicTensor *q, int64_t heads);
SymbolicTensor *joinHeads(Call &call, SymbolicTensor *q);

/// Softmax over `axes` together. With `paddingIsExcluded`, what lies beyond the
/// live length is known to be -inf. `sink`, of size 1 along the axes, is a
/// score that takes its share and has no place in the result.
SymbolicTensor *softmax(Call &call, SymbolicTensor *q,
                        llvm::ArrayRef<int64_t> axes,
                        bool paddingIsExcluded = false,
                        SymbolicTensor *sink = nullptr);

/// q / sqrt(mean(q * q) + epsilon) * scale over the last dimension.
SymbolicTensor *rmsNormalized(Call &call, SymbolicTensor *q,
                              SymbolicTensor *scale, double epsilon);

/// The axes of a reduction, in order; none after a refusal.
std::optional<llvm::SmallVector<int64_t>> reducedAxes(Call &call);

/// The axes of a softmax of any kind; none after a refusal.
std::optional<llvm::SmallVector<int64_t>> softmaxAxes(Call &call);

/// Elements of a float tensor along `axis`, at indices that count from the
/// front and may depend on data.
SymbolicTensor *takenElements(Call &call, SymbolicTensor *q,
                              SymbolicTensor *indices, int64_t axis);

/// If the index is an input plus a constant, lets the host check that it is one
/// of so many rows.
void limitInput(Lowering &lowering, Expr index, int64_t rows);

/// CumSum of values that depend on data.
SymbolicTensor *runningSum(Call &call, SymbolicTensor *q, int64_t axis);

/// Stores the new rows of the state `past` behind what it holds.
SymbolicTensor *append(Call &call, SymbolicTensor *past, SymbolicTensor *rows,
                       int64_t axis, Sizes shape);
/// The same for an operator whose past is an input, `name` in refusals: it must
/// be a state, and fit the rows but for `axis`, which is `live` long then.
SymbolicTensor *extendPast(Call &call, llvm::StringRef name,
                           SymbolicTensor *past, SymbolicTensor *rows,
                           int64_t axis, Expr live);

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
/// `length` elements along one axis, from `start` on.
SymbolicTensor *sliceAxis(Lowering &lowering, SymbolicTensor *q, int64_t axis,
                          int64_t start, int64_t length);

/// Elements of `axis` at computed indices (a function of d0), by lookup.
SymbolicTensor *takeAlong(Lowering &lowering, SymbolicTensor *q, int64_t axis,
                          SymbolicTensor *indices);

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_OPERATORS_H
