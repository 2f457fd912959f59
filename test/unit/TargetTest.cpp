#include "waferloom/Target/Target.h"
#include "waferloom/Target/ImageTarget.h"
#include "llvm/Support/FileSystem.h"
#include "gtest/gtest.h"

using namespace waferloom;
using namespace waferloom::target;

static Target get(llvm::StringRef specification) {
  llvm::Expected<Target> target = parse(specification);
  if (!target) {
    ADD_FAILURE() << toString(target.takeError());
    return Target();
  }
  return *target;
}

static std::string failure(llvm::Expected<Target> target) {
  return target ? "no error" : toString(target.takeError());
}

static bool contains(const std::string &text, llvm::StringRef part) {
  return llvm::StringRef(text).contains(part);
}

TEST(Target, PresetsHaveTheirFigures) {
  Target wse2 = get("wse2"), wse3 = get("wse3");
  EXPECT_EQ(wse2.width, 757u);
  EXPECT_EQ(wse2.height, 996u);
  EXPECT_EQ(wse2.sram, 49152u);
  EXPECT_EQ(wse2.issue, 6u);
  EXPECT_EQ(wse2.burst, 0u);
  EXPECT_EQ(wse3.width, 762u);
  EXPECT_EQ(wse3.burst, 8u);
  EXPECT_EQ(wse3.addF32, 4u);
  EXPECT_EQ(wse3.sram, 49152u) << "what wse3 does not say is wse2's";
  EXPECT_EQ(wse3.width.confidence, Confidence::High);
}

TEST(Target, EveryFigureOfAPresetHasASource) {
  for (const char *name : {"wse2", "wse3", "grid-4x4"}) {
    Target target = get(name);
#define FIGURE(type, member, key, unit, meaning)                               \
  EXPECT_FALSE(target.member.source.empty()) << name << " " << key;
#include "waferloom/Target/Figures.def"
  }
}

TEST(Target, GridsAndOverrides) {
  Target grid = get("grid-5x3,sram=192KiB,issue=0,clock=1.1");
  EXPECT_EQ(grid.width, 5u);
  EXPECT_EQ(grid.height, 3u);
  EXPECT_EQ(grid.sram, 192u * 1024);
  EXPECT_EQ(grid.issue, 0u);
  EXPECT_EQ(grid.clock, 1.1);
  EXPECT_EQ(grid.name, "grid-5x3,sram=192KiB,issue=0,clock=1.1");
  EXPECT_EQ(get("grid-1x1,sram=4MiB").sram, 4u * 1024 * 1024);
  EXPECT_EQ(get("wse2,width=10").userWidth, 10u);
}

TEST(Target, ErrorsNameTheAlternatives) {
  std::string unknown = failure(parse("wse9"));
  EXPECT_TRUE(contains(unknown, "'wse9'") && contains(unknown, "wse2, wse3"));
  EXPECT_TRUE(contains(failure(parse("grid-4")), "grid-WxH"));
  EXPECT_TRUE(contains(failure(parse("grid-0x4")), "width is 0"));
  std::string key = failure(parse("wse2,srm=1KiB"));
  EXPECT_TRUE(contains(key, "did you mean 'sram'?")) << key;
  EXPECT_TRUE(contains(key, "input-queue-words"));
  EXPECT_TRUE(contains(failure(parse("wse2,sram=big")), "'big'"));
  EXPECT_TRUE(contains(failure(parse("grid-65536x1")), "at most 65535"));
  EXPECT_TRUE(contains(failure(parse("wse2,sram=9000MiB")), "not below 2^32"));
  EXPECT_TRUE(contains(failure(parse("wse2,sram=4KiB")), "leave nothing"));
  EXPECT_TRUE(contains(failure(parse("nowhere.yaml")), "cannot read"));
  EXPECT_TRUE(contains(failure(parse("")), "unknown target"));
}

TEST(Target, FilesRoundTrip) {
  Target wse3 = get("wse3");
  std::string text;
  llvm::raw_string_ostream os(text);
  writeYaml(wse3, os);
  llvm::Expected<Target> back = parseYaml(text, "test.yaml");
  ASSERT_TRUE(bool(back)) << toString(back.takeError());
#define FIGURE(type, member, key, unit, meaning)                               \
  EXPECT_EQ(wse3.member.value, back->member.value) << key;                     \
  EXPECT_EQ(wse3.member.source, back->member.source) << key;                   \
  EXPECT_EQ(wse3.member.confidence, back->member.confidence) << key;
#include "waferloom/Target/Figures.def"
}

TEST(Target, FilesBuildOnABase) {
  llvm::Expected<Target> target = parseYaml(
      "base: wse3\nname: mine\nsram: {value: 64KiB, source: dream}\nissue: 1\n",
      "test.yaml");
  ASSERT_TRUE(bool(target)) << toString(target.takeError());
  EXPECT_EQ(target->sram, 65536u);
  EXPECT_EQ(target->sram.source, "dream");
  EXPECT_EQ(target->issue, 1u);
  EXPECT_EQ(target->issue.source, "given in test.yaml");
  EXPECT_EQ(target->width, 762u);
}

