//===- Compile.h - A model in, a wafer image out ----------------*- C++ -*-===//
//
// The one entry point that tools and Python share. It hides MLIR: what goes in
// is a file and options, what comes out is an image that can be written, and
// diagnostics as data.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_COMPILE_COMPILE_H
#define WAFERLOOM_COMPILE_COMPILE_H

#include "waferloom/Partition/Considered.h"
#include "waferloom/Target/Resources.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace waferloom::codegen {
struct Image;
} // namespace waferloom::codegen

namespace waferloom {

/// What `waferloom compile` and `waferloom.compile` accept;
/// docs/cli.md says what each means.
struct CompileOptions {
  std::string target = "wse3";
  std::optional<int64_t> context;
  std::vector<std::pair<std::string, int64_t>> dims;
  std::vector<int64_t> chunks;
  std::string precision = "model";
  /// How the wafer picks the next token: "greedy", "softmax" (drawn by
  /// temperature and seed), "top-N" (of the N most likely), or "none".
  std::string sample = "greedy";
  /// What entries of several tokens give of outputs that the model has for
  /// each: "last", or "all".
  std::string logits = "last";
  std::optional<std::pair<int64_t, int64_t>> region; // width, height in PEs
  /// Entries of several tokens: "block", programs of their own; "stream", the
  /// one for one token, token after token; "auto", blocks where they fit the
  /// region that one token would choose.
  std::string prefill = "auto";
  /// Regions side by side; chosen if absent.
  std::optional<int64_t> stages;
  /// Width and height of the region of what stands around the layers, which
  /// stand beside it; as theirs if absent.
  std::optional<std::pair<int64_t, int64_t>> ends;
  /// Regions that are looked at where none is given. It counts plans, not
  /// seconds: the answer does not depend on the host.
  int64_t searchPlans = 200;
  /// What a region is chosen for: "decode", a step of one token; "prefill",
  /// what a token more of a prompt takes; "balanced", both.
  std::string objective = "balanced";
  std::vector<std::pair<std::string, std::string>> states;
  std::vector<std::pair<std::string, double>> sets;
  /// False: a shape-only image, which has no bytes of weights, counts cycles
  /// and computes no values.
  bool weights = true;
  /// Weights that the file has as integers: "kept" so on the PEs, "expanded" in
  /// the image, or "auto", kept if the model does not fit otherwise. "int8",
  /// "int4", "fp8" or "mxfp4" keeps them, and rounds numbers to such codes.
  std::string storage = "auto";
  /// Which experts of MoE and QMoE compute: the "chosen" ones, "all", or
  /// "auto", whichever takes fewer matrices.
  std::string experts = "auto";
  /// Of codes that numbers are rounded to: how many share a scale, along what
  /// is summed: "32", .., or "channel", all. Empty: 32.
  std::string block;
  /// Where their scales take the largest number: "absmax", to the largest code;
  /// "mse", where the squared error is least.
  std::string scales = "absmax";
  /// Patterns of names of weights, or of nodes that read them, that are not
  /// rounded, and what they are instead: "f16".
  std::vector<std::pair<std::string, std::string>> keep;
  std::string stopAfter; // a phase's name; empty: go to the end
  std::string saveIr;    // a folder for the IR after every phase
  /// Name and text of a mapping (docs/mapping.md), which says much of the
  /// above. Without a text the name is that of a file, or of one that is built
  /// in.
  std::pair<std::string, std::string> mapping;
  std::vector<std::string> disabledRewrites; // names, docs/algebra.md
  bool measureRewrites = false; // compile without each, to tell what it saves
  /// Called at the start of every phase with the share that is done.
  std::function<void(llvm::StringRef phase, double fraction)> progress;
  /// Asked several times a second, also by a search: true ends the compilation
  /// with the error "interrupted".
  std::function<bool()> interrupted;
};

/// One finding, as it is shown to users.
struct Diagnostic {
  std::string severity; // "error" or "warning"
  std::string message;
  std::string node; // the ONNX node, "" if it is about no node
  std::vector<std::string> notes;
  std::string file = {}; // it is about; "": the model
};

/// A weight whose numbers were rounded to codes, and by how much.
struct Rounded {
  std::string name, format; ///< "int4, blocks of 32"
  uint64_t bytes = 0;       ///< of codes and scales
  double largest = 0, rms = 0;
  double largestNumber = 0; ///< of the weight itself
};

/// Numbers about a compilation; `summary` of the Python program.
struct CompileSummary {
  uint64_t parameters = 0;
  int64_t stages = 1, regions = 1, pesUsed = 0;
  target::Fit fit; ///< of the fullest PE
  int64_t colorsUsedMax = 0;
  int64_t layoutsTried = 0;   ///< until one fitted
  double cyclesEstimated = 0; ///< of a step of the first entry, by closed forms
  std::vector<partition::Considered> considered; ///< the best estimate first
  int64_t width = 0, height = 0;
  double compileSeconds = 0;
};

struct CompileResult {
  CompileResult();
  ~CompileResult();
  CompileResult(CompileResult &&);
  CompileResult &operator=(CompileResult &&);

