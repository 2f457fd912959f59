// The engine of builds without coverage: replays files, then tries changed
// ones, each case by its number from a seed, many to a process.
//
//   fuzz-image --seed 7 --cases 5000 CORPUS...
//   fuzz-image --seed 7 --only 1234 --save case.wafer CORPUS...
//
// A case that crashes, hangs or takes too much memory ends the process with a
// line that says how to repeat it.

#include "Fuzz.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <map>
#include <random>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

using namespace waferloom;
using llvm::StringRef;

// Targets without a mutator of their own have their bytes changed.
extern "C" __attribute__((weak)) size_t LLVMFuzzerCustomMutator(uint8_t *data,
                                                                size_t size,
                                                                size_t most,
                                                                unsigned) {
  return LLVMFuzzerMutate(data, size, most);
}

static std::mt19937 bytesRandom; // of LLVMFuzzerMutate, which has no seed
static std::vector<std::string> words;

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most) {
  auto pick = [](size_t count) { return count ? bytesRandom() % count : 0; };
  for (size_t n = 1 + pick(4); n--;) {
    size_t at = pick(size), length = std::min(size - at, 1 + pick(8));
    switch (pick(6)) {
    case 0: // one byte
      if (size)
        data[at] = static_cast<uint8_t>(bytesRandom());
      break;
    case 1: // one bit
      if (size)
        data[at] ^= static_cast<uint8_t>(1u << pick(8));
      break;
    case 2: // a stretch goes
      std::copy(data + at + length, data + size, data + at);
      size -= length;
      break;
    case 3: // a stretch comes twice
      if (size + length <= most) {
        std::copy_backward(data + at, data + size, data + size + length);
        size += length;
      }
      break;
    case 4: // a word of the dictionary over what is there
      if (!words.empty()) {
        StringRef word = words[pick(words.size())];
        word = word.take_front(size - at);
        std::copy(word.begin(), word.end(), data + at);
      }
      break;
    default: // or before it
      if (!words.empty()) {
        const std::string &word = words[pick(words.size())];
        if (size + word.size() <= most) {
          std::copy_backward(data + at, data + size, data + size + word.size());
          std::copy(word.begin(), word.end(), data + at);
          size += word.size();
        }
      }
    }
  }
  return size;
}

static llvm::cl::opt<unsigned> seed("seed", llvm::cl::desc("of all cases"));
static llvm::cl::opt<unsigned>
    cases("cases", llvm::cl::desc("how many to try after the files"));
static llvm::cl::opt<int> only("only", llvm::cl::desc("try this case alone"),
                               llvm::cl::init(-1));
static llvm::cl::opt<std::string>
    save("save", llvm::cl::desc("where --only puts the input"));
static llvm::cl::opt<std::string>
    dictionary("dict", llvm::cl::desc("words, as libFuzzer reads them"));
static llvm::cl::opt<unsigned> seconds("timeout",
                                       llvm::cl::desc("seconds of one case, "
                                                      "of a processor"),
                                       llvm::cl::init(20));
static llvm::cl::opt<unsigned>
    megabytes("memory", llvm::cl::desc("resident MiB of the process"),
              llvm::cl::init(2048));
static llvm::cl::list<std::string> corpus(llvm::cl::Positional,
                                          llvm::cl::desc("FILE|FOLDER..."));

static char doing[512] = "nothing yet"; // for the last words
static size_t doingLength = 0;

static void now(const llvm::Twine &what) {
  std::string text = what.str();
  doingLength = std::min(text.size(), sizeof doing);
  std::copy_n(text.data(), doingLength, doing);
}

extern "C" void sayWhere(int signal) {
  const bool isSlow = signal == SIGALRM || signal == SIGPROF;
  StringRef why = isSlow ? "too slow: " : "died: ";
  (void)!write(STDERR_FILENO, why.data(), why.size());
  (void)!write(STDERR_FILENO, doing, doingLength);
  (void)!write(STDERR_FILENO, "\n", 1);
  std::signal(signal, SIG_DFL);
  isSlow ? _exit(1) : void(std::raise(signal));
}

/// Work is limited by the time of a processor, so that a busy host does not
/// matter, and waiting by ten times as much. 0: no limit.
static void limitTime(unsigned seconds) {
  itimerval limit = {};
  limit.it_value.tv_sec = seconds;
  setitimer(ITIMER_PROF, &limit, nullptr);
  alarm(10 * seconds);
}

