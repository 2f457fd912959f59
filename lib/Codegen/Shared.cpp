#include "Shared.h"
#include "Generic.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::codegen;

FailureOr<wafer::LayoutAttr> codegen::layoutOf(Operation *op) {
  auto layout = op->getAttrOfType<wafer::LayoutAttr>("layout");
  if (!layout)
    return op->emitOpError("has no layout: it is not at the level of one PE");
  if (layout.isPartial() || layout.hasRoot())
    return op->emitOpError("lies on only some PEs of the region, which code "
                           "generation does not know yet");
  return layout;
}

LocalShard Shared::reserve(int64_t bytes, int64_t tripCount,
                           wafer::StageSet stageSet) {
  int64_t &top = tops[static_cast<size_t>(stageSet)];
  int64_t base =
      stageSet == wafer::StageSet::All ? 0 : laid(wafer::StageSet::All);
  int64_t step = target::shardBytes(bytes, 1);
  LocalShard shard{base + top, step, step, base + top};
  top += step * tripCount;
  return shard;
}

/// Of `tripCount` local shards, those that one PE holds.
static int64_t tripCountHeld(Operation *op, size_t tripCount) {
  auto repeat = op->getParentOfType<wafer::RepeatOp>();
  return repeat && tripCount > 1 &&
                 repeat ==
                     wafer::getStagedRepeat(op->getParentOfType<func::FuncOp>())
             ? wafer::getTripCountPerStage(repeat)
             : static_cast<int64_t>(tripCount);
}

void Shared::add(std::unique_ptr<image::BindingT> binding, Operation *op,
                 const LocalShard &shard, size_t trip, size_t tripCount) {
  auto held = static_cast<size_t>(tripCountHeld(op, tripCount));
  binding->address = static_cast<uint32_t>(
      shard.address + shard.step * static_cast<int64_t>(trip % held));
  Holder holder{stageSetOf(op), std::nullopt};
  if (held < tripCount)
    holder.stage = static_cast<uint32_t>(1 + trip / held);
  bindings.push_back(std::move(binding));
  holders.push_back(holder);
}

static image::Digit encode(wafer::Axis axis, wafer::RegionAttr region) {
  return image::Digit(axis.direction == wafer::Axis::X ? image::Axis::x
                                                       : image::Axis::y,
                      static_cast<uint32_t>(region.getSize(axis)),
                      static_cast<uint32_t>(region.getStride(axis)));
}

FailureOr<std::unique_ptr<image::BindingT>> Shared::binding(Operation *op,
                                                            ShapedType local,
                                                            StringRef name,
                                                            image::Role role) {
  FailureOr<wafer::LayoutAttr> layout = layoutOf(op);
  FailureOr<Word> type = wordType(op, local.getElementType());
  if (failed(layout) || failed(type))
    return failure();
  auto binding = std::make_unique<image::BindingT>();
  binding->name = name.str();
  binding->role = role;
  binding->type = binding->source_type = *type;
  int64_t stride = 1;
  for (int64_t i = local.getRank(); i-- > 0;) {
    wafer::DimAttr dim = layout->getDim(i);
    int64_t padded = local.getDimSize(i) * region.getSize(dim.getAxes());
    auto out = std::make_unique<image::DimT>();
    out->live = static_cast<uint32_t>(dim.getLiveSize(padded));
    out->source_stride = stride;
    stride *= out->live;
    for (wafer::Digit digit : dim.resolve(padded, region))
      out->digits.push_back(
          digit.isAxis()
              ? encode(digit.axis, region)
              : image::Digit(image::Axis::none,
                             static_cast<uint32_t>(digit.extent), 0));
    binding->dims.insert(binding->dims.begin(), std::move(out));
  }
  return binding;
}

/// The bytes of a computed weight as words of the machine.
static std::string inlineBytes(DenseElementsAttr value) {
  std::string bytes;
  auto put = [&](uint64_t bits, unsigned count) {
    for (unsigned i = 0; i < count; ++i)
      bytes.push_back(static_cast<char>(bits >> (8 * i)));
  };
  if (isa<FloatType>(value.getElementType())) {
    unsigned width = value.getElementType().getIntOrFloatBitWidth() / 8;
    for (const APFloat &element : value.getValues<APFloat>())
      put(element.bitcastToAPInt().getZExtValue(), width);
  } else {
    bool boolean = value.getElementType().isInteger(1);
    for (const APInt &element : value.getValues<APInt>())
      put(boolean ? element.getZExtValue() : element.getSExtValue(), 4);
  }
  return bytes;
}

