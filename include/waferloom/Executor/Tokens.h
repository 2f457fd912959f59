//===- Tokens.h - Any number of tokens through fixed entries ----*- C++ -*-===//

#ifndef WAFERLOOM_EXECUTOR_TOKENS_H
#define WAFERLOOM_EXECUTOR_TOKENS_H

#include "waferloom/Executor/Executor.h"

namespace waferloom::executor {

/// What a caller's step of n tokens gave: outputs joined along the tokens,
/// cycles and accounts summed over the entries that it took.
struct TokensResult {
  std::vector<OutputTensor> outputs;
  uint64_t cycles = 0, instructions = 0, words = 0;
  std::optional<uint64_t> sharedLinkCycles = 0; // as StepResult has them
  std::vector<Account> accounts;
  std::vector<StageResult> stages;
  std::vector<size_t> entries; // the entries that ran, in order
};

/// Whether some step could take such an array, of which no element is there
/// yet: refuses unknown names, and shapes that no step takes.
llvm::Error checkShape(const image::ImageT &image, llvm::StringRef name,
                       llvm::ArrayRef<int64_t> shape);

/// Runs a step of any number of tokens. Dimension 1 of inputs and outputs
/// counts tokens where the entries say so; it is cut into the longest entries
/// that fit, the last tokens before the capacity into shorter ones. Entries
/// that give only their last token's outputs are taken where no more is wanted:
/// with `lastOnly` only the last entry's outputs are returned, cut to the last
/// token. The token that the wafer picked (`image::nextToken`) is among the
/// outputs if the last entry picks one. Everything is checked before the first
/// entry runs: an error about the inputs or the capacity changes nothing.
llvm::Expected<TokensResult> runTokens(Session &session,
                                       llvm::ArrayRef<HostTensor> inputs,
                                       const RunOptions &options = {},
                                       bool lastOnly = false);

} // namespace waferloom::executor

#endif // WAFERLOOM_EXECUTOR_TOKENS_H
