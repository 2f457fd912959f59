// The writer of files: whole or not at all, whatever goes wrong.

#include "waferloom/Files/Output.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "gtest/gtest.h"
#include <csignal>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace waferloom;
using files::Hidden;
using llvm::StringRef;

namespace {
class Output : public testing::TestWithParam<Hidden> {
protected:
  llvm::SmallString<128> folder;

  void SetUp() override {
    ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("output", folder));
  }
  void TearDown() override { llvm::sys::fs::remove_directories(folder); }

  std::string of(StringRef name) const { return (folder + "/" + name).str(); }

  std::string write(const std::string &path, StringRef text,
                    llvm::ArrayRef<std::string> read = {}) {
    return toString(files::write(
        path,
        [&](llvm::raw_ostream &os) -> llvm::Error {
          os << text;
          return llvm::Error::success();
        },
        read, GetParam()));
  }
  static std::string contents(const std::string &path) {
    auto file = llvm::MemoryBuffer::getFile(path);
    return file ? (*file)->getBuffer().str() : "no file";
  }
  size_t count() const {
    std::error_code error;
    size_t files = 0;
    for (llvm::sys::fs::directory_iterator it(folder, error), end;
         it != end && !error; it.increment(error))
      ++files;
    return files;
  }
  static mode_t modeOf(const std::string &path) {
    struct stat found{};
    ::stat(path.c_str(), &found);
    return found.st_mode & 07777;
  }
};
} // namespace

INSTANTIATE_TEST_SUITE_P(Hidden, Output,
                         testing::Values(Hidden::nameless, Hidden::named));

TEST_P(Output, NewAndOldFiles) {
  EXPECT_EQ(write(of("a"), "one"), "");
  EXPECT_EQ(contents(of("a")), "one");
  const mode_t mask = ::umask(0);
  ::umask(mask);
  EXPECT_EQ(modeOf(of("a")), 0666 & ~mask);
  EXPECT_EQ(write(of("a"), "two"), "");
  EXPECT_EQ(contents(of("a")), "two");
  EXPECT_EQ(count(), 1u);
}

TEST_P(Output, ModesStay) {
  ASSERT_EQ(write(of("a"), "one"), "");
  for (mode_t mode : {0600, 0640, 0755}) {
    ASSERT_EQ(::chmod(of("a").c_str(), mode), 0);
    EXPECT_EQ(write(of("a"), "two"), "");
    EXPECT_EQ(modeOf(of("a")), mode);
  }
}

TEST_P(Output, LinksStay) {
  ASSERT_FALSE(llvm::sys::fs::create_directory(of("there")));
  ASSERT_EQ(write(of("there/a"), "one"), "");
  ASSERT_EQ(::symlink("there/a", of("link").c_str()), 0);
  EXPECT_EQ(write(of("link"), "two"), "");
  EXPECT_EQ(contents(of("there/a")), "two");
  EXPECT_TRUE(llvm::sys::fs::is_symlink_file(of("link")));
  ASSERT_EQ(::symlink("nowhere", of("loose").c_str()), 0);
  EXPECT_NE(write(of("loose"), "x").find("leads nowhere"), std::string::npos);
  EXPECT_EQ(count(), 3u);
}

TEST_P(Output, WhatWasReadIsNotOverwritten) {
  ASSERT_EQ(write(of("a"), "one"), "");
  ASSERT_EQ(::symlink("a", of("link").c_str()), 0);
  ASSERT_EQ(::link(of("a").c_str(), of("hard").c_str()), 0);
  for (const char *path : {"a", "link", "hard", "./a"}) {
    EXPECT_NE(
        write(of(path), "two", {of("b"), of("a")}).find("', which was read"),
        std::string::npos);
    EXPECT_NE(toString(files::checkOutput(of(path), {of("a")})), "");
  }
  EXPECT_EQ(contents(of("a")), "one");
  EXPECT_EQ(toString(files::checkOutput(of("a"), {of("b")})), "");
}

TEST_P(Output, PlacesThatTakeNoFile) {
  auto refused = [&](const std::string &path, const char *why) {
    std::string text = write(path, "x"),
                early = toString(files::checkOutput(path));
    EXPECT_NE(text.find("cannot write '" + path), std::string::npos) << text;
    EXPECT_NE(text.find(why), std::string::npos) << text;
    EXPECT_NE(early.find(why), std::string::npos) << early;
  };
  refused(folder.str().str(), "Is a directory");
  refused(of("none/a"), "No such file or directory");
  refused("/dev/null", "not a regular file");
  refused("/dev/full", "not a regular file");
  ASSERT_EQ(::mkfifo(of("pipe").c_str(), 0600), 0);
  refused(of("pipe"), "not a regular file");
  EXPECT_EQ(count(), 1u);
}

TEST_P(Output, ErrorsOfTheContentLeaveTheOldFile) {
  ASSERT_EQ(write(of("a"), "old"), "");
  std::string text = toString(files::write(
      of("a"),
      [](llvm::raw_ostream &os) -> llvm::Error {
        os << "half";
        return llvm::createStringError("no more");
      },
      {}, GetParam()));
  EXPECT_EQ(text, "no more");
  EXPECT_EQ(contents(of("a")), "old");
  EXPECT_EQ(count(), 1u);
}

/// The same path through the code as a full disk, with another number.
TEST_P(Output, FullDisksLeaveTheOldFile) {
  ASSERT_EQ(write(of("a"), "old"), "");
  struct rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  struct rlimit small = before;
  small.rlim_cur = 1 << 16;
  auto handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  std::string text = write(of("a"), std::string(1 << 20, 'x'));
  std::string fresh = write(of("b"), std::string(1 << 20, 'x'));
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(text, "cannot write '" + of("a") + "': File too large");
  EXPECT_EQ(fresh, "cannot write '" + of("b") + "': File too large");
  EXPECT_EQ(contents(of("a")), "old");
  EXPECT_EQ(count(), 1u);
}

/// A process that is ended while it writes leaves nothing behind.
TEST_P(Output, SignalsLeaveNothing) {
  ASSERT_EQ(write(of("a"), "old"), "");
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    pid_t child = ::fork();
    if (child == 0) {
      files::handleSignals();
      (void)write(of("a"), "new"); // named ones are known to the handlers
      llvm::consumeError(files::write(
          of("a"),
          [&](llvm::raw_ostream &os) -> llvm::Error {
            os << "half";
            os.flush();
            ::raise(signal);
            return llvm::Error::success();
          },
          {}, GetParam()));
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    // The nameless file needs no handler, so the signal has its usual effect.
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == signal) << status;
    EXPECT_EQ(contents(of("a")), "new");
    EXPECT_EQ(count(), 1u);
  }
}
