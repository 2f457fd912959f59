// The format of an MLIR element type: for rooms that know MLIR.

#ifndef WAFERLOOM_FORMAT_TYPEFORMAT_H
#define WAFERLOOM_FORMAT_TYPEFORMAT_H

#include "waferloom/Format/Format.h"

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/TypeSwitch.h"

namespace waferloom {

/// The format of `type`, or of its elements; nothing for a type that no format
/// stands for.
inline std::optional<Format> formatOf(mlir::Type type) {
  using Found = std::optional<Format>;
  return llvm::TypeSwitch<mlir::Type, Found>(mlir::getElementTypeOrSelf(type))
      .Case<mlir::Float32Type>([](auto) { return Format::f32; })
      .Case<mlir::Float16Type>([](auto) { return Format::f16; })
      .Case<mlir::Float64Type>([](auto) { return Format::f64; })
      .Case<mlir::BFloat16Type>([](auto) { return Format::bf16; })
      .Case<mlir::Float8E4M3FNType>([](auto) { return Format::fp8; })
      .Case<mlir::Float4E2M1FNType>([](auto) { return Format::mxfp4; })
      .Case([](mlir::IntegerType integer) -> Found {
        switch (integer.getWidth()) {
        case 1:
          return Format::i1;
        case 4:
          return Format::int4;
        case 8:
          return Format::int8;
        case 32:
          return Format::i32;
        case 64:
          return Format::i64;
        default:
          return std::nullopt;
        }
      })
      .Default([](mlir::Type) { return std::nullopt; });
}

/// The format in which a PE computes with elements of `type`.
inline std::optional<Format> computedFormatOf(mlir::Type type) {
  std::optional<Format> format = formatOf(type);
  return format ? std::optional(factsOf(*format).widened) : std::nullopt;
}

} // namespace waferloom

#endif // WAFERLOOM_FORMAT_TYPEFORMAT_H
