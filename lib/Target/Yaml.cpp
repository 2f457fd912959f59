// Description files. A document is a mapping from keys to figures; a figure is
// a number or a mapping of value, source and confidence. What is not said keeps
// what `base` says.

#include "Scalars.h"
#include "waferloom/Target/Target.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/YAMLTraits.h"
#include <optional>

using namespace llvm;
using namespace waferloom::target;

template <>
struct yaml::ScalarEnumerationTraits<Confidence> {
  static void enumeration(IO &io, Confidence &confidence) {
    io.enumCase(confidence, "H", Confidence::High);
    io.enumCase(confidence, "M", Confidence::Medium);
    io.enumCase(confidence, "L", Confidence::Low);
    io.enumCase(confidence, "U", Confidence::Unverified);
  }
};

namespace {
/// A number as text, so that sizes can have units.
template <typename T>
struct Number {
  T value = 0;
};

/// A figure with all that is said of it.
template <typename T>
struct FigureMap {
  Number<T> number;
  std::string source;
  Confidence confidence = Confidence::Unverified;
};

/// A figure as it stands in a file; a bare number has no source.
template <typename T>
struct FigureText : FigureMap<T> {
  std::vector<std::string> sequence; // not allowed, and said so afterwards
};

/// A whole file: what it leaves out is absent.
struct Description {
  std::string base;
  std::string name;
#define FIGURE(type, member, key, unit, meaning)                               \
  std::optional<FigureText<type>> member;
#include "waferloom/Target/Figures.def"
  std::vector<Rectangle> defects;
};
} // namespace

LLVM_YAML_IS_SEQUENCE_VECTOR(waferloom::target::Rectangle)

template <>
struct yaml::MappingTraits<Rectangle> {
  static void mapping(IO &io, Rectangle &rectangle) {
    io.mapRequired("x", rectangle.x);
    io.mapRequired("y", rectangle.y);
    io.mapRequired("width", rectangle.width);
    io.mapRequired("height", rectangle.height);
  }
};

template <typename T>
struct yaml::ScalarTraits<Number<T>> {
  static void output(const Number<T> &number, void *, raw_ostream &os) {
    writeScalar(number.value, os);
  }
  static StringRef input(StringRef text, void *, Number<T> &number) {
    return readScalar(text, number.value);
  }
  static QuotingType mustQuote(StringRef) { return QuotingType::None; }
};

template <typename T>
struct yaml::MappingTraits<FigureMap<T>> {
  static void mapping(IO &io, FigureMap<T> &entry) {
    io.mapRequired("value", entry.number);
    io.mapOptional("confidence", entry.confidence, Confidence::Unverified);
    io.mapOptional("source", entry.source, std::string());
  }
};

template <typename T>
struct yaml::PolymorphicTraits<FigureText<T>> {
  static NodeKind getKind(const FigureText<T> &) { return NodeKind::Map; }
  static Number<T> &getAsScalar(FigureText<T> &entry) { return entry.number; }
  static FigureMap<T> &getAsMap(FigureText<T> &entry) { return entry; }
  static std::vector<std::string> &getAsSequence(FigureText<T> &entry) {
    return entry.sequence;
  }
};

template <>
struct yaml::MappingTraits<Description> {
  static void mapping(IO &io, Description &document) {
    io.mapOptional("base", document.base, std::string());
    io.mapOptional("name", document.name, std::string());
#define FIGURE(type, member, key, unit, meaning)                               \
  io.mapOptional(key, document.member);
#include "waferloom/Target/Figures.def"
    io.mapOptional("defects", document.defects);
  }
};

/// Collects the parser's messages, one per line, as `line:column: message`.
static void collect(const SMDiagnostic &diagnostic, void *context) {
  raw_string_ostream os(*static_cast<std::string *>(context));
  os << diagnostic.getLineNo() << ":" << diagnostic.getColumnNo() + 1 << ": "
     << diagnostic.getMessage() << "\n";
}

static Error invalid(StringRef origin, const Twine &message) {
  return createStringError(Twine("target description '") + origin +
                           "': " + message);
}

