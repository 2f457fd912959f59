// The file: written whole, read with its checksum, copied or watched.

#include "ImageSample.h"
#include "waferloom/Image/Image.h"
#include "llvm/Support/FileSystem.h"
#include "gtest/gtest.h"
#include <cstdio>

using namespace waferloom;
using namespace waferloom::test;

static std::string bytesOf(const Builder &b) {
  llvm::ArrayRef<char> whole(b.data.data(), b.data.size());
  return writeBytes(b.image, {whole.take_front(10), whole.drop_front(10)});
}

TEST(Image, FilesRoundTrip) {
  Builder b = sample();
  std::string bytes = bytesOf(b);
  EXPECT_EQ(bytes, bytesOf(b)) << "the same image, the same bytes";
  auto loaded = readBytes(bytes, "test");
  ASSERT_TRUE(bool(loaded)) << toString(loaded.takeError());
  EXPECT_EQ(llvm::StringRef((*loaded)->data.data(), (*loaded)->data.size()),
            b.data);
  EXPECT_EQ((*loaded)->image.names, b.image.names);
  EXPECT_EQ(writeBytes((*loaded)->image, {(*loaded)->data}), bytes);
}

TEST(Image, FilesAppearWholeOrNotAtAll) {
  llvm::SmallString<128> folder;
  ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("image", folder));
  std::string path = (folder + "/a.wafer").str();
  Builder b = sample();
  ASSERT_FALSE(bool(write(path, b.image, {llvm::ArrayRef(b.data.data(), 24)})));
  auto loaded = read(path);
  EXPECT_TRUE(bool(loaded)) << toString(loaded.takeError());
  std::string text = toString(write((folder + "/none/a.wafer").str(), b.image,
                                    {llvm::ArrayRef(b.data.data(), 24)}));
  EXPECT_NE(text.find("cannot write"), std::string::npos) << text;
  std::error_code error;
  unsigned files = 0;
  for (llvm::sys::fs::directory_iterator it(folder, error), end;
       it != end && !error; it.increment(error))
    ++files;
  EXPECT_EQ(files, 1u);
  llvm::sys::fs::remove_directories(folder);
}

/// A file of a few KiB whose lists would unpack to gigabytes.
TEST(Image, SharedPartsAreRefused) {
  flatbuffers::FlatBufferBuilder builder;
  auto classes = builder.CreateVector(std::vector<uint32_t>(1000, 0));
  auto run = CreateRun(builder, classes, 1);
  auto runs = builder.CreateVector(
      std::vector<flatbuffers::Offset<image::Run>>(200, run));
  auto region = CreateRegion(builder, 0, 0, 1, 1, runs, runs);
  auto regions = builder.CreateVector(
      std::vector<flatbuffers::Offset<Region>>(100, region));
  ImageBuilder made(builder);
  made.add_regions(regions);
  builder.FinishSizePrefixed(made.Finish(), ImageIdentifier());
  std::string bytes("\211WAFR2\r\n");
  bytes.append(reinterpret_cast<const char *>(builder.GetBufferPointer()),
               builder.GetSize());
  bytes.resize(8192);
  seal(bytes);
  std::string text = toString(readBytes(bytes, "shared").takeError());
  EXPECT_NE(text.find("image 'shared': offset 8: the tables"),
            std::string::npos)
      << text;
}

TEST(Image, TruncatedFilesAreRefusedWithTheOffset) {
  std::string bytes = bytesOf(sample());
  for (size_t size = 0; size < bytes.size(); ++size) {
    auto loaded = readBytes(llvm::StringRef(bytes).take_front(size), "short");
    ASSERT_FALSE(bool(loaded)) << "of " << size << " bytes";
    std::string text = toString(loaded.takeError());
    EXPECT_NE(text.find("image 'short': "), std::string::npos) << text;
  }
  auto cut = readBytes(llvm::StringRef(bytes).take_front(100), "short");
  EXPECT_NE(toString(cut.takeError()).find("offset 100: the file ends here"),
            std::string::npos);
  EXPECT_NE(toString(readBytes("hello world", "text").takeError())
                .find("not a wafer image"),
            std::string::npos);
  EXPECT_NE(toString(read("nowhere.wafer").takeError()).find("cannot read"),
            std::string::npos);
}

/// Whatever bit it is, in tables, padding, data or the checksum itself.
TEST(Image, FlippedBitsAreRefused) {
  const std::string good = bytesOf(sample());
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bytes = good;
    bytes[bit / 8] = char(bytes[bit / 8] ^ (1 << bit % 8));
    auto loaded = readBytes(bytes, "flipped");
    ASSERT_FALSE(bool(loaded)) << "bit " << bit;
    std::string text = toString(loaded.takeError());
    ASSERT_NE(text.find("image 'flipped': offset"), std::string::npos) << text;
  }
  std::string swapped = good;
  std::swap(swapped[swapped.size() - 9], swapped[swapped.size() - 33]);
  ASSERT_NE(swapped, good);
  EXPECT_NE(toString(readBytes(swapped, "s").takeError()).find("checksum"),
            std::string::npos);
  seal(swapped);
  EXPECT_TRUE(bool(readBytes(swapped, "s"))) << "the data section may differ";
}

/// The checksum does not depend on how the bytes come.
TEST(Image, DataSectionsOfMegabytesRoundTrip) {
  Builder b = sample();
  for (size_t i = 0; i < (size_t(5) << 19); ++i)
    b.data += static_cast<char>(i * 7 + i / 4096);
  std::string whole =
      writeBytes(b.image, {llvm::ArrayRef(b.data.data(), b.data.size())});
  EXPECT_EQ(bytesOf(b), whole);
  EXPECT_TRUE(bool(readBytes(whole, "large")));
  whole[whole.size() - (size_t(1) << 20)] ^= 1;
  EXPECT_FALSE(bool(readBytes(whole, "large")));
}

