#include "CollectiveEmitter.h"

#include "Core/ImageEnums.h"

#include "waferloom/Routing/Passes.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <map>
#include <set>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::codegen;
using llvm::Error;
using llvm::Expected;

static StringRef wordFor(collectives::Transfer::Kind kind) {
  using Kind = collectives::Transfer::Kind;
  switch (kind) {
  case Kind::Send:
    return "send";
  case Kind::Receive:
    return "recv";
  case Kind::ReceiveFold:
    return "fold";
  case Kind::ReceiveFoldSend:
    return "pass";
  case Kind::Rewrite:
    return "rewrite";
  case Kind::RingFold:
  case Kind::RingCopy:
    return "ring";
  }
}

/// `fold_3`, `send_4`, `pass_3_to_4`, with the colors.
static std::string describe(const collectives::Transfer &transfer,
                            unsigned firstColor) {
  std::string name = wordFor(transfer.kind).str();
  if (transfer.receives())
    name += "_" + std::to_string(firstColor + transfer.in);
  if (transfer.receives() && transfer.sends())
    name += "_to";
  if (transfer.sends())
    name += "_" + std::to_string(firstColor + transfer.out);
  return name;
}

/// The sides of a router along an axis: low is west or north.
static core::Side sideOf(collectives::Port port, Direction direction) {
  if (port == collectives::Port::Ramp)
    return core::Side::ramp;
  bool low = port == collectives::Port::Low;
  if (direction == Direction::X)
    return low ? core::Side::west : core::Side::east;
  return low ? core::Side::north : core::Side::south;
}

static constexpr collectives::Port ports[] = {
    collectives::Port::Low, collectives::Port::High, collectives::Port::Ramp};

/// `color3_west_to_ramp`.
static std::string describe(const collectives::Route &route,
                            Direction direction, unsigned firstColor) {
  std::string name = "color" + std::to_string(firstColor + route.color);
  for (const collectives::Turn &turn : route.inputs)
    name += "_" + core::stringifySide(sideOf(turn.from, direction)).str();
  name += "_to";
  for (collectives::Port port : ports)
    if (route.outputs & port)
      name += "_" + core::stringifySide(sideOf(port, direction)).str();
  return name;
}

FlatSymbolRefAttr CollectiveEmitter::nameOf(Set set, StringRef what) {
  auto known = llvm::find(sets, set);
  if (known != sets.end())
    return known->name;
  set.name = names.take(queues.getContext(), what);
  return sets.emplace_back(set).name;
}

Expected<CollectiveEmitter::Emitted *>
CollectiveEmitter::plan(const routing::Collective &collective,
                        unsigned firstColor) {
  Expected<collectives::CollectivePlan> solved = collectives::solve(
      collective.line, collective.request, collectives::Costs(target));
  if (!solved)
    return solved.takeError();
  if (firstColor + solved->colors > target.colors)
    return llvm::createStringError(llvm::formatv(
        "takes colors {0} to {1} but the target has {2}", firstColor,
        firstColor + solved->colors - 1, target.colors));
  return know(collective.direction, std::move(*solved), firstColor);
}

CollectiveEmitter::Emitted *
CollectiveEmitter::know(Direction direction, collectives::CollectivePlan plan,
                        unsigned firstColor) {
  for (auto &known : plans)
    if (known->direction == direction && known->firstColor == firstColor &&
        known->plan.hasRoutesOf(plan))
      return known.get();
  auto emitted = std::make_unique<Emitted>();
  emitted->direction = direction;
  emitted->firstColor = firstColor;
  emitted->plan = std::move(plan);
  emitted->steps = emitted->plan.steps();
  emitted->routes = emitted->plan.routes();
  for (const collectives::Step &step : emitted->steps)
    guardOf(*emitted, step);
  for (const collectives::SharedRoute &route : emitted->routes)
    nameOf({direction, emitted.get(), route.classes},
           describe(route.route, direction, firstColor));
  return plans.emplace_back(std::move(emitted)).get();
}

void CollectiveEmitter::use(Emitted &emitted) {
  if (emitted.programs.empty() || emitted.programs.back() != program)
    emitted.programs.push_back(program);
}

