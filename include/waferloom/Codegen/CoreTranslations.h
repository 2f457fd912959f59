//===- CoreTranslations.h - Core text at the command line -------*- C++ -*-===//

#ifndef WAFERLOOM_CODEGEN_CORETRANSLATIONS_H
#define WAFERLOOM_CODEGEN_CORETRANSLATIONS_H

namespace waferloom::codegen {

/// Registers with mlir-translate's main:
///   --core-through-image   text -> image -> text
void registerCoreTranslations();

} // namespace waferloom::codegen

#endif // WAFERLOOM_CODEGEN_CORETRANSLATIONS_H
