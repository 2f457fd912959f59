//===- Collective.h - One collective, executed ------------------*- C++ -*-===//
//
// Builds the program of one collective on one row of PEs, runs it, compares the
// numbers that come out with those that must, and says how long it took and how
// long it should have.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_MEASURE_COLLECTIVE_H
#define WAFERLOOM_MEASURE_COLLECTIVE_H

#include "waferloom/Collectives/Collectives.h"
#include "waferloom/Executor/CriticalPath.h"
#include "waferloom/Image/Image_generated.h"

#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdint>
#include <string>

namespace waferloom::measure {

struct CollectiveRun {
  collectives::Algorithm algorithm = collectives::Algorithm::Chain;
  unsigned group = 0;  // PEs of two-phase, words of a grown tree
  unsigned levels = 0; // of a grown tree
  unsigned colors = 0;
  unsigned classes = 0;
  uint64_t executed = 0;         // cycles
  uint64_t sharedLinkCycles = 0; // docs/executor.md, E32
  uint64_t estimated = 0;        // cycles by our closed form, issue included
  double published = 0;          // cycles by the published one
  double lowerBound = 0;         // cycles, as published
  uint64_t grownBound = 0;       // cycles; see Collectives.h
  uint64_t hardBound = 0;        // cycles; see Collectives.h
  /// Of `executed`, without the launch; if it was asked for.
  executor::PathCycles path = {};
};

/// An image and the bytes that its sources point into.
struct CollectiveImage {
  image::ImageT image;
  std::string data;
};

/// An image for one row of `line.extent()` PEs; of a line that is longer than a
/// row but not than a column, for a target that is turned by a quarter. Input
/// "x" and output "y" are [PEs, elements] of `type`; an element of f16 is half
/// a word. Fails as `collectives::solve`, or when the buffer or the row does
/// not fit the target.
llvm::Expected<CollectiveImage>
collectiveImage(const collectives::Line &line,
                const collectives::Request &request, image::Type type,
                const image::TargetT &target, CollectiveRun &about);

/// Runs it. An answer that is not the collective's is an error. With
/// `withLaunch` the cycles include the target's launch, once; `withPath` walks
/// their critical path.
llvm::Expected<CollectiveRun> runCollective(const collectives::Line &line,
                                            const collectives::Request &request,
                                            image::Type type,
                                            const image::TargetT &target,
                                            bool withLaunch = false,
                                            bool withPath = false);

} // namespace waferloom::measure

#endif // WAFERLOOM_MEASURE_COLLECTIVE_H
