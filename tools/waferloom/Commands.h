//===- Commands.h - The subcommands of waferloom ----------------*- C++ -*-===//

#ifndef WAFERLOOM_TOOLS_WAFERLOOM_COMMANDS_H
#define WAFERLOOM_TOOLS_WAFERLOOM_COMMANDS_H

#include "Arguments.h"

#include "waferloom/Target/Target.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace waferloom::tool {

extern const Command compileCommand, runCommand, infoCommand, operatorsCommand,
    reportCommand, targetsCommand, collectiveCommand, helpCommand;

/// Those that the Python package does: their options are there.
extern const Command generateCommand, chatCommand, serveCommand, sweepCommand,
    plotCommand, explainCommand, completionCommand;

/// All of them, in the order of the overview.
llvm::ArrayRef<const Command *> commands();

/// Becomes Python and does the command there. `called` is the name of the tool
/// as it was called: argv[0].
int runPython(llvm::StringRef called, llvm::StringRef command,
              llvm::ArrayRef<char *> args);

/// `target::parse`, with its warnings told.
llvm::Expected<target::Target> readTarget(llvm::StringRef specification);

} // namespace waferloom::tool

#endif // WAFERLOOM_TOOLS_WAFERLOOM_COMMANDS_H
