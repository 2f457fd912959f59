#include "Arguments.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

using namespace waferloom::tool;
using llvm::StringRef;

bool Arguments::wrongUsage(const std::string &message) {
  llvm::errs() << "waferloom " << command << ": " << message << "\n"
               << "try 'waferloom " << command << " --help'\n";
  status = 2;
  return false;
}

static void printHelp(StringRef synopsis, llvm::ArrayRef<Option> options) {
  llvm::outs() << "usage: waferloom " << synopsis << "\n";
  for (const Option &option : options) {
    std::string left = "--" + option.name.str();
    if (option.letter)
      left = std::string("-") + option.letter + ", " + left;
    if (!option.value.empty())
      left += " " + option.value.str();
    llvm::outs() << llvm::formatv("  {0,-28} {1}\n", left, option.help);
  }
}

bool Arguments::parse(StringRef name, StringRef synopsis,
                      llvm::ArrayRef<Option> options,
                      llvm::ArrayRef<char *> args) {
  command = name.str();
  bool onlyPositional = false;
  for (size_t i = 0; i < args.size(); ++i) {
    StringRef arg = args[i];
    if (onlyPositional || !arg.starts_with("-") || arg == "-") {
      positional.push_back(arg.str());
      continue;
    }
    if (arg == "--") {
      onlyPositional = true;
      continue;
    }
    if (arg == "--help" || arg == "-h") {
      printHelp(synopsis, options);
      status = 0;
      return false;
    }
    auto [key, inlined] = arg.split('=');
    const Option *found = nullptr;
    for (const Option &option : options)
      if (key.drop_while([](char c) { return c == '-'; }) == option.name ||
          (key.size() == 2 && option.letter && key[1] == option.letter))
        found = &option;
    if (!found)
      return wrongUsage(llvm::formatv("there is no option '{0}'", key));
    bool given = arg.contains('=');
    if (found->value.empty()) {
      if (given)
        return wrongUsage(llvm::formatv("'{0}' takes no value", key));
      values[found->name].emplace_back();
      continue;
    }
    if (!given && i + 1 == args.size())
      return wrongUsage(llvm::formatv("'{0}' needs {1}", key, found->value));
    values[found->name].push_back(given ? inlined.str() : args[++i]);
  }
  return true;
}

std::string Arguments::get(StringRef name, StringRef otherwise) const {
  auto it = values.find(name);
  return it == values.end() ? otherwise.str() : it->second.back();
}

llvm::ArrayRef<std::string> Arguments::all(StringRef name) const {
  auto it = values.find(name);
  if (it == values.end())
    return {};
  return it->second;
}

std::optional<int64_t> Arguments::integer(StringRef name, int64_t otherwise,
                                          int64_t least) {
  if (!has(name))
    return otherwise;
  int64_t value;
  if (StringRef(get(name)).getAsInteger(10, value) || value < least) {
    wrongUsage(llvm::formatv("--{0} needs a whole number of at least {1}, not "
                             "'{2}'",
                             name, least, get(name)));
    return std::nullopt;
  }
  return value;
}

std::optional<double> Arguments::real(StringRef name, double otherwise) {
  if (!has(name))
    return otherwise;
  double value;
  if (StringRef(get(name)).getAsDouble(value)) {
    wrongUsage(
        llvm::formatv("--{0} needs a number, not '{1}'", name, get(name)));
    return std::nullopt;
  }
  return value;
}
