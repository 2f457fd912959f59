#include "Workers.h"
#include <algorithm>

namespace waferloom::executor {

// A round in one word, so that a thread enters only one that is open: the
// threads in it, whether it is open, its number.
static constexpr uint64_t threadIn = 1, open = 1 << 16, number = 1 << 17;

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
        [this, thread, seen = round.load() / number] { serve(thread, seen); });
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

/// Enters the round if it is open.
bool Workers::enter() {
  uint64_t now = round.load();
  while ((now & open) != 0)
    if (round.compare_exchange_weak(now, now + threadIn))
      return true;
  return false;
}

/// Waits for a new round, awake for a moment and then asleep.
void Workers::serve(unsigned thread, uint64_t seen) {
  auto isNew = [&] { return round.load() / number != seen; };
  while (true) {
    for (unsigned spin = 0; spin < 2000 && !isNew(); ++spin)
      std::this_thread::yield();
    if (!isNew()) {
      std::unique_lock<std::mutex> lock(mutex);
      wake.wait(lock, [&] { return ending || isNew(); });
      if (!isNew())
        return;
    }
    seen = round.load() / number;
    if (!enter())
      continue;
    work(thread);
    round.fetch_sub(threadIn);
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
  {
    std::lock_guard<std::mutex> lock(mutex);
    round = (round.load() / number + 1) * number + open;
  }
  wake.notify_all();
  work(0);
  // A thread that has not come by now, since the host runs something else,
  // is not waited for.
  round.fetch_and(~open);
  while (round.load() % open != 0)
    std::this_thread::yield();
}

} // namespace waferloom::executor
