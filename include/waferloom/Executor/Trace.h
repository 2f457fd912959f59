// What every PE did and when, for the trace viewers that read Chrome's format
// (Perfetto, chrome://tracing).

#ifndef WAFERLOOM_EXECUTOR_TRACE_H
#define WAFERLOOM_EXECUTOR_TRACE_H

#include "waferloom/Image/Image_generated.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdint>
#include <vector>

namespace waferloom::executor {

/// One instruction of one PE. Times are cycles since the trace began: steps
/// follow each other.
struct TraceEvent {
  uint32_t x, y;
  int32_t thread; // microthread; -1: the main program
  image::Opcode op;
  uint32_t node; // index into the image's names
  uint64_t begin, end;
  uint64_t busy; // of end - begin; the rest is waiting
};

/// Collects the events of steps until `limit`, then counts what it leaves out.
class Trace {
public:
  explicit Trace(uint64_t limit = 2'000'000) : limit(limit) {}

  void add(TraceEvent event) {
    if (events.size() >= limit) {
      ++leftOut;
      return;
    }
    event.begin += offset;
    event.end += offset;
    events.push_back(event);
  }
  /// The step is over; the next one begins where it ended.
  void advance(uint64_t cycles) { offset += cycles; }

  /// JSON: a process per PE, a thread per program and microthread, one cycle
  /// as one microsecond.
  void write(llvm::raw_ostream &os, const image::ImageT &image) const;

  std::vector<TraceEvent> events;
  uint64_t leftOut = 0;

private:
  uint64_t limit, offset = 0;
};

} // namespace waferloom::executor

#endif // WAFERLOOM_EXECUTOR_TRACE_H
