//===- Solvers.h - What the algorithms fill in ------------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_COLLECTIVES_SOLVERS_H
#define WAFERLOOM_LIB_COLLECTIVES_SOLVERS_H

#include "waferloom/Collectives/Collectives.h"

namespace waferloom::collectives {

/// One segment of a line under construction: a program per PE. PE `digit` of
/// the group `minor` is at `digit * stride + minor`.
struct Segment {
  Segment(const Line &line, const Request &request)
      : length(line.length), stride(line.stride), root(request.root),
        pes(size_t(line.length) * line.stride) {}

  /// A color that no stream has used yet, or `count` in a row.
  unsigned newColors(unsigned count) {
    colors += count;
    return colors - count;
  }
  void route(size_t pe, unsigned color, Port from, unsigned to) {
    pes[pe].routes.push_back({color, {{from, 0}}, uint8_t(to)});
  }
  void transfer(size_t pe, Transfer::Kind kind, unsigned in, unsigned out = 0) {
    pes[pe].transfers.push_back({kind, in, out, 1});
  }
  /// Routes a stream from one PE to another and through those between.
  void stream(size_t from, size_t to, unsigned color);

  const unsigned length;
  const unsigned stride;
  const unsigned root;
  std::vector<ClassProgram> pes;
  unsigned colors = 0;
};

void multicast(Segment &);

/// Equal programs become classes, equal stretches runs.
CollectivePlan compress(const Line &, Segment &&);

} // namespace waferloom::collectives

#endif // WAFERLOOM_LIB_COLLECTIVES_SOLVERS_H
