#include "Hang.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;

namespace waferloom::executor {

static std::string describe(const Waiting &waiting) {
  std::string text = formatv("PE {0}", nameOf(waiting.place));
  if (waiting.thread >= 0)
    text += formatv(", microthread {0}", waiting.thread);
  text += formatv(", instruction {0} ({1}", waiting.instruction,
                  image::EnumNameOpcode(waiting.op));
  if (!waiting.node.empty())
    text += formatv(", node '{0}'", waiting.node);
  text += "): ";
  if (waiting.forThread >= 0)
    return text + formatv("waits for microthread {0}", waiting.forThread).str();
  if (waiting.forCredit)
    return text + formatv("waits for a credit on color {0}, word {1} of {2}",
                          unsigned(waiting.color), waiting.word, waiting.words)
                      .str();
  return text + formatv("waits for a word on color {0} from PE {1}, word {2} "
                        "of {3}",
                        unsigned(waiting.color), waiting.source, waiting.word,
                        waiting.words)
                    .str();
}

std::string describeHang(const std::vector<Waiting> &list) {
  constexpr size_t most = 12;
  std::string text = formatv(
      "the machine came to rest with {0} programs unfinished:", list.size());
  for (const Waiting &waiting : ArrayRef(list).take_front(most))
    text += "\n  " + describe(waiting);
  if (list.size() > most)
    text += formatv("\n  and {0} more", list.size() - most);
  return text;
}

std::string describeIndex(const Place &place, int32_t value, uint32_t count) {
  return formatv("PE {0}: an index is {1} but must be in [0, {2})",
                 nameOf(place), value, count);
}

std::string describeInstruction(const image::ImageT &image,
                                const Instruction &instruction) {
  return formatv(" (instruction {0}, {1}, node '{2}')", instruction.index,
                 image::EnumNameOpcode(instruction.op),
                 image.names[instruction.node]);
}

} // namespace waferloom::executor
