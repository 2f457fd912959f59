// How a PE holds integers: groups that share a scale, and codes as files have
// them.

#include "waferloom/Image/Packing.h"
#include "waferloom/Image/Blocks.h"
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
    if (random() % 2)
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
