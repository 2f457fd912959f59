// The attributes that say how a tensor lies on a region: their text, and the
// arithmetic of digits behind it.
//
// Text leaves out what the tensor's size implies: `y` of a dimension of 8 over
// 4 PEs has the digits (y, 2). `resolve` puts the extents back.

#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace mlir;
using namespace waferloom::wafer;

static std::optional<Axis> parseOptionalAxis(AsmParser &parser) {
  // Axis names share their first letter with nothing else that may follow.
  StringRef name;
  static constexpr StringRef names[] = {"x",  "y",  "x0", "x1", "x2", "x3",
                                        "x4", "x5", "x6", "x7", "y0", "y1",
                                        "y2", "y3", "y4", "y5", "y6", "y7"};
  if (failed(parser.parseOptionalKeyword(&name, names)))
    return std::nullopt;
  return Axis::parse(name);
}

/// Parses axes until something else comes.
static SmallVector<Axis> parseAxisList(AsmParser &parser) {
  SmallVector<Axis> axes;
  while (std::optional<Axis> axis = parseOptionalAxis(parser))
    axes.push_back(*axis);
  return axes;
}

static void writeAxes(llvm::raw_ostream &os, ArrayRef<Axis> axes,
                      StringRef separator = " ") {
  llvm::interleave(axes, os, [&](Axis axis) { os << axis.str(); }, separator);
}

//===----------------------------------------------------------------------===//
// RegionAttr
//===----------------------------------------------------------------------===//

Attribute RegionAttr::parse(AsmParser &parser, Type) {
  SMLoc loc = parser.getCurrentLocation();
  auto parseFactors = [&](SmallVectorImpl<int64_t> &factors) -> ParseResult {
    do {
      if (parser.parseInteger(factors.emplace_back()))
        return failure();
    } while (succeeded(parser.parseOptionalKeyword("x")));
    return success();
  };
  SmallVector<int64_t> x, y;
  if (parser.parseLess() || parser.parseKeyword("x") || parser.parseEqual() ||
      parseFactors(x) || parser.parseComma() || parser.parseKeyword("y") ||
      parser.parseEqual() || parseFactors(y) || parser.parseGreater())
    return {};
  return parser.getChecked<RegionAttr>(loc, parser.getContext(), x, y);
}

void RegionAttr::print(AsmPrinter &printer) const {
  printer << "<x = ";
  llvm::interleave(getX(), printer.getStream(), " x ");
  printer << ", y = ";
  llvm::interleave(getY(), printer.getStream(), " x ");
  printer << ">";
}

LogicalResult RegionAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 ArrayRef<int64_t> x, ArrayRef<int64_t> y) {
  for (ArrayRef<int64_t> factors : {x, y}) {
    if (factors.empty() || factors.size() > 8)
      return emitError() << "a direction has 1 to 8 factors, not "
                         << factors.size();
    for (int64_t factor : factors)
      if (factor < 1)
        return emitError() << "a factor of a region is at least 1, not "
                           << factor;
  }
  return success();
}

int64_t RegionAttr::getWidth() const { return llvm::product_of(getX()); }
int64_t RegionAttr::getHeight() const { return llvm::product_of(getY()); }

SmallVector<Axis> RegionAttr::getAxes() const {
  SmallVector<Axis> axes;
  for (auto [direction, factors] :
       {std::pair(Axis::X, getX()), std::pair(Axis::Y, getY())})
    for (size_t i = 0; i < factors.size(); ++i) {
      Axis axis;
      axis.direction = direction;
      if (factors.size() > 1)
        axis.number = static_cast<int8_t>(i);
      axes.push_back(axis);
    }
  return axes;
}

bool RegionAttr::has(Axis axis) const {
  ArrayRef<int64_t> factors = axis.direction == Axis::X ? getX() : getY();
  if (axis.number == Axis::whole)
    return factors.size() == 1;
  return factors.size() > 1 &&
         static_cast<size_t>(axis.number) < factors.size();
}

