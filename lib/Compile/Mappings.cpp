// What options and mappings say of the same things is held together here, and
// the mapping of a compilation is put together from what its phases chose.

#include "Mappings.h"
#include "Phases.h"

#include "waferloom/Algebra/Rewrites.h"
#include "waferloom/Dialect/Fabric/Fabric.h"
#include "waferloom/Dialect/Wafer/Stages.h"
#include "waferloom/Image/Utf8.h"
#include "waferloom/Mapping/MappingAttr.h"
#include "waferloom/Routing/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <map>

using namespace mlir;
using namespace waferloom;
using mapping::Mapping;

waferloom::Diagnostic waferloom::refuseMapping(const Mapping &mapping,
                                               unsigned line,
                                               const Twine &message) {
  waferloom::Diagnostic out{"error", message.str(), "", {}};
  if (line)
    out.message = "line " + std::to_string(line) + ": " + out.message;
  out.file = mapping.name;
  return out;
}

std::optional<Mapping>
waferloom::takeMapping(CompileOptions &options,
                       std::vector<Diagnostic> &diagnostics) {
  auto &[name, text] = options.mapping;
  if (name.empty())
    return std::nullopt;
  if (text.empty()) {
    llvm::Expected<std::string> loaded = mapping::load(name);
    if (!loaded) {
      diagnostics.push_back(
          {"error", llvm::toString(loaded.takeError()), "", {}});
      return std::nullopt;
    }
    text = image::escapeToUtf8(*loaded);
  }
  llvm::Expected<Mapping> mapping = mapping::parse(text, name);
  if (mapping)
    return std::move(*mapping);
  Mapping named;
  named.name = name;
  diagnostics.push_back(
      refuseMapping(named, 0, llvm::toString(mapping.takeError())));
  return std::nullopt;
}

/// A mapping switches rewrites off, which options may do as well.
static std::optional<waferloom::Diagnostic>
applyRewrites(const Mapping &mapping, CompileOptions &options) {
  for (const mapping::Rewrite &rewrite : mapping.rewrites) {
    if (llvm::Error error = algebra::checkRewrites({rewrite.name}))
      return refuseMapping(mapping, rewrite.on.line,
                           llvm::toString(std::move(error)));
    if (!rewrite.on)
      continue;
    const bool isOff =
        llvm::is_contained(options.disabledRewrites, rewrite.name);
    if (*rewrite.on && isOff)
      return refuseMapping(mapping, rewrite.on.line,
                           "'" + rewrite.name +
                               "' is on, but --disable-rewrite leaves it out: "
                               "say one of them");
    if (!*rewrite.on && !isOff)
      options.disabledRewrites.push_back(rewrite.name);
  }
  return std::nullopt;
}

static std::optional<waferloom::Diagnostic>
applyRegion(const Mapping &mapping, const target::Target &target,
            CompileOptions &options) {
  std::optional<int64_t> width = mapping.getWidth(),
                         height = mapping.getHeight();
  const unsigned line = std::max({mapping.x.line, mapping.y.line,
                                  mapping.width.line, mapping.height.line});
  if (!width && !height) {
    for (const mapping::Stage &stage : mapping.stages)
      if (stage.at && &stage != &mapping.stages.front())
        return refuseMapping(mapping, stage.at.line,
                             "a place of a stage needs a region of known size: "
                             "say region: {x: ..., y: ...}");
    return std::nullopt;
  }
  if (!width || !height)
    return refuseMapping(mapping, line,
                         "a region has x and y, or is auto as a whole");
  if (llvm::Error error = target::checkRectangle(target, *width, *height))
    return refuseMapping(mapping, line, llvm::toString(std::move(error)));
  if (options.region && *options.region != std::pair(*width, *height))
    return refuseMapping(
        mapping, line,
        llvm::formatv("a region of {0} x {1} PEs, but --region says {2}x{3}: "
                      "say one of them",
                      *width, *height, options.region->first,
                      options.region->second)
            .str());
  options.region = {*width, *height};
  return std::nullopt;
}

