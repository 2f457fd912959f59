// The facts of a whole program and of its entries: where they stand, and what
// must hold between them.

#include "waferloom/Dialect/Wafer/HostInputs.h"
#include "waferloom/Dialect/Wafer/Packed.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::wafer;

//===----------------------------------------------------------------------===//
// Looking up
//===----------------------------------------------------------------------===//

ProgramOp wafer::getProgram(Operation *op) {
  auto module = dyn_cast<ModuleOp>(op);
  if (!module)
    module = op->getParentOfType<ModuleOp>();
  // The verifier has it stand first, so that nobody has to search.
  if (!module || module.getBody()->empty())
    return {};
  return dyn_cast<ProgramOp>(module.getBody()->front());
}

EntryOp wafer::getEntry(Operation *function) {
  ProgramOp program = getProgram(function);
  return program ? program.getEntryOf(
                       SymbolTable::getSymbolName(function).getValue())
                 : EntryOp();
}

RegionAttr wafer::getRegion(Operation *op) {
  ProgramOp program = getProgram(op);
  return program ? program.getPesAttr() : RegionAttr();
}

StagesAttr wafer::getStages(Operation *op) {
  ProgramOp program = getProgram(op);
  if (StagesAttr stages = program ? program.getStagesAttr() : StagesAttr())
    return stages;
  return StagesAttr::get(op->getContext(), 1, 1);
}

TargetAttr wafer::getTarget(Operation *op) {
  auto module = dyn_cast<ModuleOp>(op);
  if (!module)
    module = op->getParentOfType<ModuleOp>();
  return module ? module->getAttrOfType<TargetAttr>(WaferDialect::targetName)
                : TargetAttr();
}

ProgramOp ProgramOp::getOrCreate(ModuleOp module) {
  if (ProgramOp program = getProgram(module))
    return program;
  OpBuilder builder = OpBuilder::atBlockBegin(module.getBody());
  return ProgramOp::create(builder, module.getLoc(), IntegerAttr(),
                           RegionAttr(), StagesAttr(), KindAttr(), ArrayAttr(),
                           ArrayAttr(), ArrayAttr());
}

EntryOp ProgramOp::getEntryOf(StringRef function) {
  for (EntryOp entry : getEntries())
    if (!entry.isStreamed() && entry.getFunction() == function)
      return entry;
  return {};
}

SmallVector<EntryOp> ProgramOp::getStreamed(StringRef function) {
  return llvm::filter_to_vector(getEntries(), [&](EntryOp entry) {
    return entry.isStreamed() && entry.getFunction() == function;
  });
}

EntryOp ProgramOp::addEntry(StringRef name, StringRef function,
                            int64_t tokens) {
  if (getBody().empty())
    getBody().emplaceBlock();
  OpBuilder builder = OpBuilder::atBlockEnd(&getBody().front());
  return EntryOp::create(builder, getLoc(), name, function, tokens,
                         /*from=*/0, IntegerAttr(), DictionaryAttr(),
                         DictionaryAttr(), DictionaryAttr());
}

std::optional<ArrayRef<int64_t>> EntryOp::getShape(StringRef name) {
  DictionaryAttr shapes = getShapesAttr();
  auto shape = shapes ? shapes.getAs<DenseI64ArrayAttr>(name) : nullptr;
  if (!shape)
    return std::nullopt;
  return shape.asArrayRef();
}

std::optional<size_t> EntryOp::getTokenDim(StringRef input) {
  DictionaryAttr dims = getPerTokenAttr();
  auto dim = dims ? dims.getAs<IntegerAttr>(input) : nullptr;
  if (!dim)
    return std::nullopt;
  return static_cast<size_t>(dim.getInt());
}

//===----------------------------------------------------------------------===//
// Verifying
//===----------------------------------------------------------------------===//

LogicalResult WaferDialect::verifyOperationAttribute(Operation *op,
                                                     NamedAttribute named) {
  const StringRef name = named.getName();
  if (auto weight = dyn_cast<WeightOp>(op); weight && name == keptName)
    return weight.getBlocks() && isa<UnitAttr>(named.getValue())
               ? success()
               : op->emitError("is wafer.kept but has no integers in a file");
  if ((isa<WeightOp>(op) && name == roundName) ||
      (isa<WeightOp, ParameterOp>(op) && name == halvesName))
    return isa<UnitAttr>(named.getValue())
               ? success()
               : op->emitError() << "attribute '" << name << "' has no value";
  if (!isa<ModuleOp>(op) || (name != targetName && name != optionsName))
    return op->emitError() << "attribute '" << name
                           << "' is neither the wafer.target nor the "
                              "wafer.options of a module";
  if (name == targetName && !isa<TargetAttr>(named.getValue()))
    return op->emitError() << "wafer.target is a #wafer.target, not "
                           << named.getValue();
  if (name == optionsName && !isa<DictionaryAttr>(named.getValue()))
    return op->emitError() << "wafer.options is a dictionary, not "
                           << named.getValue();
  return success();
}

LogicalResult TargetAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 StringAttr name, DictionaryAttr figures) {
  if (name.empty())
    return emitError() << "a target has a name";
  if (figures)
    for (NamedAttribute figure : figures)
      if (!isa<IntegerAttr, FloatAttr>(figure.getValue()) &&
          figure.getName() != "defects") // which are lists
        return emitError() << "figure '" << figure.getName().getValue()
                           << "' of a target is a number, not "
                           << figure.getValue();
  return success();
}

