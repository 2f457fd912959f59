// The proof that an entry cannot hang, of an image alone: no PE gets a memory.

#include "Distribute.h"
#include "Interrupt.h"
#include "Streams.h"
#include "waferloom/Executor/Executor.h"

using namespace llvm;

namespace waferloom::executor {

Error proveHangFree(const image::Loaded &loaded, size_t entry,
                    const RunOptions &options) {
  const image::ImageT &image = loaded.image;
  const PreparedEntry prepared = prepare(image, entry);
  if (options.workLimit != 0 && prepared.effort.steps > options.workLimit)
    return Error::success();
  Interrupt interrupt(options.interrupted);
  Expected<Streams> streams = traceStreams(image, entry, prepared, &interrupt);
  if (!streams)
    return streams.takeError();
  std::vector<Memory> memories; // that nobody touches take no memory
  for (const auto &region : image.regions)
    memories.emplace_back(region->width, region->height, region->memory,
                          /*inLanes=*/false);
  auto engine = createReferenceEngine(image, prepared, *streams, memories);
  EngineOptions abstract;
  abstract.abstract = abstract.narrow = true;
  abstract.interrupt = &interrupt;
  EngineResult result;
  return engine->run(abstract, result);
}

} // namespace waferloom::executor
