//===- Codegen.cpp - From per-PE tensors to a wafer image -----------------===//
//
// One idea: memory first, then programs. What all entries share is laid out
// once from address 0; every entry's program is written against it; then each
// entry gets addresses for its own buffers above. If the fullest PE does not
// fit, the programs are written again with less scratch (slower sequences), and
// only then refused.
//
//===----------------------------------------------------------------------===//

#include "Program.h"

#include "waferloom/Image/Programs.h"

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

struct ImageEmitter {
  ImageEmitter(ModuleOp module, const image::TargetT &target, target::Fit &fit)
      : module(module), target(target), fit(fit) {}

  ModuleOp module;
  const image::TargetT &target;
  target::Fit &fit;
  Image result;
  SmallVector<func::FuncOp> functions;
  SmallVector<EntryOf> entries;
  wafer::RegionAttr region;
  wafer::StagesAttr stages;
  fabric::RectAttr place;
  fabric::QueuesAttr queues;

  LogicalResult findEntries();
  LogicalResult layShared(Shared &shared);
  LogicalResult layShared(Shared &shared, wafer::StageSet stageSet,
                          target::Fit &part);
  LogicalResult emitPrograms(Shared &shared, Names &names, Budget budget,
                             image::RegionT &out, int64_t &memory);
  LogicalResult describe();
  void refuse();
};
} // namespace

LogicalResult ImageEmitter::findEntries() {
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

LogicalResult ImageEmitter::layShared(Shared &shared) {
  // What all stages hold lies first; then what only some do.
  using wafer::StageSet;
  target::Fit parts[3];
  for (func::FuncOp func : functions) {
    auto stageSets = wafer::getStageSets(func);
    func.walk([&](Operation *op) {
      if (isa<wafer::ParameterOp, wafer::StateOp, wafer::IotaOp>(op))
        shared.use(op, wafer::lookup(stageSets, op));
    });
  }
  for (StageSet stageSet : {StageSet::All, StageSet::First, StageSet::Others})
    if (failed(
            layShared(shared, stageSet, parts[static_cast<size_t>(stageSet)])))
      return failure();
  // The fullest stage has these besides.
  bool first = shared.laid(StageSet::First) >= shared.laid(StageSet::Others);
  const target::Fit &other =
      parts[static_cast<size_t>(first ? StageSet::First : StageSet::Others)];
  fit.weights = parts[0].weights + other.weights;
  fit.states = parts[0].states + other.states;
  fit.tables = parts[0].tables + other.tables;
  return success();
}

LogicalResult ImageEmitter::layShared(Shared &shared, wafer::StageSet stageSet,
                                      target::Fit &part) {
  int64_t before = shared.laid(stageSet);
  auto grown = [&] {
    return shared.laid(stageSet) - std::exchange(before, shared.laid(stageSet));
  };
  auto hold = [&](ArrayAttr names, int64_t bytes) {
    for (Attribute name : names)
      fit.held.push_back({isa<StringAttr>(name)
                              ? cast<StringAttr>(name).getValue().str()
                              : cast<FlatSymbolRefAttr>(name).getValue().str(),
                          bytes});
  };
  for (func::FuncOp func : functions) {
    WalkResult walked = func.walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (auto repeat = dyn_cast<wafer::RepeatOp>(op)) {
        if (failed(shared.layTrips(repeat, stageSet)))
          return WalkResult::interrupt();
        part.weights += grown();
        return WalkResult::advance();
      }
      if (shared.stageSetOf(op) != stageSet)
        return WalkResult::advance();
      if (auto parameter = dyn_cast<wafer::ParameterOp>(op)) {
        bool isNew = !shared.isKnown(parameter);
        FailureOr<LocalShard> shard = shared.parameter(parameter);
        if (failed(shard))
          return WalkResult::interrupt();
        part.weights += grown();
        if (isNew)
          hold(parameter.getWeights(), shard->bytes);
      } else if (auto state = dyn_cast<wafer::StateOp>(op)) {
        FailureOr<LocalShard> shard = shared.state(state);
        if (failed(shard))
          return WalkResult::interrupt();
        if (int64_t bytes = grown()) {
          part.states += bytes;
          hold(state.getNames(), shard->bytes);
        }
      } else if (auto iota = dyn_cast<wafer::IotaOp>(op)) {
        if (failed(shared.iota(iota)))
          return WalkResult::interrupt();
      } else if (auto slice = dyn_cast<wafer::SliceOp>(op)) {
        shared.coordinate(slice.getAxes().getAxes());
      } else if (auto put = dyn_cast<fabric::PutOp>(op)) {
        FailureOr<SmallVector<wafer::Axis>> axes = shared.axesOf(put);
        if (failed(axes))
          return WalkResult::interrupt();
        shared.coordinate(*axes);
      } else if (auto append = dyn_cast<wafer::AppendOp>(op)) {
        if (auto state = append.getState().getDefiningOp<wafer::StateOp>())
          if (auto layout = state->getAttrOfType<wafer::LayoutAttr>("layout"))
            shared.coordinate(
                layout.getDim(static_cast<int64_t>(append.getDim())).getAxes());
      }
      part.tables += grown();
      return WalkResult::advance();
    });
    if (walked.wasInterrupted())
      return failure();
  }
  return success();
}