/// The region of the ends, and who speaks of their program.
static std::optional<waferloom::Diagnostic>
applyEnds(const Mapping &mapping, const target::Target &target,
          CompileOptions &options) {
  std::optional<int64_t> width = mapping.getEndsWidth(),
                         height = mapping.getEndsHeight();
  const unsigned line =
      std::max({mapping.endsX.line, mapping.endsY.line, mapping.endsWidth.line,
                mapping.endsHeight.line});
  if (!width != !height)
    return refuseMapping(mapping, line,
                         "ends have x and y, or are auto as a whole");
  if (width && options.ends && *options.ends != std::pair(*width, *height))
    return refuseMapping(
        mapping, line,
        llvm::formatv("ends of {0} x {1} PEs, but --ends says {2}x{3}: say one "
                      "of them",
                      *width, *height, options.ends->first,
                      options.ends->second)
            .str());
  if (width)
    options.ends = {*width, *height};
  if (llvm::Error error = checkEnds(options, target))
    return refuseMapping(mapping, line, llvm::toString(std::move(error)));
  auto speaks = [](const auto &entry) {
    return entry.kind && *entry.kind == "ends";
  };
  auto refuse = [&](unsigned at) {
    return refuseMapping(mapping, at,
                         "this is about the program of the ends, but there is "
                         "none: say ends: {x: ..., y: ...}");
  };
  if (options.ends)
    return std::nullopt;
  if (auto it = llvm::find_if(mapping.layouts, speaks);
      it != mapping.layouts.end())
    return refuse(it->dim.line);
  if (auto it = llvm::find_if(mapping.collectives, speaks);
      it != mapping.collectives.end())
    return refuse(it->at.line);
  return std::nullopt;
}

std::optional<waferloom::Diagnostic>
waferloom::applyMapping(const Mapping &mapping, const target::Target &target,
                        CompileOptions &options) {
  if (mapping.target && *mapping.target != target.name)
    return refuseMapping(mapping, mapping.target.line,
                         "the mapping is for '" + *mapping.target +
                             "', not for '" + target.name +
                             "': say auto to try it there");
  if (auto refusal = applyRewrites(mapping, options))
    return refusal;
  if (auto refusal = applyRegion(mapping, target, options))
    return refusal;
  if (mapping.stageCount) {
    if (options.stages && *options.stages != *mapping.stageCount)
      return refuseMapping(
          mapping, mapping.stageCount.line,
          llvm::formatv("{0} stages, but --stages says {1}: say one of them",
                        *mapping.stageCount, *options.stages)
              .str());
    options.stages = *mapping.stageCount;
  }
  if (auto refusal = applyEnds(mapping, target, options))
    return refusal;
  if (mapping.prefill) {
    if (options.prefill != "auto" && options.prefill != *mapping.prefill)
      return refuseMapping(mapping, mapping.prefill.line,
                           "prefill is " + *mapping.prefill +
                               ", but --prefill says " + options.prefill +
                               ": say one of them");
    options.prefill = *mapping.prefill;
  }
  return std::nullopt;
}

std::optional<waferloom::Diagnostic>
waferloom::checkModel(const Mapping &mapping, int64_t parameters) {
  if (!mapping.parameters || *mapping.parameters == parameters)
    return std::nullopt;
  return refuseMapping(
      mapping, mapping.parameters.line,
      llvm::formatv("the mapping is of a model of {0} parameters, this one has "
                    "{1}: write one of this model by --write-mapping",
                    *mapping.parameters, parameters)
          .str());
}

int64_t waferloom::countParameters(ModuleOp module) {
  int64_t parameters = 0;
  module.walk([&](wafer::WeightOp weight) {
    if (!weight.getPart())
      parameters += cast<ShapedType>(weight.getType()).getNumElements();
  });
  return parameters;
}

