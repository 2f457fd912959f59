// waferloom targets [NAME]: the machines and where their figures come from.

#include "Arguments.h"
#include "Commands.h"
#include "Messages.h"

#include "waferloom/Target/Describe.h"

using namespace waferloom;
using namespace waferloom::tool;

llvm::Expected<target::Target> tool::readTarget(llvm::StringRef specification) {
  std::vector<std::string> warnings;
  auto found = target::parse(specification, &warnings);
  for (const std::string &warning : warnings)
    warn("waferloom", warning);
  return found;
}

static constexpr Option options[] = {
    {"json", "", "print one JSON object: every figure, and whether it acts"},
};

static llvm::ArrayRef<llvm::StringRef> choices(llvm::StringRef option) {
  if (option.empty())
    return target::presetNames();
  return {};
}

static int run(llvm::ArrayRef<char *> argv) {
  Arguments args;
  if (!args.parse(targetsCommand, argv))
    return args.status;
  if (args.positional.size() > 1) {
    args.wrongUsage("takes one target");
    return args.status;
  }
  if (args.positional.empty()) {
    if (args.has("json"))
      llvm::outs() << llvm::json::Value(llvm::json::Object{
                          {"presets", target::presetsToJson()}})
                   << "\n";
    else
      target::printPresets(llvm::outs());
    return 0;
  }
  const std::string &specification = args.positional.front();
  auto found = readTarget(specification);
  if (!found)
    return fail("waferloom targets", found.takeError());
  std::optional<target::Target> preset;
  if (auto name = target::presetOf(specification);
      name && *name != specification)
    preset = llvm::cantFail(target::parse(*name));
  if (args.has("json")) {
    llvm::outs() << llvm::json::Value(
                        target::toJson(*found, preset ? &*preset : nullptr))
                 << "\n";
    return 0;
  }
  if (preset) {
    llvm::outs() << "what differs from " << preset->name << ":\n";
    target::printChanges(*found, *preset, llvm::outs());
    llvm::outs() << "\n";
  }
  target::print(*found, llvm::outs());
  return 0;
}

const Command tool::targetsCommand = {
    "targets",
    "the machines and their figures",
    "[NAME|FILE] [--json]",
    options,
    choices,
    run,
};
