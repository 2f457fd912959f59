// When a model does not fit: what is where, and what would fit instead. Every
// option that is named was planned; none is a guess.

#include "Phases.h"

#include "waferloom/Compile/Pipelines.h"
#include "waferloom/Dialect/Wafer/Packed.h"
#include "waferloom/Dialect/Wafer/Wafer.h"
#include "waferloom/Format/TypeFormat.h"
#include "waferloom/Target/TargetAttr.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace waferloom;
using partition::Planned;

static constexpr int answersPerOption = 12;
static constexpr size_t largestShown = 3;

/// The bytes of integers that PEs would keep of what `op` reads.
static std::optional<int64_t> getKeptBytes(const SymbolTable &symbols,
                                           Operation *op) {
  auto weights = dyn_cast<wafer::ParameterOp>(op);
  std::optional<BlockFormat> kept =
      weights ? wafer::getKept(symbols, weights) : std::nullopt;
  return kept ? std::optional(static_cast<int64_t>(kept->bytes()))
              : std::nullopt;
}

/// Weights (or states) with their bytes in the whole model, each once.
template <typename Op>
static std::vector<target::Held> listWhole(ModuleOp module,
                                           ArrayAttr (*names)(Op)) {
  std::vector<target::Held> all;
  llvm::StringMap<bool> known;
  const SymbolTable symbols(module);
  module.walk([&](Op op) {
    auto type = cast<ShapedType>(op.getResult().getType());
    std::optional<Format> format = computedFormatOf(type);
    const int64_t bytes = getKeptBytes(symbols, op)
                              .value_or(bytesOf(format.value_or(Format::f32),
                                                type.getNumElements()));
    for (Attribute name : names(op)) {
      StringRef text = isa<StringAttr>(name)
                           ? cast<StringAttr>(name).getValue()
                           : cast<FlatSymbolRefAttr>(name).getValue();
      if (known.try_emplace(text).second)
        all.push_back({text.str(), bytes});
    }
  });
  return all;
}

static int64_t sum(llvm::ArrayRef<target::Held> list) {
  int64_t bytes = 0;
  for (const target::Held &entry : list)
    bytes += entry.bytes;
  return bytes;
}

/// "the largest weights are 'a' (12 of 300 bytes), ...": on one PE, if that is
/// known, and in the whole model.
static std::string tellLargest(llvm::StringRef what,
                               std::vector<target::Held> whole,
                               llvm::ArrayRef<target::Held> perPe) {
  llvm::sort(whole, [](const target::Held &a, const target::Held &b) {
    return std::pair(-a.bytes, a.name) < std::pair(-b.bytes, b.name);
  });
  std::vector<std::string> parts;
  for (const target::Held &entry :
       llvm::ArrayRef(whole).take_front(largestShown)) {
    const auto *held = llvm::find_if(
        perPe, [&](const target::Held &h) { return h.name == entry.name; });
    parts.push_back(
        held == perPe.end()
            ? llvm::formatv("'{0}' ({1} bytes)", entry.name, entry.bytes).str()
            : llvm::formatv("'{0}' ({1} of {2} bytes)", entry.name, held->bytes,
                            entry.bytes)
                  .str());
  }
  return llvm::formatv("the largest of {0} {1}: {2}", whole.size(), what,
                       llvm::join(parts, ", "));
}

namespace {
/// Plans variations of a compilation until some fit.
class Nearest {
public:
  Nearest(ModuleOp onnx, ModuleOp tensors, const CompileOptions &options,
          const target::Target &target, const Planned &closest)
      : onnx(onnx), tensors(tensors), options(options), target(target),
        closest(closest) {
    // A probe says nothing of its own.
    this->options.progress = nullptr;
  }

  std::vector<std::string> find();

private:
  std::optional<target::Fit> probe(ModuleOp module,
                                   const CompileOptions &options,
                                   const target::Target &target);
  /// Level 2 of the model under other options; null: there is none.
  OwningOpRef<ModuleOp> prepareAnew(const CompileOptions &options);
  void tryGrids();
  void tryMemory();
  void tryContexts();
  void tryWithoutChunks();
  void tryHalves();
  /// The target's specification with `key` set to `value`.
  std::string specify(llvm::StringRef key, llvm::StringRef value) const;
  void offer(const std::string &option, const target::Fit &fit) {
    found.push_back(llvm::formatv("{0} ({1} bytes)", option, fit.total()));
  }

  ModuleOp onnx, tensors;
  CompileOptions options;
  const target::Target &target;
  const Planned &closest;
  std::vector<std::string> found;
};
} // namespace

