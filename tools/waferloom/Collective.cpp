// waferloom collective: how long a reduction or broadcast takes on a row of
// PEs.

#include "Arguments.h"
#include "Commands.h"
#include "Messages.h"

#include "waferloom/Measure/Collective.h"
#include "waferloom/Report/CriticalPath.h"
#include "waferloom/Target/Describe.h"
#include "waferloom/Target/ImageTarget.h"
#include "waferloom/Target/Target.h"

#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

using namespace waferloom;
using namespace waferloom::tool;
using collectives::Algorithm;
using collectives::Kind;

static constexpr Option options[] = {
    {"kind", "K", "reduce, all-reduce (default) or broadcast"},
    {"algorithm", "A",
     "chain, tree, two-phase, star, ring, grown or auto (default)"},
    {"length", "P", "PEs in the row, or column where a row is too short"},
    {"words", "B", "32-bit words per PE"},
    {"group", "S",
     "PEs per group of two-phase, words that a grown tree is for"},
    {"levels", "L", "levels of chains of a grown tree"},
    {"root", "R", "first (default) or middle: where it ends or starts"},
    {"type", "T", "f32 (default) or f16, two elements per word"},
    {"target", "NAME|FILE", "the machine; wse2 is the default"},
    {"json", "", "print one JSON object"},
};

namespace {

/// What was asked for.
struct Measurement {
  collectives::Line line;
  collectives::Request request;
  image::Type type = image::Type::f32;
  std::string root, typeName;
};

} // namespace

static bool read(Arguments &args, Measurement &m) {
  auto number = [&](const char *name, int64_t otherwise, auto &to) {
    std::optional<int64_t> value = args.integer(name, otherwise, otherwise);
    if (value && *value > INT32_MAX)
      return args.wrongUsage(
          llvm::formatv("--{0} {1} is more than {2}", name, *value, INT32_MAX));
    if (value)
      to = *value;
    return value.has_value();
  };
  for (const char *needed : {"length", "words"})
    if (!args.has(needed))
      return args.wrongUsage(llvm::formatv("needs --{0} N", needed));
  if (!number("length", 1, m.line.length) ||
      !number("words", 1, m.request.words) ||
      !number("group", 0, m.request.group) ||
      !number("levels", 0, m.request.levels))
    return false;
  const std::string kind = args.get("kind", "all-reduce");
  const std::string algorithm = args.get("algorithm", "auto");
  std::optional<Kind> knownKind = collectives::parseKind(kind);
  if (!knownKind)
    return args.wrongChoice("kind");
  std::optional<Algorithm> knownAlgorithm =
      collectives::parseAlgorithm(algorithm);
  if (!knownAlgorithm)
    return args.wrongChoice("algorithm");
  m.request.kind = *knownKind;
  m.request.algorithm = *knownAlgorithm;
  m.root = args.get("root", "first");
  if (m.root != "first" && m.root != "middle")
    return args.wrongChoice("root");
  m.request.root = m.root == "middle" ? m.line.length / 2 : 0;
  m.typeName = args.get("type", "f32");
  if (m.typeName != "f32" && m.typeName != "f16")
    return args.wrongChoice("type");
  m.type = m.typeName == "f16" ? image::Type::f16 : image::Type::f32;
  return true;
}

static llvm::ArrayRef<llvm::StringRef> choices(llvm::StringRef option) {
  using llvm::StringRef;
  static const llvm::SmallVector<StringRef> algorithms = [] {
    llvm::SmallVector<StringRef> names{collectives::nameOf(Algorithm::Auto)};
    for (Algorithm algorithm : collectives::algorithms())
      names.push_back(collectives::nameOf(algorithm));
    return names;
  }();
  static const StringRef kinds[] = {
      nameOf(Kind::AllReduce), nameOf(Kind::Reduce), nameOf(Kind::Broadcast)};
  static const StringRef roots[] = {"first", "middle"},
                         types[] = {"f32", "f16"};
  return llvm::StringSwitch<llvm::ArrayRef<StringRef>>(option)
      .Case("kind", kinds)
      .Case("algorithm", algorithms)
      .Case("root", roots)
      .Case("type", types)
      .Case("target", target::presetNames())
      .Default({});
}

