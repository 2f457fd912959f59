// Mappings as files: what is read is written again, what is wrong is refused
// with its line, and no bytes bring the reader down.

#include "waferloom/Mapping/Mapping.h"

#include "llvm/Support/raw_ostream.h"
#include "gtest/gtest.h"

#include <random>

using namespace waferloom;
using mapping::Mapping;
using mapping::matches;

static constexpr llvm::StringLiteral whole = R"(# A comment.
waferloom-mapping: 1
model: {parameters: 12, layers: 3}
target: "grid-8x8,sram=64KiB"
rewrites:
  deferred-norm: off
  middle-root: on
prefill: stream
region: {x: [2, 4], y: [8]}
stages:
  - {at: [0, 0]}
  - {at: [8, 0], trips: [0, 3]}
layouts:
  - {dim: "w \"q\".0", size: 48, split: [x0, x1]}  # and more
  - {dim: "w.1", size: 7, split: none}
collectives:
  - {at: "tokens1:a*#2", along: y, words: 12, algorithm: two-phase, group: 3, root: 4, color: 0}
  - {at: "*", algorithm: auto}
)";

static Mapping get(llvm::StringRef text) {
  llvm::Expected<Mapping> read = mapping::parse(text, "m.yaml");
  if (!read) {
    ADD_FAILURE() << llvm::toString(read.takeError());
    return {};
  }
  return std::move(*read);
}

static std::string failure(llvm::StringRef text) {
  llvm::Expected<Mapping> read = mapping::parse(text, "m.yaml");
  return read ? "no error" : llvm::toString(read.takeError());
}

static std::string written(const Mapping &mapping) {
  std::string text;
  llvm::raw_string_ostream os(text);
  mapping::write(mapping, "comment", os);
  return text;
}

TEST(Mapping, KnowsWhatTheFileSays) {
  Mapping read = get(whole);
  EXPECT_EQ(*read.parameters, 12);
  EXPECT_EQ(*read.target, "grid-8x8,sram=64KiB");
  EXPECT_EQ(read.getWidth(), 8);
  EXPECT_EQ(read.getHeight(), 8);
  EXPECT_EQ(read.getDisabledRewrites(),
            std::vector<std::string>{"deferred-norm"});
  ASSERT_EQ(read.stages.size(), 2u);
  EXPECT_EQ(*read.stages[1].trips, (std::vector<int64_t>{0, 3}));
  ASSERT_EQ(read.layouts.size(), 2u);
  EXPECT_EQ(*read.layouts[0].dim, "w \"q\".0");
  EXPECT_TRUE(read.layouts[1].split->empty()) << "none is no axis";
  ASSERT_EQ(read.collectives.size(), 2u);
  EXPECT_EQ(read.collectives[0].root.line, 17u);
  EXPECT_FALSE(read.collectives[1].algorithm) << "auto is no value";
}

TEST(Mapping, WritesTheSameBytesAgain) {
  Mapping read = get(whole);
  const std::string once = written(read);
  EXPECT_EQ(written(get(once)), once);
  EXPECT_NE(once.find("w \\\"q\\\".0"), std::string::npos);
}

TEST(Mapping, APlainSizeLeavesTheFactorsOpen) {
  Mapping read = get("waferloom-mapping: 1\nregion: {x: 12, y: [3, 4]}\n");
  EXPECT_EQ(read.getWidth(), 12);
  EXPECT_FALSE(read.x);
  EXPECT_EQ(read.y->size(), 2u);
}

TEST(Mapping, EveryUnknownFieldIsRefusedWithItsLine) {
  const std::string begin = "waferloom-mapping: 1\n";
  const std::pair<std::string, llvm::StringRef> cases[] = {
      {"speed: 3", "line 2: a mapping has no field 'speed'"},
      {"model: {size: 3}", "line 2: model has no field 'size'"},
      {"region: {z: 3}", "line 2: region has no field 'z'"},
      {"stages: [{on: 3}]", "line 2: a stage has no field 'on'"},
      {"layouts:\n  - {dim: a, axis: x}", "line 3: a layout has no field"},
      {"collectives:\n  - {at: a, by: x}", "line 3: a collective has no field"},
      {"prefill: fast", "line 2: prefill is block or stream or auto"},
      {"rewrites: {middle-root: maybe}", "is on or off or auto, not 'maybe'"},
      {"region: {x: -3, y: 1}", "is a whole number of at least 0, not '-3'"},
      {"region: {x: [], y: 1}", "factors of at least 1"},
      {"region: {x: [300, 300], y: 1}", "at most 65536"},
      {"stages: 0", "stages are at least 1"},
      {"stages: []", "stages are at least 1"},
      {"stages: [{at: [1]}]", "a column and a row"},
      {"layouts: [{split: x}]", "which dimensions it is for"},
      {"collectives: [{along: z, at: a}]", "along is x or y or auto"},
      {"layouts: {dim: x}", "layouts is a list"},
      {"model: 3\nmodel: 4", "model is a map"},
      {"target: a\ntarget: b", "line 3: a mapping says 'target' twice"},
      {"target: a\n---\ntarget: b", "one document"},
  };
  for (const auto &[text, message] : cases)
    EXPECT_NE(failure(begin + text + "\n").find(message), std::string::npos)
        << text << ": " << failure(begin + text + "\n");
  EXPECT_NE(failure("target: x\n").find("begins with"), std::string::npos);
  EXPECT_NE(failure("waferloom-mapping: 2\n").find("version 1"),
            std::string::npos);
  EXPECT_NE(failure("").find("line 1"), std::string::npos);
}

TEST(Mapping, StarsStandForAnyText) {
  EXPECT_TRUE(matches("a.b", "a.b"));
  EXPECT_TRUE(matches("*", ""));
  EXPECT_TRUE(matches("layers.*.q.0", "layers.13.q.0"));
  EXPECT_TRUE(matches("*b*b", "abab"));
  EXPECT_TRUE(matches("a*", "a*"));
  EXPECT_FALSE(matches("a*a", "a"));
  EXPECT_FALSE(matches("*.q.0", "layers.q.1"));
  EXPECT_FALSE(matches("", "a"));
  EXPECT_TRUE(matches("[q]", "[q]")) << "nothing but a star is special";
}

TEST(Mapping, NamesAreNumberedFromTheSecondOn) {
  mapping::CollectiveNames names;
  EXPECT_EQ(names.next("f", "n", true), "f:n");
  EXPECT_EQ(names.next("f", "n", false), "f:n");
  EXPECT_EQ(names.next("f", "n", true), "f:n#2");
}

TEST(Mapping, AnyBytesAreReadOrRefused) {
  std::mt19937 random(7);
  const std::string parts = "{}[]:,-#\"'&*!|>%@\n \t\\x0\x80";
  for (int i = 0; i < 20'000; ++i) {
    std::string text = whole.str();
    for (unsigned edits = random() % 4 + 1; edits--;) {
      const size_t at = random() % text.size();
      if (random() % 3 == 0)
        text.erase(at, random() % 9);
      else
        text.insert(
            at, std::string(random() % 3 + 1, parts[random() % parts.size()]));
    }
    if (llvm::Expected<Mapping> read = mapping::parse(text, "m"))
      EXPECT_EQ(written(get(written(*read))), written(*read)) << text;
    else
      EXPECT_NE(llvm::toString(read.takeError()).find("line"),
                std::string::npos);
  }
  // Deep nesting is refused where it begins.
  for (char bracket : {'[', '{'})
    EXPECT_NE(failure("waferloom-mapping: 1\ntarget: " +
                      std::string(200'000, bracket)),
              "no error");
}
