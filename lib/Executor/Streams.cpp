#include "Streams.h"
#include "Interrupt.h"
#include "Ways.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <algorithm>

using namespace llvm;

namespace waferloom::executor {

using image::Side;

static Side opposite(Side side) {
  switch (side) {
  case Side::north:
    return Side::south;
  case Side::south:
    return Side::north;
  case Side::east:
    return Side::west;
  case Side::west:
    return Side::east;
  case Side::ramp:
    return Side::ramp;
  }
  return Side::ramp;
}

std::string nameOf(const Place &place) {
  return formatv("({0}, {1})", place.x, place.y).str();
}

Error refuseStream(const Streams &streams, size_t entry, uint32_t pe,
                   uint8_t color, const Twine &what) {
  return createStringError(
      Twine(formatv("entry {0}: color {1} at PE {2}: ", entry, unsigned(color),
                    nameOf(streams.places[pe]))
                .str()) +
      what);
}

namespace {
/// A set of outputs that is still to be followed from a router.
struct Hop {
  uint32_t pe;
  Side from;
  uint32_t hops;
};

class Tracer {
public:
  Tracer(const image::ImageT &image, size_t entry,
         const PreparedEntry &prepared, Interrupt *interrupt)
      : image(image), target(*image.target), entry(entry), prepared(prepared),
        interrupt(interrupt) {}

  Expected<Streams> run() {
    place();
    indexRoutes();
    out.colors = target.colors;
    visitor.assign(out.places.size(), none);
    reserve();
    for (auto *table : {&out.sources, &out.sinks, &out.gatesAt}) {
      table->assign(out.places.size() * out.colors, none);
      if (Error error = checkInterrupt(interrupt, table->size()))
        return std::move(error);
    }
    if (Error error = followSources())
      return std::move(error);
    // Gates are found on the way; following them finds more.
    for (uint32_t gate = 0; gate < out.gates.size(); ++gate)
      if (Error error = follow(out.gates[gate].producer))
        return std::move(error);
    collectTurns();
    out.ways = ways.take(out.producers);
    if (Error error = checkInterrupt(interrupt, out.producers.size()))
      return std::move(error);
    if (fellOff != none)
      return createStringError(
          formatv("entry {0}: a route at PE {1} leaves the program's PEs",
                  entry, nameOf(out.places[fellOff]))
              .str());
    if (Error error = countWords(out, entry, prepared, interrupt))
      return std::move(error);
    return std::move(out);
  }

private:
  void place();
  void reserve();
  void indexRoutes();
  Error followSources();
  Error follow(uint32_t producer);
  Error arrive(uint32_t producer, const Hop &hop, SmallVectorImpl<Hop> &todo);
  void leave(const image::RouteT &route, const Hop &hop,
             SmallVectorImpl<Hop> &todo);
  void consume(uint32_t producer, uint32_t pe, uint32_t gate, uint32_t hops);
  uint32_t gateOf(uint32_t pe, uint8_t color, const image::RouteT &route);
  void collectTurns();
  uint32_t neighbour(uint32_t pe, Side side) const;

  const image::RouteT *routeAt(uint32_t pe, uint8_t color) const {
    const Place &at = out.places[pe];
    uint32_t index =
        routes[at.region][size_t(color) * pairs[at.region].count() + at.routes];
    if (index == none)
      return nullptr;
    return image.regions[at.region]->programs[entry]->routes[index].get();
  }

  Error refuse(uint32_t pe, uint8_t color, const Twine &what) const {
    return refuseStream(out, entry, pe, color, what);
  }

