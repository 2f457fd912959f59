// A session: the memories of all PEs, and one prepared program per entry.
// The host writes inputs into the PEs' memory before a step and reads outputs
// after it; that takes no cycles.

#include "Channels.h"
#include "Distribute.h"
#include "HostNeeds.h"
#include "SessionState.h"
#include "waferloom/Executor/Beams.h"
#include "waferloom/Executor/Trace.h"
#include "llvm/Support/FormatVariadic.h"
#include <algorithm>
#include <thread>

using namespace llvm;

namespace waferloom::executor {

static Error missingEntry(size_t entry, size_t entries) {
  return createStringError("entry " + Twine(entry) +
                           " does not exist; the image has " + Twine(entries));
}

/// `length`: tokens behind the step. `bytes`: host memory that is needed so
/// far.
Expected<std::unique_ptr<EntryState>>
SessionImpl::prepareEntry(size_t entry, std::optional<uint64_t> length,
                          uint64_t &bytes, Interrupt *interrupt) {
  const image::ImageT &image = loaded->image;
  // Tables of streams have an entry per PE and color.
  for (const auto &region : image.regions)
    bytes += uint64_t(region->width) * region->height *
             (12 * image.target->colors + 512);
  bytes += bytesOfArrays(image, entry);
  if (Error error = checkHostMemory(bytes))
    return std::move(error);
  auto program = std::make_shared<EntryProgram>();
  program->prepared = prepare(image, entry, length);
  program->lengths = liveLengths(image, entry, length.value_or(UINT64_MAX));
  Expected<Streams> streams =
      traceStreams(image, entry, program->prepared, interrupt);
  if (!streams)
    return streams.takeError();
  program->streams = std::move(*streams);
  bytes += Channels::bytesOf(program->streams);
  if (Error error = checkHostMemory(bytes))
    return std::move(error);
  auto state = std::make_unique<EntryState>();
  state->engine =
      kind == EngineKind::reference
          ? createReferenceEngine(image, program->prepared, program->streams,
                                  memories)
          : createLockstepEngine(image, program->prepared, program->streams,
                                 memories, workers);
  state->program = std::move(program);
  return std::move(state);
}

/// The entry as a step that ends at `length` runs it.
Expected<EntryState *> SessionImpl::stateAt(size_t entry, uint64_t length,
                                            Interrupt *interrupt) {
  constexpr size_t most = 4; // that are kept
  EntryState &longest = *entries[entry];
  if (longest.program->lengths.empty())
    return &longest;
  const std::vector<uint64_t> lengths =
      liveLengths(loaded->image, entry, length);
  if (lengths == longest.program->lengths)
    return &longest;
  auto known = llvm::find_if(shorter, [&](const Shorter &one) {
    return one.entry == entry && one.state->program->lengths == lengths;
  });
  if (known == shorter.end()) {
    if (shorter.size() == most)
      shorter.erase(shorter.begin());
    uint64_t bytes = bytesBesideLaid;
    auto state = prepareEntry(entry, length, bytes, interrupt);
    if (!state)
      return state.takeError();
    shorter.push_back({entry, std::move(*state)});
  } else {
    std::rotate(known, known + 1, shorter.end());
  }
  return shorter.back().state.get();
}

/// Sparse where they would fill most of the host's memory.
bool SessionImpl::makeMemories() {
  const bool isSparse =
      bytesOfPes(loaded->image, /*isSparse=*/false) > hostMemory() / 2;
  for (const auto &region : loaded->image.regions)
    memories.emplace_back(region->width, region->height, region->memory,
                          kind == EngineKind::lockstep, isSparse);
  return isSparse;
}

Error SessionImpl::begin() {
  if (loaded->image.shape_only)
    return createStringError(
        "the image has the shapes of its weights only: it counts cycles (run "
        "--cycles) and computes no values; compile it with its weights");
  uint64_t bytes = bytesOfPes(loaded->image, makeMemories());
  if (Error error = checkHostMemory(bytes))
    return error;
  for (size_t e = 0; e < loaded->image.entries.size(); ++e) {
    auto state = prepareEntry(e, std::nullopt, bytes);
    if (!state)
      return state.takeError();
    entries.push_back(std::move(*state));
  }
  bytesBesideLaid = bytes;
  if (Error error = loaded->unchanged())
    return error;
  return lay();
}

Expected<StepResult> SessionImpl::count(size_t entry,
                                        const RunOptions &options) {
  if (entry >= loaded->image.entries.size())
    return missingEntry(entry, loaded->image.entries.size());
  makeMemories(); // that nobody touches take no memory
  Interrupt interrupt(options.interrupted);
  uint64_t bytes = 0;
  const uint64_t last = lastPosition(loaded->image, entry);
  const uint64_t before = options.position.value_or(last);
  if (before > last)
    return createStringError(
        formatv("a step of entry '{0}' cannot begin at position {1}; the last "
                "that the caches have room for is {2}",
                loaded->image.entries[entry]->name, before, last)
            .str());
  auto state = prepareEntry(
      entry, before + loaded->image.entries[entry]->tokens, bytes, &interrupt);
  if (!state)
    return state.takeError();
  EngineOptions engineOptions;
  engineOptions.launch = options.launch;
  engineOptions.workLimit = options.workLimit;
  engineOptions.interrupt = &interrupt;
  engineOptions.countOnly = true;
  engineOptions.estimate = options.estimate;
  engineOptions.abstract = kind == EngineKind::reference;
  engineOptions.critical = options.critical;
  EngineResult run;
  if (Error error = (*state)->engine->run(engineOptions, run))
    return std::move(error);
  StepResult result;
  describe(**state, run, result);
  return result;
}

/// Lays parameters and index tensors.
Error SessionImpl::lay() {
  const image::ImageT &image = loaded->image;
  SmallVector<char, 0> room;
  for (size_t r = 0; r < image.regions.size(); ++r) {
    const image::RegionT &region = *image.regions[r];
    for (const auto &binding : region.bindings) {
      if (binding->role != image::Role::parameter &&
          binding->role != image::Role::index)
        continue;
      Elements source;
      source.type = hostTypeOf(binding->source_type, binding->source_bool,
                               binding->source_int64);
      if (binding->role == image::Role::parameter) {
        Expected<const char *> bytes =
            loaded->bytes(image.sources[binding->source]->offset +
                              (binding->packing ? 0
                                                : binding->source_offset *
                                                      bytesOf(source.type)),
                          bytesReached(*binding, source.type), room);
        if (!bytes)
          return bytes.takeError();
        source.data = *bytes;
      }
      distribute(region, *binding, source, memories[r], workers,
                 /*isFirst=*/true);
      uint64_t bytes = bytesBesideLaid;
      for (const Memory &memory : memories)
        bytes += memory.bytesLaid();
      if (Error error = checkHostMemory(bytes))
        return error;
    }
  }
  return Error::success();
}

Error SessionImpl::reset() {
  Use use(busy);
  if (Error error = use.refused())
    return error;
  if (Error error = loaded->unchanged())
    return error;
  broken = true; // until all weights lie
  for (Memory &memory : memories)
    memory.clear(workers);
  if (Error error = lay())
    return error;
  tokens = 0;
  moved = 0;
  before.reset();
  broken = false;
  return Error::success();
}

/// `before`: tokens taken before the step.
Error SessionImpl::checkStep(size_t entry, uint64_t before,
                             uint64_t workLimit) const {
  if (entry >= entries.size())
    return missingEntry(entry, entries.size());
  if (broken)
    return createStringError("the step before ended with an error; reset the "
                             "session first");
  const image::EntryT &asked = *loaded->image.entries[entry];
  const uint64_t room = loaded->image.capacity;
  if (room != 0 && before + asked.tokens > room)
    return createStringError(
        formatv("{0} tokens after {1} exceed the capacity of {2}; compile with "
                "a larger --context or reset the session",
                asked.tokens, before, room)
            .str());
  if (!image::isFor(asked, before))
    return createStringError(
        formatv("entry '{0}' is for steps behind {1} tokens or more{2}, but "
                "{3} are behind this one",
                asked.name, asked.from,
                asked.until ? formatv(", below {0}", asked.until).str() : "",
                before)
            .str());
  const uint64_t work = entries[entry]->program->prepared.effort.elements;
  if (workLimit != 0 && work > workLimit)
    return createStringError(
        formatv("a step of entry '{0}' computes and moves {1}{2} elements on "
                "all PEs, more than the limit of {3}; a higher work limit "
                "allows it",
                asked.name, work == UINT64_MAX ? "at least " : "", work,
                workLimit)
            .str());
  return Error::success();
}

void SessionImpl::place(size_t entry, ArrayRef<StagedInput> inputs) {
  const image::ImageT &image = loaded->image;
  for (size_t r = 0; r < image.regions.size(); ++r) {
    const image::RegionT &region = *image.regions[r];
    for (const auto &binding : region.programs[entry]->inputs)
      for (const StagedInput &input : inputs)
        if (input.name == binding->name)
          distribute(region, *binding, {input.bytes.data(), input.type},
                     memories[r], workers);
  }
}

std::vector<OutputTensor> SessionImpl::outputsOf(size_t entry,
                                                 ArrayRef<std::string> wanted) {
  const image::ImageT &image = loaded->image;
  std::vector<OutputTensor> outputs;
  for (const auto &info : image.entries[entry]->tensors) {
    if (info->role != image::Role::output ||
        (!wanted.empty() && !is_contained(wanted, info->name)))
      continue;
    OutputTensor output;
    output.name = info->name;
    output.type = hostTypeOf(info->type, info->source_bool, info->source_int64);
    uint64_t elements = 1;
    for (uint32_t extent : info->shape) {
      output.shape.push_back(extent);
      elements *= extent;
    }
    output.bytes.resize(elements * bytesOf(output.type));
    for (size_t r = 0; r < image.regions.size(); ++r)
      for (const auto &binding : image.regions[r]->programs[entry]->outputs)
        if (binding->name == info->name)
          collect(*image.regions[r], *binding, memories[r], output.type,
                  output.bytes.data());
    outputs.push_back(std::move(output));
  }
  return outputs;
}

void SessionImpl::describe(const EntryState &state, const EngineResult &run,
                           StepResult &result) {
  result.cycles = run.cycles;
  const EntryProgram &program = *state.program;
  result.lastX = program.streams.places[run.last].x;
  result.lastY = program.streams.places[run.last].y;
  result.instructions = run.instructions;
  result.words = run.words;
  result.linksArbitrated = run.isArbitrated;
  if (run.shared) {
    result.sharedLinks = executor::describe(*run.shared, loaded->image);
    result.sharedLinkCycles = 0;
    for (const SharedLinks &links : result.sharedLinks)
      *result.sharedLinkCycles += links.cycles;
  }
  auto who = [](bool inLanes) {
    return inLanes ? EngineKind::lockstep : EngineKind::reference;
  };
  result.engine = who(run.inLanes);
  result.counter = who(run.countedInLanes);
  for (const StageEnd &stage : run.stages) {
    const Place &place = program.streams.places[stage.pe];
    StageResult &of = result.stages.emplace_back();
    of.x = place.x;
    of.y = place.y;
    of.cycles = stage.cycles;
    for (auto [spent, key] : llvm::zip(stage.spent, program.prepared.accounts))
      if (spent.busy != 0 || spent.wait != 0)
        of.accounts.push_back({loaded->image.names[key.node], key.op,
                               key.product, key.loop, key.repeats, key.over,
                               spent.busy, spent.wait});
    if (stage.pe == run.last)
      result.accounts = of.accounts;
  }
}

/// Threads meet many times in a step: with few PEs for each they wait more than
/// they do.
unsigned SessionImpl::threadsFor(unsigned asked) const {
  constexpr uint64_t pesPerThread = 1024;
  if (asked != 0)
    return asked;
  uint64_t pes = 0;
  for (const auto &region : loaded->image.regions)
    pes += uint64_t(region->width) * region->height;
  return static_cast<unsigned>(
      std::clamp<uint64_t>(pes / pesPerThread, 1,
                           std::max(1u, std::thread::hardware_concurrency())));
}

Expected<StepResult> SessionImpl::step(size_t entry,
                                       ArrayRef<HostTensor> inputs,
                                       const RunOptions &options) {
  Use use(busy);
  if (Error error = use.refused())
    return std::move(error);
  if (Error error = checkStep(entry, tokens, options.workLimit))
    return std::move(error);
  Expected<std::vector<StagedInput>> staged =
      stageInputs(loaded->image, entry, inputs, tokens,
                  options.feedBack && before == entry);
  if (!staged)
    return staged.takeError();
  workers.resize(threadsFor(options.threads));
  const image::EntryT &description = *loaded->image.entries[entry];
  Interrupt interrupt(options.interrupted);
  Expected<EntryState *> state =
      stateAt(entry, tokens + description.tokens, &interrupt);
  if (!state)
    return state.takeError();
  if (std::vector<int64_t> beams = beamsOf(description, inputs);
      !beams.empty()) {
    moveStates(loaded->image, description, beams, memories, workers);
    moved = tokens;
  }
  place(entry, *staged);
  EngineOptions engineOptions;
  engineOptions.launch = options.launch;
  engineOptions.workLimit = options.workLimit;
  engineOptions.interrupt = &interrupt;
  engineOptions.trace = options.trace;
  engineOptions.critical = options.critical;
  EngineResult run;
  if (Error error = (*state)->engine->run(engineOptions, run)) {
    broken = true;
    return std::move(error);
  }
  if (options.trace)
    options.trace->advance(run.cycles);
  StepResult result;
  describe(**state, run, result);
  result.outputs = outputsOf(entry, options.outputs);
  before = entry;
  tokens += description.tokens;
  return result;
}

Error SessionImpl::check(size_t entry, ArrayRef<HostTensor> inputs,
                         uint64_t more, const RunOptions &options) {
  Use use(busy);
  if (Error error = use.refused())
    return error;
  if (Error error = checkStep(entry, tokens + more, options.workLimit))
    return error;
  bool fed = options.feedBack && (more != 0 || before == entry);
  return stageInputs(loaded->image, entry, inputs, tokens + more, fed)
      .takeError();
}

Error SessionImpl::proveHangFree(size_t entry) {
  Use use(busy);
  if (Error error = use.refused())
    return error;
  if (entry >= entries.size())
    return missingEntry(entry, entries.size());
  EngineOptions options;
  options.abstract = options.narrow = true;
  EngineResult run;
  return entries[entry]->engine->run(options, run);
}

Expected<std::unique_ptr<Session>>
Session::create(std::shared_ptr<const image::Loaded> image, EngineKind kind) {
  auto session = std::make_unique<SessionImpl>(std::move(image), kind);
  if (Error error = session->begin())
    return std::move(error);
  return std::unique_ptr<Session>(std::move(session));
}

uint64_t lastPosition(const image::ImageT &image, size_t entry) {
  const uint64_t tokens = image.entries[entry]->tokens;
  return image.capacity > tokens ? image.capacity - tokens : 0;
}

Expected<StepResult> countStep(std::shared_ptr<const image::Loaded> image,
                               size_t entry, const RunOptions &options,
                               EngineKind kind) {
  return SessionImpl(std::move(image), kind).count(entry, options);
}

} // namespace waferloom::executor
