// A plan is believed only after this: every stream is followed from router to
// router, the transfers of all PEs are played with sets of contributors in
// place of numbers, and at the end each PE that must have the result has every
// member of its group in it, once. Knows nothing of how the solvers choose.

#include "waferloom/Collectives/Collectives.h"

#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <string>

using namespace waferloom::collectives;
using llvm::Error;
using llvm::Twine;

static Error wrong(const Twine &message) {
  return llvm::createStringError("collective plan is wrong: " + message);
}

namespace {

/// Whose vectors are in a sum: positions as sorted intervals [first, last].
class Contributors {
public:
  Contributors() = default;
  explicit Contributors(uint64_t position) : intervals{{position, position}} {}

  /// False when somebody is counted twice. `stride` apart is adjacent.
  bool merge(const Contributors &other, unsigned stride) {
    std::vector<std::pair<uint64_t, uint64_t>> all, merged;
    std::merge(intervals.begin(), intervals.end(), other.intervals.begin(),
               other.intervals.end(), std::back_inserter(all));
    for (auto [first, last] : all) {
      if (merged.empty() || merged.back().second + stride < first) {
        merged.push_back({first, last});
        continue;
      }
      if (first <= merged.back().second)
        return false;
      if ((first - merged.back().second) % stride)
        merged.push_back({first, last});
      else
        merged.back().second = last;
    }
    intervals = std::move(merged);
    return true;
  }
  bool areAll(uint64_t first, uint64_t last) const {
    return intervals.size() == 1 && intervals[0].first == first &&
           intervals[0].second == last;
  }
  bool isOnly(uint64_t position) const { return areAll(position, position); }

private:
  std::vector<std::pair<uint64_t, uint64_t>> intervals;
};

using Stream = std::deque<Contributors>;

/// Where the words of one sender and color go.
struct Path {
  std::vector<uint64_t> receivers;
  /// Routers on the way whose turns count words, and the input they come by.
  std::vector<std::pair<uint64_t, Port>> counted;
};

class Player {
public:
  Player(const Line &line, const Request &request, const CollectivePlan &plan)
      : line(line), request(request), plan(plan),
        classes(plan.classPerPosition()) {}

  Error run();

private:
  Error checkRouters() const;
  Error checkTransfer(uint64_t pe, const Transfer &transfer) const;
  llvm::Expected<const Path *> pathOf(uint64_t pe, unsigned color);
  Error follow(uint64_t sender, unsigned color, Path &path);
  Error put(uint64_t pe, unsigned color, const Contributors &, uint64_t words);
  /// Does what PE can do now.
  Error advance(uint64_t pe);
  Error round(uint64_t pe, const Transfer &transfer, bool &blocked);
  Error checkEnd() const;
  Error checkTurns() const;

  uint64_t segmentSize() const { return uint64_t(line.length) * line.stride; }
  uint64_t digitOf(uint64_t pe) const {
    return pe % segmentSize() / line.stride;
  }
  const ClassProgram &programOf(uint64_t pe) const {
    return plan.classes[classes[pe]];
  }
  const Route *routeOf(uint64_t pe, unsigned color) const {
    for (const Route &route : programOf(pe).routes)
      if (route.color == color)
        return &route;
    return nullptr;
  }
  bool isRing(const Transfer &transfer) const {
    return transfer.kind == Transfer::Kind::RingFold ||
           transfer.kind == Transfer::Kind::RingCopy;
  }

  struct PE {
    std::vector<Contributors> parts;
    size_t transfer = 0;
    uint64_t round = 0; // of the current transfer
    bool sent = false;  // in the current round
  };

  const Line &line;
  const Request &request;
  const CollectivePlan &plan;
  std::vector<unsigned> classes;
  std::vector<PE> pes;
  std::map<std::pair<uint64_t, unsigned>, Stream> queues;
  std::map<std::pair<uint64_t, unsigned>, Path> traced;
  /// Words by router, color and input.
  std::map<std::tuple<uint64_t, unsigned, Port>, uint64_t> carried;
  std::deque<uint64_t> work;
};

} // namespace

static std::string at(uint64_t pe) { return "PE " + std::to_string(pe); }
static std::string named(unsigned color) {
  return "color " + std::to_string(color);
}

