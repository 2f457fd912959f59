//===- Mappings.h - A mapping in, a mapping out -----------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_COMPILE_MAPPINGS_H
#define WAFERLOOM_LIB_COMPILE_MAPPINGS_H

#include "waferloom/Compile/Compile.h"
#include "waferloom/Mapping/Mapping.h"
#include "waferloom/Partition/Planning.h"
#include "waferloom/Target/Target.h"

#include "mlir/IR/BuiltinOps.h"

namespace waferloom {

/// An error at a line of a mapping; 0: about all of it.
Diagnostic refuseMapping(const mapping::Mapping &mapping, unsigned line,
                         const llvm::Twine &message);

/// The mapping that `options` name, which is read unless they have its text.
/// Nothing: they name none, or what is wrong is in `diagnostics`.
std::optional<mapping::Mapping>
takeMapping(CompileOptions &options, std::vector<Diagnostic> &diagnostics);

/// Makes `options` say what the mapping says of region, stages, prefill and
/// rewrites. Refuses what is not so on `target`, and options that say
/// otherwise.
std::optional<Diagnostic> applyMapping(const mapping::Mapping &mapping,
                                       const target::Target &target,
                                       CompileOptions &options);

/// Whether the model is the one that the mapping was written for.
std::optional<Diagnostic> checkModel(const mapping::Mapping &mapping,
                                     int64_t parameters);

/// Numbers of the weights of a module at level 2.
int64_t countParameters(mlir::ModuleOp module);

/// Whether `module` (level 5) has something for all that the mapping speaks of.
std::optional<Diagnostic> checkMapping(const mapping::Mapping &mapping,
                                       mlir::ModuleOp module,
                                       const partition::Planned &planned);

/// Everything that was chosen for `module` (level 5), as text.
std::string describeMapping(mlir::ModuleOp module,
                            const CompileOptions &options,
                            const partition::Planned &planned,
                            int64_t parameters);

} // namespace waferloom

#endif // WAFERLOOM_LIB_COMPILE_MAPPINGS_H
