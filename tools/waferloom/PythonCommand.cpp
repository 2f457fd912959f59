// Commands that the Python package does (python/waferloom/commands): tokenizers
// live there, and tables of figures. The process becomes Python, so that
// signals and terminals need no care here.

#include "Commands.h"
#include "Messages.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <unistd.h>
#include <vector>

using namespace waferloom;
using namespace waferloom::tool;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

const Command tool::generateCommand = {
    "generate", "let a compiled language model speak", "", {}, nullptr, nullptr,
};
const Command tool::chatCommand = {
    "chat", "talk with one in the terminal", "", {}, nullptr, nullptr,
};
const Command tool::serveCommand = {
    "serve", "serve one to clients of the chat protocol", "", {}, nullptr,
    nullptr,
};
const Command tool::sweepCommand = {
    "sweep", "compile at many points and count cycles: a table",
    "",      {},
    nullptr, nullptr,
};
const Command tool::plotCommand = {
    "plot", "pictures of the rows of a sweep", "", {}, nullptr, nullptr,
};
const Command tool::explainCommand = {
    "explain", "why a program is as it is, and what it waits for",
    "",        {},
    nullptr,   nullptr,
};
const Command tool::completionCommand = {
    "completion", "a script that completes commands and options in a shell",
    "",           {},
    nullptr,      nullptr,
};

/// Says what is wrong when the package is not there, instead of Python.
static constexpr const char *bootstrap =
    "import sys\n"
    "try:\n"
    "    import waferloom.commands as commands\n"
    "except ImportError as error:\n"
    "    sys.exit(f'waferloom {sys.argv[1]}: error: {sys.executable} cannot "
    "import the waferloom package: {error}\\nnote: scripts/build and `pip "
    "install .` put it beside the tool')\n"
    "sys.exit(commands.main(sys.argv[1], sys.argv[2:]))\n";

/// Where the tool was called: an environment's `bin` links it or holds it.
static std::string calledFolder(llvm::StringRef called) {
  if (!called.contains('/')) {
    auto found = llvm::sys::findProgramByName(called);
    return found ? path::parent_path(*found).str() : std::string();
  }
  return path::parent_path(called).str();
}

/// The Python of the environment that the tool was called from; else the one
/// that the tool was configured with.
static std::string findPython(llvm::StringRef called) {
  std::string folder = calledFolder(called);
  for (llvm::StringRef name : {"python", "python3"}) {
    llvm::SmallString<256> python(folder), settings(folder);
    path::append(python, name);
    path::append(settings, "..", "pyvenv.cfg");
    // A system's bin has a Python too, but not ours.
    if (!folder.empty() && fs::can_execute(python) && fs::exists(settings))
      return python.str().str();
  }
  return fs::can_execute(WAFERLOOM_PYTHON) ? WAFERLOOM_PYTHON : "";
}

/// A build tree has the package beside its tools: build/bin, build/python.
static void offerBuiltPackage() {
  static int anchor;
  llvm::SmallString<256> package(path::parent_path(
      path::parent_path(fs::getMainExecutable("waferloom", &anchor))));
  path::append(package, "python");
  llvm::SmallString<256> file(package);
  path::append(file, "waferloom", "__init__.py");
  if (!fs::exists(file))
    return;
  std::string paths = package.str().str();
  if (const char *given = std::getenv("PYTHONPATH"); given && *given)
    paths += std::string(":") + given;
  ::setenv("PYTHONPATH", paths.c_str(), /*overwrite=*/1);
}

int tool::runPython(llvm::StringRef called, llvm::StringRef command,
                    llvm::ArrayRef<char *> args) {
  const std::string where = "waferloom " + command.str();
  std::string python = findPython(called);
  if (python.empty()) {
    tell({"error",
          where,
          "there is no Python beside '" + called.str() +
              "' and none at " WAFERLOOM_PYTHON
              ", which the tool was built with",
          "",
          {"call the tool of the environment that has the waferloom package, "
           "for example .venv/bin/waferloom"}});
    return 1;
  }
  offerBuiltPackage();
  // Completion asks the tool for its table.
  static int anchor;
  ::setenv("WAFERLOOM_TOOL",
           fs::getMainExecutable("waferloom", &anchor).c_str(),
           /*overwrite=*/1);
  std::string flag = "-c", code = bootstrap, name = command.str();
  std::vector<char *> line = {python.data(), flag.data(), code.data(),
                              name.data()};
  line.insert(line.end(), args.begin(), args.end());
  line.push_back(nullptr);
  ::execv(python.c_str(), line.data());
  tell({"error",
        where,
        python + " cannot be run: " + std::strerror(errno),
        "",
        {}});
  return 1;
}
