//===- Sums.h - Folds and sums of products ----------------------*- C++ -*-===//
//
// The two shapes of a reduction that the machine has several ways for. Which
// one is taken is a comparison of cycles under the target.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_CODEGEN_SUMS_H
#define WAFERLOOM_LIB_CODEGEN_SUMS_H

#include "Emitter.h"
#include "Generic.h"

namespace waferloom::codegen {

/// A reduction over `extents`; every Ref has one stride per loop. `dst` stands
/// still (stride 0) along the loops that are folded. The result begins with
/// `init`, which may be `dst` itself.
struct Sum {
  Emitter *emitter; ///< none: only count
  const image::TargetT &target;
  Budget budget;
  llvm::ArrayRef<int64_t> extents;
  Ref dst, init;
  /// Products with the same factor and as many elements, itself included. They
  /// become common instructions (core-merge), so what is quickest is so for all
  /// of them together.
  int64_t siblings = 1;
  unsigned shared = 0; ///< the factor that they share

  /// dst = init op source, folded. `isOwned`: source is a temporary of the
  /// caller's that may be written to.
  void fold(Opcode op, const Ref &source, bool isOwned);
  /// dst = init + sum of a * b, added up in f32; factors are f32 or f16.
  void products(Ref a, Ref b);
  /// Cycles of that, as the target's figures say, if they are of one type.
  int64_t countProducts(const Ref &a, const Ref &b) const;
  /// `factor`, which moves with a loop, where the quickest way would like to
  /// read it: standing still, with the strides of the copy that it makes, or as
  /// it lies.
  struct Standing {
    Ref factor;
    int64_t cycles; ///< that it saves if it stands there
  };
  Standing standing(const Ref &factor, const Ref &other) const;
};

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_SUMS_H
