// Weights whose integers stay packed on the PEs: how their parts lie, and the
// instructions that unpack them where they are read.

#include "waferloom/Dialect/Wafer/Packed.h"
#include "Orders.h"
#include "Packed.h"
#include "Program.h"
#include "waferloom/Format/Packing.h"
#include "waferloom/Target/Resources.h"

#include <numeric>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::codegen;

uint32_t Sources::getPacked(wafer::WeightOp weight, core::PackedPart part) {
  const std::string name =
      (weight.getSymName() + "." + core::stringifyPackedPart(part)).str();
  auto [it, fresh] = known.try_emplace(name, uint32_t(known.size()));
  if (!fresh)
    return it->second;
  const wafer::BlocksAttr blocks = weight.getBlocksAttr();
  const BlockFormat &format = blocks.getFormat();
  uint64_t bytes = format.packedBytes();
  StringAttr file = weight.getFileAttr();
  auto offset = static_cast<int64_t>(weight.getOffset());
  if (part == core::PackedPart::scales) {
    bytes = format.scaleBytes();
    file = blocks.getScalesFile();
    offset = blocks.getScalesAt();
  } else if (part == core::PackedPart::zeros) {
    bytes = format.zeroBytes();
    file = blocks.getZerosFile();
    offset = blocks.getZerosAt();
  }
  // Without a file there are no bytes, and the image is shape only.
  const bool hasBytes = bool(weight.getFile());
  core::SourceOp::create(
      point, point.getUnknownLoc(), point.getStringAttr(name), ElementsAttr(),
      point.getI64IntegerAttr(static_cast<int64_t>(bytes)),
      hasBytes ? file : StringAttr(),
      hasBytes ? point.getI64IntegerAttr(offset) : IntegerAttr(), UnitAttr(),
      core::BlocksAttr());
  return it->second;
}

SmallVector<core::DimAttr> codegen::dimsInWhole(ArrayRef<core::DimAttr> dims,
                                                wafer::PartAttr part) {
  return llvm::map_to_vector(dims, [&](core::DimAttr dim) {
    return part ? core::DimAttr::get(dim.getContext(), dim.getLive(),
                                     part.getStride(dim.getSourceStride()),
                                     dim.getDigits())
                : dim;
  });
}

int64_t PackedShard::countGroups() const {
  int64_t count = 1;
  for (auto [extent, group] : llvm::zip_equal(shape, groups))
    count *= extent / group;
  return count;
}

SmallVector<int64_t> PackedShard::getStrides() const {
  SmallVector<int64_t> strides(shape.size());
  int64_t stride = 1;
  for (auto [dim, extent] : llvm::reverse(llvm::zip_equal(order, shape))) {
    strides[dim] = stride;
    stride *= extent;
  }
  return strides;
}

/// The elements of `list`, one per dimension, in `order`.
template <typename T>
static SmallVector<T> inOrder(ArrayRef<int64_t> order, ArrayRef<T> list) {
  return llvm::map_to_vector(order, [&](int64_t dim) { return list[dim]; });
}

/// Rows that are looked up lie each in one plane, so there are equally many in
/// all of them. None can be added where a PE has only some of them.
static std::optional<int64_t> getCodeRows(const BlockFormat &format,
                                          core::DimAttr dim, int64_t rows) {
  const int64_t even =
      llvm::alignTo(rows, 16 / static_cast<int64_t>(format.bits));
  const bool isWhole = llvm::all_of(dim.getDigits(), [](core::DigitAttr digit) {
    return digit.getAxis() == core::Axis::none;
  });
  return even == rows || isWhole ? std::optional(even) : std::nullopt;
}

FailureOr<std::optional<PackedShard>> Shared::packed(wafer::ParameterOp op) {
  // One way for all entries: the first that asks decides.
  const Key key = keyOf(op);
  if (auto it = packings.find(key); it != packings.end())
    return it->second;
  FailureOr<std::optional<PackedShard>> made = pack(op);
  if (succeeded(made))
    packings[key] = *made;
  return made;
}

