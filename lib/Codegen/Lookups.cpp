// Rows of tables at run-time indices: embeddings, and the matrices of the
// experts that a token chose. Of a table whose integers stay packed only the
// rows that are taken become numbers.

#include "Orders.h"
#include "Packed.h"
#include "Program.h"

#include "waferloom/Format/Packing.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::codegen;

static Ref number(int64_t value) {
  return Ref::constant(static_cast<int32_t>(value));
}

namespace {
/// The rows that a lookup takes, one for each index.
struct Taken {
  Emitter &emitter;
  SmallVector<int64_t> which; ///< shape of the indices
  int64_t count, rows;
  Ref local; ///< words of i32: which of the rows of this PE
  Ref owned; ///< whether this PE has it; absent: always

  Taken(Emitter &emitter, ArrayRef<int64_t> which, int64_t rows)
      : emitter(emitter), which(which), count(llvm::product_of(which)),
        rows(rows) {}

  /// Finds them. `base`: the first row that this PE holds, if it has only some;
  /// then `clear` comes before anything is found.
  void find(Ref indices, std::optional<Ref> base, function_ref<void()> clear);
  /// Calls `body` in a loop over the indices.
  void forEach(function_ref<void()> body);
  // Inside of the loop: what moves `bytes` with each index, what stands at the
  // row that a word of `at` says, and the predicate.
  Ref step(Ref ref, int64_t bytes) const;
  Ref row(Ref ref, const Ref &at, int64_t bytes, int64_t count) const;
  Ref predicate() const;
  /// The strides of rows that lie behind each other.
  SmallVector<int64_t, 4> stridesOf(ArrayRef<int64_t> row,
                                    int64_t elements) const;
};
} // namespace

void Taken::find(Ref indices, std::optional<Ref> base,
                 function_ref<void()> clear) {
  // Relative to the first row this PE holds, and clamped into its rows: a store
  // that is not wanted must still read from somewhere.
  local = emitter.temporary(Word::i32, which);
  emitter.vector(Opcode::mov, which, local, indices);
  if (base) {
    base->strides.clear();
    emitter.vector(Opcode::sub, which, local, local, *base);
    owned = emitter.temporary(Word::i32, which);
    Ref below = emitter.temporary(Word::i32, which);
    emitter.vector(Opcode::le, which, owned, number(0), local);
    emitter.vector(Opcode::lt, which, below, local, number(rows));
    emitter.vector(Opcode::bit_and, which, owned, owned, below);
    clear();
  }
  emitter.vector(Opcode::max, which, local, local, number(0));
  emitter.vector(Opcode::min, which, local, local, number(rows - 1));
}

void Taken::forEach(function_ref<void()> body) {
  if (count > 1)
    emitter.loop(count);
  body();
  if (count > 1)
    emitter.endLoop();
}

Ref Taken::step(Ref ref, int64_t bytes) const {
  if (count > 1)
    ref.steps.push_back({emitter.depth() - 1, bytes});
  return ref;
}

Ref Taken::row(Ref ref, const Ref &at, int64_t bytes, int64_t count) const {
  ref.indexBuffer = at.buffer;
  ref.indexScale = bytes;
  ref.indexCount = count;
  if (this->count > 1)
    ref.indexSteps.push_back({emitter.depth() - 1, 4});
  return ref;
}

Ref Taken::predicate() const {
  if (owned.isAbsent())
    return {};
  Ref ref = owned;
  ref.strides.clear();
  return step(ref, 4);
}

SmallVector<int64_t, 4> Taken::stridesOf(ArrayRef<int64_t> row,
                                         int64_t elements) const {
  SmallVector<int64_t, 4> strides(dense({}, Word::f32, which).strides);
  for (int64_t &stride : strides)
    stride *= elements;
  strides.append(row.begin(), row.end());
  return strides;
}

static void clear(Emitter &emitter, ArrayRef<int64_t> shape, Ref to) {
  emitter.vector(Opcode::mov, shape, to,
                 to.type == Word::i32 ? number(0) : Ref::constant(0.0f));
}

static Opcode moving(const Ref &from, const Ref &to) {
  return from.type == to.type ? Opcode::mov : Opcode::convert;
}

