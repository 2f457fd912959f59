// The cycles of an entry, counted group by group along its schedule.

#ifndef WAFERLOOM_LIB_EXECUTOR_TIMING_H
#define WAFERLOOM_LIB_EXECUTOR_TIMING_H

#include "Engine.h"
#include "Schedule.h"
#include <optional>

namespace waferloom::executor {

/// What the reference engine counts for a run of the entry. Nothing where it
/// has to count itself: with microthreads, where the entry may hang, and when
/// interrupted. `estimate`: as if no messages met (RunOptions). `critical`:
/// becomes its critical path; null if not asked for.
std::optional<EngineResult>
timeSchedule(const image::TargetT &target, const PreparedEntry &prepared,
             const Streams &streams, const Schedule &schedule, bool estimate,
             Interrupt *interrupt, CriticalPath *critical = nullptr);

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_TIMING_H
