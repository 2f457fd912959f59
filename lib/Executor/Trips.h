// Which trip of its loop each instruction is of that a program executes.

#ifndef WAFERLOOM_LIB_EXECUTOR_TRIPS_H
#define WAFERLOOM_LIB_EXECUTOR_TRIPS_H

#include "Prepared.h"
#include <map>
#include <utility>
#include <vector>

namespace waferloom::executor {

/// Trips of the loops that accounts are of (AccountKey), numbered from 0 over
/// all loops over layers and tokens around, as `repeats` counts them. Programs
/// are followed when they are asked for first.
class Trips {
public:
  explicit Trips(const PreparedEntry &prepared) : prepared(prepared) {}

  /// Of the `number`th instruction, counted from 0 without control
  /// instructions, that the program executes.
  uint32_t of(uint32_t region, uint32_t program, uint64_t number);

private:
  /// From this instruction on, until the next.
  struct Change {
    uint64_t number;
    uint32_t trip;
  };
  std::vector<Change> follow(const RegionPrograms &region,
                             const Program &program) const;

  const PreparedEntry &prepared;
  std::map<std::pair<uint32_t, uint32_t>, std::vector<Change>> known;
};

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_TRIPS_H
