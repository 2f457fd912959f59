#include "CollectiveEmitter.h"

#include "waferloom/Routing/Passes.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <map>

using namespace waferloom;
using namespace waferloom::codegen;
using llvm::Error;
using llvm::Expected;
using llvm::SmallVector;

Expected<CollectiveEmitter::Emitted *>
CollectiveEmitter::plan(const routing::Collective &collective,
                        unsigned firstColor) {
  collectives::Costs costs;
  costs.colors = target.colors;
  Expected<collectives::CollectivePlan> solved =
      collectives::solve(collective.line, collective.request, costs);
  if (!solved)
    return solved.takeError();
  for (auto &known : plans)
    if (known->direction == collective.direction &&
        known->firstColor == firstColor && known->plan.hasRoutesOf(*solved))
      return known.get();
  if (firstColor + solved->colors > target.colors)
    return llvm::createStringError(llvm::formatv(
        "takes colors {0} to {1} but the target has {2}", firstColor,
        firstColor + solved->colors - 1, target.colors));
  auto emitted = std::make_unique<Emitted>();
  emitted->direction = collective.direction;
  emitted->firstColor = firstColor;
  emitted->firstSet = sets.size();
  emitted->plan = std::move(*solved);
  for (unsigned cls = 0; cls < emitted->plan.classes.size(); ++cls)
    sets.push_back({collective.direction, emitted.get(), cls});
  return plans.emplace_back(std::move(emitted)).get();
}

uint32_t CollectiveEmitter::idOf(const Set &set) {
  auto known = llvm::find(sets, set);
  if (known == sets.end())
    known = sets.insert(sets.end(), set);
  return static_cast<uint32_t>(known - sets.begin());
}

Guard CollectiveEmitter::guardOf(uint32_t firstStage, uint32_t endStage) {
  Guard guard;
  (alongStages() == Direction::X ? guard.columns : guard.rows) =
      idOf({alongStages(), nullptr, 0, firstStage, endStage});
  return guard;
}

Guard CollectiveEmitter::guardOf(wafer::StageSet stageSet) {
  switch (stageSet) {
  case wafer::StageSet::First:
    return guardOf(uint32_t(0));
  case wafer::StageSet::Others:
    return guardOf(1, UINT32_MAX);
  case wafer::StageSet::All:
    break;
  }
  return {};
}

Guard CollectiveEmitter::guardOf(const Emitted &emitted, unsigned cls,
                                 wafer::StageSet stageSet) {
  Guard guard = guardOf(stageSet);
  const bool alongX = emitted.direction == Direction::X;
  uint32_t &mine = alongX ? guard.columns : guard.rows;
  Set set = sets[mine];
  set.direction = emitted.direction;
  set.emitted = &emitted;
  set.cls = cls;
  mine = idOf(set);
  return guard;
}

/// Folds `copies` vectors of a star as one instruction: dimension 0 stays at
/// the same elements. An odd number of f16 ends each vector with half a word,
/// so there each is an instruction of its own.
static void foldCopies(Emitter &emitter, uint8_t color, Ref buffer,
                       int64_t elements, uint64_t copies, Opcode fold,
                       Guard guard) {
  const bool apart = buffer.type == Word::f16 && elements % 2 != 0;
  for (uint64_t i = 0; i < (apart ? copies : 1); ++i)
    emitter.receiveFold(color, buffer, elements, fold, guard);
  if (apart || copies == 1)
    return;
  Draft &draft = emitter.drafts.back();
  draft.shape = {static_cast<int64_t>(copies), elements};
  draft.dst.strides = {0, 1};
}

Expected<CollectiveEmitter::Emitted *>
CollectiveEmitter::planOf(fabric::CollectiveOpInterface op, Ref buffer,
                          routing::Collective &collective) {
  std::optional<uint64_t> color = op.getColor();
  if (!color || *color >= target.colors)
    return llvm::createStringError(
        color ? llvm::formatv("begins at color {0} but the target has {1}",
                              *color, target.colors)
                    .str()
              : "has no color: fabric-route gives it one");
  // Two f16 travel in one word.
  if (buffer.type == Word::f16)
    collective.request.words = (collective.request.words + 1) / 2;
  Expected<Emitted *> found = plan(collective, static_cast<unsigned>(*color));
  if (found &&
      ((*found)->programs.empty() || (*found)->programs.back() != program))
    (*found)->programs.push_back(program);
  return found;
}

