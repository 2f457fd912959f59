//===- Waiting.h - What takes long says so ----------------------*- C++ -*-===//
//
// After two seconds a line on the terminal says what is being done and for how
// long; it is gone when that ends. Nothing where stderr is no terminal.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_TOOLS_WAFERLOOM_WAITING_H
#define WAFERLOOM_TOOLS_WAFERLOOM_WAITING_H

#include <condition_variable>
#include <mutex>
#include <string>

#include <pthread.h>

namespace waferloom::tool {

class Waiting {
public:
  explicit Waiting(std::string what);
  ~Waiting();
  Waiting(const Waiting &) = delete;
  Waiting &operator=(const Waiting &) = delete;

private:
  void show();

  std::mutex mutex;
  std::condition_variable ended;
  bool isEnded = false;
  const std::string what;
  // None where nobody would see it, or the host has none left.
  bool hasThread = false;
  pthread_t thread;
};

/// What `work` gives, which takes a while.
template <typename Work>
auto waitFor(std::string what, Work work) {
  Waiting waiting(std::move(what));
  return work();
}

} // namespace waferloom::tool

#endif // WAFERLOOM_TOOLS_WAFERLOOM_WAITING_H
