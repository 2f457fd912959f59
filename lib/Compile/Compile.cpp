//===- Compile.cpp - The phases in order ----------------------------------===//
//
// Reads as the list of phases: what each needs and gives is said in its own
// room; between two calls stands what is true from there on.
//
//===----------------------------------------------------------------------===//

#include "Phases.h"

#include "waferloom/Algebra/Passes.h"
#include "waferloom/Codegen/Codegen.h"
#include "waferloom/Dialect/Fabric/Fabric.h"
#include "waferloom/Dialect/Onnx/Onnx.h"
#include "waferloom/Dialect/Wafer/Stages.h"
#include "waferloom/Files/Output.h"
#include "waferloom/Image/Utf8.h"
#include "waferloom/Import/Import.h"
#include "waferloom/Partition/PartitionOpInterfaces.h"
#include "waferloom/Target/ImageTarget.h"
#include "waferloom/Target/Target.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

#include <chrono>

using namespace mlir;
using namespace waferloom;

CompileResult::CompileResult() = default;
CompileResult::~CompileResult() = default;
CompileResult::CompileResult(CompileResult &&) = default;
CompileResult &CompileResult::operator=(CompileResult &&) = default;

static constexpr llvm::StringLiteral phases[] = {"onnx",   "tensors", "layouts",
                                                 "shards", "fabric",  "image"};

ArrayRef<StringRef> waferloom::phaseNames() {
  static const SmallVector<StringRef> names(std::begin(phases),
                                            std::end(phases));
  return names;
}

static bool isError(const waferloom::Diagnostic &diagnostic) {
  return diagnostic.severity == "error";
}

/// The innermost name of a location: the ONNX node.
static std::string nodeOf(Location loc) {
  std::string name;
  loc->walk([&](Location part) {
    auto named = dyn_cast<NameLoc>(part);
    if (!named)
      return WalkResult::advance();
    name = named.getName().str();
    return WalkResult::interrupt();
  });
  return name;
}

static waferloom::Diagnostic toData(mlir::Diagnostic &diagnostic) {
  waferloom::Diagnostic out;
  out.severity = diagnostic.getSeverity() == DiagnosticSeverity::Error
                     ? "error"
                     : "warning";
  out.message = diagnostic.str();
  out.node = nodeOf(diagnostic.getLocation());
  for (mlir::Diagnostic &note : diagnostic.getNotes())
    out.notes.push_back(note.str());
  return out;
}

std::string waferloom::format(const Diagnostic &diagnostic, StringRef file) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << file << ": " << diagnostic.severity << ": ";
  // Import names nodes in its messages; later phases say where by location.
  if (!diagnostic.node.empty() &&
      diagnostic.message.find("node '") == std::string::npos)
    os << "node '" << diagnostic.node << "': ";
  os << diagnostic.message << "\n";
  for (const std::string &note : diagnostic.notes)
    os << file << ": note: " << note << "\n";
  return text;
}

namespace {
/// The state of one compilation: where it is and what it found.
struct Compilation {
  const CompileOptions &options;
  CompileResult &result;
  MLIRContext &context;
  unsigned phase = 0;

  LogicalResult run(StringRef path);
  LogicalResult fail(llvm::Error error);
  void begin(unsigned index) {
    phase = index;
    if (options.progress)
      options.progress(phases[index],
                       static_cast<double>(index) / std::size(phases));
  }
  /// Saves the IR of a finished phase. True: stop here, as asked.
  FailureOr<bool> end(ModuleOp module);
};
} // namespace

LogicalResult Compilation::fail(llvm::Error error) {
  result.diagnostics.push_back(
      {"error", llvm::toString(std::move(error)), "", {}});
  return failure();
}

FailureOr<bool> Compilation::end(ModuleOp module) {
  if (isInterrupted(options))
    return failure();
  StringRef name = phases[phase];
  if (!options.saveIr.empty()) {
    if (std::error_code error =
            llvm::sys::fs::create_directories(options.saveIr)) {
      (void)fail(llvm::createStringError(error, "cannot make the folder '" +
                                                    options.saveIr +
                                                    "': " + error.message()));
      return failure();
    }
    SmallString<128> file(options.saveIr);
    llvm::sys::path::append(file,
                            llvm::formatv("{0}-{1}.mlir", phase + 1, name));
    auto print = [&](llvm::raw_ostream &os) -> llvm::Error {
      module->print(os, OpPrintingFlags().enableDebugInfo(false));
      return llvm::Error::success();
    };
    if (llvm::Error error = files::write(file, print)) {
      (void)fail(std::move(error));
      return failure();
    }
  }
  if (options.stopAfter != name)
    return false;
  llvm::raw_string_ostream(result.ir) << module;
  return true;
}

/// Adds the files that weights lie in.
static void noteFiles(ModuleOp onnx, std::vector<std::string> &files) {
  onnx->walk([&](onnx::WeightOp weight) {
    if (std::optional<StringRef> file = weight.getFile())
      if (!llvm::is_contained(files, *file))
        files.push_back(file->str());
  });
}