std::optional<target::Fit> Nearest::probe(ModuleOp module,
                                          const CompileOptions &options,
                                          const target::Target &target) {
  if (isInterrupted(options))
    return std::nullopt;
  OwningOpRef<ModuleOp> copy = module.clone();
  target::setTarget(*copy, target);
  Planned planned;
  if (failed(
          plan(*copy, options, planned, {answersPerOption, /*counts=*/false})))
    return std::nullopt;
  return planned.fit;
}

OwningOpRef<ModuleOp> Nearest::prepareAnew(const CompileOptions &options) {
  OwningOpRef<ModuleOp> module = onnx.clone();
  PassManager pm(module->getContext());
  llvm::cantFail(populateTensorsPipeline(pm, options)); // checked before
  populatePreparePipeline(pm, options);
  return succeeded(pm.run(*module)) ? std::move(module)
                                    : OwningOpRef<ModuleOp>();
}

/// Larger rectangles of the same shape, the smallest first.
void Nearest::tryGrids() {
  const bool isGrid = llvm::StringRef(options.target).starts_with("grid-");
  if ((!isGrid && !options.region) || options.ends)
    return; // all of the wafer was offered, or two shapes are to be chosen
  auto [w, h] = options.region.value_or(target::findLargest(target));
  auto scale = [&](int64_t size, int64_t other, int64_t eighths) {
    return size == 1 && other > 1 ? 1 : llvm::divideCeil(size * eighths, 8);
  };
  for (int64_t eighths : {9, 10, 11, 12, 14, 16, 20, 24, 32, 48, 64}) {
    CompileOptions next = options;
    int64_t width = scale(w, h, eighths), height = scale(h, w, eighths);
    std::string name = llvm::formatv("{0}x{1}", width, height);
    next.region = {width, height};
    std::string specification = options.target;
    if (isGrid)
      specification = llvm::formatv(
          "grid-{0}x{1}{2}", std::max<int64_t>(target.width, width),
          std::max<int64_t>(target.height, height),
          options.target.substr(
              std::min(options.target.find(','), options.target.size())));
    // Overrides of its size hold for the larger grid, too.
    llvm::Expected<target::Target> machine = target::parse(specification);
    if (!machine)
      return llvm::consumeError(machine.takeError());
    if (llvm::Error beyond = target::checkRectangle(*machine, width, height))
      return llvm::consumeError(std::move(beyond));
    std::optional<target::Fit> fit = probe(tensors, next, *machine);
    if (!fit)
      continue;
    std::string text;
    if (isGrid)
      text = "--target " + specification;
    if (options.region)
      text += (text.empty() ? "--region " : " --region ") + name;
    return offer(text, *fit);
  }
}

std::string Nearest::specify(llvm::StringRef key, llvm::StringRef value) const {
  llvm::SmallVector<llvm::StringRef> parts;
  llvm::StringRef(options.target).split(parts, ',');
  std::string text = parts.front().str();
  for (llvm::StringRef part : llvm::drop_begin(parts))
    if (part.split('=').first != key)
      text += "," + part.str();
  return text + "," + key.str() + "=" + value.str();
}

/// The least memory: what the closest plan needs, or else by doubling.
void Nearest::tryMemory() {
  target::Target machine = target;
  auto with = [&](int64_t bytes) {
    machine.sram.value = static_cast<uint32_t>(llvm::alignTo(bytes, 1024));
    return probe(tensors, options, machine);
  };
  std::optional<target::Fit> fit;
  if (closest.asked)
    fit = with(closest.fit.total());
  for (int64_t bytes = int64_t(2) * target.sram;
       !fit && bytes <= int64_t(1) << 30; bytes *= 2)
    if ((fit = with(bytes)))
      if (std::optional<target::Fit> tight = with(fit->total()))
        fit = tight;
  if (!fit)
    return;
  std::string size =
      llvm::formatv("{0}KiB", llvm::divideCeil(fit->total(), 1024));
  offer("--target " + specify("sram", size), *fit);
}

/// The longest of shorter caches: eighths of what was asked for, or halves of
/// that.
void Nearest::tryContexts() {
  if (!options.context)
    return;
  const int64_t before = *options.context;
  int64_t least = 1;
  for (int64_t tokens : options.chunks)
    least = std::max(least, tokens);
  std::vector<int64_t> sizes;
  auto consider = [&](int64_t size) {
    if (size >= least && size < (sizes.empty() ? before : sizes.back()))
      sizes.push_back(size);
  };
  for (int64_t eighths : {7, 6, 5, 4, 3, 2, 1})
    consider(before * eighths / 8);
  for (int64_t size = before / 16; size > 0; size /= 2)
    consider(size);
  // What fits a longer cache fits a shorter one: few need be tried.
  std::optional<std::pair<int64_t, target::Fit>> longest;
  for (size_t begin = 0, end = sizes.size(); begin < end;) {
    const size_t middle = begin + (end - begin) / 2;
    CompileOptions next = options;
    next.context = sizes[middle];
    OwningOpRef<ModuleOp> module = prepareAnew(next);
    std::optional<target::Fit> fit;
    if (module)
      fit = probe(*module, next, target);
    if (fit) {
      longest.emplace(sizes[middle], std::move(*fit));
      end = middle;
    } else {
      begin = middle + 1;
    }
  }
  if (longest)
    offer(llvm::formatv("--context {0}", longest->first), longest->second);
}

