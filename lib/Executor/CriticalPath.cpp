// The walk along the critical path. A stamp is the latest of a few others, each
// with some cycles on top (docs/executor.md, E11 to E21); the walk goes to one
// that it equals and books the cycles between. Where several are equal it
// prefers, for a word that is taken, the word's way to the core's own program,
// and for a word that is put, the word before it: both engines then walk the
// same path. All cycles between two stamps are booked, so the sums equal the
// count.

#include "PathRecord.h"
#include "Trips.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>

using namespace llvm;

namespace waferloom::executor {

static constexpr PathKind listOfKinds[] = {
    PathKind::vectorIssue, PathKind::work,        PathKind::conflict,
    PathKind::rewrite,     PathKind::streamIssue, PathKind::words,
    PathKind::hops,        PathKind::ramp,        PathKind::forwarding,
    PathKind::turns,       PathKind::links,       PathKind::credits,
    PathKind::threads};
static_assert(std::size(listOfKinds) == pathKinds);

ArrayRef<PathKind> allPathKinds() { return listOfKinds; }

StringRef nameOf(PathKind kind) {
  static constexpr StringLiteral names[] = {
      "vector issue", "work",    "conflict", "rewrite",    "stream issue",
      "words",        "hops",    "ramp",     "forwarding", "turns",
      "links",        "credits", "threads"};
  static_assert(std::size(names) == pathKinds);
  return names[size_t(kind)];
}

int64_t total(const PathCycles &cycles) {
  return std::accumulate(cycles.begin(), cycles.end(), int64_t(0));
}

PathCycles CriticalPath::cycles() const {
  PathCycles sum = {};
  for (const PathAccount &account : accounts)
    for (size_t kind = 0; kind < pathKinds; ++kind)
      sum[kind] += account.cycles[kind];
  return sum;
}

uint64_t CriticalPath::total() const {
  return launch + static_cast<uint64_t>(executor::total(cycles()));
}

void CriticalPath::delay(uint64_t cycles) {
  launch += cycles;
  for (PathStep &step : steps)
    step.begin += cycles;
}

namespace {
class Walker {
public:
  Walker(PathRecord &record, const PreparedEntry &prepared,
         const Streams &streams, const image::TargetT &target)
      : record(record), prepared(prepared), streams(streams), target(target),
        trips(prepared) {}

  /// PEs begin at `begin`.
  CriticalPath walk(uint32_t pe, Stamp end, Stamp begin);

private:
  /// Where the walk is: at the end of what was done, or where one of its words
  /// was put or taken.
  enum class Mode { End, Put, Take, Begin, Over };

  void enter(PathRef ref);
  void end();
  void put();
  void take();
  void passByGate();
  void begin();
  void goTo(WordRef to, Mode then) {
    if (!(to.at == word.at))
      enter(to.at);
    word = to;
    mode = then;
  }
  /// A microthread's descriptors are those of its Start, which issues nothing.
  bool isBeside() const {
    return op.instruction->thread >= 0 && op.role == PathOp::Plain;
  }
  Stamp rewriteCycles() const {
    return isBeside() ? 0 : static_cast<Stamp>(op.instruction->rewrite);
  }
  /// Cycles of the way by which the word came.
  struct Way {
    uint32_t hops = 0, ramps = 0;
    uint32_t cycles() const { return hops + ramps; }
  };
  /// From when an instruction begins to when its first word can go.
  Stamp startCycles() const {
    return Stamp(target.issue_cycles) + rewriteCycles();
  }

  void waitForLink(Stamp ready);
  void comeByBusyLinks(const Way &way, WordRef giver);
  Way wayHere();
  void book(PathKind kind, Stamp cycles);
  uint32_t tripNow();
  void turnAround();
  /// Books the cycles since `stamp`.
  void bookFrom(PathKind kind, Stamp stamp) { book(kind, now - stamp); }

