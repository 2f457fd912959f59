// Threads of the host that share loops. What an index computes must not depend
// on which thread computes it.

#ifndef WAFERLOOM_LIB_EXECUTOR_WORKERS_H
#define WAFERLOOM_LIB_EXECUTOR_WORKERS_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace waferloom::executor {

class Workers {
public:
  /// 0 threads: as many as the host has.
  explicit Workers(unsigned threads = 0);
  ~Workers();

  /// This many threads take part from now on; 0: as many as the host has.
  void resize(unsigned threads);
  unsigned size() const { return static_cast<unsigned>(team.size()) + 1; }

  /// Calls body(i, thread) for every i in [0, count), once each, in any order.
  void forEach(size_t count, llvm::function_ref<void(size_t, unsigned)> body);

private:
  void stop();
  void serve(unsigned thread, uint64_t seen);
  bool enter();
  void work(unsigned thread);

  std::vector<std::thread> team; // besides the caller
  std::mutex mutex;
  std::condition_variable wake;
  std::atomic<uint64_t> round{0}; // and who is in it
  std::atomic<size_t> next{0};
  bool ending = false;
  size_t count = 0;
  llvm::function_ref<void(size_t, unsigned)> *body = nullptr;
};

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_WORKERS_H