Guard CollectiveEmitter::guardOf(const Emitted &emitted,
                                 const collectives::Step &step) {
  Guard guard;
  (emitted.direction == Direction::X ? guard.columns : guard.rows) =
      nameOf({emitted.direction, &emitted, step.classes},
             describe(step.transfer, emitted.firstColor));
  return guard;
}

FlatSymbolRefAttr CollectiveEmitter::setOf(Direction direction,
                                           const llvm::BitVector &positions) {
  for (auto &emitted : plans) {
    if (emitted->direction != direction)
      continue;
    const std::vector<unsigned> classes = emitted->plan.classPerPosition();
    std::set<unsigned> members, others;
    for (auto [position, number] : llvm::enumerate(classes))
      (positions.test(position) ? members : others).insert(number);
    if (llvm::any_of(members, [&](unsigned n) { return others.count(n) != 0; }))
      continue;
    std::vector<unsigned> &asked =
        emitted->asked.emplace_back(members.begin(), members.end());
    return nameOf({direction, emitted.get(), asked},
                  direction == Direction::X ? "root_columns" : "root_rows");
  }
  return {};
}

FlatSymbolRefAttr
CollectiveEmitter::makeSetOf(Direction direction,
                             const llvm::BitVector &positions) {
  if (positions.all())
    return {};
  FlatSymbolRefAttr known = setOf(direction, positions);
  if (known || positions.count() != 1)
    return known;
  // A broadcast that nobody does has its root in a class of its own.
  collectives::Line line;
  line.length = static_cast<unsigned>(positions.size());
  collectives::Request request;
  request.kind = collectives::Kind::Broadcast;
  request.algorithm = collectives::Algorithm::Chain;
  request.root = static_cast<unsigned>(positions.find_first());
  Expected<collectives::CollectivePlan> plan =
      collectives::solve(line, request, collectives::Costs(target));
  if (!plan) {
    llvm::consumeError(plan.takeError());
    return {};
  }
  auto emitted = std::make_unique<Emitted>();
  emitted->direction = direction;
  emitted->firstColor = target.colors;
  emitted->plan = std::move(*plan);
  plans.push_back(std::move(emitted));
  return setOf(direction, positions);
}

std::optional<Guard> CollectiveEmitter::narrowed(const Emitted &emitted,
                                                 const collectives::Step &step,
                                                 const Lines &parts) {
  const bool alongX = emitted.direction == Direction::X;
  Guard guard = guardOf(emitted, step);
  (alongX ? guard.rows : guard.columns) =
      makeSetOf(alongX ? Direction::Y : Direction::X,
                alongX ? parts.rows : parts.columns);
  const llvm::BitVector &along = alongX ? parts.columns : parts.rows;
  if (along.all())
    return guard;
  llvm::BitVector mine(along.size());
  for (auto [at, number] : llvm::enumerate(emitted.plan.classPerPosition()))
    if (along.test(at) && llvm::is_contained(step.classes, number))
      mine.set(at);
  if (mine.none())
    return std::nullopt;
  if (FlatSymbolRefAttr some = makeSetOf(emitted.direction, mine))
    (alongX ? guard.columns : guard.rows) = some;
  return guard;
}

/// Folds `copies` vectors of a star as one instruction. An odd number of f16
/// ends each vector with half a word, so there each is an instruction of its
/// own.
static void foldCopies(Emitter &emitter, Channel from, Ref buffer, Folded what,
                       Guard guard) {
  const bool apart = buffer.type == Word::f16 && what.words % 2 != 0;
  const int64_t times = apart ? std::exchange(what.copies, 1) : 1;
  for (int64_t i = 0; i < times; ++i)
    emitter.receiveFold(from, buffer, what, guard);
}

static Expected<Channel> channelOf(llvm::ArrayRef<int64_t> table,
                                   unsigned color, unsigned limit) {
  int64_t queue = color < table.size() ? table[color] : -1;
  if (queue < 0 || queue >= static_cast<int64_t>(limit))
    return llvm::createStringError(llvm::formatv(
        "color {0} is given queue {1} but a PE has {2}", color, queue, limit));
  return Channel{color, static_cast<unsigned>(queue)};
}

Expected<Channel> CollectiveEmitter::channelIn(unsigned color) const {
  return channelOf(queues.getInput(), color, target.input_queues);
}

