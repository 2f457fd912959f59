// The errors of a run: work that is left at rest, and values out of range.

#ifndef WAFERLOOM_LIB_EXECUTOR_HANG_H
#define WAFERLOOM_LIB_EXECUTOR_HANG_H

#include "Streams.h"
#include <string>
#include <vector>

namespace waferloom::executor {

/// A program or microthread that cannot go on.
struct Waiting {
  Place place;
  int thread = -1; // microthread; -1: the main program
  uint32_t instruction = 0;
  Opcode op = Opcode::end;
  std::string node;
  int forThread = -1;     // waits for this microthread to end
  bool forCredit = false; // else for a word
  uint8_t color = 0;
  uint64_t word = 0, words = 0;
  std::string source; // who should send the word
};

/// Names the first dozen and says how many more there are.
std::string describeHang(const std::vector<Waiting> &list);

/// A dynamic index outside of [0, count), and the instruction that has it.
std::string describeIndex(const Place &place, int32_t value, uint32_t count);
std::string describeInstruction(const image::ImageT &image,
                                const Instruction &instruction);

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_HANG_H
