// A class of dimensions is called by its members: a dimension of a weight or
// state, NAME.DIM, or else of a value or of an operand that is read with
// another layout, FUNCTION:NODE.VALUE.DIM. The first name of each class is its
// own, and the same for the same file.

#include "Pins.h"

#include "waferloom/Dialect/Wafer/Layers.h"
#include "waferloom/Dialect/Wafer/Stages.h"
#include "waferloom/Mapping/MappingAttr.h"
#include "waferloom/Partition/PartitionOpInterfaces.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;
using mapping::Mapping;
using wafer::Axis;

namespace {
/// The names of each class, its own first.
class ClassNames {
public:
  ClassNames(ModuleOp module, const ModuleClasses &classes);

  ArrayRef<std::string> of(size_t index) const { return names[index]; }

private:
  void add(ArrayRef<int> list, const Twine &value) {
    for (auto [dim, index] : llvm::enumerate(list))
      names[index].push_back((value + "." + Twine(dim)).str());
  }

  std::vector<std::vector<std::string>> names;
};
} // namespace

ClassNames::ClassNames(ModuleOp module, const ModuleClasses &classes)
    : names(classes.problem.classes.size()) {
  auto textOf = [](Attribute name) {
    auto symbol = dyn_cast<FlatSymbolRefAttr>(name);
    return mapping::toText(symbol ? symbol.getValue()
                                  : cast<StringAttr>(name).getValue());
  };
  llvm::StringSet<> known;
  module.walk([&](wafer::StoredOpInterface op) {
    auto it = classes.values.find(op->getResult(0));
    if (it != classes.values.end())
      for (Attribute name : op.getStoredNames())
        if (std::string text = textOf(name); known.insert(text).second)
          add(it->second, text);
  });
  for (auto entry : module.getOps<func::FuncOp>()) {
    llvm::StringMap<unsigned> values; // of a node
    entry.walk<WalkOrder::PreOrder>([&](Operation *op) {
      const std::string node = (entry.getName() + ":" +
                                mapping::toText(mapping::nodeOf(op->getLoc())))
                                   .str();
      for (Value result : op->getResults()) {
        auto it = classes.values.find(result);
        if (it != classes.values.end() && !isa<wafer::StoredOpInterface>(op))
          add(it->second, node + "." + Twine(values[node]++));
      }
      for (unsigned i = 0; i < op->getNumOperands(); ++i) {
        auto it = classes.changes.find({op, i});
        if (it != classes.changes.end())
          add(it->second, node + "." + Twine(values[node]++));
      }
    });
  }
}

void partition::keepPinned(SmallVectorImpl<StageGrid> &grids, int64_t width,
                           int64_t height, const StagePlaces &places) {
  if (places.empty() || grids.empty())
    return;
  llvm::erase_if(grids, [&](StageGrid grid) {
    if (static_cast<size_t>(grid.columns * grid.rows) != places.size())
      return true;
    for (auto [index, place] : llvm::enumerate(places)) {
      if (!place || !places.front())
        continue;
      auto [column, row] = grid.getPlace(static_cast<int64_t>(index));
      if (place->first - places.front()->first != column * width ||
          place->second - places.front()->second != row * height)
        return true;
    }
    return false;
  });
}

LogicalResult partition::refusePlaces(ModuleOp module) {
  FailureOr<Mapping> mapping = mapping::getMapping(module);
  if (failed(mapping))
    return failure();
  return emitError(mapping::locate(module.getContext(), *mapping,
                                   mapping->stageCount.line))
         << "stages of one size stand in a row, in a column, or in strips that "
            "turn around, each beside the one before, and not like this: leave "
            "out their places, or see docs/partition.md";
}

namespace {
/// Puts a mapping into a problem.
class Pinning {
public:
  Pinning(ModuleOp module, const Mapping &mapping, ModuleClasses &classes)
      : module(module), mapping(mapping), problem(classes.problem),
        names(module, classes) {}

  LogicalResult run();

private:
  InFlightDiagnostic refuse(unsigned line) {
    return emitError(mapping::locate(module.getContext(), mapping, line));
  }
  LogicalResult pinLayout(const mapping::Layout &layout);
  FailureOr<SmallVector<Axis>> readAxes(const mapping::Layout &layout);
  LogicalResult checkClass(size_t index, const mapping::Layout &layout,
                           ArrayRef<Axis> axes);
  LogicalResult checkApart();
  LogicalResult checkTrips();
  const mapping::Field<std::vector<int64_t>> &factorsOf(Axis axis) const {
    return axis.direction == Axis::X ? mapping.x : mapping.y;
  }
  int64_t sizeOf(Axis axis) const;

