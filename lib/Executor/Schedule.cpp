#include "Schedule.h"
#include "llvm/ADT/Hashing.h"
#include <algorithm>
#include <unordered_map>

using namespace llvm;

namespace waferloom::executor {

namespace {
using Key = std::vector<uint32_t>;
struct KeyHash {
  size_t operator()(const Key &key) const {
    return hash_combine_range(key.begin(), key.end());
  }
};
template <typename Value>
using KeyMap = std::unordered_map<Key, Value, KeyHash>;

struct Kind {
  uint32_t region, program;
  uint32_t turn = 0, progress = 0; // acts of the turn's run that are done
  bool fresh = true;               // the turn's tape is to be done
  bool ended = false;
  std::vector<uint32_t> pes;
};

/// What an exchange was found to do.
struct Exchange {
  uint32_t lines;
  std::vector<uint32_t> done; // by kind
  std::vector<GateState> gates;
};

class Scheduler {
public:
  Scheduler(const PreparedEntry &prepared, const Streams &streams,
            uint32_t issueCycles)
      : prepared(prepared), streams(streams), issueCycles(issueCycles) {}

  std::unique_ptr<Schedule> run();

private:
  void makeKinds();
  void describeLinks();
  bool tapes(Phase &phase);
  bool exchange(Phase &phase);
  Exchange find();
  std::vector<std::vector<uint32_t>> components();
  bool split(const std::vector<uint32_t> &done);
  Key keyOfKinds() const;
  uint64_t begunBy(const Kind &kind, bool beforeTape) const;
  const Turn &turnOf(const Kind &kind) const {
    return out->turns.programs[kind.region][kind.program][kind.turn];
  }
  ArrayRef<RunAct> runOf(const Kind &kind) const {
    if (kind.ended)
      return {};
    return ArrayRef(out->turns.runs[turnOf(kind).run])
        .drop_front(kind.progress);
  }
  void advance(Kind &kind, uint32_t done);

