// Executes a schedule on values: compute blocks on blocks of sixteen PEs,
// groups on sixteen columns at a time, or PE by PE where an exchange group runs
// along the lanes.

#ifndef WAFERLOOM_LIB_EXECUTOR_LANEVALUES_H
#define WAFERLOOM_LIB_EXECUTOR_LANEVALUES_H

#include "Engine.h"
#include "Schedule.h"
#include "Workers.h"

namespace waferloom::executor {

class LaneValues {
public:
  LaneValues(const image::ImageT &image, const PreparedEntry &prepared,
             const Streams &streams, const Schedule &schedule,
             std::vector<Memory> &memories);

  /// Runs the entry. False: indices were out of range, and `stops` has the
  /// first of each PE that had one; what follows such an index is not
  /// meaningful.
  bool run(Workers &workers, Interrupt *interrupt,
           std::map<uint32_t, Stop> &stops);

private:
  /// An act with its operands ready for lanes.
  struct LaneAct {
    Instruction instruction; // of a stream act: what it does with the buffer
    LaneKernel kernel = nullptr;
    const Act *act = nullptr;
    char *splat[5] = {}; // immediates, the same in all lanes
    LaneAddresses at;    // a block that is null is the PEs' own
    bool isOwn[5] = {};  // the operand is there, and in the PEs' memories
    bool indexed = false;
    bool inWords = false; // of a stream act: all of it is whole words
    int64_t step = 0;     // from word to word, in lanes
  };
  /// What a compute block does next: acts, or all of them as one sum.
  struct Step {
    uint32_t first, count; // of the block's acts
    uint32_t sum = none;   // index into `sums`
    uint64_t work = 0;     // elements
  };
  struct alignas(4 * lanes) Splat {
    uint32_t words[lanes];
  };
  /// Lanes of a block.
  struct BlockPart {
    uint32_t region, block;
    uint32_t bits;
  };
  /// An op of an exchange group, or ops in which neighbours take the same
  /// words.
  struct GroupStep {
    uint32_t op;
    uint32_t bits = 0;  // lanes that take; 0: the op alone
    uint32_t block = 0; // less that of the group's first PE
  };
  /// An exchange group at one place, or at the places of a block's lanes.
  struct GroupTask {
    const ExchangeGroup *group;
    uint32_t base; // the first PE; of lanes: the block of the first PEs
    uint32_t region;
    uint32_t bits;                                 // 0: one place
    const std::vector<GroupStep> *steps = nullptr; // null: op by op
  };
  struct Failure {
    uint32_t pe;
    size_t superstep;
    uint64_t
        begun; // since the superstep began, or since its compute block ended
    bool afterCompute;
    int32_t value;
    uint32_t count;
    const Instruction *instruction;
  };
  /// What a thread works with.
  struct Bench {
    std::vector<Splat> buffer; // words of an exchange group
    std::vector<Failure> failures;
  };

  void prepareActs();
  void prepareStream(LaneAct &to);
  void prepareFetches();
  void prepareSteps();
  bool beginSum(const LaneAct &act, LaneSum &sum) const;
  bool addRow(const LaneAct &act, LaneSum &sum, bool isFirst) const;
  std::vector<BlockPart> partsOf(const std::vector<uint32_t> &pes) const;
  void addTasks(const GroupPlaces &places, std::vector<GroupTask> &tasks);
  const std::vector<GroupStep> *stepsOf(uint32_t group, uint32_t base);
  bool isColumn(const ExchangeGroup &group, uint32_t base) const;

  void fetch(llvm::ArrayRef<uint32_t> words, const BlockPart &part);
  void runComputeBlock(const SuperstepBlock &computeBlock,
                       const BlockPart &part, const BlockPart *next,
                       size_t superstep, Bench &bench);
  void runAct(const LaneAct &act, const BlockPart &part, uint64_t begun,
              size_t superstep, bool afterCompute, Bench &bench);
  void runIndexed(const LaneAct &act, const BlockPart &part, uint64_t begun,
                  size_t superstep, bool afterCompute, Bench &bench);
  void runGroup(const GroupTask &task, size_t superstep, Bench &bench);
  void streamOfLanes(const GroupOp &op, const BlockPart &part, Bench &bench);
  void takeInLanes(const GroupTask &task, const GroupStep &step, Bench &bench);
  void wordsOfPe(const GroupOp &op, uint32_t pe, Bench &bench);
  void streamOfPe(const GroupOp &op, uint32_t pe, size_t superstep,
                  Bench &bench);
  bool resolve(const LaneAct &act, uint32_t pe, uint64_t begun,
               size_t superstep, bool afterCompute, Bench &bench,
               uint32_t (&addresses)[5]);
  char *laneOf(uint32_t pe) { return laneOfPe[pe]; }
  bool isInterrupted(const Bench &bench, uint64_t work);
  bool collect(std::map<uint32_t, Stop> &stops) const;

  const image::ImageT &image;
  const Streams &streams;
  const Schedule &schedule;
  Interrupt *interrupt = nullptr;
  std::vector<Memory> &memories;
  std::vector<uint32_t> firstPe;               // of each region
  std::vector<std::vector<uint32_t>> peOfSlot; // by region; none: no PE
  std::vector<char *> laneOfPe;
  std::vector<LaneAct> acts;
  std::vector<std::vector<uint32_t>>
      fetches; // by compute block: words that it reads
  std::vector<Splat> splats;
  std::vector<std::vector<Step>> steps; // by compute block
  std::vector<LaneSum> sums;
  LaneSumKernel sumKernel = laneSumKernel();
  /// By group and the lane of its first PE.
  std::map<std::pair<uint32_t, uint32_t>, std::vector<GroupStep>> groupSteps;
  std::vector<std::vector<BlockPart>> parts;     // by set
  std::vector<std::vector<GroupTask>> exchanges; // by exchange
  std::vector<Bench> benches;                    // by thread
};

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_LANEVALUES_H
