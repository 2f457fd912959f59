// Changes a few fields of an ONNX model, whatever the format has: a walk over
// the message takes a field at random, changes, repeats or removes it.

#include "Fuzz.h"

#include "onnx/onnx_pb.h"

#include <google/protobuf/stubs/logging.h>

#include <random>

using namespace google::protobuf;

namespace {
class Walk {
public:
  explicit Walk(unsigned seed) : random(seed) {}

  void message(Message &message);

private:
  void single(Message &message, const FieldDescriptor &field);
  void repeated(Message &message, const FieldDescriptor &field);
  void number(Message &message, const FieldDescriptor &field, int index);
  std::string text(const std::string &old);
  int64_t value(int64_t old);
  uint64_t pick(uint64_t count) { return count ? random() % count : 0; }

  std::mt19937 random;
  /// Met on the way: what one place calls is most likely known at another.
  std::vector<std::string> seen;
};
} // namespace

int64_t Walk::value(int64_t old) {
  static constexpr int64_t odd[] = {0,         1,         -1,        2,
                                    3,         8,         16,        1 << 20,
                                    INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
  switch (pick(4)) {
  case 0:
    return old == INT64_MAX ? old : old + 1;
  case 1:
    return old == INT64_MIN ? old : old - 1;
  case 2:
    return static_cast<int64_t>(pick(24));
  default:
    return odd[pick(std::size(odd))];
  }
}

std::string Walk::text(const std::string &old) {
  std::string changed = old;
  switch (pick(5)) {
  case 0:
    return "";
  case 1:
    if (!changed.empty())
      changed[pick(changed.size())] = static_cast<char>(random());
    return changed;
  case 2:
    return changed.substr(0, pick(changed.size()));
  case 3:
    changed.resize(changed.size() + 1 + pick(8), '\1');
    return changed;
  default:
    return seen.empty() ? old : seen[pick(seen.size())];
  }
}

/// `index` -1: the field is no list.
void Walk::number(Message &message, const FieldDescriptor &field, int index) {
  const Reflection &at = *message.GetReflection();
#define CHANGE(Type, expression)                                               \
  {                                                                            \
    auto old = index < 0 ? at.Get##Type(message, &field)                       \
                         : at.GetRepeated##Type(message, &field, index);       \
    auto made = expression;                                                    \
    if (index < 0)                                                             \
      at.Set##Type(&message, &field, made);                                    \
    else                                                                       \
      at.SetRepeated##Type(&message, &field, index, made);                     \
    return;                                                                    \
  }
  switch (field.cpp_type()) {
  case FieldDescriptor::CPPTYPE_INT32:
    CHANGE(Int32, static_cast<int32_t>(value(old)))
  case FieldDescriptor::CPPTYPE_INT64:
    CHANGE(Int64, value(old))
  case FieldDescriptor::CPPTYPE_UINT64:
    CHANGE(UInt64, static_cast<uint64_t>(value(static_cast<int64_t>(old))))
  case FieldDescriptor::CPPTYPE_ENUM:
    CHANGE(EnumValue, static_cast<int>(pick(24)) + 0 * old)
  case FieldDescriptor::CPPTYPE_FLOAT: {
    static constexpr float odd[] = {0, -1, 1e30f, -1e30f, 1e-40f, HUGE_VALF};
    CHANGE(Float, pick(2) ? old * 2 : odd[pick(std::size(odd))])
  }
  case FieldDescriptor::CPPTYPE_STRING:
    CHANGE(String, text(old))
  default:
    return;
  }
#undef CHANGE
}

void Walk::single(Message &message, const FieldDescriptor &field) {
  const Reflection &at = *message.GetReflection();
  if (pick(12) == 0)
    return at.ClearField(&message, &field);
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE)
    return this->message(*at.MutableMessage(&message, &field));
  number(message, field, -1);
}

void Walk::repeated(Message &message, const FieldDescriptor &field) {
  const Reflection &at = *message.GetReflection();
  int count = at.FieldSize(message, &field);
  if (count == 0)
    return;
  int index = static_cast<int>(pick(static_cast<uint64_t>(count)));
  bool holdsMessages = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  switch (pick(8)) {
  case 0:
    at.SwapElements(&message, &field, index, count - 1);
    return at.RemoveLast(&message, &field);
  case 1:
    return at.SwapElements(
        &message, &field, index,
        static_cast<int>(pick(static_cast<uint64_t>(count))));
  case 2:
    if (holdsMessages) {
      std::unique_ptr<Message> copy(
          at.GetRepeatedMessage(message, &field, index).New());
      copy->CopyFrom(at.GetRepeatedMessage(message, &field, index));
      at.AddMessage(&message, &field)->CopyFrom(*copy);
      return;
    }
    [[fallthrough]];
  default:
    if (holdsMessages)
      return this->message(*at.MutableRepeatedMessage(&message, &field, index));
    number(message, field, index);
  }
}

void Walk::message(Message &message) {
  const Reflection &at = *message.GetReflection();
  std::vector<const FieldDescriptor *> there;
  at.ListFields(message, &there);
  // Now and then a field that is not there.
  if (there.empty() || pick(16) == 0) {
    const Descriptor &type = *message.GetDescriptor();
    const FieldDescriptor *field = type.field(
        static_cast<int>(pick(static_cast<uint64_t>(type.field_count()))));
    if (!field->is_repeated() &&
        field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE)
      number(message, *field, -1);
    return;
  }
  for (const FieldDescriptor *field : there)
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING)
      for (int i = 0; field->is_repeated() && i < at.FieldSize(message, field);
           ++i)
        seen.push_back(at.GetRepeatedString(message, field, i));
  const FieldDescriptor &field = *there[pick(there.size())];
  field.is_repeated() ? repeated(message, field) : single(message, field);
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size,
                                          size_t most, unsigned seed) {
  static const LogSilencer quiet;
  std::mt19937 random(seed);
  onnx::ModelProto model;
  if (random() % 8 == 0 ||
      !model.ParsePartialFromArray(data, static_cast<int>(size)))
    return LLVMFuzzerMutate(data, size, most);
  // Most walks go into the graph: that is where a model differs from another.
  Message *graph = model.has_graph() ? model.mutable_graph() : nullptr;
  for (unsigned n = 1 + random() % 3; n--;)
    Walk(static_cast<unsigned>(random()))
        .message(graph && random() % 8 ? *graph : model);
  std::string bytes;
  if (!model.SerializePartialToString(&bytes) || bytes.size() > most)
    return LLVMFuzzerMutate(data, size, most);
  std::copy(bytes.begin(), bytes.end(), data);
  return bytes.size();
}
