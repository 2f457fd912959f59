// A mapping is read by hand from the nodes of a YAML parser, so that every
// field knows its line and every unknown one is refused.

#include "waferloom/Mapping/Mapping.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/YAMLParser.h"

using namespace waferloom;
using namespace waferloom::mapping;
using llvm::Error;
using llvm::StringRef;
using llvm::yaml::Node;

namespace {
class Reader {
public:
  explicit Reader(StringRef text);

  llvm::Expected<Mapping> read();

private:
  using Key = llvm::function_ref<bool(StringRef key, Node *value)>;

  /// Everything below says by false that it refused, once.
  bool refuse(const Node *at, const llvm::Twine &message);
  bool refuseKey(const Node *at, StringRef what, StringRef key,
                 StringRef known);
  bool readMap(Node *node, StringRef what, Key visit);
  bool readList(Node *node, StringRef what,
                llvm::function_ref<bool(Node *)> visit);
  std::optional<std::string> textOf(Node *node);
  bool read(Node *node, StringRef what, Field<std::string> &field);
  bool read(Node *node, StringRef what, Field<int64_t> &field);
  bool read(Node *node, StringRef what, Field<bool> &field);
  template <typename T>
  bool read(Node *node, StringRef what, Field<std::vector<T>> &field);
  bool readChoice(Node *node, StringRef what, Field<std::string> &field,
                  llvm::ArrayRef<StringRef> choices);
  bool readModel(Node *node);
  bool readSide(Node *node, StringRef what, Field<int64_t> &size,
                Field<std::vector<int64_t>> &factors);
  bool readRegion(Node *node, StringRef what, Field<int64_t> &width,
                  Field<int64_t> &height, Field<std::vector<int64_t>> &x,
                  Field<std::vector<int64_t>> &y);
  bool readStages(Node *node);
  bool readLayout(Node *node);
  bool readCollective(Node *node);
  bool readTop(StringRef key, Node *node);

  unsigned lineOf(const Node *node) {
    return sources.getLineAndColumn(node->getSourceRange().Start).first;
  }

  llvm::SourceMgr sources;
  std::string error;
  llvm::yaml::Stream stream;
  Mapping out;
  bool hasVersion = false;
};
} // namespace

static constexpr int64_t largest = int64_t(1) << 48;

Reader::Reader(StringRef text) : stream(text, sources) {
  sources.setDiagHandler(
      [](const llvm::SMDiagnostic &found, void *context) {
        auto &error = *static_cast<std::string *>(context);
        if (error.empty())
          error = llvm::formatv("line {0}: {1}", found.getLineNo(),
                                found.getMessage());
      },
      &error);
}

bool Reader::refuse(const Node *at, const llvm::Twine &message) {
  if (error.empty())
    error = llvm::formatv("line {0}: {1}", lineOf(at), message.str());
  return false;
}

bool Reader::refuseKey(const Node *at, StringRef what, StringRef key,
                       StringRef known) {
  return refuse(at, what + " has no field '" + key + "'; there are " + known);
}

std::optional<std::string> Reader::textOf(Node *node) {
  llvm::SmallString<64> storage;
  if (auto *scalar = llvm::dyn_cast_if_present<llvm::yaml::ScalarNode>(node))
    return scalar->getValue(storage).str();
  return std::nullopt;
}

bool Reader::readMap(Node *node, StringRef what, Key visit) {
  auto *map = llvm::dyn_cast_if_present<llvm::yaml::MappingNode>(node);
  if (!map)
    return refuse(node, what + " is a map of fields, {name: value}");
  llvm::StringSet<> seen;
  for (llvm::yaml::KeyValueNode &entry : *map) {
    Node *key = entry.getKey();
    std::optional<std::string> name = textOf(key);
    if (stream.failed())
      return false;
    if (!name)
      return refuse(map, what + " has a field whose name is no text");
    if (!seen.insert(*name).second)
      return refuse(key, what + " says '" + *name + "' twice");
    Node *value = entry.getValue();
    if (stream.failed() || !value || !visit(*name, value))
      return false;
  }
  return !stream.failed();
}

bool Reader::readList(Node *node, StringRef what,
                      llvm::function_ref<bool(Node *)> visit) {
  auto *list = llvm::dyn_cast_if_present<llvm::yaml::SequenceNode>(node);
  if (!list)
    return refuse(node, what + " is a list");
  for (Node &entry : *list)
    if (stream.failed() || !visit(&entry))
      return false;
  return !stream.failed();
}

bool Reader::read(Node *node, StringRef what, Field<std::string> &field) {
  field.line = lineOf(node);
  std::optional<std::string> text = textOf(node);
  if (!text || text->empty())
    return refuse(node, what + " is a text");
  if (*text != "auto")
    field.value = std::move(text);
  return true;
}

