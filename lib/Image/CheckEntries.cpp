// What callers see: entries with their tensors, what is said of rewrites, and
// every text, which goes into messages, JSON and Python strings.

#include "Check.h"
#include "waferloom/Image/HostInputs.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/JSON.h"

using namespace llvm;

namespace waferloom::image {

StringRef typeNameOf(const TensorInfoT &info) {
  if (!info.host.empty())
    return info.host;
  if (info.source_bool)
    return "bool";
  if (info.source_int64)
    return "int64";
  return info.type == Type::f32   ? "float32"
         : info.type == Type::f16 ? "float16"
                                  : "int32";
}

/// On the wafer a type of that name is; nothing if no model has it.
static std::optional<Type> typeOfHost(StringRef name) {
#define HOST_INTEGER(known, bits, isSigned)                                    \
  if (name == #known)                                                          \
    return Type::i32;
#define HOST_REAL(known, type)                                                 \
  if (name == #known)                                                          \
    return Type::f32;
#include "waferloom/Format/HostTypes.def"
  return std::nullopt;
}

/// I6: entries.
static Error checkEntry(const ImageT &image, const EntryT &entry,
                        const std::string &where) {
  if (entry.tokens == 0 ||
      (image.capacity != 0 && entry.tokens > image.capacity))
    return violation(6, where,
                     formatv("takes {0} tokens; it must take at least 1 and at "
                             "most the capacity, {1}",
                             entry.tokens, image.capacity)
                         .str());
  StringSet<> inputs, tensors;
  for (const auto &input : entry.inputs) {
    if (!inputs.insert(input->name).second)
      return violation(6, where, "names input '" + input->name + "' twice");
    if (input->fallback > Default::MAX)
      return violation(7, where + " input '" + input->name + "'",
                       "has an unknown default");
  }
  for (const auto &tensor : entry.tensors) {
    std::string at = where + " tensor '" + tensor->name + "'";
    if (tensor->type > Type::MAX || tensor->role > Role::MAX)
      return violation(7, at, "has an unknown type or role");
    if (!tensors.insert(std::to_string(unsigned(tensor->role)) + tensor->name)
             .second)
      return violation(6, at, "is named twice");
    uint64_t elements = 1;
    for (uint32_t extent : tensor->shape) {
      if (extent == 0)
        return violation(6, at, "has no elements");
      elements *= extent;
      if (elements > (uint64_t(1) << 32))
        return violation(6, at, "has more than 2^32 elements");
    }
    if ((tensor->source_bool || tensor->source_int64) &&
        tensor->type != Type::i32)
      return violation(6, at, "is of bool or int64 but not i32 on the wafer");
    if (!tensor->host.empty() && (tensor->source_bool || tensor->source_int64 ||
                                  typeOfHost(tensor->host) != tensor->type))
      return violation(6, at,
                       "is of '" + tensor->host +
                           "' for the host, which is "
                           "no type of its elements on the wafer");
    if (tensor->role == Role::input && !inputs.contains(tensor->name))
      return violation(6, at, "is no input of the entry");
  }
  return Error::success();
}

/// I36: what is said to be the least that a step takes.
static Error checkBounds(const BoundsT &bounds, const std::string &where) {
  const std::pair<const char *, uint64_t> parts[] = {
      {"wires", bounds.wires},
      {"products", bounds.products},
      {"pace", bounds.pace},
      {"layer_wires", bounds.layer_wires},
      {"layer_products", bounds.layer_products},
      {"layer_hard", bounds.layer_hard}};
  if (std::max(bounds.hard, bounds.floor) > INT64_MAX)
    return violation(36, where, "have more than 63 bits");
  for (auto [name, cycles] : parts)
    if (cycles > bounds.hard)
      return violation(36, where,
                       formatv("have {0} of {1} cycles, more than hard, {2}",
                               name, cycles, bounds.hard)
                           .str());
  if (bounds.floor && bounds.floor < std::max(bounds.hard, bounds.layer_floor))
    return violation(36, where,
                     formatv("have a floor of {0} cycles, less than hard or "
                             "than a layer's floor, {1}",
                             bounds.floor,
                             std::max(bounds.hard, bounds.layer_floor))
                         .str());
  return Error::success();
}

/// I6: a step of a session of any length has an entry: where one ends, another
/// is.
static Error checkLengths(const ImageT &image) {
  std::vector<uint64_t> lengths{0};
  for (const auto &entry : image.entries)
    if (entry->until && entry->until < image.capacity)
      lengths.push_back(entry->until);
  for (uint64_t length : lengths)
    if (none_of(image.entries,
                [&](const auto &entry) { return isFor(*entry, length); }))
      return violation(6, "image",
                       formatv("has no entry for a step of a session of {0} "
                               "tokens",
                               length)
                           .str());
  return Error::success();
}

Error checkEntries(const ImageT &image) {
  if (image.entries.empty())
    return violation(6, "image", "has no entry");
  StringSet<> names;
  for (size_t i = 0; i < image.entries.size(); ++i) {
    std::string where = "entries[" + std::to_string(i) + "]";
    if (!names.insert(image.entries[i]->name).second)
      return violation(6, where, "has the name of another entry");
    if (Error error = checkEntry(image, *image.entries[i], where))
      return error;
    if (const BoundsT *bounds = image.entries[i]->bounds.get())
      if (Error error = checkBounds(*bounds, where + " bounds"))
        return error;
  }
  return checkLengths(image);
}

/// I33: what is said of rewrites.
Error checkRewrites(const ImageT &image) {
  StringSet<> names;
  for (size_t i = 0; i < image.rewrites.size(); ++i) {
    const RewriteT &rewrite = *image.rewrites[i];
    std::string where = "rewrites[" + std::to_string(i) + "]";
    if (!names.insert(rewrite.name).second)
      return violation(33, where, "has the name of another rewrite");
    if (rewrite.worth > Worth::MAX)
      return violation(7, where, "has an unknown worth");
    if (rewrite.worth != Worth::measured && rewrite.cycles != 0)
      return violation(33, where, "was not measured but has cycles");
  }
  return Error::success();
}

/// I35.
static Error checkText(StringRef text, const Twine &where) {
  size_t at = 0;
  if (json::isUTF8(text, &at))
    return Error::success();
  return violation(35, where,
                   "is not UTF-8 from byte " + Twine(at) + " on: '" +
                       json::fixUTF8(text) + "'");
}

template <typename List>
static Error checkNames(const List &list, const Twine &where) {
  for (size_t i = 0; i < list.size(); ++i)
    if (Error error =
            checkText(list[i]->name, where + "[" + Twine(i) + "].name"))
      return error;
  return Error::success();
}

static Error checkTexts(const RegionT &region, const Twine &where) {
  if (Error error = checkNames(region.bindings, where + " bindings"))
    return error;
  for (const auto &program : region.programs) {
    if (Error error = checkNames(program->inputs, where + " inputs"))
      return error;
    if (Error error = checkNames(program->outputs, where + " outputs"))
      return error;
  }
  return Error::success();
}

Error checkTexts(const ImageT &image) {
  if (Error error = checkText(image.producer, "producer"))
    return error;
  if (Error error = checkText(image.target->name, "target.name"))
    return error;
  for (size_t i = 0; i < image.names.size(); ++i)
    if (Error error = checkText(image.names[i], "names[" + Twine(i) + "]"))
      return error;
  if (Error error = checkNames(image.sources, "sources"))
    return error;
  if (Error error = checkNames(image.rewrites, "rewrites"))
    return error;
  if (Error error = checkNames(image.entries, "entries"))
    return error;
  for (const auto &entry : image.entries) {
    if (Error error = checkNames(entry->inputs, "inputs"))
      return error;
    if (Error error = checkNames(entry->tensors, "tensors"))
      return error;
  }
  for (size_t i = 0; i < image.regions.size(); ++i)
    if (Error error =
            checkTexts(*image.regions[i], "regions[" + Twine(i) + "]"))
      return error;
  return Error::success();
}

} // namespace waferloom::image