static void printJson(const Measurement &m, const measure::CollectiveRun &run,
                      llvm::StringRef target) {
  llvm::json::OStream os(llvm::outs());
  os.object([&] {
    os.attribute("kind", collectives::nameOf(m.request.kind));
    os.attribute("algorithm", collectives::nameOf(run.algorithm));
    if (run.group)
      os.attribute("group", run.group);
    if (run.levels)
      os.attribute("levels", run.levels);
    os.attribute("length", m.line.length);
    os.attribute("words", int64_t(m.request.words));
    os.attribute("type", m.typeName);
    os.attribute("root", m.root);
    os.attribute("target", target);
    os.attribute("colors", run.colors);
    os.attribute("classes", run.classes);
    os.attribute("cycles", int64_t(run.executed));
    os.attribute("estimated_cycles", int64_t(run.estimated));
    os.attribute("published_cycles", run.published);
    os.attribute("lower_bound_cycles", run.lowerBound);
    os.attribute("grown_bound_cycles", int64_t(run.grownBound));
    os.attribute("hard_bound_cycles", int64_t(run.hardBound));
    os.attribute("shared_link_cycles", int64_t(run.sharedLinkCycles));
    os.attributeObject("critical_path", [&] {
      for (executor::PathKind kind : executor::allPathKinds())
        os.attribute(nameOf(kind), run.path[size_t(kind)]);
    });
  });
  llvm::outs() << "\n";
}

static void printText(const Measurement &m, const measure::CollectiveRun &run,
                      llvm::StringRef target) {
  llvm::raw_ostream &os = llvm::outs();
  os << llvm::formatv(
      "{0} of {1} words ({2}) over {3} PEs of {4}, root {5}: {6}",
      collectives::nameOf(m.request.kind), m.request.words, m.typeName,
      m.line.length, target, m.root, collectives::nameOf(run.algorithm));
  if (run.levels)
    os << llvm::formatv(" for {0} words in {1} levels", run.group, run.levels);
  else if (run.group)
    os << ", groups of " << run.group;
  os << llvm::formatv("\n  executed      {0} cycles\n"
                      "  closed form   {1} cycles on this machine, {2:F0} as "
                      "published (root first, no issue)\n"
                      "  lower bound   {3} cycles, {4} for trees of two "
                      "children, {5:F0} as published\n"
                      "  critical path {6}\n"
                      "  shared links  {7} cycles\n"
                      "  colors        {8}\n  classes       {9}\n",
                      run.executed, run.estimated, run.published, run.hardBound,
                      run.grownBound, run.lowerBound,
                      report::describe(run.path), run.sharedLinkCycles,
                      run.colors, run.classes);
}

static int run(llvm::ArrayRef<char *> argv) {
  Arguments args;
  if (!args.parse(collectiveCommand, argv))
    return args.status;
  Measurement m;
  if (!args.positional.empty())
    args.wrongUsage("takes no file but got '" + args.positional.front() + "'");
  else if (read(args, m))
    args.status = 0;
  if (args.status)
    return args.status;
  llvm::Expected<target::Target> target =
      readTarget(args.get("target", "wse2"));
  if (!target)
    return fail("waferloom", target.takeError());
  llvm::Expected<measure::CollectiveRun> done = measure::runCollective(
      m.line, m.request, m.type, *target::toImage(*target),
      /*withLaunch=*/false, /*withPath=*/true);
  if (!done)
    return fail("waferloom", done.takeError());
  if (args.has("json"))
    printJson(m, *done, target->name);
  else
    printText(m, *done, target->name);
  return 0;
}

const Command tool::collectiveCommand = {
    "collective",
    "execute one collective on a row of PEs and count cycles",
    "--length P --words B [options]",
    options,
    choices,
    run,
};
