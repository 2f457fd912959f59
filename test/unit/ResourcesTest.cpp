#include "waferloom/Target/Resources.h"
#include "gtest/gtest.h"

#include <random>

using namespace waferloom;
using namespace waferloom::target;

static bool clash(const Life &a, const Life &b) {
  return a.first <= b.last && b.first <= a.last &&
         a.address < b.address + b.bytes && b.address < a.address + a.bytes;
}

TEST(Resources, LivesThatMeetShareNoByte) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<Life> lives;
    for (int i = 0; i < 60; ++i) {
      int64_t first = random() % 100;
      lives.push_back({int64_t(random() % 64 + 1) * 4, first,
                       first + int64_t(random() % 20)});
    }
    int64_t end = place(lives, 128), highest = 128;
    for (size_t i = 0; i < lives.size(); ++i) {
      EXPECT_GE(lives[i].address, 128);
      highest = std::max(highest, lives[i].address + lives[i].bytes);
      for (size_t j = 0; j < i; ++j)
        ASSERT_FALSE(clash(lives[i], lives[j])) << i << " and " << j;
    }
    EXPECT_EQ(end, highest);
  }
}

TEST(Resources, LivesBeginWhereTheyAsk) {
  std::mt19937 random(11);
  std::vector<Life> lives;
  for (int i = 0; i < 80; ++i) {
    int64_t first = random() % 100;
    int64_t start = int64_t(random() % 5) * 4 - 4;
    lives.push_back({int64_t(random() % 30 + 1) * 4, first,
                     first + int64_t(random() % 20), 0,
                     start < 0 ? -1 : start});
  }
  place(lives, 36, 16);
  for (size_t i = 0; i < lives.size(); ++i) {
    EXPECT_GE(lives[i].address, 36);
    if (lives[i].start >= 0)
      EXPECT_EQ(lives[i].address % 16, lives[i].start);
    for (size_t j = 0; j < i; ++j)
      ASSERT_FALSE(clash(lives[i], lives[j])) << i << " and " << j;
  }
}

TEST(Resources, BytesAreUsedAgain) {
  std::vector<Life> lives{{40, 0, 1}, {40, 2, 3}, {40, 4, 5}};
  EXPECT_EQ(place(lives, 0), 40);
  lives = {{40, 0, 2}, {40, 2, 3}};
  EXPECT_EQ(place(lives, 0), 80) << "a step reads and writes";
}

TEST(Resources, ShardsAreWholeWords) {
  EXPECT_EQ(shardBytes(3, 2), 8);
  EXPECT_EQ(shardBytes(3, 4), 12);
}

TEST(Resources, EverythingCounts) {
  Fit fit{1, 2, 4, 8, 16, 32, 63, 0, {}};
  EXPECT_EQ(fit.total(), 63);
  EXPECT_TRUE(fit.fits());
  fit.limit = 62;
  EXPECT_FALSE(fit.fits());
}

TEST(Resources, LinesLeaveColorsToOthers) {
  EXPECT_EQ(mostHops(21), 4);
  EXPECT_EQ(mostHops(1), 1);
}
