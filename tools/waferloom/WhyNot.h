// Why a region was not chosen.

#ifndef WAFERLOOM_TOOLS_WHYNOT_H
#define WAFERLOOM_TOOLS_WHYNOT_H

#include "waferloom/Compile/Compile.h"

#include "llvm/Support/JSON.h"

namespace waferloom::tool {

/// A region that somebody asks about; without `stages` any number of them.
struct OtherRegion {
  std::pair<int64_t, int64_t> size;
  std::optional<int64_t> stages;
};

/// "WxH" or "WxHxN".
std::optional<OtherRegion> parseRegion(llvm::StringRef text);

/// Compiles `model` for `region` and compares a step with that of `chosen`,
/// whose image is gone then. Prints, or adds "why_not" to `json`.
llvm::Error whyNot(const std::string &model, const CompileOptions &options,
                   OtherRegion region, CompileResult &chosen,
                   llvm::json::Object *json);

} // namespace waferloom::tool

#endif // WAFERLOOM_TOOLS_WHYNOT_H
