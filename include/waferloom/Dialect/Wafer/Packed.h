// Which weights stay integers on the PEs.

#ifndef WAFERLOOM_DIALECT_WAFER_PACKED_H
#define WAFERLOOM_DIALECT_WAFER_PACKED_H

#include "waferloom/Dialect/Wafer/Wafer.h"

namespace waferloom::wafer {

/// On a weight in blocks: PEs hold its integers, not its numbers.
constexpr llvm::StringLiteral keptName = "wafer.kept";

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