LogicalResult EntryOp::verify() {
  if (getUntil() && *getUntil() <= getFrom())
    return emitOpError() << "is for steps from " << getFrom()
                         << " tokens on and until " << *getUntil()
                         << ", so for none";
  if (DictionaryAttr shapes = getShapesAttr())
    for (NamedAttribute shape : shapes)
      if (!isa<DenseI64ArrayAttr>(shape.getValue()))
        return emitOpError() << "says of '" << shape.getName().getValue()
                             << "' no shape, which is an array<i64: ...>, but "
                             << shape.getValue();
  if (DictionaryAttr ones = getOnesAttr())
    for (NamedAttribute input : ones) {
      auto type = dyn_cast<TypeAttr>(input.getValue());
      auto tensor =
          type ? dyn_cast<RankedTensorType>(type.getValue()) : nullptr;
      if (!tensor || !tensor.hasStaticShape())
        return emitOpError()
               << "has the input '" << input.getName().getValue()
               << "' of ones, whose type is not that of a tensor but "
               << input.getValue();
    }
  if (failed(verifyHostInputs(*this)))
    return failure();
  if (!isStreamed())
    return success();
  for (NamedAttribute dim : getPerTokenAttr()) {
    StringRef name = dim.getName().getValue();
    auto number = dyn_cast<IntegerAttr>(dim.getValue());
    auto shape = getShape(name);
    if (!shape)
      return emitOpError() << "counts tokens of '" << name
                           << "', of which it has no shape";
    if (!number || number.getInt() < 0 ||
        number.getInt() >= static_cast<int64_t>(shape->size()) ||
        (*shape)[static_cast<size_t>(number.getInt())] !=
            static_cast<int64_t>(getTokens()))
      return emitOpError() << "counts " << getTokens() << " tokens of '" << name
                           << "' by dimension " << dim.getValue()
                           << ", which its shape does not have";
  }
  return success();
}

LogicalResult EntryOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto module = getOperation()->getParentOfType<ModuleOp>();
  if (!symbols.lookupSymbolIn<func::FuncOp>(module, getFunctionAttr()))
    return emitOpError() << "runs " << getFunctionAttr()
                         << ", which is no function of this module";
  return success();
}

/// A streamed entry against the one whose code it runs.
static LogicalResult verifyStreamed(EntryOp entry, EntryOp one) {
  if (!one)
    return entry.emitOpError()
           << "streams tokens through " << entry.getFunctionAttr()
           << ", which has no entry of its own";
  InFlightDiagnostic error = entry.emitOpError("streams tokens through ");
  error << entry.getFunctionAttr();
  if (one.getTokens() != 1)
    return error << ", which takes " << one.getTokens() << ", not one";
  if (!shareHostInputs(one, entry))
    return error << " but has other inputs for the host";
  if (one.getFrom() != entry.getFrom() || one.getUntil() != entry.getUntil())
    return error << " but is for other steps of a session";
  DictionaryAttr shapes = entry.getShapesAttr(), others = one.getShapesAttr();
  if (!shapes || !others || shapes.size() != others.size())
    return error << " but knows other shapes";
  for (NamedAttribute shape : others) {
    auto mine = entry.getShape(shape.getName());
    SmallVector<int64_t> expected(
        cast<DenseI64ArrayAttr>(shape.getValue()).asArrayRef());
    if (auto dim = entry.getTokenDim(shape.getName());
        dim && *dim < expected.size() && expected[*dim] == 1)
      expected[*dim] = static_cast<int64_t>(entry.getTokens());
    if (!mine || *mine != ArrayRef<int64_t>(expected))
      return error << " but has another shape of '"
                   << shape.getName().getValue() << "'";
  }
  error.abandon();
  return success();
}

LogicalResult ProgramOp::verifyRegions() {
  if ((*this)->getPrevNode())
    return emitOpError("stands behind other ops of its module; it is the "
                       "first");
  if (getStagesAttr() && !getPesAttr() && !getKind())
    return emitOpError("has stages but no region that they are copies of");
  if (getKind() && !getStagesAttr())
    return emitOpError("is of one kind of stages but says not of how many");
  if (getKind() && getStagesAttr().getStrips() != 1)
    return emitOpError("is of one kind of stages in several strips; those of "
                       "unlike shapes stand in one");
  llvm::StringSet<> names;
  llvm::StringMap<EntryOp> owners, streamed;
  for (Operation &op : getBody().getOps()) {
    auto entry = dyn_cast<EntryOp>(op);
    if (!entry)
      return op.emitOpError("stands in a wafer.program, which has nothing but "
                            "wafer.entry");
    if (!names.insert(entry.getName()).second)
      return entry.emitOpError() << "has the name of another entry";
    if (!entry.isStreamed() &&
        !owners.try_emplace(entry.getFunction(), entry).second)
      return entry.emitOpError()
             << "runs " << entry.getFunctionAttr()
             << ", as another entry does, and has no per_token";
    if (auto context = getContextAttr())
      if (static_cast<int64_t>(entry.getTokens()) > context.getInt())
        return entry.emitOpError()
               << "takes " << entry.getTokens() << " tokens but states hold "
               << context.getInt();
  }
  for (EntryOp entry : getEntries()) {
    if (!entry.isStreamed())
      continue;
    auto first = streamed.try_emplace(entry.getFunction(), entry).first;
    if (first->second.getPerTokenAttr() != entry.getPerTokenAttr())
      return entry.emitOpError()
             << "counts tokens by other dimensions than another entry of "
             << entry.getFunctionAttr();
    if (failed(verifyStreamed(entry, owners.lookup(entry.getFunction()))))
      return failure();
  }
  return success();
}
