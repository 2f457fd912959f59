// Running the images of Programs.h.

#ifndef WAFERLOOM_TEST_UNIT_RUNNING_H
#define WAFERLOOM_TEST_UNIT_RUNNING_H

#include "Programs.h"
#include "waferloom/Executor/Executor.h"
#include "gtest/gtest.h"

namespace waferloom::test {

using executor::HostTensor;
using executor::HostType;
using executor::Session;
using executor::StepResult;

template <typename T>
std::string failure(llvm::Expected<T> value) {
  return value ? "no error" : toString(value.takeError());
}

inline bool contains(const std::string &text, llvm::StringRef part) {
  return llvm::StringRef(text).contains(part);
}

inline std::unique_ptr<Session> sessionOf(const Builder &builder) {
  auto loaded = adopt(builder.image, builder.data);
  if (!loaded) {
    ADD_FAILURE() << toString(loaded.takeError());
    return nullptr;
  }
  auto session = Session::create(*loaded);
  if (!session) {
    ADD_FAILURE() << toString(session.takeError());
    return nullptr;
  }
  return std::move(*session);
}

inline HostTensor tensor(llvm::StringRef name, const std::vector<float> &values,
                         std::vector<int64_t> shape) {
  return {name.str(), values.data(), HostType::f32, std::move(shape)};
}

inline StepResult stepOf(Session *session,
                         const std::vector<HostTensor> &inputs = {},
                         executor::RunOptions options = {}) {
  if (!session)
    return StepResult();
  llvm::Expected<StepResult> result = session->step(0, inputs, options);
  if (!result) {
    ADD_FAILURE() << toString(result.takeError());
    return StepResult();
  }
  return std::move(*result);
}

template <typename T = float>
std::vector<T> valuesOf(const StepResult &result, size_t output = 0) {
  if (output >= result.outputs.size())
    return {};
  const std::vector<char> &bytes = result.outputs[output].bytes;
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

/// A route that passes words east from the first column to the last.
inline void routeEast(Builder &builder, uint8_t color, uint32_t first,
                      uint32_t last) {
  builder.route(color, first + 1, {Turn(Side::ramp, 0)}, {Side::east});
  for (uint32_t i = first + 1; i < last; ++i)
    builder.route(color, i + 1, {Turn(Side::west, 0)}, {Side::east});
  builder.route(color, last + 1, {Turn(Side::west, 0)}, {Side::ramp});
}

} // namespace waferloom::test

#endif // WAFERLOOM_TEST_UNIT_RUNNING_H
