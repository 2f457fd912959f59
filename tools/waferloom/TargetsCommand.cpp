// waferloom targets [NAME]: the machines and where their figures come from.

#include "Arguments.h"
#include "Commands.h"

#include "waferloom/Target/Target.h"

using namespace waferloom;
using namespace waferloom::tool;

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
  auto found = target::parse(args.positional.front());
  if (!found) {
    llvm::errs() << "waferloom targets: error: "
                 << llvm::toString(found.takeError()) << "\n";
    return 1;
  }
  target::print(*found, llvm::outs());
  return 0;
}