  const image::ImageT &image;
  const image::TargetT &target;
  size_t entry;
  const PreparedEntry &prepared;
  Interrupt *interrupt;
  Streams out;
  std::vector<uint32_t> firstPe;             // of each region
  std::vector<image::ClassPairs> pairs;      // of each region
  std::vector<std::vector<uint32_t>> routes; // by color and pair
  uint32_t fellOff = none;       // a router with an output into nothing
  std::vector<uint32_t> visitor; // by PE: the producer that came by last
  Ways ways;
  /// Inputs of gates: (gate, side) -> consumer.
  DenseMap<std::pair<uint32_t, uint32_t>, uint32_t> gateInputs;
  std::vector<const image::RouteT *> gateRoutes;
};
} // namespace

void Tracer::place() {
  uint32_t firstStage = 0;
  for (uint32_t r = 0; r < image.regions.size(); ++r) {
    const image::RegionT &region = *image.regions[r];
    image::Classes classes = image::classesOf(region);
    firstPe.push_back(static_cast<uint32_t>(out.places.size()));
    pairs.push_back(
        image::routePairs(region, classes, *region.programs[entry]));
    const std::vector<uint32_t> &ofPe = prepared.regions[r].ofPe;
    const uint32_t across = region.stages_x, down = region.stages_y;
    for (uint32_t y = 0; y < region.height; ++y)
      for (uint32_t x = 0; x < region.width; ++x)
        out.places.push_back({region.x + x, region.y + y, r,
                              ofPe[size_t(y) * region.width + x],
                              pairs[r].of(classes.columns[x], classes.rows[y]),
                              firstStage + y * down / region.height * across +
                                  x * across / region.width});
    firstStage += across * down;
  }
}

/// So that millions of streams are not moved about.
void Tracer::reserve() {
  size_t sent = 0, received = 0;
  for (const RegionPrograms &region : prepared.regions) {
    std::vector<size_t> pes(region.programs.size());
    for (uint32_t program : region.ofPe)
      ++pes[program];
    auto used = [](const std::vector<uint64_t> &words) {
      return words.size() - static_cast<size_t>(llvm::count(words, 0u));
    };
    for (auto [program, count] : llvm::zip_equal(region.programs, pes)) {
      sent += count * used(program.sent);
      received += count * used(program.received);
    }
  }
  out.producers.reserve(sent);
  out.consumers.reserve(received);
}

/// For every color and pair of classes the route, so that following is cheap.
void Tracer::indexRoutes() {
  for (uint32_t r = 0; r < image.regions.size(); ++r) {
    const image::RegionT &region = *image.regions[r];
    const image::ClassGroups &columns = pairs[r].columns, &rows = pairs[r].rows;
    std::vector<uint32_t> table(size_t(target.colors) * pairs[r].count(), none);
    const auto &list = region.programs[entry]->routes;
    for (uint32_t i = 0; i < list.size(); ++i)
      for (uint32_t column = 0; column < columns.count(); ++column) {
        if (!image::contains(region, list[i]->columns, columns.first(column)))
          continue;
        for (uint32_t row = 0; row < rows.count(); ++row)
          if (image::contains(region, list[i]->rows, rows.first(row)))
            table[list[i]->color * pairs[r].count() +
                  uint64_t(column) * rows.count() + row] = i;
      }
    routes.push_back(std::move(table));
  }
}

uint32_t Tracer::neighbour(uint32_t pe, Side side) const {
  const Place &at = out.places[pe];
  const auto [right, down] = stepOf(side);
  const int64_t x = int64_t(at.x) + right, y = int64_t(at.y) + down;
  auto find = [&](uint32_t r) {
    const image::RegionT &region = *image.regions[r];
    int64_t dx = x - region.x, dy = y - region.y;
    if (dx < 0 || dy < 0 || dx >= region.width || dy >= region.height)
      return none;
    return static_cast<uint32_t>(firstPe[r] + dy * region.width + dx);
  };
  if (uint32_t found = find(at.region); found != none)
    return found;
  for (uint32_t r = 0; r < image.regions.size(); ++r)
    if (uint32_t found = find(r); found != none)
      return found;
  return none;
}

Error Tracer::followSources() {
  for (uint32_t pe = 0; pe < out.places.size(); ++pe) {
    const Place &at = out.places[pe];
    const Program &program = prepared.regions[at.region].programs[at.program];
    for (unsigned color = 0; color < target.colors; ++color) {
      if (program.sent[color] == 0)
        continue;
      auto id = static_cast<uint32_t>(out.producers.size());
      Producer source;
      source.pe = pe;
      source.color = static_cast<uint8_t>(color);
      source.words = program.sent[color];
      out.producers.push_back(source);
      out.sources[size_t(pe) * out.colors + color] = id;
      if (Error error = follow(id))
        return error;
    }
  }
  return Error::success();
}

/// Finds all consumers of a producer: a walk over routers until each branch
/// ends in a ramp or at a gate.
Error Tracer::follow(uint32_t producer) {
  if (Error error = checkInterrupt(interrupt))
    return error;
  uint32_t pe = out.producers[producer].pe;
  uint8_t color = out.producers[producer].color;
  out.producers[producer].consumers.first =
      static_cast<uint32_t>(out.consumers.size());
  ways.begin(out.places[pe], producer);
  SmallVector<Hop> todo;
  if (out.producers[producer].gate == none) {
    if (Error error = arrive(producer, {pe, Side::ramp, 0}, todo))
      return error;
  } else {
    leave(*routeAt(pe, color), {pe, Side::ramp, 0}, todo);
  }
  while (!todo.empty()) {
    Hop hop = todo.pop_back_val();
    if (hop.from == Side::ramp) { // marks an output into the PE
      consume(producer, hop.pe, none, hop.hops);
      continue;
    }
    if (std::exchange(visitor[hop.pe], producer) == producer)
      return refuse(hop.pe, color,
                    "a stream from PE " + nameOf(out.places[pe]) +
                        " comes by twice");
    if (Error error = arrive(producer, hop, todo))
      return error;
  }
  Producer &done = out.producers[producer];
  done.way = ways.finish();
  done.consumers.count =
      static_cast<uint32_t>(out.consumers.size()) - done.consumers.first;
  for (uint32_t i = 0; i < done.consumers.count; ++i) {
    const Consumer &consumer = out.consumers[done.consumers.first + i];
    done.window = std::max(done.window, consumer.window);
    if (consumer.gate != none)
      continue;
    uint32_t &sink = out.sinks[size_t(consumer.pe) * out.colors + color];
    if (sink != none)
      return refuse(
          consumer.pe, color,
          "two streams reach the PE, from " + nameOf(out.places[pe]) +
              " and from " +
              nameOf(
                  out.places[out.producers[out.consumers[sink].producer].pe]));
    sink = done.consumers.first + i;
  }
  return Error::success();
}

/// A stream comes into a router from `hop.from`.
Error Tracer::arrive(uint32_t producer, const Hop &hop,
                     SmallVectorImpl<Hop> &todo) {
  uint8_t color = out.producers[producer].color;
  const Producer &from = out.producers[producer];
  const image::RouteT *route = routeAt(hop.pe, color);
  auto described = [&] {
    return "words of PE " + nameOf(out.places[from.pe]) + " come from " +
           image::EnumNameSide(hop.from);
  };
  if (!route)
    return refuse(hop.pe, color, described() + ", but there is no route");
  bool isInput = false;
  for (const image::Turn &turn : route->inputs)
    isInput |= turn.side() == hop.from;
  if (!isInput)
    return refuse(hop.pe, color,
                  described() + std::string(", which is no input"));
  if (route->inputs.size() == 1) {
    leave(*route, hop, todo);
    return Error::success();
  }
  uint32_t gate = gateOf(hop.pe, color, *route);
  auto key = std::make_pair(gate, static_cast<uint32_t>(hop.from));
  if (gateInputs.count(key))
    return refuse(hop.pe, color,
                  described() + std::string(", where others come from too"));
  gateInputs[key] = static_cast<uint32_t>(out.consumers.size());
  consume(producer, hop.pe, gate, hop.hops);
  return Error::success();
}

void Tracer::leave(const image::RouteT &route, const Hop &hop,
                   SmallVectorImpl<Hop> &todo) {
  for (Side side :
       {Side::north, Side::south, Side::east, Side::west, Side::ramp}) {
    if (!((route.outputs >> static_cast<unsigned>(side)) & 1))
      continue;
    if (side == Side::ramp) {
      todo.push_back({hop.pe, Side::ramp, hop.hops});
      continue;
    }
    uint32_t next = neighbour(hop.pe, side);
    if (next == none) {
      fellOff = fellOff == none ? hop.pe : fellOff;
      continue;
    }
    ways.add(out.places[hop.pe], hop.pe, side, hop.hops);
    todo.push_back({next, opposite(side), hop.hops + 1});
  }
}

uint32_t Tracer::gateOf(uint32_t pe, uint8_t color,
                        const image::RouteT &route) {
  uint32_t &gate = out.gatesAt[size_t(pe) * out.colors + color];
  if (gate != none)
    return gate;
  gate = static_cast<uint32_t>(out.gates.size());
  Producer producer;
  producer.pe = pe;
  producer.color = color;
  producer.gate = gate;
  out.gates.push_back({static_cast<uint32_t>(out.producers.size()), {}});
  out.producers.push_back(producer);
  gateRoutes.push_back(&route);
  return gate;
}

/// Delays and windows: docs/executor.md, rules E11 to E13.
void Tracer::consume(uint32_t producer, uint32_t pe, uint32_t gate,
                     uint32_t hops) {
  const Producer &from = out.producers[producer];
  Consumer consumer;
  consumer.producer = producer;
  consumer.pe = pe;
  consumer.color = from.color;
  consumer.gate = gate;
  consumer.hops = hops;
  uint32_t cycles = hops * target.hop_cycles;
  uint32_t credits = 0;
  if (from.gate == none) { // from a PE: its ramp and its output queue
    cycles += target.ramp_cycles;
    credits += target.output_queue_words;
  }
  if (gate == none) { // into a PE
    cycles += target.ramp_cycles;
    credits += target.input_queue_words;
  } else {
    credits += 1; // the word that waits for its turn
  }
  consumer.delay = cycles;
  consumer.window = std::max(1u, cycles + credits);
  consumer.places = gate == none ? target.input_queue_words : 1;
  out.consumers.push_back(consumer);
}

void Tracer::collectTurns() {
  for (uint32_t g = 0; g < out.gates.size(); ++g) {
    out.gates[g].turns.first = static_cast<uint32_t>(out.turns.size());
    for (const image::Turn &turn : gateRoutes[g]->inputs) {
      auto it = gateInputs.find({g, static_cast<uint32_t>(turn.side())});
      out.turns.push_back(
          {it == gateInputs.end() ? none : it->second, turn.words()});
    }
    out.gates[g].turns.count =
        static_cast<uint32_t>(gateRoutes[g]->inputs.size());
  }
}

Expected<Streams> traceStreams(const image::ImageT &image, size_t entry,
                               const PreparedEntry &prepared,
                               Interrupt *interrupt) {
  return Tracer(image, entry, prepared, interrupt).run();
}

} // namespace waferloom::executor