image::BlockFormat codegen::formatOf(wafer::WeightOp weight,
                                     wafer::BlocksAttr blocks) {
  auto type = cast<ShapedType>(weight.getType());
  image::BlockFormat format;
  format.rows = static_cast<uint64_t>(type.getDimSize(0));
  format.columns = static_cast<uint64_t>(type.getDimSize(1));
  format.bits = blocks.getBits();
  format.size = blocks.getSize();
  format.halfScales = type.getElementType().isF16();
  using Zeros = image::BlockFormat::Zeros;
  using wafer::BlockZeros;
  format.zeros = blocks.getZeros() == BlockZeros::Packed   ? Zeros::packed
                 : blocks.getZeros() == BlockZeros::Scaled ? Zeros::scaled
                                                           : Zeros::middle;
  return format;
}

FailureOr<uint32_t> Shared::source(wafer::WeightOp weight, Word stored) {
  auto [it, fresh] =
      sources.try_emplace(weight.getSymName().str(), image.sources.size());
  if (!fresh)
    return it->second;
  auto type = cast<ShapedType>(weight.getType());
  FailureOr<Word> word = wordType(weight, type.getElementType());
  if (failed(word))
    return failure();
  SourceBytes bytes;
  auto entry = std::make_unique<image::SourceT>();
  entry->name = weight.getSymName().str();
  entry->bytes = type.getNumElements() * bytesOf(*word);
  if (*word == Word::f32 && stored == Word::f16 && !weight.getValue()) {
    // The image holds what the wafer holds.
    entry->bytes /= 2;
    bytes.narrows = true;
  }
  if (auto value = dyn_cast_or_null<DenseElementsAttr>(weight.getValueAttr())) {
    bytes.inlined = inlineBytes(value);
  } else if (type.getElementType().isIntOrFloat() &&
             type.getElementTypeBitWidth() == bytesOf(*word) * 8) {
    // Without a file there are no bytes, and the image is shape only.
    bytes.file = weight.getFile().value_or("").str();
    bytes.offset = weight.getOffset();
    if (wafer::BlocksAttr blocks = weight.getBlocksAttr()) {
      bytes.blocks = formatOf(weight, blocks);
      bytes.scalesFile = blocks.getScalesFile().str();
      bytes.scalesOffset = blocks.getScalesAt();
      if (blocks.getZerosFile())
        bytes.zerosFile = blocks.getZerosFile().str();
      bytes.zerosOffset = blocks.getZerosAt();
    }
  } else {
    return weight.emitOpError()
           << "has elements of type " << type.getElementType()
           << ", which cannot be read from a file";
  }
  image.image.sources.push_back(std::move(entry));
  image.sources.push_back(std::move(bytes));
  return it->second;
}

Shared::Key Shared::keyOf(Operation *op) {
  Type type = op->getNumResults() == 1 ? op->getResult(0).getType() : Type();
  return {op->getName().getAsOpaquePointer(),
          op->getAttrDictionary().getAsOpaquePointer(),
          type.getAsOpaquePointer()};
}

void Shared::use(Operation *op, wafer::StageSet stageSet) {
  auto [it, fresh] = users.try_emplace(keyOf(op), stageSet);
  if (it->second != stageSet)
    it->second = wafer::StageSet::All;
}

wafer::StageSet Shared::stageSetOf(Operation *op) const {
  auto it = users.find(keyOf(op));
  return it == users.end() ? wafer::StageSet::All : it->second;
}

bool Shared::isKnown(wafer::ParameterOp op) const {
  return known.count(keyOf(op)) != 0;
}

LogicalResult Shared::layTrips(wafer::RepeatOp op, wafer::StageSet stageSet) {
  int64_t &top = tops[static_cast<size_t>(stageSet)];
  const int64_t before = top;
  std::vector<Key> laid;
  int64_t tripCount = 0;
  for (auto parameter : op.getBodyBlock()->getOps<wafer::ParameterOp>()) {
    Key key = keyOf(parameter);
    auto type = cast<ShapedType>(parameter.getType());
    FailureOr<Word> word = wordType(parameter, type.getElementType());
    if (failed(word))
      return failure();
    if (parameter.getWeights().size() != op.getTripCount() ||
        stageSetOf(parameter) != stageSet || known.count(key))
      continue;
    auto [it, isNew] = reserved.try_emplace(key);
    if (!isNew)
      continue;
    it->second = reserve(type.getNumElements() * bytesOf(*word), 1, stageSet);
    tripCount = tripCountHeld(parameter, op.getTripCount());
    laid.push_back(key);
  }
  const int64_t step = top - before;
  for (const Key &key : laid) {
    reserved[key].step = step;
    reserved[key].front = reserved[laid.front()].address;
  }
  if (!laid.empty())
    top += step * (tripCount - 1);
  return success();
}

