// How the ops of the core dialect are read and written.

#include "Syntax.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace waferloom::core;

template <typename AttrType>
static ParseResult
parseList(OpAsmParser &parser, ArrayAttr &list, AsmParser::Delimiter delimiter,
          ParseResult (*parseBody)(AsmParser &, AttrType &)) {
  SmallVector<Attribute> elements;
  if (parser.parseCommaSeparatedList(delimiter, [&]() -> ParseResult {
        AttrType element;
        if (parseBody(parser, element))
          return failure();
        elements.push_back(element);
        return success();
      }))
    return failure();
  list = parser.getBuilder().getArrayAttr(elements);
  return success();
}

template <typename AttrType>
static void printList(OpAsmPrinter &printer, ArrayAttr list,
                      void (*printBody)(AsmPrinter &, AttrType)) {
  llvm::interleaveComma(list, printer, [&](Attribute element) {
    if (auto known = dyn_cast<AttrType>(element))
      printBody(printer, known);
    else
      printer << element; // refused by the verifier
  });
}

static ParseResult parseAt(OpAsmParser &parser, OperandAttr &operand) {
  return parseOperandBody(parser, operand);
}
static void printAt(OpAsmPrinter &printer, Operation *, OperandAttr operand) {
  printOperandBody(printer, operand);
}

static ParseResult parseAts(OpAsmParser &parser, ArrayAttr &operands) {
  return parseList(parser, operands, AsmParser::Delimiter::None,
                   parseOperandBody);
}
static void printAts(OpAsmPrinter &printer, Operation *, ArrayAttr operands) {
  printList(printer, operands, printOperandBody);
}

static ParseResult parseRuns(OpAsmParser &parser, ArrayAttr &runs) {
  return parseList(parser, runs, AsmParser::Delimiter::Square, parseRunBody);
}
static void printRuns(OpAsmPrinter &printer, Operation *, ArrayAttr runs) {
  printer << '[';
  printList(printer, runs, printRunBody);
  printer << ']';
}

static ParseResult parseDims(OpAsmParser &parser, ArrayAttr &dims) {
  return parseList(parser, dims, AsmParser::Delimiter::Square, parseDimBody);
}
static void printDims(OpAsmPrinter &printer, Operation *, ArrayAttr dims) {
  printer << '[';
  printList(printer, dims, printDimBody);
  printer << ']';
}

static ParseResult parseTurns(OpAsmParser &parser, ArrayAttr &turns) {
  return parseList(parser, turns, AsmParser::Delimiter::None, parseTurnBody);
}
static void printTurns(OpAsmPrinter &printer, Operation *, ArrayAttr turns) {
  printList(printer, turns, printTurnBody);
}

static ParseResult parseSides(OpAsmParser &parser, IntegerAttr &sides) {
  int64_t bits = 0;
  auto parseOne = [&]() -> ParseResult {
    Side side;
    if (parseSide(parser, side))
      return failure();
    bits |= int64_t(1) << static_cast<uint32_t>(side);
    return success();
  };
  if (parser.parseCommaSeparatedList(parseOne))
    return failure();
  sides = parser.getBuilder().getI64IntegerAttr(bits);
  return success();
}
static void printSides(OpAsmPrinter &printer, Operation *, IntegerAttr sides) {
  SmallVector<StringRef> names;
  for (uint32_t side = 0; side <= getMaxEnumValForSide(); ++side)
    if (sides.getInt() >> side & 1)
      names.push_back(stringifySide(static_cast<Side>(side)));
  llvm::interleaveComma(names, printer);
}

static ParseResult parseAddress(OpAsmParser &parser, TypeAttr &type,
                                FlatSymbolRefAttr &buffer,
                                IntegerAttr &address) {
  Type element;
  int64_t base = 0;
  if (parser.parseType(element) || parser.parseLSquare() ||
      parsePlace(parser, buffer, base) || parser.parseRSquare())
    return failure();
  type = TypeAttr::get(element);
  address = parser.getBuilder().getI64IntegerAttr(base);
  return success();
}
static void printAddress(OpAsmPrinter &printer, Operation *, TypeAttr type,
                         FlatSymbolRefAttr buffer, IntegerAttr address) {
  printer << type.getValue() << '[';
  printPlace(printer, buffer, address.getInt());
  printer << ']';
}

/// Absent when there is nothing to read.
static OptionalParseResult parseClasses(OpAsmParser &parser,
                                        FlatSymbolRefAttr &columns,
                                        FlatSymbolRefAttr &rows) {
  if (failed(parser.parseOptionalKeyword("on")))
    return std::nullopt;
  SMLoc loc = parser.getCurrentLocation();
  if (succeeded(parser.parseOptionalKeyword("columns")))
    if (parser.parseAttribute(columns))
      return ParseResult(failure());
  if (succeeded(parser.parseOptionalKeyword("rows")))
    if (parser.parseAttribute(rows))
      return ParseResult(failure());
  if (!columns && !rows)
    return ParseResult(
        parser.emitError(loc, "expected 'columns @set' or 'rows @set'"));
  return ParseResult(success());
}
static void printClasses(OpAsmPrinter &printer, Operation *,
                         FlatSymbolRefAttr columns, FlatSymbolRefAttr rows) {
  if (!columns && !rows)
    return;
  printer << "on";
  if (columns)
    printer << " columns " << columns;
  if (rows)
    printer << " rows " << rows;
}

static OptionalParseResult parseModifiers(OpAsmParser &parser,
                                          FlatSymbolRefAttr &columns,
                                          FlatSymbolRefAttr &rows,
                                          OperandAttr &predicate,
                                          IntegerAttr &thread) {
  OptionalParseResult result = parseClasses(parser, columns, rows);
  if (result.has_value() && failed(*result))
    return result;
  if (succeeded(parser.parseOptionalKeyword("if"))) {
    result = parseOperandBody(parser, predicate);
    if (failed(*result))
      return result;
  }
  if (succeeded(parser.parseOptionalKeyword("thread"))) {
    int64_t id = 0;
    result = parser.parseInteger(id);
    if (failed(*result))
      return result;
    thread = parser.getBuilder().getI64IntegerAttr(id);
  }
  return result;
}
static void printModifiers(OpAsmPrinter &printer, Operation *op,
                           FlatSymbolRefAttr columns, FlatSymbolRefAttr rows,
                           OperandAttr predicate, IntegerAttr thread) {
  printClasses(printer, op, columns, rows);
  if (predicate) {
    printer << (columns || rows ? " if " : "if ");
    printOperandBody(printer, predicate);
  }
  if (thread)
    printer << (columns || rows || predicate ? " thread " : "thread ")
            << thread.getInt();
}

#include "waferloom/Dialect/Core/CoreDialect.cpp.inc"

#define GET_OP_CLASSES
#include "waferloom/Dialect/Core/CoreOps.cpp.inc"

void CoreDialect::initialize() {
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "waferloom/Dialect/Core/CoreOps.cpp.inc"
      >();
}