static void tryInput(StringRef bytes) {
  // A copy of its exact size, so that a sanitizer sees what lies beyond.
  std::vector<uint8_t> copy(bytes.begin(), bytes.end());
  limitTime(seconds);
  LLVMFuzzerTestOneInput(copy.data(), copy.size());
  limitTime(0);
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  if (static_cast<uint64_t>(usage.ru_maxrss) > uint64_t(megabytes) * 1024)
    fuzz::broken("too much memory: " + StringRef(doing, doingLength));
}

/// The words of lines `name="..."`, with \xNN and \" in them.
static void readDictionary(StringRef text) {
  for (StringRef line : llvm::split(text, '\n')) {
    StringRef quoted = line.trim();
    if (quoted.empty() || quoted[0] == '#')
      continue;
    quoted = quoted.drop_front(std::min(quoted.find('"'), quoted.size() - 1))
                 .drop_front();
    quoted.consume_back("\"");
    std::string word;
    while (!quoted.empty()) {
      uint8_t byte = 0;
      if (quoted.consume_front("\\x")) {
        (void)quoted.take_front(2).getAsInteger(16, byte);
        quoted = quoted.drop_front(2);
      } else {
        quoted.consume_front("\\");
        byte = static_cast<uint8_t>(quoted[0]);
        quoted = quoted.drop_front();
      }
      word += static_cast<char>(byte);
    }
    words.push_back(std::move(word));
  }
}

/// Every file of the corpus, by path.
static std::map<std::string, std::string> readCorpus() {
  std::map<std::string, std::string> inputs;
  auto add = [&](StringRef path) {
    auto file = llvm::MemoryBuffer::getFile(path);
    if (!file) {
      llvm::errs() << "cannot read '" << path << "'\n";
      std::exit(2);
    }
    inputs[path.str()] = (*file)->getBuffer().str();
  };
  for (const std::string &path : corpus) {
    if (!llvm::sys::fs::is_directory(path)) {
      add(path);
      continue;
    }
    std::error_code error;
    for (llvm::sys::fs::directory_iterator it(path, error), end;
         it != end && !error; it.increment(error))
      add(it->path());
  }
  return inputs;
}

/// Case `number`: a file of the corpus, changed one to three times.
static std::string makeCase(llvm::ArrayRef<std::string> inputs,
                            unsigned number) {
  std::seed_seq mixed{unsigned(seed), number};
  std::mt19937 random(mixed);
  bytesRandom.seed(static_cast<unsigned>(random()));
  StringRef from = inputs[random() % inputs.size()];
  std::vector<uint8_t> buffer(2 * from.size() + 4096);
  std::copy(from.begin(), from.end(), buffer.begin());
  size_t size = from.size();
  for (unsigned n = 1 + random() % 3; n--;)
    size = LLVMFuzzerCustomMutator(buffer.data(), size, buffer.size(),
                                   static_cast<unsigned>(random()));
  return std::string(buffer.begin(),
                     buffer.begin() + static_cast<ptrdiff_t>(size));
}

int main(int argc, char **argv) {
  llvm::cl::ParseCommandLineOptions(argc, argv);
  for (int signal :
       {SIGSEGV, SIGABRT, SIGFPE, SIGBUS, SIGILL, SIGALRM, SIGPROF})
    std::signal(signal, sayWhere);
  if (!dictionary.empty())
    if (auto file = llvm::MemoryBuffer::getFile(dictionary))
      readDictionary((*file)->getBuffer());
  std::map<std::string, std::string> files = readCorpus();
  std::vector<std::string> inputs;
  for (const auto &[path, bytes] : files) {
    inputs.push_back(bytes);
    now("file " + path);
    if (only < 0)
      tryInput(bytes);
  }
  if (inputs.empty())
    inputs.emplace_back();
  unsigned first = only < 0 ? 0 : static_cast<unsigned>(only);
  unsigned last = only < 0 ? unsigned(cases) : first + 1;
  for (unsigned number = first; number < last; ++number) {
    std::string bytes = makeCase(inputs, number);
    now("--seed " + llvm::Twine(seed) + " --only " + llvm::Twine(number));
    if (!save.empty()) {
      std::error_code error;
      llvm::raw_fd_ostream(save, error) << bytes;
    }
    tryInput(bytes);
  }
  llvm::outs() << files.size() << " files and " << last - first
               << " cases of seed " << seed << ": no promise broken\n";
  return 0;
}
