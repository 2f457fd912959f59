#include "Check.h"
#include <map>

using namespace llvm;

namespace waferloom::image {

/// I24: what one router does is possible.
static Error checkRoute(const RouteT &route, const TargetT &target,
                        const std::string &where) {
  auto refuse = [&](const Twine &what) { return violation(24, where, what); };
  if (route.color >= target.colors)
    return refuse(
        formatv("color {0} of {1}", unsigned(route.color), target.colors)
            .str());
  if (route.inputs.empty() || route.outputs == 0)
    return refuse("has no input or no output");
  if (route.outputs >= 32)
    return refuse("has an output to no side");
  for (const Turn &turn : route.inputs) {
    if (turn.side() > Side::MAX)
      return violation(7, where, "has an input from no side");
    if ((route.outputs >> unsigned(turn.side())) & 1)
      return refuse(std::string("goes back to where it comes from, ") +
                    EnumNameSide(turn.side()));
    if (route.inputs.size() > 1 && turn.words() == 0)
      return refuse("has several inputs, one of them without an end");
  }
  return Error::success();
}

Error checkRoutes(const ImageT &image, const RegionT &region,
                  const ProgramT &program, const std::string &where) {
  const ClassPairs pairs = routePairs(region, classesOf(region), program);
  if (pairs.count() > mostPairs / image.target->colors)
    return violation(34, where,
                     formatv("routes tell {0} columns from {1} rows apart on "
                             "{2} colors; the product must be at most {3}",
                             pairs.columns.count(), pairs.rows.count(),
                             image.target->colors, mostPairs)
                         .str());
  // By color: the route of every pair.
  std::map<uint8_t, std::vector<uint32_t>> taken;
  for (uint32_t i = 0; i < program.routes.size(); ++i) {
    const RouteT &route = *program.routes[i];
    std::string at = where + " routes[" + std::to_string(i) + "]";
    if (Error error = checkRoute(route, *image.target, at))
      return error;
    std::vector<uint32_t> &ofPair = taken[route.color];
    ofPair.resize(pairs.count(), UINT32_MAX);
    for (uint32_t column = 0; column < pairs.columns.count(); ++column) {
      if (!contains(region, route.columns, pairs.columns.first(column)))
        continue;
      for (uint32_t row = 0; row < pairs.rows.count(); ++row) {
        if (!contains(region, route.rows, pairs.rows.first(row)))
          continue;
        uint32_t &other = ofPair[uint64_t(column) * pairs.rows.count() + row];
        if (other != UINT32_MAX)
          return violation(24, at,
                           "routes[" + Twine(other) +
                               "] has the same color at some of the same PEs");
        other = i;
      }
    }
  }
  return Error::success();
}

} // namespace waferloom::image
