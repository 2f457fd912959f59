//===- Arguments.h - Options of a subcommand --------------------*- C++ -*-===//
//
// A subcommand declares its options as a table and gets values, or the message
// of wrong usage. Help, completion and docs/cli.md are made of the same table.
// LLVM's command line library is not used since its options are global and the
// shared LLVM library registers about a thousand of its own.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_TOOLS_WAFERLOOM_ARGUMENTS_H
#define WAFERLOOM_TOOLS_WAFERLOOM_ARGUMENTS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <optional>
#include <string>
#include <vector>

namespace waferloom::tool {

/// One option: `--name VALUE`, `--name=VALUE`, or a flag without a value. A
/// letter stands for `-o VALUE`. A help that ends in a colon goes on with what
/// the value may be.
struct Option {
  llvm::StringLiteral name;
  llvm::StringLiteral value; // "" for a flag
  llvm::StringLiteral help;
  char letter = 0;
};

/// A subcommand.
struct Command {
  llvm::StringLiteral name;
  llvm::StringLiteral summary;
  llvm::StringLiteral operands; // behind the name in its usage
  llvm::ArrayRef<Option> options;
  /// Values that an option may have, for those who type it; null, or an empty
  /// answer: others.
  llvm::ArrayRef<llvm::StringRef> (*choices)(llvm::StringRef option);
  /// Returns the exit status: 0 done, 1 refused or failed, 2 wrong usage. Null:
  /// the Python package does it.
  int (*run)(llvm::ArrayRef<char *> args);

  llvm::ArrayRef<llvm::StringRef> choicesOf(llvm::StringRef option) const {
    return choices ? choices(option) : llvm::ArrayRef<llvm::StringRef>();
  }
};

void printHelp(const Command &command, llvm::raw_ostream &os);

/// What `printHelp` prints, as data.
llvm::json::Object describe(const Command &command);

class Arguments {
public:
  /// Reads `args`; false after an error or the help was printed, `status` then
  /// says how to exit.
  bool parse(const Command &command, llvm::ArrayRef<char *> args);

  int status = 0;
  std::vector<std::string> positional;

  bool has(llvm::StringRef name) const { return values.count(name); }
  /// The last value given, or `otherwise`.
  std::string get(llvm::StringRef name, llvm::StringRef otherwise = "") const;
  llvm::ArrayRef<std::string> all(llvm::StringRef name) const;
  /// A whole number; prints wrong usage and returns nothing if it is none.
  std::optional<int64_t> integer(llvm::StringRef name, int64_t otherwise,
                                 int64_t least);
  std::optional<double> real(llvm::StringRef name, double otherwise);

  /// Tells that an option cannot have the value that it was given.
  bool wrongChoice(llvm::StringRef name);
  /// Tells "waferloom COMMAND: message" and sets the status of wrong usage.
  bool wrongUsage(const std::string &message);

private:
  const Command *command = nullptr;
  llvm::StringMap<std::vector<std::string>> values;
};

} // namespace waferloom::tool

#endif // WAFERLOOM_TOOLS_WAFERLOOM_ARGUMENTS_H
