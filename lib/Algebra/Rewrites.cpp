// The rewrites that save messages and instructions, by name. Each can be
// switched off alone: what it is worth is measured that way
// (bench/rewrites.py).

#include "waferloom/Algebra/Rewrites.h"
#include "waferloom/Algebra/Passes.h"
#include "waferloom/Spelling/Nearest.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace waferloom;

/// The last seven are not passes of this room: partition-plan, the way to level
/// 4, convert-wafer-to-fabric and code generation ask whether they may.
static constexpr llvm::StringLiteral names[] = {
    "deferred-norm",     "deferred-softmax",   "half-factors",
    "reciprocal-root",   "gates-first",        algebra::packedMessages,
    algebra::atRoots,    algebra::sharedRoots, algebra::earlyNorm,
    algebra::ownMaximum, algebra::middleRoot,  algebra::liveLengths};

ArrayRef<StringRef> algebra::rewriteNames() {
  static const SmallVector<StringRef> all(std::begin(names), std::end(names));
  return all;
}

llvm::Error algebra::checkRewrites(ArrayRef<std::string> disabled) {
  for (const std::string &name : disabled)
    if (!llvm::is_contained(names, name))
      return llvm::createStringError(
          "there is no rewrite '" + name + "'; " +
          spelling::didYouMean(name, rewriteNames()) + "rewrites are " +
          llvm::join(rewriteNames(), ", "));
  return llvm::Error::success();
}

void algebra::populateRewrites(OpPassManager &manager,
                               ArrayRef<std::string> disabled) {
  auto enabled = [&](StringRef name) {
    return !llvm::is_contained(disabled, name);
  };
  if (enabled("reciprocal-root"))
    manager.addNestedPass<func::FuncOp>(createAlgebraReciprocalRoot());
  if (enabled("gates-first"))
    manager.addNestedPass<func::FuncOp>(createAlgebraGatesFirst());
  AlgebraDeferScaleOptions scales;
  scales.norm = enabled("deferred-norm");
  scales.softmax = enabled("deferred-softmax");
  scales.halves = enabled("half-factors");
  manager.addPass(createAlgebraDeferScale(scales));
  manager.addPass(createCSEPass());
}
