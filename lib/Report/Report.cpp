// The page, section by section. Every number comes from the image or from
// counting its steps, and has a name in `data-key`: the one that it has in what
// `info --json` and `run --cycles --json` print.

#include "waferloom/Report/Report.h"
#include "Map.h"
#include "Page.h"
#include "waferloom/Image/Programs.h"
#include "waferloom/Report/CriticalPath.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <algorithm>
#include <set>

using namespace llvm;

namespace waferloom::report {

using executor::CriticalPath;
using executor::StageResult;
using executor::StepResult;

static std::string keyOf(size_t entry, size_t stage) {
  return formatv("entries.{0}.stages.{1}.", entry, stage);
}

static std::string listOf(const image::EntryT &entry, image::Role role) {
  std::string text;
  for (const auto &tensor : entry.tensors) {
    if (tensor->role != role || image::isOurs(tensor->name))
      continue;
    text += (text.empty() ? "" : ", ") + tensor->name + " [";
    for (size_t i = 0; i < tensor->shape.size(); ++i)
      text += (i ? ", " : "") + std::to_string(tensor->shape[i]);
    text += "]";
  }
  return text.empty() ? "none" : text;
}

static void writeFacts(Page &page, const image::ImageT &image, uint64_t bytes) {
  const image::EntryT &entry = *image.entries.front();
  page.heading("What was compiled");
  page.beginTable({});
  page.fact("parameters", image.parameters, "parameters");
  if (image.shape_only)
    page.fact("weights", "shapes only: the image computes no values");
  page.fact("target", image.target->name);
  page.fact("clock", formatv("{0} GHz", image.target->clock_ghz).str());
  if (image.capacity)
    page.fact("tokens of context", image.capacity, "capacity");
  page.fact("inputs", listOf(entry, image::Role::input));
  page.fact("outputs", listOf(entry, image::Role::output));
  size_t states = llvm::count_if(entry.tensors, [](const auto &tensor) {
    return tensor->role == image::Role::state;
  });
  page.fact("states on the wafer", states, "");
  page.fact("bytes of the image", bytes, "image_bytes");
  page.endTable();
}

/// What the fullest PE of each region holds.
static void writeFit(Page &page, const image::ImageT &image) {
  page.heading("What the fullest PE holds");
  for (auto [r, region] : llvm::enumerate(image.regions)) {
    const image::Usage usage = image::usageOf(*region, *image.target);
    const uint64_t limit = image.target->sram_bytes;
    const std::pair<StringRef, uint64_t> rows[] = {
        {"weights", usage.weights}, {"states", usage.states},
        {"tables", usage.tables},   {"buffers", usage.buffers},
        {"code", usage.code},       {"reserved", usage.reserved}};
    uint64_t used = 0;
    page.beginTable({"bytes of SRAM", "#", ""});
    for (auto [i, row] : llvm::enumerate(rows)) {
      page.beginRow();
      page.cell(row.first);
      page.number(row.second,
                  formatv("regions.{0}.fit.{1}", r, row.first).str());
      // What came before is left free, so that bars add up as one reads on.
      page.bar({{used, "track", ""}, {row.second, formatv("k{0}", i), ""}},
               limit);
      page.endRow();
      used += row.second;
    }
    page.beginRow();
    page.cell("free");
    page.number(limit > used ? limit - used : 0);
    page.bar({{used, "track", ""}}, limit);
    page.endRow();
    page.fact("limit", limit, formatv("regions.{0}.fit.limit", r).str());
    page.endTable();
  }
}

static void writePlaces(Page &page, const image::ImageT &image) {
  page.heading("Where it lies");
  writeMap(page.raw(), image);
  page.beginTable({"region", "#x", "#y", "#width", "#height", "#stages across",
                   "#stages down"});
  for (auto [r, region] : llvm::enumerate(image.regions)) {
    auto key = [&, r = r](StringRef name) {
      return formatv("regions.{0}.{1}", r, name).str();
    };
    page.beginRow();
    page.cell(std::to_string(r));
    page.number(region->x, key("x"));
    page.number(region->y, key("y"));
    page.number(region->width, key("width"));
    page.number(region->height, key("height"));
    page.number(region->stages_x, key("stages.0"));
    page.number(region->stages_y, key("stages.1"));
    page.endRow();
  }
  page.endTable();
}

static std::vector<Stretch> stretchesOf(const ByKind &cycles,
                                        uint64_t divisor = 1) {
  std::vector<Stretch> stretches;
  for (size_t kind = 0; kind < kinds.size(); ++kind)
    stretches.push_back(
        {cycles[kind] / divisor, kindStyles[kind].str(),
         formatv("{0}: {1:N}", kinds[kind], cycles[kind] / divisor)});
  return stretches;
}

/// The nodes of a part that take most, and the others in one row.
static void writeNodes(Page &page, const Part &part) {
  constexpr size_t shown = 16;
  auto nodes = part.nodes;
  llvm::sort(nodes, [](const auto &a, const auto &b) {
    return std::pair(total(b.second), a.first) <
           std::pair(total(a.second), b.first);
  });
  ByKind others = {};
  for (size_t i = shown; i < nodes.size(); ++i)
    for (size_t kind = 0; kind < kinds.size(); ++kind)
      others[kind] += nodes[i].second[kind];
  const size_t rest = nodes.size() > shown ? nodes.size() - shown : 0;
  if (rest) {
    nodes.resize(shown);
    nodes.emplace_back(formatv("{0} others", rest), others);
  }
  uint64_t most = 1;
  for (const auto &node : nodes)
    most = std::max(most, total(node.second) / part.repeats);
  page.beginTable({"ONNX node", "#cycles", ""});
  for (const auto &[name, cycles] : nodes) {
    page.beginRow();
    page.cell(name.empty() ? StringRef("(of no node)") : StringRef(name));
    page.number(total(cycles) / part.repeats);
    page.bar(stretchesOf(cycles, part.repeats), most);
    page.endRow();
  }
  page.endTable();
}

static void writeParts(Page &page, ArrayRef<Part> parts,
                       const std::string &prefix) {
  std::vector<std::string> names;
  std::vector<StringRef> columns = {"cycles"};
  for (const Part &part : parts)
    names.push_back(
        tripOf(part).empty()
            ? "#" + outsideOf(parts)
            : formatv("#{0} {1}s", part.repeats, tripOf(part)).str());
  llvm::append_range(columns, names);
  columns.push_back("");
  ByKind all = {};
  for (const Part &part : parts)
    for (size_t kind = 0; kind < kinds.size(); ++kind)
      all[kind] += part.cycles[kind];
  page.beginTable(columns);
  for (size_t kind = 0; kind < kinds.size(); ++kind) {
    page.beginRow();
    page.cell(kinds[kind]);
    for (auto [p, part] : llvm::enumerate(parts))
      page.number(
          part.cycles[kind],
          formatv("{0}parts.{1}.cycles.{2}", prefix, p, kinds[kind]).str());
    page.bar({{all[kind], kindStyles[kind].str(), ""}}, total(all));
    page.endRow();
  }
  page.endTable();
  for (const Part &part : parts) {
    const StringRef trip = tripOf(part);
    std::string outside = outsideOf(parts);
    outside.front() = 'O';
    page.subheading(
        trip.empty()
            ? formatv("{0}: {1:N} cycles", outside, total(part.cycles)).str()
            : formatv("One of {0} {1}s: {2:N} cycles", part.repeats, trip,
                      total(part.cycles) / part.repeats)
                  .str());
    if (!trip.empty())
      page.text("Averages over the trips of one loop" +
                std::string(trip == "layer"
                                ? "; nodes have the names of the first layer."
                                : "."));
    writeNodes(page, part);
  }
}

static void writeStages(Page &page, ArrayRef<StageResult> stages,
                        uint64_t cycles, size_t entry) {
  page.beginTable({"stage", "#ends at", "", "#x", "#y"});
  for (auto [s, stage] : llvm::enumerate(stages)) {
    ByKind all = {};
    for (const Part &part : partsOf(stage.accounts))
      for (size_t kind = 0; kind < kinds.size(); ++kind)
        all[kind] += part.cycles[kind];
    page.beginRow();
    page.cell(std::to_string(s));
    page.number(stage.cycles, keyOf(entry, s) + "cycles");
    page.bar(stretchesOf(all), cycles);
    page.number(stage.x, keyOf(entry, s) + "x");
    page.number(stage.y, keyOf(entry, s) + "y");
    page.endRow();
  }
  page.endTable();
}

/// What the cycles of a step waited for, and where most of them did.
static void writePath(Page &page, const image::ImageT &image,
                      const CriticalPath &path, const std::string &prefix) {
  constexpr size_t shown = 8;
  PathTable table = tabulate(path, image);
  const auto all = static_cast<uint64_t>(executor::total(table.cycles));
  auto bar = [&](int64_t cycles) {
    page.bar({{static_cast<uint64_t>(std::max<int64_t>(cycles, 0)), "k1", ""}},
             all);
  };
  page.beginTable({"the critical path waited for", "#cycles", ""});
  for (executor::PathKind kind : executor::allPathKinds()) {
    page.beginRow();
    page.cell(nameOf(kind));
    page.signedNumber(table.cycles[size_t(kind)],
                      prefix + "kinds." + nameOf(kind));
    bar(table.cycles[size_t(kind)]);
    page.endRow();
  }
  page.endTable();
  page.beginTable(
      {"node or collective with the most cycles on it", "#cycles", ""});
  for (auto [i, item] : enumerate(ArrayRef(table.items).take_front(shown))) {
    page.beginRow();
    page.cell(titleOf(item));
    page.signedNumber(executor::total(item.cycles),
                      formatv("{0}items.{1}.total", prefix, i).str());
    bar(executor::total(item.cycles));
    page.endRow();
  }
  page.endTable();
}

/// Streams that want a link in one cycle, so that one of them waits.
static void writeSharedLinks(Page &page, ArrayRef<executor::SharedLinks> pairs,
                             const std::string &prefix) {
  constexpr size_t shown = 8;
  if (pairs.empty())
    return;
  page.beginTable({"streams that want links in the same cycles", "#cycles"});
  for (auto [i, links] : enumerate(pairs.take_front(shown))) {
    page.beginRow();
    page.cell(describe(links));
    page.number(links.cycles, formatv("{0}{1}.cycles", prefix, i).str());
    page.endRow();
  }
  page.endTable();
}

/// What no program of the same layouts can be below.
static void writeBounds(Page &page, const image::BoundsT &bounds,
                        const std::string &prefix) {
  auto row = [&](const std::string &what,
                 std::initializer_list<std::pair<StringRef, uint64_t>> cells) {
    page.beginRow();
    page.cell(what);
    for (auto [name, cycles] : cells)
      page.number(cycles, prefix + name.str());
    page.endRow();
  };
  page.beginTable({"cycles, at least", "#as instructions go", "#in all",
                   "#of wires alone", "#of products on the longest way"});
  row("a step", {{"floor", bounds.floor},
                 {"hard", bounds.hard},
                 {"wires", bounds.wires},
                 {"products", bounds.products}});
  row("one of its equal layers", {{"layer_floor", bounds.layer_floor},
                                  {"layer_hard", bounds.layer_hard},
                                  {"layer_wires", bounds.layer_wires},
                                  {"layer_products", bounds.layer_products}});
  page.endTable();
  page.beginTable({});
  page.fact("equal layers", bounds.layers, prefix + "layers");
  page.fact("cycles of products for each further token", bounds.pace,
            prefix + "pace");
  page.endTable();
}

static void writeCycles(Page &page, const image::ImageT &image,
                        ArrayRef<StepResult> steps,
                        ArrayRef<CriticalPath> paths) {
  page.heading("Where the cycles go");
  page.text("Counted without values, of the last step that caches have room "
            "for: behind as many tokens as its position says. Cycles depend on "
            "no weight and no input. Bars are of the core that ends last, in "
            "each stage.");
  page.beginTable({"entry", "#tokens", "#position", "#cycles",
                   "#instructions of all PEs", "#words sent and taken",
                   "#shared link cycles", "time"});
  for (auto [e, step] : llvm::enumerate(steps)) {
    const image::EntryT &entry = *image.entries[e];
    auto key = [&, e = e](StringRef name) {
      return formatv("entries.{0}.{1}", e, name).str();
    };
    page.beginRow();
    page.cell(entry.name);
    page.number(entry.tokens, key("tokens"));
    page.number(executor::lastPosition(image, e), key("position"));
    page.number(step.cycles, key("cycles"));
    page.number(step.instructions, key("instructions"));
    page.number(step.words, key("words"));
    if (step.sharedLinkCycles)
      page.number(*step.sharedLinkCycles, key("shared_links.cycles"));
    else
      page.cell("not known");
    page.cell(formatv("{0:F1} us", static_cast<double>(step.cycles) /
                                       (image.target->clock_ghz * 1e3))
                  .str());
    page.endRow();
  }
  page.endTable();
  std::vector<std::pair<StringRef, StringRef>> legend;
  for (auto [style, kind] : llvm::zip(kindStyles, kinds))
    legend.emplace_back(style, kind);
  page.legend(legend);
  for (auto [e, step] : llvm::enumerate(steps)) {
    const size_t entry = e;
    page.subheading("Entry " + image.entries[e]->name);
    if (const image::BoundsT *bounds = image.entries[e]->bounds.get())
      writeBounds(page, *bounds, formatv("entries.{0}.bounds.", entry));
    writeStages(page, step.stages, step.cycles, entry);
    if (paths[e].total() == step.cycles)
      writePath(page, image, paths[e], formatv("entries.{0}.critical.", entry));
    writeSharedLinks(page, step.sharedLinks,
                     formatv("entries.{0}.shared_links.pairs.", entry));
    for (size_t stage : stagesToShow(step.stages)) {
      if (step.stages.size() > 1)
        page.subheading(
            "Entry " + image.entries[e]->name + ", " +
            titleOf(stage, step.stages.size()) +
            (stage ? ": of those with layers, the one that waits least" : ""));
      writeParts(page, partsOf(step.stages[stage].accounts),
                 keyOf(entry, stage));
    }
  }
}

static void writeRewrites(Page &page, const image::ImageT &image,
                          uint64_t step) {
  page.heading("What rewrites save");
  if (image.rewrites.empty()) {
    page.text(rewriteLines(image).front());
    return;
  }
  page.text(formatv("Cycles more that a step of {0} takes without each, on the "
                    "same region.",
                    image.entries.front()->name)
                .str());
  int64_t most = 1;
  for (const auto &rewrite : image.rewrites)
    most = std::max(most, rewrite->cycles);
  page.beginTable({"rewrite", "#cycles", "", ""});
  const std::vector<std::string> lines = rewriteLines(image, step);
  for (auto [rewrite, line] : llvm::zip(image.rewrites, drop_begin(lines))) {
    page.beginRow();
    page.cell(rewrite->name);
    page.signedNumber(rewrite->cycles, "rewrites." + rewrite->name);
    page.bar({{static_cast<uint64_t>(std::max<int64_t>(rewrite->cycles, 0)),
               "k1", ""}},
             static_cast<uint64_t>(most));
    page.cell(StringRef(line).ltrim().drop_front(rewrite->name.size()).ltrim());
    page.endRow();
  }
  page.endTable();
}

static void writePrograms(Page &page, const image::ImageT &image) {
  page.heading("Programs and colors");
  page.text("A PE has the instructions of its column's and its row's class; "
            "programs that share code lie in a PE once. Routes are rules of "
            "routers, each for a set of classes.");
  page.beginTable({"region", "entry", "#different programs",
                   "#instructions, the longest", "#bytes of code", "#routes",
                   "#colors", ""});
  for (auto [r, region] : llvm::enumerate(image.regions)) {
    const image::ClassPairs pairs =
        image::instructionPairs(*region, image::classesOf(*region));
    for (auto [e, program] : llvm::enumerate(region->programs)) {
      image::ProgramTable table = image::tabulate(*region, pairs, *program);
      size_t longest = 0;
      for (const auto &one : table.programs)
        longest = std::max(longest, one.size());
      std::set<uint8_t> colors;
      for (const auto &route : program->routes)
        colors.insert(route->color);
      auto key = [&, r = r, e = e](StringRef name) {
        return formatv("regions.{0}.programs.{1}.{2}", r, e, name).str();
      };
      page.beginRow();
      page.cell(std::to_string(r));
      page.cell(
          image.entries[e]->name +
          (program->shares
               ? " (code of " + image.entries[program->shares - 1]->name + ")"
               : ""));
      page.number(table.programs.size(), key("programs"));
      page.number(longest, key("instructions"));
      page.number(program->shares ? 0
                                  : longest * image.target->instruction_bytes,
                  key("code"));
      page.number(program->routes.size(), key("routes"));
      page.number(colors.size(), key("colors"));
      page.raw() << formatv("<td><svg class=\"bar\" viewBox=\"0 0 {0} 10\" "
                            "preserveAspectRatio=\"none\">",
                            10 * image.target->colors);
      for (uint32_t color = 0; color < image.target->colors; ++color)
        page.raw() << formatv(
            "<rect class=\"{0}\" x=\"{1}\" width=\"8\" "
            "height=\"10\"><title>color {2}</title></rect>",
            colors.count(static_cast<uint8_t>(color)) ? "used" : "free",
            10 * color, color);
      page.raw() << "</svg></td>";
      page.endRow();
    }
  }
  page.endTable();
}

Expected<std::string> writePage(std::shared_ptr<const image::Loaded> loaded,
                                StringRef name, uint64_t bytes) {
  const image::ImageT &image = loaded->image;
  std::vector<StepResult> steps;
  std::vector<CriticalPath> paths(image.entries.size());
  for (size_t e = 0; e < image.entries.size(); ++e) {
    Expected<StepResult> step =
        countWithPath(loaded, e, {}, executor::EngineKind::lockstep, paths[e]);
    if (!step)
      return step.takeError();
    steps.push_back(std::move(*step));
  }
  Page page(name);
  writeFacts(page, image, bytes);
  writeFit(page, image);
  writePlaces(page, image);
  writeCycles(page, image, steps, paths);
  writeRewrites(page, image, steps.front().cycles);
  writePrograms(page, image);
  return page.finish();
}

} // namespace waferloom::report