Expected<Channel> CollectiveEmitter::channelOut(unsigned color) const {
  return channelOf(queues.getOutput(), color, target.output_queues);
}

Expected<CollectiveEmitter::Emitted *>
CollectiveEmitter::planOf(fabric::CollectiveOpInterface op,
                          routing::Collective &collective) {
  std::optional<uint64_t> color = op.getColor();
  if (!color || *color >= target.colors)
    return llvm::createStringError(
        color ? llvm::formatv("begins at color {0} but the target has {1}",
                              *color, target.colors)
                    .str()
              : "has no color: fabric-route gives it one");
  // Routing sees lines over all stages; they are alike.
  collectives::Line &line = collective.line;
  line.segments = 1;
  line.segments = static_cast<unsigned>(
      (collective.direction == Direction::X ? width : height) /
      static_cast<int64_t>(line.extent()));
  Expected<Emitted *> found = plan(collective, static_cast<unsigned>(*color));
  if (found)
    use(**found);
  return found;
}

Error CollectiveEmitter::emit(Emitter &emitter, const Border &border,
                              Ref buffer, int64_t words) {
  const auto length =
      static_cast<unsigned>(border.direction == Direction::X ? width : height);
  Emitted &emitted = *know(
      border.direction,
      collectives::planBorder(length, border.what, border.up, border.sender),
      border.color);
  use(emitted);
  for (const collectives::Step &step : emitted.steps)
    if (Error error = emitStep(emitter, emitted, step.transfer, buffer,
                               {{}, words}, guardOf(emitted, step)))
      return error;
  return Error::success();
}

Error CollectiveEmitter::emitStep(Emitter &emitter, const Emitted &emitted,
                                  const collectives::Transfer &transfer,
                                  Ref buffer, Folded folded,
                                  Guard guard) const {
  using Kind = collectives::Transfer::Kind;
  if (transfer.kind == Kind::RingFold || transfer.kind == Kind::RingCopy)
    return llvm::createStringError("a ring works on parts of a buffer, which "
                                   "code generation does not know; choose "
                                   "chain, tree or two-phase");
  Channel from, to;
  if (transfer.receives()) {
    Expected<Channel> found = channelIn(emitted.firstColor + transfer.in);
    if (!found)
      return found.takeError();
    from = *found;
  }
  if (transfer.sends()) {
    Expected<Channel> found = channelOut(emitted.firstColor + transfer.out);
    if (!found)
      return found.takeError();
    to = *found;
  }
  switch (transfer.kind) {
  case Kind::Send:
    emitter.send(to, buffer, folded.words, guard);
    break;
  case Kind::Receive:
    emitter.receive(from, buffer, folded.words, guard);
    break;
  case Kind::ReceiveFold:
    folded.copies = static_cast<int64_t>(transfer.copies);
    foldCopies(emitter, from, buffer, folded, guard);
    break;
  case Kind::ReceiveFoldSend:
    emitter.receiveFoldSend(from, to, buffer, folded, guard);
    break;
  case Kind::Rewrite:
    emitter.rewrite(guard);
    break;
  case Kind::RingFold:
  case Kind::RingCopy:
    break; // refused above
  }
  return Error::success();
}

Error CollectiveEmitter::emit(Emitter &emitter,
                              fabric::CollectiveOpInterface op, Ref buffer,
                              const Lines &parts) {
  routing::Collective collective = routing::readCollective(op);
  int64_t elements = 0;
  for (Value value : op.getValues())
    elements += cast<ShapedType>(value.getType()).getNumElements();
  Expected<Emitted *> found = planOf(op, collective);
  if (!found)
    return found.takeError();
  Emitted &emitted = **found;
  const Folded folded{
      mirrored<core::Fold>(collectives::opcodeOf(collective.request.combiner)),
      elements};
  for (const collectives::Step &step : emitted.steps) {
    std::optional<Guard> guard = narrowed(emitted, step, parts);
    if (!guard)
      continue;
    if (Error error =
            emitStep(emitter, emitted, step.transfer, buffer, folded, *guard))
      return error;
  }
  return Error::success();
}

