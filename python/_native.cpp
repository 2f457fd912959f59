// The native half of the `waferloom` package: types in, types out, no policy.
// Defaults, checks and documentation for people live in python/waferloom/.

#include "waferloom/Codegen/Codegen.h"
#include "waferloom/Compile/Compile.h"
#include "waferloom/Executor/Executor.h"
#include "waferloom/Executor/Tokens.h"
#include "waferloom/Executor/Trace.h"
#include "waferloom/Image/Image.h"
#include "waferloom/Image/Utf8.h"
#include "waferloom/Report/CriticalPath.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <chrono>
#include <functional>

namespace py = pybind11;
using namespace waferloom;

namespace {
/// Carries diagnostics to Python; waferloom.CompileError is made from them.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[noreturn]] void fail(llvm::Error error) {
  throw Failure(image::escapeToUtf8(llvm::toString(std::move(error))));
}

/// An option as Python gave it; what has another type is refused by name.
template <typename T>
T take(const py::dict &given, const char *name, const char *what) {
  try {
    return py::cast<T>(given[name]);
  } catch (const py::cast_error &) {
    throw Failure(std::string("option '") + name + "' is " + what + ", not " +
                  py::cast<std::string>(py::repr(given[name])));
  }
}

py::dict toPython(const Diagnostic &diagnostic) {
  py::dict out;
  out["severity"] = diagnostic.severity;
  out["message"] = diagnostic.message;
  out["node"] = diagnostic.node;
  out["notes"] = diagnostic.notes;
  return out;
}

py::dict toPython(const CompileSummary &s) {
  py::dict out;
  out["parameters"] = s.parameters;
  out["stages"] = s.stages;
  out["regions"] = s.regions;
  out["width"] = s.width;
  out["height"] = s.height;
  out["pes_used"] = s.pesUsed;
  out["sram_used_max"] = s.fit.total();
  out["sram_limit"] = s.fit.limit;
  out["colors_used_max"] = s.colorsUsedMax;
  out["layouts_tried"] = s.layoutsTried;
  out["compile_seconds"] = s.compileSeconds;
  py::dict fit;
  fit["weights"] = s.fit.weights;
  fit["states"] = s.fit.states;
  fit["tables"] = s.fit.tables;
  fit["buffers"] = s.fit.buffers;
  fit["code"] = s.fit.code;
  fit["reserved"] = s.fit.reserved;
  out["fit"] = fit;
  return out;
}

CompileOptions toOptions(const py::dict &given) {
  constexpr const char *text = "a text", *whole = "a whole number of 64 bits";
  using Number = std::optional<int64_t>;
  CompileOptions options;
  options.target = take<std::string>(given, "target", text);
  options.precision = take<std::string>(given, "precision", text);
  options.prefill = take<std::string>(given, "prefill", text);
  options.sample = take<std::string>(given, "sample", text);
  options.logits = take<std::string>(given, "logits", text);
  options.context = take<Number>(given, "context", whole);
  options.stages = take<Number>(given, "stages", whole);
  options.searchPlans = take<int64_t>(given, "search_plans", whole);
  options.dims = take<std::vector<std::pair<std::string, int64_t>>>(
      given, "dims", "a dict of names and whole numbers");
  options.chunks =
      take<std::vector<int64_t>>(given, "chunks", "a list of whole numbers");
  options.region = take<std::optional<std::pair<int64_t, int64_t>>>(
      given, "region", "a pair of whole numbers: (width, height)");
  options.states = take<std::vector<std::pair<std::string, std::string>>>(
      given, "states", "a dict of names");
  options.sets = take<std::vector<std::pair<std::string, double>>>(
      given, "sets", "a dict of names and numbers");
  options.disabledRewrites = take<std::vector<std::string>>(
      given, "disable_rewrites", "a list of names");
  options.weights = take<bool>(given, "weights", "True or False");
  options.measureRewrites =
      take<bool>(given, "measure_rewrites", "True or False");
  for (const char *name : {"seed", "threads"})
    if (take<int64_t>(given, name, whole) < 0)
      throw Failure(std::string("option '") + name + "' is at least 0, not " +
                    py::cast<std::string>(py::repr(given[name])));
  return options;
}

using LoadedImage = std::shared_ptr<const image::Loaded>;

