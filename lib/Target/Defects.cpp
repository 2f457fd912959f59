// Rectangles of a fabric in which no program may stand: what is broken, or kept
// as a spare. What is free of them can be moved north and west until it touches
// the border or the far side of one, so only such corners are looked at.

#include "waferloom/Target/Target.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <set>

using namespace waferloom;
using namespace waferloom::target;

const Rectangle *target::findDefect(const Target &target, int64_t x, int64_t y,
                                    int64_t width, int64_t height) {
  auto found = llvm::find_if(target.defects, [&](const Rectangle &d) {
    return x < int64_t(d.x) + d.width && d.x < x + width &&
           y < int64_t(d.y) + d.height && d.y < y + height;
  });
  return found == target.defects.end() ? nullptr : &*found;
}

std::optional<std::pair<int64_t, int64_t>>
target::findPlace(const Target &target, int64_t width, int64_t height) {
  std::set<int64_t> columns{0}, rows{0};
  for (const Rectangle &defect : target.defects) {
    columns.insert(int64_t(defect.x) + defect.width);
    rows.insert(int64_t(defect.y) + defect.height);
  }
  for (int64_t y : rows)
    for (int64_t x : columns)
      if (x + width <= target.userWidth && y + height <= target.userHeight &&
          !findDefect(target, x, y, width, height))
        return std::pair(x, y);
  return std::nullopt;
}

std::pair<int64_t, int64_t> target::findLargest(const Target &target) {
  if (target.defects.empty())
    return {target.userWidth, target.userHeight};
  // The sides of a largest one lie at borders, too.
  std::set<int64_t> columns{0, target.userWidth}, rows{0, target.userHeight};
  for (const Rectangle &defect : target.defects) {
    columns.insert({defect.x, int64_t(defect.x) + defect.width});
    rows.insert({defect.y, int64_t(defect.y) + defect.height});
  }
  std::pair<int64_t, int64_t> best;
  for (int64_t left : columns)
    for (int64_t right : columns)
      for (int64_t top : rows)
        for (int64_t bottom : rows) {
          const int64_t width = right - left, height = bottom - top;
          if (width > 0 && height > 0 && right <= target.userWidth &&
              bottom <= target.userHeight &&
              width * height > best.first * best.second &&
              !findDefect(target, left, top, width, height))
            best = {width, height};
        }
  return best;
}

llvm::Error target::checkDefects(const Target &target) {
  for (const Rectangle &defect : target.defects)
    if (!defect.width || !defect.height ||
        uint64_t(defect.x) + defect.width > target.width ||
        uint64_t(defect.y) + defect.height > target.height)
      return llvm::createStringError(llvm::formatv(
          "target '{0}': a defect of {1} x {2} PEs at ({3}, {4}) does not lie "
          "on the fabric of {5} x {6}",
          target.name, defect.width, defect.height, defect.x, defect.y,
          target.width.value, target.height.value));
  if (target.defects.size() > mostDefects)
    return llvm::createStringError(
        llvm::formatv("target '{0}': {1} defects are more than {2}; say "
                      "neighbours as one rectangle",
                      target.name, target.defects.size(), mostDefects));
  if (!target.defects.empty() && findLargest(target).first == 0)
    return llvm::createStringError("target '" + target.name +
                                   "': defects leave no PE for programs");
  return llvm::Error::success();
}
