// One way to write a mapping: a field that is not known is left out, fields and
// entries stand in the order that they are in.

#include "waferloom/Mapping/Mapping.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/YAMLParser.h"

using namespace waferloom;
using namespace waferloom::mapping;
using llvm::StringRef;

static void writeValue(llvm::raw_ostream &os, int64_t value) { os << value; }
/// A word as it is, all else in quotes.
static void writeValue(llvm::raw_ostream &os, StringRef text) {
  if (llvm::all_of(text, [](char c) { return llvm::isAlnum(c) || c == '-'; }))
    os << text;
  else
    os << '"' << llvm::yaml::escape(text, /*EscapePrintable=*/false) << '"';
}

namespace {
/// "{a: 1, b: [2, 3]}".
class Fields {
public:
  explicit Fields(llvm::raw_ostream &os) : os(os) { os << "{"; }
  ~Fields() { os << "}"; }

  template <typename T>
  void add(StringRef name, const Field<T> &field) {
    if (field)
      writeValue(begin(name), *field);
  }
  void addQuoted(StringRef name, const Field<std::string> &field) {
    if (field)
      begin(name) << '"'
                  << llvm::yaml::escape(*field, /*EscapePrintable=*/false)
                  << '"';
  }
  template <typename T>
  void add(StringRef name, const Field<std::vector<T>> &field) {
    if (!field)
      return;
    // A word alone needs no brackets; a number alone is another thing (region).
    if (std::is_same_v<T, std::string> && field->size() == 1)
      return writeValue(begin(name), field->front());
    begin(name) << "[";
    llvm::interleaveComma(*field, os,
                          [&](const T &value) { writeValue(os, value); });
    os << "]";
  }

private:
  llvm::raw_ostream &begin(StringRef name) {
    os << (first ? "" : ", ") << name << ": ";
    first = false;
    return os;
  }

  llvm::raw_ostream &os;
  bool first = true;
};
} // namespace

/// A list, one item to a line: the fields that `add` adds, and in a comment the
/// further names of the same.
template <typename Item>
static void
writeItems(llvm::raw_ostream &os, StringRef name,
           const std::vector<Item> &items,
           llvm::function_ref<void(const Item &, Fields &)> add,
           llvm::function_ref<std::string(const Item &)> others = nullptr) {
  if (!items.empty())
    os << name << ":\n";
  for (const Item &item : items) {
    os << "  - ";
    {
      Fields fields(os);
      add(item, fields);
    }
    if (std::string names = others ? others(item) : ""; !names.empty())
      os << "  # and " << llvm::yaml::escape(names, false);
    os << "\n";
  }
}

static void addStage(const Stage &stage, Fields &fields) {
  fields.add("at", stage.at);
  fields.add("trips", stage.trips);
}

static void addLayout(const Layout &layout, Fields &fields) {
  fields.add("kind", layout.kind);
  fields.addQuoted("dim", layout.dim);
  fields.add("size", layout.size);
  fields.add("split", layout.split);
}

static void addCollective(const Collective &collective, Fields &fields) {
  fields.add("kind", collective.kind);
  fields.addQuoted("at", collective.at);
  fields.add("along", collective.along);
  fields.add("words", collective.words);
  fields.add("algorithm", collective.algorithm);
  fields.add("group", collective.group);
  fields.add("levels", collective.levels);
  fields.add("root", collective.root);
  fields.add("color", collective.color);
}

static void writeRegion(llvm::raw_ostream &os, StringRef name,
                        const Field<std::vector<int64_t>> &x,
                        const Field<std::vector<int64_t>> &y) {
  if (!x && !y)
    return;
  os << name << ": ";
  {
    Fields fields(os);
    fields.add("x", x);
    fields.add("y", y);
  }
  os << "\n";
}

void mapping::write(const Mapping &mapping, StringRef comment,
                    llvm::raw_ostream &os) {
  for (StringRef line : llvm::split(comment, '\n'))
    os << "# " << line << "\n";
  os << "waferloom-mapping: 1\n";
  if (mapping.parameters || mapping.layers) {
    os << "model: ";
    {
      Fields fields(os);
      fields.add("parameters", mapping.parameters);
      fields.add("layers", mapping.layers);
    }
    os << "\n";
  }
  if (mapping.target)
    os << "target: \"" << llvm::yaml::escape(*mapping.target, false) << "\"\n";
  if (!mapping.rewrites.empty())
    os << "rewrites:\n";
  for (const Rewrite &rewrite : mapping.rewrites)
    if (rewrite.on) {
      os << "  ";
      writeValue(os, rewrite.name);
      os << ": " << (*rewrite.on ? "on" : "off") << "\n";
    }
  if (mapping.prefill)
    os << "prefill: " << *mapping.prefill << "\n";
  writeRegion(os, "region", mapping.x, mapping.y);
  writeRegion(os, "ends", mapping.endsX, mapping.endsY);
  if (mapping.stages.empty() && mapping.stageCount)
    os << "stages: " << *mapping.stageCount << "\n";
  writeItems<Stage>(os, "stages", mapping.stages, addStage);
  writeItems<Layout>(
      os, "layouts", mapping.layouts, addLayout,
      [](const Layout &layout) { return llvm::join(layout.others, ", "); });
  writeItems<Collective>(os, "collectives", mapping.collectives, addCollective);
}
