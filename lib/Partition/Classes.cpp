// Which dimensions are split alike. Dimensions that are on one loop of some op
// are joined; two loops of one op are kept apart, so that no axis ever splits
// both. Where joining would merge two that are apart (the tokens of BERT as
// queries and as keys), the operand gets a change of layout in front of it and
// a class of its own for that dimension.
//
// Weights and states join across entries: they lie in one place.

#include "ClassReader.h"

#include "waferloom/Dialect/Wafer/Packed.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;

Ids &ClassReader::getIds(Value value) {
  auto [it, isNew] = ids.try_emplace(value);
  if (isNew)
    if (auto type = dyn_cast<ShapedType>(value.getType()))
      for (int64_t d = 0; d < type.getRank(); ++d)
        it->second.push_back(dims.get(value, d));
  return it->second;
}

bool ClassReader::clash(DimId a, DimId b) {
  a = dims.find(a);
  b = dims.find(b);
  auto it = apart.find(a);
  return it != apart.end() && it->second.count(b) != 0;
}

bool ClassReader::join(DimId a, DimId b) {
  if (clash(a, b))
    return false;
  auto [kept, gone] = dims.join(a, b);
  if (kept == gone)
    return true;
  auto it = apart.find(gone);
  if (it != apart.end()) {
    std::set<DimId> others = std::move(it->second);
    apart.erase(it);
    for (DimId other : others) {
      apart[other].erase(gone);
      apart[other].insert(kept);
      apart[kept].insert(other);
    }
  }
  return true;
}

void ClassReader::keepApart(DimId a, DimId b) {
  a = dims.find(a);
  b = dims.find(b);
  apart[a].insert(b);
  apart[b].insert(a);
}

DimId ClassReader::addChange(Operation *op, unsigned operand, Ids &operandIds,
                             int64_t dim) {
  Value value = op->getOperand(operand);
  DimId before = operandIds[dim];
  int64_t size = cast<ShapedType>(value.getType()).getDimSize(dim);
  DimId after = dims.add(
      RankedTensorType::get({size}, getElementTypeOrSelf(value.getType())),
      value);
  RawWork change;
  change.work.tripCount = tripCount;
  change.work.scope = scope;
  change.change = {before, after};
  operandIds[dim] = after;
  change.buffers.emplace_back(getBytes(value), operandIds);
  auto it = producer.find(value);
  if (it != producer.end())
    change.work.producers.push_back(it->second);
  works.push_back(std::move(change));
  samePadding.emplace_back(before, after);
  keepApart(before, after);
  changed[{op, operand}] = operandIds;
  return after;
}

static std::string getShapeText(Value value) {
  std::string text;
  for (int64_t size : cast<ShapedType>(value.getType()).getShape())
    text += std::to_string(size) + "x";
  return text;
}

void ClassReader::joinAll(Value a, Value b) {
  for (auto [x, y] : llvm::zip(Ids(getIds(a)), Ids(getIds(b))))
    join(x, y);
}

void ClassReader::rename(Value from, Value to) {
  auto it = producer.find(from);
  if (it != producer.end())
    producer[to] = it->second;
}

void ClassReader::readLoops(Operation *op, const IterationSpace &space) {
  std::map<int, DimId> loops; // loop -> a dimension of its class
  SmallVector<Ids> used;
  auto keep = [&](int loop, DimId id) {
    if (llvm::is_contained(space.whole, loop))
      keepWhole(id);
  };
  std::string name = op->getName().getStringRef().str();
  for (auto [k, tensor] : llvm::enumerate(space.operands)) {
    Value value = op->getOperand(tensor.operand);
    Ids operandIds = getIds(value);
    for (auto [d, loop] : llvm::enumerate(tensor.loops)) {
      DimId id = operandIds[d];
      auto it = loops.find(loop);
      bool conflict = it != loops.end() && clash(it->second, id);
      for (const auto &[other, representative] : loops)
        conflict |= other != loop && dims.find(representative) == dims.find(id);
      if (conflict)
        id = addChange(op, tensor.operand, operandIds, d);
      if (it != loops.end())
        join(it->second, id);
      else
        loops[loop] = id;
      keep(loop, id);
      roles[id].insert(name + std::to_string(k) + "." + std::to_string(d) +
                       "/" + getShapeText(value));
    }
    used.push_back(std::move(operandIds));
  }
  if (op->getNumResults() == 1 && isa<ShapedType>(op->getResult(0).getType())) {
    Ids &resultIds = getIds(op->getResult(0));
    for (auto [d, loop] : llvm::enumerate(space.result)) {
      auto it = loops.find(loop);
      if (it != loops.end())
        join(it->second, resultIds[d]);
      else
        loops[loop] = resultIds[d];
      keep(loop, resultIds[d]);
      roles[resultIds[d]].insert(name + "=" + std::to_string(d) + "/" +
                                 getShapeText(op->getResult(0)));
    }
  }
  for (auto i = loops.begin(); i != loops.end(); ++i)
    for (auto j = loops.begin(); j != i; ++j)
      keepApart(i->second, j->second);
  addWork(op, space, used, loops);
}