Error Player::checkRouters() const {
  for (uint64_t pe = 0; pe < classes.size(); ++pe) {
    std::set<unsigned> seen;
    for (const Route &route : programOf(pe).routes) {
      if (route.color >= plan.colors)
        return wrong(at(pe) + " routes " + named(route.color) + " of " +
                     Twine(plan.colors));
      if (!seen.insert(route.color).second)
        return wrong(at(pe) + " routes " + named(route.color) + " twice");
      if (route.inputs.empty() || !route.outputs)
        return wrong(at(pe) + " routes " + named(route.color) +
                     " from or to nowhere");
      for (const Turn &turn : route.inputs) {
        if (turn.from & route.outputs)
          return wrong(at(pe) + " sends " + named(route.color) +
                       " back where it came from");
        if ((turn.words == 0) != (route.inputs.size() == 1))
          return wrong(at(pe) + " takes turns without end on " +
                       named(route.color));
      }
    }
    for (const Transfer &transfer : programOf(pe).transfers)
      if (Error error = checkTransfer(pe, transfer))
        return error;
  }
  return Error::success();
}

Error Player::checkTransfer(uint64_t pe, const Transfer &transfer) const {
  if (transfer.copies == 0)
    return wrong(at(pe) + " has a transfer that does nothing");
  if (isRing(transfer) && transfer.copies != line.length - 1)
    return wrong(at(pe) + " takes " + Twine(transfer.copies) +
                 " rounds in a ring of " + Twine(line.length));
  if (transfer.sends()) {
    const Route *route = routeOf(pe, transfer.out);
    if (!route || std::none_of(route->inputs.begin(), route->inputs.end(),
                               [](const Turn &t) { return t.from == Ramp; }))
      return wrong(at(pe) + " sends on " + named(transfer.out) +
                   ", which its router does not take");
  }
  if (transfer.receives()) {
    const Route *route = routeOf(pe, transfer.in);
    if (!route || !(route->outputs & Ramp))
      return wrong(at(pe) + " receives " + named(transfer.in) +
                   ", which its router does not give");
  }
  return Error::success();
}

Error Player::follow(uint64_t sender, unsigned color, Path &path) {
  std::vector<std::pair<uint64_t, Port>> open = {{sender, Ramp}};
  std::set<std::pair<uint64_t, Port>> passed;
  while (!open.empty()) {
    auto [pe, from] = open.back();
    open.pop_back();
    if (!passed.insert({pe, from}).second)
      return wrong(named(color) + " from " + at(sender) + " runs in a circle");
    const Route *route = routeOf(pe, color);
    bool taken = false;
    if (route)
      for (const Turn &turn : route->inputs)
        if (turn.from == from) {
          taken = true;
          if (turn.words)
            path.counted.push_back({pe, from});
        }
    if (!taken)
      return wrong(named(color) + " from " + at(sender) + " arrives at " +
                   at(pe) + ", which has no route for it");
    if (route->outputs & Ramp)
      path.receivers.push_back(pe);
    for (Port side : {Low, High}) {
      if (!(route->outputs & side))
        continue;
      const uint64_t first = sender / segmentSize() * segmentSize();
      const uint64_t edge = side == Low ? first : first + segmentSize() - 1;
      if (pe == edge)
        return wrong(named(color) + " from " + at(sender) +
                     " leaves its segment at " + at(pe));
      open.push_back({side == Low ? pe - 1 : pe + 1, side == Low ? High : Low});
    }
  }
  return Error::success();
}

llvm::Expected<const Path *> Player::pathOf(uint64_t pe, unsigned color) {
  auto [known, isNew] = traced.try_emplace({pe, color});
  if (isNew)
    if (Error error = follow(pe, color, known->second))
      return std::move(error);
  return &known->second;
}

Error Player::put(uint64_t pe, unsigned color, const Contributors &value,
                  uint64_t words) {
  auto to = pathOf(pe, color);
  if (!to)
    return to.takeError();
  if ((*to)->receivers.empty())
    return wrong(named(color) + " from " + at(pe) + " reaches nobody");
  for (uint64_t receiver : (*to)->receivers) {
    queues[{receiver, color}].push_back(value);
    work.push_back(receiver);
  }
  for (const auto &[router, from] : (*to)->counted)
    carried[{router, color, from}] += words;
  return Error::success();
}

