//===- FunctionBodies.h - Operators as graphs of others ---------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_IMPORT_FUNCTIONBODIES_H
#define WAFERLOOM_LIB_IMPORT_FUNCTIONBODIES_H

#include "ReadModel.h"

namespace onnx {
class ModelProto;
}

namespace waferloom::import {

/// Replaces nodes by what they stand for: functions that the model defines, and
/// operators that have a body in the ONNX library and are not `isNative`.
/// Returns where the nodes come from, by their first output. The functions must
/// not call themselves. The library's exceptions get out.
llvm::StringMap<NodeOrigin> expandBodies(::onnx::ModelProto &model,
                                         IsNative isNative);

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_FUNCTIONBODIES_H
