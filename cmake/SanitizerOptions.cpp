// What programs with sanitizers are started with.

#define WAFERLOOM_SANITIZER_OPTIONS                                            \
  extern "C"                                                                   \
      __attribute__((no_sanitize("address", "thread"), visibility("default"))) \
      const char *

// LLVM's own library has no sanitizer: its headers mark memory as poisoned in
// our code, and the library, which uses the same memory, does not unmark it.
WAFERLOOM_SANITIZER_OPTIONS __asan_default_options() {
  return "allow_user_poisoning=0";
}

// A child may start threads of its own: sessions survive a fork.
WAFERLOOM_SANITIZER_OPTIONS __tsan_default_options() {
  return "die_after_fork=0";
}
