// Which weights stay integers on the PEs.

#ifndef WAFERLOOM_DIALECT_WAFER_PACKED_H
#define WAFERLOOM_DIALECT_WAFER_PACKED_H

#include "waferloom/Dialect/Wafer/Wafer.h"

#include "llvm/ADT/MapVector.h"

namespace waferloom::wafer {

/// On a weight in blocks: PEs hold its integers, not its numbers.
constexpr llvm::StringLiteral keptName = "wafer.kept";

/// On a weight of numbers: they may be rounded to codes.
constexpr llvm::StringLiteral roundName = "wafer.round";
/// On a weight that is left out of that, and on what reads it: its numbers are
/// halves, and no others are read in its place.
constexpr llvm::StringLiteral halvesName = "wafer.halves";

/// The weight whose bytes those of `name` are: itself, or what it is a part of.
WeightOp getWhole(const mlir::SymbolTable &symbols,
                  mlir::FlatSymbolRefAttr name);

/// The format of the integers that PEs keep of what `op` reads; none where they
/// hold numbers, or the trips of a loop read weights of several formats.
std::optional<BlockFormat> getKept(const mlir::SymbolTable &symbols,
                                   ParameterOp op);

/// Whether all that read `value`, as it is or in another shape, are sums of
/// products.
bool isMultiplied(mlir::Value value);
/// The weights that could lie in codes, as far as their readers go, with the
/// bytes of a number.
llvm::MapVector<WeightOp, int64_t> getKeepable(mlir::ModuleOp module);

/// Which of the weights that could stay integers do.
enum class Keeping {
  All,
  /// Those with which PEs hold least. One after the other becomes numbers in
  /// the same scratch, so that the largest may be worse kept.
  LeastBytes
};

/// Marks weights in blocks that PEs keep, of those that only sums of products
/// and lookups of rows read. Whether there are any.
bool keepPacked(mlir::ModuleOp module, Keeping which);

} // namespace waferloom::wafer

#endif // WAFERLOOM_DIALECT_WAFER_PACKED_H
