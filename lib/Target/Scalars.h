// Numbers as people write them, and the rules that every target obeys.

#ifndef WAFERLOOM_LIB_TARGET_SCALARS_H
#define WAFERLOOM_LIB_TARGET_SCALARS_H

#include "waferloom/Target/Target.h"

namespace waferloom::target {

/// Reads `48KiB`, `2MiB`, `7`; returns what is wrong, empty when nothing is.
llvm::StringRef readScalar(llvm::StringRef text, uint32_t &value);
/// Reads `0.85`.
llvm::StringRef readScalar(llvm::StringRef text, double &value);
void writeScalar(uint32_t value, llvm::raw_ostream &os);
void writeScalar(double value, llvm::raw_ostream &os);

/// All keys in order, joined by commas.
std::string joinedKeys();

/// Refuses machines that no program could run on.
llvm::Error verify(const Target &target);

} // namespace waferloom::target

#endif // WAFERLOOM_LIB_TARGET_SCALARS_H
