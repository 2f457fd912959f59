// The one writer of files: whatever tools and Python leave behind is there
// whole or not at all, and never lies over something that was read for it.

#ifndef WAFERLOOM_FILES_OUTPUT_H
#define WAFERLOOM_FILES_OUTPUT_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"
#include <string>

namespace waferloom::files {

/// Whether `write` may put a file there: the folder takes files, what is there
/// already is a regular file that may be written, and is none of those that
/// were `read`. To be asked before long work.
llvm::Error checkOutput(llvm::StringRef path,
                        llvm::ArrayRef<std::string> read = {});

/// How the bytes stay out of sight until they are complete.
enum class Hidden {
  nameless, ///< a file without a name where the file system has such, else
            ///< named
  named,    ///< `path` with a suffix; what remains of a killed process
};

/// Writes a file: into a temporary one in the same folder, brought to the disk,
/// and renamed. On an error, also one of `content`, the old file stays and no
/// temporary one does. The mode of an existing file is kept; a symbolic link
/// stays and what it leads to is written.
llvm::Error write(llvm::StringRef path,
                  llvm::function_ref<llvm::Error(llvm::raw_ostream &)> content,
                  llvm::ArrayRef<std::string> read = {},
                  Hidden hidden = Hidden::nameless);

/// The same for a text.
llvm::Error writeText(llvm::StringRef path, llvm::StringRef text,
                      llvm::ArrayRef<std::string> read = {});

/// For tools: named temporary files are removed when a signal ends the process,
/// and a limit on the size of files is an error, not a signal. Installs
/// handlers, which a library must not.
void handleSignals();

} // namespace waferloom::files

#endif // WAFERLOOM_FILES_OUTPUT_H
