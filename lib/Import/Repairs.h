//===- Repairs.h - What runtimes take and the checker does not --*- C++ -*-===//

#ifndef WAFERLOOM_LIB_IMPORT_REPAIRS_H
#define WAFERLOOM_LIB_IMPORT_REPAIRS_H

namespace onnx {
class ModelProto;
}

namespace waferloom::import {

/// Brings a model that runtimes load into the form that the ONNX library's
/// checker asks for. Nothing changes its meaning.
void repair(onnx::ModelProto &model);

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_REPAIRS_H
