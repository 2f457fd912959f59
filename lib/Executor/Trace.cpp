#include "waferloom/Executor/Trace.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include <map>

using namespace llvm;

namespace waferloom::executor {

void Trace::write(raw_ostream &os, const image::ImageT &image) const {
  // Processes are numbered in the order of rows and columns.
  std::map<std::pair<uint32_t, uint32_t>, int64_t> processes;
  for (const TraceEvent &event : events)
    processes[{event.y, event.x}] = 0;
  int64_t next = 0;
  for (auto &process : processes)
    process.second = next++;

  json::OStream json(os);
  json.object([&] {
    json.attribute("displayTimeUnit", "ns");
    json.attribute("eventsLeftOut", static_cast<int64_t>(leftOut));
    json.attributeArray("traceEvents", [&] {
      for (const auto &process : processes)
        json.object([&] {
          json.attribute("name", "process_name");
          json.attribute("ph", "M");
          json.attribute("pid", process.second);
          json.attributeObject("args", [&] {
            json.attribute("name",
                           formatv("PE ({0}, {1})", process.first.second,
                                   process.first.first)
                               .str());
          });
        });
      for (const TraceEvent &event : events)
        json.object([&] {
          json.attribute("name", image::EnumNameOpcode(event.op));
          json.attribute("cat", json::fixUTF8(image.names[event.node]));
          json.attribute("ph", "X");
          json.attribute("pid", processes.at({event.y, event.x}));
          json.attribute("tid", event.thread + 1);
          json.attribute("ts", static_cast<int64_t>(event.begin));
          json.attribute("dur", static_cast<int64_t>(event.end - event.begin));
          json.attributeObject("args", [&] {
            json.attribute("busy", static_cast<int64_t>(event.busy));
          });
        });
    });
  });
  os << "\n";
}

} // namespace waferloom::executor