  ModuleOp module;
  const Mapping &mapping;
  Problem &problem;
  ClassNames names;
  std::vector<unsigned> lines; ///< where each class is pinned; 0: it is not
};
} // namespace

/// PEs along an axis, as far as the mapping says.
int64_t Pinning::sizeOf(Axis axis) const {
  if (axis.number != Axis::whole)
    return (*factorsOf(axis))[axis.number];
  return (axis.direction == Axis::X ? mapping.getWidth() : mapping.getHeight())
      .value_or(1);
}

FailureOr<SmallVector<Axis>> Pinning::readAxes(const mapping::Layout &layout) {
  SmallVector<Axis> axes;
  for (const std::string &name : *layout.split) {
    const unsigned line = layout.split.line;
    std::optional<Axis> axis = Axis::parse(name);
    if (!axis)
      return refuse(line) << "there is no axis '" << name
                          << "': a direction of the region is x or y, its "
                             "factors are x0, x1, ..., major to minor";
    const auto &factors = factorsOf(*axis);
    if (axis->number != Axis::whole) {
      const int64_t count = factors ? static_cast<int64_t>(factors->size()) : 0;
      if (axis->number >= count)
        return refuse(line)
               << "axis '" << name << "' is factor " << int(axis->number)
               << " but the mapping's region has " << count
               << " along it: say region: {x: [...], y: [...]} with more";
      if (count == 1)
        axis->number = Axis::whole;
    }
    if (!axes.empty() && !(axes.back() < *axis))
      return refuse(line) << "axes stand in the order x0, x1, ..., y0, y1, "
                             "..., each once, but '"
                          << name << "' stands behind '" << axes.back().str()
                          << "'";
    if (!axes.empty() && axes.back().direction == axis->direction &&
        axes.back().number == Axis::whole)
      return refuse(line) << "axis '" << name << "' is part of '"
                          << axes.back().str() << "': name one of them";
    axes.push_back(*axis);
  }
  return axes;
}

LogicalResult Pinning::checkClass(size_t index, const mapping::Layout &layout,
                                  ArrayRef<Axis> axes) {
  const DimClass &entry = problem.classes[index];
  if (layout.size && *layout.size != entry.size)
    return refuse(layout.size.line)
           << "'" << names.of(index).front() << "' has " << entry.size
           << " elements, not " << *layout.size
           << ": is this the mapping of another model, context or chunk?";
  if (axes.empty())
    return success();
  if (entry.whole)
    return refuse(layout.split.line)
           << "'" << names.of(index).front()
           << "' is whole on every PE, since an op slices, joins or looks it "
              "up: say split: none, or leave the entry out";
  int64_t shards = 1;
  for (Axis axis : axes)
    shards *= sizeOf(axis);
  if (entry.exact && entry.size % shards)
    return refuse(layout.split.line)
           << "'" << names.of(index).front() << "' has " << entry.size
           << " elements, which " << shards
           << " PEs do not divide, and may not be padded: choose factors that "
              "divide it";
  if (shards > 2 * entry.size)
    return refuse(layout.split.line)
           << "'" << names.of(index).front() << "' has " << entry.size
           << " elements, too few for " << shards << " PEs (limit "
           << 2 * entry.size << "): name fewer axes";
  return success();
}

LogicalResult Pinning::pinLayout(const mapping::Layout &layout) {
  SmallVector<Axis> axes;
  if (layout.split) {
    FailureOr<SmallVector<Axis>> read = readAxes(layout);
    if (failed(read))
      return failure();
    axes = std::move(*read);
  }
  bool found = false;
  for (size_t index = 0; index < problem.classes.size(); ++index) {
    if (llvm::none_of(names.of(index), [&](StringRef name) {
          return mapping::matches(*layout.dim, name);
        }))
      continue;
    found = true;
    // The first entry that speaks of a class is the one that counts.
    if (lines[index])
      continue;
    lines[index] = layout.dim.line;
    if (failed(checkClass(index, layout, axes)))
      return failure();
    if (layout.split && problem.classes[index].size > 1)
      problem.classes[index].pinned = axes;
  }
  if (found)
    return success();
  InFlightDiagnostic diag = refuse(layout.dim.line);
  diag << "the model has no dimension '" << *layout.dim << "'";
  for (size_t i = 0; i < problem.classes.size(); ++i)
    if (!problem.classes[i].whole && !names.of(i).empty()) {
      diag << ": the first that it has is '" << names.of(i).front()
           << "', and --write-mapping lists all";
      break;
    }
  return diag;
}

