// Models become images.

#include "Native.h"

#include "waferloom/Compile/Compile.h"
#include "waferloom/Image/Utf8.h"

#include <chrono>

using namespace waferloom;
using namespace waferloom::python;

namespace {
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
  out["file"] = diagnostic.file;
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
  out["cycles_estimated"] = s.cyclesEstimated;
  py::list considered;
  for (const partition::Considered &entry : s.considered) {
    py::dict region;
    region["width"] = entry.width;
    region["height"] = entry.height;
    region["stages"] = entry.stages;
    region["cycles_estimated"] = py::none();
    region["arithmetic_estimated"] = py::none();
    if (entry.estimate) {
      region["cycles_estimated"] = entry.estimate->cycles;
      region["arithmetic_estimated"] = entry.estimate->arithmetic;
    }
    region["cycles_counted"] = py::none();
    if (entry.counted)
      region["cycles_counted"] = *entry.counted;
    region["outcome"] = entry.outcome;
    region["reason"] = entry.reason;
    considered.append(region);
  }
  out["considered"] = considered;
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

py::list toPython(const std::vector<Rounded> &rounded) {
  py::list list;
  for (const Rounded &weight : rounded) {
    py::dict entry;
    entry["name"] = weight.name;
    entry["format"] = weight.format;
    entry["bytes"] = weight.bytes;
    entry["error_largest"] = weight.largest;
    entry["error_rms"] = weight.rms;
    entry["largest_number"] = weight.largestNumber;
    list.append(entry);
  }
  return list;
}

CompileOptions toOptions(const py::dict &given) {
  constexpr const char *text = "a text", *whole = "a whole number of 64 bits";
  using Number = std::optional<int64_t>;
  CompileOptions options;
  options.target = take<std::string>(given, "target", text);
  options.precision = take<std::string>(given, "precision", text);
  options.prefill = take<std::string>(given, "prefill", text);
  options.sample = take<std::string>(given, "sample", text);
  options.objective = take<std::string>(given, "objective", text);
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
  options.ends = take<std::optional<std::pair<int64_t, int64_t>>>(
      given, "ends", "a pair of whole numbers: (width, height)");
  options.states = take<std::vector<std::pair<std::string, std::string>>>(
      given, "states", "a dict of names");
  options.sets = take<std::vector<std::pair<std::string, double>>>(
      given, "sets", "a dict of names and numbers");
  options.disabledRewrites = take<std::vector<std::string>>(
      given, "disable_rewrites", "a list of names");
  options.mapping = take<std::pair<std::string, std::string>>(
      given, "mapping", "a Mapping, or the path or name of one");
  options.storage = take<std::string>(given, "storage", text);
  options.experts = take<std::string>(given, "experts", text);
  options.block = take<std::string>(given, "block", text);
  options.scales = take<std::string>(given, "scales", text);
  options.keep = take<std::vector<std::pair<std::string, std::string>>>(
      given, "keep", "a dict of patterns and types");
  options.weights = take<bool>(given, "weights", "True or False");
  options.measureRewrites =
      take<bool>(given, "measure_rewrites", "True or False");
  for (const char *name : {"seed", "threads"})
    if (take<int64_t>(given, name, whole) < 0)
      throw Failure(std::string("option '") + name + "' is at least 0, not " +
                    py::cast<std::string>(py::repr(given[name])));
  return options;
}
} // namespace

py::tuple python::compileModel(const std::string &path, const py::dict &given,
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
  std::vector<Rounded> rounded;
  {
    py::gil_scoped_release release;
    result = compile(path, options);
    if (result.succeeded && result.image) {
      const auto start = std::chrono::steady_clock::now();
      llvm::Expected<std::string> written =
          imageBytes(*result.image, options.interrupted, &rounded);
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
      const std::chrono::duration<double> writing =
          std::chrono::steady_clock::now() - start;
      result.summary.compileSeconds += writing.count();
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
  py::dict summary = toPython(result.summary);
  summary["rounded"] = toPython(rounded);
  return py::make_tuple(image, diagnostics, summary, files, result.mapping);
}
