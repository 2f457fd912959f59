//===- Convert.cpp - From per-PE tensors to programs ----------------------===//
//
// One idea: memory first, then programs, addresses last. Each stage has a
// region. What all entries share becomes buffers of the region; every entry's
// program is written against them and has buffers of its own. Passes on core
// then give addresses.
//
//===----------------------------------------------------------------------===//

#include "Convert.h"
#include "Program.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::codegen;

namespace {
/// An entry of the image: a function, or one for one token through which
/// several stream.
struct EntryOf {
  func::FuncOp func;
  Stream stream;
  wafer::EntryOp facts;

  StringRef name() { return facts.getName(); }
};

class Conversion {
public:
  Conversion(ModuleOp module, const image::TargetT &target, Budget budget)
      : module(module), target(target), budget(budget),
        builder(OpBuilder::atBlockEnd(module.getBody())), symbols(module) {}

  FailureOr<core::ImageOp> run();

private:
  LogicalResult findEntries();
  void createImage();
  /// The region of a stage, with its programs.
  LogicalResult emitStage(Stage stage);
  LogicalResult emitPrograms(Stage stage, core::RegionOp out,
                             const SymbolNames &names, Shared &shared,
                             CollectiveEmitter &collectives,
                             SmallVectorImpl<core::ProgramOp> &programs);
  void describe(EntryOf &entry);
  void describeTensors(EntryOf &entry);
  void describeIgnored(core::EntryOp entry);
  void describeLengthMasks(wafer::EntryOp facts, bool tensors);
  void createTensor(core::Role role, StringRef name, ArrayRef<int64_t> shape,
                    Type type, Type host);

  ModuleOp module;
  const image::TargetT &target;
  Budget budget;
  OpBuilder builder;
  SmallVector<func::FuncOp> functions;
  SmallVector<EntryOf> entries;
  wafer::RegionAttr region;
  wafer::StagesAttr stages;
  fabric::RectAttr place;
  fabric::QueuesAttr queues;
  core::ImageOp image;
  SymbolTable symbols;
  std::optional<Sources> sources;
};
} // namespace

LogicalResult Conversion::findEntries() {
  for (auto func : module.getOps<func::FuncOp>())
    if (wafer::getEntry(func))
      functions.push_back(func);
  if (functions.empty())
    return module.emitError("has no wafer.entry that runs a function");
  wafer::ProgramOp program = wafer::getProgram(module);
  region = program.getPesAttr();
  stages = wafer::getStages(program);
  if (!region)
    return program.emitOpError("has no region");
  for (func::FuncOp func : functions) {
    const size_t first = entries.size();
    SmallVector<wafer::EntryOp> all = program.getStreamed(func.getName());
    all.insert(all.begin(), wafer::getEntry(func));
    for (wafer::EntryOp entry : all)
      entries.push_back(
          {func, {static_cast<int64_t>(entry.getTokens())}, entry});
    int64_t most = 1;
    for (EntryOf &entry : llvm::drop_begin(entries, first))
      most = std::max(most, entry.stream.tokens);
    if (entries.size() > first + 1)
      for (EntryOf &entry : llvm::drop_begin(entries, first))
        entry.stream.most = most;
  }
  llvm::sort(entries, [](EntryOf a, EntryOf b) {
    return std::pair(a.stream.tokens, a.name()) <
           std::pair(b.stream.tokens, b.name());
  });
  for (func::FuncOp func : functions) {
    if (failed(wafer::verifyStages(func)))
      return failure();
    auto at = fabric::getPlace(func);
    auto by = func->getAttrOfType<fabric::QueuesAttr>(
        fabric::FabricDialect::queuesName);
    if (!at || !by)
      return func.emitOpError("has no place on the fabric or no queues: "
                              "placement and routing come before");
    if (place && (place != at || queues != by))
      return func.emitOpError("has another place or other queues than the "
                              "other entries");
    place = at;
    queues = by;
  }
  auto [width, height] = wafer::getExtents(region, stages);
  if (place.getWidth() != width || place.getHeight() != height)
    return functions.front().emitOpError()
           << "is placed on " << place.getWidth() << " by " << place.getHeight()
           << " PEs but its stages take " << width << " by " << height;
  // From here on all functions stand on the same PEs.
  if (place.getX() + place.getWidth() > target.width ||
      place.getY() + place.getHeight() > target.height)
    return functions.front().emitOpError()
           << "is placed on " << place << " but target '" << target.name
           << "' has " << target.width << " by " << target.height << " PEs";
  return success();
}