Error CollectiveEmitter::emitSendRecv(Emitter &emitter,
                                      fabric::StageSendRecvOp op, Ref buffer,
                                      wafer::StageSet who, Half half) {
  auto collective = routing::readCollective(op);
  auto elements = static_cast<int64_t>(collective.request.words);
  Expected<Emitted *> found = planOf(op, buffer, collective);
  if (!found)
    return found.takeError();
  Emitted &emitted = **found;
  const std::vector<unsigned> classes = emitted.plan.classPerPosition();
  const size_t width = collective.line.stride; // of stage 0
  const auto mine = who == wafer::StageSet::First
                        ? llvm::ArrayRef(classes).take_front(width)
                        : llvm::ArrayRef(classes).drop_front(width);
  for (auto [id, program] : llvm::enumerate(emitted.plan.classes)) {
    if (!llvm::is_contained(mine, id))
      continue;
    Guard guard = guardOf(emitted, static_cast<unsigned>(id), who);
    for (const collectives::Transfer &transfer : program.transfers)
      if (transfer.sends() && half == Half::Send)
        emitter.send(static_cast<uint8_t>(emitted.firstColor + transfer.out),
                     buffer, elements, guard);
      else if (transfer.receives() && half == Half::Receive)
        emitter.receive(static_cast<uint8_t>(emitted.firstColor + transfer.in),
                        buffer, elements, guard);
  }
  return Error::success();
}

Error CollectiveEmitter::emit(Emitter &emitter,
                              fabric::CollectiveOpInterface op, Ref buffer,
                              wafer::StageSet stageSet) {
  routing::Collective collective = routing::readCollective(op);
  auto elements = static_cast<int64_t>(collective.request.words);
  Expected<Emitted *> found = planOf(op, buffer, collective);
  if (!found)
    return found.takeError();
  Emitted &emitted = **found;

  using Kind = collectives::Transfer::Kind;
  Opcode fold = collectives::opcodeOf(collective.request.combiner);
  for (auto [id, program] : llvm::enumerate(emitted.plan.classes)) {
    Guard guard = guardOf(emitted, static_cast<unsigned>(id), stageSet);
    for (const collectives::Transfer &transfer : program.transfers) {
      auto in = static_cast<uint8_t>(emitted.firstColor + transfer.in);
      auto out = static_cast<uint8_t>(emitted.firstColor + transfer.out);
      switch (transfer.kind) {
      case Kind::Send:
        emitter.send(out, buffer, elements, guard);
        break;
      case Kind::Receive:
        emitter.receive(in, buffer, elements, guard);
        break;
      case Kind::ReceiveFold:
        foldCopies(emitter, in, buffer, elements, transfer.copies, fold, guard);
        break;
      case Kind::ReceiveFoldSend:
        emitter.receiveFoldSend(in, out, buffer, elements, fold, guard);
        break;
      case Kind::Rewrite:
        emitter.rewrite(guard);
        break;
      case Kind::RingFold:
      case Kind::RingCopy:
        return llvm::createStringError("a ring works on parts of a buffer, "
                                       "which code generation does not "
                                       "know; choose chain, tree or two-phase");
      }
    }
  }
  return Error::success();
}

/// One class per position along `direction`, and for every plan in this
/// direction the set of classes that each of its own classes became.
SmallVector<uint32_t>
CollectiveEmitter::classesOf(Direction direction,
                             std::vector<image::ClassSetT> &out) {
  int64_t extent = direction == Direction::X ? width * stages.getColumns()
                                             : height * stages.getRows();
  std::vector<std::vector<unsigned>> perPlan;
  SmallVector<const Emitted *> mine;
  for (auto &emitted : plans)
    if (emitted->direction == direction) {
      mine.push_back(emitted.get());
      perPlan.push_back(emitted->plan.classPerPosition());
    }
  const bool staged = stages.getCount() > 1 && direction == alongStages();
  std::map<std::vector<unsigned>, uint32_t> ids;
  SmallVector<uint32_t> classes;
  for (int64_t i = 0; i < extent; ++i) {
    std::vector<unsigned> key;
    for (const std::vector<unsigned> &list : perPlan)
      key.push_back(list[i]);
    if (staged)
      key.push_back(stageAt(direction, i));
    classes.push_back(ids.try_emplace(key, ids.size()).first->second);
  }
  for (auto [set, contents] : llvm::drop_begin(llvm::zip_equal(sets, out))) {
    if (set.direction != direction)
      continue;
    auto *which = llvm::find(mine, set.emitted);
    for (const auto &[key, id] : ids) {
      uint32_t stage = staged ? key.back() : 0;
      if (stage < set.firstStage || stage >= set.endStage ||
          (set.emitted && key[which - mine.begin()] != set.cls))
        continue;
      std::vector<uint64_t> &words = contents.words;
      words.resize(std::max<size_t>(words.size(), id / 64 + 1));
      words[id / 64] |= uint64_t(1) << (id % 64);
    }
  }
  return classes;
}