/// Rows of `packed`, its first dimension, as a value of `rank` dimensions: in
/// front of those of a row stand the dimensions of indices, perhaps none.
static PackedWeight rowsOf(PackedWeight packed, size_t rank) {
  const int64_t row = packed.strides.front();
  packed.strides.erase(packed.strides.begin());
  packed.strides.insert(packed.strides.begin(), rank - packed.strides.size(),
                        row);
  return packed;
}

void ClassReader::addWork(Operation *op, const IterationSpace &space,
                          ArrayRef<Ids> used,
                          const std::map<int, DimId> &loops) {
  LocalWork local = cast<LayoutOpInterface>(op).getLocalWork();
  RawWork raw;
  raw.work.tripCount = tripCount;
  raw.work.scope = scope;
  raw.work.combiner = static_cast<int>(local.fold);
  raw.work.cyclesPerElement = local.cyclesPerElement;
  raw.work.halves = local.halves;
  for (unsigned operand : local.factors)
    raw.factors.push_back(getIds(op->getOperand(operand)));
  for (const auto &[loop, id] : loops)
    (llvm::is_contained(space.reductions, loop) ? raw.reduction : raw.parallel)
        .push_back(id);
  for (auto [tensor, ids] : llvm::zip(space.operands, used)) {
    Value value = op->getOperand(tensor.operand);
    auto it = producer.find(value);
    if (it != producer.end())
      raw.work.producers.push_back(it->second);
    // Weights and states are counted where they stay; of integers the op makes
    // numbers.
    const std::optional<PackedWeight> packed = packedOf(value);
    if (packed && local.takesRows) {
      const Ids &found = getIds(op->getResult(0));
      raw.unpackings.push_back(
          {{rowsOf(*packed, found.size()), {getBytes(value), {}}}, found});
      continue;
    }
    if (!isStored(value) || packed)
      raw.buffers.emplace_back(getBytes(value), ids);
    if (packed)
      raw.unpackings.push_back({{*packed, {getBytes(value), {}}}, ids});
  }
  if (op->getNumResults() == 1 && !isStored(op->getResult(0))) {
    raw.buffers.emplace_back(getBytes(op->getResult(0)),
                             getIds(op->getResult(0)));
    producer[op->getResult(0)] = static_cast<int>(works.size());
  }
  works.push_back(std::move(raw));
}

LogicalResult partition::readLoops(Operation *op, ClassReader &reader) {
  IterationSpace space = cast<DimensionOpInterface>(op).getIterationSpace();
  if (!space.operands.empty() || !space.result.empty()) {
    reader.readLoops(op, space);
    return success();
  }
  for (Value result : op->getResults())
    reader.getIds(result);
  return success();
}

std::optional<PackedWeight> ClassReader::packedOf(Value value) const {
  auto parameter = value.getDefiningOp<wafer::ParameterOp>();
  std::optional<BlockFormat> format =
      parameter ? wafer::getKept(*symbols, parameter) : std::nullopt;
  if (!format)
    return std::nullopt;
  auto name = cast<FlatSymbolRefAttr>(parameter.getWeights()[0]);
  const wafer::PartAttr part =
      symbols->lookup<wafer::WeightOp>(name.getValue()).getPartAttr();
  PackedWeight packed;
  packed.format = *format;
  packed.at = part ? part.getAt() : 0;
  int64_t stride = 1;
  for (int64_t size :
       llvm::reverse(cast<ShapedType>(value.getType()).getShape())) {
    packed.strides.push_back(part ? part.getStride(stride) : stride);
    stride *= size;
  }
  std::reverse(packed.strides.begin(), packed.strides.end());
  return packed;
}

LogicalResult ClassReader::readStored(Operation *op, ArrayAttr names) {
  Value value = op->getResult(0);
  int64_t fresh = 0;
  for (Attribute name : names) {
    auto [it, isNew] = firstUse.try_emplace(name, value);
    if (isNew) {
      ++fresh;
      continue;
    }
    if (it->second.getType() != value.getType())
      return op->emitError()
             << "reads " << name << " as " << value.getType()
             << " but another entry as " << it->second.getType();
    for (auto [x, y] : llvm::zip(Ids(getIds(it->second)), Ids(getIds(value))))
      if (!join(x, y))
        return op->emitError()
               << name << " is used with its dimensions in roles that two "
               << "entries cannot agree on";
  }
  if (fresh) {
    Stored entry;
    entry.count = fresh;
    entry.repeated = tripCount > 1;
    entry.shape.elementBytes = getBytes(value);
    entry.packed = packedOf(value);
    stored.emplace_back(entry, getIds(value));
  }
  return success();
}

