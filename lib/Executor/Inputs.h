// What a caller hands to a step, checked, completed and brought to the shapes
// that the image expects.

#ifndef WAFERLOOM_LIB_EXECUTOR_INPUTS_H
#define WAFERLOOM_LIB_EXECUTOR_INPUTS_H

#include "waferloom/Executor/Executor.h"
#include "waferloom/Image/HostInputs.h"

namespace waferloom::executor {

/// Element `i` of integers or booleans of the host.
int64_t integerAt(const void *data, HostType type, uint64_t i);

uint64_t elementsOf(const HostTensor &given);

/// What an input that no PE reads may hold: refuses anything else, before a
/// step of `tokens` tokens after `length`. Elements of beams are below `limit`,
/// those of what is fixed are the number below it.
llvm::Error checkUnread(const HostTensor &given, image::HostUse use,
                        uint64_t length, int64_t tokens, int64_t limit);

/// Says that the model's tables do not have a value of an input.
llvm::Error outOfRange(llvm::StringRef name, int64_t value, uint64_t element,
                       int64_t least, uint32_t limit);

/// An input in the model's full shape, row-major.
struct StagedInput {
  std::string name;
  HostType type = HostType::f32;
  std::vector<char> bytes;
};

/// Checks names, shapes, types and values, and fills in what is left out.
/// `length` is the number of tokens so far. With `fed`, an input that the step
/// before has left in the memory is not staged unless it is given.
llvm::Expected<std::vector<StagedInput>>
stageInputs(const image::ImageT &image, size_t entry,
            llvm::ArrayRef<HostTensor> inputs, uint64_t length, bool fed);

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_INPUTS_H
