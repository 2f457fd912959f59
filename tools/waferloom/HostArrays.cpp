//===- HostArrays.cpp - Arrays of archives, as a session takes them -------===//

#include "HostArrays.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <cstring>

using namespace waferloom;
using namespace waferloom::tool;
using executor::HostType;

/// The bytes of `from` as elements of another type.
template <typename From, typename To>
static std::string convertedTo(llvm::StringRef bytes) {
  std::string result(bytes.size() / sizeof(From) * sizeof(To), '\0');
  for (size_t i = 0; i < bytes.size() / sizeof(From); ++i) {
    From value;
    std::memcpy(&value, bytes.data() + i * sizeof(From), sizeof(From));
    const To other = static_cast<To>(value);
    std::memcpy(result.data() + i * sizeof(To), &other, sizeof(To));
  }
  return result;
}

namespace {
/// A type of NumPy that sessions do not take, and the one they take for it.
struct Widening {
  llvm::StringLiteral code, taken;
  std::string (*widen)(llvm::StringRef), (*narrow)(llvm::StringRef);
};
} // namespace

static constexpr Widening widenings[] = {
    {"i1", "i4", convertedTo<int8_t, int32_t>, convertedTo<int32_t, int8_t>},
    {"u1", "i4", convertedTo<uint8_t, int32_t>, convertedTo<int32_t, uint8_t>},
    {"i2", "i4", convertedTo<int16_t, int32_t>, convertedTo<int32_t, int16_t>},
    {"u2", "i4", convertedTo<uint16_t, int32_t>,
     convertedTo<int32_t, uint16_t>},
    {"u4", "i8", convertedTo<uint32_t, int64_t>,
     convertedTo<int32_t, uint32_t>},
    // What does not fit becomes negative, which the session refuses.
    {"u8", "i8", convertedTo<uint64_t, int64_t>,
     convertedTo<int32_t, uint64_t>},
    {"f8", "f4", convertedTo<double, float>, convertedTo<float, double>},
};

static constexpr std::pair<llvm::StringLiteral, HostType> codes[] = {
    {"f4", HostType::f32},
    {"f2", HostType::f16},
    {"i4", HostType::i32},
    {"i8", HostType::i64},
    {"b1", HostType::boolean}};

/// NumPy's code of a type of a model; empty if it has none.
static std::string codeOf(llvm::StringRef name) {
#define HOST_INTEGER(known, bits, isSigned)                                    \
  if (name == #known)                                                          \
    return ((isSigned) ? "i" : "u") + std::to_string(((bits) + 7) / 8);
#include "waferloom/Format/HostTypes.def"
  return name == "float64" ? "f8" : "";
}

/// NumPy's code of what the model declares; empty if it is no type of
/// HostTypes.def, or NumPy has none for it.
static std::string codeOf(Declared declared, llvm::StringRef name,
                          image::Role role) {
  for (const auto &info : declared)
    if (info->name == name && info->role == role)
      return codeOf(info->host);
  return "";
}

llvm::Expected<executor::HostTensor>
tool::toHost(const std::string &name, Array &array, Declared declared) {
  const bool hasDoubles = codeOf(declared, name, image::Role::input) == "f8";
  for (const Widening &widening : widenings)
    if (array.type == widening.code && (array.type != "f8" || hasDoubles)) {
      array.bytes = widening.widen(array.bytes);
      array.type = widening.taken;
      break;
    }
  executor::HostTensor tensor;
  tensor.name = name;
  tensor.data = array.bytes.data();
  tensor.shape = array.shape;
  for (auto [code, type] : codes)
    if (array.type == code) {
      tensor.type = type;
      return tensor;
    }
  return llvm::createStringError(llvm::formatv(
      "input '{0}' has elements of type {1}; float32, float16, integers and "
      "bool are taken",
      name, array.type));
}

Array tool::toArray(const executor::OutputTensor &tensor, Declared declared) {
  Array array;
  for (auto [code, type] : codes)
    if (tensor.type == type)
      array.type = code;
  array.shape = tensor.shape;
  array.bytes.assign(tensor.bytes.begin(), tensor.bytes.end());
  const std::string wanted = codeOf(declared, tensor.name, image::Role::output);
  for (const Widening &widening : widenings)
    if (widening.code == wanted) {
      array.bytes = widening.narrow(array.bytes);
      array.type = widening.code;
    }
  return array;
}
