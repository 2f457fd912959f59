// Asks the caller every now and then whether a step is still wanted.

#ifndef WAFERLOOM_LIB_EXECUTOR_INTERRUPT_H
#define WAFERLOOM_LIB_EXECUTOR_INTERRUPT_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <atomic>
#include <chrono>
#include <functional>

namespace waferloom::executor {

class Interrupt {
public:
  static constexpr llvm::StringLiteral message =
      "interrupted; reset the session before the next step";

  /// `asked` may be empty: nobody interrupts.
  explicit Interrupt(const std::function<bool()> &asked) : asked(asked) {}

  /// Whether to stop. Asks the caller at most every 50 ms. Only on the thread
  /// that called the executor. `work`: elements or so since the last call.
  bool due(uint64_t work = 16) {
    since += work;
    if (is() || !asked || since < 4096)
      return is();
    since = 0;
    auto now = std::chrono::steady_clock::now();
    if (now - last < std::chrono::milliseconds(50))
      return false;
    last = now;
    if (asked())
      stop.store(true, std::memory_order_relaxed);
    return is();
  }

  /// Whether it was. On any thread.
  bool is() const { return stop.load(std::memory_order_relaxed); }

private:
  const std::function<bool()> &asked;
  std::atomic<bool> stop{false};
  uint64_t since = 0;
  std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();
};

/// An error if it was asked for, after so many elements of work; `interrupt`
/// may be none.
inline llvm::Error checkInterrupt(Interrupt *interrupt, uint64_t work = 16) {
  return interrupt && interrupt->due(work)
             ? llvm::createStringError(Interrupt::message)
             : llvm::Error::success();
}

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_INTERRUPT_H