LogicalResult ImageEmitter::emitPrograms(Shared &shared, Names &names,
                                         Budget budget, image::RegionT &out,
                                         int64_t &memory) {
  CollectiveEmitter collectives(region.getWidth(), region.getHeight(), stages,
                                target);
  memory = shared.bytes();
  llvm::DenseMap<Operation *, uint32_t> codeOf;
  for (EntryOf &entry : entries) {
    ProgramEmitter program(entry.func, entry.stream, shared, collectives, names,
                           target, budget);
    if (failed(program.run()))
      return failure();
    memory = std::max(memory, program.emitter.allocate(
                                  shared.bytes(),
                                  budget.spreadOverBanks ? &target : nullptr));
    program.bindAddresses();
    auto made = std::make_unique<image::ProgramT>();
    made->instructions = program.emitter.finish();
    made->inputs = std::move(program.inputs);
    made->outputs = std::move(program.outputs);
    auto [code, fresh] = codeOf.try_emplace(entry.func, out.programs.size());
    made->shares = fresh ? 0 : code->second + 1;
    out.programs.push_back(std::move(made));
    collectives.nextProgram();
  }
  SmallVector<image::ProgramT *> programs;
  for (auto &program : out.programs)
    programs.push_back(program.get());
  for (auto [binding, holder] :
       llvm::zip_equal(shared.bindings, shared.holders)) {
    Guard guard = holder.stage ? collectives.guardOf(*holder.stage)
                               : collectives.guardOf(holder.stageSet);
    binding->columns = guard.columns;
    binding->rows = guard.rows;
  }
  if (llvm::Error error = collectives.finish(out, queues, programs))
    return module.emitError() << llvm::toString(std::move(error));
  return success();
}

static image::EntryInputT inputOf(const image::BindingT &binding,
                                  wafer::InputOp op) {
  image::EntryInputT input;
  input.name = binding.name;
  if (!op) {
    input.fallback = image::Default::position;
    return input;
  }
  input.limit = static_cast<uint32_t>(op.getLimit());
  if (auto least = op->getAttrOfType<IntegerAttr>("least"))
    input.least = static_cast<int32_t>(least.getInt());
  input.fallback = llvm::StringSwitch<image::Default>(op.getFallback())
                       .Case("position", image::Default::position)
                       .Case("positions", image::Default::positions)
                       .Case("ones", image::Default::ones)
                       .Case("length", image::Default::length)
                       .Default(image::Default::required);
  return input;
}

/// The tensor as the model's user knows it.
static std::unique_ptr<image::TensorInfoT>
describeTensor(Operation *op, StringRef name, ShapedType local,
               image::Role role, EntryOf &entry) {
  auto info = std::make_unique<image::TensorInfoT>();
  info->name = name.str();
  info->role = role;
  info->type = local.getElementType().isF32()   ? Word::f32
               : local.getElementType().isF16() ? Word::f16
                                                : Word::i32;
  mlir::Type host = local.getElementType();
  if (auto attr = op->getAttrOfType<TypeAttr>("host_type"))
    host = attr.getValue();
  info->source_bool = host.isInteger(1);
  info->source_int64 = host.isInteger(64);
  ArrayRef<int64_t> shape =
      entry.facts.getShape(name).value_or(local.getShape());
  info->shape.assign(shape.begin(), shape.end());
  return info;
}

/// Inputs that no PE reads: the host takes them and checks that they are ones.
static void describeLengthMasks(wafer::EntryOp facts, image::EntryT &entry) {
  DictionaryAttr masks = facts.getOnesAttr();
  if (!masks)
    return;
  for (NamedAttribute mask : masks) {
    auto shaped = cast<ShapedType>(cast<TypeAttr>(mask.getValue()).getValue());
    auto input = std::make_unique<image::EntryInputT>();
    input->name = mask.getName().str();
    input->fallback = image::Default::only_ones;
    entry.inputs.push_back(std::move(input));
    auto info = std::make_unique<image::TensorInfoT>();
    info->name = mask.getName().str();
    info->role = image::Role::input;
    info->type = Word::i32;
    info->source_bool = shaped.getElementType().isInteger(1);
    info->source_int64 = shaped.getElementType().isInteger(64);
    info->shape.assign(shaped.getShape().begin(), shaped.getShape().end());
    entry.tensors.push_back(std::move(info));
  }
}

/// Inputs of the model that no entry reads: callers may give them.
static void describeIgnored(wafer::ProgramOp program, image::EntryT &entry) {
  ArrayAttr inputs = program.getInputsAttr();
  if (!inputs)
    return;
  for (auto facts : inputs.getAsRange<wafer::ModelTensorAttr>()) {
    StringRef name = facts.getName().getValue();
    if (llvm::any_of(entry.inputs,
                     [&](const auto &input) { return input->name == name; }))
      continue;
    auto input = std::make_unique<image::EntryInputT>();
    input->name = name.str();
    input->fallback = image::Default::ignored;
    entry.inputs.push_back(std::move(input));
  }
}

