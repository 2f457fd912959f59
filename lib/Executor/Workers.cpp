#include "Workers.h"
#include <algorithm>

namespace waferloom::executor {

Workers::Workers(unsigned threads) { resize(threads); }

Workers::~Workers() { stop(); }

void Workers::resize(unsigned threads) {
  if (threads == 0)
    threads = std::max(1u, std::thread::hardware_concurrency());
  threads = std::min(threads, 256u);
  if (threads == size())
    return;
  stop();
  for (unsigned thread = 1; thread < threads; ++thread)
    team.emplace_back(
        [this, thread, seen = round.load()] { serve(thread, seen); });
}

void Workers::stop() {
  {
    std::lock_guard<std::mutex> lock(mutex);
    ending = true;
  }
  wake.notify_all();
  for (std::thread &thread : team)
    thread.join();
  team.clear();
  ending = false;
}

void Workers::work(unsigned thread) {
  for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;)
    (*body)(i, thread);
}

/// Waits for a new round, awake for a moment and then asleep.
void Workers::serve(unsigned thread, uint64_t seen) {
  while (true) {
    for (unsigned spin = 0; spin < 2000 && round.load() == seen; ++spin)
      std::this_thread::yield();
    if (round.load() == seen) {
      std::unique_lock<std::mutex> lock(mutex);
      wake.wait(lock, [&] { return ending || round.load() != seen; });
      if (round.load() == seen)
        return;
    }
    seen = round.load();
    work(thread);
    busy.fetch_sub(1);
  }
}

void Workers::forEach(size_t n,
                      llvm::function_ref<void(size_t, unsigned)> callee) {
  if (team.empty() || n < 2) {
    for (size_t i = 0; i < n; ++i)
      callee(i, 0);
    return;
  }
  count = n;
  body = &callee;
  next = 0;
  busy = static_cast<unsigned>(team.size());
  {
    std::lock_guard<std::mutex> lock(mutex);
    ++round;
  }
  wake.notify_all();
  work(0);
  while (busy.load() != 0)
    std::this_thread::yield();
}

} // namespace waferloom::executor
