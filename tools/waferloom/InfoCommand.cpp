// waferloom info IMAGE: what is in it.

#include "Arguments.h"
#include "Commands.h"

#include "waferloom/Image/Image.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

using namespace waferloom;
using namespace waferloom::tool;

static constexpr Option options[] = {
    {"json", "", "print one JSON object"},
};

static llvm::json::Object describe(const image::TensorInfoT &info) {
  llvm::json::Array shape;
  for (uint32_t extent : info.shape)
    shape.push_back(extent);
  const char *type = info.source_bool                ? "bool"
                     : info.source_int64             ? "int64"
                     : info.type == image::Type::f16 ? "float16"
                     : info.type == image::Type::f32 ? "float32"
                                                     : "int32";
  return llvm::json::Object{{"name", info.name},
                            {"role", image::EnumNameRole(info.role)},
                            {"dtype", type},
                            {"shape", std::move(shape)}};
}

static llvm::json::Object describe(const image::ImageT &image) {
  llvm::json::Array entries, regions;
  for (const auto &entry : image.entries) {
    llvm::json::Array tensors;
    for (const auto &info : entry->tensors)
      tensors.push_back(describe(*info));
    entries.push_back(llvm::json::Object{{"name", entry->name},
                                         {"tokens", entry->tokens},
                                         {"tensors", std::move(tensors)}});
  }
  for (const auto &region : image.regions) {
    size_t instructions = 0;
    for (const auto &program : region->programs)
      instructions += program->instructions.size();
    regions.push_back(llvm::json::Object{
        {"x", region->x},
        {"y", region->y},
        {"width", region->width},
        {"height", region->height},
        {"memory", region->memory},
        {"instructions", static_cast<int64_t>(instructions)}});
  }
  return llvm::json::Object{{"target", image.target->name},
                            {"parameters", image.parameters},
                            {"capacity", image.capacity},
                            {"entries", std::move(entries)},
                            {"regions", std::move(regions)}};
}

int tool::infoCommand(llvm::ArrayRef<char *> argv) {
  Arguments args;
  if (!args.parse("info", "info IMAGE [--json]", options, argv))
    return args.status;
  if (args.positional.size() != 1) {
    args.wrongUsage("needs one image");
    return args.status;
  }
  const std::string &path = args.positional.front();
  auto loaded = image::read(path);
  if (!loaded) {
    llvm::errs() << path << ": error: " << llvm::toString(loaded.takeError())
                 << "\n";
    return 1;
  }
  llvm::json::Value facts(describe((*loaded)->image));
  if (args.has("json"))
    llvm::outs() << facts << "\n";
  else
    llvm::outs() << llvm::formatv("{0:2}\n", facts);
  return 0;
}
