// What somebody meant who typed a name that there is not.

#ifndef WAFERLOOM_SPELLING_NEAREST_H
#define WAFERLOOM_SPELLING_NEAREST_H

#include "llvm/ADT/StringRef.h"

#include <algorithm>
#include <string>

namespace waferloom::spelling {

/// The one of `names` that differs in the fewest letters, the first of several;
/// empty where all differ in more than a third of them.
template <typename Names>
llvm::StringRef nearest(llvm::StringRef typed, const Names &names) {
  llvm::StringRef best;
  unsigned least = 0;
  for (llvm::StringRef name : names) {
    const unsigned most = (std::max(typed.size(), name.size()) + 2) / 3;
    const unsigned distance = typed.edit_distance(name, true, most);
    if (distance <= most && distance < name.size() && distance < typed.size() &&
        (best.empty() || distance < least)) {
      best = name;
      least = distance;
    }
  }
  return best;
}

/// "did you mean 'x'? " or nothing.
template <typename Names>
std::string didYouMean(llvm::StringRef typed, const Names &names) {
  llvm::StringRef name = nearest(typed, names);
  return name.empty() ? "" : "did you mean '" + name.str() + "'? ";
}

} // namespace waferloom::spelling

#endif // WAFERLOOM_SPELLING_NEAREST_H
