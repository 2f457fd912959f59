// waferloom report IMAGE -o REPORT.html: a page about it.

#include "Arguments.h"
#include "Commands.h"
#include "Messages.h"
#include "Waiting.h"

#include "waferloom/Files/Output.h"
#include "waferloom/Image/Image.h"
#include "waferloom/Report/Report.h"

#include "llvm/Support/Error.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace waferloom;
using namespace waferloom::tool;

static constexpr Option options[] = {
    {"output", "REPORT.html", "where the page goes", 'o'},
    {"quiet", "", "say nothing"},
};

static int run(llvm::ArrayRef<char *> argv) {
  Arguments args;
  if (!args.parse(reportCommand, argv))
    return args.status;
  if (args.positional.size() != 1)
    args.wrongUsage("needs one image");
  else if (!args.has("output"))
    args.wrongUsage("needs -o REPORT.html");
  else if (llvm::sys::fs::equivalent(args.positional.front(),
                                     args.get("output")))
    args.wrongUsage("would write the page over the image '" +
                    args.positional.front() + "'");
  if (args.status)
    return args.status;
  const std::string &path = args.positional.front(),
                    output = args.get("output");
  if (llvm::Error error = files::checkOutput(output, path))
    return fail(output, std::move(error));
  auto loaded = waitFor("reading " + path, [&] { return image::read(path); });
  if (!loaded)
    return fail(path, loaded.takeError());
  uint64_t bytes = 0;
  (void)llvm::sys::fs::file_size(path, bytes);
  auto page = waitFor("counting cycles", [&] {
    return report::writePage(*loaded, llvm::sys::path::filename(path), bytes);
  });
  if (!page)
    return fail(path, page.takeError());
  if (llvm::Error error = files::writeText(output, *page, path))
    return fail(output, std::move(error));
  if (!args.has("quiet"))
    llvm::outs() << output << ": " << page->size() << " bytes\n";
  return 0;
}

const Command tool::reportCommand = {
    "report",
    "a page about an image: fit, map, cycles",
    "IMAGE -o REPORT.html",
    options,
    nullptr,
    run,
};
