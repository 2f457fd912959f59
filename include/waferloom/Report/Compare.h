//===- Compare.h - Where two programs of a model differ ---------*- C++ -*-===//

#ifndef WAFERLOOM_REPORT_COMPARE_H
#define WAFERLOOM_REPORT_COMPARE_H

#include "waferloom/Report/CriticalPath.h"

namespace waferloom::report {

/// What both paths have of a node's instructions, or of its collectives along
/// one direction; 0 where one has none.
struct Difference {
  std::string title;
  int64_t cycles[2] = {0, 0};
};

/// The critical paths of a step of two programs of one model, part by part:
/// what differs most comes first.
std::vector<Difference> compare(const PathTable &one, const PathTable &other);

/// The first program and another beside each other: `names` of both, then kinds
/// of cycles, then the `most` differences.
void printComparison(llvm::raw_ostream &os, llvm::StringRef oneName,
                     const PathTable &one, llvm::StringRef otherName,
                     const PathTable &other, size_t most);

/// [{what, cycles: [one, other]}].
llvm::json::Array toJson(llvm::ArrayRef<Difference> differences);

} // namespace waferloom::report

#endif // WAFERLOOM_REPORT_COMPARE_H
