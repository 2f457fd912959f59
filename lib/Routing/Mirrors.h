// The enumerations of levels 3 to 5 and of the solvers are the same.

#ifndef WAFERLOOM_LIB_ROUTING_MIRRORS_H
#define WAFERLOOM_LIB_ROUTING_MIRRORS_H

#include "waferloom/Collectives/Collectives.h"
#include "waferloom/Dialect/Fabric/Fabric.h"
#include "waferloom/Dialect/Wafer/Wafer.h"
#include "waferloom/Format/Mirrored.h"

WAFERLOOM_MIRRORS(waferloom::wafer::Combiner, waferloom::collectives::Combiner)
WAFERLOOM_MIRRORS(waferloom::fabric::Combiner, waferloom::collectives::Combiner)
WAFERLOOM_MIRRORS(waferloom::wafer::Axis::Direction,
                  waferloom::fabric::Direction)

namespace waferloom {
#define COMBINER(name, text, opcode)                                           \
  WAFERLOOM_SAME(wafer::Combiner, collectives::Combiner, name)                 \
  WAFERLOOM_SAME(fabric::Combiner, collectives::Combiner, name)
#include "waferloom/Collectives/Combiners.def"
WAFERLOOM_SAME(wafer::Axis::Direction, fabric::Direction, X)
WAFERLOOM_SAME(wafer::Axis::Direction, fabric::Direction, Y)
} // namespace waferloom

#endif // WAFERLOOM_LIB_ROUTING_MIRRORS_H
