// How a PE holds integers: groups that share a scale, and codes as files have
// them.

#include "waferloom/Image/Packing.h"
#include "waferloom/Image/Blocks.h"
#include "waferloom/Image/Rounding.h"
#include "gtest/gtest.h"
#include <random>

using namespace waferloom;

static BlockFormat blocksOf(uint64_t rows, uint64_t columns, uint64_t bits,
                            uint64_t size) {
  BlockFormat format;
  format.rows = rows;
  format.columns = columns;
  format.bits = bits;
  format.size = size;
  return format;
}

using Groups = llvm::SmallVector<int64_t>;

TEST(Packing, GroupsAreAsLargeAsBlocksAndShardsAllow) {
  const BlockFormat format = blocksOf(8, 96, 4, 32);
  // Live elements, stride, and what lies behind each other on a PE.
  EXPECT_EQ(groupsOf(format, {{8, 96, 4}, {96, 1, 96}}, 0), (Groups{1, 32}));
  EXPECT_EQ(groupsOf(format, {{8, 96, 4}, {96, 1, 24}}, 0), (Groups{1, 8}));
  EXPECT_EQ(groupsOf(format, {{8, 96, 4}, {96, 1, 16}}, 0), (Groups{1, 16}));
  EXPECT_EQ(groupsOf(format, {{8, 96, 1}, {96, 1, 1}}, 0), (Groups{1, 1}));
  // Columns as 6 heads of 16.
  EXPECT_EQ(groupsOf(format, {{8, 96, 2}, {6, 16, 6}, {16, 1, 16}}, 0),
            (Groups{1, 2, 16}));
  // A part that begins within a block.
  EXPECT_EQ(groupsOf(format, {{8, 96, 2}, {64, 1, 64}}, 16), (Groups{1, 16}));
}

TEST(Packing, ChannelsShareTheirScaleWithAllButTheirAxis) {
  // [13, 7] along axis 0, 1, and one scale for all.
  BlockFormat format = blocksOf(13, 7, 8, 7);
  format.period = 13;
  const llvm::SmallVector<PackedDim> dims{{13, 7, 5}, {7, 1, 4}};
  EXPECT_EQ(groupsOf(format, dims, 0), (Groups{1, 4}));
  format = blocksOf(91, 1, 8, 1);
  format.period = 7;
  EXPECT_EQ(groupsOf(format, dims, 0), (Groups{5, 1}));
  format = blocksOf(1, 91, 8, 91);
  EXPECT_EQ(groupsOf(format, dims, 0), (Groups{5, 4}));
  // What is beyond the end has no zero of others.
  format.zeros = BlockFormat::Zeros::packed;
  EXPECT_EQ(groupsOf(format, dims, 0), (Groups{1, 1}));
}

TEST(Packing, BlocksOfSeveralRowsAreGroupsAlongRows) {
  BlockFormat format = blocksOf(96, 8, 4, 1);
  format.tall = 32;
  EXPECT_EQ(groupsOf(format, {{96, 8, 96}, {8, 1, 4}}, 0), (Groups{32, 1}));
  EXPECT_EQ(groupsOf(format, {{96, 8, 24}, {8, 1, 4}}, 0), (Groups{8, 1}));
  // Rows as 6 heads of 16, and a part that begins within a block.
  EXPECT_EQ(groupsOf(format, {{6, 128, 6}, {16, 8, 16}, {8, 1, 8}}, 0),
            (Groups{2, 16, 1}));
  EXPECT_EQ(groupsOf(format, {{64, 8, 64}, {8, 1, 4}}, 128), (Groups{16, 1}));
  // One block for all rows.
  format.tall = 96;
  EXPECT_EQ(groupsOf(format, {{96, 8, 12}, {8, 1, 4}}, 0), (Groups{12, 1}));
}

/// Whatever the format and the cut into dimensions: all elements of a group
/// have one scale.
TEST(Packing, NoGroupCrossesABlock) {
  std::mt19937 random(5);
  auto draw = [&](uint32_t below) { return 1 + random() % below; };
  for (int i = 0; i < 3000; ++i) {
    const int64_t n0 = draw(4), n1 = draw(6), n2 = draw(12);
    const int64_t elements = n0 * n1 * n2;
    BlockFormat format;
    do
      format.columns = draw(static_cast<uint32_t>(elements));
    while (elements % static_cast<int64_t>(format.columns) != 0);
    format.rows = static_cast<uint64_t>(elements) / format.columns;
    format.size = uint64_t(1) << random() % 5;
    format.bits = 8;
    format.isDense = random() % 2;
    if (random() % 3 == 0)
      format.tall = draw(6);
    else if (random() % 2)
      do
        format.period = draw(static_cast<uint32_t>(format.rows));
      while (format.rows % format.period != 0);
    const int64_t r0 = draw(4), r1 = draw(6), r2 = draw(12);
    const Groups groups =
        groupsOf(format, {{n0, n1 * n2, r0}, {n1, n2, r1}, {n2, 1, r2}}, 0);
    EXPECT_TRUE(r0 % groups[0] == 0 && r1 % groups[1] == 0 &&
                r2 % groups[2] == 0);
    for (int64_t a = 0; a < n0; ++a)
      for (int64_t b = 0; b < n1; ++b)
        for (int64_t c = 0; c < n2; ++c) {
          auto scale = [&](int64_t x, int64_t y, int64_t z) {
            return image::scaleIndexOf(
                format, static_cast<uint64_t>((x * n1 + y) * n2 + z));
          };
          ASSERT_EQ(scale(a, b, c), scale(a - a % groups[0], b - b % groups[1],
                                          c - c % groups[2]))
              << "case " << i;
        }
  }
}