/// Two classes of one loop nest have no axis in common.
LogicalResult Pinning::checkApart() {
  for (auto [i, entry] : llvm::enumerate(problem.classes)) {
    if (!entry.pinned)
      continue;
    for (int j : entry.apart) {
      const DimClass &other = problem.classes[j];
      if (!other.pinned || static_cast<size_t>(j) > i)
        continue;
      for (Axis a : *entry.pinned)
        for (Axis b : *other.pinned)
          if (a.direction == b.direction &&
              (a.number == b.number || a.number == Axis::whole ||
               b.number == Axis::whole))
            return refuse(lines[i])
                   << "'" << names.of(i).front() << "' and '"
                   << names.of(j).front() << "' (line " << lines[j]
                   << ") are dimensions of one op, and both are split along '"
                   << a.str() << "': each axis splits one of them";
    }
  }
  return success();
}

int64_t partition::countLayers(ModuleOp module) {
  int64_t trips = 0;
  for (auto entry : module.getOps<func::FuncOp>())
    if (wafer::RepeatOp layers = wafer::getLayersRepeat(entry))
      trips = static_cast<int64_t>(layers.getTripCount());
  return trips;
}

/// Stages share trips evenly, the first ones have one more.
LogicalResult Pinning::checkTrips() {
  const int64_t trips = countLayers(module);
  if (mapping.layers && *mapping.layers != trips)
    return refuse(mapping.layers.line)
           << "the mapping is of a model of " << *mapping.layers
           << " equal layers, this one has " << trips
           << ": write one of this model by --write-mapping";
  const auto count = static_cast<int64_t>(mapping.stages.size());
  const int64_t sharing = std::max<int64_t>(count - 1, 1);
  for (auto [i, stage] : llvm::enumerate(mapping.stages)) {
    if (!stage.trips)
      continue;
    const auto index = static_cast<int64_t>(i) - (count > 1);
    int64_t first = 0, end = 0;
    if (index >= 0) {
      const int64_t each = trips / sharing, more = trips % sharing;
      first = each * index + std::min(index, more);
      end = first + each + (index < more);
    }
    if ((*stage.trips)[0] != first || (*stage.trips)[1] != end)
      return refuse(stage.trips.line)
             << "stage " << i << " cannot have the layers from "
             << (*stage.trips)[0] << " to " << (*stage.trips)[1] << ": "
             << count << " stages share " << trips
             << " evenly, which gives it those from " << first << " to " << end
             << ", the end not counted; another number of stages shares them "
                "otherwise";
  }
  return success();
}

LogicalResult Pinning::run() {
  lines.assign(problem.classes.size(), 0);
  problem.pinnedX.clear();
  if (mapping.x)
    problem.pinnedX.assign(mapping.x->begin(), mapping.x->end());
  if (mapping.y)
    problem.pinnedY.assign(mapping.y->begin(), mapping.y->end());
  for (const mapping::Stage &stage : mapping.stages)
    problem.places.push_back(
        stage.at ? std::optional(std::pair((*stage.at)[0], (*stage.at)[1]))
                 : std::nullopt);
  if (llvm::all_of(problem.places, [](const auto &place) { return !place; }))
    problem.places.clear();
  for (const mapping::Layout &layout : mapping.layouts)
    if (failed(pinLayout(layout)))
      return failure();
  if (failed(checkApart()))
    return failure();
  return checkTrips();
}

LogicalResult partition::pin(ModuleOp module, ModuleClasses &classes) {
  FailureOr<Mapping> mapping = mapping::getMapping(module);
  if (failed(mapping))
    return failure();
  if (mapping->name.empty())
    return success();
  return Pinning(module, *mapping, classes).run();
}

static std::string withoutNumbers(StringRef name) {
  std::string text;
  for (char c : name)
    if (!llvm::isDigit(c))
      text += c;
  return text;
}

std::vector<mapping::Layout>
partition::describeLayouts(ModuleOp module, const ModuleClasses &classes,
                           const LayoutPlan &plan) {
  constexpr size_t mostOthers = 3;
  const ClassNames names(module, classes);
  std::vector<mapping::Layout> layouts;
  for (auto [i, entry] : llvm::enumerate(classes.problem.classes)) {
    if (entry.whole || entry.size <= 1 || names.of(i).empty())
      continue;
    mapping::Layout &layout = layouts.emplace_back();
    ArrayRef<std::string> all = names.of(i);
    layout.dim.value = all.front();
    layout.size.value = entry.size;
    layout.split.value.emplace();
    for (Axis axis : plan.axes[i])
      layout.split.value->push_back(axis.str());
    if (layout.split->empty())
      layout.split.value->push_back("none");
    // Names that differ in a number only are those of other layers.
    llvm::StringSet<> told{withoutNumbers(all.front())};
    for (const std::string &other : all.drop_front())
      if (layout.others.size() < mostOthers &&
          told.insert(withoutNumbers(other)).second)
        layout.others.push_back(other);
  }
  return layouts;
}
