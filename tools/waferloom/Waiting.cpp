#include "Waiting.h"

#include "Messages.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>
#include <cstdlib>

using namespace waferloom::tool;
using Clock = std::chrono::steady_clock;

/// Tests set WAFERLOOM_PATIENCE, so that they need not wait.
static std::chrono::duration<double> patience() {
  const char *given = std::getenv("WAFERLOOM_PATIENCE");
  return std::chrono::duration<double>(given ? std::atof(given) : 2.0);
}

Waiting::Waiting(std::string first) : what(std::move(first)) {
  if (llvm::sys::Process::StandardErrIsDisplayed() && !tellsAsJson())
    hasThread = pthread_create(
                    &thread, nullptr,
                    [](void *waiting) -> void * {
                      static_cast<Waiting *>(waiting)->show();
                      return nullptr;
                    },
                    this) == 0;
}

Waiting::~Waiting() {
  if (!hasThread)
    return;
  {
    std::lock_guard<std::mutex> lock(mutex);
    isEnded = true;
  }
  ended.notify_one();
  pthread_join(thread, nullptr);
}

void Waiting::show() {
  const Clock::time_point start = Clock::now();
  std::unique_lock<std::mutex> lock(mutex);
  auto hasEnded = [this] { return isEnded; };
  // Without any patience even what has ended is told: tests rely on it.
  if (patience().count() > 0 && ended.wait_for(lock, patience(), hasEnded))
    return;
  do {
    const std::chrono::duration<double> seconds = Clock::now() - start;
    llvm::errs() << llvm::formatv("\r\033[K{0}: {1:f0} s", what,
                                  seconds.count());
    llvm::errs().flush();
  } while (!ended.wait_for(lock, std::chrono::seconds(1), hasEnded));
  llvm::errs() << "\r\033[K";
}
