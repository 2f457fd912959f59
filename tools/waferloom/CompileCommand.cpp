// waferloom compile MODEL.onnx|LEVEL.mlir -o OUT.wafer

#include "Arguments.h"
#include "Commands.h"
#include "Messages.h"
#include "Waiting.h"
#include "WhyNot.h"

#include "waferloom/Codegen/Codegen.h"
#include "waferloom/Compile/Choices.h"
#include "waferloom/Compile/Compile.h"
#include "waferloom/Files/Output.h"
#include "waferloom/Image/Utf8.h"
#include "waferloom/Report/Bounds.h"
#include "waferloom/Report/Cycles.h"
#include "waferloom/Target/Describe.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>

using namespace waferloom;
using namespace waferloom::tool;
using llvm::StringRef;

static constexpr Option options[] = {
    {"output", "OUT.wafer", "where the image goes", 'o'},
    {"target", "NAME|FILE", "wse2, wse3 (default), grid-WxH, or a file"},
    {"context", "N", "capacity of the KV caches in tokens"},
    {"dim", "NAME=SIZE", "binds a symbolic dimension; repeatable"},
    {"chunk", "N", "also an entry of N tokens per step; repeatable"},
    {"prefill", "HOW", "chunks as block, stream, or auto (default)"},
    {"precision", "P", "model (default): as the file says; f32, or f16"},
    {"sample", "HOW", "the next token: greedy (default), softmax, top-N, none"},
    {"logits", "WHICH", "last (default): of a chunk's last token; or all"},
    {"region", "WxH", "overrules the size of a region"},
    {"search-plans", "N", "regions to look at where none is given (200)"},
    {"objective", "O", "chosen for decode, prefill, or balanced (default)"},
    {"why-not", "WxH[xN]", "compares with another region, on N stages"},
    {"stages", "N", "overrules how many regions share the layers"},
    {"ends", "WxH", "a region of its own for embedding and head"},
    {"mapping", "FILE|NAME", "takes what a mapping says, chooses the rest"},
    {"write-mapping", "FILE", "writes all that was chosen, as a mapping"},
    {"state", "PAST=PRESENT", "declares a state by hand; repeatable"},
    {"set", "INPUT=VALUE", "fixes an input for good; repeatable"},
    {"weights", "HOW", "kept, expanded, auto; int8, int4, fp8, mxfp4: rounds"},
    {"block", "N|channel", "rounded weights that share a scale (32)"},
    {"scales", "HOW", "of rounded weights: absmax (default), or mse"},
    {"keep", "PATTERN=f16", "leaves weights unrounded; repeatable"},
    {"experts", "WHICH", "compute: chosen, all, or auto (default)"},
    {"no-weights", "", "shapes only: counts cycles, computes no values"},
    {"stop-after", "PHASE", "print the IR of a phase and stop; phases are:"},
    {"save-ir", "DIR", "write the IR after every phase"},
    {"disable-rewrite", "NAME", "leaves one rewrite out; repeatable:"},
    {"measure-rewrites", "", "compile without each rewrite: what it saves"},
    {"seed", "N", "accepted; compiling draws nothing"},
    {"threads", "N", "accepted; compiling takes one thread"},
    {"json", "", "print one JSON object about the result"},
    {"quiet", "", "no progress"},
};

/// "NAME=VALUE" pairs of a repeatable option.
template <typename Parse>
static bool pairs(Arguments &args, StringRef name, StringRef form,
                  Parse parse) {
  llvm::StringMap<std::string> known;
  for (const std::string &text : args.all(name)) {
    auto [key, value] = StringRef(text).rsplit('=');
    if (key.empty() || value.empty() || !parse(key, value))
      return args.wrongUsage(
          llvm::formatv("--{0} needs {1}, not '{2}'", name, form, text));
    auto [it, fresh] = known.try_emplace(key, value.str());
    if (!fresh && it->second != value)
      return args.wrongUsage(llvm::formatv("--{0} gives '{1}' both {2} and {3}",
                                           name, key, it->second, value));
  }
  return true;
}