  const PreparedEntry &prepared;
  const Streams &streams;
  uint32_t issueCycles;
  std::unique_ptr<Schedule> out = std::make_unique<Schedule>();
  std::vector<Kind> kinds;
  std::vector<GateState> gates;
  std::vector<uint32_t> linksOf; // by PE: PEs of equal links have equal numbers
  KeyMap<Exchange> known;
  KeyMap<uint32_t> stateOf, lineOf, setOf;
};
} // namespace

/// Whether streams of a color run along x (1), along y (2), or both (3).
static std::vector<uint8_t> axesOf(const Streams &streams) {
  std::vector<uint8_t> axes(std::max(1u, streams.colors), 0);
  for (const Consumer &consumer : streams.consumers) {
    const Place &from = streams.places[streams.producers[consumer.producer].pe];
    const Place &to = streams.places[consumer.pe];
    axes[consumer.color] |= (from.x != to.x ? 1 : 0) | (from.y != to.y ? 2 : 0);
  }
  return axes;
}

void Scheduler::makeKinds() {
  std::vector<uint32_t> first(prepared.regions.size());
  for (uint32_t r = 0; r < prepared.regions.size(); ++r) {
    first[r] = static_cast<uint32_t>(kinds.size());
    for (uint32_t p = 0; p < prepared.regions[r].programs.size(); ++p) {
      kinds.emplace_back();
      kinds.back().region = r;
      kinds.back().program = p;
      out->parentOf.push_back(none);
    }
  }
  for (uint32_t pe = 0; pe < streams.places.size(); ++pe) {
    const Place &at = streams.places[pe];
    kinds[first[at.region] + at.program].pes.push_back(pe);
    out->kindOf.push_back(first[at.region] + at.program);
  }
  for (Kind &kind : kinds)
    kind.ended = kind.pes.empty();
}

/// Two PEs have equal links when whatever they send goes equally far to equally
/// distant PEs, and their routers take equal turns. PEs and what is measured
/// from them are differences of indices.
void Scheduler::describeLinks() {
  std::vector<Key> links(streams.places.size());
  for (const Producer &producer : streams.producers) {
    Key &key = links[producer.pe];
    key.push_back(producer.color | (producer.gate != none ? 256 : 0));
    key.push_back(producer.consumers.count);
    for (uint32_t c = 0; c < producer.consumers.count; ++c) {
      const Consumer &consumer =
          streams.consumers[producer.consumers.first + c];
      key.push_back(consumer.pe - producer.pe);
      key.push_back(consumer.delay);
      key.push_back(consumer.window);
      key.push_back(consumer.gate != none);
    }
    if (producer.gate == none)
      continue;
    const Gate &gate = streams.gates[producer.gate];
    key.push_back(gate.turns.count);
    for (uint32_t t = 0; t < gate.turns.count; ++t) {
      const GateTurn &turn = streams.turns[gate.turns.first + t];
      const Producer &from =
          streams.producers[streams.consumers[turn.consumer].producer];
      key.push_back(from.pe - producer.pe);
      key.push_back(from.gate != none);
      key.push_back(turn.words);
    }
  }
  KeyMap<uint32_t> numbers;
  for (Key &key : links)
    linksOf.push_back(
        numbers.try_emplace(std::move(key), uint32_t(numbers.size()))
            .first->second);
}

Key Scheduler::keyOfKinds() const {
  Key key;
  for (const Kind &kind : kinds) {
    key.push_back(kind.ended ? none : turnOf(kind).run);
    key.push_back(kind.progress);
  }
  for (const GateState &gate : gates) {
    key.push_back(gate.turn);
    key.push_back(gate.given);
  }
  return key;
}

/// Instructions that PEs of a kind have begun, without the tape or with it.
uint64_t Scheduler::begunBy(const Kind &kind, bool beforeTape) const {
  if (kind.ended)
    return 0;
  const Turn &turn = turnOf(kind);
  if (beforeTape)
    return turn.begun;
  uint64_t begun = turn.begun + out->turns.tapes[turn.tape].size();
  for (uint32_t k = 0; k < kind.progress; ++k)
    begun += !image::isControl(
        out->turns.acts[out->turns.runs[turn.run][k].act].instruction->op);
  return begun;
}

/// The tapes of kinds that have come to a new turn. False: none has.
bool Scheduler::tapes(Phase &phase) {
  bool any = false;
  std::map<uint32_t, Key> kindsOf; // by tape
  for (uint32_t k = 0; k < kinds.size(); ++k) {
    Kind &kind = kinds[k];
    phase.begun.push_back(begunBy(kind, kind.fresh));
    phase.begunAfterTape.push_back(begunBy(kind, false));
    phase.cycles.push_back(!kind.ended && kind.fresh ? turnOf(kind).cycles : 0);
    if (kind.ended || !kind.fresh)
      continue;
    any = true;
    kind.fresh = false;
    if (turnOf(kind).tape != 0)
      kindsOf[turnOf(kind).tape].push_back(k);
  }
  for (auto &[tape, list] : kindsOf) {
    Key key = list;
    key.push_back(static_cast<uint32_t>(kinds.size()));
    auto [it, fresh] =
        setOf.try_emplace(key, static_cast<uint32_t>(out->sets.size()));
    if (fresh) {
      std::vector<uint32_t> pes;
      for (uint32_t k : list)
        pes.insert(pes.end(), kinds[k].pes.begin(), kinds[k].pes.end());
      std::sort(pes.begin(), pes.end());
      out->sets.push_back(std::move(pes));
    }
    phase.tapes.push_back({tape, it->second});
  }
  return any;
}

void Scheduler::advance(Kind &kind, uint32_t done) {
  kind.progress += done;
  if (kind.progress < out->turns.runs[turnOf(kind).run].size())
    return;
  kind.progress = 0;
  kind.fresh = true;
  ++kind.turn;
  kind.ended =
      kind.turn == out->turns.programs[kind.region][kind.program].size();
}

/// PEs whose runs may move words to each other, each list ascending.
std::vector<std::vector<uint32_t>> Scheduler::components() {
  std::vector<uint32_t> parent(streams.places.size(), none);
  auto root = [&](uint32_t pe) {
    while (parent[pe] != pe)
      pe = parent[pe] = parent[parent[pe]];
    return pe;
  };
  for (const Kind &kind : kinds)
    if (!runOf(kind).empty())
      for (uint32_t pe : kind.pes)
        parent[pe] = pe;
  std::vector<uint32_t> todo;
  auto join = [&](uint32_t pe, uint32_t producer) {
    todo.assign(1, producer);
    while (!todo.empty()) {
      Range range = streams.producers[todo.back()].consumers;
      todo.pop_back();
      for (uint32_t c = range.first; c < range.first + range.count; ++c) {
        const Consumer &consumer = streams.consumers[c];
        if (consumer.gate != none)
          todo.push_back(streams.gates[consumer.gate].producer);
        // The smallest is the root, so that lists come out in order.
        if (consumer.gate != none || parent[consumer.pe] == none)
          continue;
        uint32_t a = root(pe), b = root(consumer.pe);
        parent[std::max(a, b)] = std::min(a, b);
      }
    }
  };
  for (const Kind &kind : kinds) {
    std::vector<uint8_t> colors;
    for (const RunAct &act : runOf(kind)) {
      const Instruction &instruction = *out->turns.acts[act.act].instruction;
      if (image::sends(instruction.op) &&
          !is_contained(colors, instruction.outColor))
        colors.push_back(instruction.outColor);
    }
    for (uint8_t color : colors)
      for (uint32_t pe : kind.pes)
        join(pe, streams.sourceOf(pe, color));
  }
  std::vector<std::vector<uint32_t>> lists;
  std::vector<uint32_t> index(streams.places.size(), none);
  for (uint32_t pe = 0; pe < parent.size(); ++pe) {
    if (parent[pe] == none)
      continue;
    uint32_t &at = index[root(pe)];
    if (at == none) {
      at = static_cast<uint32_t>(lists.size());
      lists.emplace_back();
    }
    lists[at].push_back(pe);
  }
  return lists;
}

/// Splits kinds whose PEs did not all do the same. `done` is by PE.
bool Scheduler::split(const std::vector<uint32_t> &done) {
  bool any = false;
  for (uint32_t k = 0, n = static_cast<uint32_t>(kinds.size()); k < n; ++k) {
    std::map<uint32_t, std::vector<uint32_t>> parts;
    for (uint32_t pe : kinds[k].pes)
      parts[done[pe]].push_back(pe);
    if (parts.size() < 2)
      continue;
    any = true;
    kinds[k].pes = std::move(parts.begin()->second);
    for (auto it = std::next(parts.begin()); it != parts.end(); ++it) {
      auto fresh = static_cast<uint32_t>(kinds.size());
      Kind part = kinds[k];
      part.pes = std::move(it->second);
      for (uint32_t pe : part.pes)
        out->kindOf[pe] = fresh;
      kinds.push_back(std::move(part));
      out->parentOf.push_back(k);
    }
  }
  return any;
}

/// Finds the lines of an exchange and what they do.
Exchange Scheduler::find() {
  std::vector<uint32_t> done(streams.places.size(), 0);
  std::vector<LinePlaces> places;
  std::vector<uint32_t> at; // line -> index in places
  std::vector<GateState> after = gates;
  std::vector<uint32_t> states; // by kind
  for (const Kind &kind : kinds) {
    Key state;
    if (!kind.ended)
      state = {turnOf(kind).run, kind.progress};
    states.push_back(
        stateOf.try_emplace(std::move(state), uint32_t(stateOf.size()))
            .first->second);
  }
  for (const std::vector<uint32_t> &pes : components()) {
    Key key;
    for (uint32_t pe : pes) {
      key.push_back(pe - pes.front());
      key.push_back(states[out->kindOf[pe]]);
      key.push_back(linksOf[pe]);
    }
    if (!gates.empty()) // whose states are not in the key
      key.push_back(static_cast<uint32_t>(out->lines.size()));
    auto [it, fresh] = lineOf.try_emplace(std::move(key), none);
    if (fresh) {
      std::vector<Member> members;
      for (uint32_t pe : pes)
        members.push_back({pe, runOf(kinds[out->kindOf[pe]])});
      it->second = static_cast<uint32_t>(out->lines.size());
      out->lines.push_back(orderLine(streams, out->turns, members, after));
    }
    const Line &line = out->lines[it->second];
    for (size_t i = 0; i < pes.size(); ++i)
      done[pes[i]] = line.done[i];
    if (line.ops.empty())
      continue;
    at.resize(out->lines.size(), none);
    if (at[it->second] == none) {
      at[it->second] = static_cast<uint32_t>(places.size());
      places.push_back({it->second, {}});
    }
    places[at[it->second]].bases.push_back(pes.front());
  }
  split(done);
  Exchange found;
  found.lines = static_cast<uint32_t>(out->exchanges.size());
  found.gates = std::move(after);
  for (const Kind &kind : kinds)
    found.done.push_back(kind.pes.empty() ? 0 : done[kind.pes.front()]);
  out->exchanges.push_back(std::move(places));
  return found;
}

/// The exchange after the tapes. False: nothing could be done.
bool Scheduler::exchange(Phase &phase) {
  Key key = keyOfKinds();
  auto it = known.find(key);
  if (it == known.end()) {
    Exchange found = find();
    it = known.try_emplace(keyOfKinds(), std::move(found)).first;
  }
  phase.lines = it->second.lines;
  gates = it->second.gates;
  bool any = false;
  for (size_t k = 0; k < kinds.size(); ++k) {
    any |= it->second.done[k] != 0;
    if (!kinds[k].ended)
      advance(kinds[k], it->second.done[k]);
  }
  return any;
}

std::unique_ptr<Schedule> Scheduler::run() {
  // A tenth of a gigabyte of acts at most.
  std::optional<Turns> turns =
      unroll(prepared, axesOf(streams), issueCycles, 16'000'000);
  if (!turns)
    return nullptr;
  out->turns = std::move(*turns);
  gates.resize(streams.gates.size());
  makeKinds();
  describeLinks();
  auto ended = [](const Kind &kind) { return kind.ended; };
  while (!all_of(kinds, ended)) {
    Phase phase;
    bool any = tapes(phase);
    any |= exchange(phase);
    if (!any)
      return nullptr;
    out->phases.push_back(std::move(phase));
  }
  return std::move(out);
}

std::unique_ptr<Schedule> makeSchedule(const PreparedEntry &prepared,
                                       const Streams &streams,
                                       uint32_t issueCycles) {
  return Scheduler(prepared, streams, issueCycles).run();
}

} // namespace waferloom::executor