int64_t RegionAttr::getSize(Axis axis) const {
  if (!has(axis))
    return 1;
  ArrayRef<int64_t> factors = axis.direction == Axis::X ? getX() : getY();
  return factors[axis.number == Axis::whole ? 0 : axis.number];
}

int64_t RegionAttr::getSize(ArrayRef<Axis> axes) const {
  int64_t size = 1;
  for (Axis axis : axes)
    size *= getSize(axis);
  return size;
}

int64_t RegionAttr::getStride(Axis axis) const {
  if (axis.number == Axis::whole || !has(axis))
    return 1;
  ArrayRef<int64_t> factors = axis.direction == Axis::X ? getX() : getY();
  return llvm::product_of(factors.drop_front(axis.number + 1));
}

int64_t RegionAttr::getCoordinate(Axis axis, int64_t column,
                                  int64_t row) const {
  int64_t position = axis.direction == Axis::X ? column : row;
  return position / getStride(axis) % getSize(axis);
}

//===----------------------------------------------------------------------===//
// DimAttr
//===----------------------------------------------------------------------===//

SmallVector<Axis> DimAttr::getAxes() const {
  SmallVector<Axis> axes;
  for (const Digit &digit : getDigits())
    if (digit.isAxis())
      axes.push_back(digit.axis);
  return axes;
}

int64_t DimAttr::getLocalSize(int64_t padded, RegionAttr region) const {
  return padded / region.getSize(getAxes());
}

SmallVector<Digit> DimAttr::resolve(int64_t padded, RegionAttr region) const {
  SmallVector<Digit> all(getDigits());
  bool axesOnly = llvm::all_of(all, [](const Digit &d) { return d.isAxis(); });
  if (axesOnly)
    all.insert(getCyclic() ? all.begin() : all.end(),
               Digit(getLocalSize(padded, region)));
  SmallVector<Digit> digits;
  for (const Digit &digit : all) {
    if (digit.isAxis() ? region.getSize(digit.axis) == 1 : digit.extent == 1)
      continue;
    if (!digit.isAxis() && !digits.empty() && !digits.back().isAxis())
      digits.back().extent *= digit.extent;
    else
      digits.push_back(digit);
  }
  return digits;
}

int64_t DimAttr::getGlobalIndex(int64_t local, int64_t padded,
                                RegionAttr region, int64_t column,
                                int64_t row) const {
  // From the most minor digit up; local digits are taken off `local`.
  int64_t index = 0, weight = 1;
  SmallVector<Digit> digits = resolve(padded, region);
  for (const Digit &digit : llvm::reverse(digits)) {
    int64_t size = digit.isAxis() ? region.getSize(digit.axis) : digit.extent;
    if (digit.isAxis()) {
      index += region.getCoordinate(digit.axis, column, row) * weight;
    } else {
      index += local % digit.extent * weight;
      local /= digit.extent;
    }
    weight *= size;
  }
  return index;
}

DimAttr DimAttr::withPadding(Padding padding) const {
  return DimAttr::get(getContext(), getDigits(), getCyclic(), getLive(),
                      getLiveState(), padding);
}

DimAttr DimAttr::withoutAxes(ArrayRef<Axis> axes) const {
  SmallVector<Digit> digits;
  for (const Digit &digit : getDigits())
    if (!digit.isAxis() || !llvm::is_contained(axes, digit.axis))
      digits.push_back(digit);
  bool anyAxis =
      llvm::any_of(digits, [](const Digit &d) { return d.isAxis(); });
  if (!anyAxis)
    digits.clear();
  return DimAttr::get(getContext(), digits, anyAxis && getCyclic(), getLive(),
                      getLiveState(), getPadding());
}

void DimAttr::write(llvm::raw_ostream &os) const {
  if (isWhole())
    os << "*";
  if (getCyclic())
    os << "cyclic ";
  llvm::interleave(
      getDigits(), os,
      [&](const Digit &digit) {
        if (digit.isAxis())
          os << digit.axis.str();
        else
          os << digit.extent;
      },
      " ");
  if (!isPadded())
    return;
  os << " live ";
  if (getLiveState())
    os << "@" << getLiveState().getValue();
  else
    os << getLive();
  os << " padding " << getPadding().str();
}

