// What an image says of itself.

#include "Native.h"

#include "waferloom/Report/Bounds.h"
#include "llvm/Support/FormatVariadic.h"

using namespace waferloom;
using namespace waferloom::python;

/// Of how many of the most likely tokens the entry can draw; 0: of all; None:
/// it does not draw.
static py::object drawsOf(const image::EntryT &entry) {
  py::object draws = py::none();
  for (const auto &input : entry.inputs) {
    if (input->name == "wafer.top_k")
      return py::int_(input->limit - 1);
    if (input->name == "wafer.temperature")
      draws = py::int_(0);
  }
  return draws;
}

py::dict python::describe(const image::ImageT &image) {
  py::dict out;
  py::list entries;
  for (const auto &entry : image.entries) {
    py::list tensors;
    bool picks = false;
    for (const auto &info : entry->tensors) {
      picks |= info->name == image::nextToken;
      if (image::isOurs(info->name))
        continue;
      tensors.append(py::make_tuple(info->name, py::cast(info->shape),
                                    image::typeNameOf(*info).str(),
                                    static_cast<int>(info->role)));
    }
    py::dict e;
    e["picks_token"] = picks;
    e["draws"] = drawsOf(*entry);
    e["name"] = entry->name;
    e["tokens"] = entry->tokens;
    e["until"] = entry->until;
    e["tensors"] = tensors;
    entries.append(e);
  }
  out["entries"] = entries;
  out["bounds"] =
      llvm::formatv("{0}", llvm::json::Value(report::boundsToJson(image)))
          .str();
  out["capacity"] = image.capacity;
  out["parameters"] = image.parameters;
  out["shape_only"] = image.shape_only;
  out["target"] = image.target->name;
  out["clock_ghz"] = image.target->clock_ghz;
  out["fabric"] = py::make_tuple(image.target->width, image.target->height);
  py::list regions;
  for (const auto &region : image.regions)
    regions.append(py::make_tuple(
        region->x, region->y, region->width, region->height, region->memory,
        py::make_tuple(region->stages_x, region->stages_y)));
  out["regions"] = regions;
  py::list rewrites;
  for (const auto &rewrite : image.rewrites)
    rewrites.append(py::make_tuple(
        rewrite->name, image::EnumNameWorth(rewrite->worth), rewrite->cycles));
  out["rewrites"] = rewrites;
  return out;
}
