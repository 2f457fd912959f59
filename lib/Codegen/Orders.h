//===- Orders.h - In which order elements lie -------------------*- C++ -*-===//
//
// What stays in memory lies as its readers take the fewest cycles for, counted
// by the ways that a product has (Sums.h).
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_CODEGEN_ORDERS_H
#define WAFERLOOM_LIB_CODEGEN_ORDERS_H

#include "Generic.h"

#include "waferloom/Dialect/Wafer/Wafer.h"
#include "waferloom/Machine/MachineModel.h"

#include <optional>

namespace waferloom::codegen {

/// Cycles of the product `op` if its factor `number` lies with `strides`
/// (elements, one per dimension), and moves with a loop or not; none if `op` is
/// no product of two factors.
std::optional<int64_t> countProduct(mlir::linalg::GenericOp op, unsigned number,
                                    llvm::ArrayRef<int64_t> strides,
                                    bool isMoving, Budget budget,
                                    const image::TargetT &target);

/// How many products of as many elements as `op` has read one of its factors,
/// and which: at least one, itself.
std::pair<int64_t, unsigned> siblingsOf(mlir::linalg::GenericOp op);

/// The strides of a dense `shape` whose dimensions lie in `order`, the
/// outermost first.
llvm::SmallVector<int64_t> stridesIn(llvm::ArrayRef<int64_t> order,
                                     llvm::ArrayRef<int64_t> shape);

/// The order of the dimensions of `state` that its readers like best, the
/// outermost first.
llvm::SmallVector<int64_t> orderOf(wafer::StateOp state, Budget budget,
                                   const image::TargetT &target);

/// The same of a weight, which products read, or rows of which they read. Rows
/// of a table lie behind each other.
llvm::SmallVector<int64_t> orderOf(wafer::ParameterOp weights, bool isTable,
                                   Budget budget, const image::TargetT &target);

/// Whether rows of it are taken by an index.
bool isLookedUp(wafer::ParameterOp weights);
/// Whether nothing else reads it.
bool isOnlyLookedUp(wafer::ParameterOp weights);

/// A copy of the state of a trip: a new row goes into the copy by one
/// select, and into the state when there is time for it.
struct Patch {
  llvm::SmallVector<int64_t> strides; ///< of the copy, one per dimension
};
/// None if storing the row and reading the state behind it is as quick.
std::optional<Patch> patchOf(wafer::AppendOp op, Budget budget,
                             const image::TargetT &target);

/// How long the answer of one of the messages of a trip is on its way at most.
int64_t longestWait(wafer::RepeatOp op, const machine::MachineModel &machine);

/// Words that are on their way at most before somebody takes one: a longer
/// message holds up its sender.
int64_t wordsUnderWay(const image::TargetT &target);

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_ORDERS_H
