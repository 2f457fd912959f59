// What the native half of the `waferloom` package is made of: types in, types
// out, no policy. Defaults, checks and documentation for people live in
// python/waferloom/.

#ifndef WAFERLOOM_PYTHON_NATIVE_H
#define WAFERLOOM_PYTHON_NATIVE_H

#include "waferloom/Executor/Executor.h"
#include "waferloom/Executor/Tokens.h"
#include "waferloom/Image/Image.h"

#include "llvm/Support/Error.h"

#include <optional>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace waferloom::python {

namespace py = pybind11;

/// Carries diagnostics to Python; waferloom.CompileError is made from them.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[noreturn]] void fail(llvm::Error error);

/// Compiles the model or level in the file `path`; `progress` is None or is
/// called with a phase and how much of it is done. Gives (image bytes or None,
/// diagnostics, summary, files that were read).
py::tuple compileModel(const std::string &path, const py::dict &given,
                       const py::object &progress);

py::dict describe(const image::ImageT &image);

/// `name`: "lockstep" or "reference".
executor::EngineKind engineOf(const std::string &name);

/// One step of a session. `pick`: only the token that the wafer picked comes
/// back, as `token`; it and the session's length are all that a next step with
/// no inputs needs.
py::dict runStep(executor::Session &session, const py::dict &inputs,
                 unsigned threads, uint64_t workLimit, bool lastOnly,
                 bool traced, bool pick);

/// Rows of `length` tokens for every state, by name.
void loadStates(executor::Session &session, const py::dict &states,
                uint64_t length);

/// The cycles of a step of each entry.
/// As JSON.
std::string sharedLinks(const std::shared_ptr<image::Loaded> &image,
                        size_t entry, const std::string &engine,
                        uint64_t workLimit, std::optional<uint64_t> position);
std::vector<uint64_t> countCycles(const std::shared_ptr<image::Loaded> &image,
                                  uint64_t workLimit,
                                  std::optional<uint64_t> position);

/// The critical path of a step as tools print it: with --json, and without.
py::tuple criticalPath(const std::shared_ptr<image::Loaded> &image,
                       size_t entry, const std::string &engine,
                       uint64_t workLimit, std::optional<uint64_t> position);

} // namespace waferloom::python

#endif // WAFERLOOM_PYTHON_NATIVE_H
