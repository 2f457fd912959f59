// Preloaded before the C library: makes calls of one kind fail, so that a test
// sees what a program does then. WAFERLOOM_FAIL=write:3 fails the third call,
// write:3+ the third and all that follow. The kinds:
//
//   open, write, sync, link, rename   of files that are written; standard
//                                     streams are left alone
//   thread                            pthread_create
//   memory                            allocations of 64 KiB and more
//
// WAFERLOOM_SLOW=700: each sync takes 700 ms more.
//
// When a call was made to fail, the file WAFERLOOM_FAILED is there.

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

namespace {
struct Plan {
  const char *text = nullptr;
  size_t kind = 0; // characters
  long call = 0;
  bool onwards = false;
};
} // namespace

static Plan readPlan() {
  Plan plan;
  plan.text = std::getenv("WAFERLOOM_FAIL");
  const char *colon = plan.text ? std::strchr(plan.text, ':') : nullptr;
  if (!colon)
    return Plan();
  plan.kind = static_cast<size_t>(colon - plan.text);
  char *end;
  plan.call = std::strtol(colon + 1, &end, 10);
  plan.onwards = *end == '+';
  return plan;
}

/// Whether this call is one to fail; the first such leaves a file.
static bool fails(const char *kind) {
  static std::atomic<long> calls{0};
  static const Plan plan = readPlan();
  if (std::strlen(kind) != plan.kind ||
      std::memcmp(kind, plan.text, plan.kind) != 0)
    return false;
  long call = ++calls;
  if (call == plan.call)
    if (const char *path = std::getenv("WAFERLOOM_FAILED")) {
      long file = syscall(SYS_openat, AT_FDCWD, path, O_CREAT | O_WRONLY, 0600);
      syscall(SYS_close, file);
    }
  return plan.onwards ? call >= plan.call : call == plan.call;
}

static bool isStandard(int descriptor) { return descriptor <= STDERR_FILENO; }

/// The function that this one stands before.
#define NEXT(name) reinterpret_cast<decltype(&name)>(dlsym(RTLD_NEXT, #name))

#define FAIL(kind, code, result)                                               \
  do {                                                                         \
    if (fails(kind)) {                                                         \
      errno = code;                                                            \
      return result;                                                           \
    }                                                                          \
  } while (false)

extern "C" {
int open(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  auto mode = va_arg(rest, mode_t); // what is not there is not used
  va_end(rest);
  if ((flags & O_ACCMODE) != O_RDONLY)
    FAIL("open", EMFILE, -1);
  return NEXT(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  auto mode = va_arg(rest, mode_t);
  va_end(rest);
  if ((flags & O_ACCMODE) != O_RDONLY)
    FAIL("open", EMFILE, -1);
  return NEXT(open64)(path, flags, mode);
}

ssize_t write(int descriptor, const void *bytes, size_t size) {
  if (!isStandard(descriptor))
    FAIL("write", ENOSPC, -1);
  return NEXT(write)(descriptor, bytes, size);
}

int fsync(int descriptor) {
  if (const char *slow = std::getenv("WAFERLOOM_SLOW"))
    usleep(static_cast<useconds_t>(std::atol(slow)) * 1000);
  FAIL("sync", EIO, -1);
  return NEXT(fsync)(descriptor);
}

int linkat(int from, const char *old, int to, const char *path, int flags) {
  FAIL("link", ENOSPC, -1);
  return NEXT(linkat)(from, old, to, path, flags);
}

int rename(const char *from, const char *to) {
  FAIL("rename", EACCES, -1);
  return NEXT(rename)(from, to);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                   void *(*start)(void *), void *argument) {
  if (fails("thread"))
    return EAGAIN;
  return NEXT(pthread_create)(thread, attributes, start, argument);
}

void *malloc(size_t size) {
  // Asked at every call: what finds the next function allocates, too.
  static decltype(&malloc) next = nullptr;
  if (!next)
    next = NEXT(malloc);
  if (size >= size_t(64) << 10)
    FAIL("memory", ENOMEM, nullptr);
  return next(size);
}
}
