// Numbers about a compilation.

#include "Phases.h"

#include "waferloom/Codegen/Codegen.h"

#include <set>

using namespace waferloom;

void waferloom::summarize(const image::ImageT &image,
                          const partition::Planned &planned,
                          CompileSummary &summary) {
  summary.layoutsTried = planned.answers;
  summary.cyclesEstimated = planned.cycles;
  summary.considered = planned.considered;
  summary.parameters = image.parameters;
  summary.width = summary.height = summary.pesUsed = 0;
  summary.stages = summary.regions = static_cast<int64_t>(image.regions.size());
  for (const auto &region : image.regions) {
    summary.width = std::max<int64_t>(summary.width, region->x + region->width);
    summary.height =
        std::max<int64_t>(summary.height, region->y + region->height);
    summary.pesUsed += int64_t(region->width) * region->height;
    std::set<int> colors;
    for (const auto &program : region->programs)
      for (const auto &route : program->routes)
        colors.insert(route->color);
    summary.colorsUsedMax = std::max<int64_t>(
        summary.colorsUsedMax, static_cast<int64_t>(colors.size()));
  }
}
