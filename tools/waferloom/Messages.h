//===- Messages.h - How commands say what is wrong --------------*- C++ -*-===//
//
// As a compiler does, or with `--json` as one JSON object per line
// (docs/cli.schema.json); on stderr either way.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_TOOLS_WAFERLOOM_MESSAGES_H
#define WAFERLOOM_TOOLS_WAFERLOOM_MESSAGES_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace waferloom::tool {

struct Message {
  std::string severity; // "error" or "warning"
  std::string where;    // a file, or the command
  std::string text;
  std::string node; // of the model; "": it is about none
  std::vector<std::string> notes;
};

/// From here on messages are JSON.
void tellAsJson();
bool tellsAsJson();

void tell(const Message &message);

/// Tells an error; returns the exit status of a refusal.
int fail(llvm::StringRef where, llvm::Error error);

void warn(llvm::StringRef where, llvm::StringRef text);

} // namespace waferloom::tool

#endif // WAFERLOOM_TOOLS_WAFERLOOM_MESSAGES_H
