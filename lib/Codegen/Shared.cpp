#include "Shared.h"
#include "Orders.h"
#include "waferloom/Codegen/Codegen.h"
#include "waferloom/Dialect/Wafer/Packed.h"
#include "waferloom/Target/Resources.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::codegen;

FailureOr<wafer::LayoutAttr> codegen::layoutOf(Operation *op) {
  auto layout = op->getAttrOfType<wafer::LayoutAttr>("layout");
  if (!layout)
    return op->emitOpError("has no layout: it is not at the level of one PE");
  if (layout.isPartial() || (layout.hasRoot() && !isa<wafer::OutputOp>(op)))
    return op->emitOpError("lies on only some PEs of the region, which code "
                           "generation does not know yet");
  return layout;
}

std::pair<int64_t, int64_t> Stage::tripsOf(wafer::RepeatOp repeat) const {
  if (index > 0 &&
      repeat == wafer::getSharedRepeat(repeat->getParentOfType<func::FuncOp>()))
    return wafer::getTrips(repeat, index);
  return {0, static_cast<int64_t>(repeat.getTripCount())};
}

LocalShard Shared::reserve(core::Use use, StringRef hint, int64_t bytes,
                           int64_t tripCount) {
  MLIRContext *context = builder.getContext();
  int64_t step = target::shardBytes(bytes, 1);
  FlatSymbolRefAttr name = names.take(context, hint);
  core::BufferOp::create(
      builder, builder.getUnknownLoc(), core::UseAttr::get(context, use),
      name.getAttr(), builder.getI64IntegerAttr(step * tripCount),
      IntegerAttr(), IntegerAttr(), FlatSymbolRefAttr(), FlatSymbolRefAttr());
  return {name, 0, step, step, {}};
}

void Shared::extend(FlatSymbolRefAttr name, int64_t bytes) {
  for (auto buffer : builder.getBlock()->getOps<core::BufferOp>())
    if (buffer.getSymNameAttr() == name.getAttr())
      buffer.setBytes(std::max(buffer.getBytes(), uint64_t(bytes)));
}

std::pair<size_t, size_t> Shared::tripsHeld(Operation *op, size_t count) const {
  auto repeat = op->getParentOfType<wafer::RepeatOp>();
  if (!repeat || count != repeat.getTripCount())
    return {0, count};
  auto [first, end] = stage.tripsOf(repeat);
  return {static_cast<size_t>(first), static_cast<size_t>(end)};
}

void Shared::bind(core::Role role, StringRef name, const Layout &layout,
                  const LocalShard &shard, std::optional<uint32_t> source,
                  int64_t sourceOffset) {
  createBind(builder, role, name, layout, shard.buffer, shard.offset, source,
             sourceOffset);
}

core::BindOp codegen::createBind(OpBuilder &builder, core::Role role,
                                 StringRef name, const Layout &layout,
                                 FlatSymbolRefAttr buffer, int64_t offset,
                                 std::optional<uint32_t> source,
                                 int64_t sourceOffset) {
  MLIRContext *context = builder.getContext();
  SmallVector<Attribute> dims(layout.dims.begin(), layout.dims.end());
  return core::BindOp::create(
      builder, builder.getUnknownLoc(), core::RoleAttr::get(context, role),
      builder.getStringAttr(name), TypeAttr::get(typeOf(context, layout.type)),
      buffer, builder.getI64IntegerAttr(offset), TypeAttr::get(layout.hostType),
      builder.getArrayAttr(dims), builder.getI64IntegerAttr(0),
      source ? builder.getI64IntegerAttr(*source) : IntegerAttr(),
      builder.getI64IntegerAttr(sourceOffset), core::PackingAttr(),
      FlatSymbolRefAttr(), FlatSymbolRefAttr());
}

static core::DigitAttr encode(MLIRContext *context, wafer::Axis axis,
                              wafer::RegionAttr region) {
  return core::DigitAttr::get(
      context, axis.direction == wafer::Axis::X ? core::Axis::x : core::Axis::y,
      region.getSize(axis), region.getStride(axis));
}

