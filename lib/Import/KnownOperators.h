//===- KnownOperators.h - What the ONNX library knows -----------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_IMPORT_KNOWNOPERATORS_H
#define WAFERLOOM_LIB_IMPORT_KNOWNOPERATORS_H

#include <cstdint>
#include <string>
#include <vector>

namespace waferloom::import {

/// Operators of the ONNX standard in all their versions, and whether the
/// library has a body of each.
struct KnownOperator {
  std::string name;
  int64_t version;
  bool hasBody;
};
std::vector<KnownOperator> knownOperators();

} // namespace waferloom::import

#endif // WAFERLOOM_LIB_IMPORT_KNOWNOPERATORS_H
