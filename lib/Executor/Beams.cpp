#include "waferloom/Executor/Beams.h"
#include "Distribute.h"
#include "Inputs.h"
#include "SessionState.h"
#include "waferloom/Image/HostInputs.h"
#include "waferloom/Image/Programs.h"

#include <functional>
#include <numeric>

using namespace llvm;

namespace waferloom::executor {

std::vector<int64_t> beamsOf(const image::EntryT &entry,
                             ArrayRef<HostTensor> inputs) {
  std::vector<int64_t> beams;
  for (const auto &input : entry.inputs)
    for (const HostTensor &given : inputs)
      if (image::isBeams(*input) && given.name == input->name)
        for (int64_t i = 0; i < given.shape[0]; ++i)
          beams.push_back(
              integerAt(given.data, given.type, static_cast<uint64_t>(i)));
  for (size_t i = 0; i < beams.size(); ++i)
    if (beams[i] != static_cast<int64_t>(i))
      return beams;
  return {};
}

uint64_t bytesMoved(const image::ImageT &image, ArrayRef<HostTensor> inputs) {
  const image::EntryT &entry = *image.entries.front();
  if (beamsOf(entry, inputs).empty())
    return 0;
  uint64_t bytes = 0;
  for (const auto &region : image.regions)
    for (const auto &binding : region->bindings) {
      if (binding->role != image::Role::state)
        continue;
      if (const auto *state =
              image::findTensor(entry, image::Role::state, binding->name))
        bytes += std::accumulate(state->shape.begin(), state->shape.end(),
                                 uint64_t(image::bytesOf(binding->type)),
                                 std::multiplies<>());
    }
  return 2 * bytes;
}

/// A state that is distributed anew.
static void moveState(const image::RegionT &region,
                      const image::BindingT &binding,
                      const image::TensorInfoT &state, ArrayRef<int64_t> rows,
                      Memory &memory, Workers &workers) {
  const HostType type = hostTypeOf(binding.type, false, false);
  size_t row = bytesOf(type);
  for (uint32_t extent : ArrayRef<uint32_t>(state.shape).drop_front())
    row *= extent;
  std::vector<char> before(row * rows.size()), now(before.size());
  collect(region, binding, memory, type, before.data());
  for (size_t i = 0; i < rows.size(); ++i)
    std::memcpy(now.data() + row * i,
                before.data() + row * static_cast<size_t>(rows[i]), row);
  distribute(region, binding, {now.data(), type}, memory, workers);
}

void moveStates(const image::ImageT &image, const image::EntryT &entry,
                ArrayRef<int64_t> rows, std::vector<Memory> &memories,
                Workers &workers) {
  for (size_t r = 0; r < image.regions.size() && !rows.empty(); ++r)
    for (const auto &binding : image.regions[r]->bindings)
      if (binding->role == image::Role::state)
        if (const auto *state =
                image::findTensor(entry, image::Role::state, binding->name))
          moveState(*image.regions[r], *binding, *state, rows, memories[r],
                    workers);
}

} // namespace waferloom::executor
