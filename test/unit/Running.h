// Running the images of Programs.h.

#ifndef WAFERLOOM_TEST_UNIT_RUNNING_H
#define WAFERLOOM_TEST_UNIT_RUNNING_H

#include "Programs.h"
#include "waferloom/Executor/CriticalPath.h"
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

/// A session of each engine. Every test that runs runs both, and what they give
/// is the same, errors too.
class BothEngines : public Session {
public:
  BothEngines(std::unique_ptr<Session> lockstep,
              std::unique_ptr<Session> reference)
      : lockstep(std::move(lockstep)), reference(std::move(reference)) {}

  llvm::Expected<StepResult>
  step(size_t entry, llvm::ArrayRef<HostTensor> inputs,
       const executor::RunOptions &options) override {
    executor::RunOptions untraced = options, walked = options;
    executor::CriticalPath theirs, ours;
    untraced.trace = nullptr;
    untraced.critical = &theirs;
    walked.critical = &ours;
    auto expected = reference->step(entry, inputs, untraced);
    auto result = lockstep->step(entry, inputs, walked);
    if (!expected || !result) {
      std::string left = failure(std::move(result));
      EXPECT_EQ(left, failure(std::move(expected)));
      return llvm::createStringError(left);
    }
    expectSame(*result, *expected);
    expectSamePath(ours, theirs, result->cycles);
    if (options.critical)
      *options.critical = ours;
    return result;
  }
  llvm::Error proveHangFree(size_t entry) override {
    std::string expected = toString(reference->proveHangFree(entry));
    std::string result = toString(lockstep->proveHangFree(entry));
    EXPECT_EQ(result, expected);
    if (result.empty())
      return llvm::Error::success();
    return llvm::createStringError(result);
  }
  llvm::Error check(size_t entry, llvm::ArrayRef<HostTensor> inputs,
                    uint64_t more,
                    const executor::RunOptions &options) override {
    std::string expected =
        toString(reference->check(entry, inputs, more, options));
    std::string result =
        toString(lockstep->check(entry, inputs, more, options));
    EXPECT_EQ(result, expected);
    return result.empty() ? llvm::Error::success()
                          : llvm::createStringError(result);
  }
  llvm::Error reset() override {
    if (llvm::Error error = lockstep->reset())
      return error;
    return reference->reset();
  }
  llvm::Error rewind(uint64_t length) override {
    std::string expected = toString(reference->rewind(length));
    std::string result = toString(lockstep->rewind(length));
    EXPECT_EQ(result, expected);
    return result.empty() ? llvm::Error::success()
                          : llvm::createStringError(result);
  }
  llvm::Error load(llvm::ArrayRef<HostTensor> states,
                   uint64_t length) override {
    std::string expected = toString(reference->load(states, length));
    std::string result = toString(lockstep->load(states, length));
    EXPECT_EQ(result, expected);
    return result.empty() ? llvm::Error::success()
                          : llvm::createStringError(result);
  }
  llvm::Expected<std::unique_ptr<Session>> fork() override {
    return std::make_unique<BothEngines>(llvm::cantFail(lockstep->fork()),
                                         llvm::cantFail(reference->fork()));
  }
  uint64_t length() const override {
    EXPECT_EQ(lockstep->length(), reference->length());
    return lockstep->length();
  }
  const image::ImageT &image() const override { return lockstep->image(); }

  static void expectSame(const StepResult &result, const StepResult &expected) {
    expectCounts(result, expected);
    EXPECT_EQ(result.outputs.size(), expected.outputs.size());
    for (size_t i = 0; i < result.outputs.size(); ++i)
      EXPECT_EQ(result.outputs[i].bytes, expected.outputs[i].bytes)
          << result.outputs[i].name;
  }

  /// All but the outputs.
  static void expectCounts(const StepResult &result,
                           const StepResult &expected) {
    EXPECT_EQ(result.cycles, expected.cycles);
    EXPECT_EQ(result.lastX, expected.lastX);
    EXPECT_EQ(result.lastY, expected.lastY);
    EXPECT_EQ(result.instructions, expected.instructions);
    EXPECT_EQ(result.words, expected.words);
    expectSameLinks(result, expected);
    EXPECT_EQ(result.accounts.size(), expected.accounts.size());
    for (size_t i = 0;
         i < std::min(result.accounts.size(), expected.accounts.size()); ++i) {
      EXPECT_EQ(result.accounts[i].node, expected.accounts[i].node);
      EXPECT_EQ(result.accounts[i].op, expected.accounts[i].op);
      EXPECT_EQ(result.accounts[i].busy, expected.accounts[i].busy);
      EXPECT_EQ(result.accounts[i].wait, expected.accounts[i].wait);
    }
  }

  static void expectSameLinks(const StepResult &result,
                              const StepResult &expected) {
    EXPECT_EQ(result.sharedLinkCycles, expected.sharedLinkCycles);
    auto told = [](const executor::SharedLinks &links) {
      return std::tie(links.colors[0], links.colors[1], links.nodes[0],
                      links.nodes[1], links.cycles, links.links, links.x,
                      links.y, links.side);
    };
    EXPECT_EQ(result.sharedLinks.size(), expected.sharedLinks.size());
    for (size_t i = 0;
         i < std::min(result.sharedLinks.size(), expected.sharedLinks.size());
         ++i)
      EXPECT_TRUE(told(result.sharedLinks[i]) == told(expected.sharedLinks[i]))
          << i;
  }

  /// Stretch by stretch; and every cycle of the step is on it.
  static void expectSamePath(const executor::CriticalPath &path,
                             const executor::CriticalPath &expected,
                             uint64_t cycles) {
    EXPECT_EQ(path.total(), cycles);
    EXPECT_EQ(expected.total(), cycles);
    auto told = [](const executor::PathStep &step) {
      return std::tie(step.begin, step.cycles, step.x, step.y, step.region,
                      step.instruction, step.account, step.trip, step.kind);
    };
    EXPECT_EQ(path.steps.size(), expected.steps.size());
    for (size_t i = 0; i < std::min(path.steps.size(), expected.steps.size());
         ++i)
      EXPECT_TRUE(told(path.steps[i]) == told(expected.steps[i])) << i;
    EXPECT_EQ(path.trips.size(), expected.trips.size());
  }

private:
  std::unique_ptr<Session> lockstep, reference;
};

inline std::unique_ptr<Session>
bothEngines(std::shared_ptr<const image::Loaded> image) {
  auto lockstep = Session::create(image, executor::EngineKind::lockstep);
  auto reference = Session::create(image, executor::EngineKind::reference);
  if (!lockstep || !reference) {
    std::string left = failure(std::move(lockstep));
    EXPECT_EQ(left, failure(std::move(reference)));
    ADD_FAILURE() << left;
    return nullptr;
  }
  return std::make_unique<BothEngines>(std::move(*lockstep),
                                       std::move(*reference));
}

inline std::unique_ptr<Session> sessionOf(const Builder &builder) {
  auto loaded = adopt(builder.image, builder.data);
  if (!loaded) {
    ADD_FAILURE() << toString(loaded.takeError());
    return nullptr;
  }
  return bothEngines(*loaded);
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
