#include "waferloom/Format/Format.h"

using namespace waferloom;

std::optional<Format> waferloom::formatNamed(llvm::StringRef name) {
  for (const FormatFacts &facts : formatFacts)
    if (name == facts.text)
      return static_cast<Format>(&facts - formatFacts);
  return std::nullopt;
}