namespace {
/// A collective of level 5 and its name.
struct Named {
  std::string name;
  bool alongX;
  fabric::CollectiveOpInterface op;
};
} // namespace

static SmallVector<Named> nameCollectives(ModuleOp module) {
  SmallVector<Named> all;
  mapping::CollectiveNames names;
  module.walk([&](fabric::CollectiveOpInterface op) {
    const bool alongX = op.getLine().getDirection() == fabric::Direction::X;
    all.push_back({names.next(op->getParentOfType<func::FuncOp>().getName(),
                              mapping::nodeOf(op.getLoc()), alongX),
                   alongX, op});
  });
  return all;
}

/// What a mapping says of the program of `kind`, or of the one for all stages.
static Mapping wholeOrOf(const Mapping &mapping, ModuleOp kind) {
  std::optional<wafer::Kind> which = wafer::getKind(kind);
  return which ? mapping.ofKind(which == wafer::Kind::Ends) : mapping;
}

/// A collective that `mapping` speaks of is there.
static std::optional<waferloom::Diagnostic>
checkCollectives(const Mapping &mapping, ModuleOp kind) {
  const SmallVector<Named> all = nameCollectives(kind);
  for (const mapping::Collective &entry : mapping.collectives) {
    if (llvm::any_of(all, [&](const Named &named) {
          return mapping::find(entry, named.name, named.alongX);
        }))
      continue;
    std::string along = entry.along ? " along " + *entry.along : std::string();
    std::string message =
        "there is no collective at '" + *entry.at + "'" + along;
    if (!all.empty())
      message += "; the first of " + std::to_string(all.size()) + " is at '" +
                 all.front().name + "', and --write-mapping lists all";
    return refuseMapping(mapping, entry.at.line, message);
  }
  return std::nullopt;
}

static std::vector<mapping::Stage> describeStages(ModuleOp module);

/// Stages of two kinds stand in one strip behind the first.
static std::optional<waferloom::Diagnostic> checkPlaces(const Mapping &mapping,
                                                        ModuleOp module) {
  if (wafer::getKinds(module).front() == module)
    return std::nullopt; // planning looked for a grid
  for (auto [i, stage, is] :
       llvm::enumerate(mapping.stages, describeStages(module)))
    if (stage.at && *stage.at != *is.at)
      return refuseMapping(
          mapping, stage.at.line,
          llvm::formatv("stage {0} stands at ({1}, {2}), beside the one before "
                        "it: leave out its place",
                        i, (*is.at)[0], (*is.at)[1])
              .str());
  return std::nullopt;
}

std::optional<waferloom::Diagnostic>
waferloom::checkMapping(const Mapping &mapping, ModuleOp module,
                        const partition::Planned &planned) {
  const bool hasSeveral = llvm::any_of(
      wafer::getProgram(wafer::getKinds(module).front()).getEntries(),
      [](auto entry) { return entry.getTokens() > 1; });
  if (mapping.prefill && hasSeveral && planned.width &&
      planned.streams != (*mapping.prefill == "stream"))
    return refuseMapping(mapping, mapping.prefill.line,
                         "tokens of a prompt cannot go through this model as "
                         "a " +
                             *mapping.prefill + ": say auto");
  for (ModuleOp kind : wafer::getKinds(module))
    if (auto refusal = checkCollectives(wholeOrOf(mapping, kind), kind))
      return refusal;
  return checkPlaces(mapping, module);
}

template <typename ReduceLike>
static void describeAlgorithm(ReduceLike op, mapping::Collective &out) {
  std::string name = fabric::stringifyAlgorithm(op.getAlgorithm()).str();
  llvm::replace(name, '_', '-');
  out.algorithm.value = {name};
  if (auto group = op.getGroup())
    out.group.value = static_cast<int64_t>(*group);
  if (auto levels = op.getLevels())
    out.levels.value = static_cast<int64_t>(*levels);
}

