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

/// How exact a sequence is: as exact as f32 is; so that nothing is seen of it
/// in an f32 sum (3e-6); or for readers that round to f16 (8e-5 to 2e-4).
enum class Accuracy { Full, Near, Half };

/// What is known of exp's argument, and of its reader.
struct Exponent {
  Accuracy accuracy = Accuracy::Full; ///< 3e-7, 3e-6, 8e-5, relative
  bool mayVanish = true;              ///< the argument may be below -87
  bool mayOverflow = true;            ///< the argument may be above 88
  float scale = 1; ///< exp(scale * x): +-1, +-2, ..; no clamps then
};
void emitExponential(Emitter &, llvm::ArrayRef<int64_t> shape, Ref dst, Ref x,
                     Exponent exponent);

/// 2^(a - b), exact, of whole numbers above -2^22 of which a is not the larger
/// one; 0 where that is below 2^-126.
void emitPowerOfTwo(Emitter &, llvm::ArrayRef<int64_t> shape, Ref dst, Ref a,
                    Ref b);

/// 1/x: relative error at most 2e-7 for 2^-126 <= |x| <= 2^125; 0 for larger
/// magnitudes; 1/0 is inf and 1/-0 is -inf.
void emitReciprocal(Emitter &, llvm::ArrayRef<int64_t> shape, Ref dst, Ref x);
/// What is known of a divisor.
struct Divisor {
  bool isPositive = false; ///< at least 2^-126, or infinite
  /// 2e-7, 1.3e-6, 1.2e-4, relative; a divisor that may be 0 has the first.
  Accuracy accuracy = Accuracy::Full;
  bool isBounded = false; ///< 2^-126 <= |x| <= 2^125
};
void emitReciprocal(Emitter &, llvm::ArrayRef<int64_t> shape, Ref dst, Ref x,
                    Divisor divisor);

/// 1 / (1 + exp(-x)): relative error at most 5e-7 (full), 5e-6 (near), 2e-4
/// (half) for x above -86; below, a number of at most 5e-38.
void emitSigmoid(Emitter &, llvm::ArrayRef<int64_t> shape, Ref dst, Ref x,
                 Accuracy accuracy);
/// The natural logarithm for normal x > 0 only. Every step is an addition or a
/// product with one rounding: python/waferloom/generation.py computes the same
/// bits.
void emitNormalLog(Emitter &, llvm::ArrayRef<int64_t> shape, Ref dst, Ref x);

/// For values that are f16 where they are used: ranges as above, relative
/// errors at most 8e-5 (exp) and 2.1e-5 (rsqrt).
void emitQuickExp(Emitter &, llvm::ArrayRef<int64_t> shape, Ref dst, Ref x);
void emitQuickRsqrt(Emitter &, llvm::ArrayRef<int64_t> shape, Ref dst, Ref x);

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_FUNCTIONS_H
