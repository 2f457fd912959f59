// waferloom compile --why-not WxH[xN]: the region that was chosen beside one
// that was not. The other is compiled as if somebody had asked for it.

#include "WhyNot.h"

#include "waferloom/Codegen/Codegen.h"
#include "waferloom/Executor/Executor.h"
#include "waferloom/Image/Image.h"
#include "waferloom/Report/Compare.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace waferloom;
using namespace waferloom::tool;
using llvm::StringRef;

std::optional<OtherRegion> tool::parseRegion(StringRef text) {
  llvm::SmallVector<StringRef> parts;
  text.split(parts, 'x');
  llvm::SmallVector<int64_t> numbers;
  for (StringRef part : parts) {
    int64_t number;
    if (part.getAsInteger(10, number) || number < 1)
      return std::nullopt;
    numbers.push_back(number);
  }
  if (numbers.size() != 2 && numbers.size() != 3)
    return std::nullopt;
  OtherRegion region{{numbers[0], numbers[1]}, std::nullopt};
  if (numbers.size() == 3)
    region.stages = numbers[2];
  return region;
}

namespace {
/// One of the two programs, counted.
struct Side {
  const CompileSummary &summary;
  image::BoundsT bounds; // of the first entry
  report::PathTable path;

  std::string name() const {
    std::string text =
        std::to_string(size.first) + "x" + std::to_string(size.second);
    if (summary.stages > 1)
      text += "x" + std::to_string(summary.stages);
    return text;
  }
  std::pair<int64_t, int64_t> size;
};
} // namespace

static llvm::Expected<Side> count(CompileResult &result) {
  auto loaded = std::make_shared<image::Loaded>();
  if (llvm::Error error = image::checkWithoutData(result.image->image))
    return std::move(error);
  const image::RegionT &first = *result.image->image.regions.front();
  Side side{result.summary, {}, {}, {first.width, first.height}};
  if (const auto &bounds = result.image->image.entries.front()->bounds)
    side.bounds = *bounds;
  loaded->image = std::move(result.image->image);
  executor::CriticalPath path;
  auto step = report::countWithPath(loaded, 0, {},
                                    executor::EngineKind::lockstep, path);
  if (!step)
    return step.takeError();
  side.path = report::tabulate(path, loaded->image);
  return side;
}

/// Why the other region cannot be had, from what its compilation said.
static std::string reasonOf(const CompileResult &other) {
  for (const Diagnostic &diagnostic : other.diagnostics)
    if (diagnostic.severity == "error")
      return diagnostic.message;
  return "";
}

static const partition::Considered *find(const CompileSummary &summary,
                                         const OtherRegion &region) {
  for (const partition::Considered &entry : summary.considered)
    if (std::pair(entry.width, entry.height) == region.size)
      return &entry;
  return nullptr;
}

/// What the search made of it.
static std::string tellSearch(const CompileSummary &summary,
                              const OtherRegion &region) {
  if (summary.considered.empty())
    return "no search: the region was given";
  const partition::Considered *entry = find(summary, region);
  if (!entry)
    return llvm::formatv("the search of {0} regions did not look at it",
                         summary.considered.size());
  std::string text = "the search";
  if (entry->stages > 1)
    text += llvm::formatv(", on {0} stages", entry->stages);
  text += ": " + entry->outcome;
  if (entry->estimate)
    text +=
        llvm::formatv(", {0:f0} cycles estimated, {1:f0} of them arithmetic",
                      entry->estimate->cycles, entry->estimate->arithmetic);
  if (!entry->reason.empty())
    text += ", " + entry->reason;
  return text;
}

static void printSides(llvm::raw_ostream &os, const Side &chosen,
                       const Side &other) {
  auto row = [&](StringRef what, auto get) {
    os << llvm::formatv("{0,14:N} {1,14:N} {2}  {3}\n", get(chosen), get(other),
                        std::string(12, ' '), what);
  };
  row("bytes of SRAM on the fullest PE",
      [](const Side &side) { return side.summary.fit.total(); });
  row("colors", [](const Side &side) { return side.summary.colorsUsedMax; });
  row("cycles estimated", [](const Side &side) {
    return static_cast<int64_t>(side.summary.cyclesEstimated);
  });
  row("cycles, at least", [](const Side &side) { return side.bounds.hard; });
  row("cycles of wires, at least",
      [](const Side &side) { return side.bounds.wires; });
  constexpr size_t most = 12;
  report::printComparison(os, chosen.name(), chosen.path, other.name(),
                          other.path, most);
}

llvm::Error tool::whyNot(const std::string &model,
                         const CompileOptions &options, OtherRegion region,
                         CompileResult &chosen, llvm::json::Object *json) {
  CompileOptions asked = options;
  asked.region = region.size;
  asked.stages = region.stages;
  asked.ends.reset(); // all regions are of one shape
  asked.stopAfter = asked.saveIr = "";
  asked.measureRewrites = false;
  asked.weights = false;
  CompileResult other = compile(model, asked);
  const std::string search = tellSearch(chosen.summary, region);
  std::string name =
      llvm::formatv("{0}x{1}", region.size.first, region.size.second);
  if (region.stages)
    name += "x" + std::to_string(*region.stages);
  if (!json)
    llvm::outs() << "why not " << name << ": " << search << "\n";
  llvm::json::Object told{{"width", region.size.first},
                          {"height", region.size.second},
                          {"search", search},
                          {"fits", other.succeeded}};
  if (!other.succeeded) {
    told["reason"] = reasonOf(other);
    if (!json)
      llvm::outs() << "it cannot be had: " << reasonOf(other) << "\n";
  } else {
    llvm::Expected<Side> one = count(chosen);
    if (!one)
      return one.takeError();
    llvm::Expected<Side> two = count(other);
    if (!two)
      return two.takeError();
    told["stages"] = other.summary.stages;
    told["bounds"] = llvm::json::Array{one->bounds.hard, two->bounds.hard};
    told["cycles_estimated"] = llvm::json::Array{chosen.summary.cyclesEstimated,
                                                 other.summary.cyclesEstimated};
    told["cycles"] = llvm::json::Array{executor::total(one->path.cycles),
                                       executor::total(two->path.cycles)};
    told["differences"] = report::toJson(report::compare(one->path, two->path));
    if (!json)
      printSides(llvm::outs(), *one, *two);
  }
  if (json)
    (*json)["why_not"] = std::move(told);
  return llvm::Error::success();
}
