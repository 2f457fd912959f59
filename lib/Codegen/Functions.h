//===- Functions.h - exp and its kin as vector instructions -----*- C++ -*-===//
//
// The machine adds and multiplies; everything else is a sequence of ours, so
// its cycles are counted. Each function says its range and error, and
// test/unit/Functions holds it to them against double precision.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_CODEGEN_FUNCTIONS_H
#define WAFERLOOM_LIB_CODEGEN_FUNCTIONS_H

#include "Emitter.h"

namespace waferloom::codegen {

/// Emits dst = f(x) for f32 vectors of one shape; `dst` may be `x`'s own buffer
/// only if both have the same strides.
using Function = void (*)(Emitter &, llvm::ArrayRef<int64_t> shape, Ref dst,
                          Ref x);

/// Relative error at most 3e-7 over [-87, 88.3]; 0 below, inf above (a little
/// before f32 ends at 88.72), NaN stays.
void emitExp(Emitter &, llvm::ArrayRef<int64_t> shape, Ref dst, Ref x);
/// 1/x: relative error at most 3e-7 for 2^-126 <= |x| <= 2^126; larger
/// magnitudes count as 2^126; 1/0 is inf, whatever the sign of the zero.
void emitReciprocal(Emitter &, llvm::ArrayRef<int64_t> shape, Ref dst, Ref x);
/// What is known of a divisor. Positive: at least 2^-126, or infinite.
struct Divisor {
  bool isPositive = false;
  bool isQuick = false; ///< relative error at most 3e-6; 1/-0 is -inf
};
void emitReciprocal(Emitter &, llvm::ArrayRef<int64_t> shape, Ref dst, Ref x,
                    Divisor divisor);
/// Relative error at most 4e-7 for normal x > 0.
void emitRsqrt(Emitter &, llvm::ArrayRef<int64_t> shape, Ref dst, Ref x);
/// x * rsqrt(x): relative error at most 5e-7 for normal x; sqrt(0) is 0.
void emitSqrt(Emitter &, llvm::ArrayRef<int64_t> shape, Ref dst, Ref x);
/// Natural logarithm: relative error at most 2e-7; 0 gives -inf, what is
/// negative NaN; inf and NaN stay.
void emitLog(Emitter &, llvm::ArrayRef<int64_t> shape, Ref dst, Ref x);
/// The same for normal x > 0 only. Every step is an addition or a product with
/// one rounding: python/waferloom/generation.py computes the same bits.
void emitNormalLog(Emitter &, llvm::ArrayRef<int64_t> shape, Ref dst, Ref x);
/// Absolute error at most 3e-7 for |x| <= 2e5 radians.
void emitSin(Emitter &, llvm::ArrayRef<int64_t> shape, Ref dst, Ref x);
void emitCos(Emitter &, llvm::ArrayRef<int64_t> shape, Ref dst, Ref x);
/// Absolute error at most 4e-7 (tanh), 8e-7 (erf).
void emitTanh(Emitter &, llvm::ArrayRef<int64_t> shape, Ref dst, Ref x);
void emitErf(Emitter &, llvm::ArrayRef<int64_t> shape, Ref dst, Ref x);

/// For values that are f16 where they are used: ranges as above, relative
/// errors at most 8e-5 (exp) and 6e-6 (rsqrt).
void emitQuickExp(Emitter &, llvm::ArrayRef<int64_t> shape, Ref dst, Ref x);
void emitQuickRsqrt(Emitter &, llvm::ArrayRef<int64_t> shape, Ref dst, Ref x);

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_FUNCTIONS_H
