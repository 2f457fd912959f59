#include "Schedule.h"
#include "Components.h"
#include "Interrupt.h"
#include "llvm/ADT/Hashing.h"
#include "llvm/ADT/SmallVectorExtras.h"
#include <algorithm>
#include <unordered_map>

using namespace llvm;

namespace waferloom::executor {

/// Words of an exchange group's buffer: a gigabyte for sixteen PEs.
static constexpr uint32_t mostWords = 1 << 24;

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
  uint32_t segment = 0, progress = 0; // acts of its sequence that are done
  bool fresh = true;                  // the compute block is to be done
  bool ended = false;
  std::vector<uint32_t> pes;
};

/// What the PEs of a kind do next; equal numbers do the same.
struct KindState {
  uint32_t number;
  std::vector<uint8_t> colors; // sent on
};

/// What an exchange was found to do.
struct Exchange {
  uint32_t exchange;
  std::vector<uint32_t> done; // by kind
  std::vector<GateState> gates;
};

class Scheduler {
public:
  Scheduler(const PreparedEntry &prepared, const Streams &streams,
            uint32_t issueCycles, Interrupt *interrupt)
      : prepared(prepared), streams(streams), issueCycles(issueCycles),
        interrupt(interrupt), joiner(streams) {}

  std::unique_ptr<Schedule> run();

private:
  void makeKinds();
  void describeLinks();
  bool computeBlocks(Superstep &superstep);
  bool exchange(Superstep &superstep);
  Exchange find();
  bool findGroup(const Component &component, ArrayRef<KindState> states,
                 std::vector<GroupPlaces> &places,
                 std::vector<GateState> &after);
  std::vector<Component> components(ArrayRef<KindState> states);
  std::vector<uint8_t> colorsOf(const Kind &kind) const;
  BitVector takenBy(const Kind &kind) const;
  void describe(const Component &component, ArrayRef<KindState> states,
                Key &key) const;
  void split();
  Key keyOfKinds() const;
  uint64_t begunBy(const Kind &kind, bool beforeCompute) const;
  const Segment &segmentOf(const Kind &kind) const {
    return out->segments.programs[kind.region][kind.program][kind.segment];
  }
  ArrayRef<SequenceAct> sequenceOf(const Kind &kind) const {
    if (kind.ended)
      return {};
    return ArrayRef(out->segments.sequences[segmentOf(kind).sequence])
        .drop_front(kind.progress);
  }
  void advance(Kind &kind, uint32_t done);
  bool isInterrupted(uint64_t work) const {
    return interrupt && interrupt->due(work);
  }

