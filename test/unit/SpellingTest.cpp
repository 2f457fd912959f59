#include "waferloom/Spelling/Nearest.h"

#include "llvm/ADT/ArrayRef.h"

#include "gtest/gtest.h"

using namespace waferloom;
using llvm::StringRef;

namespace {

const StringRef names[] = {"decode", "prefill", "balanced", "f16", "f32", "b"};

TEST(Spelling, TheNearestName) {
  EXPECT_EQ(spelling::nearest("decod", names), "decode");
  EXPECT_EQ(spelling::nearest("blanced", names), "balanced");
  EXPECT_EQ(spelling::nearest("f23", names), "");
  EXPECT_EQ(spelling::nearest("f15", names), "f16");
}

TEST(Spelling, TheFirstOfSeveralThatAreAsNear) {
  EXPECT_EQ(spelling::nearest("f1", names), "f16");
  EXPECT_EQ(spelling::nearest("f36", names), "f16");
}

TEST(Spelling, NothingIsNear) {
  for (StringRef typed : {"", "x", "f", "speed", "f8888"})
    EXPECT_EQ(spelling::nearest(typed, names), "") << typed.str();
  EXPECT_EQ(spelling::nearest("decode", llvm::ArrayRef<StringRef>()), "");
}

TEST(Spelling, AsAQuestion) {
  EXPECT_EQ(spelling::didYouMean("prefil", names), "did you mean 'prefill'? ");
  EXPECT_EQ(spelling::didYouMean("speed", names), "");
}

} // namespace