TEST(Target, BadFilesAreRefused) {
  auto text = [](llvm::StringRef yaml) {
    return failure(parseYaml(yaml, "t.yaml"));
  };
  EXPECT_TRUE(contains(text("base: wse3\nspeed: 3\n"), "unknown key 'speed'"));
  EXPECT_TRUE(contains(text("base: wse3\nspeed: 3\n"), "the keys are width"));
  EXPECT_TRUE(contains(text("base: wse3\nsram: x\n"), "2:7: not a whole"));
  EXPECT_TRUE(contains(text("base: wse3\nsram: [1]\n"), "is a list"));
  EXPECT_TRUE(contains(text("name: a\n"), "'width' is missing"));
  EXPECT_TRUE(contains(text("- 1\n"), "t.yaml"));
  EXPECT_TRUE(contains(text(""), "t.yaml"));
  EXPECT_TRUE(contains(text("base: t9\nname: a\n"), "unknown target 't9'"));
  EXPECT_TRUE(contains(text("{{{"), "t.yaml"));
}

TEST(Target, TheTableNamesSourcesAndConfidence) {
  std::string table;
  llvm::raw_string_ostream os(table);
  print(get("wse3"), os);
  EXPECT_TRUE(contains(table, "48KiB"));
  EXPECT_TRUE(contains(table, "HC34, SDK"));
  EXPECT_TRUE(contains(table, "U  chosen"));
}

TEST(Target, ProgramsMayTakeTheUsersRectangle) {
  EXPECT_EQ(get("wse3,width=900").userWidth, 900u) << "all of what was set";
  EXPECT_EQ(get("wse3,width=900,user-width=890").userWidth, 890u);
  EXPECT_EQ(get("grid-4x4,height=8").userHeight, 8u);
  EXPECT_EQ(get("wse3").userWidth, 755u);
  EXPECT_TRUE(contains(failure(parse("wse3,user-height=1173")),
                       "user-height is 1173; it must be at most height, which "
                       "is 1172"));
  EXPECT_TRUE(contains(failure(parse("wse3,user-width=0")), "user-width is 0"));
  llvm::Expected<Target> file =
      parseYaml("base: wse3\nname: mine\nwidth: 100\n", "t.yaml");
  ASSERT_TRUE(bool(file)) << toString(file.takeError());
  EXPECT_EQ(file->userWidth, 100u);
  EXPECT_EQ(file->userHeight, 1170u);

  Target wse2 = get("wse2");
  EXPECT_FALSE(bool(checkRectangle(wse2, 750, 994)));
  EXPECT_TRUE(contains(toString(checkRectangle(wse2, 751, 1)),
                       "too wide for programs of 'wse2': user-width is 750; "
                       "the largest region is 750 x 994"));
  EXPECT_TRUE(contains(toString(checkRectangle(wse2, 1, 995)),
                       "too high for programs of 'wse2': user-height is 994"));
}

TEST(Target, FiguresThatDoNotActAreAWarning) {
  std::vector<std::string> warnings;
  EXPECT_TRUE(bool(parse("wse3", &warnings)));
  EXPECT_TRUE(bool(parse("grid-4x4,sram=2MiB,issue=0", &warnings)));
  EXPECT_TRUE(warnings.empty()) << "a preset's own figures are no news";
  EXPECT_TRUE(bool(parse("wse3,link-bits=64,sram=64KiB", &warnings)));
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_TRUE(contains(warnings[0], "'wse3,link-bits=64,sram=64KiB': link-bits "
                                    "is set, but no decision"));
  warnings.clear();
  llvm::Expected<Target> file = parseYaml(
      "base: \"wse2,filters=1\"\nname: mine\nlink-bits: 64\npower: 1\n",
      "t.yaml", &warnings);
  ASSERT_TRUE(bool(file)) << toString(file.takeError());
  ASSERT_EQ(warnings.size(), 2u) << "of the base, too";
  EXPECT_TRUE(contains(warnings[0], "filters is set"));
  EXPECT_TRUE(contains(warnings[1], "'t.yaml': link-bits, power are set"));
}

TEST(Target, FiguresThatDoNotActMayBeLeftOut) {
  std::string text;
  llvm::raw_string_ostream os(text);
  writeYaml(get("wse3"), os);
  size_t begin = text.find("link-bits:"), end = text.find("sram:");
  ASSERT_LT(begin, end);
  text.erase(begin, end - begin);
  llvm::Expected<Target> target = parseYaml(text, "t.yaml");
  ASSERT_TRUE(bool(target)) << toString(target.takeError());
  EXPECT_EQ(target->linkBits.source, "not given");
}

