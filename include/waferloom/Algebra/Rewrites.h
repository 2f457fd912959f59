//===- Rewrites.h - The rewrites that can be switched off -------*- C++ -*-===//

#ifndef WAFERLOOM_ALGEBRA_REWRITES_H
#define WAFERLOOM_ALGEBRA_REWRITES_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>

namespace mlir {
class OpPassManager;
}

namespace waferloom::algebra {

/// All combinations of equal depth, axes and combiner in one message.
inline constexpr llvm::StringLiteral packedMessages = "packed-messages";
/// What stands behind a sum is computed at its root, before the way back.
inline constexpr llvm::StringLiteral atRoots = "compute-at-roots";
/// The PE beside a root computes half of what the root does.
inline constexpr llvm::StringLiteral sharedRoots = "shared-roots";
/// Factors of norms are made where the values are known first.
inline constexpr llvm::StringLiteral earlyNorm = "early-norm";
/// Exponentials of a softmax wait for no maximum of other PEs.
inline constexpr llvm::StringLiteral ownMaximum = "own-maximum";
/// Sums along a line end in its middle, not at its end.
inline constexpr llvm::StringLiteral middleRoot = "middle-root";

/// Loops over the slots of a cache end with the live ones.
inline constexpr llvm::StringLiteral liveLengths = "live-lengths";

/// What `--disable-rewrite` accepts.
llvm::ArrayRef<llvm::StringRef> rewriteNames();

/// An error that lists the names if one of `disabled` is none.
llvm::Error checkRewrites(llvm::ArrayRef<std::string> disabled);

/// Adds all rewrites that are passes of this room but those in `disabled`.
/// Needs algebra-fold before it.
void populateRewrites(mlir::OpPassManager &manager,
                      llvm::ArrayRef<std::string> disabled);

} // namespace waferloom::algebra

#endif // WAFERLOOM_ALGEBRA_REWRITES_H
