//===- RunCore.h - Run hand-written core text -------------------*- C++ -*-===//

#ifndef WAFERLOOM_TOOLS_WAFERLOOMOPT_RUNCORE_H
#define WAFERLOOM_TOOLS_WAFERLOOMOPT_RUNCORE_H

namespace waferloom::tool {

/// Registers --run-core: assembles the text, runs its first entry once, and
/// prints cycles and outputs. An input takes the elements of the source that
/// has its name.
void registerRunCore();

} // namespace waferloom::tool

#endif // WAFERLOOM_TOOLS_WAFERLOOMOPT_RUNCORE_H
