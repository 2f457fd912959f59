// A target is a preset or a file, then overrides from left to right.

#include "waferloom/Target/Target.h"
#include "Presets.h"
#include "Scalars.h"
#include "waferloom/Spelling/Nearest.h"
#include "waferloom/Target/Describe.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include <cmath>
#include <optional>

using namespace llvm;

namespace waferloom::target {

StringRef readScalar(StringRef text, uint32_t &value) {
  StringRef digits = text.trim();
  uint64_t unit = 1;
  if (digits.consume_back("KiB"))
    unit = 1024;
  else if (digits.consume_back("MiB"))
    unit = 1024 * 1024;
  uint64_t number;
  if (digits.trim().getAsInteger(10, number))
    return "not a whole number (units are KiB and MiB)";
  if (number > UINT32_MAX / unit)
    return "not below 2^32";
  value = static_cast<uint32_t>(number * unit);
  return StringRef();
}

StringRef readScalar(StringRef text, double &value) {
  if (text.trim().getAsDouble(value) || !std::isfinite(value) || value < 0)
    return "not a number that is finite and not negative";
  return StringRef();
}

void writeScalar(uint32_t value, raw_ostream &os) {
  if (value >= 1024 * 1024 && value % (1024 * 1024) == 0)
    os << value / (1024 * 1024) << "MiB";
  else if (value >= 4096 && value % 1024 == 0)
    os << value / 1024 << "KiB";
  else
    os << value;
}

void writeScalar(double value, raw_ostream &os) { os << format("%g", value); }

std::string joinedKeys() {
  std::string keys;
  ListSeparator separator;
  raw_string_ostream os(keys);
#define FIGURE(type, member, key, unit, meaning) os << separator << key;
#include "waferloom/Target/Figures.def"
  return keys;
}

bool isInformation(StringRef key) {
#define FIGURE(type, member, name, unit, meaning)
#define INFORMATION(type, member, name, unit, meaning)                         \
  if (key == name)                                                             \
    return true;
#include "waferloom/Target/Figures.def"
  return false;
}

void warnOfInformation(StringRef origin, ArrayRef<StringRef> set,
                       std::vector<std::string> *warnings) {
  SmallVector<StringRef> inert(make_filter_range(set, isInformation));
  if (!warnings || inert.empty())
    return;
  warnings->push_back(
      formatv("target '{0}': {1} {2} set, but no decision of the compiler and "
              "no cycle depends on {3}",
              origin, join(inert, ", "), inert.size() > 1 ? "are" : "is",
              inert.size() > 1 ? "them" : "it"));
}

void openFabric(Target &target, bool width, bool height) {
  if (width)
    target.userWidth = target.width;
  if (height)
    target.userHeight = target.height;
}

/// Of a direction: what the image format counts in.
static constexpr uint32_t mostPes = 65535;

static Error tooSmall(const Target &target, StringRef key, uint32_t value) {
  return createStringError(
      formatv("target '{0}': {1} is {2}; it must be at least 1", target.name,
              key, value)
          .str());
}

Error verify(const Target &target) {
  struct Positive {
    const char *key;
    uint32_t value;
  };
  const Positive positive[] = {{"width", target.width},
                               {"height", target.height},
                               {"user-width", target.userWidth},
                               {"user-height", target.userHeight},
                               {"colors", target.colors},
                               {"input-queues", target.inputQueues},
                               {"output-queues", target.outputQueues},
                               {"input-queue-words", target.inputQueueWords},
                               {"output-queue-words", target.outputQueueWords},
                               {"banks", target.banks},
                               {"bank-bytes", target.bankBytes},
                               {"fma-f32", target.fmaF32},
                               {"fma-f16", target.fmaF16},
                               {"fma-mixed", target.fmaMixed},
                               {"mul-f32", target.mulF32},
                               {"mul-f16", target.mulF16},
                               {"add-f32", target.addF32},
                               {"add-f16", target.addF16},
                               {"max-f32", target.maxF32},
                               {"max-f16", target.maxF16},
                               {"mov-32", target.mov32},
                               {"mov-16", target.mov16},
                               {"convert", target.convert},
                               {"integer", target.integer}};
  for (const Positive &figure : {positive[0], positive[1]})
    if (figure.value > mostPes)
      return createStringError(
          formatv("target '{0}': {1} is {2}; it must be at most {3}",
                  target.name, figure.key, figure.value, mostPes)
              .str());
  for (const Positive &figure : positive)
    if (figure.value == 0)
      return tooSmall(target, figure.key, figure.value);
  for (auto [inner, outer] : {std::pair(positive[2], positive[0]),
                              std::pair(positive[3], positive[1])})
    if (inner.value > outer.value)
      return createStringError(
          formatv("target '{0}': {1} is {2}; it must be at most {3}, which is "
                  "{4}",
                  target.name, inner.key, inner.value, outer.key, outer.value)
              .str());
  if (Error error = checkDefects(target))
    return error;
  if (target.clock.value <= 0)
    return createStringError("target '" + target.name +
                             "': clock must be above 0 GHz");
  if (target.reserved >= target.sram)
    return createStringError(
        formatv("target '{0}': {1} bytes reserved of {2} bytes of sram leave "
                "nothing for a program",
                target.name, target.reserved.value, target.sram.value)
            .str());
  // The image format has 8 bits for colors and queues, 7 for threads.
  if (target.colors > 256 || target.inputQueues > 256 ||
      target.outputQueues > 256 || target.microthreads > 128)
    return createStringError("target '" + target.name +
                             "': more than 256 colors, 256 queues or 128 "
                             "microthreads cannot be encoded");
  return Error::success();
}

/// `grid-4x3` -> (4, 3).
static std::optional<std::pair<uint32_t, uint32_t>> parseGrid(StringRef name) {
  if (!name.consume_front("grid-"))
    return std::nullopt;
  auto [left, right] = name.split('x');
  uint32_t width, height;
  if (left.getAsInteger(10, width) || right.getAsInteger(10, height))
    return std::nullopt;
  return std::make_pair(width, height);
}

bool isBuiltIn(StringRef specification) {
  StringRef name = specification.split(',').first.trim();
  return parseGrid(name) || any_of(presets(), [&](const Preset &preset) {
           return preset.name == name;
         });
}

std::optional<std::string> presetOf(StringRef specification) {
  std::string next = specification.str();
  for (unsigned files = 0; files <= mostBases; ++files) {
    std::string name = StringRef(next).split(',').first.trim().str();
    if (isBuiltIn(name))
      return name;
    auto file = MemoryBuffer::getFile(name, /*IsText=*/true);
    next = file ? baseOf((*file)->getBuffer()) : std::string();
    if (next.empty())
      break;
  }
  return std::nullopt;
}

static std::string alternatives() {
  std::string text;
  for (const Preset &preset : presets())
    text += preset.name.str() + ", ";
  return text + "grid-WxH (such as grid-8x8), or a .yaml file";
}

static Expected<Target> parseBase(StringRef name, Reading reading) {
  for (const Preset &preset : presets())
    if (name == preset.name)
      return parseYaml(preset.yaml, preset.name);
  if (auto grid = parseGrid(name)) {
    Expected<Target> target = parseBase("wse2", Reading());
    if (!target)
      return target;
    target->name = name.str();
    std::string source = "given by the name";
    target->width = {grid->first, source, Confidence::Unverified};
    target->height = {grid->second, source, Confidence::Unverified};
    openFabric(*target, true, true);
    return target;
  }
  StringRef extension = sys::path::extension(name);
  if (extension != ".yaml" && extension != ".yml")
    return createStringError(Twine("unknown target '") + name + "'; " +
                             spelling::didYouMean(name, presetNames()) +
                             "the targets are " + alternatives());
  auto file = MemoryBuffer::getFile(name, /*IsText=*/true);
  if (!file)
    return createStringError(Twine("cannot read target description '") + name +
                             "': " + file.getError().message());
  return parseYaml((*file)->getBuffer(), name, reading);
}

/// The key nearest to what was typed, then all of them.
static std::string suggest(StringRef typed) {
  static constexpr StringLiteral keys[] = {
#define FIGURE(type, member, key, unit, meaning) key,
#include "waferloom/Target/Figures.def"
  };
  return spelling::didYouMean(typed, keys) + "the keys are " + joinedKeys();
}

template <typename T>
static StringRef assign(Figure<T> &figure, StringRef text) {
  StringRef problem = readScalar(text, figure.value);
  figure.source = "given as an override";
  figure.confidence = Confidence::Unverified;
  return problem;
}

static Error applyOverride(Target &target, StringRef text) {
  auto [key, value] = text.split('=');
  key = key.trim();
  std::optional<StringRef> problem;
#define FIGURE(type, member, name, unit, meaning)                              \
  if (key == name)                                                             \
    problem = assign(target.member, value);
#include "waferloom/Target/Figures.def"
  if (!problem)
    return createStringError(Twine("unknown target parameter '") + key + "'; " +
                             suggest(key));
  if (!problem->empty())
    return createStringError(Twine("target parameter '") + key + "': '" +
                             value + "' is " + *problem);
  return Error::success();
}

Expected<Target> parse(StringRef specification,
                       std::vector<std::string> *warnings) {
  return parse(specification, Reading{warnings});
}

Expected<Target> parse(StringRef specification, Reading reading) {
  SmallVector<StringRef> parts;
  specification.split(parts, ',');
  Expected<Target> target = parseBase(parts.front().trim(), reading);
  if (!target)
    return target;
  SmallVector<StringRef> keys;
  for (StringRef part : ArrayRef(parts).drop_front()) {
    if (Error error = applyOverride(*target, part))
      return std::move(error);
    keys.push_back(part.split('=').first.trim());
  }
  if (parts.size() > 1)
    target->name = specification.str();
  openFabric(
      *target, is_contained(keys, "width") && !is_contained(keys, "user-width"),
      is_contained(keys, "height") && !is_contained(keys, "user-height"));
  warnOfInformation(specification, keys, reading.warnings);
  if (Error error = verify(*target))
    return std::move(error);
  return target;
}

Error checkRectangle(const Target &target, int64_t width, int64_t height) {
  if (Error error = checkRectangle(target, width, height, -1, -1))
    return error;
  if (findPlace(target, width, height))
    return Error::success();
  auto [wide, high] = findLargest(target);
  return createStringError(
      formatv("a region of {0} x {1} PEs has no place beside the {2} defects "
              "of '{3}'; the largest region is {4} x {5}",
              width, height, target.defects.size(), target.name, wide, high)
          .str());
}

/// At (-1, -1) of one that begins anywhere.
Error checkRectangle(const Target &target, int64_t width, int64_t height,
                     int64_t x, int64_t y) {
  const bool anywhere = x < 0;
  const bool isWide = width > target.userWidth - std::max<int64_t>(x, 0);
  if (!isWide && height <= target.userHeight - std::max<int64_t>(y, 0)) {
    const Rectangle *defect =
        anywhere ? nullptr : findDefect(target, x, y, width, height);
    if (!defect)
      return Error::success();
    return createStringError(
        formatv("a region of {0} x {1} PEs at ({2}, {3}) stands on a defect of "
                "'{4}': {5} x {6} PEs at ({7}, {8})",
                width, height, x, y, target.name, defect->width, defect->height,
                defect->x, defect->y)
            .str());
  }
  std::string at = x > 0 || y > 0 ? formatv(" at ({0}, {1})", x, y).str() : "";
  return createStringError(
      formatv("a region of {0} x {1} PEs{2} is too {3} for programs of '{4}': "
              "{5} is {6}; the largest region is {7} x {8}",
              width, height, at, isWide ? "wide" : "high", target.name,
              isWide ? "user-width" : "user-height",
              isWide ? target.userWidth.value : target.userHeight.value,
              target.userWidth.value, target.userHeight.value)
          .str());
}

template <typename T>
static void printRow(raw_ostream &os, StringRef key, const Figure<T> &figure,
                     StringRef unit, StringRef meaning) {
  std::string value;
  raw_string_ostream valueStream(value);
  writeScalar(figure.value, valueStream);
  if (value.find("iB") != std::string::npos && unit == "bytes")
    unit = "";
  os << left_justify(key, 20) << right_justify(value, 9) << " "
     << left_justify(unit, 15) << letterOf(figure.confidence) << "  "
     << figure.source;
  if (!meaning.empty())
    os << "  (" << meaning << ")";
  os << "\n";
}

void print(const Target &target, raw_ostream &os) {
  os << "target " << target.name << "\n"
     << "H paper or official document, M public measurement, L derived, "
        "U chosen or unverified\n\n";
#define FIGURE(type, member, key, unit, meaning)                               \
  printRow(os, key, target.member, unit, meaning);
#define INFORMATION(type, member, key, unit, meaning)
#include "waferloom/Target/Figures.def"
  for (const Rectangle &defect : target.defects)
    os << left_justify("defect", 20)
       << formatv("{0} x {1} PEs at ({2}, {3}): no program stands there\n",
                  defect.width, defect.height, defect.x, defect.y);
  os << "\nFor information: no decision of the compiler and no cycle depends "
        "on these.\n";
#define FIGURE(type, member, key, unit, meaning)
#define INFORMATION(type, member, key, unit, meaning)                          \
  printRow(os, key, target.member, unit, meaning);
#include "waferloom/Target/Figures.def"
}

void printPresets(raw_ostream &os) {
  for (const Preset &preset : presets())
    os << left_justify(preset.name, 10) << preset.summary << "\n";
  os << left_justify("grid-WxH", 10)
     << "wse2 with a fabric of W columns and H rows\n";
}

} // namespace waferloom::target
