// How the text of a level keeps the options that its program was made with.

#include "Levels.h"

#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;

namespace {
/// Attributes of options, and back. `read` is false where the attribute is of
/// another kind.
struct Writer {
  Builder b;

  Attribute write(bool value) { return b.getBoolAttr(value); }
  Attribute write(int64_t value) { return b.getI64IntegerAttr(value); }
  Attribute write(double value) { return b.getF64FloatAttr(value); }
  Attribute write(const std::string &value) { return b.getStringAttr(value); }
  Attribute write(const std::pair<std::string, std::string> &value) {
    return b.getStrArrayAttr({value.first, value.second});
  }
  Attribute write(const std::pair<int64_t, int64_t> &value) {
    return b.getDenseI64ArrayAttr({value.first, value.second});
  }
  Attribute write(const std::vector<int64_t> &value) {
    return b.getDenseI64ArrayAttr(value);
  }
  Attribute write(const std::vector<std::string> &value) {
    return b.getStrArrayAttr(
        SmallVector<StringRef>(value.begin(), value.end()));
  }
  template <typename T>
  Attribute write(const std::vector<std::pair<std::string, T>> &pairs) {
    NamedAttrList list;
    for (const auto &[name, value] : pairs)
      list.set(name, write(value));
    return list.getDictionary(b.getContext());
  }
  template <typename T>
  Attribute write(const std::optional<T> &value) {
    return value ? write(*value) : Attribute();
  }
};

bool read(Attribute from, bool &to) {
  auto truth = dyn_cast<BoolAttr>(from);
  if (truth)
    to = truth.getValue();
  return bool(truth);
}
bool read(Attribute from, int64_t &to) {
  auto number = dyn_cast<IntegerAttr>(from);
  if (!number || !number.getType().isInteger(64))
    return false;
  to = number.getInt();
  return true;
}
bool read(Attribute from, double &to) {
  auto number = dyn_cast<FloatAttr>(from);
  if (number)
    to = number.getValueAsDouble();
  return bool(number);
}
bool read(Attribute from, std::string &to) {
  auto text = dyn_cast<StringAttr>(from);
  if (text)
    to = text.str();
  return bool(text);
}
bool read(Attribute from, std::vector<int64_t> &to) {
  auto numbers = dyn_cast<DenseI64ArrayAttr>(from);
  if (numbers)
    to.assign(numbers.asArrayRef().begin(), numbers.asArrayRef().end());
  return bool(numbers);
}
bool read(Attribute from, std::pair<int64_t, int64_t> &to) {
  std::vector<int64_t> numbers;
  if (!read(from, numbers) || numbers.size() != 2)
    return false;
  to = {numbers[0], numbers[1]};
  return true;
}
bool read(Attribute from, std::vector<std::string> &to) {
  auto list = dyn_cast<ArrayAttr>(from);
  return list && llvm::all_of(list, [&](Attribute entry) {
           return read(entry, to.emplace_back());
         });
}
bool read(Attribute from, std::pair<std::string, std::string> &to) {
  std::vector<std::string> texts;
  if (!read(from, texts) || texts.size() != 2)
    return false;
  to = {texts[0], texts[1]};
  return true;
}
template <typename T>
bool read(Attribute from, std::vector<std::pair<std::string, T>> &to) {
  auto list = dyn_cast<DictionaryAttr>(from);
  return list && llvm::all_of(list, [&](NamedAttribute entry) {
           to.emplace_back(entry.getName().str(), T());
           return read(entry.getValue(), to.back().second);
         });
}
template <typename T>
bool read(Attribute from, std::optional<T> &to) {
  return read(from, to.emplace());
}

/// Calls `visit` with the name on the command line and the member of every
/// option that shapes a program. The target has an attribute of its own.
template <typename Visit>
void visitOptions(Visit visit) {
  using O = CompileOptions;
  visit("context", &O::context);
  visit("dim", &O::dims);
  visit("chunk", &O::chunks);
  visit("precision", &O::precision);
  visit("sample", &O::sample);
  visit("logits", &O::logits);
  visit("region", &O::region);
  visit("search-plans", &O::searchPlans);
  visit("objective", &O::objective);
  visit("prefill", &O::prefill);
  visit("stages", &O::stages);
  visit("ends", &O::ends);
  visit("state", &O::states);
  visit("set", &O::sets);
  visit("disable-rewrite", &O::disabledRewrites);
  visit("mapping", &O::mapping);
  visit("weights", &O::storage);
  visit("experts", &O::experts);
  visit("block", &O::block);
  visit("scales", &O::scales);
  visit("keep", &O::keep);
  visit("weight-bytes", &O::weights);
}
} // namespace

DictionaryAttr waferloom::writeOptions(MLIRContext *context,
                                       const CompileOptions &options) {
  Writer writer{Builder(context)};
  NamedAttrList list;
  const CompileOptions defaults;
  visitOptions([&](StringRef name, auto member) {
    if (options.*member != defaults.*member)
      list.set(name, writer.write(options.*member));
  });
  return list.getDictionary(context);
}

static std::string textOf(Attribute attribute) {
  if (!attribute)
    return "none";
  std::string text;
  llvm::raw_string_ostream(text) << attribute;
  constexpr size_t most = 100; // of a mapping one sees which it is
  if (text.size() > most)
    text = text.substr(0, most) + " ...";
  return text;
}

llvm::Error waferloom::readOptions(DictionaryAttr kept,
                                   CompileOptions &options) {
  CompileOptions found;
  size_t known = 0;
  llvm::Error error = llvm::Error::success();
  DictionaryAttr given = writeOptions(kept.getContext(), options);
  visitOptions([&](StringRef name, auto member) {
    Attribute mine = kept.get(name), again = given.get(name);
    known += bool(mine);
    if (error)
      return;
    if (mine && !read(mine, found.*member))
      error = llvm::createStringError("wafer.options: '" + name +
                                      "' cannot be " + textOf(mine));
    // A value that nobody would have to give counts as not given.
    else if (again && again != mine)
      error = llvm::createStringError("--" + name + " is " + textOf(again) +
                                      " but this level was made with " +
                                      textOf(mine) +
                                      "; compile the model again to change it");
  });
  if (error)
    return error;
  if (known != kept.size())
    return llvm::createStringError("wafer.options has an option that does not "
                                   "exist: " +
                                   textOf(kept));
  visitOptions(
      [&](StringRef, auto member) { options.*member = found.*member; });
  return llvm::Error::success();
}
