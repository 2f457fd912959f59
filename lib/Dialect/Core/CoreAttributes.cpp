// The text of operands, digits, dimensions, runs and turns. An attribute has
// the same body in an op, where it stands bare, and alone, between < and >.

#include "Syntax.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"

#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace waferloom::core;

#include "waferloom/Dialect/Core/CoreEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "waferloom/Dialect/Core/CoreAttributes.cpp.inc"

void CoreDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "waferloom/Dialect/Core/CoreAttributes.cpp.inc"
      >();
}

template <typename AttrType>
static Attribute parseBracketed(AsmParser &parser,
                                ParseResult (*parseBody)(AsmParser &,
                                                         AttrType &)) {
  AttrType attr;
  if (parser.parseLess() || parseBody(parser, attr) || parser.parseGreater())
    return {};
  return attr;
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

static ParseResult parseSteps(AsmParser &parser,
                              SmallVectorImpl<int64_t> &steps) {
  if (failed(parser.parseOptionalKeyword("step")))
    return success();
  do {
    int64_t depth = 0, bytes = 0;
    if (parser.parseInteger(depth) || parser.parseKeyword("by") ||
        parser.parseInteger(bytes))
      return failure();
    steps.append({depth, bytes});
  } while (succeeded(parser.parseOptionalComma()));
  return success();
}

OperandAttr OperandAttr::getScalar(Type type, uint32_t bits) {
  return get(type.getContext(), type, {}, 0, true, {}, {}, {}, 0, {}, 0, 0,
             true, bits);
}

static ParseResult parseScalar(AsmParser &parser, Type type,
                               OperandAttr &operand) {
  uint32_t bits = 0;
  if (type.isInteger(32)) {
    int64_t value = 0;
    SMLoc loc = parser.getCurrentLocation();
    if (parser.parseInteger(value))
      return failure();
    if (value < INT32_MIN || value > int64_t(UINT32_MAX))
      return parser.emitError(loc) << "scalar " << value << " is not an i32";
    bits = static_cast<uint32_t>(value);
  } else {
    const llvm::fltSemantics &semantics =
        cast<FloatType>(type).getFloatSemantics();
    APFloat value(semantics);
    if (parser.parseFloat(semantics, value))
      return failure();
    bits = static_cast<uint32_t>(value.bitcastToAPInt().getZExtValue());
  }
  if (parser.parseRParen())
    return failure();
  operand = OperandAttr::getScalar(type, bits);
  return success();
}

ParseResult waferloom::core::parsePlace(AsmParser &parser,
                                        FlatSymbolRefAttr &buffer,
                                        int64_t &bytes, bool *plus) {
  StringAttr name;
  if (failed(parser.parseOptionalSymbolName(name)))
    return parser.parseInteger(bytes);
  buffer = FlatSymbolRefAttr::get(name);
  if (failed(parser.parseOptionalPlus()))
    return success();
  OptionalParseResult given = parser.parseOptionalInteger(bytes);
  if (given.has_value())
    return *given;
  if (plus) { // an index follows
    *plus = true;
    return success();
  }
  return parser.emitError(parser.getCurrentLocation(),
                          "expected a number of bytes");
}

void waferloom::core::printPlace(AsmPrinter &printer, FlatSymbolRefAttr buffer,
                                 int64_t bytes) {
  if (!buffer) {
    printer << bytes;
    return;
  }
  printer << buffer;
  if (bytes != 0)
    printer << " + " << bytes;
}

ParseResult waferloom::core::parseOperandBody(AsmParser &parser,
                                              OperandAttr &operand) {
  Type type;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseType(type))
    return failure();
  if (!type.isF32() && !type.isF16() && !type.isSignlessInteger(32))
    return parser.emitError(loc)
           << "an operand is f32, f16 or i32, not " << type;
  if (succeeded(parser.parseOptionalLParen()))
    return parseScalar(parser, type, operand);

  int64_t base = 0, indexAt = 0, indexScale = 0, indexCount = 0;
  FlatSymbolRefAttr buffer, indexBuffer;
  SmallVector<int64_t, 4> strides, steps, indexSteps;
  bool hasIndex = false;
  if (parser.parseLSquare() || parsePlace(parser, buffer, base, &hasIndex))
    return failure();
  if (hasIndex || succeeded(parser.parseOptionalPlus()))
    if (parser.parseKeyword("i32") || parser.parseLSquare() ||
        parsePlace(parser, indexBuffer, indexAt) ||
        parseSteps(parser, indexSteps) || parser.parseRSquare() ||
        parser.parseStar() || parser.parseInteger(indexScale) ||
        parser.parseKeyword("of") || parser.parseInteger(indexCount))
      return failure();
  const bool dense = failed(parser.parseOptionalColon());
  if (!dense && parser.parseCommaSeparatedList([&] {
        return parser.parseInteger(strides.emplace_back());
      }))
    return failure();
  if (parseSteps(parser, steps) || parser.parseRSquare())
    return failure();
  operand = OperandAttr::get(parser.getContext(), type, buffer, base, dense,
                             strides, steps, indexBuffer, indexAt, indexSteps,
                             indexScale, indexCount, false, 0);
  return success();
}

static void printSteps(AsmPrinter &printer, ArrayRef<int64_t> steps) {
  for (size_t i = 0; i + 1 < steps.size(); i += 2)
    printer << (i ? ", " : " step ") << steps[i] << " by " << steps[i + 1];
}

