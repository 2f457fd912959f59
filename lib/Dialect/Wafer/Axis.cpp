// The names of axes and of what padding holds, as texts of layouts have them.

#include "waferloom/Dialect/Wafer/Axis.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace waferloom::wafer;
using llvm::StringRef;

std::string Axis::str() const {
  std::string name(1, direction == X ? 'x' : 'y');
  if (number != whole)
    name += std::to_string(number);
  return name;
}

std::optional<Axis> Axis::parse(StringRef name) {
  if (name.empty() || (name[0] != 'x' && name[0] != 'y'))
    return std::nullopt;
  Axis axis;
  axis.direction = name[0] == 'x' ? X : Y;
  unsigned number;
  if (name.size() > 1) {
    if (name.drop_front().getAsInteger(10, number) || number > 31)
      return std::nullopt;
    axis.number = static_cast<int8_t>(number);
  }
  return axis;
}

std::string Padding::str() const {
  if (kind == None)
    return "none";
  if (kind == Finite)
    return "num";
  if (kind == Any)
    return "any";
  if (std::isinf(value))
    return value < 0 ? "-inf" : "inf";
  std::string text;
  llvm::raw_string_ostream os(text);
  if (value == std::floor(value) && std::fabs(value) < 1e15)
    os << static_cast<int64_t>(value);
  else
    os << llvm::format("%.17e", value);
  return text;
}
