//===- Compile.cpp - The phases in order ----------------------------------===//
//
// Reads as the list of phases: what each needs and gives is said in its own
// room; between two calls stands what is true from there on.
//
//===----------------------------------------------------------------------===//

#include "Levels.h"
#include "Mappings.h"
#include "Phases.h"

#include "waferloom/Algebra/Passes.h"
#include "waferloom/Codegen/Codegen.h"
#include "waferloom/Compile/Pipelines.h"
#include "waferloom/Dialect/Core/Core.h"
#include "waferloom/Dialect/Fabric/Fabric.h"
#include "waferloom/Dialect/Wafer/Stages.h"
#include "waferloom/Files/Output.h"
#include "waferloom/Image/Utf8.h"
#include "waferloom/Import/Import.h"
#include "waferloom/Mapping/MappingAttr.h"
#include "waferloom/Partition/PartitionOpInterfaces.h"
#include "waferloom/Target/ImageTarget.h"
#include "waferloom/Target/Target.h"
#include "waferloom/Target/TargetAttr.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/STLExtras.h"
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

/// `mapping` is the name of the mapping, which lines may be of.
static waferloom::Diagnostic toData(mlir::Diagnostic &diagnostic,
                                    StringRef mapping) {
  waferloom::Diagnostic out;
  out.severity = diagnostic.getSeverity() == DiagnosticSeverity::Error
                     ? "error"
                     : "warning";
  out.message = diagnostic.str();
  out.node = mapping::nodeOf(diagnostic.getLocation()).str();
  // Ops of a text know its lines.
  auto line = diagnostic.getLocation()->findInstanceOf<FileLineColLoc>();
  if (line && line.getLine() > 0)
    out.message = "line " + std::to_string(line.getLine()) + ": " + out.message;
  if (line && !mapping.empty() && line.getFilename() == mapping)
    out.file = mapping;
  for (mlir::Diagnostic &note : diagnostic.getNotes())
    out.notes.push_back(note.str());
  return out;
}

