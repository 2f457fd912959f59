//===- Syntax.h - Bodies of attributes, shared by ops -----------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_DIALECT_CORE_SYNTAX_H
#define WAFERLOOM_LIB_DIALECT_CORE_SYNTAX_H

#include "waferloom/Dialect/Core/Core.h"

namespace waferloom::core {

mlir::ParseResult parseOperandBody(mlir::AsmParser &, OperandAttr &);
void printOperandBody(mlir::AsmPrinter &, OperandAttr);
/// An address, or a buffer and so many bytes more. With `plus` there may be
/// another term instead of the bytes: then the `+` before it has been read.
mlir::ParseResult parsePlace(mlir::AsmParser &, mlir::FlatSymbolRefAttr &buffer,
                             int64_t &bytes, bool *plus = nullptr);
void printPlace(mlir::AsmPrinter &, mlir::FlatSymbolRefAttr buffer,
                int64_t bytes);
mlir::ParseResult parseDimBody(mlir::AsmParser &, DimAttr &);
void printDimBody(mlir::AsmPrinter &, DimAttr);
mlir::ParseResult parseRunBody(mlir::AsmParser &, RunAttr &);
void printRunBody(mlir::AsmPrinter &, RunAttr);
mlir::ParseResult parseTurnBody(mlir::AsmParser &, TurnAttr &);
void printTurnBody(mlir::AsmPrinter &, TurnAttr);
mlir::ParseResult parseSide(mlir::AsmParser &, Side &);

} // namespace waferloom::core

#endif // WAFERLOOM_LIB_DIALECT_CORE_SYNTAX_H
