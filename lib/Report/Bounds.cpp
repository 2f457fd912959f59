#include "waferloom/Report/Bounds.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;

namespace waferloom::report {

std::string boundsOf(const image::EntryT &entry,
                     std::optional<uint64_t> counted) {
  const image::BoundsT *bounds = entry.bounds.get();
  if (!bounds)
    return "";
  std::string text = formatv("at least {0:N} cycles, {1:N} for its wires alone",
                             bounds->hard, bounds->wires)
                         .str();
  if (bounds->floor)
    text += formatv(", {0:N} as its instructions go", bounds->floor).str();
  if (bounds->layers)
    text +=
        formatv("; each of {0} layers {1:N}, {2:N} and {3:N}", bounds->layers,
                bounds->layer_hard, bounds->layer_wires, bounds->layer_floor)
            .str();
  if (counted && bounds->hard)
    text += formatv("; it is {0:F2} times that",
                    static_cast<double>(*counted) /
                        static_cast<double>(bounds->hard))
                .str();
  return text;
}

json::Value boundsToJson(const image::EntryT &entry) {
  const image::BoundsT *bounds = entry.bounds.get();
  if (!bounds)
    return nullptr;
  return json::Object{{"wires", bounds->wires},
                      {"hard", bounds->hard},
                      {"floor", bounds->floor},
                      {"products", bounds->products},
                      {"pace", bounds->pace},
                      {"layers", bounds->layers},
                      {"layer_wires", bounds->layer_wires},
                      {"layer_hard", bounds->layer_hard},
                      {"layer_floor", bounds->layer_floor},
                      {"layer_products", bounds->layer_products}};
}

json::Array boundsToJson(const image::ImageT &image) {
  json::Array list;
  for (const auto &entry : image.entries) {
    json::Value told = boundsToJson(*entry);
    json::Object *object = told.getAsObject();
    if (!object)
      continue;
    (*object)["entry"] = entry->name;
    (*object)["tokens"] = entry->tokens;
    list.push_back(std::move(told));
  }
  return list;
}

} // namespace waferloom::report
