// Threads of the host that share loops. What an index computes must not depend
// on which thread computes it.

#ifndef WAFERLOOM_LIB_EXECUTOR_WORKERS_H
#define WAFERLOOM_LIB_EXECUTOR_WORKERS_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include <cstddef>
#include <memory>
#include <sys/types.h>

namespace waferloom::executor {

class Workers {
public:
  /// 0 threads: as many as the host has.
  explicit Workers(unsigned threads = 0);
  ~Workers();

  /// This many threads take part from now on; 0: as many as the host has. Where
  /// the host gives fewer, those take part.
  void resize(unsigned threads);
  unsigned size() const;

  /// Calls body(i, thread) for every i in [0, count), once each, in any order.
  void forEach(size_t count, llvm::function_ref<void(size_t, unsigned)> body);

private:
  class Team;
  void leaveParent();

  std::unique_ptr<Team> team; // besides the caller; null: nobody
  unsigned wanted = 1;
  pid_t process; // whose threads they are
};

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_WORKERS_H
