#include "Arguments.h"

#include "Messages.h"

#include "waferloom/Spelling/Nearest.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace waferloom;
using namespace waferloom::tool;
using llvm::StringRef;

bool Arguments::wrongUsage(const std::string &message) {
  const std::string name = "waferloom " + command->name.str();
  const std::string hint = "try '" + name + " --help'";
  if (tellsAsJson())
    tell({"error", name, message, "", {hint}});
  else
    llvm::errs() << name << ": " << message << "\n" << hint << "\n";
  status = 2;
  return false;
}

bool Arguments::wrongChoice(StringRef name) {
  const std::string typed = get(name);
  llvm::ArrayRef<StringRef> choices = command->choicesOf(name);
  return wrongUsage(llvm::formatv(
      "--{0} cannot be '{1}'; {2}it is one of {3}", name, typed,
      spelling::didYouMean(typed, choices), llvm::join(choices, ", ")));
}

/// What is said of an option.
static std::string helpOf(const Command &command, const Option &option) {
  std::string help = option.help.str();
  if (option.help.ends_with(":"))
    help += " " + llvm::join(command.choicesOf(option.name), ", ");
  return help;
}

/// Text in columns 31 to 100.
static void printWrapped(llvm::raw_ostream &os, StringRef text) {
  constexpr size_t left = 31, width = 70;
  while (text.size() > width) {
    size_t end = text.take_front(width + 1).rfind(' ');
    if (end == StringRef::npos)
      break;
    os << text.take_front(end) << "\n" << std::string(left, ' ');
    text = text.drop_front(end + 1);
  }
  os << text << "\n";
}

void tool::printHelp(const Command &command, llvm::raw_ostream &os) {
  os << "usage: waferloom " << command.name
     << (command.operands.empty() ? "" : " ") << command.operands << "\n";
  for (const Option &option : command.options) {
    std::string left = "--" + option.name.str();
    if (option.letter)
      left = std::string("-") + option.letter + ", " + left;
    if (!option.value.empty())
      left += " " + option.value.str();
    os << llvm::formatv("  {0,-28} ", left);
    printWrapped(os, helpOf(command, option));
  }
}

llvm::json::Object tool::describe(const Command &command) {
  llvm::json::Array options;
  for (const Option &option : command.options) {
    llvm::json::Array choices;
    for (StringRef choice : command.choicesOf(option.name))
      choices.push_back(choice);
    options.push_back(llvm::json::Object{
        {"name", option.name},
        {"letter", option.letter ? std::string(1, option.letter) : ""},
        {"value", option.value},
        {"help", helpOf(command, option)},
        {"choices", std::move(choices)}});
  }
  llvm::json::Array operands;
  for (StringRef choice : command.choicesOf(""))
    operands.push_back(choice);
  return llvm::json::Object{
      {"name", command.name},         {"summary", command.summary},
      {"operands", command.operands}, {"choices", std::move(operands)},
      {"python", !command.run},       {"options", std::move(options)}};
}

/// What somebody meant who gave an option that there is not.
static std::string nearestOption(StringRef key,
                                 llvm::ArrayRef<Option> options) {
  StringRef name = key.drop_while([](char c) { return c == '-'; });
  auto names = llvm::map_range(
      options, [](const Option &option) -> StringRef { return option.name; });
  StringRef nearest = spelling::nearest(name, names);
  return nearest.empty() ? "" : "; did you mean '--" + nearest.str() + "'?";
}

bool Arguments::parse(const Command &given, llvm::ArrayRef<char *> args) {
  command = &given;
  llvm::ArrayRef<Option> options = given.options;
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
      printHelp(given, llvm::outs());
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
      return wrongUsage(llvm::formatv("there is no option '{0}'{1}", key,
                                      nearestOption(key, options)));
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