static core::DigitAttr localDigit(MLIRContext *context, int64_t extent) {
  return core::DigitAttr::get(context, core::Axis::none, extent, 1);
}

core::DimAttr codegen::wholeDim(MLIRContext *context, int64_t live,
                                int64_t sourceStride, int64_t extent) {
  return core::DimAttr::get(context, live, sourceStride,
                            localDigit(context, extent));
}

FailureOr<Layout> Shared::layout(Operation *op, ShapedType local) {
  FailureOr<wafer::LayoutAttr> layout = layoutOf(op);
  FailureOr<Word> type = wordType(op, local.getElementType());
  if (failed(layout) || failed(type))
    return failure();
  MLIRContext *context = op->getContext();
  Layout made;
  made.type = *type;
  made.hostType = typeOf(context, *type);
  int64_t stride = 1;
  for (int64_t i = local.getRank(); i-- > 0;) {
    wafer::DimAttr dim = layout->getDim(i);
    int64_t padded = local.getDimSize(i) * region.getSize(dim.getAxes());
    SmallVector<core::DigitAttr> digits;
    for (wafer::Digit digit : dim.resolve(padded, region))
      digits.push_back(digit.isAxis() ? encode(context, digit.axis, region)
                                      : localDigit(context, digit.extent));
    const int64_t live = dim.getLiveSize(padded);
    made.dims.insert(made.dims.begin(),
                     core::DimAttr::get(context, live, stride, digits));
    stride *= live;
  }
  return made;
}

/// A computed weight as words of the machine: every integer is an i32.
static DenseElementsAttr inWords(DenseElementsAttr value) {
  auto type = cast<ShapedType>(value.getType());
  mlir::Type element = type.getElementType();
  if (isa<FloatType>(element) || element.isInteger(32))
    return value;
  SmallVector<int32_t> words;
  for (const APInt &number : value.getValues<APInt>())
    words.push_back(static_cast<int32_t>(
        element.isInteger(1) ? number.getZExtValue() : number.getSExtValue()));
  return DenseElementsAttr::get(
      type.clone(IntegerType::get(value.getContext(), 32)), ArrayRef(words));
}

/// How the file packs the numbers of `weight`, if it does.
core::BlocksAttr codegen::blocksOf(wafer::WeightOp weight) {
  wafer::BlocksAttr blocks = weight.getBlocksAttr();
  if (!blocks || !weight.getFile())
    return {};
  return core::BlocksAttr::get(weight.getContext(), blocks.getFormat(),
                               blocks.getScalesFile(), blocks.getScalesAt(),
                               blocks.getZerosFile(), blocks.getZerosAt());
}

/// Whether the image holds f16, as the wafer does, where the file has f32.
static bool narrowed(Word inFile, Word stored, wafer::WeightOp weight) {
  return inFile == Word::f32 && stored == Word::f16 && !weight.getValue();
}

FailureOr<uint32_t> Sources::get(wafer::WeightOp weight, Word stored) {
  auto [it, fresh] = known.try_emplace(weight.getSymName(),
                                       static_cast<uint32_t>(known.size()));
  if (!fresh)
    return it->second;
  auto type = cast<ShapedType>(weight.getType());
  FailureOr<Word> word = wordType(weight, type.getElementType());
  if (failed(word))
    return failure();
  auto value = dyn_cast_or_null<DenseElementsAttr>(weight.getValueAttr());
  if (!value && (!type.getElementType().isIntOrFloat() ||
                 type.getElementTypeBitWidth() != bytesOf(*word) * 8))
    return weight.emitOpError()
           << "has elements of type " << type.getElementType()
           << ", which cannot be read from a file";
  StringAttr name = point.getStringAttr(weight.getSymName());
  Location loc = point.getUnknownLoc();
  if (value) {
    core::SourceOp::create(point, loc, name, inWords(value), IntegerAttr(),
                           StringAttr(), IntegerAttr(), UnitAttr(),
                           core::BlocksAttr(), core::PackedPartAttr());
    return it->second;
  }
  const bool narrows = narrowed(*word, stored, weight);
  const int64_t bytes =
      type.getNumElements() * bytesOf(narrows ? Word::f16 : *word);
  core::SourceOp::create(
      point, loc, name, ElementsAttr(), point.getI64IntegerAttr(bytes),
      weight.getFileAttr(),
      // Without a file there are no bytes, and the image is shape only.
      weight.getFile() ? point.getI64IntegerAttr(weight.getOffset())
                       : IntegerAttr(),
      narrows && weight.getFile() ? point.getUnitAttr() : UnitAttr(),
      blocksOf(weight), core::PackedPartAttr());
  return it->second;
}

