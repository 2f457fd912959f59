#include "waferloom/Target/Describe.h"

#include "Presets.h"
#include "Scalars.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVectorExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;

namespace waferloom::target {

ArrayRef<StringRef> presetNames() {
  static const SmallVector<StringRef> names = map_to_vector(
      presets(), [](const Preset &preset) { return preset.name; });
  return names;
}

json::Array presetsToJson() {
  json::Array list;
  for (const Preset &preset : presets())
    list.push_back(
        json::Object{{"name", preset.name}, {"summary", preset.summary}});
  return list;
}

StringRef letterOf(Confidence confidence) {
  switch (confidence) {
  case Confidence::High:
    return "H";
  case Confidence::Medium:
    return "M";
  case Confidence::Low:
    return "L";
  case Confidence::Unverified:
    return "U";
  }
  return "?";
}

template <typename T>
static json::Object toJson(StringRef key, const Figure<T> &figure,
                           const Figure<T> *preset, StringRef unit,
                           StringRef meaning) {
  json::Object told{
      {"key", key},
      {"value", figure.value},
      {"unit", unit},
      {"acts", !isInformation(key)},
      {"confidence", letterOf(figure.confidence)},
      {"source", json::fixUTF8(figure.source)},
      {"meaning", meaning},
  };
  if (preset && preset->value != figure.value)
    told["preset"] = preset->value;
  return told;
}

json::Object toJson(const Target &target, const Target *preset) {
  json::Array figures, defects;
#define FIGURE(type, member, key, unit, meaning)                               \
  figures.push_back(toJson(                                                    \
      key, target.member, preset ? &preset->member : nullptr, unit, meaning));
#include "waferloom/Target/Figures.def"
  for (const Rectangle &defect : target.defects)
    defects.push_back(json::Object{{"x", defect.x},
                                   {"y", defect.y},
                                   {"width", defect.width},
                                   {"height", defect.height}});
  json::Object told{{"name", json::fixUTF8(target.name)},
                    {"figures", std::move(figures)},
                    {"defects", std::move(defects)}};
  if (preset)
    told["preset"] = preset->name;
  return told;
}

template <typename T>
static void printChange(raw_ostream &os, StringRef key, StringRef unit,
                        const Figure<T> &now, const Figure<T> &before) {
  if (now.value == before.value)
    return;
  std::string values;
  raw_string_ostream valuesStream(values);
  writeScalar(before.value, valuesStream);
  valuesStream << " -> ";
  writeScalar(now.value, valuesStream);
  if (values.find("iB") == std::string::npos && !unit.empty())
    valuesStream << " " << unit;
  os << "  " << key << ": " << values
     << (isInformation(key) ? ", which changes nothing" : "") << "\n";
}

void printChanges(const Target &target, const Target &preset, raw_ostream &os) {
#define FIGURE(type, member, key, unit, meaning)                               \
  printChange(os, key, unit, target.member, preset.member);
#include "waferloom/Target/Figures.def"
  for (const Rectangle &defect : target.defects)
    os << formatv("  defect: {0} x {1} PEs at ({2}, {3})\n", defect.width,
                  defect.height, defect.x, defect.y);
}

} // namespace waferloom::target
