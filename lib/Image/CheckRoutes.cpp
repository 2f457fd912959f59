#include "Check.h"

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
  std::vector<std::vector<uint32_t>> ofColor(256);
  for (uint32_t i = 0; i < program.routes.size(); ++i) {
    const RouteT &route = *program.routes[i];
    std::string at = where + " routes[" + std::to_string(i) + "]";
    if (Error error = checkRoute(route, *image.target, at))
      return error;
    for (uint32_t other : ofColor[route.color])
      if (setsMeet(region, route.columns, program.routes[other]->columns) &&
          setsMeet(region, route.rows, program.routes[other]->rows))
        return violation(24, at,
                         "routes[" + Twine(other) +
                             "] has the same color at some of the same PEs");
    ofColor[route.color].push_back(i);
  }
  return Error::success();
}

} // namespace waferloom::image