std::string waferloom::format(const Diagnostic &diagnostic, StringRef file) {
  std::string text;
  if (!diagnostic.file.empty())
    file = llvm::sys::path::filename(diagnostic.file);
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
  CompileOptions options; // those of a text, if it was made with some
  CompileResult &result;
  MLIRContext &context;
  unsigned phase = 0;
  std::optional<unsigned> text = {}; // the level that was read as text
  std::optional<mapping::Mapping> mapping = {};
  int64_t parameters = 0; // of level 2

  LogicalResult run(StringRef path);
  LogicalResult fail(llvm::Error error);
  /// Adds a refusal, if there is one.
  LogicalResult check(std::optional<waferloom::Diagnostic> refusal);
  LogicalResult readMapping(bool isText);
  void explainPlanning(ModuleOp onnx, ModuleOp module,
                       const partition::Planned &planned);
  /// Level 1 of a model, or the level that a text is; options and machine are
  /// settled, and `module` says them from then on.
  FailureOr<Level> open(StringRef path);
  LogicalResult setOptions(ModuleOp module, unsigned index);
  LogicalResult setTarget(ModuleOp module, const target::Target &given);
  bool hasErrors() const { return llvm::any_of(result.diagnostics, isError); }
  FailureOr<codegen::Image> emit(ModuleOp module,
                                 const partition::Planned &planned);
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

LogicalResult Compilation::check(std::optional<waferloom::Diagnostic> refusal) {
  if (!refusal)
    return success();
  result.diagnostics.push_back(std::move(*refusal));
  return failure();
}

/// Takes the target from the mapping if nobody gave one; a text has its own.
LogicalResult Compilation::readMapping(bool isText) {
  mapping = takeMapping(options, result.diagnostics);
  if (hasErrors())
    return failure();
  if (!isText && mapping && mapping->target &&
      options.target == CompileOptions().target)
    options.target = *mapping->target;
  return success();
}

/// Says why there is no plan, and what would do.
void Compilation::explainPlanning(ModuleOp onnx, ModuleOp module,
                                  const partition::Planned &planned) {
  waferloom::Diagnostic found = explainFit(onnx, module, options, planned);
  if (mapping) {
    const unsigned line = std::max(mapping->x.line, mapping->width.line);
    found.notes.push_back("the mapping decides some of this: `auto` gives a "
                          "choice back (docs/mapping.md)");
    found.message = refuseMapping(*mapping, line, found.message).message;
    found.file = mapping->name;
  }
  result.diagnostics.push_back(std::move(found));
}

FailureOr<bool> Compilation::end(ModuleOp module) {
  if (isInterrupted(options))
    return failure();
  StringRef name = phases[phase];
  if (!options.saveIr.empty() && phase != text) {
    if (std::error_code error =
            llvm::sys::fs::create_directories(options.saveIr))
      return fail(llvm::createStringError(error, "cannot make the folder '" +
                                                     options.saveIr +
                                                     "': " + error.message()));
    SmallString<128> file(options.saveIr);
    llvm::sys::path::append(file,
                            llvm::formatv("{0}-{1}.mlir", phase + 1, name));
    if (llvm::Error error = writeLevel(module, file))
      return fail(std::move(error));
  }
  if (options.stopAfter != name)
    return false;
  llvm::raw_string_ostream(result.ir) << module;
  return true;
}

/// Adds the files that weights lie in.
static void noteFiles(ModuleOp module, std::vector<std::string> &files) {
  visitFiles(module, [&](Operation *, StringAttr file, uint64_t, uint64_t) {
    if (!llvm::is_contained(files, file.getValue()))
      files.push_back(file.str());
    return file;
  });
}

LogicalResult Compilation::setTarget(ModuleOp module,
                                     const target::Target &given) {
  wafer::TargetAttr kept = wafer::getTarget(module);
  if (!kept)
    target::setTarget(module, given);
  else if (options.target == CompileOptions().target)
    options.target = kept.getName().str(); // nobody gave one
  else if (kept != target::toAttr(&context, given))
    return fail(llvm::createStringError(
        "--target is " + options.target + " but this level was made for '" +
        kept.getName().getValue() + "'; compile the model again to change it"));
  FailureOr<target::Target> target = target::getTarget(module);
  if (failed(target) ||
      (mapping && failed(check(applyMapping(*mapping, *target, options)))))
    return failure();
  if (llvm::Error error = checkOptions(options, *target))
    return fail(std::move(error));
  return success();
}

LogicalResult Compilation::setOptions(ModuleOp module, unsigned index) {
  StringRef name = wafer::WaferDialect::optionsName;
  if (auto kept = module->getAttrOfType<DictionaryAttr>(name)) {
    if (llvm::Error error = readOptions(kept, options))
      return fail(std::move(error));
  } else {
    module->setAttr(name, writeOptions(&context, options));
  }
  if (!options.stopAfter.empty() &&
      llvm::find(phases, options.stopAfter) < std::begin(phases) + index)
    return fail(llvm::createStringError("this is the text of level '" +
                                        phases[index] + "', which is behind '" +
                                        options.stopAfter + "'"));
  if (options.measureRewrites && index > 1)
    return fail(llvm::createStringError(
        "--measure-rewrites needs the model or its level 'onnx' or 'tensors', "
        "not '" +
        phases[index] + "'"));
  return success();
}

FailureOr<Level> Compilation::open(StringRef path) {
  std::vector<std::string> warnings;
  const bool isText = llvm::sys::path::extension(path) == ".mlir";
  if (failed(readMapping(isText)))
    return failure();
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
  result.filesRead.push_back(path.str());
  if (mapping && llvm::sys::fs::exists(mapping->name))
    result.filesRead.push_back(mapping->name);
  begin(0);
  Level level;
  if (isText) {
    FailureOr<Level> read = readLevel(path, &context);
    if (failed(read))
      return failure();
    level = std::move(*read);
    text = level.index;
  } else {
    level.module = import::importOnnx(path, &context, options.weights);
    if (!level.module)
      return failure();
  }
  noteFiles(*level.module, result.filesRead);
  phase = level.index;
  if (failed(setOptions(*level.module, level.index)) ||
      (isText && failed(readMapping(isText))) || // it may have one
      failed(setTarget(*level.module, *target)))
    return failure();
  return level;
}

LogicalResult Compilation::run(StringRef path) {
  FailureOr<Level> first = open(path);
  if (failed(first))
    return failure();
  ModuleOp module = *first->module;
  FailureOr<bool> stop = end(module);
  // Runs a phase, unless there is nothing to be done or the text is behind it.
  auto next = [&](unsigned index,
                  llvm::function_ref<void(OpPassManager &)> populate) {
    if (failed(stop) || *stop || index <= first->index)
      return;
    begin(index);
    stop = succeeded(runPhase(module, populate)) ? end(module)
                                                 : FailureOr<bool>(failure());
  };
  OwningOpRef<ModuleOp> onnx, tensors, prepared; // kept to do it again
  if (first->index == 0)
    onnx = module.clone();
  next(1, [&](OpPassManager &pm) {
    llvm::cantFail(populateTensorsPipeline(pm, options)); // checked
  });
  // From here on every shape is static and no ONNX operator is left.
  partition::Planned planned;
  if (succeeded(stop) && first->index <= 1) {
    parameters = countParameters(module);
    if (mapping && failed(check(checkModel(*mapping, parameters))))
      return failure();
  }
  if (options.measureRewrites && succeeded(stop))
    tensors = module.clone();
  next(2, [&](OpPassManager &pm) {
    populatePreparePipeline(pm, options);
    // Dimensions are atoms, and like layers are one body.
    if (options.measureRewrites)
      keepClone(pm, prepared);
    populatePlanPipeline(pm, options, &planned);
  });
  if (failed(stop) && planned.width && !hasErrors() && !isInterrupted(options))
    explainPlanning(onnx ? *onnx : ModuleOp(), module, planned);
  // From here on every tensor has a layout, and every change of layout is an
  // op.
  next(3, [&](OpPassManager &pm) { populatePerPePipeline(pm, options); });
  // From here on global shapes are gone.
  next(4, [&](OpPassManager &pm) { populateFabricPipeline(pm, options); });
  // From here on every word has its way: lines, algorithms, colors, queues.
  if (failed(stop) || *stop)
    return stop;
  if (mapping && first->index < 5 &&
      failed(check(checkMapping(*mapping, module, planned))))
    return failure();
  if (planned.width)
    result.mapping = describeMapping(module, options, planned, parameters);
  begin(5);
  FailureOr<codegen::Image> image = emit(module, planned);
  if (failed(image))
    return failure();
  if (options.measureRewrites)
    if (llvm::Error error = measureRewrites(
            {*tensors, *prepared, module, &planned}, options, *image))
      return fail(std::move(error));
  if (llvm::Error error =
          checkImage(image->image, /*isText=*/text == phase, options))
    return fail(std::move(error));
  result.image = std::make_unique<codegen::Image>(std::move(*image));
  if (options.progress)
    options.progress("done", 1.0);
  return success();
}

/// Leaves instructions of no node without a location: they are not for the line
/// that they were read from.
static void forgetLines(ModuleOp programs) {
  programs->walk([](Operation *op) {
    if (!op->getLoc()->findInstanceOf<NameLoc>())
      op->setLoc(UnknownLoc::get(op->getContext()));
  });
}

FailureOr<codegen::Image> Compilation::emit(ModuleOp module,
                                            const partition::Planned &planned) {
  CompileSummary &summary = result.summary;
  FailureOr<target::Target> target = target::getTarget(module);
  if (failed(target))
    return failure();
  std::unique_ptr<image::TargetT> machine = target::toImage(*target);
  OwningOpRef<ModuleOp> programs = module.clone();
  const bool isText = text && phases[*text] == phases[phase];
  if (isText)
    forgetLines(*programs);
  LogicalResult fits =
      isText ? success()
             : codegen::lowerToCore(*programs, *machine, summary.fit,
                                    options.interrupted);
  if (!isText && succeeded(fits))
    addBounds(module, *machine, *programs);
  if (planned.asked && summary.fit.total() > planned.fit.total()) {
    result.diagnostics.clear();
    return fail(llvm::createStringError(llvm::formatv(
        "planned with {0} bytes per PE but the programs take {1}; this is a "
        "mistake of the compiler, please report this model",
        planned.fit.total(), summary.fit.total())));
  }
  // From here on programs are instructions on addresses.
  if (failed(fits) || failed(end(*programs)))
    return failure();
  FailureOr<codegen::Image> image = codegen::emitImage(*programs, *machine);
  if (failed(image))
    return failure();
  if (isText) {
    FailureOr<target::Fit> fit = codegen::fitOf(*programs, *machine);
    if (failed(fit))
      return failure();
    summary.fit = *fit;
  }
  image->image.shape_only |= !options.weights;
  summarize(image->image, planned, summary);
  return image;
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
  context.loadDialect<core::CoreDialect, fabric::FabricDialect,
                      wafer::WaferDialect>();
  Compilation compilation{options, result, context};
  ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error ||
        diagnostic.getSeverity() == DiagnosticSeverity::Warning)
      result.diagnostics.push_back(
          toData(diagnostic, compilation.options.mapping.first));
    return success();
  });
  result.succeeded = succeeded(compilation.run(path));
  if (isInterrupted(options)) {
    result.succeeded = false;
    result.diagnostics.clear();
    result.diagnostics.push_back({"error", "interrupted", "", {}});
  }
  // Names of a file may be any bytes; from here on they are text.
  for (waferloom::Diagnostic &diagnostic : result.diagnostics) {
    for (std::string *text :
         {&diagnostic.message, &diagnostic.node, &diagnostic.file})
      *text = image::escapeToUtf8(*text);
    for (std::string &note : diagnostic.notes)
      note = image::escapeToUtf8(note);
  }
  if (!result.succeeded && !compilation.hasErrors())
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