void Conversion::createImage() {
  auto capacity =
      static_cast<int64_t>(wafer::getProgram(module).getContext().value_or(0));
  int64_t parameters = 0;
  bool isShapeOnly = false;
  for (auto weight : module.getOps<wafer::WeightOp>()) {
    parameters += cast<ShapedType>(weight.getType()).getNumElements();
    isShapeOnly |= !weight.getFile() && !weight.getValue();
  }
  Location loc = builder.getUnknownLoc();
  auto number = [&](int64_t value) { return builder.getI64IntegerAttr(value); };
  image = core::ImageOp::create(
      builder, loc, builder.getStringAttr(target.name), number(capacity),
      number(parameters), isShapeOnly ? builder.getUnitAttr() : UnitAttr());
  builder.createBlock(&image.getBody());
}

LogicalResult
Conversion::emitPrograms(Stage stage, core::RegionOp out,
                         const SymbolNames &names, Shared &shared,
                         CollectiveEmitter &collectives,
                         SmallVectorImpl<core::ProgramOp> &programs) {
  llvm::DenseMap<Operation *, StringRef> codeOf;
  for (EntryOf &entry : entries) {
    builder.setInsertionPointToEnd(&out.getBody().front());
    auto [code, fresh] = codeOf.try_emplace(entry.func, entry.name());
    auto program = core::ProgramOp::create(
        builder, builder.getUnknownLoc(), builder.getStringAttr(entry.name()),
        fresh ? StringAttr() : builder.getStringAttr(code->second));
    builder.createBlock(&program.getBody());
    programs.push_back(program);
    if (failed(ProgramEmitter(entry.func, entry.stream, stage, program, names,
                              shared, collectives, target, budget)
                   .run()))
      return failure();
    collectives.nextProgram();
  }
  return success();
}

LogicalResult Conversion::emitStage(Stage stage) {
  auto number = [&](int64_t value) { return builder.getI64IntegerAttr(value); };
  const auto [column, row] = wafer::getStagePlace(stages, stage.index);
  builder.setInsertionPointToEnd(&image.getBody().front());
  auto out = core::RegionOp::create(
      builder, builder.getUnknownLoc(),
      number(place.getX() + column * region.getWidth()),
      number(place.getY() + row * region.getHeight()),
      number(region.getWidth()), number(region.getHeight()),
      builder.getArrayAttr({}), builder.getArrayAttr({}), IntegerAttr(),
      DenseI64ArrayAttr());
  builder.createBlock(&out.getBody());
  if (!sources)
    sources.emplace(out);
  SymbolNames names;
  Shared shared(region, stage, symbols, *sources, out, names, budget, target);
  CollectiveEmitter collectives(region.getWidth(), region.getHeight(), queues,
                                target, names);
  for (func::FuncOp func : functions)
    if (failed(shared.lay(func)))
      return failure();
  SmallVector<core::ProgramOp> programs;
  if (failed(emitPrograms(stage, out, names, shared, collectives, programs)))
    return failure();
  collectives.finish(out, programs);
  return success();
}

void Conversion::createTensor(core::Role role, StringRef name,
                              ArrayRef<int64_t> shape, Type type, Type host) {
  core::TensorOp::create(builder, builder.getUnknownLoc(),
                         core::RoleAttr::get(builder.getContext(), role),
                         builder.getStringAttr(name),
                         builder.getDenseI64ArrayAttr(shape),
                         TypeAttr::get(type), TypeAttr::get(host));
}

/// The tensors as the model's user knows them.
void Conversion::describeTensors(EntryOf &entry) {
  auto describe = [&](Operation *op, core::Role role, StringRef name,
                      ShapedType local) {
    Type element = local.getElementType();
    if (!element.isF32() && !element.isF16())
      element = builder.getI32Type();
    createTensor(role, name,
                 entry.facts.getShape(name).value_or(local.getShape()), element,
                 hostTypeOf(op, local));
  };
  entry.func.walk([&](Operation *op) {
    if (auto input = dyn_cast<wafer::InputOp>(op))
      describe(op, core::Role::input, input.getName(), input.getType());
    else if (auto output = dyn_cast<wafer::OutputOp>(op))
      describe(op, core::Role::output, output.getName(),
               cast<ShapedType>(output.getValue().getType()));
    else if (auto state = dyn_cast<wafer::StateOp>(op))
      for (auto name : state.getNames().getAsRange<StringAttr>())
        describe(op, core::Role::state, name.getValue(), state.getType());
  });
}

/// Inputs that no PE reads: the host takes them and checks that they are ones.
void Conversion::describeLengthMasks(wafer::EntryOp facts, bool tensors) {
  DictionaryAttr masks = facts.getOnesAttr();
  if (!masks)
    return;
  for (NamedAttribute mask : masks) {
    auto shaped = cast<ShapedType>(cast<TypeAttr>(mask.getValue()).getValue());
    Type host = shaped.getElementType();
    if (!host.isInteger(1) && !host.isInteger(64))
      host = builder.getI32Type();
    if (tensors)
      createTensor(core::Role::input, mask.getName(), shaped.getShape(),
                   builder.getI32Type(), host);
    else
      core::InputOp::create(builder, builder.getUnknownLoc(), mask.getName(),
                            core::FallbackAttr::get(builder.getContext(),
                                                    core::Fallback::only_ones),
                            builder.getI64IntegerAttr(0),
                            builder.getI64IntegerAttr(0), UnitAttr());
  }
}

