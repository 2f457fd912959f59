// A target for readers: as JSON, and as what it changes of a preset.

#ifndef WAFERLOOM_TARGET_DESCRIBE_H
#define WAFERLOOM_TARGET_DESCRIBE_H

#include "waferloom/Target/Target.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/JSON.h"

namespace waferloom::target {

/// The names of the presets; `grid-WxH` is not among them.
llvm::ArrayRef<llvm::StringRef> presetNames();

/// The preset that a specification begins with: `wse3` of `wse3,hop=2` and of a
/// file that says `base: wse3`; none of a file that says all figures itself.
/// The specification must be one that `parse` takes.
std::optional<std::string> presetOf(llvm::StringRef specification);

/// Name, figures and defects; a figure whose value is another one than in
/// `preset` (may be null) has that as "preset".
llvm::json::Object toJson(const Target &target, const Target *preset);

/// Name and summary of every preset.
llvm::json::Array presetsToJson();

/// One line for each figure that is another one than in `preset`, and for each
/// defect.
void printChanges(const Target &target, const Target &preset,
                  llvm::raw_ostream &os);

} // namespace waferloom::target

#endif // WAFERLOOM_TARGET_DESCRIBE_H