  bool succeeded = false;
  std::vector<Diagnostic> diagnostics;
  /// The model, its external data, a target's description: not to be written
  /// over, since `image` may still point into them.
  std::vector<std::string> filesRead;
  /// The textual IR of `stopAfter`, when it was given.
  std::string ir;
  std::unique_ptr<codegen::Image> image;
  /// What was chosen, as `CompileOptions::mapping` takes it; empty where the
  /// text of a level had chosen layouts before.
  std::string mapping;
  CompileSummary summary;
};

/// The names of the phases, in order: what `stopAfter` accepts.
llvm::ArrayRef<llvm::StringRef> phaseNames();

/// Compiles the ONNX file at `path`, or goes on from the text of a level, a
/// file that ends in .mlir: its own options hold, and those in `options` that
/// are not the defaults must be the same (docs/levels.md). Never throws and
/// never exits: what went wrong is in the result's diagnostics.
CompileResult compile(llvm::StringRef path, const CompileOptions &options);

/// A tensor that a model file declares. A dimension is a number, a name, or
/// "?".
struct ModelTensor {
  std::string name, type; ///< "input_ids", "int64"
  std::vector<std::string> shape;
};

/// What a model file says, before anything is bound or compiled.
struct ModelFacts {
  std::vector<ModelTensor> inputs, outputs;
  std::vector<target::Held> weights;
  std::vector<std::pair<std::string, int64_t>> operators; ///< name, nodes
  std::vector<std::string> unsupported; ///< nodes that no lowering takes
  uint64_t parameters = 0;
};

/// Reads the facts of an ONNX file. Errors: what `compile` says of such a file.
llvm::Expected<ModelFacts> describeModel(llvm::StringRef path);

/// Writes a compiled image: whole or not at all, and over no file that weights
/// come from or that was `read`. `rounded`, if there is one, is told what was
/// rounded on the way.
llvm::Error writeImage(const codegen::Image &image, llvm::StringRef path,
                       llvm::ArrayRef<std::string> read = {},
                       std::vector<Rounded> *rounded = nullptr);

/// What `writeImage` would write. Ends with the error "interrupted" when
/// `interrupted`, which is asked several times a second (may be null), says so.
llvm::Expected<std::string>
imageBytes(const codegen::Image &image,
           const std::function<bool()> &interrupted = {},
           std::vector<Rounded> *rounded = nullptr);

/// "model.onnx: error: node 'x' (Softmax): ..." and its notes.
std::string format(const Diagnostic &diagnostic, llvm::StringRef file);

} // namespace waferloom

#endif // WAFERLOOM_COMPILE_COMPILE_H
