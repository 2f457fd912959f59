// Changes one or a few fields of an image in place, whatever the schema has: a
// walk from the root takes a field at random until it ends at a number.

#include "Fuzz.h"

#include "flatbuffers/reflection.h"
#include "llvm/Support/MemoryBuffer.h"

#include <algorithm>
#include <random>

using namespace waferloom;

namespace {
constexpr size_t magicBytes = 8;

/// The compiled schema, which says what lies where.
const reflection::Schema &schema() {
  static const auto file = llvm::MemoryBuffer::getFile(IMAGE_SCHEMA);
  if (!file)
    fuzz::broken("no schema in " IMAGE_SCHEMA);
  return *reflection::GetSchema((*file)->getBufferStart());
}

class Walk {
public:
  explicit Walk(unsigned seed) : random(seed) {}

  void table(flatbuffers::Table *table, const reflection::Object &object);

private:
  void number(uint8_t *at, size_t bytes);
  void vector(flatbuffers::VectorOfAny *vector, const reflection::Type &type);
  uint64_t pick(uint64_t count) { return count ? random() % count : 0; }

  std::mt19937 random;
};
} // namespace

void Walk::number(uint8_t *at, size_t bytes) {
  static constexpr int64_t odd[] = {
      0,    1,     2,         3,         7,          -1,        255,
      1023, 65536, INT32_MAX, INT32_MIN, UINT32_MAX, INT64_MAX, INT64_MIN};
  int64_t value = 0;
  std::memcpy(&value, at, bytes);
  switch (pick(5)) {
  case 0:
    value = odd[pick(std::size(odd))];
    break;
  case 1:
    value = static_cast<int64_t>(static_cast<uint64_t>(value) + 1);
    break;
  case 2:
    value = static_cast<int64_t>(static_cast<uint64_t>(value) - 1);
    break;
  case 3:
    value ^= int64_t(1) << pick(8 * bytes);
    break;
  default:
    value = static_cast<int64_t>(pick(64));
  }
  std::memcpy(at, &value, bytes);
}

void Walk::vector(flatbuffers::VectorOfAny *vector,
                  const reflection::Type &type) {
  auto *length = reinterpret_cast<uint8_t *>(vector);
  uint32_t count = vector->size();
  if (count == 0 || pick(12) == 0) { // shorter, or longer than it is
    uint32_t other = pick(4) ? static_cast<uint32_t>(pick(count)) : count + 1;
    std::memcpy(length, &other, sizeof other);
    return;
  }
  uint8_t *data = length + sizeof(uint32_t);
  uint64_t index = pick(count);
  if (type.element() == reflection::Obj &&
      !schema().objects()->Get(type.index())->is_struct()) {
    if (pick(10) == 0) { // two elements change places
      uint64_t other = pick(count);
      uint32_t a, b;
      std::memcpy(&a, data + 4 * index, 4);
      std::memcpy(&b, data + 4 * other, 4);
      auto apart = static_cast<uint32_t>(4 * (other - index));
      a -= apart;
      b += apart;
      std::memcpy(data + 4 * index, &b, 4);
      std::memcpy(data + 4 * other, &a, 4);
      return;
    }
    uint8_t *element = data + 4 * index;
    return table(reinterpret_cast<flatbuffers::Table *>(
                     element + flatbuffers::ReadScalar<uint32_t>(element)),
                 *schema().objects()->Get(type.index()));
  }
  if (type.element() == reflection::Obj) {
    const auto &object = *schema().objects()->Get(type.index());
    const auto &field = *object.fields()->Get(
        static_cast<uint32_t>(pick(object.fields()->size())));
    return number(data + index * object.bytesize() + field.offset(),
                  flatbuffers::GetTypeSize(field.type()->base_type()));
  }
  if (type.element() == reflection::String)
    return;
  size_t bytes = flatbuffers::GetTypeSize(type.element());
  number(data + index * bytes, bytes);
}

void Walk::table(flatbuffers::Table *table, const reflection::Object &object) {
  std::vector<const reflection::Field *> there;
  for (const reflection::Field *field : *object.fields())
    if (table->CheckField(field->offset()))
      there.push_back(field);
  if (there.empty())
    return;
  const reflection::Field &field = *there[pick(there.size())];
  switch (field.type()->base_type()) {
  case reflection::Obj:
    return this->table(flatbuffers::GetFieldT(*table, field),
                       *schema().objects()->Get(field.type()->index()));
  case reflection::Vector:
    return vector(table->GetPointer<flatbuffers::VectorOfAny *>(field.offset()),
                  *field.type());
  case reflection::String: {
    auto *text = table->GetPointer<flatbuffers::String *>(field.offset());
    if (text->size())
      number(reinterpret_cast<uint8_t *>(text) + 4 + pick(text->size()), 1);
    return;
  }
  default:
    number(const_cast<uint8_t *>(table->GetAddressOf(field.offset())),
           flatbuffers::GetTypeSize(field.type()->base_type()));
  }
}

static bool isWhole(const uint8_t *data, size_t size) {
  if (size < magicBytes + 12)
    return false;
  size_t length = flatbuffers::ReadScalar<uint32_t>(data + magicBytes);
  flatbuffers::Verifier verifier(data + magicBytes,
                                 std::min(size - magicBytes, length + 4), 16,
                                 1'000'000);
  return image::VerifySizePrefixedImageBuffer(verifier);
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size,
                                          size_t most, unsigned seed) {
  std::mt19937 random(seed);
  if (random() % 4 == 0 || !isWhole(data, size))
    return LLVMFuzzerMutate(data, size, most);
  for (unsigned n = 1 + random() % 3; n-- && isWhole(data, size);)
    Walk(static_cast<unsigned>(random()))
        .table(flatbuffers::GetMutableRoot<flatbuffers::Table>(data +
                                                               magicBytes + 4),
               *schema().root_table());
  return size;
}