Shared::Key Shared::keyOf(Operation *op) {
  Type type = op->getNumResults() == 1 ? op->getResult(0).getType() : Type();
  return {op->getName().getAsOpaquePointer(),
          op->getAttrDictionary().getAsOpaquePointer(),
          type.getAsOpaquePointer()};
}

bool Shared::isTable(wafer::ParameterOp op) {
  if (!tables) {
    tables.emplace();
    op->getParentOfType<ModuleOp>().walk([&](wafer::ParameterOp other) {
      if (isLookedUp(other))
        tables->insert(keyOf(other));
    });
  }
  return tables->contains(keyOf(op));
}

LogicalResult Shared::layTrips(wafer::RepeatOp op) {
  struct Laid {
    std::vector<Key> keys;
    int64_t step = 0;
  };
  // As numbers, packed, and those of which only rows are read, which nobody
  // copies with what the whole trip needs.
  Laid all[3];
  const StringRef names[3] = {"layers", "packed_layers", "layers_of_rows"};
  for (auto parameter : op.getBodyBlock()->getOps<wafer::ParameterOp>()) {
    Key key = keyOf(parameter);
    if (parameter.getWeights().size() != op.getTripCount() || known.count(key))
      continue;
    auto [it, isNew] = reserved.try_emplace(key);
    if (!isNew)
      continue;
    FailureOr<int64_t> bytes = bytesOfShard(parameter);
    FailureOr<std::optional<PackedShard>> isPacked = packed(parameter);
    if (failed(bytes) || failed(isPacked))
      return failure();
    Laid &into = all[isPacked->has_value() ? 1 : isTable(parameter) ? 2 : 0];
    it->second = {{}, into.step, *bytes, 0, {}};
    into.step += *bytes;
    into.keys.push_back(key);
  }
  auto [first, end] = stage.tripsOf(op);
  for (auto [laid, name] : llvm::zip_equal(all, names)) {
    if (laid.keys.empty())
      continue;
    LocalShard whole =
        reserve(core::Use::parameter, name, laid.step, end - first);
    for (const Key &key : laid.keys) {
      reserved[key].buffer = whole.buffer;
      reserved[key].step = laid.step;
    }
  }
  return success();
}

LogicalResult Shared::lay(func::FuncOp func) {
  auto stageSets = wafer::getStageSets(func);
  WalkResult walked = func.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (op == func)
      return WalkResult::advance();
    const wafer::StageSet runs = wafer::lookup(stageSets, op);
    LogicalResult done = success();
    if (runs != wafer::StageSet::All && runs != stage.runs)
      return WalkResult::skip();
    if (auto repeat = dyn_cast<wafer::RepeatOp>(op))
      done = layTrips(repeat);
    else
      done = layOne(op);
    return failed(done) ? WalkResult::interrupt() : WalkResult::advance();
  });
  return failure(walked.wasInterrupted());
}

LogicalResult Shared::layOne(Operation *op) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](wafer::ParameterOp op) {
        return success(succeeded(parameter(op)));
      })
      .Case([&](wafer::StateOp op) { return success(succeeded(state(op))); })
      .Case([&](wafer::IotaOp op) { return success(succeeded(iota(op))); })
      .Case([&](wafer::SliceOp op) {
        coordinate(op.getAxes().getAxes());
        return success();
      })
      .Case([&](fabric::PutOp op) -> LogicalResult {
        FailureOr<SmallVector<wafer::Axis>> axes = axesOf(op);
        if (failed(axes))
          return failure();
        coordinate(*axes);
        return success();
      })
      .Case([&](wafer::AppendOp op) -> LogicalResult {
        if (patchOf(op, budget, target) && failed(slotNumbers(op)))
          return failure();
        if (auto state = op.getState().getDefiningOp<wafer::StateOp>())
          if (auto layout = state->getAttrOfType<wafer::LayoutAttr>("layout"))
            coordinate(
                layout.getDim(static_cast<int64_t>(op.getDim())).getAxes());
        return success();
      })
      .Default([](Operation *) { return success(); });
}

