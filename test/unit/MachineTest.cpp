#include "waferloom/Format/Format.h"
#include "waferloom/Machine/MachineModel.h"
#include "waferloom/Target/ImageTarget.h"
#include "gtest/gtest.h"

using namespace waferloom;
using namespace waferloom::machine;

static std::unique_ptr<image::TargetT> get(llvm::StringRef name) {
  return target::toImage(llvm::cantFail(target::parse(name)));
}

TEST(MachineModel, RatesAreThoseOfTheOperationAndTheFormat) {
  auto target = get("wse3");
  MachineModel machine(*target);
  EXPECT_EQ(machine.getRate(Opcode::fma, Type::f32), 1);
  EXPECT_EQ(machine.getRate(Opcode::fma, Type::f16), 8);
  EXPECT_EQ(machine.getRate(Opcode::fma, Type::f32, Type::f32, Type::f16), 4)
      << "halves into singles";
  EXPECT_EQ(machine.getRate(Opcode::sub, Type::f32), 4);
  EXPECT_EQ(machine.getRate(Opcode::mul, Type::f32), 1);
  EXPECT_EQ(machine.getRate(Opcode::max, Type::f16), 8);
  EXPECT_EQ(machine.getRate(Opcode::lt, Type::i32, Type::f16, Type::f16), 8)
      << "a comparison goes by what is compared";
  EXPECT_EQ(machine.getRate(Opcode::select, Type::f16, Type::i32, Type::f16), 8)
      << "a selection by what is selected";
  EXPECT_EQ(machine.getRate(Opcode::convert, Type::f16, Type::f32, Type::f32),
            4);
  EXPECT_EQ(machine.getRate(Opcode::bit_and, Type::i32), 4);
  EXPECT_EQ(machine.getRate(Opcode::bit_or, Type::f16), 8) << "16 bits";
  EXPECT_EQ(machine.getRate(Opcode::shr, Type::f16), 4);
  EXPECT_EQ(machine.getRate(Opcode::add, Type::i32), 4);
  target->rate_add_f32 = 0;
  EXPECT_EQ(machine.getRate(Opcode::add, Type::f32), 1) << "never none";
}

TEST(MachineModel, StridesLimitByThePublishedRule) {
  for (int64_t words : {0, 1, 2, 3, 5, 6, 10, 11})
    EXPECT_EQ(MachineModel::getStrideLimit(2 * words), MachineModel::unlimited)
        << words;
  for (int64_t words : {4, 7, 9, 12, 15, 17})
    EXPECT_EQ(MachineModel::getStrideLimit(-2 * words), 2) << words;
  for (int64_t words : {8, 16, 24})
    EXPECT_EQ(MachineModel::getStrideLimit(2 * words), 1) << words;
}

TEST(MachineModel, OperandsCollideWhereTheirCyclesShareABank) {
  auto target = get("wse2");
  MachineModel machine(*target);
  EXPECT_EQ(machine.getBankPeriod(), 16);
  EXPECT_EQ(machine.getBytesPerCycle(Type::f32, 1), 4);
  EXPECT_EQ(machine.getBytesPerCycle(Type::f32, 4), 8) << "half the banks";
  EXPECT_TRUE(machine.collide(0, 4));
  EXPECT_TRUE(machine.collide(14, 4)) << "around the end";
  EXPECT_TRUE(machine.collide(-30, 4));
  EXPECT_FALSE(machine.collide(4, 4));
  EXPECT_FALSE(machine.collide(24, 8));
}

TEST(MachineModel, CyclesAreIssueRewriteAndElements) {
  auto target = get("wse2");
  MachineModel machine(*target);
  EXPECT_EQ(machine.getInstructionCycles(9, 4), 6 + 3);
  EXPECT_EQ(machine.getInstructionCycles(9, 4, true), 6 + 16 + 3);
  EXPECT_EQ(machine.getDivideCycles(3), 60);
  EXPECT_EQ(machine.getLinks().getTravel(5), 9u);
  EXPECT_EQ(machine.getLinks().getLink(5), 10u);
  EXPECT_FALSE(machine.pausesAfter(8));
  auto device = get("wse3");
  EXPECT_TRUE(MachineModel(*device).pausesAfter(16));
  EXPECT_FALSE(MachineModel(*device).pausesAfter(9));
}

TEST(Format, SizesCountPartsOfWordsBytesAndBlocks) {
  EXPECT_EQ(bytesOf(Format::f16), 2u);
  EXPECT_EQ(elementsPerWord(Format::f32), 1u);
  EXPECT_EQ(elementsPerWord(Format::f16), 2u);
  EXPECT_EQ(elementsPerWord(Format::i64), 1u);
  EXPECT_EQ(elementsPerWord(Format::int4), 8u);
  EXPECT_EQ(wordsOf(Format::f16, 5), 3u);
  EXPECT_EQ(wordsOf(Format::i64, 5), 10u);
  EXPECT_EQ(bytesOf(Format::i64, 5), 40u);
  EXPECT_EQ(bytesOf(Format::int4, 32), 16u + 2u) << "a block and its scale";
  EXPECT_EQ(bytesOf(Format::int4, 33), 17u + 4u) << "one more of each";
  EXPECT_EQ(bytesOf(Format::mxfp4, 64), 32u + 2u);
}

TEST(Format, EveryFormatHasANameAndOneItIsComputedIn) {
  for (const FormatFacts &facts : formatFacts) {
    std::optional<Format> found = formatNamed(facts.text);
    ASSERT_TRUE(found.has_value()) << facts.text;
    EXPECT_EQ(&factsOf(*found), &facts) << facts.text << " is there twice";
    EXPECT_TRUE(factsOf(facts.widened).isComputed) << facts.text;
    EXPECT_TRUE(factsOf(facts.sums).isComputed) << facts.text;
    EXPECT_EQ(facts.block == 0, facts.scaleBits == 0) << facts.text;
  }
  EXPECT_FALSE(formatNamed("f8").has_value());
}
