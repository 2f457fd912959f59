// Where the cycles of a step go, for readers: by part of the model (one of its
// equal layers, or outside of them), by kind, by ONNX node, and by stage. Tools
// print it, the report draws it.

#ifndef WAFERLOOM_REPORT_CYCLES_H
#define WAFERLOOM_REPORT_CYCLES_H

#include "waferloom/Executor/Executor.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace waferloom::report {

/// "products", "other arithmetic", "collectives", "waits".
constexpr std::array<llvm::StringLiteral, 4> kinds = {
    "products", "other arithmetic", "collectives", "waits"};

/// Cycles by kind.
using ByKind = std::array<uint64_t, kinds.size()>;

uint64_t total(const ByKind &cycles);

/// A part of a step on one core. Cycles are over all its trips.
struct Part {
  image::LoopOver over = image::LoopOver::nothing; // what its trips are
  uint32_t repeats = 1;                            // trips
  ByKind cycles = {};
  std::vector<std::pair<std::string, ByKind>> nodes; // in program order
};

/// One part per loop over layers or tokens, then what is in none.
std::vector<Part> partsOf(llvm::ArrayRef<executor::Account> accounts);

/// "layer" or "token"; empty for what is in no such loop.
llvm::StringRef tripOf(const Part &part);

/// "outside of layers", or of whatever else the loops among `parts` are over.
std::string outsideOf(llvm::ArrayRef<Part> parts);

/// Stage 0, which also does what is not repeated, and of the others the first
/// that waits least.
std::vector<size_t> stagesToShow(llvm::ArrayRef<executor::StageResult> stages);

/// "stage 2 of 4": the others are numbered from 1 too. Empty for the only one.
std::string titleOf(size_t stage, size_t count);

/// A block of lines for each stage to show.
void printCycles(llvm::raw_ostream &os,
                 llvm::ArrayRef<executor::StageResult> stages);

/// All stages: {x, y, cycles, parts: [{name, repeats, cycles: {kind: n}}]}.
llvm::json::Array toJson(llvm::ArrayRef<executor::StageResult> stages);

/// How many cycles of links two colors share, and the `most` pairs of streams
/// that share most, a line each.
void printSharedLinks(llvm::raw_ostream &os, const executor::StepResult &step,
                      size_t most);

/// "colors 3 and 5, words of 'a' and 'b', 7 links from (4, 2) east".
std::string describe(const executor::SharedLinks &links);

/// {cycles, pairs: [{colors: [a, b], nodes: [a, b], cycles, links, x, y,
/// side}]}; null where they are not known.
llvm::json::Value sharedLinksToJson(const executor::StepResult &step);

/// A line for each rewrite that was measured, or one on how to measure them.
/// `step`: cycles of a step of the first entry, for shares.
std::vector<std::string> rewriteLines(const image::ImageT &image,
                                      std::optional<uint64_t> step = {});

/// [{name, worth, cycles}].
llvm::json::Array rewritesToJson(const image::ImageT &image);

} // namespace waferloom::report

#endif // WAFERLOOM_REPORT_CYCLES_H
