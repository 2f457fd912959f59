// Numbers as people write them, and the rules that every target obeys.

#ifndef WAFERLOOM_LIB_TARGET_SCALARS_H
#define WAFERLOOM_LIB_TARGET_SCALARS_H

#include "waferloom/Target/Target.h"
#include "llvm/ADT/ArrayRef.h"

namespace waferloom::target {

/// Reads `48KiB`, `2MiB`, `7`; returns what is wrong, empty when nothing is.
llvm::StringRef readScalar(llvm::StringRef text, uint32_t &value);
/// Reads `0.85`.
llvm::StringRef readScalar(llvm::StringRef text, double &value);
void writeScalar(uint32_t value, llvm::raw_ostream &os);
void writeScalar(double value, llvm::raw_ostream &os);

/// All keys in order, joined by commas.
std::string joinedKeys();

/// "H", "M", "L" or "U".
llvm::StringRef letterOf(Confidence confidence);

/// Files may name each other as their base; so many after each other.
constexpr unsigned mostBases = 16;

/// What a description file that can be read says as its `base`; or nothing.
std::string baseOf(llvm::StringRef text);

/// A target that is being read.
struct Reading {
  std::vector<std::string> *warnings = nullptr; ///< may be null
  unsigned bases = 0;                           ///< files that led here
};
llvm::Expected<Target> parse(llvm::StringRef specification, Reading reading);
llvm::Expected<Target> parseYaml(llvm::StringRef text, llvm::StringRef origin,
                                 Reading reading);

/// Whether the figure called `key` is a fact that nothing depends on.
bool isInformation(llvm::StringRef key);

/// Whether a specification begins with a preset or `grid-WxH`, not with a file.
bool isBuiltIn(llvm::StringRef specification);

/// Adds a line to `warnings` (may be null) about those of the figures `set`
/// that do not act, if there are any. `origin` is where they were set.
void warnOfInformation(llvm::StringRef origin,
                       llvm::ArrayRef<llvm::StringRef> set,
                       std::vector<std::string> *warnings);

/// Of a target whose size was set: programs may take all of the fabric, unless
/// a figure says otherwise.
void openFabric(Target &target, bool width, bool height);

/// Refuses machines that no program could run on.
llvm::Error verify(const Target &target);

} // namespace waferloom::target

#endif // WAFERLOOM_LIB_TARGET_SCALARS_H