/// Inputs of the model that no entry reads: callers may give them.
void Conversion::describeIgnored(core::EntryOp entry) {
  ArrayAttr inputs = wafer::getProgram(module).getInputsAttr();
  if (!inputs)
    return;
  for (auto facts : inputs.getAsRange<wafer::ModelTensorAttr>())
    if (llvm::none_of(entry.getBody().getOps<core::InputOp>(),
                      [&](core::InputOp input) {
                        return input.getNameAttr() == facts.getName();
                      }))
      core::InputOp::create(builder, builder.getUnknownLoc(), facts.getName(),
                            core::FallbackAttr::get(builder.getContext(),
                                                    core::Fallback::ignored),
                            builder.getI64IntegerAttr(0),
                            builder.getI64IntegerAttr(0), UnitAttr());
}

/// The least value that an input may have.
static int64_t leastOf(wafer::InputOp input) {
  return input ? static_cast<int64_t>(input.getLeast().value_or(0)) : 0;
}

/// The bindings of inputs of the programs of `entry`, of all regions.
static SmallVector<core::BindOp> inputsOf(core::ImageOp image,
                                          StringRef entry) {
  SmallVector<core::BindOp> inputs;
  for (auto region : image.getBody().getOps<core::RegionOp>())
    for (auto program : region.getBody().getOps<core::ProgramOp>())
      if (program.getEntry() == entry)
        for (auto bind : program.getBody().getOps<core::BindOp>())
          if (bind.getRole() == core::Role::input)
            inputs.push_back(bind);
  return inputs;
}

void Conversion::describe(EntryOf &mine) {
  Location loc = builder.getUnknownLoc();
  builder.setInsertionPoint(*image.getBody().getOps<core::RegionOp>().begin());
  auto entry =
      core::EntryOp::create(builder, loc, builder.getStringAttr(mine.name()),
                            builder.getI64IntegerAttr(mine.stream.tokens));
  builder.createBlock(&entry.getBody());
  llvm::StringMap<wafer::InputOp> inputs;
  llvm::StringSet<> fed;
  mine.func.walk([&](Operation *op) {
    if (auto input = dyn_cast<wafer::InputOp>(op))
      inputs[input.getName()] = input;
    else if (auto output = dyn_cast<wafer::OutputOp>(op))
      if (output.getFeeds() && mine.stream.tokens == 1)
        fed.insert(*output.getFeeds());
  });
  llvm::StringSet<> described; // several stages may read one
  for (core::BindOp bind : inputsOf(image, mine.name())) {
    if (!described.insert(bind.getName()).second)
      continue;
    wafer::InputOp input = inputs.lookup(bind.getName());
    core::Fallback fallback = input
                                  ? core::symbolizeFallback(input.getFallback())
                                        .value_or(core::Fallback::required)
                                  : core::Fallback::position;
    core::InputOp::create(
        builder, loc, bind.getNameAttr(),
        core::FallbackAttr::get(builder.getContext(), fallback),
        builder.getI64IntegerAttr(input ? static_cast<int64_t>(input.getLimit())
                                        : 0),
        builder.getI64IntegerAttr(leastOf(input)),
        fed.contains(bind.getName()) ? builder.getUnitAttr() : UnitAttr());
  }
  describeLengthMasks(mine.facts, /*tensors=*/false);
  describeIgnored(entry);
  describeTensors(mine);
  describeLengthMasks(mine.facts, /*tensors=*/true);
}

FailureOr<core::ImageOp> Conversion::run() {
  if (failed(findEntries()))
    return failure();
  createImage();
  const int64_t count = stages.getCount();
  for (int64_t index = 0; index < count; ++index) {
    using wafer::StageSet;
    const StageSet runs = count == 1   ? StageSet::All
                          : index == 0 ? StageSet::First
                                       : StageSet::Others;
    if (failed(emitStage({runs, index}))) {
      image.erase();
      return failure();
    }
  }
  for (EntryOf &entry : entries)
    describe(entry);
  return image;
}

FailureOr<core::ImageOp> codegen::convertToCore(ModuleOp module,
                                                const image::TargetT &target,
                                                Budget budget) {
  return Conversion(module, target, budget).run();
}

void codegen::keepOnly(ModuleOp module, core::ImageOp image) {
  for (Operation &op : llvm::make_early_inc_range(*module.getBody()))
    if (&op != image)
      op.erase();
}
