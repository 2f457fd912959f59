//===- CoreTranslations.h - Core text at the command line -------*- C++ -*-===//

#ifndef WAFERLOOM_CODEGEN_CORETRANSLATIONS_H
#define WAFERLOOM_CODEGEN_CORETRANSLATIONS_H

#include "waferloom/Codegen/CoreText.h"

namespace waferloom::codegen {

/// Registers with mlir-translate's main:
///   --core-through-image   text -> image -> text
///   --core-to-image        text -> file that the machine loads
///   --image-to-core        the other way
void registerCoreTranslations();

} // namespace waferloom::codegen

#endif // WAFERLOOM_CODEGEN_CORETRANSLATIONS_H
