// Enumerations that stand twice: a dialect has its own, the image's schema has
// its own. A cast between two of them is allowed where somebody has asserted,
// value by value, that they are the same.

#ifndef WAFERLOOM_FORMAT_MIRRORED_H
#define WAFERLOOM_FORMAT_MIRRORED_H

#include <type_traits>

namespace waferloom {

/// Specialised by WAFERLOOM_MIRRORS, beside the assertions.
template <typename A, typename B>
struct Mirrors : std::false_type {};

/// `value` as the value of `To` that has its name.
template <typename To, typename From>
constexpr To mirrored(From value) {
  static_assert(Mirrors<To, From>::value,
                "nobody has asserted that these enumerations are the same");
  return static_cast<To>(value);
}

} // namespace waferloom

/// At file scope outside of namespaces: A and B have the same values, which
/// stand beside it in WAFERLOOM_SAME.
#define WAFERLOOM_MIRRORS(A, B)                                                \
  template <>                                                                  \
  struct waferloom::Mirrors<A, B> : std::true_type {};                         \
  template <>                                                                  \
  struct waferloom::Mirrors<B, A> : std::true_type {};
#define WAFERLOOM_SAME(A, B, name)                                             \
  static_assert(static_cast<int>(A::name) == static_cast<int>(B::name),        \
                #A "::" #name " and " #B "::" #name " differ");

#endif // WAFERLOOM_FORMAT_MIRRORED_H