FailureOr<std::optional<PackedShard>> Shared::pack(wafer::ParameterOp op) {
  std::optional<BlockFormat> format = wafer::getKept(symbols, op);
  if (!format)
    return std::optional<PackedShard>();
  auto type = cast<ShapedType>(op.getType());
  if (type.getRank() == 0)
    return std::optional<PackedShard>();
  FailureOr<Layout> lies = layout(op, type);
  if (failed(lies))
    return failure();
  PackedShard made;
  made.format = *format;
  const ArrayRef<int64_t> shape = type.getShape();
  made.order = orderOf(op, isTable(op), budget, target);
  for (auto name : op.getWeights().getAsRange<FlatSymbolRefAttr>()) {
    wafer::PartAttr part =
        symbols.lookup<wafer::WeightOp>(name.getValue()).getPartAttr();
    SmallVector<PackedDim> dims;
    for (core::DimAttr dim : dimsInWhole(lies->dims, part)) {
      const bool isLocal = !dim.getDigits().empty() &&
                           dim.getDigits().back().getAxis() == core::Axis::none;
      dims.push_back({dim.getLive(), dim.getSourceStride(),
                      isLocal ? dim.getDigits().back().getExtent() : 1});
    }
    SmallVector<int64_t> groups =
        groupsOf(*format, dims, part ? part.getAt() : 0);
    // All trips are unpacked by the same instructions.
    if (!made.groups.empty())
      for (auto [group, other] : llvm::zip_equal(groups, made.groups))
        group = std::gcd(group, other);
    made.groups = groups;
  }
  made.shape = inOrder(made.order, shape);
  made.codeRows = made.shape.front();
  if (isTable(op)) {
    std::optional<int64_t> rows =
        getCodeRows(*format, lies->dims.front(), made.codeRows);
    if (!rows)
      return std::optional<PackedShard>();
    made.codeRows = *rows;
    if (made.groups.front() != made.shape.front())
      made.groups.front() = 1;
  }
  made.groups = inOrder<int64_t>(made.order, made.groups);
  made.scaleType = format->halfScales ? Word::f16 : lies->type;
  const int64_t count = made.countGroups();
  auto behind = [](int64_t at, int64_t bytes) {
    return at + target::shardBytes(bytes, 1);
  };
  made.scalesAt = behind(0, 2 * packedWords(made.countCodes(), format->bits));
  made.zerosAt = behind(made.scalesAt, count * bytesOf(made.scaleType));
  made.zeroType =
      format->zeros == BlockFormat::Zeros::packed ? Word::f16 : made.scaleType;
  made.bytes = hasZeros(*format)
                   ? behind(made.zerosAt, count * bytesOf(made.zeroType))
                   : made.zerosAt;
  // A range that begins and ends within blocks has many groups.
  if (made.bytes >= type.getNumElements() * bytesOf(lies->type))
    return std::optional<PackedShard>();
  return std::optional<PackedShard>(made);
}

FailureOr<int64_t> Shared::bytesOfShard(wafer::ParameterOp op) {
  auto type = cast<ShapedType>(op.getType());
  FailureOr<Word> word = wordType(op, type.getElementType());
  FailureOr<std::optional<PackedShard>> isPacked = packed(op);
  if (failed(word) || failed(isPacked))
    return failure();
  return *isPacked
             ? (*isPacked)->bytes
             : target::shardBytes(type.getNumElements() * bytesOf(*word), 1);
}

void Shared::bindPacked(wafer::ParameterOp op, wafer::WeightOp weight,
                        const Layout &lies, const PackedShard &packed,
                        const LocalShard &place) {
  MLIRContext *context = op.getContext();
  const wafer::PartAttr part = weight.getPartAttr();
  const wafer::WeightOp whole =
      wafer::getWhole(symbols, FlatSymbolRefAttr::get(weight));
  auto bindOne = [&](core::PackedPart what, Word type, Word inFile,
                     int64_t at) {
    Layout mine{
        type, typeOf(context, inFile),
        inOrder<core::DimAttr>(packed.order, dimsInWhole(lies.dims, part))};
    SmallVector<int64_t> groups = packed.groups;
    if (what == core::PackedPart::codes &&
        packed.codeRows != packed.shape.front()) {
      core::DimAttr rows = mine.dims.front();
      mine.dims.front() = wholeDim(context, rows.getLive(),
                                   rows.getSourceStride(), packed.codeRows);
      groups.front() = 1;
    }
    core::BindOp made =
        createBind(builder, core::Role::parameter, weight.getSymName(), mine,
                   place.buffer, place.offset + at,
                   sources.getPacked(whole, what), part ? part.getAt() : 0);
    made.setPackingAttr(
        core::PackingAttr::get(context, what, groups, packed.format));
  };
  bindOne(core::PackedPart::codes, Word::f16, Word::f16, 0);
  const Word numbers = packed.format.halfScales ? Word::f16 : Word::f32;
  bindOne(core::PackedPart::scales, packed.scaleType, numbers, packed.scalesAt);
  if (hasZeros(packed.format))
    bindOne(core::PackedPart::zeros, packed.zeroType,
            packed.format.zeros == BlockFormat::Zeros::packed ? Word::f16
                                                              : numbers,
            packed.zerosAt);
}

Ref codegen::patternOf(uint32_t bits) {
  Ref ref;
  ref.immediate = true;
  ref.type = Word::f16;
  ref.bits = bits;
  return ref;
}

/// A whole number with the bias: from 1,024 to 2,048 halves count by one.
static Ref biased(int64_t zero) {
  return patternOf(packedBiasBits + static_cast<uint32_t>(zero));
}

