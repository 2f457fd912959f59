// Threads are started by pthreads, which says so when the host has none left.
// After a fork the threads are in the parent only: the child leaves all that
// they shared where it is, since they may have been in the middle of it, and
// starts threads of its own when it needs some.

#include "Workers.h"
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <pthread.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace waferloom::executor {

// A round in one word, so that a thread enters only one that is open: the
// threads in it, whether it is open, its number.
static constexpr uint64_t threadIn = 1, open = 1 << 16, number = 1 << 17;

using Body = llvm::function_ref<void(size_t, unsigned)>;

class Workers::Team {
public:
  /// Up to `threads` besides the caller.
  explicit Team(unsigned threads) {
    members.reserve(threads);
    for (unsigned thread = 1; thread <= threads; ++thread) {
      members.push_back({this, thread, {}});
      if (pthread_create(&members.back().handle, nullptr, serve,
                         &members.back()) != 0) {
        members.pop_back();
        break;
      }
    }
  }
  ~Team() {
    {
      std::lock_guard<std::mutex> lock(mutex);
      ending = true;
    }
    wake.notify_all();
    for (Member &member : members)
      pthread_join(member.handle, nullptr);
  }

  unsigned size() const { return static_cast<unsigned>(members.size()); }
  void share(size_t n, Body &callee);

private:
  struct Member {
    Team *team;
    unsigned thread;
    pthread_t handle;
  };
  static void *serve(void *member) {
    static_cast<Member *>(member)->team->serve(
        static_cast<Member *>(member)->thread);
    return nullptr;
  }
  void serve(unsigned thread);
  bool enter();
  void work(unsigned thread);

  std::vector<Member> members; // never moves
  std::mutex mutex;
  std::condition_variable wake;
  std::atomic<uint64_t> round{0}; // and who is in it
  std::atomic<size_t> next{0};
  std::atomic<bool> ending{false};
  size_t count = 0;
  Body *body = nullptr;
};

Workers::Workers(unsigned threads) : process(::getpid()) { resize(threads); }

Workers::~Workers() { leaveParent(); }

unsigned Workers::size() const { return team ? team->size() + 1 : 1; }

void Workers::leaveParent() {
  if (process == ::getpid())
    return;
  (void)team.release();
  process = ::getpid();
  wanted = 1;
}

void Workers::resize(unsigned threads) {
  leaveParent();
  if (threads == 0)
    threads = std::max(1u, std::thread::hardware_concurrency());
  threads = std::min(threads, 256u);
  if (threads == wanted)
    return;
  team.reset();
  wanted = threads;
  if (threads > 1)
    team = std::make_unique<Team>(threads - 1);
}

void Workers::Team::work(unsigned thread) {
  for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;)
    (*body)(i, thread);
}

/// Enters the round if it is open.
bool Workers::Team::enter() {
  uint64_t now = round.load();
  while ((now & open) != 0)
    if (round.compare_exchange_weak(now, now + threadIn))
      return true;
  return false;
}

/// Waits for a new round, awake for a moment and then asleep. The moment is a
/// time and no number of tries: each takes long where others have the cores.
void Workers::Team::serve(unsigned thread) {
  using Clock = std::chrono::steady_clock;
  uint64_t seen = 0; // the first round is 1
  auto isNew = [&] { return round.load() / number != seen; };
  while (true) {
    const auto asleep = Clock::now() + std::chrono::microseconds(500);
    while (!isNew() && !ending && Clock::now() < asleep)
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

void Workers::Team::share(size_t n, Body &callee) {
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

void Workers::forEach(size_t n, Body callee) {
  leaveParent();
  if (team && team->size() > 0 && n > 1)
    return team->share(n, callee);
  for (size_t i = 0; i < n; ++i)
    callee(i, 0);
}

} // namespace waferloom::executor