bool Reader::read(Node *node, StringRef what, Field<int64_t> &field) {
  Field<std::string> text;
  if (!read(node, what, text))
    return false;
  field.line = text.line;
  int64_t number;
  if (!text)
    return true;
  if (StringRef(*text).getAsInteger(10, number) || number < 0 ||
      number > largest)
    return refuse(node, what + " is a whole number of at least 0, not '" +
                            *text + "'");
  field.value = number;
  return true;
}

bool Reader::read(Node *node, StringRef what, Field<bool> &field) {
  Field<std::string> text;
  if (!readChoice(node, what, text, {"on", "off"}))
    return false;
  field.line = text.line;
  if (text)
    field.value = *text == "on";
  return true;
}

template <typename T>
bool Reader::read(Node *node, StringRef what, Field<std::vector<T>> &field) {
  field.line = lineOf(node);
  std::vector<T> list;
  auto add = [&](Node *entry) {
    Field<T> one;
    if (!read(entry, what, one))
      return false;
    if (!one)
      return refuse(entry, what + " is `auto` as a whole or not at all");
    list.push_back(*one);
    return true;
  };
  if (llvm::isa<llvm::yaml::SequenceNode>(node)) {
    if (!readList(node, what, add))
      return false;
  } else {
    Field<T> one;
    if (!read(node, what, one))
      return false;
    if (!one)
      return true;
    list.push_back(*one);
  }
  field.value = std::move(list);
  return true;
}

bool Reader::readChoice(Node *node, StringRef what, Field<std::string> &field,
                        llvm::ArrayRef<StringRef> choices) {
  if (!read(node, what, field))
    return false;
  if (field && !llvm::is_contained(choices, *field))
    return refuse(node, what + " is " + llvm::join(choices, " or ") +
                            " or auto, not '" + *field + "'");
  return true;
}

bool Reader::readModel(Node *node) {
  return readMap(node, "model", [&](StringRef key, Node *value) {
    if (key == "parameters")
      return read(value, "model: parameters", out.parameters);
    if (key == "layers")
      return read(value, "model: layers", out.layers);
    return refuseKey(value, "model", key, "parameters, layers");
  });
}

bool Reader::readSide(Node *node, StringRef what, Field<int64_t> &size,
                      Field<std::vector<int64_t>> &factors) {
  constexpr int64_t most = 1 << 16;
  if (!llvm::isa<llvm::yaml::SequenceNode>(node)) {
    if (!read(node, what, size))
      return false;
    return !size || (*size >= 1 && *size <= most) ||
           refuse(node, what + " is between 1 and 65536 PEs");
  }
  if (!read(node, what, factors))
    return false;
  int64_t product = factors->empty() ? 0 : 1;
  for (int64_t factor : *factors)
    product = std::min(product * std::min(factor, most + 1), most + 1);
  return (product >= 1 && product <= most) ||
         refuse(node, what + " is factors of at least 1 whose product is at "
                             "most 65536");
}

bool Reader::readRegion(Node *node, StringRef what, Field<int64_t> &width,
                        Field<int64_t> &height, Field<std::vector<int64_t>> &x,
                        Field<std::vector<int64_t>> &y) {
  if (textOf(node) == "auto")
    return true;
  return readMap(node, what, [&](StringRef key, Node *value) {
    if (key == "x")
      return readSide(value, (what + ": x").str(), width, x);
    if (key == "y")
      return readSide(value, (what + ": y").str(), height, y);
    return refuseKey(value, what, key, "x, y");
  });
}

bool Reader::readStages(Node *node) {
  if (!llvm::isa<llvm::yaml::SequenceNode>(node)) {
    if (!read(node, "stages", out.stageCount))
      return false;
    return !out.stageCount || *out.stageCount ||
           refuse(node, "stages are at least 1");
  }
  out.stageCount.line = lineOf(node);
  bool good = readList(node, "stages", [&](Node *entry) {
    Stage &stage = out.stages.emplace_back();
    return readMap(entry, "a stage", [&](StringRef key, Node *value) {
      Field<std::vector<int64_t>> *field = key == "at"      ? &stage.at
                                           : key == "trips" ? &stage.trips
                                                            : nullptr;
      if (!field)
        return refuseKey(value, "a stage", key, "at, trips");
      if (!read(value, key, *field))
        return false;
      return !*field || (*field)->size() == 2 ||
             refuse(value, key + (key == "at"
                                      ? " is a column and a row, [x, y]"
                                      : " are the first and the one behind the "
                                        "last, [a, b]"));
    });
  });
  if (good && out.stages.empty())
    return refuse(node, "stages are at least 1");
  out.stageCount.value = static_cast<int64_t>(out.stages.size());
  return good;
}