static FailureOr<Padding> parsePadding(AsmParser &parser) {
  bool negative = succeeded(parser.parseOptionalMinus());
  if (succeeded(parser.parseOptionalKeyword("inf")))
    return Padding::constant(negative ? -INFINITY : INFINITY);
  if (!negative && succeeded(parser.parseOptionalKeyword("num")))
    return Padding::finite();
  if (!negative && succeeded(parser.parseOptionalKeyword("any")))
    return Padding::any();
  int64_t integer;
  OptionalParseResult parsed = parser.parseOptionalInteger(integer);
  double value;
  if (parsed.has_value()) {
    if (failed(*parsed))
      return failure();
    value = static_cast<double>(integer);
  } else if (parser.parseFloat(value)) {
    return failure();
  }
  return Padding::constant(negative ? -value : value);
}

FailureOr<DimAttr> DimAttr::parseEntry(AsmParser &parser) {
  SmallVector<Digit> digits;
  bool cyclic = false;
  int64_t live = -1;
  StringAttr state;
  Padding padding;
  SMLoc loc = parser.getCurrentLocation();
  if (failed(parser.parseOptionalStar())) {
    cyclic = succeeded(parser.parseOptionalKeyword("cyclic"));
    while (true) {
      int64_t extent;
      if (std::optional<Axis> axis = parseOptionalAxis(parser)) {
        digits.push_back(*axis);
        continue;
      }
      OptionalParseResult parsed = parser.parseOptionalInteger(extent);
      if (!parsed.has_value())
        break;
      if (failed(*parsed))
        return failure();
      if (extent < 1)
        return parser.emitError(loc, "a local extent is at least 1");
      digits.push_back(Digit(extent));
    }
    if (digits.empty())
      return parser.emitError(loc, "expected '*', axes or digits");
  }
  if (succeeded(parser.parseOptionalKeyword("live"))) {
    if (failed(parser.parseOptionalSymbolName(state)) &&
        parser.parseInteger(live))
      return failure();
    if (!state && live < 0)
      return parser.emitError(loc, "a live size is not negative");
    if (parser.parseKeyword("padding"))
      return failure();
    FailureOr<Padding> known = parsePadding(parser);
    if (failed(known))
      return failure();
    padding = *known;
  }
  return DimAttr::get(parser.getContext(), digits, cyclic, live, state,
                      padding);
}

Attribute DimAttr::parse(AsmParser &parser, Type) {
  if (parser.parseLess())
    return {};
  FailureOr<DimAttr> dim = parseEntry(parser);
  if (failed(dim) || parser.parseGreater())
    return {};
  return *dim;
}

void DimAttr::print(AsmPrinter &printer) const {
  printer << "<";
  write(printer.getStream());
  printer << ">";
}

//===----------------------------------------------------------------------===//
// LayoutAttr
//===----------------------------------------------------------------------===//

LayoutAttr LayoutAttr::withoutPartial() const { return withPartial({}, {}); }

LayoutAttr LayoutAttr::withDims(ArrayRef<DimAttr> dims) const {
  return LayoutAttr::get(getContext(), dims, getPartial(), getCombiner(),
                         getRootAxes(), getRootCoordinates());
}

LayoutAttr LayoutAttr::withPartial(ArrayRef<Axis> axes,
                                   Combiner combiner) const {
  return LayoutAttr::get(getContext(), getDims(), axes,
                         axes.empty() ? Combiner::Sum : combiner, getRootAxes(),
                         getRootCoordinates());
}

SmallVector<Axis> LayoutAttr::getSplitAxes() const {
  SmallVector<Axis> axes;
  for (DimAttr dim : getDims())
    llvm::append_range(axes, dim.getAxes());
  return axes;
}

