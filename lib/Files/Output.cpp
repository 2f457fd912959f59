// A temporary file is best one without a name: whatever ends the process,
// nothing remains. It gets a name only for the moment between linking and
// renaming, since a link cannot replace a file.

#include "waferloom/Files/Output.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Signals.h"
#include <atomic>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

using namespace llvm;

namespace waferloom::files {

static std::atomic<bool> removeOnSignals{false};

void handleSignals() {
  removeOnSignals = true;
  std::signal(SIGXFSZ, SIG_IGN);
}

static Error fail(StringRef path, const Twine &why) {
  return createStringError("cannot write '" + path + "': " + why);
}

static Error fail(StringRef path, int code) {
  return fail(path, std::error_code(code, std::generic_category()).message());
}

namespace {
/// Where a file goes, links followed, and what is there already.
struct Place {
  std::string path;
  std::optional<struct stat> old;

  std::string folder() const {
    StringRef parent = sys::path::parent_path(path);
    return parent.empty() ? "." : parent.str();
  }
};
} // namespace

static Expected<Place> placeOf(StringRef path, ArrayRef<std::string> read) {
  Place place{path.str(), std::nullopt};
  struct stat found;
  if (::stat(place.path.c_str(), &found) != 0) {
    if (errno != ENOENT)
      return fail(path, errno);
    if (::lstat(place.path.c_str(), &found) == 0)
      return fail(path, "it is a symbolic link that leads nowhere");
    return place;
  }
  if (S_ISDIR(found.st_mode))
    return fail(path, EISDIR);
  // Renaming would replace a device or a pipe by a file.
  if (!S_ISREG(found.st_mode))
    return fail(path, "it is not a regular file");
  for (const std::string &other : read) {
    struct stat was;
    if (::stat(other.c_str(), &was) == 0 && was.st_dev == found.st_dev &&
        was.st_ino == found.st_ino)
      return fail(path, "that is '" + other + "', which was read");
  }
  if (::access(place.path.c_str(), W_OK) != 0)
    return fail(path, errno);
  SmallString<256> real;
  if (std::error_code error = sys::fs::real_path(path, real))
    return fail(path, error.message());
  place.path = real.str().str();
  place.old = found;
  return place;
}

Error checkOutput(StringRef path, ArrayRef<std::string> read) {
  Expected<Place> place = placeOf(path, read);
  if (!place)
    return place.takeError();
  if (::access(place->folder().c_str(), W_OK | X_OK) != 0)
    return fail(path, errno);
  return Error::success();
}

namespace {
/// A file that is not there yet.
class Temporary {
public:
  explicit Temporary(Place place) : place(std::move(place)) {}
  ~Temporary() {
    if (descriptor >= 0)
      ::close(descriptor);
    forget();
  }

  /// Each gives 0 or the number of an error.
  int open(Hidden hidden);
  int keepMode();
  int finish();

  int descriptor = -1;

private:
  int linkNameless();
  void remember(StringRef path) {
    name = path.str();
    if (removeOnSignals)
      sys::RemoveFileOnSignal(name);
  }
  /// Removes what has a name.
  void forget() {
    if (name.empty())
      return;
    ::unlink(name.c_str());
    renamed();
  }
  void renamed() {
    if (removeOnSignals)
      sys::DontRemoveFileOnSignal(name);
    name.clear();
  }

  Place place;
  std::string name; // of the temporary file, if it has one
};
} // namespace

int Temporary::open(Hidden hidden) {
#ifdef O_TMPFILE
  if (hidden == Hidden::nameless)
    descriptor =
        ::open(place.folder().c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
#endif
  if (descriptor >= 0)
    return 0;
  SmallString<256> made;
  if (std::error_code error = sys::fs::createUniqueFile(
          place.path + ".%%%%%%", descriptor, made, sys::fs::OF_None,
          sys::fs::all_read | sys::fs::all_write)) {
    descriptor = -1;
    return error.value();
  }
  remember(made);
  return 0;
}

int Temporary::keepMode() {
  if (!place.old)
    return 0;
  // Only a privileged process may; the others keep what is theirs.
  if (::fchown(descriptor, place.old->st_uid, place.old->st_gid) != 0)
    errno = 0;
  return ::fchmod(descriptor, place.old->st_mode & 07777) ? errno : 0;
}

/// Gives the file a name: its own where nothing is, else a temporary one.
int Temporary::linkNameless() {
  std::string from = "/proc/self/fd/" + std::to_string(descriptor);
  auto link = [&](const char *to) {
    return ::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, to, AT_SYMLINK_FOLLOW)
               ? errno
               : 0;
  };
  if (int error = link(place.path.c_str()); error != EEXIST)
    return error;
  for (unsigned tries = 0; tries < 100; ++tries) {
    SmallString<256> free;
    sys::fs::createUniquePath(place.path + ".%%%%%%", free,
                              /*MakeAbsolute=*/false);
    remember(free);
    int error = link(name.c_str());
    if (error == 0)
      return 0;
    renamed(); // it is somebody else's
    if (error != EEXIST)
      return error;
  }
  return EEXIST;
}

int Temporary::finish() {
  // Some file systems cannot; what they lose in a power cut they lose.
  if (::fsync(descriptor) != 0 && errno != EINVAL && errno != ENOSYS)
    return errno;
  bool nameless = name.empty();
  if (nameless)
    if (int error = linkNameless())
      return error;
  if (::close(std::exchange(descriptor, -1)) != 0)
    return errno;
  if (!name.empty()) {
    if (::rename(name.c_str(), place.path.c_str()) != 0)
      return errno;
    renamed();
  }
  if (int folder = ::open(place.folder().c_str(), O_RDONLY | O_CLOEXEC);
      folder >= 0) {
    (void)::fsync(folder);
    ::close(folder);
  }
  return 0;
}

Error write(StringRef path, function_ref<Error(raw_ostream &)> content,
            ArrayRef<std::string> read, Hidden hidden) {
  Expected<Place> place = placeOf(path, read);
  if (!place)
    return place.takeError();
  Temporary file(std::move(*place));
  if (int error = file.open(hidden))
    return fail(path, error);
  {
    raw_fd_ostream os(file.descriptor, /*shouldClose=*/false);
    Error error = content(os);
    os.flush();
    std::error_code code = os.error();
    os.clear_error(); // what is not asked about ends the process
    if (error)
      return error;
    if (code)
      return fail(path, code.message());
  }
  if (int error = file.keepMode())
    return fail(path, error);
  if (int error = file.finish())
    return fail(path, error);
  return Error::success();
}

Error writeText(StringRef path, StringRef text, ArrayRef<std::string> read) {
  return write(
      path,
      [&](raw_ostream &os) -> Error {
        os << text;
        return Error::success();
      },
      read);
}

} // namespace waferloom::files
