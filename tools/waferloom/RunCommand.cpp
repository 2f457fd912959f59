// waferloom run IMAGE --input IN.npz [--input ...] [--output OUT.npz ...]

#include "Arguments.h"
#include "Commands.h"
#include "HostArrays.h"
#include "Messages.h"
#include "Waiting.h"

#include "waferloom/Executor/Beams.h"
#include "waferloom/Executor/Executor.h"
#include "waferloom/Executor/Tokens.h"
#include "waferloom/Executor/Trace.h"
#include "waferloom/Files/Output.h"
#include "waferloom/Image/HostInputs.h"
#include "waferloom/Report/Bounds.h"
#include "waferloom/Report/CriticalPath.h"
#include "waferloom/Report/Cycles.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>

using namespace waferloom;
using namespace waferloom::tool;
using executor::HostType;

static constexpr Option options[] = {
    {"input", "IN.npz", "inputs of a step; several are the steps of a session"},
    {"output", "OUT.npz", "where a step's outputs go; one per input"},
    {"cycles", "", "only count the cycles of each entry: needs no inputs"},
    {"critical", "", "the same, with all of the critical path of each"},
    {"position", "P",
     "with these: tokens before the step; usual: as many as caches hold"},
    {"threads", "N", "threads of this host; 0 chooses"},
    {"engine", "E", "lockstep (default) or reference, which is slow"},
    {"work-limit", "N", "elements of a step on all PEs; 0: none; usual 10^12"},
    {"trace", "T.json", "what every PE did and when, for trace viewers"},
    {"json", "", "print one JSON object about the run"},
};

static llvm::ArrayRef<llvm::StringRef> choices(llvm::StringRef option) {
  static const llvm::StringRef engines[] = {"lockstep", "reference"};
  if (option == "engine")
    return engines;
  return {};
}

/// One step: reads its file, runs it, writes its outputs. `read`: the files of
/// the whole run. `moved`: bytes of states that the host moves before it.
static llvm::Expected<executor::TokensResult>
runStep(executor::Session &session, const std::string &input,
        const std::string &output, llvm::ArrayRef<std::string> read,
        const executor::RunOptions &run, uint64_t &moved) {
  auto arrays = readNpz(input, [&](llvm::StringRef name, const Array &array) {
    return executor::checkShape(session.image(), name, array.shape);
  });
  if (!arrays)
    return arrays.takeError();
  const image::ImageT &image = session.image();
  const Declared declared =
      image.entries[image::firstFor(image, session.length())]->tensors;
  std::vector<executor::HostTensor> tensors;
  for (auto &[name, array] : *arrays) {
    auto tensor = toHost(name, array, declared);
    if (!tensor)
      return tensor.takeError();
    tensors.push_back(*tensor);
  }
  auto result = executor::runTokens(session, tensors, run);
  if (!result)
    return result;
  moved = executor::bytesMoved(session.image(), tensors);
  if (output.empty())
    return result;
  std::map<std::string, Array> outputs;
  for (const executor::OutputTensor &tensor : result->outputs)
    if (!image::isOurs(tensor.name))
      outputs[tensor.name] = toArray(tensor, declared);
  if (llvm::Error error = writeNpz(output, outputs, read))
    return std::move(error);
  return result;
}

/// Of states that go on in other rows of the batch.
static std::string movedText(uint64_t bytes) {
  return bytes ? llvm::formatv(", and {0} bytes of states moved by the host",
                               bytes)
                     .str()
               : std::string();
}

static llvm::Error writeTrace(const executor::Trace &trace,
                              const image::ImageT &image,
                              const std::string &path,
                              llvm::ArrayRef<std::string> read) {
  if (trace.leftOut)
    warn(path, llvm::formatv("the last {0} instructions are left out; trace "
                             "fewer steps",
                             trace.leftOut)
                   .str());
  return files::write(
      path,
      [&](llvm::raw_ostream &os) -> llvm::Error {
        trace.write(os, image);
        return llvm::Error::success();
      },
      read);
}

/// Whether all outputs can be written, asked before any step: none is a file
/// that is read, and no two are the same.
static llvm::Error checkOutputs(llvm::ArrayRef<std::string> outputs,
                                llvm::ArrayRef<std::string> read) {
  for (auto [i, output] : llvm::enumerate(outputs)) {
    if (llvm::Error error = files::checkOutput(output, read))
      return error;
    for (const std::string &other : outputs.take_front(i))
      if (output == other || llvm::sys::fs::equivalent(output, other))
        return llvm::createStringError("'" + output +
                                       "' is to be written twice");
  }
  return llvm::Error::success();
}