static mapping::Collective describe(const Named &named) {
  fabric::CollectiveOpInterface op = named.op;
  mapping::Collective out;
  out.at.value = named.name;
  out.along.value = named.alongX ? "x" : "y";
  out.words.value =
      static_cast<int64_t>(routing::readCollective(op).request.words);
  if (auto allReduce = dyn_cast<fabric::AllReduceOp>(op.getOperation()))
    describeAlgorithm(allReduce, out);
  else if (auto reduce = dyn_cast<fabric::ReduceOp>(op.getOperation()))
    describeAlgorithm(reduce, out);
  // What travels back begins where the sum is complete.
  if (!isa<fabric::BroadcastOp>(op.getOperation()))
    out.root.value = static_cast<int64_t>(op.getRoot());
  if (std::optional<uint64_t> color = op.getColor())
    out.color.value = static_cast<int64_t>(*color);
  return out;
}

static std::vector<mapping::Stage> describeStages(ModuleOp module) {
  std::vector<mapping::Stage> out;
  for (ModuleOp kind : wafer::getKinds(module)) {
    wafer::ProgramOp program = wafer::getProgram(kind);
    fabric::RectAttr place;
    wafer::RepeatOp shared;
    for (auto entry : kind.getOps<func::FuncOp>()) {
      place = fabric::getPlace(entry);
      shared = wafer::getSharedRepeat(entry);
    }
    auto [begin, behind] = wafer::getStagesOfKind(program);
    auto [left, top] = wafer::getOffset(program, begin);
    for (int64_t i = begin; i < behind; ++i) {
      auto [x, y] = wafer::getOffset(program, i);
      mapping::Stage &stage = out.emplace_back();
      stage.at.value = {place.getX() + x - left, place.getY() + y - top};
      if (i > 0 && shared) {
        auto [first, end] = wafer::getTrips(shared, i);
        stage.trips.value = {first, end};
      }
    }
  }
  return out;
}

std::string waferloom::describeMapping(ModuleOp module,
                                       const CompileOptions &options,
                                       const partition::Planned &planned,
                                       int64_t parameters) {
  Mapping out;
  SmallVector<ModuleOp> kinds = wafer::getKinds(module);
  wafer::ProgramOp program = wafer::getProgram(kinds.back());
  wafer::RegionAttr region = program.getPesAttr();
  out.parameters.value = parameters;
  if (planned.layers)
    out.layers.value = planned.layers;
  out.target.value = wafer::getTarget(module).getName().str();
  for (StringRef name : algebra::rewriteNames()) {
    mapping::Rewrite &rewrite = out.rewrites.emplace_back();
    rewrite.name = name.str();
    rewrite.on.value = !llvm::is_contained(options.disabledRewrites, name);
  }
  if (llvm::any_of(program.getEntries(),
                   [](auto entry) { return entry.getTokens() > 1; }))
    out.prefill.value = planned.streams ? "stream" : "block";
  out.x.value.emplace(region.getX().begin(), region.getX().end());
  out.y.value.emplace(region.getY().begin(), region.getY().end());
  if (kinds.size() > 1) {
    wafer::RegionAttr ends = wafer::getRegion(kinds.front());
    out.endsX.value.emplace(ends.getX().begin(), ends.getX().end());
    out.endsY.value.emplace(ends.getY().begin(), ends.getY().end());
  }
  out.stages = describeStages(module);
  out.layouts = planned.layouts;
  for (ModuleOp kind : llvm::reverse(kinds))
    for (const Named &named : nameCollectives(kind)) {
      out.collectives.push_back(describe(named));
      if (wafer::getKind(kind) == wafer::Kind::Ends)
        out.collectives.back().kind.value = "ends";
    }
  std::string text;
  llvm::raw_string_ostream os(text);
  mapping::write(out,
                 "What the compiler chose, field by field (docs/mapping.md).\n"
                 "`auto` in place of a value, or no field, gives the choice "
                 "back.",
                 os);
  return text;
}