/// Whether the rows of `table` lie behind each other, each without gaps, in
/// whatever order of its dimensions.
static bool hasDenseRows(const Ref &table, ArrayRef<int64_t> shape) {
  SmallVector<std::pair<int64_t, int64_t>> dims;
  for (auto [stride, extent] : llvm::zip_equal(
           ArrayRef<int64_t>(table.strides).drop_front(), shape.drop_front()))
    dims.emplace_back(stride, extent);
  llvm::sort(dims);
  int64_t elements = 1;
  for (auto [stride, extent] : dims) {
    if (extent > 1 && stride != elements)
      return false;
    elements *= extent;
  }
  return table.strides.front() == elements;
}

/// By how much the codes of each row are shifted, and where in its plane the
/// row is.
static std::pair<Ref, Ref> findPlanes(const Taken &taken, int64_t rowsOfPlane,
                                      int64_t bits) {
  Emitter &emitter = taken.emitter;
  const ArrayRef<int64_t> which = taken.which;
  Ref shift = emitter.temporary(Word::i32, which),
      within = emitter.temporary(Word::i32, which),
      other = emitter.temporary(Word::i32, which);
  emitter.vector(Opcode::le, which, shift, number(rowsOfPlane), taken.local);
  for (int64_t plane = 2; plane < 16 / bits; ++plane) {
    emitter.vector(Opcode::le, which, other, number(plane * rowsOfPlane),
                   taken.local);
    emitter.vector(Opcode::add, which, shift, shift, other);
  }
  emitter.vector(Opcode::mul, which, other, shift, number(rowsOfPlane));
  emitter.vector(Opcode::sub, which, within, taken.local, other);
  emitter.vector(Opcode::mul, which, shift, shift, number(bits));
  return {shift, within};
}

/// The numbers of the rows, behind each other in the order of the shard.
static Ref unpackTaken(Taken &taken, const PackedShard &packed, Ref codes,
                       Ref scales, Ref zeros, Word word) {
  Emitter &emitter = taken.emitter;
  const int64_t elements = packed.countElements() / taken.rows,
                all = taken.count * elements;
  const auto bits = static_cast<int64_t>(packed.format.bits);
  const int64_t rowsOfPlane = packed.codeRows * bits / 16;
  auto [shift, within] = findPlanes(taken, rowsOfPlane, bits);
  Ref halves = emitter.temporary(Word::f16, {all});
  Ref by = shift, at = within;
  by.type = Word::f16; // its lower half
  by.strides = {0};
  // All rows may have the same scales.
  const bool areShared = taken.rows > 1 && packed.groups.front() == taken.rows;
  const int64_t groups = packed.countGroups() / (areShared ? 1 : taken.rows);
  std::vector<std::pair<Ref, Ref>> copies;
  for (Ref *part : {&scales, &zeros}) {
    if (areShared || (part == &zeros && !hasZeros(packed.format)))
      continue;
    Ref copy = emitter.temporary(part->type, {taken.count * groups});
    copies.emplace_back(*part, copy);
    *part = copy;
  }
  taken.forEach([&] {
    emitter.vector(Opcode::shr, {elements}, taken.step(halves, elements * 2),
                   taken.row(codes, at, elements * 2, rowsOfPlane),
                   taken.step(by, 4));
    for (auto [from, to] : copies) {
      const int64_t bytes = groups * bytesOf(from.type);
      emitter.vector(Opcode::mov, {groups}, taken.step(to, bytes),
                     taken.row(from, taken.local, bytes, taken.rows));
    }
  });
  emitter.vector(Opcode::bit_and, {all}, halves, halves,
                 patternOf((1u << bits) - 1));
  emitter.vector(Opcode::bit_or, {all}, halves, halves,
                 patternOf(packedBiasBits));
  PackedShard rows = packed;
  rows.shape.front() = taken.count;
  rows.groups.front() = areShared ? taken.count : 1;
  takeBiasOff(emitter, rows, halves);
  return makeNumbers(emitter, rows, halves, scales, zeros, word);
}

