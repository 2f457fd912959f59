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

// emitExp, emitLog, ..: the sequences of Functions.def, which says their errors
// and what they give where such things go wrong.
#define SEQUENCE(name, onnx, op, exact, quick, flags, weight, temporaries,     \
                 finite, value)                                                \
  void emit##exact(Emitter &, llvm::ArrayRef<int64_t> shape, Ref dst, Ref x);
#include "waferloom/Scalar/Functions.def"

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
/// The natural logarithm for normal x > 0 only. Every step is an addition or a
/// product with one rounding: python/waferloom/generation.py computes the same
/// bits.
void emitNormalLog(Emitter &, llvm::ArrayRef<int64_t> shape, Ref dst, Ref x);

/// For values that are f16 where they are used: ranges as above, relative
/// errors at most 8e-5 (exp) and 6e-6 (rsqrt).
void emitQuickExp(Emitter &, llvm::ArrayRef<int64_t> shape, Ref dst, Ref x);
void emitQuickRsqrt(Emitter &, llvm::ArrayRef<int64_t> shape, Ref dst, Ref x);

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_FUNCTIONS_H
