//===- waferloom.cpp - The command line -----------------------------------===//
//
// A table of subcommands; everything they do lives in lib.
//
//===----------------------------------------------------------------------===//

#include "Commands.h"
#include "Messages.h"

#include "waferloom/Files/Output.h"
#include "waferloom/Spelling/Nearest.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVectorExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"

#include <unistd.h>

using namespace waferloom;
using namespace waferloom::tool;

llvm::ArrayRef<const Command *> tool::commands() {
  static const Command *all[] = {
      &compileCommand,    &runCommand,        &generateCommand,
      &chatCommand,       &serveCommand,      &infoCommand,
      &operatorsCommand,  &reportCommand,     &sweepCommand,
      &plotCommand,       &explainCommand,    &targetsCommand,
      &collectiveCommand, &completionCommand, &helpCommand,
  };
  return all;
}

static void printCommands(llvm::raw_ostream &os) {
  os << "usage: waferloom COMMAND [options]\n";
  for (const Command *command : commands())
    os << llvm::formatv("  {0,-12} {1}\n", command->name, command->summary);
  os << "'waferloom help COMMAND' lists the options of one\n";
}

/// Ends the process as any refusal does: no temporary file stays behind. It
/// must not allocate.
[[noreturn]] static void outOfMemory() {
#define MEMORY "this host has no more memory to give"
#define WAY_OUT                                                                \
  "a smaller region, a shorter context or fewer steps to trace need less"
  static constexpr llvm::StringLiteral text =
      "waferloom: error: " MEMORY "; " WAY_OUT "\n";
  static constexpr llvm::StringLiteral json =
      "{\"message\":\"" MEMORY "\",\"node\":\"\",\"notes\":[\"" WAY_OUT
      "\"],\"severity\":\"error\",\"where\":\"waferloom\"}\n";
  llvm::StringRef message = tellsAsJson() ? json : text;
  (void)!::write(STDERR_FILENO, message.data(), message.size());
  llvm::sys::RunInterruptHandlers();
  _exit(1);
}

/// argv[0].
static llvm::StringRef called;

/// What `help` and a first argument may be.
static llvm::ArrayRef<llvm::StringRef> commandNames(llvm::StringRef option) {
  static const llvm::SmallVector<llvm::StringRef> names =
      llvm::map_to_vector(commands(), [](const Command *command) {
        return llvm::StringRef(command->name);
      });
  if (option.empty())
    return names;
  return {};
}

static const Command *find(llvm::StringRef name) {
  auto found = llvm::find_if(commands(), [&](const Command *command) {
    return command->name == name;
  });
  return found == commands().end() ? nullptr : *found;
}

static int refuseCommand(llvm::StringRef name) {
  llvm::ArrayRef<llvm::StringRef> names = commandNames("");
  std::string hint = spelling::didYouMean(name, names);
  if (tellsAsJson()) {
    tell({"error",
          "waferloom",
          llvm::formatv("there is no command '{0}'", name),
          "",
          {hint + "there are " + llvm::join(names, ", ")}});
    return 2;
  }
  llvm::errs() << "waferloom: there is no command '" << name << "'"
               << (hint.empty() ? "" : "; ") << llvm::StringRef(hint).rtrim()
               << "\n";
  printCommands(llvm::errs());
  return 2;
}

/// The overview, or the help of one command; with --json the table that help,
/// completion and docs are made of.
static int help(llvm::ArrayRef<char *> argv) {
  Arguments args;
  if (!args.parse(helpCommand, argv))
    return args.status;
  if (args.positional.size() > 1) {
    args.wrongUsage("takes one command");
    return args.status;
  }
  if (args.positional.empty() && args.has("json")) {
    llvm::json::Array list;
    for (const Command *command : commands())
      list.push_back(describe(*command));
    llvm::outs() << llvm::json::Value(
                        llvm::json::Object{{"version", WAFERLOOM_VERSION},
                                           {"commands", std::move(list)}})
                 << "\n";
    return 0;
  }
  if (args.positional.empty()) {
    printCommands(llvm::outs());
    return 0;
  }
  const Command *command = find(args.positional.front());
  if (!command)
    return refuseCommand(args.positional.front());
  if (args.has("json")) {
    llvm::outs() << llvm::json::Value(describe(*command)) << "\n";
    return 0;
  }
  if (!command->run) {
    std::string flag = "--help";
    return runPython(called, command->name, {flag.data()});
  }
  printHelp(*command, llvm::outs());
  return 0;
}

static constexpr Option helpOptions[] = {
    {"json", "", "the table of commands and options as one JSON object"},
};

const Command tool::helpCommand = {
    "help",
    "the options of a command",
    "[COMMAND] [--json]",
    helpOptions,
    commandNames,
    help,
};

int main(int argc, char **argv) {
  // What InitLLVM does when memory is out asks this handler.
  llvm::install_bad_alloc_error_handler(
      [](void *, const char *, bool) { outOfMemory(); });
  llvm::InitLLVM init(argc, argv);
  waferloom::files::handleSignals();
  called = argv[0];
  llvm::StringRef name = argc > 1 ? argv[1] : "";
  llvm::ArrayRef<char *> args(argv + std::min(argc, 2), argv + argc);
  for (llvm::StringRef arg : args) {
    if (arg == "--")
      break;
    if (arg == "--json")
      tellAsJson();
  }
  if (name == "--version") {
    llvm::outs() << "waferloom " WAFERLOOM_VERSION "\n";
    return 0;
  }
  if (name == "--help" || name == "-h") {
    printCommands(llvm::outs());
    return 0;
  }
  if (const Command *command = find(name))
    return command->run ? command->run(args)
                        : runPython(called, command->name, args);
  if (!name.empty())
    return refuseCommand(name);
  printCommands(llvm::errs());
  return 2;
}