Error Player::round(uint64_t pe, const Transfer &transfer, bool &blocked) {
  PE &state = pes[pe];
  const bool ring = isRing(transfer);
  const uint64_t length = line.length, digit = digitOf(pe);
  uint64_t sendPart = 0, takePart = 0;
  uint64_t words = request.words;
  if (ring) {
    const uint64_t start = transfer.kind == Transfer::Kind::RingFold ? 0 : 1;
    sendPart = (digit + start + length - state.round) % length;
    takePart = (sendPart + length - 1) % length;
    words = (request.words + length - 1) / length;
  }
  const bool forwards = transfer.kind == Transfer::Kind::ReceiveFoldSend;
  if (transfer.sends() && !forwards && !state.sent) {
    state.sent = true;
    if (Error error = put(pe, transfer.out, state.parts[sendPart], words))
      return error;
  }
  if (transfer.receives()) {
    Stream &queue = queues[{pe, transfer.in}];
    if (queue.empty()) {
      blocked = true;
      return Error::success();
    }
    Contributors value = std::move(queue.front());
    queue.pop_front();
    const bool folds = transfer.kind != Transfer::Kind::Receive &&
                       transfer.kind != Transfer::Kind::RingCopy;
    if (folds && !value.merge(state.parts[takePart], line.stride))
      return wrong(at(pe) + " counts a vector twice");
    if (forwards) {
      if (Error error = put(pe, transfer.out, value, words))
        return error;
    } else {
      state.parts[takePart] = std::move(value);
    }
  }
  state.sent = false;
  return Error::success();
}

Error Player::advance(uint64_t pe) {
  PE &state = pes[pe];
  const auto &transfers = programOf(pe).transfers;
  while (state.transfer < transfers.size()) {
    const Transfer &transfer = transfers[state.transfer];
    bool blocked = false;
    if (transfer.kind != Transfer::Kind::Rewrite)
      if (Error error = round(pe, transfer, blocked))
        return error;
    if (blocked)
      return Error::success();
    if (++state.round == transfer.copies) {
      state.round = 0;
      ++state.transfer;
    }
  }
  return Error::success();
}

Error Player::checkTurns() const {
  for (uint64_t pe = 0; pe < classes.size(); ++pe)
    for (const Route &route : programOf(pe).routes)
      for (const Turn &turn : route.inputs) {
        if (turn.words == 0)
          continue;
        auto seen = carried.find({pe, route.color, turn.from});
        const uint64_t words = seen == carried.end() ? 0 : seen->second;
        if (words != turn.words)
          return wrong(at(pe) + " gives " + Twine(turn.words) + " words of " +
                       named(route.color) + " a turn but " + Twine(words) +
                       " come");
      }
  return Error::success();
}

Error Player::checkEnd() const {
  for (uint64_t pe = 0; pe < pes.size(); ++pe) {
    if (pes[pe].transfer < programOf(pe).transfers.size())
      return wrong(at(pe) + " waits without end in transfer " +
                   Twine(pes[pe].transfer));
    const uint64_t minor = pe % line.stride;
    const uint64_t first = pe / segmentSize() * segmentSize() + minor;
    const uint64_t last = first + uint64_t(line.length - 1) * line.stride;
    const uint64_t root = first + uint64_t(request.root) * line.stride;
    if (request.kind == Kind::Reduce && pe != root)
      continue;
    for (const Contributors &part : pes[pe].parts)
      if (request.kind == Kind::Broadcast ? !part.isOnly(root)
                                          : !part.areAll(first, last))
        return wrong(at(pe) + " ends without the result");
  }
  for (const auto &[end, queue] : queues)
    if (!queue.empty())
      return wrong(at(end.first) + " leaves words on " + named(end.second));
  return checkTurns();
}

Error Player::run() {
  if (classes.size() != line.extent())
    return wrong("it has " + Twine(classes.size()) + " PEs, the line " +
                 Twine(line.extent()));
  for (unsigned id : classes)
    if (id >= plan.classes.size())
      return wrong("class " + Twine(id) + " of " + Twine(plan.classes.size()));
  if (Error error = checkRouters())
    return error;
  bool ring = false;
  for (const ClassProgram &program : plan.classes)
    for (const Transfer &transfer : program.transfers)
      ring |= isRing(transfer);
  pes.resize(classes.size());
  for (uint64_t pe = 0; pe < pes.size(); ++pe) {
    pes[pe].parts.assign(ring ? line.length : 1, Contributors(pe));
    work.push_back(pe);
  }
  while (!work.empty()) {
    const uint64_t pe = work.front();
    work.pop_front();
    if (Error error = advance(pe))
      return error;
  }
  return checkEnd();
}

Error waferloom::collectives::verify(const Line &line, const Request &request,
                                     const CollectivePlan &plan) {
  return Player(line, request, plan).run();
}