static bool read(Arguments &args, CompileOptions &out) {
  out.target = args.get("target", "wse3");
  out.precision = args.get("precision", "model");
  out.prefill = args.get("prefill", "auto");
  out.sample = args.get("sample", "greedy");
  out.objective = args.get("objective", "balanced");
  out.logits = args.get("logits", "last");
  out.stopAfter = args.get("stop-after");
  out.saveIr = args.get("save-ir");
  out.disabledRewrites = args.all("disable-rewrite");
  out.mapping.first = args.get("mapping");
  out.storage = args.get("weights", "auto");
  out.experts = args.get("experts", "auto");
  out.block = args.get("block");
  out.scales = args.get("scales", "absmax");
  out.weights = !args.has("no-weights");
  out.measureRewrites = args.has("measure-rewrites");
  auto context = args.integer("context", 0, 1);
  auto seed = args.integer("seed", 0, 0);
  auto threads = args.integer("threads", 0, 0);
  if (!context || !seed || !threads)
    return false;
  if (args.has("context"))
    out.context = *context;
  for (const std::string &text : args.all("chunk")) {
    int64_t tokens;
    if (StringRef(text).getAsInteger(10, tokens) || tokens < 1)
      return args.wrongUsage(
          llvm::formatv("--chunk needs a number of tokens, not '{0}'", text));
    out.chunks.push_back(tokens);
  }
  auto stages = args.integer("stages", 1, 1);
  if (!stages)
    return false;
  if (args.has("stages"))
    out.stages = *stages;
  auto searchPlans = args.integer("search-plans", out.searchPlans, 1);
  if (!searchPlans)
    return false;
  out.searchPlans = *searchPlans;
  for (auto [name, to] :
       {std::pair("region", &out.region), std::pair("ends", &out.ends)}) {
    if (!args.has(name))
      continue;
    auto [w, h] = StringRef(args.get(name)).split('x');
    int64_t width, height;
    if (w.getAsInteger(10, width) || h.getAsInteger(10, height) || width < 1 ||
        height < 1)
      return args.wrongUsage(
          llvm::formatv("--{0} needs WxH, not '{1}'", name, args.get(name)));
    *to = {width, height};
  }
  return pairs(args, "dim", "NAME=SIZE with a size of at least 1",
               [&](StringRef name, StringRef value) {
                 int64_t size;
                 if (value.getAsInteger(10, size) || size < 1)
                   return false;
                 out.dims.emplace_back(name.str(), size);
                 return true;
               }) &&
         pairs(args, "state", "PAST=PRESENT",
               [&](StringRef past, StringRef present) {
                 out.states.emplace_back(past.str(), present.str());
                 return true;
               }) &&
         pairs(args, "set", "INPUT=VALUE with a number",
               [&](StringRef name, StringRef value) {
                 double number;
                 if (value.getAsDouble(number))
                   return false;
                 out.sets.emplace_back(name.str(), number);
                 return true;
               }) &&
         pairs(args, "keep", "PATTERN=f16",
               [&](StringRef pattern, StringRef type) {
                 out.keep.emplace_back(pattern.str(), type.str());
                 return true;
               });
}

static llvm::json::Array
toJson(llvm::ArrayRef<partition::Considered> considered) {
  llvm::json::Array list;
  for (const partition::Considered &entry : considered) {
    llvm::json::Object told{{"width", entry.width},
                            {"height", entry.height},
                            {"stages", entry.stages},
                            {"outcome", entry.outcome},
                            {"reason", llvm::json::fixUTF8(entry.reason)}};
    if (entry.estimate) {
      told["cycles_estimated"] = entry.estimate->cycles;
      told["arithmetic_estimated"] = entry.estimate->arithmetic;
    }
    if (entry.counted)
      told["cycles_counted"] = *entry.counted;
    list.push_back(std::move(told));
  }
  return list;
}

static llvm::json::Object toJson(const CompileSummary &s) {
  return llvm::json::Object{
      {"cycles_estimated", s.cyclesEstimated},
      {"considered", toJson(s.considered)},
      {"parameters", s.parameters},
      {"stages", s.stages},
      {"regions", s.regions},
      {"width", s.width},
      {"height", s.height},
      {"pes_used", s.pesUsed},
      {"sram_used_max", s.fit.total()},
      {"sram_limit", s.fit.limit},
      {"colors_used_max", s.colorsUsedMax},
      {"layouts_tried", s.layoutsTried},
      {"compile_seconds", s.compileSeconds},
      {"fit", llvm::json::Object{{"weights", s.fit.weights},
                                 {"states", s.fit.states},
                                 {"tables", s.fit.tables},
                                 {"buffers", s.fit.buffers},
                                 {"code", s.fit.code},
                                 {"reserved", s.fit.reserved}}}};
}

