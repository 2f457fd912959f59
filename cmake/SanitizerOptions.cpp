// What programs with the address sanitizer need while LLVM's own library has
// none: its headers mark memory as poisoned in our code, and the library, which
// uses the same memory, does not unmark it.

extern "C" __attribute__((no_sanitize("address"), visibility("default")))
const char *
__asan_default_options() {
  return "allow_user_poisoning=0";
}