LogicalResult ClassReader::readOp(Operation *op) {
  auto known = dyn_cast<LayoutOpInterface>(op);
  if (known && isa<DimensionOpInterface>(op))
    return known.readClasses(*this);
  return op->emitError() << "'" << op->getName()
                         << "' has no rule for partitioning: express it by "
                            "linalg.generic";
}

LogicalResult ClassReader::readBlock(Block &block) {
  for (Operation &op : block.without_terminator())
    if (failed(readOp(&op)))
      return failure();
  return success();
}

LogicalResult ClassReader::read(ModuleOp module) {
  symbols.emplace(module);
  for (auto entry : module.getOps<func::FuncOp>()) {
    scope = ++scopes;
    if (failed(readBlock(entry.getBody().front())))
      return failure();
  }
  return success();
}

ModuleClasses ClassReader::finish() {
  ModuleClasses result;
  Problem &problem = result.problem;
  std::map<DimId, int> index;
  auto classOf = [&](DimId id) {
    DimId root = dims.find(id);
    auto [it, isNew] =
        index.try_emplace(root, static_cast<int>(problem.classes.size()));
    if (isNew) {
      problem.classes.emplace_back();
      problem.classes.back().size = dims.getSize(root);
      problem.classes.back().padding = it->second;
    }
    return it->second;
  };
  auto classesOf = [&](const Ids &list) {
    SmallVector<int> classes;
    for (DimId id : list)
      classes.push_back(classOf(id));
    return classes;
  };
  for (DimId id = 0; id < dims.size(); ++id)
    classOf(id);
  std::map<int, std::set<std::string>> rolesOf;
  for (const auto &[id, names] : roles)
    rolesOf[classOf(id)].insert(names.begin(), names.end());
  for (const auto &[i, names] : rolesOf)
    for (const std::string &name : names)
      problem.classes[i].role += "," + name;
  for (DimId id : whole) {
    problem.classes[classOf(id)].whole = true;
    problem.classes[classOf(id)].exact = true;
  }
  // Nothing is gained by splitting what no op reads.
  for (DimClass &entry : problem.classes)
    entry.whole |= entry.role.empty();
  for (DimId id : cyclic)
    problem.classes[classOf(id)].cyclic = true;
  for (const auto &[id, others] : apart)
    for (DimId other : others)
      problem.classes[classOf(id)].apart.insert(classOf(other));
  // Padding numbers: the lowest class of those that changes of layout connect.
  for (bool changedAny = true; changedAny;) {
    changedAny = false;
    for (auto [a, b] : samePadding) {
      DimClass &x = problem.classes[classOf(a)],
               &y = problem.classes[classOf(b)];
      int low = std::min(x.padding, y.padding);
      changedAny |= x.padding != y.padding || x.exact != y.exact;
      x.padding = y.padding = low;
      x.exact = y.exact = x.exact || y.exact;
    }
  }
  for (auto &[entry, list] : stored) {
    entry.shape.classes = classesOf(list);
    int64_t elements = entry.count;
    for (int i : entry.shape.classes)
      elements *= problem.classes[i].size;
    for (int i : entry.shape.classes)
      problem.classes[i].weight += elements;
    problem.stored.push_back(entry);
  }
  for (RawWork &raw : works) {
    raw.work.parallel = classesOf(raw.parallel);
    raw.work.reduction = classesOf(raw.reduction);
    for (auto &[bytes, list] : raw.buffers)
      raw.work.buffers.push_back({bytes, classesOf(list)});
    for (Ids &list : raw.factors)
      raw.work.factors.push_back({0, classesOf(list)});
    for (auto &[unpacking, list] : raw.unpackings) {
      unpacking.shape.classes = classesOf(list);
      raw.work.unpackings.push_back(unpacking);
    }
    if (raw.change)
      raw.work.change = {classOf(raw.change->first),
                         classOf(raw.change->second)};
    problem.works.push_back(std::move(raw.work));
  }
  for (auto &[value, list] : ids)
    result.values[value] = classesOf(list);
  for (auto &[operand, list] : changed)
    result.changes[operand] = classesOf(list);
  return result;
}

FailureOr<ModuleClasses> partition::classify(ModuleOp module) {
  ClassReader reader;
  if (failed(reader.read(module)))
    return failure();
  return reader.finish();
}