TEST(Image, FilesOfVersionOneAreNamed) {
  std::string bytes = bytesOf(sample());
  bytes.replace(0, 8, "\211WAFER\r\n");
  std::string text = toString(readBytes(bytes, "old").takeError());
  EXPECT_NE(text.find("of version 1; this program reads version 2"),
            std::string::npos)
      << text;
}

namespace {
/// A folder that goes away again.
struct Folder {
  llvm::SmallString<128> path;
  Folder() { llvm::sys::fs::createUniqueDirectory("image", path); }
  ~Folder() { llvm::sys::fs::remove_directories(path); }
  std::string of(const char *name) const { return (path + "/" + name).str(); }
};
} // namespace

static void overwrite(const std::string &path, llvm::StringRef bytes) {
  std::FILE *file = std::fopen(path.c_str(), "wb"); // in place
  std::fwrite(bytes.data(), 1, bytes.size(), file);
  std::fclose(file);
}

TEST(Image, SmallFilesAreCopied) {
  Folder folder;
  Builder b = sample();
  b.data.resize(1 << 20, '\1'); // a reader of less would not map it anyway
  std::string path = folder.of("a.wafer"), bytes = bytesOf(b);
  overwrite(path, bytes);
  auto loaded = read(path);
  ASSERT_TRUE(bool(loaded)) << toString(loaded.takeError());
  overwrite(path, "");
  EXPECT_FALSE(bool((*loaded)->unchanged()));
  EXPECT_EQ((*loaded)->data[(1 << 20) - 1], '\1');
  ASSERT_FALSE(bool(save(folder.of("b.wafer"), **loaded)));
  auto again = read(folder.of("b.wafer"));
  ASSERT_TRUE(bool(again)) << toString(again.takeError());
  EXPECT_EQ((*again)->file->getBuffer(), bytes);
}

TEST(Image, LargeFilesThatChangeAreNoticed) {
  Folder folder;
  std::string path = folder.of("a.wafer"), bytes = bytesOf(sample());
  overwrite(path, bytes);
  auto loaded = read(path, /*mostCopied=*/0);
  ASSERT_TRUE(bool(loaded)) << toString(loaded.takeError());
  EXPECT_FALSE(bool((*loaded)->unchanged()));
  // Another file in its place is not the one that is open.
  overwrite(folder.of("b.wafer"), "other");
  ASSERT_FALSE(llvm::sys::fs::rename(folder.of("b.wafer"), path));
  EXPECT_FALSE(bool((*loaded)->unchanged()));
  overwrite(path, bytes);
  loaded = read(path, /*mostCopied=*/0);
  ASSERT_TRUE(bool(loaded));
  overwrite(path, bytes.substr(0, bytes.size() / 2));
  EXPECT_NE(toString((*loaded)->unchanged()).find("was written to since"),
            std::string::npos);
  EXPECT_NE(toString(save(folder.of("c.wafer"), **loaded)).find("written to"),
            std::string::npos);
  EXPECT_FALSE(llvm::sys::fs::exists(folder.of("c.wafer")));
}

/// A file that is cut off between the question whether it changed and the
/// reading is an error, no signal.
TEST(Image, LargeFilesThatAreCutOffAreErrors) {
  Folder folder;
  Builder b = sample();
  b.data.resize(1 << 20, '\1');
  std::string path = folder.of("a.wafer"), bytes = bytesOf(b);
  overwrite(path, bytes);
  auto loaded = read(path, /*mostCopied=*/0);
  ASSERT_TRUE(bool(loaded)) << toString(loaded.takeError());
  llvm::SmallVector<char, 0> room;
  auto last = (*loaded)->bytes((1 << 20) - 8, 8, room);
  ASSERT_TRUE(bool(last)) << toString(last.takeError());
  EXPECT_EQ(llvm::StringRef(*last, 8), llvm::StringRef(b.data).take_back(8));
  overwrite(path, bytes.substr(0, bytes.size() / 2));
  EXPECT_NE(toString((*loaded)->bytes((1 << 20) - 8, 8, room).takeError())
                .find("was written to since it was read"),
            std::string::npos);
  EXPECT_FALSE(bool((*loaded)->bytes(0, 8, room).takeError()));
  EXPECT_NE(toString(read(path, /*mostCopied=*/0).takeError()).find("offset"),
            std::string::npos);
}

/// From the disk comes what would come from memory.
TEST(Image, LargeFilesAreReadAsSmallOnes) {
  Folder folder;
  Builder b = sample();
  b.data.resize((size_t(17) << 20) + 5, '\3');
  std::string path = folder.of("a.wafer"), bytes = bytesOf(b);
  overwrite(path, bytes);
  auto loaded = read(path, /*mostCopied=*/0);
  ASSERT_TRUE(bool(loaded)) << toString(loaded.takeError());
  EXPECT_TRUE((*loaded)->data.empty());
  ASSERT_FALSE(bool(save(folder.of("b.wafer"), **loaded)));
  auto again = read(folder.of("b.wafer"));
  ASSERT_TRUE(bool(again)) << toString(again.takeError());
  EXPECT_EQ((*again)->file->getBuffer(), bytes);
  // Damage is found at the same place.
  bytes[bytes.size() - 100] ^= 1;
  overwrite(path, bytes);
  EXPECT_EQ(toString(read(path, /*mostCopied=*/0).takeError()),
            toString(read(path).takeError()));
  for (size_t size : {0, 5, 11, 200}) {
    overwrite(path, bytes.substr(0, size));
    EXPECT_EQ(toString(read(path, /*mostCopied=*/0).takeError()),
              toString(read(path).takeError()));
  }
}
