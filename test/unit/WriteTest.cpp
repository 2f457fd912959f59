// Writing an image asks whether it shall go on.

#include "waferloom/Codegen/Data.h"
#include "waferloom/Compile/Compile.h"
#include "waferloom/Image/Image.h"

#include "gtest/gtest.h"

using namespace waferloom;

/// An image of one weight of 2^21 numbers in half precision, f32 in its file.
static codegen::Image largeImage() {
  codegen::Image image;
  image.image.target = std::make_unique<image::TargetT>();
  auto source = std::make_unique<image::SourceT>();
  source->bytes = uint64_t(2) << 21;
  image.image.sources.push_back(std::move(source));
  codegen::SourceBytes bytes;
  bytes.inlined.resize(uint64_t(4) << 21);
  bytes.narrows = true;
  image.sources.push_back(std::move(bytes));
  return image;
}

TEST(Write, EveryQuestionCanInterrupt) {
  const codegen::Image image = largeImage();
  int questions = 0;
  auto whole = imageBytes(image, [&] { return ++questions == 0; });
  ASSERT_TRUE(bool(whole)) << toString(whole.takeError());
  // The source, both halves of its numbers, the tables, the data, the checksum.
  EXPECT_EQ(questions, 6);
  for (int answer = 1; answer <= questions; ++answer) {
    int asked = 0;
    auto bytes = imageBytes(image, [&] { return ++asked == answer; });
    EXPECT_EQ(toString(bytes.takeError()), "interrupted");
    EXPECT_EQ(asked, answer);
  }
}

TEST(Write, LongDataComesInStretches) {
  const std::string data((size_t(40) << 20) + 3, '\1');
  const codegen::Image image = largeImage();
  std::vector<size_t> sizes;
  std::string bytes;
  auto take = [&](llvm::StringRef stretch) -> llvm::Error {
    sizes.push_back(stretch.size());
    bytes += stretch;
    return llvm::Error::success();
  };
  llvm::ArrayRef<char> chunk(data.data(), data.size());
  ASSERT_FALSE(bool(image::forStretches(image.image, {chunk}, take)));
  EXPECT_EQ(bytes, image::writeBytes(image.image, {chunk}));
  ASSERT_EQ(sizes.size(), 5u); // the tables, three of data, the checksum
  EXPECT_EQ(sizes[1], size_t(16) << 20);
  EXPECT_EQ(sizes[3], (size_t(8) << 20) + 3);
}
