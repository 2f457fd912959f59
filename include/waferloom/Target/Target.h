// A target machine as data: every figure with its source and confidence.

#ifndef WAFERLOOM_TARGET_TARGET_H
#define WAFERLOOM_TARGET_TARGET_H

#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace waferloom::target {

/// High: paper, official document or published source. Medium: public
/// measurement. Low: derived. Unverified: chosen, nothing is published.
enum class Confidence { High, Medium, Low, Unverified };

/// A number, where it is from and how far to trust it. Reads as its number.
template <typename T>
struct Figure {
  T value = 0;
  std::string source;
  Confidence confidence = Confidence::Unverified;

  operator T() const { return value; }
};

/// Columns [x, x + width) and rows [y, y + height) of a fabric.
struct Rectangle {
  uint32_t x = 0, y = 0, width = 0, height = 0;

  bool operator==(const Rectangle &other) const {
    return std::tie(x, y, width, height) ==
           std::tie(other.x, other.y, other.width, other.height);
  }
};

/// A machine. Sizes are in bytes, times in cycles unless the figure's unit says
/// otherwise.
struct Target {
  std::string name;
#define FIGURE(type, member, key, unit, meaning) Figure<type> member;
#include "waferloom/Target/Figures.def"
  /// Where no program may stand and no word may pass: what is broken, or kept
  /// as a spare. Published machines hide theirs, so this is a what-if.
  std::vector<Rectangle> defects;
};

constexpr size_t mostDefects = 64;

/// The first defect that a rectangle touches; null: it touches none.
const Rectangle *findDefect(const Target &target, int64_t x, int64_t y,
                            int64_t width, int64_t height);

/// Where a rectangle of so many columns and rows may stand, the northernmost
/// place first; none: it has no room.
std::optional<std::pair<int64_t, int64_t>>
findPlace(const Target &target, int64_t width, int64_t height);

/// Columns and rows of a largest rectangle that programs may take.
std::pair<int64_t, int64_t> findLargest(const Target &target);

/// Errors: a defect off the fabric, too many of them, nothing left.
llvm::Error checkDefects(const Target &target);

/// Reads what `--target` accepts: a preset (`wse2`, `wse3`, `grid-WxH`) or the
/// path of a YAML file, followed by any number of `,key=value`. Sizes may end
/// in KiB or MiB. A fabric whose size is set is all for programs, unless
/// `user-width` and `user-height` are set, too. Errors name what is wrong and
/// the alternatives; `warnings` (may be null) gets a line about figures that
/// were set and do not act.
llvm::Expected<Target> parse(llvm::StringRef specification,
                             std::vector<std::string> *warnings = nullptr);

/// Reads a description file's text; `origin` names it in errors. A file may say
/// `base: wse3` and then only what differs. A figure is a number or
/// `{value: 48KiB, source: "...", confidence: H}`. Figures that do not act may
/// be left out. `warnings` as in `parse`.
llvm::Expected<Target> parseYaml(llvm::StringRef text, llvm::StringRef origin,
                                 std::vector<std::string> *warnings = nullptr);

/// Whether programs may take a rectangle of `width` by `height` PEs somewhere.
/// The error names the figure that is in the way and the largest rectangle.
llvm::Error checkRectangle(const Target &target, int64_t width, int64_t height);

/// The same of one that begins at column `x` and row `y`.
llvm::Error checkRectangle(const Target &target, int64_t width, int64_t height,
                           int64_t x, int64_t y);

/// Writes a description that `parseYaml` reads back.
void writeYaml(const Target &target, llvm::raw_ostream &os);

/// Prints the table of figures with unit, source and confidence, those that act
/// before those that do not.
void print(const Target &target, llvm::raw_ostream &os);

/// Prints the presets, one per line.
void printPresets(llvm::raw_ostream &os);

} // namespace waferloom::target

#endif // WAFERLOOM_TARGET_TARGET_H
