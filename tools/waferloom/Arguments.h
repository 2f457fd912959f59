//===- Arguments.h - Options of a subcommand --------------------*- C++ -*-===//
//
// A subcommand declares its options as a table and gets values, or the message
// of wrong usage. LLVM's command line library is not used since its options are
// global and the shared LLVM library registers about a thousand of its own.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_TOOLS_WAFERLOOM_ARGUMENTS_H
#define WAFERLOOM_TOOLS_WAFERLOOM_ARGUMENTS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"

#include <optional>
#include <string>
#include <vector>

namespace waferloom::tool {

/// One option: `--name VALUE`, `--name=VALUE`, or a flag without a value. A
/// letter stands for `-o VALUE`.
struct Option {
  llvm::StringLiteral name;
  llvm::StringLiteral value; // "" for a flag
  llvm::StringLiteral help;
  char letter = 0;
};

class Arguments {
public:
  /// Reads `args`; false after an error or the help was printed, `status` then
  /// says how to exit.
  bool parse(llvm::StringRef command, llvm::StringRef synopsis,
             llvm::ArrayRef<Option> options, llvm::ArrayRef<char *> args);

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

  /// Prints "waferloom COMMAND: message" and sets the status of wrong usage.
  bool wrongUsage(const std::string &message);

private:
  std::string command;
  llvm::StringMap<std::vector<std::string>> values;
};

} // namespace waferloom::tool

#endif // WAFERLOOM_TOOLS_WAFERLOOM_ARGUMENTS_H