/// Tokens before the step of an entry that is counted.
static uint64_t positionOf(const image::ImageT &image, size_t entry,
                           const executor::RunOptions &run) {
  return run.position.value_or(executor::lastPosition(image, entry));
}

/// Of cycles that depend on it.
static std::string positionText(const image::ImageT &image, size_t entry,
                                const executor::RunOptions &run) {
  if (!executor::hasLiveLengths(image, entry))
    return "";
  const uint64_t position = positionOf(image, entry, run);
  const bool isFull = position == executor::lastPosition(image, entry);
  return llvm::formatv(", at position {0} (caches end {1})", position,
                       isFull ? "full" : "with the live length");
}

/// What a step of each entry costs, without executing any, and its critical
/// path: all of it, or what takes most.
static int countCycles(const std::string &path,
                       const executor::RunOptions &given,
                       executor::EngineKind engine, bool json, bool all) {
  constexpr size_t most = 5; // nodes and collectives, pairs of streams
  auto loaded = waitFor("reading " + path, [&] { return image::read(path); });
  if (!loaded)
    return fail(path, loaded.takeError());
  const image::ImageT &image = (*loaded)->image;
  llvm::json::Array entries;
  uint64_t first = 0;
  executor::RunOptions run = given;
  executor::CriticalPath critical;
  if (all)
    run.critical = &critical;
  for (size_t e = 0; e < image.entries.size(); ++e) {
    auto result = waitFor("counting cycles of " + image.entries[e]->name, [&] {
      return all ? executor::countStep(*loaded, e, run, engine)
                 : report::countWithPath(*loaded, e, run, engine, critical);
    });
    if (!result)
      return fail(path, result.takeError());
    const std::string &name = image.entries[e]->name;
    double seconds = double(result->cycles) / (image.target->clock_ghz * 1e9);
    llvm::json::Object told{
        {"name", name},
        {"tokens", image.entries[e]->tokens},
        {"position", positionOf(image, e, run)},
        {"live_lengths", executor::hasLiveLengths(image, e)},
        {"cycles", result->cycles},
        {"instructions", result->instructions},
        {"words", result->words},
        {"seconds", seconds},
        {"bounds", report::boundsToJson(*image.entries[e])},
        {"shared_links", report::sharedLinksToJson(*result)},
        {"stages", report::toJson(result->stages)}};
    const bool isWalked = critical.total() == result->cycles;
    if (isWalked)
      told["critical"] = report::toJson(critical, image, all);
    entries.push_back(std::move(told));
    if (e == 0)
      first = result->cycles;
    if (json)
      continue;
    llvm::outs() << llvm::formatv(
        "{0}: {1} cycles, {2:f1} us at {3} GHz{4}\n", name, result->cycles,
        seconds * 1e6, image.target->clock_ghz, positionText(image, e, run));
    if (std::string text = report::boundsOf(*image.entries[e], result->cycles);
        !text.empty())
      llvm::outs() << text << "\n";
    if (!all)
      report::printCycles(llvm::outs(), result->stages);
    if (isWalked)
      report::printPath(llvm::outs(), critical, image, all ? 0 : most);
    else
      llvm::outs() << "critical path: too long to be written down\n";
    report::printSharedLinks(llvm::outs(), *result, most);
  }
  if (json) {
    llvm::outs() << llvm::json::Value(llvm::json::Object{
                        {"entries", std::move(entries)},
                        {"rewrites", report::rewritesToJson(image)}})
                 << "\n";
    return 0;
  }
  if (all)
    return 0;
  for (const std::string &line : report::rewriteLines(image, first))
    llvm::outs() << line << "\n";
  return 0;
}