FailureOr<std::optional<Ref>> ProgramEmitter::firstRow(wafer::LookupOp op) {
  if (!op.getRows())
    return std::optional<Ref>();
  FailureOr<Ref> rows = get(op, op.getRows());
  if (failed(rows))
    return failure();
  return std::optional<Ref>(*rows);
}

/// `ref`, of the result of a lookup, without the dimensions of the indices.
static Ref withoutIndices(Ref ref, const Taken &taken) {
  ref.strides.erase(ref.strides.begin(),
                    ref.strides.begin() +
                        static_cast<int64_t>(taken.which.size()));
  return ref;
}

LogicalResult ProgramEmitter::emitPackedRows(wafer::LookupOp op,
                                             const PackedShard &packed) {
  auto parameter = op.getTable().getDefiningOp<wafer::ParameterOp>();
  FailureOr<PackedParts> parts = partsOf(parameter, packed);
  FailureOr<Word> word =
      wordType(op, cast<ShapedType>(parameter.getType()).getElementType());
  FailureOr<Ref> indices = get(op, op.getIndices());
  FailureOr<std::optional<Ref>> base = firstRow(op);
  if (failed(parts) || failed(word) || failed(indices) || failed(base))
    return failure();
  Taken taken(emitter, shapeOf(op.getIndices()), packed.shape.front());
  taken.find(*indices, *base, [] {});
  Ref numbers = unpackTaken(taken, packed, parts->codes, parts->scales,
                            parts->zeros, *word);
  const SmallVector<int64_t> strides = packed.getStrides();
  numbers.strides =
      taken.stridesOf(ArrayRef(strides).drop_front(), strides.front());
  values[op.getResult()] = numbers;
  if (!*base && !placed.contains(op.getResult()))
    return success();
  FailureOr<Ref> to = result(op.getResult());
  if (failed(to))
    return failure();
  values[op.getResult()] = *to;
  if (*base)
    clear(emitter, shapeOf(op.getResult()), *to);
  const SmallVector<int64_t> row =
      llvm::to_vector(ArrayRef(shapeOf(op.getTable())).drop_front());
  const Ref from = withoutIndices(numbers, taken),
            into = withoutIndices(*to, taken);
  taken.forEach([&] {
    emitter.vector(moving(from, into), row,
                   taken.step(into, llvm::product_of(row) * bytesOf(into.type)),
                   taken.step(from, strides.front() * bytesOf(from.type)), {},
                   {}, taken.predicate());
  });
  return success();
}

LogicalResult ProgramEmitter::emit(wafer::LookupOp op) {
  if (auto parameter = op.getTable().getDefiningOp<wafer::ParameterOp>()) {
    FailureOr<std::optional<PackedShard>> packed = shared.packed(parameter);
    if (failed(packed))
      return failure();
    if (*packed)
      return emitPackedRows(op, **packed);
  }
  FailureOr<Ref> table = get(op, op.getTable());
  FailureOr<Ref> indices = get(op, op.getIndices());
  FailureOr<Ref> to = result(op.getResult());
  FailureOr<std::optional<Ref>> base = firstRow(op);
  if (failed(table) || failed(indices) || failed(to) || failed(base))
    return failure();
  SmallVector<int64_t> row = shapeOf(op.getTable());
  Taken taken(emitter, shapeOf(op.getIndices()), row.front());
  const bool isDense = hasDenseRows(*table, row);
  row.erase(row.begin());
  taken.find(*indices, *base,
             [&] { clear(emitter, shapeOf(op.getResult()), *to); });
  const int64_t elements = llvm::product_of(row);
  Ref from = *table, into = withoutIndices(*to, taken);
  from.strides.erase(from.strides.begin());
  // A row is copied as it lies, and its readers find it so.
  if (isDense && from.strides != into.strides &&
      !placed.contains(op.getResult())) {
    to->strides = taken.stridesOf(from.strides, elements);
    row = {elements};
    from.strides = into.strides = {1};
  }
  values[op.getResult()] = *to;
  taken.forEach([&] {
    emitter.vector(moving(from, into), row,
                   taken.step(into, elements * bytesOf(into.type)),
                   taken.row(from, taken.local,
                             table->strides.front() * bytesOf(from.type),
                             taken.rows),
                   {}, {}, taken.predicate());
  });
  return success();
}
