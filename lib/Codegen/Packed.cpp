// Weights whose integers stay packed on the PEs: how their parts lie, and the
// instructions that unpack them where they are read.

#include "waferloom/Dialect/Wafer/Packed.h"
#include "Orders.h"
#include "Packed.h"
#include "Program.h"
#include "waferloom/Format/Packing.h"
#include "waferloom/Image/Half.h"
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
  const BlockFormat format = blocks.getFormat(), made = format.inImage();
  // What the file does not have as PEs hold it is made when the image is
  // written.
  const bool isMade = format.rounded != BlockFormat::Rounded::none ||
                      format.code != BlockFormat::Code::integer ||
                      format.isPower;
  uint64_t bytes = made.packedBytes();
  StringAttr file = weight.getFileAttr();
  auto offset = static_cast<int64_t>(weight.getOffset());
  if (part == core::PackedPart::scales) {
    bytes = made.scaleBytes();
    if (!isMade) {
      file = blocks.getScalesFile();
      offset = blocks.getScalesAt();
    }
  } else if (part == core::PackedPart::zeros) {
    bytes = made.zeroBytes();
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
      isMade && hasBytes ? blocksOf(weight) : core::BlocksAttr(),
      isMade && hasBytes ? core::PackedPartAttr::get(point.getContext(), part)
                         : core::PackedPartAttr());
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
        core::PackingAttr::get(context, what, groups, packed.format.inImage()));
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

/// The dense halves that codes of small floats are as patterns: with less of
/// an exponent, which their scales have.
static void emitFloatPlanes(Emitter &emitter, const PackedShard &packed,
                            Ref codes, Ref halves, int64_t words) {
  auto plane = [&](int64_t i) {
    Ref ref = halves;
    ref.offset += i * words * 2;
    ref.strides = {1};
    return ref;
  };
  const auto planes = planesOf(packed.format.code);
  // What moves with a loop costs a rewrite for each that reads it.
  Ref from = codes;
  if (!codes.steps.empty()) {
    emitter.vector(Opcode::mov, {words}, plane(0), codes);
    from = plane(0);
  }
  Ref sign;
  auto cut = [&](Piece piece, Ref to) {
    if (piece.up)
      emitter.vector(Opcode::shl, {words}, to, from, patternOf(piece.up));
    emitter.vector(Opcode::bit_and, {words}, to, piece.up ? to : from,
                   patternOf(piece.mask));
  };
  // The first plane last: the words may lie there.
  for (size_t i = planes.size(); i-- > 0;) {
    const Ref to = plane(static_cast<int64_t>(i));
    cut(planes[i][0], to);
    if (planes[i].size() == 1)
      continue;
    if (sign.strides.empty())
      sign = emitter.temporary(Word::f16, {words});
    cut(planes[i][1], sign);
    emitter.vector(Opcode::bit_or, {words}, to, to, sign);
  }
}

namespace {
/// The dense halves of integers. A word has them in planes, those of its lower
/// byte where they are: the bits from `low` on count by one beside 2^(10 -
/// low), as a half. The upper byte is shifted down, once for all.
struct IntegerPlanes {
  Emitter &emitter;
  const int64_t bits, words, inByte;
  const Ref codes, halves;

  Ref plane(int64_t i, bool both = false) const {
    Ref ref = halves;
    ref.offset += i * words * 2;
    ref.strides = {1};
    if (both)
      ref.strides = {inByte * words, 1};
    return ref;
  }
  /// On a plane of the lower byte and that of the upper one.
  void onBoth(Opcode op, int64_t i, int64_t from, Ref with) const {
    emitter.vector(op, {2, words}, plane(i, true), plane(from, true), with);
  }
  static uint32_t biasOf(int64_t low) {
    return packedBiasBits - (static_cast<uint32_t>(low) << 10);
  }
  void cut() const;
  void takeOff(const PackedShard &packed) const;
};
} // namespace

/// The integers of each plane, with bias.
void IntegerPlanes::cut() const {
  // What moves with a loop costs a rewrite for each that reads it.
  const bool isCopied = !codes.steps.empty();
  if (isCopied)
    emitter.vector(Opcode::mov, {words}, plane(0), codes);
  const Ref from = isCopied ? plane(0) : codes;
  emitter.vector(Opcode::shr, {words}, plane(inByte), from, patternOf(8));
  // The first planes last: the words may lie there.
  for (int64_t i = inByte; i-- > 0;) {
    const Ref mask = patternOf(((1u << bits) - 1) << (bits * i));
    if (isCopied && inByte > 1) {
      onBoth(Opcode::bit_and, i, 0, mask);
    } else {
      emitter.vector(Opcode::bit_and, {words}, plane(i), from, mask);
      if (inByte > 1) // else nothing stands above it
        emitter.vector(Opcode::bit_and, {words}, plane(i + inByte),
                       plane(inByte), mask);
    }
    onBoth(Opcode::bit_or, i, i, patternOf(biasOf(bits * i)));
  }
}

/// Takes the bias off, and the zero that all have; where each group has one,
/// all planes get the bias of the first, which is in these zeros.
void IntegerPlanes::takeOff(const PackedShard &packed) const {
  const bool isOwn = packed.format.zeros == BlockFormat::Zeros::packed;
  const auto zero = static_cast<uint32_t>(commonZero(packed.format));
  for (int64_t i = isOwn ? 1 : 0; i < inByte; ++i) {
    const int64_t low = bits * i;
    if (isOwn)
      onBoth(Opcode::add, i, i,
             patternOf(image::halfOfFloat(
                 static_cast<float>(packedBias - (packedBias >> low)))));
    else
      onBoth(Opcode::sub, i, i, patternOf(biasOf(low) + (zero << low)));
  }
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

void codegen::takeBiasOff(Emitter &emitter, const PackedShard &packed,
                          Ref halves) {
  halves.strides = {1};
  if (packed.format.zeros != BlockFormat::Zeros::packed)
    emitter.vector(Opcode::sub, {packed.countElements()}, halves, halves,
                   biased(commonZero(packed.format)));
}

Ref codegen::makeNumbers(Emitter &emitter, const PackedShard &packed,
                         Ref halves, Ref scales, Ref zeros, Word word) {
  const int64_t elements = packed.countElements();
  halves.strides = {1};
  if (packed.format.zeros == BlockFormat::Zeros::packed)
    emitByGroups(emitter, Opcode::sub, packed, halves, zeros);
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
  if (packed.format.code != BlockFormat::Code::integer) {
    emitFloatPlanes(emitter, packed, parts->codes, halves, words);
  } else {
    const IntegerPlanes integers{emitter,    16 / planes,  words,
                                 planes / 2, parts->codes, halves};
    integers.cut();
    integers.takeOff(packed);
  }
  Ref numbers =
      makeNumbers(emitter, packed, halves, parts->scales, parts->zeros, *word);
  const SmallVector<int64_t> strides = packed.getStrides();
  numbers.strides.assign(strides.begin(), strides.end());
  return numbers;
}
