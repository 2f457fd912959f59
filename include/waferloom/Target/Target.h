// A target machine as data: every figure with its source and confidence.

#ifndef WAFERLOOM_TARGET_TARGET_H
#define WAFERLOOM_TARGET_TARGET_H

#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdint>
#include <string>
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

/// A machine. Sizes are in bytes, times in cycles unless the figure's unit says
/// otherwise.
struct Target {
  std::string name;
#define FIGURE(type, member, key, unit, meaning) Figure<type> member;
#include "waferloom/Target/Figures.def"
};

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

/// Whether programs may take a rectangle of `width` by `height` PEs that begins
/// at column `x` and row `y`. The error names the figure that is in the way and
/// the largest rectangle.
llvm::Error checkRectangle(const Target &target, int64_t width, int64_t height,
                           int64_t x = 0, int64_t y = 0);

/// Writes a description that `parseYaml` reads back.
void writeYaml(const Target &target, llvm::raw_ostream &os);

/// Prints the table of figures with unit, source and confidence, those that act
/// before those that do not.
void print(const Target &target, llvm::raw_ostream &os);

/// Prints the presets, one per line.
void printPresets(llvm::raw_ostream &os);

} // namespace waferloom::target

#endif // WAFERLOOM_TARGET_TARGET_H
