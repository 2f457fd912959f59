// waferloom info IMAGE|MODEL.onnx: what is in it.

#include "Arguments.h"
#include "Commands.h"
#include "Messages.h"
#include "Waiting.h"

#include "waferloom/Compile/Compile.h"
#include "waferloom/Image/Image.h"
#include "waferloom/Image/Programs.h"
#include "waferloom/Report/Bounds.h"
#include "waferloom/Report/Cycles.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
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
  return llvm::json::Object{{"name", info.name},
                            {"role", image::EnumNameRole(info.role)},
                            {"dtype", image::typeNameOf(info)},
                            {"shape", std::move(shape)}};
}

static llvm::json::Object describe(const image::Usage &usage,
                                   const image::TargetT &target) {
  auto bytes = [](uint64_t n) { return static_cast<int64_t>(n); };
  return llvm::json::Object{
      {"weights", bytes(usage.weights)},   {"states", bytes(usage.states)},
      {"tables", bytes(usage.tables)},     {"buffers", bytes(usage.buffers)},
      {"code", bytes(usage.code)},         {"reserved", bytes(usage.reserved)},
      {"limit", bytes(target.sram_bytes)},
  };
}

static llvm::json::Object describe(const image::ImageT &image) {
  llvm::json::Array entries, regions;
  for (const auto &entry : image.entries) {
    llvm::json::Array tensors;
    for (const auto &info : entry->tensors)
      if (!image::isOurs(info->name))
        tensors.push_back(describe(*info));
    entries.push_back(
        llvm::json::Object{{"name", entry->name},
                           {"tokens", entry->tokens},
                           {"bounds", report::boundsToJson(*entry)},
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
        {"stages", llvm::json::Array{region->stages_x, region->stages_y}},
        {"memory", region->memory},
        {"fit",
         describe(image::usageOf(*region, *image.target), *image.target)},
        {"instructions", static_cast<int64_t>(instructions)}});
  }
  return llvm::json::Object{{"target", image.target->name},
                            {"parameters", image.parameters},
                            {"shape_only", image.shape_only},
                            {"capacity", image.capacity},
                            {"entries", std::move(entries)},
                            {"regions", std::move(regions)},
                            {"rewrites", report::rewritesToJson(image)}};
}

