//===- HostInputs.h - Inputs that no PE reads -------------------*- C++ -*-===//

#ifndef WAFERLOOM_IMAGE_HOSTINPUTS_H
#define WAFERLOOM_IMAGE_HOSTINPUTS_H

#include "waferloom/Image/Image.h"

namespace waferloom::image {

/// What the host does with an input that no PE reads: it refuses what is not
/// all ones, not the position (the session's length), not the position and what
/// follows along the last dimension, not the only number that the entry takes;
/// it moves the states of the rows of a batch; or it does nothing.
enum class HostUse : uint8_t {
  none,
  ones,
  position,
  positions,
  beams,
  fixed,
  ignored
};

/// Whether it says whose states each row goes on with: `limit` rows.
inline bool isBeams(const EntryInputT &input) {
  return input.fallback == Default::ignored && input.limit != 0;
}

/// Whether an entry is for a step behind so many tokens of a session.
inline bool isFor(const EntryT &entry, uint64_t length) {
  return entry.from <= length && (!entry.until || length < entry.until);
}

/// The first entry that is for such a step, as the checker asks one to be.
size_t firstFor(const ImageT &image, uint64_t length);

/// `none` of an input that PEs read.
HostUse hostUseOf(const ImageT &image, size_t entry, const EntryInputT &input);

/// What an entry says of a tensor; null: nothing.
const TensorInfoT *findTensor(const EntryT &entry, Role role,
                              llvm::StringRef name);

} // namespace waferloom::image

#endif // WAFERLOOM_IMAGE_HOSTINPUTS_H
