// What the reference engine does, written down word by word, as a record of the
// critical path.

#ifndef WAFERLOOM_LIB_EXECUTOR_REFERENCERECORD_H
#define WAFERLOOM_LIB_EXECUTOR_REFERENCERECORD_H

#include "PathRecord.h"

namespace waferloom::executor {

class ReferenceRecord : public PathRecord {
public:
  /// `slots`: threads per PE, as the engine numbers them; 0 is the program.
  ReferenceRecord(const Streams &streams, uint32_t slots);

  /// Host memory that a run of so many instructions and words takes at most.
  static uint64_t bytesFor(const Effort &effort);

  // What the engine tells.
  /// A `rewrite` instruction.
  void lead(uint32_t pe, uint64_t cycles) { leads[pe] += cycles; }
  /// An instruction begins, on the program or a microthread. `number`:
  /// instructions of the PE that began before.
  void begin(uint32_t pe, const Instruction &instruction, uint64_t clock,
             uint64_t number);
  void end(uint32_t pe, const Instruction &instruction, uint64_t clock);
  /// A microthread starts; it begins after that.
  void start(uint32_t pe, const Instruction &instruction, uint64_t clock,
             uint64_t number);
  void wait(uint32_t pe, const Instruction &instruction, uint64_t clock,
            uint64_t end, uint64_t number);
  void put(uint32_t producer, uint64_t stamp) {
    puts[producer].push_back(static_cast<Stamp>(stamp));
  }
  void take(uint32_t consumer, uint64_t stamp) {
    takes[consumer].push_back(static_cast<Stamp>(stamp));
  }
  /// A router is about to pass the next word of an input on.
  void pass(uint32_t gate, uint32_t consumer);

  std::optional<PathRef> last(uint32_t pe, Stamp end) override;
  PathOp at(PathRef ref) override;
  std::optional<PathRef> before(PathRef ref) override;
  PathRef threadOf(PathRef ref) override;
  Stamp takeOf(WordRef word) override;
  Stamp putOf(WordRef word) override;
  uint32_t inputOf(WordRef word) override;
  WordRef giverOf(WordRef word) override;
  std::optional<WordRef> putBefore(WordRef word) override;
  std::optional<WordRef> creditorOf(WordRef word) override;

private:
  struct Op {
    PathOp op;
    uint32_t before = none;
    uint32_t thread = none;           // of a Wait
    uint64_t inFrom = 0, outFrom = 0; // words of the streams
  };
  /// What a router passed on: the input and its word, by word put.
  struct Passed {
    uint32_t consumer;
    uint64_t word;
  };

  uint32_t add(uint32_t pe, const Instruction &instruction, PathOp::Role role,
               uint64_t clock, uint64_t number);
  /// 0 is the program; any negative thread is.
  size_t slotOf(uint32_t pe, const Instruction &instruction) const {
    return size_t(pe) * slots +
           (instruction.thread < 0
                ? 0
                : static_cast<uint32_t>(instruction.thread) + 1);
  }
  static bool isGate(PathRef ref) { return ref.site == 1; }
  uint32_t producerOf(PathRef ref) const;
  uint64_t inputWordOf(WordRef word);
  WordRef giver(uint32_t producer, uint64_t word) const;
  WordRef taker(uint32_t consumer, uint64_t word) const;

  const Streams &streams;
  const uint32_t slots;
  std::vector<Op> ops;            // site 0; a gate's number is one of site 1
  std::vector<uint64_t> leads;    // by PE, since its last instruction
  std::vector<uint32_t> lasts;    // by PE: of its program
  std::vector<uint32_t> currents; // by PE and slot
  std::vector<uint32_t> starts;   // the same
  std::vector<std::vector<Stamp>> puts, takes;       // by producer, consumer
  std::vector<std::vector<uint32_t>> givers, takers; // ops, the same
  std::vector<std::vector<Passed>> passed;           // by gate
  std::vector<std::vector<uint64_t>> passedAs;       // by consumer of a gate
};

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_REFERENCERECORD_H
