//===- Convert.cpp - From per-PE tensors to programs ----------------------===//
//
// One idea: memory first, then programs, addresses last. Each stage has a
// region. What all entries share becomes buffers of the region; every entry's
// program is written against them and has buffers of its own. Passes on core
// then give addresses.
//
//===----------------------------------------------------------------------===//

#include "Convert.h"
#include "HostInputs.h"
#include "Program.h"
#include "waferloom/Dialect/Wafer/HostInputs.h"
#include "waferloom/Format/HostType.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"

#include <set>

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

/// What some stages have in common.
struct KindOf {
  ModuleOp module;
  SmallVector<func::FuncOp> functions = {};
  SmallVector<EntryOf> entries = {};
  wafer::RegionAttr region = {};
  fabric::RectAttr place = {}; // of its stages
  fabric::QueuesAttr queues = {};
};

class Conversion {
public:
  Conversion(ModuleOp module, const image::TargetT &target, Budget budget)
      : module(module), target(target), budget(budget),
        builder(OpBuilder::atBlockEnd(module.getBody())) {}

  FailureOr<core::ImageOp> run();

private:
  LogicalResult findEntries(KindOf &kind);
  LogicalResult checkPlace(KindOf &kind);
  LogicalResult checkMessages();
  void createImage();
  /// The regions of the stages of a kind.
  LogicalResult emitKind(KindOf &kind);
  /// The region of a stage, with its programs.
  LogicalResult emitStage(KindOf &kind, SymbolTable &symbols, Stage stage);
  LogicalResult emitPrograms(KindOf &kind, Stage stage, core::RegionOp out,
                             const SymbolNames &names, Shared &shared,
                             CollectiveEmitter &collectives,
                             SmallVectorImpl<core::ProgramOp> &programs);
  /// The entry of the image that is number `index` of every kind's.
  void describe(size_t index);
  void describeTensors(size_t index);
  Type outputType(StringRef name);
  void describeHostTensors(wafer::EntryOp facts);
  void createTensor(core::Role role, StringRef name, ArrayRef<int64_t> shape,
                    Type type, Type host, bool isWhole);

  ModuleOp module;
  const image::TargetT &target;
  Budget budget;
  OpBuilder builder;
  SmallVector<KindOf> kinds;
  core::ImageOp image;
  std::optional<Sources> sources;
};
} // namespace

LogicalResult Conversion::findEntries(KindOf &kind) {
  for (auto func : kind.module.getOps<func::FuncOp>())
    if (wafer::getEntry(func))
      kind.functions.push_back(func);
  if (kind.functions.empty())
    return kind.module.emitError("has no wafer.entry that runs a function");
  wafer::ProgramOp program = wafer::getProgram(kind.module);
  kind.region = program.getPesAttr();
  if (!kind.region)
    return program.emitOpError("has no region");
  for (func::FuncOp func : kind.functions) {
    const size_t first = kind.entries.size();
    SmallVector<wafer::EntryOp> all = program.getStreamed(func.getName());
    all.insert(all.begin(), wafer::getEntry(func));
    for (wafer::EntryOp entry : all)
      kind.entries.push_back(
          {func, {static_cast<int64_t>(entry.getTokens())}, entry});
    int64_t most = 1;
    for (EntryOf &entry : llvm::drop_begin(kind.entries, first))
      most = std::max(most, entry.stream.tokens);
    if (kind.entries.size() > first + 1)
      for (EntryOf &entry : llvm::drop_begin(kind.entries, first))
        entry.stream.most = most;
  }
  llvm::sort(kind.entries, [](EntryOf a, EntryOf b) {
    // What the first steps of a session run stands behind what all others run.
    auto isEarly = [](EntryOf entry) {
      return entry.facts.getUntil().has_value();
    };
    return std::tuple(isEarly(a), a.stream.tokens, a.name()) <
           std::tuple(isEarly(b), b.stream.tokens, b.name());
  });
  return checkPlace(kind);
}

