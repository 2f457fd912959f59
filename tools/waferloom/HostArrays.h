//===- HostArrays.h - Arrays of archives, as a session takes them -*- C++
//-*-===//

#ifndef WAFERLOOM_TOOLS_WAFERLOOM_HOSTARRAYS_H
#define WAFERLOOM_TOOLS_WAFERLOOM_HOSTARRAYS_H

#include "Npz.h"
#include "waferloom/Executor/Executor.h"

namespace waferloom::tool {

/// What an entry says of its inputs and outputs.
using Declared = llvm::ArrayRef<std::unique_ptr<image::TensorInfoT>>;

/// An array as an input of a step. What sessions do not take becomes what they
/// do in place: small integers, and doubles where the model has them.
llvm::Expected<executor::HostTensor> toHost(const std::string &name,
                                            Array &array, Declared declared);

/// An output in the type of the model (Format/HostTypes.def); what NumPy has no
/// code for stays f32, or bytes.
Array toArray(const executor::OutputTensor &tensor, Declared declared);

} // namespace waferloom::tool

#endif // WAFERLOOM_TOOLS_WAFERLOOM_HOSTARRAYS_H