/// The first of the names of a parameter or state.
static StringRef firstName(ArrayAttr names) {
  if (names.empty())
    return "";
  if (auto symbol = dyn_cast<FlatSymbolRefAttr>(names[0]))
    return symbol.getValue();
  return cast<StringAttr>(names[0]).getValue();
}

FailureOr<LocalShard>
Shared::layOnce(Operation *op,
                llvm::function_ref<FailureOr<LocalShard>(Layout &)> lay) {
  const Key key = keyOf(op);
  if (auto it = known.find(key); it != known.end())
    return it->second;
  FailureOr<Layout> lies =
      layout(op, cast<ShapedType>(op->getResult(0).getType()));
  if (failed(lies))
    return failure();
  FailureOr<LocalShard> shard = lay(*lies);
  if (succeeded(shard))
    known[key] = *shard;
  return shard;
}

FailureOr<LocalShard> Shared::parameter(wafer::ParameterOp op) {
  return layOnce(op, [&](const Layout &lies) -> FailureOr<LocalShard> {
    auto [first, end] = tripsHeld(op, op.getWeights().size());
    FailureOr<int64_t> bytes = bytesOfShard(op);
    FailureOr<std::optional<PackedShard>> isPacked = packed(op);
    if (failed(bytes) || failed(isPacked))
      return failure();
    auto perTrip = reserved.find(keyOf(op));
    LocalShard shard =
        perTrip != reserved.end()
            ? perTrip->second
            : reserve(core::Use::parameter, firstName(op.getWeights()), *bytes,
                      static_cast<int64_t>(end - first));
    SmallVector<core::DimAttr> dims = lies.dims;
    if (!*isPacked && isOnlyLookedUp(op)) {
      const SmallVector<int64_t> order = orderOf(op, true, budget, target);
      shard.strides =
          stridesIn(order, cast<ShapedType>(op.getType()).getShape());
      dims = llvm::map_to_vector(order,
                                 [&](int64_t dim) { return lies.dims[dim]; });
    }
    LocalShard place = shard;
    for (size_t trip = first; trip < end; ++trip, place.offset += place.step) {
      auto name = cast<FlatSymbolRefAttr>(op.getWeights()[trip]);
      auto weight = symbols.lookup<wafer::WeightOp>(name.getValue());
      if (!weight)
        return op.emitOpError()
               << "names " << name << ", which is not a weight";
      if (*isPacked) {
        bindPacked(op, weight, lies, **isPacked, place);
        continue;
      }
      wafer::PartAttr part = weight.getPartAttr();
      wafer::WeightOp whole = wafer::getWhole(symbols, name);
      FailureOr<uint32_t> from = sources.get(whole, lies.type);
      if (failed(from))
        return failure();
      Word inFile =
          *wordType(op, cast<ShapedType>(weight.getType()).getElementType());
      Layout mine = lies;
      if (!narrowed(inFile, lies.type, whole))
        mine.hostType = typeOf(op.getContext(), inFile);
      mine.dims = dimsInWhole(dims, part);
      bind(core::Role::parameter, name.getValue(), mine, place, *from,
           part ? part.getAt() : 0);
    }
    return shard;
  });
}