LogicalResult Compilation::run(StringRef path) {
  std::vector<std::string> warnings;
  llvm::Expected<target::Target> target =
      target::parse(options.target, &warnings);
  for (std::string &warning : warnings)
    result.diagnostics.push_back({"warning", std::move(warning), "", {}});
  if (!target)
    return fail(target.takeError());
  if (llvm::Error error = checkOptions(options, *target))
    return fail(std::move(error));
  StringRef description = StringRef(options.target).split(',').first;
  if (llvm::sys::path::extension(description).starts_with(".y"))
    result.filesRead.push_back(description.str());

  begin(0);
  OwningOpRef<ModuleOp> onnx =
      import::importOnnx(path, &context, options.weights);
  result.filesRead.push_back(path.str());
  if (!onnx)
    return failure();
  noteFiles(*onnx, result.filesRead);
  FailureOr<bool> stop = end(*onnx);
  if (failed(stop) || *stop)
    return stop;

  begin(1);
  OwningOpRef<ModuleOp> module = lowerToTensors(*onnx, options);
  if (!module)
    return failure();
  // From here on every shape is static and no ONNX operator is left.
  stop = end(*module);
  if (failed(stop) || *stop)
    return stop;

  OwningOpRef<ModuleOp> tensors, prepared; // kept to do it again
  if (options.measureRewrites)
    tensors = module->clone();
  begin(2);
  partition::Planned planned;
  if (failed(prepare(*module, options)))
    return failure();
  if (options.measureRewrites)
    prepared = module->clone();
  // From here on dimensions are factors, and like layers are one body.
  if (failed(planEntries(module, options, *target, planned))) {
    if (llvm::none_of(result.diagnostics, isError) && !isInterrupted(options))
      result.diagnostics.push_back(
          explainFit(*onnx, *module, options, *target, planned));
    return failure();
  }
  // From here on every tensor has a layout, and every change of layout is an
  // op.
  stop = end(*module);
  if (failed(stop) || *stop)
    return stop;

  begin(3);
  if (failed(lowerToShards(*module)))
    return failure();
  // From here on global shapes are gone.
  stop = end(*module);
  if (failed(stop) || *stop)
    return stop;

  begin(4);
  if (failed(lowerToFabric(*module, options, *target)))
    return failure();
  // From here on every word has its way: lines, algorithms, colors, queues.
  stop = end(*module);
  if (failed(stop) || *stop)
    return stop;

  begin(5);
  CompileSummary &summary = result.summary;
  summary.layoutsTried = planned.answers;
  std::unique_ptr<image::TargetT> machine = target::toImage(*target);
  FailureOr<codegen::Image> image =
      codegen::emitImage(*module, *machine, summary.fit);
  if (summary.fit.total() > planned.fit.total()) {
    result.diagnostics.clear();
    return fail(llvm::createStringError(llvm::formatv(
        "planned with {0} bytes per PE but the programs take {1}; this is a "
        "mistake of the compiler, please report this model",
        planned.fit.total(), summary.fit.total())));
  }
  if (failed(image))
    return failure();
  if (options.measureRewrites)
    if (llvm::Error error = measureRewrites(
            {*tensors, *prepared, *module, &planned}, options, *target, *image))
      return fail(std::move(error));
  image->image.shape_only |= !options.weights;
  const image::RegionT &region = *image->image.regions.front();
  summary.parameters = image->image.parameters;
  summary.width = region.width;
  summary.height = region.height;
  summary.pesUsed = summary.width * summary.height;
  for (auto entry : module->getOps<mlir::func::FuncOp>())
    summary.stages = summary.regions = wafer::getStages(entry).getCount();
  for (const auto &program : region.programs)
    for (const auto &route : program->routes)
      summary.colorsUsedMax =
          std::max<int64_t>(summary.colorsUsedMax, route->color + 1);
  result.image = std::make_unique<codegen::Image>(std::move(*image));
  if (options.progress)
    options.progress("done", 1.0);
  return success();
}

CompileResult waferloom::compile(StringRef path,
                                 const CompileOptions &options) {
  CompileResult result;
  auto start = std::chrono::steady_clock::now();
  MLIRContext context(MLIRContext::Threading::DISABLED);
  context.printOpOnDiagnostic(false);
  DialectRegistry models;
  algebra::registerOpModels(models);
  partition::registerOpModels(models);
  context.appendDialectRegistry(models);
  import::loadDialects(context);
  context.loadDialect<fabric::FabricDialect, wafer::WaferDialect>();
  ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error ||
        diagnostic.getSeverity() == DiagnosticSeverity::Warning)
      result.diagnostics.push_back(toData(diagnostic));
    return success();
  });
  Compilation compilation{options, result, context};
  result.succeeded = succeeded(compilation.run(path));
  if (isInterrupted(options)) {
    result.succeeded = false;
    result.diagnostics.clear();
    result.diagnostics.push_back({"error", "interrupted", "", {}});
  }
  // Names of a file may be any bytes; from here on they are text.
  for (waferloom::Diagnostic &diagnostic : result.diagnostics) {
    for (std::string *text : {&diagnostic.message, &diagnostic.node})
      *text = image::escapeToUtf8(*text);
    for (std::string &note : diagnostic.notes)
      note = image::escapeToUtf8(note);
  }
  if (!result.succeeded && llvm::none_of(result.diagnostics, isError))
    result.diagnostics.push_back(
        {"error",
         "the compiler failed in phase '" + phases[compilation.phase].str() +
             "' without saying why; please report this model",
         "",
         {}});
  result.summary.compileSeconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
          .count();
  return result;
}
