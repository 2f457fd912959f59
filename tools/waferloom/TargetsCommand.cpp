// waferloom targets [NAME]: the machines and where their figures come from.

#include "Arguments.h"
#include "Commands.h"

using namespace waferloom;
using namespace waferloom::tool;

llvm::Expected<target::Target> tool::readTarget(llvm::StringRef specification) {
  std::vector<std::string> warnings;
  auto found = target::parse(specification, &warnings);
  for (const std::string &warning : warnings)
    llvm::errs() << "waferloom: warning: " << warning << "\n";
  return found;
}

int tool::targetsCommand(llvm::ArrayRef<char *> argv) {
  Arguments args;
  if (!args.parse("targets", "targets [NAME|FILE]", {}, argv))
    return args.status;
  if (args.positional.size() > 1) {
    args.wrongUsage("takes one target");
    return args.status;
  }
  if (args.positional.empty()) {
    target::printPresets(llvm::outs());
    return 0;
  }
  auto found = readTarget(args.positional.front());
  if (!found) {
    llvm::errs() << "waferloom targets: error: "
                 << llvm::toString(found.takeError()) << "\n";
    return 1;
  }
  target::print(*found, llvm::outs());
  return 0;
}
