// One drawing function: a window of the fabric, scaled to fit a picture.

#include "Map.h"
#include "llvm/Support/FormatVariadic.h"
#include <algorithm>
#include <cmath>

using namespace llvm;

namespace waferloom::report {

namespace {
/// A rectangle in PEs.
struct Window {
  uint32_t x, y, width, height;
};
} // namespace

static void writePicture(raw_ostream &os, const image::ImageT &image,
                         Window window, double mostWidth, double mostHeight,
                         bool numbered) {
  constexpr double largestPe = 64, least = 2;
  const double scale = std::min(
      {largestPe, mostWidth / window.width, mostHeight / window.height});
  auto length = [&](double pes) { return std::max(pes * scale, least); };
  const double width = length(window.width), height = length(window.height);
  os << formatv("<svg class=\"map\" role=\"img\" width=\"{0:F0}\" "
                "height=\"{1:F0}\" viewBox=\"0 0 {0:F2} {1:F2}\">\n",
                width, height);
  os << formatv("<rect class=\"fabric\" width=\"{0:F2}\" height=\"{1:F2}\"/>\n",
                width, height);
  const bool several = image.regions.size() > 1 ||
                       image.regions.front()->stages_x > 1 ||
                       image.regions.front()->stages_y > 1;
  uint32_t number = 0;
  for (const auto &region : image.regions) {
    const double across = double(region->width) / region->stages_x,
                 down = double(region->height) / region->stages_y;
    for (uint32_t row = 0; row < region->stages_y; ++row)
      for (uint32_t column = 0; column < region->stages_x; ++column) {
        const double x = (region->x + column * across - window.x) * scale,
                     y = (region->y + row * down - window.y) * scale,
                     w = length(across), h = length(down);
        // Stage 0 is another kind: it has what is not repeated.
        os << formatv("<rect class=\"stage {0}\" x=\"{1:F2}\" y=\"{2:F2}\" "
                      "width=\"{3:F2}\" height=\"{4:F2}\"><title>stage {5}: "
                      "{6} x {7} PEs from ({8}, {9})</title></rect>\n",
                      number || !several ? "k0" : "k4", x, y, w, h, number,
                      uint32_t(across), uint32_t(down),
                      region->x + column * uint32_t(across),
                      region->y + row * uint32_t(down));
        if (numbered && w >= 18 && h >= 14)
          os << formatv("<text class=\"on\" x=\"{0:F2}\" y=\"{1:F2}\" "
                        "text-anchor=\"middle\" dy=\"4\">{2}</text>\n",
                        x + w / 2, y + h / 2, number);
        ++number;
      }
  }
  os << "</svg>\n";
}

void writeMap(raw_ostream &os, const image::ImageT &image) {
  const image::TargetT &target = *image.target;
  uint32_t west = UINT32_MAX, north = UINT32_MAX, east = 0, south = 0;
  uint32_t stages = 0;
  for (const auto &region : image.regions) {
    west = std::min(west, region->x);
    north = std::min(north, region->y);
    east = std::max(east, region->x + region->width);
    south = std::max(south, region->y + region->height);
    stages += region->stages_x * region->stages_y;
  }
  os << "<div class=\"pictures\">\n<figure>\n";
  writePicture(os, image, {0, 0, target.width, target.height}, 330, 400, false);
  os << formatv("<figcaption>the fabric, {0:N} x {1:N} PEs</figcaption>\n"
                "</figure>\n<figure>\n",
                target.width, target.height);
  writePicture(os, image, {west, north, east - west, south - north}, 480, 400,
               stages > 1);
  os << formatv("<figcaption>{0:N} x {1:N} PEs from ({2}, {3}), {4}"
                "</figcaption>\n</figure>\n</div>\n",
                east - west, south - north, west, north,
                stages > 1 ? formatv("{0} stages", stages).str() : "one stage");
}

} // namespace waferloom::report