/// Where stage `index` begins, by the place of the kind.
static std::pair<int64_t, int64_t> cornerOf(const KindOf &kind, int64_t index) {
  wafer::ProgramOp program = wafer::getProgram(kind.module);
  auto [x, y] = wafer::getOffset(program, index);
  auto [left, top] =
      wafer::getOffset(program, wafer::getStagesOfKind(program).first);
  return {kind.place.getX() + x - left, kind.place.getY() + y - top};
}

LogicalResult Conversion::checkPlace(KindOf &kind) {
  wafer::ProgramOp program = wafer::getProgram(kind.module);
  for (func::FuncOp func : kind.functions) {
    // What kinds give each other is looked at in both.
    if (!program.getKind() && failed(wafer::verifyStages(func)))
      return failure();
    auto at = fabric::getPlace(func);
    auto by = func->getAttrOfType<fabric::QueuesAttr>(
        fabric::FabricDialect::queuesName);
    if (!at || !by)
      return func.emitOpError("has no place on the fabric or no queues: "
                              "placement and routing come before");
    if (kind.place && (kind.place != at || kind.queues != by))
      return func.emitOpError("has another place or other queues than the "
                              "other entries");
    kind.place = at;
    kind.queues = by;
  }
  auto [width, height] = wafer::getExtents(program);
  fabric::RectAttr place = kind.place;
  if (place.getWidth() != width || place.getHeight() != height)
    return kind.functions.front().emitOpError()
           << "is placed on " << place.getWidth() << " by " << place.getHeight()
           << " PEs but its stages take " << width << " by " << height;
  // From here on all functions stand on the same PEs.
  if (place.getX() + place.getWidth() > target.width ||
      place.getY() + place.getHeight() > target.height)
    return kind.functions.front().emitOpError()
           << "is placed on " << place << " but target '" << target.name
           << "' has " << target.width << " by " << target.height << " PEs";
  return success();
}

/// The words that a function of one kind gives other stages, and that it takes.
static std::pair<int64_t, int64_t> wordsOf(func::FuncOp func) {
  int64_t sent = 0, taken = 0;
  func.walk([&](fabric::StageStreamOpInterface op) {
    for (Value value : op->getOperands())
      sent += cast<ShapedType>(value.getType()).getNumElements();
    for (Value value : op->getResults())
      taken += cast<ShapedType>(value.getType()).getNumElements();
  });
  return {sent, taken};
}

LogicalResult Conversion::checkMessages() {
  if (kinds.size() == 1)
    return success();
  auto [x, y] = wafer::getOffset(wafer::getProgram(kinds[1].module), 1);
  const auto begins = cornerOf(kinds[0], 0), follows = cornerOf(kinds[1], 1);
  if (follows != std::pair(begins.first + x, begins.second + y))
    return kinds[1].functions.front().emitOpError()
           << "is placed on " << kinds[1].place
           << ", which does not follow the place of the ends, "
           << kinds[0].place;
  for (auto [a, b] : llvm::zip_equal(kinds[0].entries, kinds[1].entries)) {
    auto [out, back] = wordsOf(a.func);
    auto [in, on] = wordsOf(b.func);
    if (out != back || out != in || out != on || !out)
      return a.func.emitOpError()
             << "sends " << out << " words and takes " << back
             << " back, where stages of layers send " << in << " and take "
             << on;
  }
  return success();
}

