// Checks that every stream carries as many words as are taken from it. The
// programs say how many words PEs send and take; how many pass a router that
// takes turns follows from its inputs.

#include "Interrupt.h"
#include "Streams.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/FormatVariadic.h"
#include <algorithm>

using namespace llvm;

namespace waferloom::executor {

namespace {
class Counter {
public:
  Counter(Streams &streams, size_t entry, const PreparedEntry &prepared,
          Interrupt *interrupt)
      : out(streams), entry(entry), prepared(prepared), interrupt(interrupt) {}

  Error run();

private:
  Error countGate(Gate &gate);
  Error refuse(uint32_t pe, uint8_t color, const Twine &what) const {
    return refuseStream(out, entry, pe, color, what);
  }

  Streams &out;
  size_t entry;
  const PreparedEntry &prepared;
  Interrupt *interrupt;
};
} // namespace

/// How many words pass a gate follows from its inputs and turns.
Error Counter::countGate(Gate &gate) {
  Producer &self = out.producers[gate.producer];
  SmallVector<std::pair<uint32_t, uint64_t>, 4> left;
  uint64_t total = 0;
  for (uint32_t t = 0; t < gate.turns.count; ++t) {
    uint32_t consumer = out.turns[gate.turns.first + t].consumer;
    if (consumer == none)
      return refuse(self.pe, self.color,
                    formatv("input {0} of the route has its turn but nothing "
                            "comes from there",
                            t)
                        .str());
    bool seen = false;
    for (auto &entry : left)
      seen |= entry.first == consumer;
    if (!seen) {
      uint64_t words = out.producers[out.consumers[consumer].producer].words;
      out.consumers[consumer].words = words;
      left.push_back({consumer, words});
      total += words;
    }
  }
  self.words = total;
  // Whole rounds come in equal shares, so the last round decides.
  uint64_t perRound = 0;
  for (uint32_t t = 0; t < gate.turns.count; ++t)
    perRound += out.turns[gate.turns.first + t].words;
  if (perRound > 0 && total > perRound) {
    uint64_t rounds = total / perRound;
    if (total % perRound == 0)
      --rounds;
    for (uint32_t t = 0; t < gate.turns.count; ++t) {
      const GateTurn &turn = out.turns[gate.turns.first + t];
      for (auto &entry : left)
        if (entry.first == turn.consumer) {
          uint64_t share = rounds * turn.words;
          if (entry.second < share)
            return refuse(self.pe, self.color,
                          formatv("input {0} gives {1} words of the {2} that "
                                  "its turns ask for",
                                  t, out.consumers[entry.first].words, share)
                              .str());
          entry.second -= share;
          total -= share;
        }
    }
  }
  for (uint32_t t = 0; t < gate.turns.count && total > 0; ++t) {
    const GateTurn &turn = out.turns[gate.turns.first + t];
    for (auto &entry : left)
      if (entry.first == turn.consumer) {
        uint64_t take = std::min<uint64_t>(entry.second, turn.words);
        entry.second -= take;
        total -= take;
        if (take < turn.words && total > 0)
          return refuse(self.pe, self.color,
                        formatv("input {0} has its turn for {1} words but "
                                "gives {2} of them",
                                t, turn.words, take)
                            .str());
      }
  }
  if (total > 0)
    return refuse(self.pe, self.color,
                  "inputs give more words than their turns take");
  return Error::success();
}

/// Words sent equal words taken, on every stream.
Error Counter::run() {
  // A gate is counted when all its inputs are: repeat until nothing changes.
  std::vector<uint32_t> pending(out.gates.size());
  std::vector<bool> counted(out.producers.size());
  for (uint32_t p = 0; p < out.producers.size(); ++p)
    counted[p] = out.producers[p].gate == none;
  for (uint32_t g = 0; g < out.gates.size(); ++g)
    pending[g] = g;
  while (!pending.empty()) {
    std::vector<uint32_t> later;
    for (uint32_t g : pending) {
      Gate &gate = out.gates[g];
      bool known = true;
      for (uint32_t t = 0; t < gate.turns.count; ++t) {
        uint32_t consumer = out.turns[gate.turns.first + t].consumer;
        known &= consumer == none || counted[out.consumers[consumer].producer];
      }
      if (!known) {
        later.push_back(g);
        continue;
      }
      if (Error error = countGate(gate))
        return error;
      counted[gate.producer] = true;
    }
    if (later.size() == pending.size()) {
      const Producer &gate = out.producers[out.gates[later.front()].producer];
      return refuse(gate.pe, gate.color, "routes with turns form a circle");
    }
    pending = std::move(later);
  }
  for (Consumer &consumer : out.consumers) {
    if (Error error = checkInterrupt(interrupt, 1))
      return error;
    const Producer &producer = out.producers[consumer.producer];
    consumer.words = producer.words;
    if (consumer.gate != none)
      continue;
    const Place &at = out.places[consumer.pe];
    uint64_t taken = prepared.regions[at.region]
                         .programs[at.program]
                         .received[consumer.color];
    if (taken != producer.words)
      return refuse(consumer.pe, consumer.color,
                    formatv("{0} words come from PE {1} but the program takes "
                            "{2}",
                            producer.words, nameOf(out.places[producer.pe]),
                            taken)
                        .str());
  }
  for (uint32_t pe = 0; pe < out.places.size(); ++pe) {
    if (Error error = checkInterrupt(interrupt))
      return error;
    const Place &at = out.places[pe];
    const Program &program = prepared.regions[at.region].programs[at.program];
    for (unsigned color = 0; color < out.colors; ++color)
      if (program.received[color] != 0 &&
          out.sinkOf(pe, static_cast<uint8_t>(color)) == none)
        return refuse(pe, static_cast<uint8_t>(color),
                      formatv("the program takes {0} words but no stream "
                              "reaches the PE",
                              program.received[color])
                          .str());
  }
  for (const Producer &producer : out.producers)
    if (producer.consumers.count == 0)
      return refuse(producer.pe, producer.color,
                    "a stream of " + Twine(producer.words) +
                        " words reaches nobody");
  return Error::success();
}

Error countWords(Streams &streams, size_t entry, const PreparedEntry &prepared,
                 Interrupt *interrupt) {
  return Counter(streams, entry, prepared, interrupt).run();
}

} // namespace waferloom::executor