TEST(Target, TheTableSaysWhichFiguresAct) {
  std::string table;
  llvm::raw_string_ostream os(table);
  print(get("wse3"), os);
  auto [acting, inert] = llvm::StringRef(table).split("For information");
  EXPECT_TRUE(acting.contains("user-width") && !inert.contains("user-width"));
  EXPECT_TRUE(inert.contains("link-bits") && !acting.contains("link-bits"));
}

TEST(Target, DeepFilesAndRoundsOfBasesAreRefused) {
  for (llvm::StringRef step : {"[", "{a: ", "- ", "? "}) {
    std::string text = "base: wse3\nname: deep\nsram: ";
    for (int i = 0; i < 100000; ++i)
      text += step;
    EXPECT_TRUE(contains(failure(parseYaml(text, "t.yaml")), "too deeply"))
        << step.str();
  }
  std::string blocks, indent;
  for (int i = 0; i < 2000; ++i)
    blocks += (indent += " ") + "a:\n";
  EXPECT_TRUE(contains(failure(parseYaml(blocks, "t.yaml")), "too deeply"));
  EXPECT_TRUE(bool(parseYaml("base: wse3\nname: a\n"
                             "sram: {value: 1MiB, source: \"[[[ - - [[[\"}\n",
                             "t.yaml")));

  llvm::SmallString<128> path;
  ASSERT_FALSE(llvm::sys::fs::createTemporaryFile("self", "yaml", path));
  {
    std::error_code error;
    llvm::raw_fd_ostream file(path, error);
    file << "name: self\nbase: " << path << "\n";
  }
  EXPECT_TRUE(contains(failure(parse(path)), "do files name each other?"));
  llvm::sys::fs::remove(path);
}

TEST(Target, TheImageTakesTheFiguresAlong) {
  auto target = toImage(get("wse3"));
  EXPECT_EQ(target->name, "wse3");
  EXPECT_EQ(target->words_per_burst, 8u);
  EXPECT_EQ(target->rate_fma_f16, 8u);
  EXPECT_EQ(target->issue_cycles, 6u);
}

static const char *spares = R"(
base: grid-20x10
name: spares
defects:
  - {x: 8, y: 0, width: 1, height: 10}
  - {x: 0, y: 9, width: 20, height: 1}
)";

TEST(Target, DefectsAreRectanglesWithoutPrograms) {
  Target target = llvm::cantFail(parseYaml(spares, "spares.yaml"));
  ASSERT_EQ(target.defects.size(), 2u);
  EXPECT_EQ(findLargest(target), std::pair(int64_t(11), int64_t(9)));
  EXPECT_EQ(findPlace(target, 8, 9), std::pair(int64_t(0), int64_t(0)));
  EXPECT_EQ(findPlace(target, 9, 3), std::pair(int64_t(9), int64_t(0)));
  EXPECT_FALSE(findPlace(target, 12, 1));
  EXPECT_FALSE(findPlace(target, 2, 10));
  EXPECT_EQ(llvm::toString(checkRectangle(target, 12, 2)),
            "a region of 12 x 2 PEs has no place beside the 2 defects of "
            "'spares'; the largest region is 11 x 9");
  EXPECT_EQ(llvm::toString(checkRectangle(target, 4, 4, 6, 2)),
            "a region of 4 x 4 PEs at (6, 2) stands on a defect of 'spares': "
            "1 x 10 PEs at (8, 0)");
  EXPECT_FALSE(llvm::errorToBool(checkRectangle(target, 11, 9, 9, 0)));
  std::string text;
  llvm::raw_string_ostream os(text);
  writeYaml(target, os);
  EXPECT_EQ(llvm::cantFail(parseYaml(text, "again.yaml")).defects,
            target.defects);
  print(target, os);
  EXPECT_NE(text.find("1 x 10 PEs at (8, 0): no program stands there"),
            std::string::npos);
}

TEST(Target, WrongDefectsAreRefused) {
  auto refusal = [](llvm::StringRef defects) {
    return llvm::toString(
        parseYaml(("base: grid-20x10\nname: lab\ndefects: " + defects).str(),
                  "lab.yaml")
            .takeError());
  };
  EXPECT_NE(refusal("[{x: 19, y: 0, width: 2, height: 1}]")
                .find("a defect of 2 x 1 PEs at (19, 0) does not lie on the "
                      "fabric of 20 x 10"),
            std::string::npos);
  EXPECT_NE(refusal("[{x: 1, y: 0, width: 0, height: 1}]").find("does not lie"),
            std::string::npos);
  EXPECT_NE(refusal("[{x: 1, y: 0, width: 1}]").find("missing"),
            std::string::npos);
  EXPECT_NE(refusal("[{x: 0, y: 0, width: 20, height: 10}]")
                .find("defects leave no PE for programs"),
            std::string::npos);
}