/// The sides of a router along an axis: low is west or north.
static image::Side sideOf(collectives::Port port, Direction direction) {
  if (port == collectives::Port::Ramp)
    return image::Side::ramp;
  bool low = port == collectives::Port::Low;
  if (direction == Direction::X)
    return low ? image::Side::west : image::Side::east;
  return low ? image::Side::north : image::Side::south;
}

static std::unique_ptr<image::RouteT> encode(const collectives::Route &route,
                                             Direction direction,
                                             unsigned firstColor,
                                             uint32_t set) {
  auto out = std::make_unique<image::RouteT>();
  out->color = static_cast<uint8_t>(firstColor + route.color);
  (direction == Direction::X ? out->columns : out->rows) = set;
  for (const collectives::Turn &turn : route.inputs)
    out->inputs.emplace_back(sideOf(turn.from, direction),
                             static_cast<uint32_t>(turn.words));
  for (collectives::Port port :
       {collectives::Port::Low, collectives::Port::High,
        collectives::Port::Ramp})
    if (route.outputs & port)
      out->outputs |= 1 << static_cast<int>(sideOf(port, direction));
  return out;
}

/// Runs that give `classes`: at each position the shortest pattern, up to 64
/// long, that covers the most of what follows. Lines alternate by hop parity
/// and by group, so a handful of runs describe any length.
static std::vector<std::unique_ptr<image::RunT>>
compress(llvm::ArrayRef<uint32_t> classes) {
  std::vector<std::unique_ptr<image::RunT>> runs;
  for (size_t at = 0; at < classes.size();) {
    size_t bestPeriod = 1, bestRepeats = 1;
    for (size_t period = 1; period <= 64 && at + period <= classes.size();
         ++period) {
      size_t repeats = 1;
      while (at + (repeats + 1) * period <= classes.size() &&
             classes.slice(at, period) ==
                 classes.slice(at + repeats * period, period))
        ++repeats;
      if (repeats > 1 && repeats * period > bestRepeats * bestPeriod)
        std::tie(bestPeriod, bestRepeats) = std::pair(period, repeats);
    }
    auto &run = runs.emplace_back(std::make_unique<image::RunT>());
    llvm::ArrayRef<uint32_t> pattern = classes.slice(at, bestPeriod);
    run->classes.assign(pattern.begin(), pattern.end());
    run->repeats = static_cast<uint32_t>(bestRepeats);
    at += bestPeriod * bestRepeats;
  }
  return runs;
}

Error CollectiveEmitter::bindQueues(
    fabric::QueuesAttr queues,
    llvm::ArrayRef<image::ProgramT *> programs) const {
  auto bind = [](llvm::ArrayRef<int64_t> table, unsigned color, unsigned limit,
                 uint8_t &queue) -> Error {
    int64_t given = color < table.size() ? table[color] : -1;
    if (given < 0 || given >= static_cast<int64_t>(limit))
      return llvm::createStringError(
          llvm::formatv("color {0} is given queue {1} but a PE has {2}", color,
                        given, limit));
    queue = static_cast<uint8_t>(given);
    return Error::success();
  };
  for (image::ProgramT *program : programs)
    for (auto &instruction : program->instructions) {
      Opcode op = instruction->op;
      if (op == Opcode::recv || op == Opcode::recv_fold ||
          op == Opcode::recv_fold_send)
        if (Error error = bind(queues.getInput(), instruction->in_color,
                               target.input_queues, instruction->in_queue))
          return error;
      if (op == Opcode::send || op == Opcode::recv_fold_send)
        if (Error error = bind(queues.getOutput(), instruction->out_color,
                               target.output_queues, instruction->out_queue))
          return error;
    }
  return Error::success();
}

Error CollectiveEmitter::finish(image::RegionT &region,
                                fabric::QueuesAttr queues,
                                llvm::ArrayRef<image::ProgramT *> programs) {
  std::vector<image::ClassSetT> contents(sets.size());
  for (Direction direction : {Direction::X, Direction::Y}) {
    SmallVector<uint32_t> classes = classesOf(direction, contents);
    (direction == Direction::X ? region.columns : region.rows) =
        compress(classes);
  }
  for (image::ClassSetT &set : contents)
    region.sets.push_back(std::make_unique<image::ClassSetT>(set));
  if (Error error = bindQueues(queues, programs))
    return error;
  for (auto &emitted : plans)
    for (unsigned entry : emitted->programs)
      for (auto [id, program] : llvm::enumerate(emitted->plan.classes))
        for (const collectives::Route &route : program.routes)
          programs[entry]->routes.push_back(
              encode(route, emitted->direction, emitted->firstColor,
                     emitted->firstSet + static_cast<uint32_t>(id)));
  return Error::success();
}