namespace waferloom::target {

/// The figures that `document` sets.
static SmallVector<StringRef> keysOf(const Description &document) {
  SmallVector<StringRef> keys;
#define FIGURE(type, member, key, unit, meaning)                               \
  if (document.member)                                                         \
    keys.push_back(key);
#include "waferloom/Target/Figures.def"
  return keys;
}

/// Whether the text nests more than a description could: what the parser would
/// follow until the stack ends.
static bool isTooDeep(StringRef text) {
  constexpr size_t most = 32;
  SmallVector<size_t> blocks; // indentations of the blocks that are open
  size_t flows = 0;           // brackets that are open
  char quote = 0;
  for (StringRef line : split(text, '\n')) {
    size_t indent = std::min(line.find_first_not_of(' '), line.size());
    while (!blocks.empty() && blocks.back() >= indent)
      blocks.pop_back();
    blocks.push_back(indent);
    size_t entries = 0; // "- - - x" is three blocks on a line
    for (auto [i, c] : enumerate(line)) {
      if (quote) {
        quote = c == quote ? 0 : quote;
        continue;
      }
      if (c == '#')
        break;
      if (c == '"' || c == '\'')
        quote = c;
      else if (c == '[' || c == '{')
        ++flows;
      else if (c == ']' || c == '}')
        flows -= flows > 0;
      else if ((c == '-' || c == '?') && line.substr(i + 1, 1).trim().empty())
        ++entries;
      if (flows + entries + blocks.size() > most)
        return true;
    }
  }
  return false;
}

std::string baseOf(StringRef text) {
  Description document;
  yaml::Input input(text);
  input >> document;
  return document.base;
}

Expected<Target> parseYaml(StringRef text, StringRef origin,
                           std::vector<std::string> *warnings) {
  return parseYaml(text, origin, Reading{warnings});
}

Expected<Target> parseYaml(StringRef text, StringRef origin, Reading reading) {
  if (isTooDeep(text))
    return invalid(origin, "is nested too deeply; a figure is a number, or a "
                           "mapping of value, source and confidence");
  std::string errors;
  Description document;
  yaml::Input input(MemoryBufferRef(text, origin), nullptr, collect, &errors);
  input >> document;
  if (input.error() || !errors.empty()) {
    StringRef first = StringRef(errors).split('\n').first;
    std::string hint;
    if (first.contains("unknown key"))
      hint = "; the keys are " + joinedKeys() + ", defects";
    return invalid(origin, first + hint);
  }

  Target target;
  if (!document.base.empty()) {
    if (reading.bases == mostBases)
      return invalid(origin, "has 'base: " + document.base + "' after " +
                                 Twine(mostBases) +
                                 " other bases; do files name each other?");
    Expected<Target> base =
        parse(document.base, Reading{reading.warnings, reading.bases + 1});
    if (!base)
      return base.takeError();
    target = std::move(*base);
  }
  if (!document.name.empty())
    target.name = document.name;
  if (target.name.empty())
    return invalid(origin, "has no name");

#define FIGURE(type, member, key, unit, meaning)                               \
  if (document.member) {                                                       \
    if (!document.member->sequence.empty())                                    \
      return invalid(origin, "'" key "' is a list; expected a number");        \
    target.member.value = document.member->number.value;                       \
    target.member.confidence = document.member->confidence;                    \
    target.member.source = document.member->source.empty()                     \
                               ? "given in " + origin.str()                    \
                               : document.member->source;                      \
  } else if (document.base.empty()) {                                          \
    if (isInformation(key))                                                    \
      target.member.source = "not given";                                      \
    else                                                                       \
      return invalid(origin, "'" key "' is missing, and there is no 'base'");  \
  }
#include "waferloom/Target/Figures.def"
  if (!document.defects.empty())
    target.defects = document.defects;
  openFabric(target, document.width && !document.userWidth,
             document.height && !document.userHeight);
  warnOfInformation(origin, keysOf(document), reading.warnings);
  if (Error error = verify(target))
    return std::move(error);
  return target;
}

void writeYaml(const Target &target, raw_ostream &os) {
  Description document;
  document.name = target.name;
#define FIGURE(type, member, key, unit, meaning)                               \
  document.member.emplace();                                                   \
  document.member->number.value = target.member.value;                         \
  document.member->source = target.member.source;                              \
  document.member->confidence = target.member.confidence;
#include "waferloom/Target/Figures.def"
  document.defects = target.defects;
  yaml::Output output(os, nullptr, /*WrapColumn=*/0);
  output << document;
}

} // namespace waferloom::target