/// Returns (image bytes or None, diagnostics, summary, files that were read).
py::tuple compileModel(const std::string &path, const py::dict &given,
                       const py::object &progress) {
  CompileOptions options = toOptions(given);
  if (!progress.is_none())
    options.progress = [&](llvm::StringRef phase, double fraction) {
      py::gil_scoped_acquire acquire;
      try {
        progress(phase.str(), fraction);
      } catch (py::error_already_set &error) {
        // A progress bar must not end a compilation.
        error.discard_as_unraisable("waferloom.compile progress");
      }
    };
  // Ctrl-C is for whoever handles it in Python: KeyboardInterrupt, mostly.
  std::optional<py::error_already_set> raised;
  options.interrupted = [&] {
    if (!raised) {
      py::gil_scoped_acquire acquire;
      if (PyErr_CheckSignals() != 0)
        raised.emplace();
    }
    return raised.has_value();
  };
  CompileResult result;
  std::string bytes;
  {
    py::gil_scoped_release release;
    result = compile(path, options);
    if (result.succeeded && result.image) {
      llvm::Expected<std::string> written =
          imageBytes(*result.image, options.interrupted);
      if (written) {
        bytes = std::move(*written);
      } else {
        result.succeeded = false;
        result.diagnostics.push_back(
            {"error",
             image::escapeToUtf8(llvm::toString(written.takeError())),
             "",
             {}});
      }
    }
  }
  if (raised)
    throw *raised;
  py::list diagnostics;
  for (const Diagnostic &diagnostic : result.diagnostics)
    diagnostics.append(toPython(diagnostic));
  py::object image = py::none();
  if (result.succeeded)
    image = py::bytes(bytes);
  py::list files;
  for (const std::string &file : result.filesRead)
    files.append(py::bytes(file));
  return py::make_tuple(image, diagnostics, toPython(result.summary), files);
}

std::string dtypeOf(const image::TensorInfoT &info) {
  if (info.source_bool)
    return "bool";
  if (info.source_int64)
    return "int64";
  switch (info.type) {
  case image::Type::f32:
    return "float32";
  case image::Type::f16:
    return "float16";
  case image::Type::i32:
    break;
  }
  return "int32";
}

/// Of how many of the most likely tokens the entry can draw; 0: of all; None:
/// it does not draw.
py::object drawsOf(const image::EntryT &entry) {
  py::object draws = py::none();
  for (const auto &input : entry.inputs) {
    if (input->name == "wafer.top_k")
      return py::int_(input->limit - 1);
    if (input->name == "wafer.temperature")
      draws = py::int_(0);
  }
  return draws;
}

py::dict describe(const LoadedImage &loaded) {
  const image::ImageT &image = loaded->image;
  py::dict out;
  py::list entries;
  for (const auto &entry : image.entries) {
    py::list tensors;
    bool picks = false;
    for (const auto &info : entry->tensors) {
      picks |= info->name == image::nextToken;
      if (image::isOurs(info->name))
        continue;
      tensors.append(py::make_tuple(info->name, py::cast(info->shape),
                                    dtypeOf(*info),
                                    static_cast<int>(info->role)));
    }
    py::dict e;
    e["picks_token"] = picks;
    e["draws"] = drawsOf(*entry);
    e["name"] = entry->name;
    e["tokens"] = entry->tokens;
    e["tensors"] = tensors;
    entries.append(e);
  }
  out["entries"] = entries;
  out["capacity"] = image.capacity;
  out["parameters"] = image.parameters;
  out["shape_only"] = image.shape_only;
  out["target"] = image.target->name;
  out["clock_ghz"] = image.target->clock_ghz;
  out["fabric"] = py::make_tuple(image.target->width, image.target->height);
  py::list regions;
  for (const auto &region : image.regions)
    regions.append(py::make_tuple(
        region->x, region->y, region->width, region->height, region->memory,
        py::make_tuple(region->stages_x, region->stages_y)));
  out["regions"] = regions;
  py::list rewrites;
  for (const auto &rewrite : image.rewrites)
    rewrites.append(py::make_tuple(
        rewrite->name, image::EnumNameWorth(rewrite->worth), rewrite->cycles));
  out["rewrites"] = rewrites;
  return out;
}