bool Reader::readLayout(Node *node) {
  Layout &layout = out.layouts.emplace_back();
  layout.dim.line = lineOf(node);
  bool good = readMap(node, "a layout", [&](StringRef key, Node *value) {
    if (key == "kind")
      return readChoice(value, "kind", layout.kind, {"ends", "layers"});
    if (key == "dim")
      return read(value, "dim", layout.dim);
    if (key == "size")
      return read(value, "size", layout.size);
    if (key != "split")
      return refuseKey(value, "a layout", key, "kind, dim, size, split");
    if (!read(value, "split", layout.split))
      return false;
    if (layout.split && *layout.split == std::vector<std::string>{"none"})
      layout.split.value->clear();
    return true;
  });
  if (good && !layout.dim)
    return refuse(node, "a layout says which dimensions it is for: dim");
  return good;
}

bool Reader::readCollective(Node *node) {
  Collective &collective = out.collectives.emplace_back();
  collective.at.line = lineOf(node);
  const std::pair<StringRef, Field<int64_t> Collective::*> numbers[] = {
      {"words", &Collective::words},
      {"group", &Collective::group},
      {"levels", &Collective::levels},
      {"root", &Collective::root},
      {"color", &Collective::color}};
  bool good = readMap(node, "a collective", [&](StringRef key, Node *value) {
    if (key == "kind")
      return readChoice(value, "kind", collective.kind, {"ends", "layers"});
    if (key == "at")
      return read(value, "at", collective.at);
    if (key == "along")
      return readChoice(value, "along", collective.along, {"x", "y"});
    if (key == "algorithm")
      return read(value, "algorithm", collective.algorithm);
    for (auto [name, member] : numbers)
      if (key == name)
        return read(value, key, collective.*member);
    return refuseKey(value, "a collective", key,
                     "kind, at, along, words, algorithm, group, levels, root, "
                     "color");
  });
  if (good && !collective.at)
    return refuse(node, "a collective says which it is for: at");
  return good;
}

bool Reader::readTop(StringRef key, Node *node) {
  if (!hasVersion && key != "waferloom-mapping")
    return refuse(node, "a mapping begins with `waferloom-mapping: 1`");
  if (key == "waferloom-mapping") {
    Field<int64_t> version;
    hasVersion = true;
    if (!read(node, key, version))
      return false;
    return (version && *version == 1) ||
           refuse(node, "this compiler reads mappings of version 1");
  }
  if (key == "model")
    return readModel(node);
  if (key == "target")
    return read(node, "target", out.target);
  if (key == "prefill")
    return readChoice(node, "prefill", out.prefill, {"block", "stream"});
  if (key == "rewrites")
    return readMap(node, "rewrites", [&](StringRef name, Node *value) {
      out.rewrites.push_back({name.str(), {}});
      return read(value, "rewrite '" + name.str() + "'",
                  out.rewrites.back().on);
    });
  if (key == "region")
    return readRegion(node, key, out.width, out.height, out.x, out.y);
  if (key == "ends")
    return readRegion(node, key, out.endsWidth, out.endsHeight, out.endsX,
                      out.endsY);
  if (key == "stages")
    return readStages(node);
  if (key == "layouts")
    return readList(node, key, [&](Node *entry) { return readLayout(entry); });
  if (key == "collectives")
    return readList(node, key,
                    [&](Node *entry) { return readCollective(entry); });
  return refuseKey(node, "a mapping", key,
                   "waferloom-mapping, model, target, rewrites, prefill, "
                   "region, ends, stages, layouts, collectives");
}

llvm::Expected<Mapping> Reader::read() {
  bool good = false;
  llvm::yaml::document_iterator document = stream.begin();
  if (document != stream.end()) {
    Node *root = document->getRoot();
    good = root && !stream.failed() &&
           readMap(root, "a mapping", [&](StringRef key, Node *value) {
             return readTop(key, value);
           });
    if (good && !hasVersion)
      good = refuse(root, "a mapping begins with `waferloom-mapping: 1`");
    if (good && ++document != stream.end() && document->getRoot() &&
        !llvm::isa<llvm::yaml::NullNode>(document->getRoot()))
      good = refuse(document->getRoot(), "a mapping is one document");
  }
  if (!good || stream.failed())
    return llvm::createStringError(
        error.empty() ? std::string("line 1: is no mapping") : error);
  return std::move(out);
}

llvm::Expected<Mapping> mapping::parse(StringRef text, StringRef name) {
  llvm::Expected<Mapping> read = Reader(text).read();
  if (read)
    read->name = name.str();
  return read;
}
