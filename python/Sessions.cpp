// Images run, and their cycles are counted.

#include "Native.h"

#include "waferloom/Executor/Beams.h"
#include "waferloom/Executor/Trace.h"
#include "waferloom/Report/CriticalPath.h"
#include "waferloom/Report/Cycles.h"

#include <chrono>
#include <functional>

using namespace waferloom;
using namespace waferloom::python;

namespace {
py::list toPython(const std::vector<executor::Account> &accounts) {
  py::list out;
  for (const executor::Account &account : accounts)
    out.append(py::make_tuple(account.node, image::EnumNameOpcode(account.op),
                              account.busy, account.wait, account.product,
                              account.loop, account.repeats,
                              executor::tripOf(account.over).str()));
  return out;
}

std::string inputNameOf(const py::handle &key) {
  try {
    return py::cast<std::string>(key);
  } catch (py::cast_error &) {
    PyErr_Clear();
    throw py::type_error("names of inputs are strings of Unicode");
  }
}

executor::HostType hostTypeOf(const py::array &array) {
  py::dtype type = array.dtype();
  // Python has brought other orders of bytes into this host's.
  if (!type.attr("isnative").cast<bool>())
    throw Failure("arrays of another order of bytes are not taken");
  if (type.kind() == 'f' && type.itemsize() == 4)
    return executor::HostType::f32;
  if (type.kind() == 'f' && type.itemsize() == 2)
    return executor::HostType::f16;
  if (type.kind() == 'i' && type.itemsize() == 8)
    return executor::HostType::i64;
  if (type.kind() == 'i' && type.itemsize() == 4)
    return executor::HostType::i32;
  if (type.kind() == 'b')
    return executor::HostType::boolean;
  throw Failure("arrays of " + py::cast<std::string>(py::str(type)) +
                " are not taken; use float32, float16, int32, int64 or bool");
}

/// Arrays by name, while they are in use.
struct Arrays {
  explicit Arrays(const py::dict &inputs);
  std::vector<executor::HostTensor> tensors;

private:
  std::vector<py::array> keep;
};

Arrays::Arrays(const py::dict &inputs) {
  for (auto [key, value] : inputs) {
    const std::string name = inputNameOf(key);
    py::array array = py::array::ensure(value, py::array::c_style);
    if (!array) {
      PyErr_Clear();
      throw Failure("input '" + name + "' is no array of numbers");
    }
    executor::HostTensor tensor;
    tensor.name = name;
    tensor.data = array.data();
    tensor.type = hostTypeOf(array);
    tensor.shape.assign(array.shape(), array.shape() + array.ndim());
    tensors.push_back(tensor);
    keep.push_back(array);
  }
}

/// One column of the events, as an array.
template <typename T, typename Get>
py::array columnOf(const executor::Trace &trace, Get get) {
  py::array_t<T> column(static_cast<py::ssize_t>(trace.events.size()));
  T *to = column.mutable_data();
  for (const executor::TraceEvent &event : trace.events)
    *to++ = static_cast<T>(get(event));
  return std::move(column);
}

py::dict toPython(const executor::Trace &trace, const image::ImageT &image) {
  using Event = executor::TraceEvent;
  py::dict out;
  out["x"] = columnOf<int32_t>(trace, [](const Event &e) { return e.x; });
  out["y"] = columnOf<int32_t>(trace, [](const Event &e) { return e.y; });
  out["thread"] =
      columnOf<int32_t>(trace, [](const Event &e) { return e.thread; });
  out["op"] = columnOf<int32_t>(
      trace, [](const Event &e) { return static_cast<int>(e.op); });
  out["node"] = columnOf<int32_t>(trace, [](const Event &e) { return e.node; });
  out["begin"] =
      columnOf<int64_t>(trace, [](const Event &e) { return e.begin; });
  out["end"] = columnOf<int64_t>(trace, [](const Event &e) { return e.end; });
  out["busy"] = columnOf<int64_t>(trace, [](const Event &e) { return e.busy; });
  py::list ops;
  for (const char *const *name = image::EnumNamesOpcode(); *name; ++name)
    ops.append(*name);
  out["ops"] = ops;
  out["nodes"] = image.names;
  out["left_out"] = trace.leftOut;
  return out;
}

/// Ctrl-C, which Python only notes while native code runs. Work of less than
/// half a second ends first, so that a session stays usable.
std::function<bool()> interruption() {
  return [start = std::chrono::steady_clock::now()] {
    if (std::chrono::steady_clock::now() - start <
        std::chrono::milliseconds(500))
      return false;
    py::gil_scoped_acquire acquire;
    return PyErr_CheckSignals() != 0;
  };
}

/// Throws what the signal's handler raised, or else the error.
[[noreturn]] void failOrInterrupt(llvm::Error error) {
  if (!PyErr_Occurred())
    fail(std::move(error));
  llvm::consumeError(std::move(error));
  throw py::error_already_set();
}
} // namespace