  const PreparedEntry &prepared;
  const Streams &streams;
  uint32_t issueCycles;
  Interrupt *interrupt;
  bool tooLong = false; // what an exchange group exchanges at once
  std::unique_ptr<Schedule> out = std::make_unique<Schedule>();
  Joiner joiner;
  std::vector<Kind> kinds;
  // Of the exchange that is found.
  std::vector<uint32_t> done;    // by PE: acts
  std::vector<uint32_t> placeOf; // by group: index into its places
  Key key;                       // of a component
  std::vector<GateState> gates;
  std::vector<uint32_t> linksOf; // by producer: equal links, equal numbers
  KeyMap<Exchange> known;
  KeyMap<uint32_t> stateOf, groupOf, setOf;
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

/// Where a producer's words go: PEs are differences of indices.
static void describeWay(const Streams &streams, const Producer &producer,
                        Key &key) {
  key.push_back(producer.color | (producer.gate != none ? 256 : 0));
  key.push_back(producer.way);
  key.push_back(producer.consumers.count);
  for (uint32_t c = 0; c < producer.consumers.count; ++c) {
    const Consumer &consumer = streams.consumers[producer.consumers.first + c];
    key.push_back(consumer.pe - producer.pe);
    key.push_back(consumer.delay);
    key.push_back(consumer.window);
    key.push_back(consumer.gate != none);
  }
}

/// Two producers have equal links when words go the same way to equally distant
/// PEs; gates when their inputs come from equally distant PEs, too, and have
/// equal turns.
void Scheduler::describeLinks() {
  KeyMap<uint32_t> numbers;
  Key key;
  linksOf.reserve(streams.producers.size());
  for (const Producer &producer : streams.producers) {
    if (isInterrupted(16))
      return; // run() gives it up
    key.clear();
    describeWay(streams, producer, key);
    if (producer.gate != none) {
      const Gate &gate = streams.gates[producer.gate];
      for (uint32_t t = 0; t < gate.turns.count; ++t) {
        const GateTurn &turn = streams.turns[gate.turns.first + t];
        const Producer &from =
            streams.producers[streams.consumers[turn.consumer].producer];
        key.push_back(from.pe - producer.pe);
        key.push_back(from.gate != none);
        key.push_back(turn.words);
      }
    }
    linksOf.push_back(
        numbers.try_emplace(key, uint32_t(numbers.size())).first->second);
  }
}

/// The colors that a kind's sequence sends on.
std::vector<uint8_t> Scheduler::colorsOf(const Kind &kind) const {
  std::vector<uint8_t> colors;
  for (const SequenceAct &act : sequenceOf(kind)) {
    const Instruction &instruction = *out->segments.acts[act.act].instruction;
    if (image::sends(instruction.op) &&
        !is_contained(colors, instruction.outColor))
      colors.push_back(instruction.outColor);
  }
  return colors;
}

Key Scheduler::keyOfKinds() const {
  Key key;
  for (const Kind &kind : kinds) {
    key.push_back(kind.ended ? none : segmentOf(kind).sequence);
    key.push_back(kind.progress);
  }
  for (uint32_t g = 0; g < gates.size(); ++g)
    if (gates[g].turn != 0 || gates[g].given != 0)
      key.insert(key.end(), {g, gates[g].turn, gates[g].given});
  return key;
}

/// Instructions that PEs of a kind have begun, without the compute block or
/// with it.
uint64_t Scheduler::begunBy(const Kind &kind, bool beforeCompute) const {
  if (kind.ended)
    return 0;
  const Segment &segment = segmentOf(kind);
  if (beforeCompute)
    return segment.begun;
  uint64_t begun =
      segment.begun + out->segments.computeBlocks[segment.computeBlock].size();
  for (uint32_t k = 0; k < kind.progress; ++k)
    begun += !image::isControl(
        out->segments.acts[out->segments.sequences[segment.sequence][k].act]
            .instruction->op);
  return begun;
}

/// The compute blocks of kinds that have come to a new segment. False: none
/// has.
bool Scheduler::computeBlocks(Superstep &superstep) {
  bool any = false;
  std::map<uint32_t, Key> kindsOf; // by compute block
  for (uint32_t k = 0; k < kinds.size(); ++k) {
    Kind &kind = kinds[k];
    superstep.begun.push_back(begunBy(kind, kind.fresh));
    superstep.begunAfterCompute.push_back(begunBy(kind, false));
    superstep.cycles.push_back(
        !kind.ended && kind.fresh ? segmentOf(kind).cycles : 0);
    if (kind.ended || !kind.fresh)
      continue;
    any = true;
    kind.fresh = false;
    if (segmentOf(kind).computeBlock != 0)
      kindsOf[segmentOf(kind).computeBlock].push_back(k);
  }
  for (auto &[computeBlock, list] : kindsOf) {
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
    superstep.computeBlocks.push_back({computeBlock, it->second});
  }
  return any;
}

void Scheduler::advance(Kind &kind, uint32_t done) {
  kind.progress += done;
  if (kind.progress < out->segments.sequences[segmentOf(kind).sequence].size())
    return;
  kind.progress = 0;
  kind.fresh = true;
  ++kind.segment;
  kind.ended =
      kind.segment == out->segments.programs[kind.region][kind.program].size();
}

/// The colors of which a kind's sequence takes words.
BitVector Scheduler::takenBy(const Kind &kind) const {
  BitVector colors(streams.colors);
  for (const SequenceAct &act : sequenceOf(kind)) {
    const Instruction &instruction = *out->segments.acts[act.act].instruction;
    if (image::receives(instruction.op))
      colors.set(instruction.inColor);
  }
  return colors;
}

/// `states` are of kinds.
std::vector<Component> Scheduler::components(ArrayRef<KindState> states) {
  const auto taken =
      map_to_vector(kinds, [&](const Kind &kind) { return takenBy(kind); });
  joiner.begin(out->kindOf, taken);
  for (const Kind &kind : kinds)
    if (!sequenceOf(kind).empty())
      for (uint32_t pe : kind.pes)
        joiner.add(pe);
  // In the order in which streams lie in memory.
  for (uint32_t pe = 0; pe < streams.places.size(); ++pe)
    for (uint8_t color : states[out->kindOf[pe]].colors)
      joiner.join(pe, streams.sourceOf(pe, color));
  return joiner.components();
}

/// Splits kinds whose PEs did not all do the same.
void Scheduler::split() {
  for (uint32_t k = 0, n = static_cast<uint32_t>(kinds.size()); k < n; ++k) {
    const std::vector<uint32_t> &pes = kinds[k].pes;
    if (pes.empty() || sequenceOf(kinds[k]).empty() ||
        all_of(pes, [&](uint32_t pe) { return done[pe] == done[pes[0]]; }))
      continue;
    std::map<uint32_t, std::vector<uint32_t>> parts;
    for (uint32_t pe : pes)
      parts[done[pe]].push_back(pe);
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
}

/// Components of equal keys do the same. `states` are of kinds.
void Scheduler::describe(const Component &component, ArrayRef<KindState> states,
                         Key &key) const {
  key.clear();
  uint32_t first = component.pes.front();
  for (uint32_t pe : component.pes) {
    const KindState &state = states[out->kindOf[pe]];
    key.push_back(pe - first);
    key.push_back(state.number);
    for (uint8_t color : state.colors)
      key.push_back(linksOf[streams.sourceOf(pe, color)]);
  }
  for (uint32_t gate : component.gates) {
    uint32_t producer = streams.gates[gate].producer;
    key.push_back(streams.producers[producer].pe - first);
    key.push_back(linksOf[producer]);
    key.push_back(gates[gate].turn);
    key.push_back(gates[gate].given);
  }
}

/// Finds what a component does, and where. False: nothing.
bool Scheduler::findGroup(const Component &component,
                          ArrayRef<KindState> states,
                          std::vector<GroupPlaces> &places,
                          std::vector<GateState> &after) {
  ArrayRef<uint32_t> pes = component.pes;
  describe(component, states, key);
  auto [it, fresh] = groupOf.try_emplace(key, none);
  if (fresh) {
    std::vector<Member> members;
    for (uint32_t pe : pes)
      members.push_back({pe, sequenceOf(kinds[out->kindOf[pe]])});
    it->second = static_cast<uint32_t>(out->groups.size());
    out->groups.push_back(orderGroup(streams, out->segments, members, gates));
    tooLong |= out->groups.back().words > mostWords;
  }
  const ExchangeGroup &group = out->groups[it->second];
  for (size_t i = 0; i < pes.size(); ++i)
    done[pes[i]] = group.done[i];
  for (const GroupGate &gate : group.gates)
    after[streams.gateAt(pes.front() + gate.pe, gate.color)] = gate.after;
  if (group.ops.empty())
    return false;
  placeOf.resize(out->groups.size(), none);
  if (placeOf[it->second] == none) {
    placeOf[it->second] = static_cast<uint32_t>(places.size());
    places.push_back({it->second, {}});
  }
  places[placeOf[it->second]].bases.push_back(pes.front());
  return true;
}

/// Finds the groups of an exchange and what they do.
Exchange Scheduler::find() {
  done.assign(streams.places.size(), 0);
  std::vector<GroupPlaces> places;
  std::vector<GateState> after = gates;
  std::vector<KindState> states;
  placeOf.clear();
  for (const Kind &kind : kinds) {
    Key state;
    if (!kind.ended)
      state = {segmentOf(kind).sequence, kind.progress};
    uint32_t number =
        stateOf.try_emplace(std::move(state), uint32_t(stateOf.size()))
            .first->second;
    states.push_back({number, colorsOf(kind)});
  }
  for (const Component &component : components(states)) {
    if (isInterrupted(component.pes.size()))
      break; // run() gives it up
    findGroup(component, states, places, after);
  }
  // All of a kind that are alone do the same, which is most often nothing.
  for (const Kind &kind : kinds) {
    if (sequenceOf(kind).empty())
      continue;
    for (uint32_t pe : kind.pes)
      if (joiner.isAlone(pe) &&
          !findGroup({ArrayRef(pe), {}}, states, places, after))
        break;
  }
  for (GroupPlaces &list : places)
    llvm::sort(list.bases);
  split();
  Exchange found;
  found.exchange = static_cast<uint32_t>(out->exchanges.size());
  found.gates = std::move(after);
  for (const Kind &kind : kinds)
    found.done.push_back(kind.pes.empty() ? 0 : done[kind.pes.front()]);
  out->exchanges.push_back(std::move(places));
  return found;
}

/// The exchange after the compute blocks. False: nothing could be done.
bool Scheduler::exchange(Superstep &superstep) {
  Key key = keyOfKinds();
  auto it = known.find(key);
  if (it == known.end()) {
    Exchange found = find();
    it = known.try_emplace(keyOfKinds(), std::move(found)).first;
  }
  superstep.exchange = it->second.exchange;
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
  std::optional<Segments> turns =
      unroll(prepared, axesOf(streams), issueCycles, interrupt);
  if (!turns)
    return nullptr;
  out->segments = std::move(*turns);
  gates.resize(streams.gates.size());
  makeKinds();
  if (isInterrupted(streams.places.size()))
    return nullptr;
  describeLinks();
  if (isInterrupted(0))
    return nullptr;
  auto ended = [](const Kind &kind) { return kind.ended; };
  while (!all_of(kinds, ended)) {
    Superstep superstep;
    bool any = computeBlocks(superstep);
    any |= exchange(superstep);
    // A round is over all PEs.
    if (!any || tooLong || isInterrupted(streams.places.size()))
      return nullptr;
    out->supersteps.push_back(std::move(superstep));
  }
  return std::move(out);
}

std::unique_ptr<Schedule> makeSchedule(const PreparedEntry &prepared,
                                       const Streams &streams,
                                       uint32_t issueCycles,
                                       Interrupt *interrupt) {
  return Scheduler(prepared, streams, issueCycles, interrupt).run();
}

} // namespace waferloom::executor