void Conversion::createImage() {
  auto capacity = static_cast<int64_t>(
      wafer::getProgram(kinds.front().module).getContext().value_or(0));
  int64_t parameters = 0;
  bool isShapeOnly = false;
  llvm::StringSet<> known; // kinds may share some
  for (KindOf &kind : kinds)
    for (auto weight : kind.module.getOps<wafer::WeightOp>()) {
      if (weight.getPart() || !known.insert(weight.getSymName()).second)
        continue;
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
Conversion::emitPrograms(KindOf &kind, Stage stage, core::RegionOp out,
                         const SymbolNames &names, Shared &shared,
                         CollectiveEmitter &collectives,
                         SmallVectorImpl<core::ProgramOp> &programs) {
  llvm::DenseMap<Operation *, StringRef> codeOf;
  for (EntryOf &entry : kind.entries) {
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

LogicalResult Conversion::emitStage(KindOf &kind, SymbolTable &symbols,
                                    Stage stage) {
  auto number = [&](int64_t value) { return builder.getI64IntegerAttr(value); };
  const auto [x, y] = cornerOf(kind, stage.index);
  wafer::RegionAttr region = kind.region;
  builder.setInsertionPointToEnd(&image.getBody().front());
  auto out = core::RegionOp::create(
      builder, builder.getUnknownLoc(), number(x), number(y),
      number(region.getWidth()), number(region.getHeight()),
      builder.getArrayAttr({}), builder.getArrayAttr({}), IntegerAttr(),
      DenseI64ArrayAttr());
  builder.createBlock(&out.getBody());
  if (!sources)
    sources.emplace(out);
  SymbolNames names;
  Shared shared(region, stage, symbols, *sources, out, names, budget, target);
  CollectiveEmitter collectives(region.getWidth(), region.getHeight(),
                                kind.queues, target, names);
  for (func::FuncOp func : kind.functions)
    if (failed(shared.lay(func)))
      return failure();
  SmallVector<core::ProgramOp> programs;
  if (failed(
          emitPrograms(kind, stage, out, names, shared, collectives, programs)))
    return failure();
  collectives.finish(out, programs);
  return success();
}

void Conversion::createTensor(core::Role role, StringRef name,
                              ArrayRef<int64_t> shape, Type type, Type host,
                              bool isWhole) {
  core::TensorOp::create(builder, builder.getUnknownLoc(),
                         core::RoleAttr::get(builder.getContext(), role),
                         builder.getStringAttr(name),
                         builder.getDenseI64ArrayAttr(shape),
                         TypeAttr::get(type), TypeAttr::get(host),
                         isWhole ? builder.getUnitAttr() : UnitAttr());
}

/// Dimension 1 of an input or output as the file declares it; null if it has
/// none.
static Attribute declaredTokens(wafer::ModelTensorAttr facts) {
  ArrayAttr shape = facts.getShape();
  return shape.size() < 2 ? Attribute() : shape[1];
}

/// Outputs that have one element in dimension 1 in the file, however many
/// tokens a step has: the model itself takes the last token.
static llvm::StringSet<> wholeOutputs(ModuleOp module) {
  wafer::ProgramOp program = wafer::getProgram(module);
  llvm::StringSet<> whole;
  ArrayAttr inputs = program.getInputsAttr();
  if (!inputs || !program.getOutputsAttr() ||
      llvm::none_of(inputs.getAsRange<wafer::ModelTensorAttr>(),
                    [](wafer::ModelTensorAttr facts) {
                      return isa_and_nonnull<StringAttr>(declaredTokens(facts));
                    }))
    return whole;
  for (auto facts :
       program.getOutputsAttr().getAsRange<wafer::ModelTensorAttr>())
    if (auto size = dyn_cast_or_null<IntegerAttr>(declaredTokens(facts));
        size && size.getInt() == 1)
      whole.insert(facts.getName().getValue());
  return whole;
}

/// The element type of an output of the model; null if it is none of its.
Type Conversion::outputType(StringRef name) {
  if (ArrayAttr outputs =
          wafer::getProgram(kinds.front().module).getOutputsAttr())
    for (auto facts : outputs.getAsRange<wafer::ModelTensorAttr>())
      if (facts.getName() == name)
        return facts.getType();
  return nullptr;
}

/// The tensors as the model's user knows them.
void Conversion::describeTensors(size_t index) {
  EntryOf &entry = kinds.front().entries[index];
  std::set<std::pair<core::Role, StringRef>> known;
  llvm::StringSet<> whole = wholeOutputs(kinds.front().module);
  wafer::ProgramOp program = wafer::getProgram(kinds.front().module);
  auto describe = [&](Operation *op, core::Role role, StringRef name,
                      ShapedType local) {
    if (!known.insert({role, name}).second && kinds.size() > 1)
      return; // kinds may read the same

    Type element = local.getElementType(), host = hostTypeOf(op, local);
    if (!element.isF32() && !element.isF16())
      element = builder.getI32Type();
    Type model = role == core::Role::output ? outputType(name) : Type();
    if (model && model.isF16() && element.isF32())
      element = host = model;
    if (model && model.isSignlessInteger(64) && element.isInteger(32))
      host = model;
    if (auto given = op->getAttrOfType<TypeAttr>("host_type"))
      model = given.getValue();
    if (model && !hostNameOf(model).empty())
      host = model;
    if (!hostNameOf(host).empty() && isa<FloatType>(host))
      element = builder.getF32Type();
    ArrayRef<int64_t> shape =
        entry.facts.getShape(name).value_or(local.getShape());
    createTensor(role, name, shape, element, host,
                 role == core::Role::output
                     ? whole.contains(name)
                     : role == core::Role::input &&
                           isWholeInput(program, name, shape));
  };
  auto describeOp = [&](Operation *op) {
    if (auto input = dyn_cast<wafer::InputOp>(op))
      describe(op, core::Role::input, input.getName(), input.getType());
    else if (auto output = dyn_cast<wafer::OutputOp>(op))
      describe(op, core::Role::output, output.getName(),
               cast<ShapedType>(output.getValue().getType()));
    else if (auto state = dyn_cast<wafer::StateOp>(op))
      for (auto name : state.getNames().getAsRange<StringAttr>())
        describe(op, core::Role::state, name.getValue(), state.getType());
  };
  for (KindOf &kind : kinds)
    kind.entries[index].func.walk(describeOp);
}

/// The arrays of inputs that no PE reads.
void Conversion::describeHostTensors(wafer::EntryOp facts) {
  for (const wafer::HostInput &input : wafer::getHostInputs(facts)) {
    Type host = input.type.getElementType();
    if (!host.isInteger(1) && !host.isInteger(64))
      host = builder.getI32Type();
    createTensor(core::Role::input, input.name, input.type.getShape(),
                 builder.getI32Type(), host, /*isWhole=*/false);
  }
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

void Conversion::describe(size_t index) {
  EntryOf &mine = kinds.front().entries[index];
  Location loc = builder.getUnknownLoc();
  builder.setInsertionPoint(*image.getBody().getOps<core::RegionOp>().begin());
  auto entry = core::EntryOp::create(
      builder, loc, builder.getStringAttr(mine.name()),
      builder.getI64IntegerAttr(mine.stream.tokens),
      builder.getI64IntegerAttr(static_cast<int64_t>(mine.facts.getFrom())),
      builder.getI64IntegerAttr(
          static_cast<int64_t>(mine.facts.getUntil().value_or(0))));
  builder.createBlock(&entry.getBody());
  llvm::StringMap<wafer::InputOp> inputs;
  llvm::StringSet<> fed;
  for (KindOf &kind : kinds)
    kind.entries[index].func.walk([&](Operation *op) {
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
  createHostInputs(builder, mine.facts);
  createIgnored(builder, entry, wafer::getProgram(kinds.front().module));
  describeTensors(index);
  describeHostTensors(mine.facts);
}

LogicalResult Conversion::emitKind(KindOf &kind) {
  SymbolTable symbols(kind.module);
  auto [first, end] = wafer::getStagesOfKind(kind.functions.front());
  const bool hasAll = end - first == 1 || wafer::getKind(kind.module);
  for (int64_t index = first; index < end; ++index) {
    using wafer::StageSet;
    const StageSet runs = hasAll       ? StageSet::All
                          : index == 0 ? StageSet::First
                                       : StageSet::Others;
    if (failed(emitStage(kind, symbols, {runs, index})))
      return failure();
  }
  return success();
}

FailureOr<core::ImageOp> Conversion::run() {
  if (failed(wafer::verifyKinds(module)))
    return failure();
  for (ModuleOp part : wafer::getKinds(module))
    kinds.push_back({part});
  for (KindOf &kind : kinds)
    if (failed(findEntries(kind)))
      return failure();
  if (failed(checkMessages()))
    return failure();
  createImage();
  for (KindOf &kind : kinds)
    if (failed(emitKind(kind))) {
      image.erase();
      return failure();
    }
  for (size_t index = 0; index < kinds.front().entries.size(); ++index)
    describe(index);
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
