//===- Levels.h - The text of a level, out and in ---------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_COMPILE_LEVELS_H
#define WAFERLOOM_LIB_COMPILE_LEVELS_H

#include "waferloom/Compile/Compile.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace waferloom {

/// The options that differ from what nobody has to give, as `wafer.options` of
/// a module; those that only concern one run (progress, threads) left out.
mlir::DictionaryAttr writeOptions(mlir::MLIRContext *context,
                                  const CompileOptions &options);

/// Makes `options`, as they were given again, those that a module keeps.
/// Errors: one was given that differs; an attribute that is no options.
llvm::Error readOptions(mlir::DictionaryAttr kept, CompileOptions &options);

/// Given a weight's op, a file that holds bytes of it, the offset and the
/// number of bytes (0: not known); gives the file to name instead.
using VisitFile = llvm::function_ref<mlir::StringAttr(
    mlir::Operation *, mlir::StringAttr, uint64_t, uint64_t)>;

/// Calls `visit` for every file that weights lie in, scales and zero points
/// included.
void visitFiles(mlir::ModuleOp module, VisitFile visit);

/// Writes `module` with the names of its nodes. Files of weights are relative
/// to the folder of `path`, which exists.
llvm::Error writeLevel(mlir::ModuleOp module, llvm::StringRef path);

/// A level that was read.
struct Level {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  unsigned index = 0; ///< into `phaseNames()`
};

/// Reads the text of a level, whichever it is: by what it contains. Locations
/// tell the line of the text, and the node if the text names it. Files of
/// weights are relative to the text's folder. Reports what is wrong: the text,
/// an op, a weight that is not there.
mlir::FailureOr<Level> readLevel(llvm::StringRef path,
                                 mlir::MLIRContext *context);

} // namespace waferloom

#endif // WAFERLOOM_LIB_COMPILE_LEVELS_H
