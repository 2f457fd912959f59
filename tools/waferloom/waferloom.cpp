//===- waferloom.cpp - The command line -----------------------------------===//
//
// A table of subcommands; everything they do lives in lib.
//
//===----------------------------------------------------------------------===//

#include "Commands.h"

#include "waferloom/Files/Output.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"

#include <unistd.h>

using namespace waferloom::tool;

namespace {

struct Command {
  llvm::StringLiteral name;
  llvm::StringLiteral summary;
  /// Null: Python's.
  int (*run)(llvm::ArrayRef<char *> args);
};

constexpr Command commands[] = {
    {"compile", "an ONNX model becomes a wafer image", compileCommand},
    {"run", "execute an image on its simulated cores", runCommand},
    {"generate", "let a compiled language model speak", nullptr},
    {"chat", "talk with one in the terminal", nullptr},
    {"serve", "serve one to clients of the chat protocol", nullptr},
    {"info", "what is in an image or a model", infoCommand},
    {"operators", "what becomes of the operators of ONNX", operatorsCommand},
    {"report", "a page about an image: fit, map, cycles", reportCommand},
    {"targets", "the machines and their figures", targetsCommand},
    {"collective", "execute one collective on a row of PEs and count cycles",
     collectiveCommand},
};

} // namespace

static void printCommands(llvm::raw_ostream &os) {
  os << "usage: waferloom COMMAND [options]\n";
  for (const Command &command : commands)
    os << llvm::formatv("  {0,-12} {1}\n", command.name, command.summary);
  os << "'waferloom COMMAND --help' lists the options of one\n";
}

/// Ends the process as any refusal does: no temporary file stays behind. It
/// must not allocate.
[[noreturn]] static void outOfMemory() {
  static constexpr llvm::StringLiteral message =
      "waferloom: error: this host has no more memory to give; a smaller "
      "region, a shorter context or fewer steps to trace need less\n";
  (void)!::write(STDERR_FILENO, message.data(), message.size());
  llvm::sys::RunInterruptHandlers();
  _exit(1);
}

int main(int argc, char **argv) {
  // What InitLLVM does when memory is out asks this handler.
  llvm::install_bad_alloc_error_handler(
      [](void *, const char *, bool) { outOfMemory(); });
  llvm::InitLLVM init(argc, argv);
  waferloom::files::handleSignals();
  llvm::StringRef name = argc > 1 ? argv[1] : "";
  if (name == "--help" || name == "-h") {
    printCommands(llvm::outs());
    return 0;
  }
  for (const Command &command : commands)
    if (command.name == name) {
      const llvm::ArrayRef<char *> args(argv + 2, argv + argc);
      return command.run ? command.run(args)
                         : pythonCommand(argv[0], name, args);
    }
  if (!name.empty())
    llvm::errs() << "waferloom: there is no command '" << name << "'\n";
  printCommands(llvm::errs());
  return 2;
}
