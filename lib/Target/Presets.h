// The texts of the presets, in the format of description files.

#ifndef WAFERLOOM_LIB_TARGET_PRESETS_H
#define WAFERLOOM_LIB_TARGET_PRESETS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace waferloom::target {

struct Preset {
  llvm::StringRef name;
  llvm::StringRef summary;
  llvm::StringRef yaml;
};

/// The named presets. `grid-WxH` is `wse2` with another fabric.
llvm::ArrayRef<Preset> presets();

} // namespace waferloom::target

#endif // WAFERLOOM_LIB_TARGET_PRESETS_H