SmallVector<int64_t> LayoutAttr::getLocalShape(ArrayRef<int64_t> padded,
                                               RegionAttr region) const {
  SmallVector<int64_t> shape;
  for (auto [dim, size] : llvm::zip(getDims(), padded))
    shape.push_back(dim.getLocalSize(size, region));
  return shape;
}

Attribute LayoutAttr::parse(AsmParser &parser, Type) {
  SmallVector<DimAttr> dims;
  auto parseDim = [&]() -> ParseResult {
    FailureOr<DimAttr> dim = DimAttr::parseEntry(parser);
    if (failed(dim))
      return failure();
    dims.push_back(*dim);
    return success();
  };
  if (parser.parseLess() ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseDim))
    return {};

  SmallVector<Axis> partial, rootAxes;
  SmallVector<int64_t> rootCoordinates;
  Combiner combiner = Combiner::Sum;
  if (succeeded(parser.parseOptionalKeyword("partial"))) {
    if (parser.parseLess())
      return {};
    partial = parseAxisList(parser);
    StringRef word;
    SMLoc loc = parser.getCurrentLocation();
    if (parser.parseComma() || parser.parseKeyword(&word) ||
        parser.parseGreater())
      return {};
    std::optional<Combiner> known = symbolizeCombiner(word);
    if (!known || partial.empty()) {
      parser.emitError(loc, "partial needs axes and one of sum, max, min");
      return {};
    }
    combiner = *known;
    llvm::sort(partial);
  }
  if (succeeded(parser.parseOptionalKeyword("root"))) {
    auto parseRoot = [&]() -> ParseResult {
      std::optional<Axis> axis = parseOptionalAxis(parser);
      if (!axis)
        return parser.emitError(parser.getCurrentLocation(),
                                "expected an axis of the root");
      rootAxes.push_back(*axis);
      return failure(parser.parseEqual() ||
                     parser.parseInteger(rootCoordinates.emplace_back()));
    };
    if (parser.parseCommaSeparatedList(AsmParser::Delimiter::LessGreater,
                                       parseRoot))
      return {};
  }
  if (parser.parseGreater())
    return {};
  return LayoutAttr::get(parser.getContext(), dims, partial, combiner, rootAxes,
                         rootCoordinates);
}

void LayoutAttr::print(AsmPrinter &printer) const {
  llvm::raw_ostream &os = printer.getStream();
  os << "<[";
  llvm::interleaveComma(getDims(), os, [&](DimAttr dim) { dim.write(os); });
  os << "]";
  if (isPartial()) {
    os << " partial<";
    writeAxes(os, getPartial());
    os << ", " << stringifyCombiner(getCombiner()) << ">";
  }
  if (hasRoot()) {
    os << " root<";
    llvm::interleaveComma(
        llvm::zip(getRootAxes(), getRootCoordinates()), os, [&](auto root) {
          os << std::get<0>(root).str() << " = " << std::get<1>(root);
        });
    os << ">";
  }
  os << ">";
}

//===----------------------------------------------------------------------===//
// AxesAttr
//===----------------------------------------------------------------------===//

Attribute AxesAttr::parse(AsmParser &parser, Type) {
  SmallVector<Axis> axes;
  auto parseOne = [&]() -> ParseResult {
    std::optional<Axis> axis = parseOptionalAxis(parser);
    if (!axis)
      return parser.emitError(parser.getCurrentLocation(), "expected an axis");
    axes.push_back(*axis);
    return success();
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseOne))
    return {};
  return AxesAttr::get(parser.getContext(), axes);
}

void AxesAttr::print(AsmPrinter &printer) const {
  printer << "[";
  writeAxes(printer.getStream(), getAxes(), ", ");
  printer << "]";
}

#include "waferloom/Dialect/Wafer/WaferEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "waferloom/Dialect/Wafer/WaferAttrs.cpp.inc"

void WaferDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "waferloom/Dialect/Wafer/WaferAttrs.cpp.inc"
      >();
}