static int runOrCount(llvm::ArrayRef<char *> argv) {
  Arguments args;
  if (!args.parse(runCommand, argv))
    return args.status;
  auto threads = args.integer("threads", 0, 0);
  auto workLimit = args.integer("work-limit", executor::usualWorkLimit, 0);
  auto position = args.integer("position", 0, 0);
  if (!threads || !workLimit || !position)
    return args.status;
  llvm::ArrayRef<std::string> inputs = args.all("input");
  llvm::ArrayRef<std::string> outputs = args.all("output");
  const bool counted = args.has("cycles") || args.has("critical");
  if (args.positional.size() != 1)
    args.wrongUsage("needs one image");
  else if (counted && (!inputs.empty() || !outputs.empty()))
    args.wrongUsage("takes no inputs and outputs with --cycles or --critical");
  else if (args.has("position") && !counted)
    args.wrongUsage("takes --position with --cycles or --critical only");
  else if (inputs.empty() && !counted)
    args.wrongUsage(
        "needs --input IN.npz, once per step, or --cycles or --critical");
  else if (!outputs.empty() && outputs.size() != inputs.size())
    args.wrongUsage(llvm::formatv("has {0} inputs but {1} outputs",
                                  inputs.size(), outputs.size()));
  auto engine = executor::engineNamed(
      args.has("engine") ? args.all("engine").back() : "lockstep");
  if (!engine)
    args.wrongChoice("engine");
  if (args.status)
    return args.status;
  if (counted) {
    executor::RunOptions run;
    run.workLimit = static_cast<uint64_t>(*workLimit);
    if (args.has("position"))
      run.position = static_cast<uint64_t>(*position);
    return countCycles(args.positional.front(), run, *engine, args.has("json"),
                       args.has("critical"));
  }

  std::vector<std::string> read = args.positional, written = outputs.vec();
  read.insert(read.end(), inputs.begin(), inputs.end());
  if (args.has("trace"))
    written.push_back(args.all("trace").back());
  if (llvm::Error error = checkOutputs(written, read))
    return fail("waferloom run", std::move(error));
  auto loaded = waitFor("reading " + args.positional.front(),
                        [&] { return image::read(args.positional.front()); });
  if (!loaded)
    return fail(args.positional.front(), loaded.takeError());
  auto session = waitFor("giving each PE its memory", [&] {
    return executor::Session::create(*loaded, *engine);
  });
  if (!session)
    return fail(args.positional.front(), session.takeError());

  executor::Trace trace;
  executor::RunOptions run;
  run.threads = static_cast<unsigned>(*threads);
  run.workLimit = static_cast<uint64_t>(*workLimit);
  if (args.has("trace"))
    run.trace = &trace;
  double clock = (*loaded)->image.target->clock_ghz * 1e9;
  llvm::json::Array steps;
  uint64_t total = 0;
  auto start = std::chrono::steady_clock::now();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string &input = inputs[i];
    uint64_t moved = 0;
    auto result =
        waitFor(llvm::formatv("step {0} of {1}", i + 1, inputs.size()), [&] {
          return runStep(**session, input,
                         outputs.empty() ? std::string() : outputs[i], read,
                         run, moved);
        });
    if (!result)
      return fail(input, result.takeError());
    total += result->cycles;
    steps.push_back(
        llvm::json::Object{{"cycles", result->cycles},
                           {"instructions", result->instructions},
                           {"words", result->words},
                           {"bytes_moved", moved},
                           {"shared_link_cycles", result->sharedLinkCycles}});
    if (!args.has("json"))
      llvm::outs() << llvm::formatv("step {0}: {1} cycles{2}\n", i,
                                    result->cycles, movedText(moved));
  }
  if (args.has("trace"))
    if (llvm::Error error =
            writeTrace(trace, (*loaded)->image, args.all("trace").back(), read))
      return fail(args.all("trace").back(), std::move(error));
  double host =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
          .count();
  if (args.has("json")) {
    llvm::outs() << llvm::json::Value(llvm::json::Object{
                        {"steps", std::move(steps)},
                        {"cycles", total},
                        {"seconds", static_cast<double>(total) / clock},
                        {"host_seconds", host}})
                 << "\n";
    return 0;
  }
  llvm::outs() << llvm::formatv(
      "{0} cycles, {1:f1} us on the wafer at {2} GHz, {3:f2} s on this host\n",
      total, static_cast<double>(total) / clock * 1e6,
      (*loaded)->image.target->clock_ghz, host);
  return 0;
}

const Command tool::runCommand = {
    "run",
    "execute an image on its simulated cores",
    "IMAGE --input IN.npz [--input ...] [--output OUT.npz ...] [options]",
    options,
    choices,
    runOrCount,
};