LogicalResult ImageEmitter::describe() {
  image::ImageT &out = result.image;
  for (auto [of, program] :
       llvm::zip_equal(entries, out.regions.front()->programs)) {
    func::FuncOp func = of.func;
    EntryOf &mine = of;
    auto entry = std::make_unique<image::EntryT>();
    entry->name = mine.name().str();
    entry->tokens = static_cast<uint32_t>(mine.stream.tokens);
    llvm::StringMap<wafer::InputOp> inputs;
    llvm::StringSet<> fed;
    func.walk([&](Operation *op) {
      if (auto input = dyn_cast<wafer::InputOp>(op)) {
        inputs[input.getName()] = input;
        entry->tensors.push_back(describeTensor(
            op, input.getName(), input.getType(), image::Role::input, mine));
      } else if (auto output = dyn_cast<wafer::OutputOp>(op)) {
        entry->tensors.push_back(describeTensor(
            op, output.getName(), cast<ShapedType>(output.getValue().getType()),
            image::Role::output, mine));
        if (output.getFeeds() && mine.stream.tokens == 1)
          fed.insert(*output.getFeeds());
      } else if (auto state = dyn_cast<wafer::StateOp>(op)) {
        for (auto name : state.getNames().getAsRange<StringAttr>())
          entry->tensors.push_back(describeTensor(
              op, name.getValue(), state.getType(), image::Role::state, mine));
      }
    });
    for (const auto &tensor : entry->tensors)
      for (auto *list : {&program->inputs, &program->outputs})
        for (auto &binding : *list)
          if (binding->name == tensor->name && binding->role == tensor->role) {
            binding->source_bool = tensor->source_bool;
            binding->source_int64 = tensor->source_int64;
          }
    for (const auto &binding : program->inputs) {
      entry->inputs.push_back(std::make_unique<image::EntryInputT>(
          inputOf(*binding, inputs.lookup(binding->name))));
      entry->inputs.back()->fed = fed.contains(binding->name);
    }
    describeLengthMasks(mine.facts, *entry);
    describeIgnored(wafer::getProgram(module), *entry);
    out.entries.push_back(std::move(entry));
  }
  if (auto capacity = wafer::getProgram(module).getContext())
    out.capacity = static_cast<uint32_t>(*capacity);
  for (auto weight : module.getOps<wafer::WeightOp>()) {
    out.parameters += cast<ShapedType>(weight.getType()).getNumElements();
    out.shape_only |= !weight.getFile() && !weight.getValue();
  }
  return success();
}

void ImageEmitter::refuse() {
  InFlightDiagnostic diag = module.emitError()
                            << "needs " << fit.total()
                            << " bytes of SRAM on the fullest PE of "
                            << region.getWidth() << " by " << region.getHeight()
                            << " but '" << target.name << "' has " << fit.limit;
  diag.attachNote() << "weights " << fit.weights << ", states " << fit.states
                    << ", tables " << fit.tables << ", buffers " << fit.buffers
                    << ", code " << fit.code << ", reserved " << fit.reserved
                    << " bytes";
}

FailureOr<Image> codegen::emitImage(ModuleOp module,
                                    const image::TargetT &target,
                                    target::Fit &fit) {
  ImageEmitter state(module, target, fit);
  fit = target::Fit();
  fit.limit = target.sram_bytes;
  fit.reserved = target.reserved_bytes;
  image::ImageT &out = state.result.image;
  out.producer = "waferloom";
  out.target = std::make_unique<image::TargetT>(target);
  if (failed(state.findEntries()))
    return failure();
  Shared shared(state.region, module, state.result);
  if (failed(state.layShared(shared)))
    return failure();
  Names names(out);

  // Speed first; then, as far as memory asks for it, bytes.
  constexpr Budget budgets[] = {
      {16384, true, 16, true},  {16384, true, 16, false},
      {16384, true, 4, false},  {16384, true, 0, false},
      {16384, false, 0, false}, {4096, true, 0, false},
      {4096, false, 0, false},  {1024, false, 0, false},
      {0, false, 0, false}};
  for (Budget budget : budgets) {
    auto region = std::make_unique<image::RegionT>();
    region->x = static_cast<uint32_t>(state.place.getX());
    region->y = static_cast<uint32_t>(state.place.getY());
    region->width = static_cast<uint32_t>(state.place.getWidth());
    region->height = static_cast<uint32_t>(state.place.getHeight());
    region->stages_x = static_cast<uint32_t>(state.stages.getColumns());
    region->stages_y = static_cast<uint32_t>(state.stages.getRows());
    int64_t memory = 0;
    if (failed(state.emitPrograms(shared, names, budget, *region, memory)))
      return failure();
    fit.buffers = memory - shared.bytes();
    fit.code = static_cast<int64_t>(image::codeBytes(*region, target));
    region->memory = static_cast<uint32_t>(memory);
    if (fit.total() > fit.limit)
      continue;
    region->bindings = std::move(shared.bindings);
    out.regions.push_back(std::move(region));
    if (failed(state.describe()))
      return failure();
    placeSources(out);
    return std::move(state.result);
  }
  state.refuse();
  return failure();
}