FailureOr<LocalShard> Shared::parameter(wafer::ParameterOp op) {
  Key key = keyOf(op);
  if (auto it = known.find(key); it != known.end())
    return it->second;
  auto type = cast<ShapedType>(op.getType());
  FailureOr<Word> word = wordType(op, type.getElementType());
  if (failed(word))
    return failure();
  const size_t tripCount = op.getWeights().size();
  auto perTrip = reserved.find(key);
  LocalShard shard =
      perTrip != reserved.end()
          ? perTrip->second
          : reserve(type.getNumElements() * bytesOf(*word),
                    tripCountHeld(op, tripCount), stageSetOf(op));
  for (auto [trip, name] :
       llvm::enumerate(op.getWeights().getAsRange<FlatSymbolRefAttr>())) {
    auto weight = symbols.lookup<wafer::WeightOp>(name.getValue());
    if (!weight)
      return op.emitOpError() << "names " << name << ", which is not a weight";
    FailureOr<uint32_t> from = source(weight, *word);
    auto made = binding(op, type, name.getValue(), image::Role::parameter);
    if (failed(from) || failed(made))
      return failure();
    (*made)->source = *from;
    if (!image.sources[*from].narrows)
      (*made)->source_type =
          *wordType(op, cast<ShapedType>(weight.getType()).getElementType());
    add(std::move(*made), op, shard, trip, tripCount);
  }
  return known[key] = shard;
}

FailureOr<LocalShard> Shared::state(wafer::StateOp op) {
  Key key = keyOf(op);
  if (auto it = known.find(key); it != known.end())
    return it->second;
  auto type = cast<ShapedType>(op.getType());
  FailureOr<Word> word = wordType(op, type.getElementType());
  if (failed(word))
    return failure();
  const size_t tripCount = op.getNames().size();
  LocalShard shard = reserve(type.getNumElements() * bytesOf(*word),
                             tripCountHeld(op, tripCount), stageSetOf(op));
  for (auto [trip, name] :
       llvm::enumerate(op.getNames().getAsRange<StringAttr>())) {
    // Every entry must find the state where the others left it.
    if (!states.insert(name.getValue()).second)
      return op.emitOpError() << "lays state '" << name.getValue()
                              << "' in another way than another entry does";
    auto made = binding(op, type, name.getValue(), image::Role::state);
    if (failed(made))
      return failure();
    add(std::move(*made), op, shard, trip, tripCount);
  }
  return known[key] = shard;
}

FailureOr<LocalShard> Shared::iota(wafer::IotaOp op) {
  Key key = keyOf(op);
  if (auto it = known.find(key); it != known.end())
    return it->second;
  auto made = binding(op, op.getType(), "", image::Role::index);
  if (failed(made))
    return failure();
  LocalShard shard =
      reserve(op.getType().getNumElements() * 4, 1, stageSetOf(op));
  // Padding elements have indices of their own: masks look at them.
  for (auto &dim : (*made)->dims) {
    dim->live = 1;
    for (image::Digit digit : dim->digits)
      dim->live *= digit.extent();
  }
  add(std::move(*made), op, shard, 0, 1);
  return known[key] = shard;
}

LocalShard Shared::coordinate(ArrayRef<wafer::Axis> axes) {
  std::string key;
  for (wafer::Axis axis : axes)
    key += " " + axis.str();
  if (auto it = coordinates.find(key); it != coordinates.end())
    return it->second;
  LocalShard shard = reserve(4, 1, wafer::StageSet::All);
  auto made = std::make_unique<image::BindingT>();
  made->role = image::Role::index;
  made->type = made->source_type = Word::i32;
  made->address = static_cast<uint32_t>(shard.address);
  auto dim = std::make_unique<image::DimT>();
  dim->source_stride = 1;
  dim->live = static_cast<uint32_t>(region.getSize(axes));
  for (wafer::Axis axis : axes)
    if (region.getSize(axis) > 1)
      dim->digits.push_back(encode(axis, region));
  made->dims.push_back(std::move(dim));
  bindings.push_back(std::move(made));
  holders.push_back({});
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