FailureOr<LocalShard> Shared::state(wafer::StateOp op) {
  return layOnce(op, [&](Layout &lies) -> FailureOr<LocalShard> {
    auto [first, end] = tripsHeld(op, op.getNames().size());
    auto type = cast<ShapedType>(op.getType());
    LocalShard shard = reserve(core::Use::state, firstName(op.getNames()),
                               type.getNumElements() * bytesOf(lies.type),
                               static_cast<int64_t>(end - first));
    const SmallVector<int64_t> order = orderOf(op, budget, target);
    shard.strides = stridesIn(order, type.getShape());
    lies.dims = llvm::map_to_vector(
        order, [&, dims = lies.dims](int64_t dim) { return dims[dim]; });
    LocalShard place = shard;
    for (size_t trip = first; trip < end; ++trip, place.offset += place.step) {
      auto name = cast<StringAttr>(op.getNames()[trip]);
      // Every entry must find the state where the others left it.
      if (!states.insert(name.getValue()).second)
        return op.emitOpError() << "lays state '" << name.getValue()
                                << "' in another way than another entry does";
      bind(core::Role::state, name.getValue(), lies, place);
    }
    return shard;
  });
}

/// Padding elements have indices of their own.
static core::DimAttr numbersAll(core::DimAttr dim) {
  int64_t live = 1;
  for (core::DigitAttr digit : dim.getDigits())
    live *= digit.getExtent();
  return core::DimAttr::get(dim.getContext(), live, 1, dim.getDigits());
}

FailureOr<LocalShard> Shared::slotNumbers(wafer::AppendOp op) {
  auto state = op.getState().getDefiningOp<wafer::StateOp>();
  auto type = cast<ShapedType>(state.getType());
  FailureOr<Layout> lies = layout(state, type);
  if (failed(lies))
    return failure();
  core::DimAttr dim = numbersAll(lies->dims[op.getDim()]);
  auto [known, isNew] = numbered.try_emplace(dim);
  if (isNew) {
    known->second =
        reserve(core::Use::index, "slots",
                type.getDimSize(static_cast<int64_t>(op.getDim())) * 4, 1);
    bind(core::Role::index, "",
         {Word::i32, typeOf(op.getContext(), Word::i32), {dim}}, known->second);
  }
  return known->second;
}

FailureOr<LocalShard> Shared::iota(wafer::IotaOp op) {
  return layOnce(op, [&](Layout &lies) -> FailureOr<LocalShard> {
    LocalShard shard =
        reserve(core::Use::index, "iota", op.getType().getNumElements() * 4, 1);
    // Masks look at padding.
    for (core::DimAttr &dim : lies.dims)
      dim = numbersAll(dim);
    bind(core::Role::index, "", lies, shard);
    return shard;
  });
}

LocalShard Shared::coordinate(ArrayRef<wafer::Axis> axes) {
  std::string key, hint = "coordinate";
  for (wafer::Axis axis : axes) {
    key += " " + axis.str();
    hint += "_" + axis.str();
  }
  if (auto it = coordinates.find(key); it != coordinates.end())
    return it->second;
  MLIRContext *context = builder.getContext();
  SmallVector<core::DigitAttr> digits;
  for (wafer::Axis axis : axes)
    if (region.getSize(axis) > 1)
      digits.push_back(encode(context, axis, region));
  Layout lies{Word::i32,
              typeOf(context, Word::i32),
              {core::DimAttr::get(context, region.getSize(axes), 1, digits)}};
  LocalShard shard = reserve(core::Use::index, hint, 4, 1);
  bind(core::Role::index, "", lies, shard);
  return coordinates[key] = shard;
}

FailureOr<SmallVector<wafer::Axis>> Shared::axesOf(fabric::PutOp op) {
  SmallVector<wafer::Axis> all = region.getAxes(), axes;
  for (auto wanted : op.getAxes().getAsRange<fabric::AxisAttr>()) {
    bool alongX = wanted.getDirection() == fabric::Direction::X;
    auto found = llvm::find_if(all, [&](wafer::Axis axis) {
      return (axis.direction == wafer::Axis::X) == alongX &&
             region.getSize(axis) == wanted.getExtent() &&
             region.getStride(axis) == wanted.getStride();
    });
    if (found == all.end())
      return op.emitOpError() << "is over " << wanted
                              << ", which is no axis of region " << region;
    axes.push_back(*found);
  }
  return axes;
}