static llvm::json::Array toJson(llvm::ArrayRef<Rounded> rounded) {
  llvm::json::Array list;
  for (const Rounded &weight : rounded)
    list.push_back(
        llvm::json::Object{{"name", llvm::json::fixUTF8(weight.name)},
                           {"format", weight.format},
                           {"bytes", weight.bytes},
                           {"error_largest", weight.largest},
                           {"error_rms", weight.rms},
                           {"largest_number", weight.largestNumber}});
  return list;
}

/// A line for each rounded weight: its error, and that as a share of its
/// largest number.
static void tellRounded(llvm::ArrayRef<Rounded> rounded) {
  if (rounded.empty())
    return;
  size_t width = StringRef("weight").size();
  for (const Rounded &weight : rounded)
    width = std::max(width, weight.name.size());
  const std::string row = "{0,-" + std::to_string(width) +
                          "}  {1,-22}  {2,10}  {3,10}  {4,8}  {5,8}\n";
  llvm::outs() << llvm::formatv(row.c_str(), "weight", "rounded to", "largest",
                                "rms", "largest", "rms");
  for (const Rounded &weight : rounded) {
    const double share =
        weight.largestNumber > 0 ? 100 / weight.largestNumber : 0;
    llvm::outs() << llvm::formatv(
        row.c_str(), weight.name, weight.format,
        llvm::formatv("{0:e2}", weight.largest).str(),
        llvm::formatv("{0:e2}", weight.rms).str(),
        llvm::formatv("{0:f2} %", weight.largest * share).str(),
        llvm::formatv("{0:f2} %", weight.rms * share).str());
  }
}

static llvm::ArrayRef<StringRef> choices(StringRef option) {
  return option == "target" ? target::presetNames() : choicesOf(option);
}

/// The image, and beside it the mapping.
static int writeOutputs(const Arguments &args, const CompileResult &result,
                        llvm::ArrayRef<std::string> read,
                        std::vector<Rounded> &rounded) {
  const bool wantsMapping = args.has("write-mapping");
  if (wantsMapping && result.mapping.empty())
    return fail(args.get("write-mapping"),
                llvm::createStringError(
                    "this text had its layouts already: a mapping is written "
                    "of the model, or of its level 'onnx' or 'tensors'"));
  if (llvm::Error error =
          writeImage(*result.image, args.get("output"), read, &rounded))
    return fail(args.get("output"), std::move(error));
  if (wantsMapping)
    if (llvm::Error error =
            files::writeText(args.get("write-mapping"), result.mapping, read))
      return fail(args.get("write-mapping"), std::move(error));
  return 0;
}

/// Says what was compiled, and compares it.
static int tellResult(const Arguments &args, const CompileOptions &options,
                      CompileResult &result, llvm::ArrayRef<Rounded> rounded) {
  std::string output = args.get("output");
  uint64_t bytes = 0;
  (void)llvm::sys::fs::file_size(output, bytes);
  const CompileSummary &s = result.summary;
  const bool isJson = args.has("json");
  llvm::json::Object object = toJson(s);
  object["image"] = image::escapeToUtf8(output);
  object["bounds"] = report::boundsToJson(result.image->image);
  object["image_bytes"] = bytes;
  object["target"] = image::escapeToUtf8(options.target);
  if (options.measureRewrites)
    object["rewrites"] = report::rewritesToJson(result.image->image);
  if (!rounded.empty())
    object["rounded"] = toJson(rounded);
  if (!isJson && !args.has("quiet")) {
    llvm::outs() << llvm::formatv(
        "{0}: {1} parameters on {2} x {3} PEs of {4}, {5} of {6} bytes of SRAM "
        "on the fullest, {7} colors, {8:f2} s\n",
        output, s.parameters, s.width, s.height, options.target, s.fit.total(),
        s.fit.limit, s.colorsUsedMax, s.compileSeconds);
    for (const auto &entry : result.image->image.entries)
      if (std::string text = report::boundsOf(*entry); !text.empty())
        llvm::outs() << entry->name << ": a step takes " << text << "\n";
    tellRounded(rounded);
    if (options.measureRewrites)
      for (const std::string &text : report::rewriteLines(result.image->image))
        llvm::outs() << text << "\n";
  }
  if (args.has("why-not"))
    if (llvm::Error error = whyNot(args.positional.front(), options,
                                   *parseRegion(args.get("why-not")), result,
                                   isJson ? &object : nullptr))
      return fail(output, std::move(error));
  if (isJson)
    llvm::outs() << llvm::json::Value(std::move(object)) << "\n";
  return 0;
}