/// "float32 [1, 4, 512, 8]"
static std::string typeOf(const image::TensorInfoT &info) {
  llvm::json::Object facts = describe(info);
  std::string text = facts.getString("dtype")->str() + " [";
  for (size_t i = 0; i < info.shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(info.shape[i]);
  return text + "]";
}

static void print(const image::ImageT &image) {
  llvm::raw_ostream &os = llvm::outs();
  os << llvm::formatv("target {0}, {1} parameters", image.target->name,
                      image.parameters);
  if (image.capacity)
    os << llvm::formatv(", {0} tokens of context", image.capacity);
  if (image.shape_only)
    os << ", shapes of weights only";
  os << "\n";
  for (const auto &entry : image.entries) {
    os << llvm::formatv("entry {0}: {1} tokens per step\n", entry->name,
                        entry->tokens);
    for (const auto &info : entry->tensors)
      os << llvm::formatv("  {0,-7} {1}: {2}\n",
                          image::EnumNameRole(info->role), info->name,
                          typeOf(*info));
    if (std::string text = report::boundsOf(*entry); !text.empty())
      os << "  a step takes " << text << "\n";
  }
  for (const auto &region : image.regions) {
    image::Usage usage = image::usageOf(*region, *image.target);
    os << llvm::formatv("region of {0} x {1} PEs at ({2}, {3})", region->width,
                        region->height, region->x, region->y);
    if (uint32_t stages = region->stages_x * region->stages_y; stages > 1)
      os << llvm::formatv(", {0} stages of {1} x {2}", stages,
                          region->width / region->stages_x,
                          region->height / region->stages_y);
    os << "\n";
    os << llvm::formatv(
        "  bytes of SRAM on the fullest PE: weights {0}, states {1}, tables "
        "{2}, buffers {3}, code {4}, reserved {5}; {6} of {7}\n",
        usage.weights, usage.states, usage.tables, usage.buffers, usage.code,
        usage.reserved, region->memory + usage.code + usage.reserved,
        image.target->sram_bytes);
  }
  for (const std::string &line : report::rewriteLines(image))
    os << line << "\n";
}

static llvm::json::Array describe(const std::vector<ModelTensor> &tensors) {
  llvm::json::Array list;
  for (const ModelTensor &tensor : tensors) {
    llvm::json::Array shape;
    for (const std::string &size : tensor.shape)
      shape.push_back(size);
    list.push_back(llvm::json::Object{{"name", tensor.name},
                                      {"dtype", tensor.type},
                                      {"shape", std::move(shape)}});
  }
  return list;
}

static llvm::json::Object describe(const ModelFacts &facts) {
  llvm::json::Object operators, weights;
  for (const auto &[name, nodes] : facts.operators)
    operators[name] = nodes;
  for (const target::Held &weight : facts.weights)
    weights[weight.name] = weight.bytes;
  return llvm::json::Object{
      {"parameters", facts.parameters},
      {"inputs", describe(facts.inputs)},
      {"outputs", describe(facts.outputs)},
      {"weights", std::move(weights)},
      {"operators", std::move(operators)},
      {"unsupported", llvm::json::Array(facts.unsupported)},
  };
}

static void print(const ModelFacts &facts) {
  llvm::raw_ostream &os = llvm::outs();
  int64_t bytes = 0;
  for (const target::Held &weight : facts.weights)
    bytes += weight.bytes;
  os << llvm::formatv("{0} parameters in {1} weights of {2} bytes\n",
                      facts.parameters, facts.weights.size(), bytes);
  for (auto [what, list] :
       {std::pair("input", &facts.inputs), std::pair("output", &facts.outputs)})
    for (const ModelTensor &tensor : *list)
      os << llvm::formatv("  {0,-7} {1}: {2} [{3}]\n", what, tensor.name,
                          tensor.type, llvm::join(tensor.shape, ", "));
  os << "  operators:";
  for (const auto &[name, nodes] : facts.operators)
    os << llvm::formatv(" {0} x {1}", nodes, name);
  os << "\n";
  for (const std::string &node : facts.unsupported)
    os << "  refused: " << node << "\n";
}

/// Whether the file begins as an image does.
static bool isImage(llvm::StringRef path) {
  auto begin = llvm::MemoryBuffer::getFileSlice(path, 8, 0);
  return begin && (*begin)->getBuffer().starts_with("\x89WAFER");
}

static int infoOfModel(const Arguments &args) {
  const std::string &path = args.positional.front();
  llvm::Expected<ModelFacts> facts =
      waitFor("reading " + path, [&] { return describeModel(path); });
  if (!facts)
    return fail(path, facts.takeError());
  if (args.has("json"))
    llvm::outs() << llvm::json::Value(describe(*facts)) << "\n";
  else
    print(*facts);
  return 0;
}

static int run(llvm::ArrayRef<char *> argv) {
  Arguments args;
  if (!args.parse(infoCommand, argv))
    return args.status;
  if (args.positional.size() != 1) {
    args.wrongUsage("needs one image or model");
    return args.status;
  }
  const std::string &path = args.positional.front();
  if (llvm::StringRef(path).ends_with(".onnx") && !isImage(path))
    return infoOfModel(args);
  auto loaded = waitFor("reading " + path, [&] { return image::read(path); });
  if (!loaded)
    return fail(path, loaded.takeError());
  const image::ImageT &image = (*loaded)->image;
  if (args.has("json"))
    llvm::outs() << llvm::json::Value(describe(image)) << "\n";
  else
    print(image);
  return 0;
}

const Command tool::infoCommand = {
    "info",
    "what is in an image or a model",
    "IMAGE|MODEL.onnx [--json]",
    options,
    nullptr,
    run,
};