static void createRoute(OpBuilder &builder, const collectives::Route &route,
                        Direction direction, unsigned firstColor,
                        FlatSymbolRefAttr set) {
  MLIRContext *context = builder.getContext();
  SmallVector<Attribute> inputs;
  for (const collectives::Turn &turn : route.inputs)
    inputs.push_back(core::TurnAttr::get(context, sideOf(turn.from, direction),
                                         static_cast<int64_t>(turn.words)));
  int64_t outputs = 0;
  for (collectives::Port port : ports)
    if (route.outputs & port)
      outputs |= int64_t(1) << static_cast<int>(sideOf(port, direction));
  const bool alongX = direction == Direction::X;
  core::RouteOp::create(
      builder, builder.getUnknownLoc(),
      builder.getI64IntegerAttr(firstColor + route.color),
      builder.getArrayAttr(inputs), builder.getI64IntegerAttr(outputs),
      alongX ? set : FlatSymbolRefAttr(), alongX ? FlatSymbolRefAttr() : set);
}

/// Runs that give `classes`: at each position the shortest pattern, up to 64
/// long, that covers the most of what follows. Lines alternate by hop parity
/// and by group, so a handful of runs describe any length.
static ArrayAttr compress(MLIRContext *context,
                          llvm::ArrayRef<int64_t> classes) {
  SmallVector<Attribute> runs;
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
    runs.push_back(core::RunAttr::get(context, classes.slice(at, bestPeriod),
                                      static_cast<int64_t>(bestRepeats)));
    at += bestPeriod * bestRepeats;
  }
  return ArrayAttr::get(context, runs);
}

/// One class per position along `direction`, and for every set in this
/// direction the classes that it became.
void CollectiveEmitter::writeClasses(
    core::RegionOp region, Direction direction,
    std::vector<SmallVector<int64_t>> &contents) const {
  const int64_t extent = direction == Direction::X ? width : height;
  std::vector<std::vector<unsigned>> perPlan;
  SmallVector<const Emitted *> mine;
  for (auto &emitted : plans)
    if (emitted->direction == direction) {
      mine.push_back(emitted.get());
      perPlan.push_back(emitted->plan.classPerPosition());
    }
  std::map<std::vector<unsigned>, int64_t> ids;
  SmallVector<int64_t> classes;
  for (int64_t i = 0; i < extent; ++i) {
    std::vector<unsigned> key;
    for (const std::vector<unsigned> &list : perPlan)
      key.push_back(list[i]);
    classes.push_back(ids.try_emplace(key, ids.size()).first->second);
  }
  for (auto [set, held] : llvm::zip_equal(sets, contents)) {
    if (set.direction != direction)
      continue;
    auto *which = llvm::find(mine, set.emitted);
    for (const auto &[key, id] : ids)
      if (llvm::is_contained(set.classes, key[which - mine.begin()]))
        held.push_back(id);
    llvm::sort(held);
  }
  ArrayAttr runs = compress(region.getContext(), classes);
  if (direction == Direction::X)
    region.setColumnsAttr(runs);
  else
    region.setRowsAttr(runs);
}

void CollectiveEmitter::finish(core::RegionOp region,
                               llvm::ArrayRef<core::ProgramOp> programs) const {
  std::vector<SmallVector<int64_t>> contents(sets.size());
  for (Direction direction : {Direction::X, Direction::Y})
    writeClasses(region, direction, contents);
  auto builder = OpBuilder::atBlockBegin(&region.getBody().front());
  for (auto [set, held] : llvm::zip_equal(sets, contents))
    core::SetOp::create(builder, builder.getUnknownLoc(), set.name.getAttr(),
                        builder.getDenseI64ArrayAttr(held));
  SmallVector<OpBuilder> routes; // in front of the instructions
  for (core::ProgramOp program : programs) {
    Block &body = program.getBody().front();
    routes.emplace_back(&body, llvm::find_if(body, [](Operation &op) {
      return !isa<core::BufferOp, core::BindOp>(op);
    }));
  }
  for (auto &emitted : plans)
    for (unsigned entry : emitted->programs)
      for (const auto &[route, classes] : emitted->routes) {
        auto set =
            llvm::find(sets, Set{emitted->direction, emitted.get(), classes});
        createRoute(routes[entry], route, emitted->direction,
                    emitted->firstColor, set->name);
      }
}
