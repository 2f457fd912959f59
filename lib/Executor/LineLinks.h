// Shared links of an entry whose groups have been counted (E32), line by line:
// a row or a column of links. On a line, words one behind another are a
// rectangle of links and cycles; two streams meet where theirs overlap. What
// meets within a group that began alike, or between two such groups at an equal
// distance of time, is counted once, wherever and whenever it comes up.

#ifndef WAFERLOOM_LIB_EXECUTOR_LINELINKS_H
#define WAFERLOOM_LIB_EXECUTOR_LINELINKS_H

#include "Interrupt.h"
#include "ScheduleRecord.h"
#include "SharedLinks.h"

namespace waferloom::executor {

struct SharedOnAllLines {
  SharedCounts counts;
  /// Words of different groups want a link at the same time, or may, with the
  /// waits of each group.
  bool groupsMeet = false;
};

/// Of what it had seen, if it was interrupted.
SharedOnAllLines countSharedLinks(const CountedSchedule &counted,
                                  Interrupt *interrupt);

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_LINELINKS_H