  PathRecord &record;
  const PreparedEntry &prepared;
  const Streams &streams;
  const image::TargetT &target;
  CriticalPath path;
  Mode mode = Mode::End;
  WordRef word;
  PathOp op;
  /// What waits: words are on their way to it.
  const Instruction *cause = nullptr;
  uint32_t causeRegion = 0;
  uint32_t causeTrip = UINT32_MAX; // index into the path's
  Trips trips;
  std::map<std::tuple<uint32_t, uint32_t, uint32_t>, uint32_t> tripOf;
  Stamp now = 0;
};
} // namespace

/// Goes to something that was done.
void Walker::enter(PathRef ref) {
  word.at = ref;
  op = record.at(ref);
  if (op.instruction) {
    cause = op.instruction;
    causeRegion = streams.places[op.pe].region;
    causeTrip = tripNow();
  }
}

/// The layer or token that the instruction is of, among those of the path.
uint32_t Walker::tripNow() {
  const AccountKey &key = prepared.accounts[cause->account];
  if (key.over == image::LoopOver::nothing)
    return UINT32_MAX;
  const Place &place = streams.places[op.pe];
  // A wait counts as no instruction; it is of the trip of the one before it.
  uint64_t number =
      op.number - (op.role == PathOp::Wait && op.number > 0 ? 1 : 0);
  uint32_t trip = trips.of(place.region, place.program, number);
  auto [it, fresh] = tripOf.try_emplace({key.loop, place.stage, trip},
                                        uint32_t(path.trips.size()));
  if (fresh)
    path.trips.push_back({key.loop, key.over, place.stage, trip});
  return it->second;
}

/// Books cycles that end now to what waits for them.
void Walker::book(PathKind kind, Stamp cycles) {
  now -= cycles;
  if (cycles == 0 || !cause)
    return;
  path.accounts[cause->account].cycles[size_t(kind)] += cycles;
  if (causeTrip != UINT32_MAX)
    path.trips[causeTrip].cycles[size_t(kind)] += cycles;
  PathStep step;
  step.begin = static_cast<uint64_t>(now);
  step.cycles = cycles;
  step.x = streams.places[op.pe].x;
  step.y = streams.places[op.pe].y;
  step.region = causeRegion;
  step.instruction = cause->index;
  step.account = cause->account;
  step.words = static_cast<uint32_t>(cause->words);
  step.trip = causeTrip;
  step.kind = kind;
  PathStep *later = path.steps.empty() ? nullptr : &path.steps.back();
  auto who = [](const PathStep &s) {
    return std::tie(s.kind, s.x, s.y, s.region, s.instruction, s.trip);
  };
  if (later && who(*later) == who(step)) {
    later->begin = step.begin;
    later->cycles += cycles;
    return;
  }
  path.steps.push_back(step);
}

/// At the end of an instruction.
void Walker::end() {
  if (op.role == PathOp::Start) {
    bookFrom(PathKind::threads, op.begun);
    mode = Mode::Begin;
    return;
  }
  if (op.role == PathOp::Wait) {
    book(PathKind::threads, 1);
    if (now == op.begun) {
      mode = Mode::Begin;
      return;
    }
    PathRef thread = record.threadOf(word.at);
    if (record.at(thread).end == now)
      return enter(thread);
    // One datapath: all work since the start has to be done (E21).
    PathRef start = *record.before(thread);
    bookFrom(PathKind::threads, record.at(start).begun);
    enter(start);
    mode = Mode::Begin;
    return;
  }
  const Instruction &instruction = *op.instruction;
  if (image::isStream(instruction.op) && instruction.words > 0) {
    word.word = instruction.words - 1;
    mode = image::sends(instruction.op) ? Mode::Put : Mode::Take;
    bookFrom(PathKind::words,
             mode == Mode::Put ? record.putOf(word) : record.takeOf(word));
    return;
  }
  book(PathKind::conflict, static_cast<Stamp>(instruction.conflict));
  book(PathKind::work,
       static_cast<Stamp>(instruction.work - instruction.conflict));
  mode = Mode::Begin;
}

/// Where an instruction begins, its issue and descriptors before that.
void Walker::begin() {
  const Instruction &instruction = *op.instruction;
  const bool wasBeside = isBeside();
  if (op.role == PathOp::Plain)
    book(image::isStream(instruction.op) ? PathKind::streamIssue
                                         : PathKind::vectorIssue,
         target.issue_cycles);
  if (op.role != PathOp::Wait)
    book(PathKind::rewrite, rewriteCycles());
  book(PathKind::rewrite, static_cast<Stamp>(op.lead));
  if (op.role != PathOp::Start)
    ++path.accounts[instruction.account].times;
  std::optional<PathRef> previous = record.before(word.at);
  if (!previous) {
    mode = Mode::Over;
    return;
  }
  enter(*previous);
  mode = wasBeside ? Mode::Begin : Mode::End;
}

/// At the put of a word.
void Walker::put() {
  if (!op.instruction)
    return passByGate();
  bool takes = image::receives(op.instruction->op);
  if (word.word > 0) {
    WordRef before{word.at, word.word - 1};
    if (record.putOf(before) + 1 == now) {
      book(PathKind::words, 1);
      return goTo(before, Mode::Put);
    }
  }
  Stamp ready = takes ? record.takeOf(word) + target.forward_cycles
                      : op.begun + startCycles();
  if (ready == now && takes) {
    book(PathKind::forwarding, target.forward_cycles);
    mode = Mode::Take;
    return;
  }
  if (ready == now && word.word == 0) {
    mode = Mode::Begin;
    return;
  }
  if (std::optional<WordRef> creditor = record.creditorOf(word)) {
    book(PathKind::credits, 1);
    return goTo(*creditor, Mode::Take);
  }
  if (std::optional<WordRef> before = record.putBefore(word);
      before && record.putOf(*before) + 2 == now) { // pauses after a burst
    book(PathKind::words, 2);
    return goTo(*before, Mode::Put);
  }
  waitForLink(ready);
}

/// A word had no room before a link that was busy (E33); it could have been put
/// at `ready` or behind the word before it.
void Walker::waitForLink(Stamp ready) {
  if (word.word > 0) {
    WordRef before{word.at, word.word - 1};
    if (Stamp free = record.putOf(before) + 1; free > ready) {
      bookFrom(PathKind::links, free);
      book(PathKind::words, 1);
      return goTo(before, Mode::Put);
    }
  }
  bookFrom(PathKind::links, ready);
  if (image::receives(op.instruction->op)) {
    book(PathKind::forwarding, target.forward_cycles);
    mode = Mode::Take;
  } else {
    mode = Mode::Begin;
  }
}

Walker::Way Walker::wayHere() {
  const Consumer &consumer = streams.consumers[record.inputOf(word)];
  const uint32_t hops = consumer.hops * target.hop_cycles;
  return {hops, consumer.delay - hops};
}

/// A router with turns takes and puts a word in one cycle.
void Walker::passByGate() {
  const Way way = wayHere();
  WordRef giver = record.giverOf(word);
  if (record.putOf(giver) + way.cycles() == now) {
    book(PathKind::hops, way.hops);
    book(PathKind::ramp, way.ramps);
    return goTo(giver, Mode::Put);
  }
  if (std::optional<WordRef> before = record.putBefore(word);
      before && record.putOf(*before) + 1 == now) {
    bool sameInput = record.inputOf(*before) == record.inputOf(word);
    book(sameInput ? PathKind::words : PathKind::turns, 1);
    return goTo(*before, Mode::Put);
  }
  if (std::optional<WordRef> creditor = record.creditorOf(word)) {
    book(PathKind::credits, 1);
    return goTo(*creditor, Mode::Take);
  }
  comeByBusyLinks(way, giver);
}

/// A word has come, after others went first on its links (E33).
void Walker::comeByBusyLinks(const Way &way, WordRef giver) {
  bookFrom(PathKind::links, record.putOf(giver) + way.cycles());
  book(PathKind::ramp, way.ramps);
  book(PathKind::hops, way.hops);
  goTo(giver, Mode::Put);
}

/// At the take of a word.
void Walker::take() {
  if (!op.instruction) {
    mode = Mode::Put;
    return;
  }
  const Way way = wayHere();
  WordRef giver = record.giverOf(word);
  if (record.putOf(giver) + way.cycles() == now) {
    book(PathKind::ramp, way.ramps);
    book(PathKind::hops, way.hops);
    return goTo(giver, Mode::Put);
  }
  if (word.word == 0) {
    if (op.begun + startCycles() != now)
      return comeByBusyLinks(way, giver);
    mode = Mode::Begin;
    return;
  }
  WordRef before{word.at, word.word - 1};
  if (Stamp earlier = record.takeOf(before); earlier + 1 == now) {
    book(PathKind::words, 1);
    return goTo(before, Mode::Take);
  }
  if (!image::sends(op.instruction->op) ||
      record.putOf(before) - target.forward_cycles + 1 != now)
    return comeByBusyLinks(way, giver);
  // It held the word before until that was put, and takes one meanwhile (E15).
  bookFrom(PathKind::forwarding, record.putOf(before));
  goTo(before, Mode::Put);
}

CriticalPath Walker::walk(uint32_t pe, Stamp end, Stamp begin) {
  for (const AccountKey &key : prepared.accounts)
    path.accounts.push_back({key.node, key.op, key.loop, key.over});
  now = end;
  const Place &place = streams.places[pe];
  const RegionPrograms &region = prepared.regions[place.region];
  std::optional<PathRef> last = record.last(pe, end);
  op.pe = pe;
  causeRegion = place.region;
  if (last)
    enter(*last);
  else // it does nothing, but may wait for descriptors
    for (uint32_t i : region.programs[place.program].order)
      if (region.instructions[i].op == Opcode::rewrite)
        cause = &region.instructions[i];
  // Descriptors behind all instructions.
  bookFrom(PathKind::rewrite, last ? op.end : begin);
  while (last && mode != Mode::Over) {
    switch (mode) {
    case Mode::End:
      this->end();
      break;
    case Mode::Put:
      put();
      break;
    case Mode::Take:
      take();
      break;
    case Mode::Begin:
      this->begin();
      break;
    case Mode::Over:
      break;
    }
  }
  turnAround();
  return std::move(path);
}

/// The walk was backward; the path goes forward.
void Walker::turnAround() {
  std::reverse(path.steps.begin(), path.steps.end());
  std::vector<PathTrip> inOrder;
  std::vector<uint32_t> places(path.trips.size(), UINT32_MAX);
  for (PathStep &step : path.steps) {
    if (step.trip == UINT32_MAX)
      continue;
    uint32_t &index = places[step.trip];
    if (index == UINT32_MAX) {
      index = static_cast<uint32_t>(inOrder.size());
      inOrder.push_back(path.trips[step.trip]);
    }
    step.trip = index;
  }
  path.trips = std::move(inOrder);
}

CriticalPath walkPath(PathRecord &record, const PreparedEntry &prepared,
                      const Streams &streams, const image::TargetT &target,
                      uint32_t last, uint64_t end, uint64_t begin) {
  CriticalPath path =
      Walker(record, prepared, streams, target)
          .walk(last, static_cast<Stamp>(end), static_cast<Stamp>(begin));
  path.launch = begin;
  assert(path.total() == end && "the path has other cycles than the count");
  return path;
}

std::vector<PathPassage> passagesOf(const CriticalPath &path) {
  std::vector<PathPassage> passages;
  std::map<std::pair<uint32_t, uint32_t>, size_t> known;
  const PathStep *step = path.steps.data(), *end = step + path.steps.size();
  auto isStream = [&](const PathStep &s) {
    return image::isStream(path.accounts[s.account].op);
  };
  while (step != end) {
    if (!isStream(*step)) {
      ++step;
      continue;
    }
    const PathStep *first = step;
    while (step != end && isStream(*step))
      ++step;
    const PathStep &last = step[-1];
    auto [it, fresh] =
        known.try_emplace({last.region, last.instruction}, passages.size());
    if (fresh) {
      const PathAccount &account = path.accounts[last.account];
      PathPassage &passage = passages.emplace_back();
      passage.node = account.node;
      passage.region = last.region;
      passage.instruction = last.instruction;
      passage.loop = account.loop;
      passage.over = account.over;
    }
    PathPassage &passage = passages[it->second];
    ++passage.times;
    passage.words = std::max(passage.words, last.words);
    passage.spreads |= path.accounts[last.account].op == Opcode::recv;
    for (const PathStep *s = first; s != step; ++s) {
      Opcode op = path.accounts[s->account].op;
      passage.reduces |= image::receives(op) && op != Opcode::recv;
      passage.cycles[size_t(s->kind)] += s->cycles;
      passage.alongX |= s->x != last.x;
      passage.alongY |= s->y != last.y;
    }
  }
  auto rank = [](const PathPassage &passage) {
    return std::tuple(-total(passage.cycles), passage.region,
                      passage.instruction);
  };
  llvm::sort(passages, [&](const PathPassage &a, const PathPassage &b) {
    return rank(a) < rank(b);
  });
  return passages;
}

} // namespace waferloom::executor
