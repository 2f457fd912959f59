//===- Commands.h - The subcommands of waferloom ----------------*- C++ -*-===//

#ifndef WAFERLOOM_TOOLS_WAFERLOOM_COMMANDS_H
#define WAFERLOOM_TOOLS_WAFERLOOM_COMMANDS_H

#include "waferloom/Target/Target.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace waferloom::tool {

// Each takes what stands behind its name and returns the exit status: 0 done,
// 1 refused or failed, 2 wrong usage.
int compileCommand(llvm::ArrayRef<char *> args);
int runCommand(llvm::ArrayRef<char *> args);
/// Of the module of that name in the Python package. `called` is the name of
/// the tool as it was called: argv[0].
int pythonCommand(llvm::StringRef called, llvm::StringRef name,
                  llvm::ArrayRef<char *> args);
int infoCommand(llvm::ArrayRef<char *> args);
int operatorsCommand(llvm::ArrayRef<char *> args);
int reportCommand(llvm::ArrayRef<char *> args);
int targetsCommand(llvm::ArrayRef<char *> args);
int collectiveCommand(llvm::ArrayRef<char *> args);

/// `target::parse`, with its warnings printed.
llvm::Expected<target::Target> readTarget(llvm::StringRef specification);

} // namespace waferloom::tool

#endif // WAFERLOOM_TOOLS_WAFERLOOM_COMMANDS_H
