// waferloom operators [NAME]: what import makes of the operators of ONNX.

#include "Arguments.h"
#include "Commands.h"
#include "Messages.h"

#include "waferloom/Import/Import.h"
#include "waferloom/Spelling/Nearest.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

using namespace waferloom;
using namespace waferloom::tool;
using import::OperatorSupport;

static llvm::StringRef wordFor(OperatorSupport::How how) {
  if (how == OperatorSupport::How::Native)
    return "native";
  return how == OperatorSupport::How::Body ? "by its body" : "refused";
}

static int run(llvm::ArrayRef<char *> argv) {
  Arguments args;
  if (!args.parse(operatorsCommand, argv))
    return args.status;
  if (args.positional.size() > 1) {
    args.wrongUsage("takes one operator");
    return args.status;
  }
  bool found = false;
  for (const OperatorSupport &each : import::operatorSupport()) {
    if (!args.positional.empty() && args.positional.front() != each.name)
      continue;
    found = true;
    std::string name = each.domain.empty() ? "" : each.domain + ".";
    llvm::outs() << llvm::formatv(
        "{0,-50} {1,-4} {2}{3}\n", name + each.name,
        each.version ? std::to_string(each.version) : "", wordFor(each.how),
        each.reason.empty() ? "" : ": " + each.reason);
  }
  if (found)
    return 0;
  llvm::SmallVector<llvm::StringRef> names;
  for (const OperatorSupport &each : import::operatorSupport())
    names.push_back(each.name);
  const std::string &typed = args.positional.front();
  tell({"error",
        "waferloom operators",
        "ONNX has no operator '" + typed +
            "', and import knows none of that name; " +
            spelling::didYouMean(typed, names) +
            "'waferloom operators' lists them",
        "",
        {}});
  return 1;
}

const Command tool::operatorsCommand = {
    "operators", "what becomes of the operators of ONNX", "[NAME]", {}, nullptr,
    run,
};