/// The integers that PEs hold stand for what the expansion gives.
TEST(Packing, CodesAndZerosAreThoseOfTheFile) {
  std::mt19937 random(7);
  for (uint64_t bits : {2, 4, 8})
    for (bool isSigned : {false, true})
      for (auto zeros :
           {BlockFormat::Zeros::middle, BlockFormat::Zeros::packed,
            BlockFormat::Zeros::none, BlockFormat::Zeros::scaled}) {
        BlockFormat format = blocksOf(3, 37, bits, 16);
        format.isSigned = isSigned;
        format.zeros = zeros;
        std::vector<char> codes(format.packedBytes());
        for (char &byte : codes)
          byte = static_cast<char>(random());
        std::vector<char> zeroBytes(format.zeroBytes());
        for (char &byte : zeroBytes)
          byte = static_cast<char>(random() & 0x3f);
        const std::vector<float> scales(format.scaleBytes() / 4, 1.0f);
        std::vector<float> numbers(format.rows * format.columns);
        image::expandBlocks(
            format, codes.data(), reinterpret_cast<const char *>(scales.data()),
            zeroBytes.data(), reinterpret_cast<char *>(numbers.data()));
        for (uint64_t i = 0; i < numbers.size(); ++i) {
          const uint64_t scale = image::scaleIndexOf(format, i);
          auto number = static_cast<float>(
              static_cast<int64_t>(image::codeAt(format, codes.data(), i)) -
              commonZero(format));
          if (zeros == BlockFormat::Zeros::packed)
            number -= static_cast<float>(
                image::zeroAt(format, zeroBytes.data(), scale));
          if (zeros == BlockFormat::Zeros::scaled)
            number -= reinterpret_cast<const float *>(zeroBytes.data())[scale];
          ASSERT_EQ(number, numbers[i]) << bits << " bits, element " << i;
        }
      }
}

/// The instructions for each kind of float, executed by hand: all of its codes
/// in all planes, whatever lies in the other ones.
TEST(Packing, PiecesOfWordsAreThePatternsOfF16) {
  using Code = BlockFormat::Code;
  for (Code code : {Code::e4m3fn, Code::e5m2, Code::e2m1}) {
    BlockFormat format = blocksOf(1, 8, code == Code::e2m1 ? 4 : 8, 8);
    format.code = code;
    format.zeros = BlockFormat::Zeros::none;
    EXPECT_EQ(format.fault(false), nullptr);
    const auto planes = planesOf(code);
    EXPECT_EQ(planes.size(), 16 / format.bits);
    const uint32_t count = 1u << format.bits;
    for (uint32_t bits = 0; bits < count; ++bits)
      for (size_t plane = 0; plane < planes.size(); ++plane)
        for (uint32_t other : {0u, count - 1, bits}) {
          uint16_t word = 0;
          for (size_t i = 0; i < planes.size(); ++i)
            image::putCode(format, i == plane ? bits : other, i, word);
          uint32_t pattern = 0;
          for (Piece piece : planes[plane])
            pattern |= (uint32_t(word) << piece.up) & piece.mask;
          ASSERT_EQ(pattern, smallFloatOf(code).pattern(
                                 bits, static_cast<int64_t>(format.bits)));
        }
  }
}

TEST(Packing, NumbersAreRoundedToTheNearestCode) {
  BlockFormat format = blocksOf(5, 3, 8, 1);
  format.tall = 4;
  format.isDense = format.halfScales = format.isWide = true;
  format.rounded = BlockFormat::Rounded::f32;
  EXPECT_EQ(format.fault(false), nullptr);
  // The last row is a block of its own.
  const float numbers[] = {127, -1, 0, 1.5f, 0.25f, 0, -2.5f, 0.5f,
                           0,   3,  0, 0,    -254,  7, 1e-9f};
  auto rounding =
      image::roundToBlocks(format, reinterpret_cast<const char *>(numbers));
  ASSERT_TRUE(bool(rounding));
  EXPECT_EQ(rounding->scales.size(), 12u);
  float made[15];
  image::expandBlocks(format, rounding->codes.data(), rounding->scales.data(),
                      nullptr, reinterpret_cast<char *>(made));
  // Ties go to even: the first column counts by 1, the last row by 2.
  EXPECT_EQ(made[0], 127);
  EXPECT_EQ(made[3], 2);
  EXPECT_EQ(made[6], -2);
  EXPECT_EQ(made[9], 3);
  EXPECT_EQ(made[12], -254);
  EXPECT_EQ(rounding->error.largest, 0.5);
  EXPECT_EQ(rounding->error.largestNumber, 254);
}