py::list toPython(const std::vector<executor::Account> &accounts) {
  py::list out;
  for (const executor::Account &account : accounts)
    out.append(py::make_tuple(account.node, image::EnumNameOpcode(account.op),
                              account.busy, account.wait, account.product,
                              account.loop, account.repeats,
                              executor::tripOf(account.over).str()));
  return out;
}

std::string nameOf(const py::handle &key) {
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

/// `pick`: only the token that the wafer picked comes back, as `token`; it and
/// the session's length are all that a next step with no inputs needs.
py::dict runStep(executor::Session &session, const py::dict &inputs,
                 unsigned threads, uint64_t workLimit, bool lastOnly,
                 bool traced, bool pick) {
  std::vector<py::array> keep;
  std::vector<executor::HostTensor> tensors;
  for (auto [key, value] : inputs) {
    const std::string name = nameOf(key);
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
  out["accounts"] = toPython(result->accounts);
  out["stages"] = stages;
  if (traced)
    out["trace"] = toPython(trace, session.image());
  return out;
}

executor::EngineKind engineOf(const std::string &name) {
  if (auto kind = executor::engineNamed(name))
    return *kind;
  throw Failure("engine is 'lockstep' or 'reference', not '" + name + "'");
}

/// As tools print it: with --json, and without.
py::tuple criticalPath(const std::shared_ptr<image::Loaded> &image,
                       size_t entry, const std::string &engine,
                       uint64_t workLimit) {
  executor::CriticalPath path;
  executor::RunOptions options;
  options.workLimit = workLimit;
  options.interrupted = interruption();
  options.critical = &path;
  auto result = [&, kind = engineOf(engine)] {
    py::gil_scoped_release release;
    return executor::countStep(image, entry, options, kind);
  }();
  if (!result)
    failOrInterrupt(result.takeError());
  std::string told, text;
  llvm::raw_string_ostream(told)
      << llvm::json::Value(report::toJson(path, image->image, true));
  llvm::raw_string_ostream os(text);
  report::printPath(os, path, image->image, 0);
  return py::make_tuple(told, text);
}
} // namespace

PYBIND11_MODULE(_native, m) {
  py::register_exception<Failure>(m, "Failure", PyExc_RuntimeError);

  py::class_<image::Loaded, std::shared_ptr<image::Loaded>>(m, "Image")
      .def("describe",
           [](const std::shared_ptr<image::Loaded> &image) {
             return describe(image);
           })
      .def("save", [](const std::shared_ptr<image::Loaded> &image,
                      const std::string &path) {
        py::gil_scoped_release release;
        if (llvm::Error error = image::save(path, *image)) {
          py::gil_scoped_acquire acquire;
          fail(std::move(error));
        }
      });

  py::class_<executor::Session>(m, "Session")
      .def("run", &runStep)
      .def("reset",
           [](executor::Session &session) {
             if (llvm::Error error = session.reset())
               fail(std::move(error));
           })
      .def_property_readonly("length", &executor::Session::length);

  m.def("compile", &compileModel);
  m.def("load", [](const py::bytes &bytes, const std::string &name) {
    auto loaded = image::readBytes(static_cast<std::string_view>(bytes), name);
    if (!loaded)
      fail(loaded.takeError());
    return std::const_pointer_cast<image::Loaded>(*loaded);
  });
  m.def("load_file", [](const std::string &path) {
    auto loaded = image::read(path);
    if (!loaded)
      fail(loaded.takeError());
    return std::const_pointer_cast<image::Loaded>(*loaded);
  });
  m.attr("usual_work_limit") = executor::usualWorkLimit;
  m.def("count",
        [](const std::shared_ptr<image::Loaded> &image, uint64_t workLimit) {
          executor::RunOptions options;
          options.workLimit = workLimit;
          options.interrupted = interruption();
          std::vector<uint64_t> cycles;
          for (size_t e = 0; e < image->image.entries.size(); ++e) {
            auto result = [&] {
              py::gil_scoped_release release;
              return executor::countStep(image, e, options);
            }();
            if (!result)
              failOrInterrupt(result.takeError());
            cycles.push_back(result->cycles);
          }
          return cycles;
        });
  m.def("critical_path", &criticalPath);
  m.def("session", [](const std::shared_ptr<image::Loaded> &image,
                      const std::string &engine) {
    auto session = executor::Session::create(image, engineOf(engine));
    if (!session)
      fail(session.takeError());
    return std::move(*session);
  });
}