py::dict python::runStep(executor::Session &session, const py::dict &inputs,
                         unsigned threads, uint64_t workLimit, bool lastOnly,
                         bool traced, bool pick) {
  const Arrays given(inputs);
  const std::vector<executor::HostTensor> &tensors = given.tensors;
  executor::RunOptions options;
  options.threads = threads;
  options.workLimit = workLimit;
  options.interrupted = interruption();
  executor::Trace trace;
  if (traced)
    options.trace = &trace;
  options.feedBack = pick;
  if (pick)
    options.outputs.push_back(image::nextToken.str());
  auto result = [&] {
    py::gil_scoped_release release;
    return executor::runTokens(session, tensors, options, lastOnly);
  }();
  if (!result)
    failOrInterrupt(result.takeError());
  py::dict outputs;
  py::dict out;
  for (const executor::OutputTensor &tensor : result->outputs) {
    if (tensor.name == image::nextToken) {
      int32_t token;
      std::memcpy(&token, tensor.bytes.data(), sizeof token);
      out["token"] = token;
      continue;
    }
    py::array array(py::dtype(executor::nameOf(tensor.type).str()),
                    tensor.shape);
    std::memcpy(array.mutable_data(), tensor.bytes.data(), tensor.bytes.size());
    outputs[py::str(tensor.name)] = array;
  }
  py::list stages;
  for (const executor::StageResult &stage : result->stages)
    stages.append(py::make_tuple(stage.x, stage.y, stage.cycles,
                                 toPython(stage.accounts)));
  out["outputs"] = outputs;
  out["cycles"] = result->cycles;
  out["instructions"] = result->instructions;
  out["words"] = result->words;
  out["bytes_moved"] = executor::bytesMoved(session.image(), tensors);
  out["shared_link_cycles"] = result->sharedLinkCycles;
  out["accounts"] = toPython(result->accounts);
  out["stages"] = stages;
  if (traced)
    out["trace"] = toPython(trace, session.image());
  return out;
}

void python::loadStates(executor::Session &session, const py::dict &states,
                        uint64_t length) {
  const Arrays given(states);
  if (llvm::Error error = session.load(given.tensors, length))
    fail(std::move(error));
}

executor::EngineKind python::engineOf(const std::string &name) {
  if (auto kind = executor::engineNamed(name))
    return *kind;
  throw Failure("engine is 'lockstep' or 'reference', not '" + name + "'");
}

/// Counts a step of an entry; `path`: becomes its critical path, if given.
static executor::StepResult count(const std::shared_ptr<image::Loaded> &image,
                                  size_t entry, const std::string &engine,
                                  uint64_t workLimit,
                                  std::optional<uint64_t> position,
                                  executor::CriticalPath *path = nullptr) {
  executor::RunOptions options;
  options.workLimit = workLimit;
  options.position = position;
  options.interrupted = interruption();
  options.critical = path;
  auto result = [&, kind = engineOf(engine)] {
    py::gil_scoped_release release;
    return executor::countStep(image, entry, options, kind);
  }();
  if (!result)
    failOrInterrupt(result.takeError());
  return std::move(*result);
}

py::tuple python::criticalPath(const std::shared_ptr<image::Loaded> &image,
                               size_t entry, const std::string &engine,
                               uint64_t workLimit,
                               std::optional<uint64_t> position) {
  executor::CriticalPath path;
  count(image, entry, engine, workLimit, position, &path);
  std::string told, text;
  llvm::raw_string_ostream(told)
      << llvm::json::Value(report::toJson(path, image->image, true));
  llvm::raw_string_ostream os(text);
  report::printPath(os, path, image->image, 0);
  return py::make_tuple(told, text);
}

std::string python::sharedLinks(const std::shared_ptr<image::Loaded> &image,
                                size_t entry, const std::string &engine,
                                uint64_t workLimit,
                                std::optional<uint64_t> position) {
  std::string told;
  llvm::raw_string_ostream(told) << report::sharedLinksToJson(
      count(image, entry, engine, workLimit, position));
  return told;
}

std::vector<uint64_t>
python::countCycles(const std::shared_ptr<image::Loaded> &image,
                    uint64_t workLimit, std::optional<uint64_t> position) {
  std::vector<uint64_t> cycles;
  for (size_t e = 0; e < image->image.entries.size(); ++e)
    cycles.push_back(count(image, e, "lockstep", workLimit, position).cycles);
  return cycles;
}
