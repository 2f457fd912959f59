//===- MappingAttr.h - The mapping that a module is compiled by -*- C++ -*-===//
//
// It stands in the module's options, as the text that it is, so that every
// phase finds it and the text of a level keeps it.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_MAPPING_MAPPINGATTR_H
#define WAFERLOOM_MAPPING_MAPPINGATTR_H

#include "waferloom/Mapping/Mapping.h"

#include "mlir/IR/BuiltinOps.h"

namespace waferloom::mapping {

/// The mapping of the module that `op` is or stands in; an empty one if it has
/// none. In the program of one kind of stages, what it says of that. Errors of
/// the text are reported.
mlir::FailureOr<Mapping> getMapping(mlir::Operation *op);

/// Where a line of a mapping stands, for errors about it.
mlir::Location locate(mlir::MLIRContext *context, const Mapping &mapping,
                      unsigned line);

/// The ONNX node of a location, the innermost name; empty: it has none.
llvm::StringRef nodeOf(mlir::Location location);

} // namespace waferloom::mapping

#endif // WAFERLOOM_MAPPING_MAPPINGATTR_H