/// The dense halves of the integers, with bias. A word has them in planes.
static void emitPlanes(Emitter &emitter, const PackedShard &packed, Ref codes,
                       Ref halves, int64_t words) {
  const int64_t bits = packed.format.bits, planes = 16 / bits;
  auto plane = [&](int64_t i) {
    Ref ref = halves;
    ref.offset += i * words * 2;
    ref.strides = {1};
    return ref;
  };
  const Ref mask = patternOf((1u << bits) - 1);
  // What moves with a loop costs a rewrite for each that reads it.
  const bool isCopied = !codes.steps.empty();
  if (isCopied)
    emitter.vector(Opcode::mov, {words}, plane(0), codes);
  const Ref from = isCopied ? plane(0) : codes;
  for (int64_t i = planes; --i > 0;)
    emitter.vector(Opcode::shr, {words}, plane(i), from,
                   patternOf(static_cast<uint32_t>(bits * i)));
  // Nothing stands above the last plane.
  if (!isCopied)
    emitter.vector(Opcode::bit_and, {words}, plane(0), codes, mask);
  const int64_t begin = isCopied ? 0 : 1;
  if (planes - 1 > begin)
    emitter.vector(Opcode::bit_and, {(planes - 1 - begin) * words},
                   plane(begin), plane(begin), mask);
  emitter.vector(Opcode::bit_or, {planes * words}, plane(0), plane(0),
                 patternOf(packedBiasBits));
}

/// dst = op(dst, of its group), over the shard.
static void emitByGroups(Emitter &emitter, Opcode op, const PackedShard &packed,
                         Ref dst, Ref ofGroup) {
  SmallVector<int64_t> extents;
  SmallVector<int64_t, 4> strides, groupStrides;
  int64_t stride = 1, groupStride = 1;
  for (auto [extent, group] :
       llvm::reverse(llvm::zip_equal(packed.shape, packed.groups))) {
    extents.append({group, extent / group});
    strides.append({stride, stride * group});
    groupStrides.append({0, groupStride});
    stride *= extent;
    groupStride *= extent / group;
  }
  std::reverse(extents.begin(), extents.end());
  std::reverse(strides.begin(), strides.end());
  std::reverse(groupStrides.begin(), groupStrides.end());
  dst.strides = strides;
  ofGroup.strides = groupStrides;
  emitter.vector(op, extents, dst, dst, ofGroup);
}

Ref codegen::makeNumbers(Emitter &emitter, const PackedShard &packed,
                         Ref halves, Ref scales, Ref zeros, Word word) {
  const int64_t elements = packed.countElements();
  halves.strides = {1};
  if (packed.format.zeros == BlockFormat::Zeros::packed)
    emitByGroups(emitter, Opcode::sub, packed, halves, zeros);
  else
    emitter.vector(Opcode::sub, {elements}, halves, halves,
                   biased(commonZero(packed.format)));
  Ref numbers = halves;
  auto convert = [&] {
    numbers = emitter.temporary(Word::f32, {elements});
    emitter.vector(Opcode::convert, {elements}, numbers, halves);
  };
  const bool toSingles = word == Word::f32;
  if (toSingles && packed.scaleType == Word::f32)
    convert();
  if (packed.format.zeros == BlockFormat::Zeros::scaled)
    emitByGroups(emitter, Opcode::sub, packed, numbers, zeros);
  emitByGroups(emitter, Opcode::mul, packed, numbers, scales);
  if (toSingles && packed.scaleType == Word::f16)
    convert();
  return numbers;
}

FailureOr<ProgramEmitter::PackedParts>
ProgramEmitter::partsOf(wafer::ParameterOp op, const PackedShard &packed) {
  FailureOr<LocalShard> shard = shared.parameter(op);
  if (failed(shard))
    return failure();
  const bool isMoving = op.getWeights().size() > 1;
  auto repeat = op->getParentOfType<wafer::RepeatOp>();
  if (isMoving && (!repeat || repeat.getTripCount() != op.getWeights().size()))
    return op.emitOpError("has shards for trips but is not repeated as often");
  auto part = [&](Word type, int64_t at, int64_t count) {
    Ref ref = dense(shard->buffer, type, {count}, shard->offset + at);
    if (isMoving)
      ref.steps.push_back({depths[repeat], shard->step});
    return ref;
  };
  const int64_t groups = packed.countGroups();
  return PackedParts{
      part(Word::f16, 0, packedWords(packed.countCodes(), packed.format.bits)),
      part(packed.scaleType, packed.scalesAt, groups),
      part(packed.zeroType, packed.zerosAt, groups)};
}

FailureOr<Ref> ProgramEmitter::unpack(wafer::ParameterOp op) {
  FailureOr<std::optional<PackedShard>> found = shared.packed(op);
  FailureOr<Word> word =
      wordType(op, cast<ShapedType>(op.getType()).getElementType());
  if (failed(found) || failed(word))
    return failure();
  const PackedShard &packed = **found;
  FailureOr<PackedParts> parts = partsOf(op, packed);
  if (failed(parts))
    return failure();
  // Planes may be a little longer than the elements.
  const int64_t words = packedWords(packed.countCodes(), packed.format.bits),
                planes = 16 / static_cast<int64_t>(packed.format.bits);
  Ref halves = emitter.temporary(Word::f16, {planes * words});
  emitPlanes(emitter, packed, parts->codes, halves, words);
  Ref numbers =
      makeNumbers(emitter, packed, halves, parts->scales, parts->zeros, *word);
  const SmallVector<int64_t> strides = packed.getStrides();
  numbers.strides.assign(strides.begin(), strides.end());
  return numbers;
}