static void tellDiagnostic(const Diagnostic &diagnostic, StringRef file) {
  if (!tellsAsJson()) {
    llvm::errs() << format(diagnostic, file);
    return;
  }
  tell({diagnostic.severity,
        diagnostic.file.empty() ? file.str() : diagnostic.file,
        diagnostic.message, diagnostic.node, diagnostic.notes});
}

/// Whether files and options go together; says why not.
static bool checkUsage(Arguments &args) {
  if (args.positional.size() != 1)
    return args.wrongUsage("needs one model file");
  if (!args.has("output") && !args.has("stop-after"))
    return args.wrongUsage("needs -o OUT.wafer");
  if (args.has("write-mapping") && !args.has("output"))
    return args.wrongUsage("--write-mapping needs -o OUT.wafer, too");
  if (args.has("write-mapping") &&
      args.get("write-mapping") == args.get("output"))
    return args.wrongUsage("would write mapping and image into one file");
  if (args.has("why-not") && !parseRegion(args.get("why-not")))
    return args.wrongUsage(llvm::formatv(
        "--why-not needs WxH or WxHxN, not '{0}'", args.get("why-not")));
  if (args.has("output") &&
      llvm::sys::fs::equivalent(args.positional.front(), args.get("output")))
    return args.wrongUsage("would write the image over the model '" +
                           args.positional.front() + "'");
  return true;
}

static int run(llvm::ArrayRef<char *> argv) {
  Arguments args;
  if (!args.parse(compileCommand, argv))
    return args.status;
  CompileOptions compileOptions;
  if (!checkUsage(args) || !read(args, compileOptions))
    return args.status;
  bool line = !args.has("quiet") && !tellsAsJson() &&
              llvm::sys::Process::StandardErrIsDisplayed();
  if (line)
    compileOptions.progress = [](StringRef phase, double fraction) {
      llvm::errs() << llvm::formatv("\r\033[K[{0,3}%] {1}",
                                    static_cast<int>(fraction * 100), phase);
    };
  const std::string &model = args.positional.front();
  std::vector<std::string> files = {
      model, StringRef(compileOptions.target).split(',').first.str()};
  if (args.has("mapping"))
    files.push_back(args.get("mapping"));
  for (StringRef name : {"output", "write-mapping"})
    if (args.has(name))
      if (llvm::Error error = files::checkOutput(args.get(name), files))
        return fail(args.get(name), std::move(error));
  CompileResult result = compile(model, compileOptions);
  if (line)
    llvm::errs() << "\r\033[K";
  for (const Diagnostic &diagnostic : result.diagnostics)
    tellDiagnostic(diagnostic, llvm::sys::path::filename(model));
  if (!result.succeeded)
    return 1;
  llvm::outs() << result.ir;
  if (!result.image)
    return 0;
  compileOptions.progress = nullptr;
  llvm::append_range(files, result.filesRead);
  std::vector<Rounded> rounded;
  const auto start = std::chrono::steady_clock::now();
  if (int status = waitFor("writing " + args.get("output"), [&] {
        return writeOutputs(args, result, files, rounded);
      }))
    return status;
  const std::chrono::duration<double> writing =
      std::chrono::steady_clock::now() - start;
  result.summary.compileSeconds += writing.count();
  return tellResult(args, compileOptions, result, rounded);
}

const Command tool::compileCommand = {
    "compile",
    "an ONNX model becomes a wafer image",
    "MODEL.onnx|LEVEL.mlir -o OUT.wafer [options]",
    options,
    choices,
    run,
};
