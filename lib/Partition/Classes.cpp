// Which dimensions are split alike. Dimensions that are on one loop of some op
// are joined; two loops of one op are kept apart, so that no axis ever splits
// both. Where joining would merge two that are apart (the tokens of BERT as
// queries and as keys), the operand gets a change of layout in front of it and
// a class of its own for that dimension.
//
// Weights and states join across entries: they lie in one place.

#include "ClassReader.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;

Ids &Reader::getIds(Value value) {
  auto [it, isNew] = ids.try_emplace(value);
  if (isNew)
    if (auto type = dyn_cast<ShapedType>(value.getType()))
      for (int64_t d = 0; d < type.getRank(); ++d)
        it->second.push_back(dims.get(value, d));
  return it->second;
}

bool Reader::clash(DimId a, DimId b) {
  a = dims.find(a);
  b = dims.find(b);
  auto it = apart.find(a);
  return it != apart.end() && it->second.count(b) != 0;
}

/// Joins two dimensions unless they are apart.
bool Reader::join(DimId a, DimId b) {
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

void Reader::keepApart(DimId a, DimId b) {
  a = dims.find(a);
  b = dims.find(b);
  apart[a].insert(b);
  apart[b].insert(a);
}

DimId Reader::addChange(Operation *op, unsigned operand, Ids &operandIds,
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

RawWork &Reader::use(Operation *op, ArrayRef<unsigned> operands,
                     ArrayRef<Loops> maps, const Loops &resultMap,
                     ArrayRef<int> reductions) {
  std::map<int, DimId> loops; // loop -> a dimension of its class
  SmallVector<Ids> used;
  std::string name = op->getName().getStringRef().str();
  for (auto [k, operand] : llvm::enumerate(operands)) {
    Ids operandIds = getIds(op->getOperand(operand));
    for (auto [d, loop] : llvm::enumerate(maps[k])) {
      DimId id = operandIds[d];
      auto it = loops.find(loop);
      bool conflict = it != loops.end() && clash(it->second, id);
      for (const auto &[other, representative] : loops)
        conflict |= other != loop && dims.find(representative) == dims.find(id);
      if (conflict)
        id = addChange(op, operand, operandIds, d);
      if (it != loops.end())
        join(it->second, id);
      else
        loops[loop] = id;
      roles[id].insert(name + std::to_string(k) + "." + std::to_string(d) +
                       "/" + getShapeText(op->getOperand(operand)));
    }
    used.push_back(std::move(operandIds));
  }
  if (op->getNumResults() == 1 && isa<ShapedType>(op->getResult(0).getType())) {
    Ids &resultIds = getIds(op->getResult(0));
    for (auto [d, loop] : llvm::enumerate(resultMap)) {
      auto it = loops.find(loop);
      if (it != loops.end())
        join(it->second, resultIds[d]);
      else
        loops[loop] = resultIds[d];
      roles[resultIds[d]].insert(name + "=" + std::to_string(d) + "/" +
                                 getShapeText(op->getResult(0)));
    }
  }
  for (auto i = loops.begin(); i != loops.end(); ++i)
    for (auto j = loops.begin(); j != i; ++j)
      keepApart(i->second, j->second);

  RawWork raw;
  raw.work.tripCount = tripCount;
  raw.work.scope = scope;
  for (const auto &[loop, id] : loops)
    (llvm::is_contained(reductions, loop) ? raw.reduction : raw.parallel)
        .push_back(id);
  for (auto [k, operand] : llvm::enumerate(operands)) {
    Value value = op->getOperand(operand);
    auto it = producer.find(value);
    if (it != producer.end())
      raw.work.producers.push_back(it->second);
    // Weights and states are counted where they stay.
    if (!value.getDefiningOp<wafer::ParameterOp>() &&
        !value.getDefiningOp<wafer::StateOp>() &&
        !value.getDefiningOp<wafer::AppendOp>())
      raw.buffers.emplace_back(getBytes(value), used[k]);
  }
  if (op->getNumResults() == 1 && !isa<wafer::AppendOp>(op)) {
    raw.buffers.emplace_back(getBytes(op->getResult(0)),
                             getIds(op->getResult(0)));
    producer[op->getResult(0)] = static_cast<int>(works.size());
  }
  works.push_back(std::move(raw));
  return works.back();
}

LogicalResult Reader::readRepeat(wafer::RepeatOp op) {
  auto joinAll = [&](Value a, Value b) {
    for (auto [x, y] : llvm::zip(Ids(getIds(a)), Ids(getIds(b))))
      join(x, y);
  };
  Block *body = op.getBodyBlock();
  for (auto [init, argument, result] :
       llvm::zip(op.getInits(), body->getArguments(), op.getResults())) {
    joinAll(init, argument);
    joinAll(argument, result);
    auto it = producer.find(init);
    if (it != producer.end())
      producer[argument] = it->second;
  }
  int64_t outerTripCount = tripCount;
  int outerScope = scope;
  tripCount *= op.getTripCount();
  scope = ++scopes;
  if (failed(readBlock(*body)))
    return failure();
  // A trip ends with what the next begins with: a value whose dimensions play
  // other roles by then is changed at the end of the trip.
  for (auto [i, value] : llvm::enumerate(op.getYield().getValues())) {
    Ids begins = getIds(body->getArgument(i)), ends = getIds(value);
    for (auto [d, id] : llvm::enumerate(begins))
      if (!join(id, ends[d]))
        join(id, addChange(op.getYield(), i, ends, d));
    auto it = producer.find(value);
    if (it != producer.end())
      producer[op.getResult(i)] = it->second;
  }
  tripCount = outerTripCount;
  scope = outerScope;
  return success();
}

LogicalResult Reader::readStored(Operation *op, ArrayAttr names) {
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
    entry.repeated = op->getParentOfType<wafer::RepeatOp>() != nullptr;
    entry.shape.elementBytes = getBytes(value);
    stored.emplace_back(entry, getIds(value));
  }
  return success();
}

LogicalResult Reader::readOp(Operation *op) {
  if (auto generic = dyn_cast<linalg::GenericOp>(op))
    return readGeneric(generic), success();
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op))
    return readSlice(slice), success();
  if (auto concat = dyn_cast<tensor::ConcatOp>(op))
    return readConcat(concat), success();
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    return readExpand(expand), success();
  if (auto append = dyn_cast<wafer::AppendOp>(op))
    return readAppend(append), success();
  if (auto repeat = dyn_cast<wafer::RepeatOp>(op))
    return readRepeat(repeat);
  if (auto parameter = dyn_cast<wafer::ParameterOp>(op))
    return readStored(op, parameter.getWeights());
  if (auto state = dyn_cast<wafer::StateOp>(op))
    return readStored(op, state.getNames());
  if (auto lookup = dyn_cast<wafer::LookupOp>(op))
    return readLookup(lookup), success();
  if (isa<wafer::InputOp, wafer::PositionOp, wafer::IotaOp, wafer::OutputOp,
          tensor::EmptyOp, linalg::FillOp, arith::ConstantOp, wafer::YieldOp>(
          op)) {
    for (Value result : op->getResults())
      getIds(result);
    return success();
  }
  return op->emitError() << "'" << op->getName()
                         << "' has no rule for partitioning: express it by "
                            "linalg.generic";
}

LogicalResult Reader::readBlock(Block &block) {
  for (Operation &op : block)
    if (!isa<func::ReturnOp>(op) && failed(readOp(&op)))
      return failure();
  return success();
}

LogicalResult Reader::read(ModuleOp module) {
  for (auto entry : module.getOps<func::FuncOp>()) {
    scope = ++scopes;
    if (failed(readBlock(entry.getBody().front())))
      return failure();
  }
  return success();
}

ModuleClasses Reader::finish() {
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
  Reader reader;
  if (failed(reader.read(module)))
    return failure();
  return reader.finish();
}