void waferloom::core::printOperandBody(AsmPrinter &printer,
                                       OperandAttr operand) {
  printer << operand.getType();
  if (operand.getImmediate()) {
    printer << '(';
    if (auto type = dyn_cast<FloatType>(operand.getType()))
      printer.printFloat(APFloat(type.getFloatSemantics(),
                                 APInt(type.getWidth(), operand.getBits())));
    else
      printer << static_cast<int32_t>(operand.getBits());
    printer << ')';
    return;
  }
  printer << '[';
  printPlace(printer, operand.getBuffer(), operand.getBase());
  if (operand.getIndexScale()) {
    printer << " + i32[";
    printPlace(printer, operand.getIndexBuffer(), operand.getIndexAt());
    printSteps(printer, operand.getIndexSteps());
    printer << "] * " << operand.getIndexScale() << " of "
            << operand.getIndexCount();
  }
  if (!operand.getDense()) {
    printer << " : ";
    llvm::interleaveComma(operand.getStrides(), printer);
  }
  printSteps(printer, operand.getSteps());
  printer << ']';
}

Attribute OperandAttr::parse(AsmParser &parser, Type) {
  return parseBracketed<OperandAttr>(parser, parseOperandBody);
}

void OperandAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printOperandBody(printer, *this);
  printer << '>';
}

//===----------------------------------------------------------------------===//
// Digits and dimensions
//===----------------------------------------------------------------------===//

static ParseResult parseDigitBody(AsmParser &parser, DigitAttr &digit) {
  Axis axis = Axis::none;
  if (succeeded(parser.parseOptionalKeyword("x")))
    axis = Axis::x;
  else if (succeeded(parser.parseOptionalKeyword("y")))
    axis = Axis::y;
  int64_t extent = 0, stride = 1;
  if (parser.parseInteger(extent))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("every")))
    if (parser.parseInteger(stride))
      return failure();
  digit = DigitAttr::get(parser.getContext(), axis, extent, stride);
  return success();
}

static void printDigitBody(AsmPrinter &printer, DigitAttr digit) {
  if (digit.getAxis() != Axis::none)
    printer << stringifyAxis(digit.getAxis()) << ' ';
  printer << digit.getExtent();
  if (digit.getStride() != 1)
    printer << " every " << digit.getStride();
}

ParseResult waferloom::core::parseDimBody(AsmParser &parser, DimAttr &dim) {
  int64_t live = 0, stride = 0;
  SmallVector<DigitAttr> digits;
  if (parser.parseInteger(live) || parser.parseKeyword("by") ||
      parser.parseInteger(stride) ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren, [&] {
        return parseDigitBody(parser, digits.emplace_back());
      }))
    return failure();
  dim = DimAttr::get(parser.getContext(), live, stride, digits);
  return success();
}

void waferloom::core::printDimBody(AsmPrinter &printer, DimAttr dim) {
  printer << dim.getLive() << " by " << dim.getSourceStride() << " (";
  llvm::interleaveComma(dim.getDigits(), printer, [&](DigitAttr digit) {
    printDigitBody(printer, digit);
  });
  printer << ')';
}

Attribute DigitAttr::parse(AsmParser &parser, Type) {
  return parseBracketed<DigitAttr>(parser, parseDigitBody);
}
void DigitAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printDigitBody(printer, *this);
  printer << '>';
}
Attribute DimAttr::parse(AsmParser &parser, Type) {
  return parseBracketed<DimAttr>(parser, parseDimBody);
}
void DimAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printDimBody(printer, *this);
  printer << '>';
}

//===----------------------------------------------------------------------===//
// Runs of classes, turns of routers
//===----------------------------------------------------------------------===//

ParseResult waferloom::core::parseRunBody(AsmParser &parser, RunAttr &run) {
  SmallVector<int64_t> classes;
  int64_t repeats = 1;
  auto parseClass = [&] { return parser.parseInteger(classes.emplace_back()); };
  if (succeeded(parser.parseOptionalLParen())) {
    if (parser.parseCommaSeparatedList(parseClass) || parser.parseRParen())
      return failure();
  } else if (parseClass()) {
    return failure();
  }
  if (succeeded(parser.parseOptionalKeyword("x")))
    if (parser.parseInteger(repeats))
      return failure();
  run = RunAttr::get(parser.getContext(), classes, repeats);
  return success();
}

void waferloom::core::printRunBody(AsmPrinter &printer, RunAttr run) {
  const bool group = run.getClasses().size() != 1;
  if (group)
    printer << '(';
  llvm::interleaveComma(run.getClasses(), printer);
  if (group)
    printer << ')';
  if (run.getRepeats() != 1)
    printer << " x " << run.getRepeats();
}

ParseResult waferloom::core::parseSide(AsmParser &parser, Side &side) {
  StringRef keyword;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseKeyword(&keyword))
    return failure();
  std::optional<Side> known = symbolizeSide(keyword);
  if (!known)
    return parser.emitError(loc)
           << "'" << keyword
           << "' is no side of a router: north, south, east, west or ramp";
  side = *known;
  return success();
}

ParseResult waferloom::core::parseTurnBody(AsmParser &parser, TurnAttr &turn) {
  Side side;
  int64_t words = 0;
  if (parseSide(parser, side))
    return failure();
  OptionalParseResult given = parser.parseOptionalInteger(words);
  if (given.has_value() && failed(*given))
    return failure();
  turn = TurnAttr::get(parser.getContext(), side, words);
  return success();
}

void waferloom::core::printTurnBody(AsmPrinter &printer, TurnAttr turn) {
  printer << stringifySide(turn.getSide());
  if (turn.getWords())
    printer << ' ' << turn.getWords();
}

Attribute RunAttr::parse(AsmParser &parser, Type) {
  return parseBracketed<RunAttr>(parser, parseRunBody);
}
void RunAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printRunBody(printer, *this);
  printer << '>';
}
Attribute TurnAttr::parse(AsmParser &parser, Type) {
  return parseBracketed<TurnAttr>(parser, parseTurnBody);
}
void TurnAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printTurnBody(printer, *this);
  printer << '>';
}
