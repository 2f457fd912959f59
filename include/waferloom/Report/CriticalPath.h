// The critical path of a step, for readers: by kind, part of the model, ONNX
// node and collective (docs/critical-path.md).

#ifndef WAFERLOOM_REPORT_CRITICALPATH_H
#define WAFERLOOM_REPORT_CRITICALPATH_H

#include "waferloom/Executor/CriticalPath.h"
#include "waferloom/Executor/Executor.h"
#include "waferloom/Image/Image.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"
#include <string>
#include <vector>

namespace waferloom::report {

/// A part of the model on the path: its layers, or tokens, or what is in no
/// loop over these.
struct PathPart {
  image::LoopOver over = image::LoopOver::nothing;
  uint32_t repeats = 1;                  // those that the path goes through
  uint64_t instructions = 0;             // that begin on the path, in all
  executor::PathCycles cycles = {};      // over all of them
  std::vector<executor::PathTrip> trips; // each of them
};

/// What stands on the path: the vector instructions of an ONNX node, or a
/// collective. Their cycles add up to the path's.
struct PathItem {
  std::string node;
  size_t part = 0;      // index into PathTable::parts
  uint32_t repeats = 1; // trips of its loop that the path goes through
  uint64_t times = 0;   // instructions; of a collective, how often
  bool isCollective = false;
  std::string what;   // of a collective: what of it is on the path: "reduce",
                      // "all-reduce", or "message" where nothing is folded
  uint32_t words = 0; // of a collective
  std::string along;  // of a collective: "x", "y", "x and y"
  executor::PathCycles cycles = {};
};

struct PathTable {
  std::vector<PathPart> parts; // layers, tokens, and what is in none
  std::vector<PathItem> items; // those with the most cycles first
  executor::PathCycles cycles = {};
};

PathTable tabulate(const executor::CriticalPath &path,
                   const image::ImageT &image);

/// `executor::countStep` with the path. What is too long for a path to be
/// written down (only the reference engine writes one) is counted without: the
/// path's total is then not the step's.
llvm::Expected<executor::StepResult>
countWithPath(std::shared_ptr<const image::Loaded> image, size_t entry,
              const executor::RunOptions &options, executor::EngineKind engine,
              executor::CriticalPath &path);

/// "layer0/attn/q", or "layer0/attn/q: all-reduce of 13 words along y".
std::string titleOf(const PathItem &item);

/// "hops 640, words 12": the kinds that are not 0, those with the most first.
std::string describe(const executor::PathCycles &cycles);

/// A table by kind and part, then the `most` items with the most cycles; 0: all
/// of them, with their kinds, and every layer and token.
void printPath(llvm::raw_ostream &os, const executor::CriticalPath &path,
               const image::ImageT &image, size_t most);

/// {cycles, launch, kinds: {kind: n}, parts: [{name, repeats, instructions,
/// cycles: {kind: n}}], items: [{node, part, repeats, times, collective, what,
/// words, along, total, cycles: {kind: n}}]}. `withSteps`: of parts also trips:
/// [{stage, trip, cycles: {kind: n}}], and path: [{begin, cycles, kind, x, y,
/// region, instruction, op, node, stage, trip}].
llvm::json::Object toJson(const executor::CriticalPath &path,
                          const image::ImageT &image, bool withSteps);

} // namespace waferloom::report

#endif // WAFERLOOM_REPORT_CRITICALPATH_H
