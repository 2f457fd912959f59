// What the lock-step engine counted, as a record of the critical path. Nothing
// is written down while it counts: of the groups that the path goes through,
// one per superstep, times are worked out once more and in full.

#ifndef WAFERLOOM_LIB_EXECUTOR_SCHEDULERECORD_H
#define WAFERLOOM_LIB_EXECUTOR_SCHEDULERECORD_H

#include "GroupTimer.h"
#include "PathRecord.h"
#include "Schedule.h"
#include <deque>
#include <map>
#include <memory>

namespace waferloom::executor {

/// A schedule that has been counted. All references outlive it.
struct CountedSchedule {
  const Schedule &schedule;
  const Streams &streams;
  const image::TargetT &target;
  const std::vector<std::unique_ptr<GroupTimer>> &timers; // by group
  /// By superstep, GroupTimer::at for each place of its groups.
  const std::vector<std::vector<uint32_t>> &found;
  /// The same: the clock of its first PE when it began.
  const std::vector<std::vector<uint64_t>> &origins;
};

class ScheduleRecord : public PathRecord {
public:
  explicit ScheduleRecord(const CountedSchedule &counted)
      : counted(counted), schedule(counted.schedule), streams(counted.streams),
        orders(counted.timers.size()) {}

  std::optional<PathRef> last(uint32_t pe, Stamp end) override;
  PathOp at(PathRef ref) override;
  std::optional<PathRef> before(PathRef ref) override;
  // The lock-step engine counts no programs with microthreads.
  PathRef threadOf(PathRef ref) override { return ref; }
  Stamp takeOf(WordRef word) override;
  Stamp putOf(WordRef word) override;
  uint32_t inputOf(WordRef word) override;
  WordRef giverOf(WordRef word) override;
  std::optional<WordRef> putBefore(WordRef word) override;
  std::optional<WordRef> creditorOf(WordRef word) override;

private:
  /// Whose ops follow each other in a group.
  struct Order {
    std::vector<uint32_t> before;              // by op, of the same PE
    std::vector<uint32_t> last;                // by PE of the group
    std::vector<std::vector<uint32_t>> givers; // by source: ops
    std::vector<std::vector<uint32_t>> takers; // by tap: ops
  };
  /// A place of a group in a superstep.
  struct GroupPlace {
    uint32_t group, base;
    uint32_t following; // of all places of the superstep
  };
  /// What the path goes through: a place of a group, or a compute block of a
  /// PE.
  struct Site {
    uint32_t superstep = 0;
    uint32_t group = none; // none: a compute block
    uint32_t base = 0;     // of a compute block: the PE
    const GroupAfter *after = nullptr;
    std::shared_ptr<const GroupTimes> times;
    Stamp origin = 0;    // of a compute block: when it begins
    uint64_t number = 0; // of a compute block: of its first act
    uint32_t block = 0;
    std::vector<Stamp> begun, ended; // of a compute block, by act
    std::vector<uint32_t> leads;     // the same
  };

  const Order &orderOf(uint32_t group);
  std::shared_ptr<const GroupTimes> timesOf(uint32_t group, uint32_t index);
  std::optional<GroupPlace> placeOf(uint32_t superstep, uint32_t pe) const;
  std::optional<PathRef> latest(uint32_t pe, uint32_t superstep,
                                bool isExchangeTo, Stamp clock);
  std::optional<PathRef> inBlock(uint32_t pe, uint32_t superstep, Stamp &clock);
  const Segment *segmentOf(uint32_t pe, uint32_t superstep) const;
  uint32_t siteAt(uint32_t superstep, const GroupPlace &place);
  uint32_t remember(Site &&site, uint32_t number);
  uint32_t find(std::tuple<uint32_t, bool, uint32_t> key) const;
  std::optional<std::pair<uint32_t, GroupPlace>>
  earlier(uint32_t superstep, uint32_t producer, uint32_t &source) const;
  std::optional<WordRef> putEarlier(const Site &site, uint32_t source,
                                    Stamp put);
  std::optional<WordRef> takenEarlier(const Site &site, uint32_t source,
                                      uint32_t tap, int64_t word, Stamp take);
  WordRef wordOf(uint32_t site, const std::vector<uint32_t> &ops, bool isTake,
                 uint64_t word);
  uint32_t consumerOf(const Site &site, uint32_t tap) const;

  const GroupTimer &timerOf(const Site &site) const {
    return *counted.timers[site.group];
  }
  const GroupOp &opOf(PathRef ref) const {
    return timerOf(sites[ref.site]).group.ops[ref.op];
  }

  CountedSchedule counted;
  const Schedule &schedule;
  const Streams &streams;
  std::vector<std::unique_ptr<Order>> orders; // by group
  std::deque<Site> sites;                     // the walk goes only back
  size_t released = 0;                        // sites without times
  std::map<std::tuple<uint32_t, bool, uint32_t>, uint32_t> siteOf;
  std::map<std::pair<uint32_t, uint32_t>, std::shared_ptr<const GroupTimes>>
      known; // equal groups that began alike
};

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_SCHEDULERECORD_H