void Nearest::tryWithoutChunks() {
  CompileOptions next = options;
  next.chunks.clear();
  if (options.chunks.empty())
    return;
  if (OwningOpRef<ModuleOp> module = prepareAnew(next))
    if (auto fit = probe(*module, next, target))
      offer("no --chunk", *fit);
}

/// Weights and caches of singles as halves.
void Nearest::tryHalves() {
  if (options.precision == "f16" ||
      !tensors
           .walk([](wafer::StoredOpInterface op) {
             return getElementTypeOrSelf(op->getResult(0).getType()).isF32()
                        ? WalkResult::interrupt()
                        : WalkResult::advance();
           })
           .wasInterrupted())
    return;
  CompileOptions next = options;
  next.precision = "f16";
  if (OwningOpRef<ModuleOp> module = prepareAnew(next))
    if (auto fit = probe(*module, next, target))
      offer("--precision f16", *fit);
}

std::vector<std::string> Nearest::find() {
  ScopedDiagnosticHandler quiet(tensors.getContext(),
                                [](mlir::Diagnostic &) { return success(); });
  tryGrids();
  tryMemory();
  if (onnx) {
    tryContexts();
    tryWithoutChunks();
    tryHalves();
  }
  return std::move(found);
}

waferloom::Diagnostic waferloom::explainFit(ModuleOp onnx, ModuleOp tensors,
                                            const CompileOptions &options,
                                            const Planned &planned) {
  FailureOr<target::Target> machine = target::getTarget(tensors);
  if (failed(machine))
    return {"error", "no target to fit", "", {}};
  const target::Target &target = *machine;
  // What was tried last was to keep integers.
  OwningOpRef<ModuleOp> tried = tensors.clone();
  if (options.storage != "expanded")
    wafer::keepPacked(*tried, wafer::Keeping::All);
  auto weights = listWhole<wafer::ParameterOp>(
      *tried, [](wafer::ParameterOp op) { return op.getWeights(); });
  auto states = listWhole<wafer::StateOp>(
      tensors, [](wafer::StateOp op) { return op.getNames(); });
  int64_t even =
      llvm::divideCeil(sum(weights) + sum(states),
                       planned.width * planned.height * planned.stages);
  const target::Fit &fit = planned.fit;
  std::string where = llvm::formatv("{0} x {1}", planned.width, planned.height);
  if (planned.stages > 1)
    where = llvm::formatv("{0} stages of {1}",
                          planned.stages - (planned.ends ? 1 : 0), where);
  if (planned.ends)
    where += llvm::formatv(" beside ends of {0} x {1}", planned.ends->first,
                           planned.ends->second);
  waferloom::Diagnostic out{"error", "", "", {}};
  if (planned.asked)
    out.message = llvm::formatv(
        "needs {0} bytes of SRAM on the fullest PE of {1} but '{2}' has {3}",
        fit.total(), where, target.name, fit.limit);
  else if (!planned.reason.empty())
    out.message =
        llvm::formatv("no layout on {0} PEs of '{1}' can be built: {2}", where,
                      target.name, planned.reason);
  else
    out.message = llvm::formatv(
        "no layout found on {0} PEs of '{1}': weights and states take {2} "
        "bytes per PE when divided evenly, before padding, replicas and "
        "buffers, and a PE has {3}, {4} of them reserved",
        where, target.name, even, uint32_t(target.sram),
        uint32_t(target.reserved));
  if (planned.asked)
    out.notes.push_back(llvm::formatv(
        "weights {0}, states {1}, tables {2}, buffers {3}, code {4}, reserved "
        "{5} bytes, by the closest of {6} layouts",
        fit.weights, fit.states, fit.tables, fit.buffers, fit.code,
        fit.reserved, planned.answers));
  if (!weights.empty())
    out.notes.push_back(tellLargest("weights", weights, fit.held));
  if (!planned.asked && (options.storage == "kept" || roundsWeights(options)))
    out.notes.push_back("these are the bytes of numbers: weights that stay "
                        "codes take less");
  if (!states.empty())
    out.notes.push_back(tellLargest("states", states, fit.held));
  std::vector<std::string> nearest =
      Nearest(onnx, tensors, options, target, planned).find();
  out.notes.push_back(
      nearest.empty()
          ? "no larger grid, no more memory and no shorter context was found "
            "that fits"
          : "nearest options that fit: " + llvm::join(nearest, "; "));
  return out;
}
