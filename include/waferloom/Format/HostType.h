// Element types of model files that the wafer does not have (HostTypes.def):
// for rooms that know MLIR.

#ifndef WAFERLOOM_FORMAT_HOSTTYPE_H
#define WAFERLOOM_FORMAT_HOSTTYPE_H

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/StringRef.h"

namespace waferloom {

/// NumPy's name of a type of HostTypes.def; empty for others.
inline llvm::StringRef hostNameOf(mlir::Type type) {
#define HOST_INTEGER(name, bits, isSigned)                                     \
  if (type.isInteger(bits) && type.isUnsignedInteger() != (isSigned))          \
    return #name;
#define HOST_REAL(name, type_)                                                 \
  if (mlir::isa<mlir::type_##Type>(type))                                      \
    return #name;
#include "waferloom/Format/HostTypes.def"
  return {};
}

/// The type of that name; null if there is none.
inline mlir::Type hostTypeOf(llvm::StringRef name, mlir::MLIRContext *context) {
#define HOST_INTEGER(known, bits, isSigned)                                    \
  if (name == #known)                                                          \
    return mlir::IntegerType::get(context, bits,                               \
                                  (isSigned) ? mlir::IntegerType::Signless     \
                                             : mlir::IntegerType::Unsigned);
#define HOST_REAL(known, type)                                                 \
  if (name == #known)                                                          \
    return mlir::type##Type::get(context);
#include "waferloom/Format/HostTypes.def"
  return {};
}

} // namespace waferloom

#endif // WAFERLOOM_FORMAT_HOSTTYPE_H
