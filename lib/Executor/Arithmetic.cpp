// The vector operations: one loop nest over four dimensions, instantiated for
// each operation and type. Elements are computed in index order, one after the
// other, so that operands may overlap and a destination stride of 0 folds.

#include "Operations.h"

namespace waferloom::executor {

/// Calls body(d, a, b, c) with the addresses of each element that is stored.
template <typename Body>
static inline void forElements(const Instruction &i, const Addresses &x,
                               Body body) {
  const Operand *operands[5] = {&i.dst, &i.a, &i.b, &i.c, &i.predicate};
  ptrdiff_t offset[5];
  for (uint32_t i0 = 0; i0 < i.shape[0]; ++i0)
    for (uint32_t i1 = 0; i1 < i.shape[1]; ++i1)
      for (uint32_t i2 = 0; i2 < i.shape[2]; ++i2) {
        for (int k = 0; k < 5; ++k) {
          const int32_t *s = operands[k]->strides;
          offset[k] = ptrdiff_t(i0) * s[0] + ptrdiff_t(i1) * s[1] +
                      ptrdiff_t(i2) * s[2];
        }
        char *d = x.dst + offset[0];
        const char *a = x.a + offset[1], *b = x.b + offset[2],
                   *c = x.c + offset[3];
        ptrdiff_t ds = i.dst.strides[3], as = i.a.strides[3],
                  bs = i.b.strides[3], cs = i.c.strides[3];
        uint32_t n = i.shape[3];
        if (x.predicate) {
          const char *p = x.predicate + offset[4];
          for (uint32_t k = 0; k < n; ++k, d += ds, a += as, b += bs, c += cs,
                        p += i.predicate.strides[3])
            if (I32::load(p) != 0)
              body(d, a, b, c);
        } else {
          for (uint32_t k = 0; k < n; ++k, d += ds, a += as, b += bs, c += cs)
            body(d, a, b, c);
        }
      }
}

template <typename D, typename A, typename F>
static void unary(const Instruction &i, const Addresses &x) {
  forElements(i, x, [](char *d, const char *a, const char *, const char *) {
    D::store(d, F::apply(A::load(a)));
  });
}

/// A row without gaps; the second operand is one too, or a scalar. With fixed
/// strides the compiler computes several elements at once where nothing
/// overlaps, and one after the other where it does.
template <typename D, typename A, typename F, size_t StrideB>
static void denseRow(char *d, const char *a, const char *b, uint32_t n) {
  constexpr size_t to = sizeof(typename D::Stored);
  constexpr size_t from = sizeof(typename A::Stored);
  if (to == from && a == d) {
    for (size_t k = 0; k < n; ++k)
      D::store(d + k * to,
               F::apply(A::load(d + k * to), A::load(b + k * StrideB)));
    return;
  }
  for (size_t k = 0; k < n; ++k)
    D::store(d + k * to,
             F::apply(A::load(a + k * from), A::load(b + k * StrideB)));
}

template <typename D, typename A, typename F>
static void binary(const Instruction &i, const Addresses &x) {
  constexpr int32_t to = sizeof(typename D::Stored);
  constexpr int32_t from = sizeof(typename A::Stored);
  if (i.isLine && !x.predicate && i.dst.strides[3] == to &&
      i.a.strides[3] == from) {
    if (i.b.strides[3] == from)
      return denseRow<D, A, F, from>(x.dst, x.a, x.b, i.shape[3]);
    if (i.b.strides[3] == 0)
      return denseRow<D, A, F, 0>(x.dst, x.a, x.b, i.shape[3]);
  }
  forElements(i, x, [](char *d, const char *a, const char *b, const char *) {
    D::store(d, F::apply(A::load(a), A::load(b)));
  });
}

template <typename D>
static void choose(const Instruction &i, const Addresses &x) {
  forElements(i, x, [](char *d, const char *a, const char *b, const char *c) {
    D::store(d, I32::load(a) != 0 ? D::load(b) : D::load(c));
  });
}

template <typename D, typename B>
static void multiplyAdd(const Instruction &i, const Addresses &x) {
  forElements(i, x, [](char *d, const char *a, const char *b, const char *c) {
    D::store(d, std::fma(B::load(b), B::load(c), D::load(a)));
  });
}

static void multiplyAddInteger(const Instruction &i, const Addresses &x) {
  forElements(i, x, [](char *d, const char *a, const char *b, const char *c) {
    U32::store(d, U32::load(a) + U32::load(b) * U32::load(c));
  });
}

#if defined(__x86_64__)
/// acc[i] += row[i] * c, the inner loop of products, eight at a time.
__attribute__((target("avx2,fma"))) static void
accumulate(float *__restrict acc, const float *__restrict row, float c,
           uint32_t n) {
  for (uint32_t k = 0; k < n; ++k)
    acc[k] = __builtin_fmaf(row[k], c, acc[k]);
}

/// Whether [a, a + bytes) and [b, b + more) have a byte in common.
static bool meet(const char *a, size_t bytes, const char *b, size_t more) {
  return a < b + more && b < a + bytes;
}

/// The same as multiplyAdd<F32, F32> where the host can: both round once.
__attribute__((target("fma"))) static void
multiplyAddNative(const Instruction &i, const Addresses &x) {
  ptrdiff_t ds = i.dst.strides[3], as = i.a.strides[3], bs = i.b.strides[3];
  size_t bytes = size_t(i.shape[3]) * 4;
  if (x.predicate || !i.isLine || i.c.strides[3] != 0 || ds < 0 ||
      meet(x.c, 4, x.dst, size_t(i.shape[3]) * size_t(ds) + 4))
    return multiplyAdd<F32, F32>(i, x);
  float c = F32::load(x.c);
  if (x.a == x.dst && ds == 4 && as == 4 && bs == 4 &&
      !meet(x.b, bytes, x.dst, bytes))
    return accumulate(reinterpret_cast<float *>(x.dst),
                      reinterpret_cast<const float *>(x.b), c, i.shape[3]);
  char *d = x.dst;
  const char *a = x.a, *b = x.b;
  for (uint32_t k = 0; k < i.shape[3]; ++k, d += ds, a += as, b += bs)
    F32::store(d, __builtin_fmaf(F32::load(b), c, F32::load(a)));
}
#endif

namespace {
/// The loops above, as `select` wants them.
struct Loops {
  using Kernel = executor::Kernel;
  template <typename D, typename A, typename F>
  static void unary(const Instruction &i, const Addresses &x) {
    executor::unary<D, A, F>(i, x);
  }
  template <typename D, typename A, typename F>
  static void binary(const Instruction &i, const Addresses &x) {
    executor::binary<D, A, F>(i, x);
  }
  template <typename D>
  static void choose(const Instruction &i, const Addresses &x) {
    executor::choose<D>(i, x);
  }
  template <typename D, typename B>
  static void multiplyAdd(const Instruction &i, const Addresses &x) {
    executor::multiplyAdd<D, B>(i, x);
  }
  static void multiplyAddInteger(const Instruction &i, const Addresses &x) {
    executor::multiplyAddInteger(i, x);
  }
  static Kernel multiplyAddFloat() {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("fma"))
      return multiplyAddNative;
#endif
    return multiplyAdd<F32, F32>;
  }
};
} // namespace

Kernel kernelOf(const Instruction &i) { return select<Loops>(i); }

template <typename F>
static uint32_t foldF32(uint32_t accumulator, uint32_t word) {
  return bitsOfFloat(F::apply(floatOfBits(accumulator), floatOfBits(word)));
}

template <typename F>
static uint32_t foldF16(uint32_t accumulator, uint32_t word) {
  auto half = [](uint32_t x, uint32_t y) -> uint32_t {
    return halfOfFloat(F::apply(floatOfHalf(static_cast<uint16_t>(x)),
                                floatOfHalf(static_cast<uint16_t>(y))));
  };
  return half(accumulator, word) | half(accumulator >> 16, word >> 16) << 16;
}

template <typename F>
static uint32_t foldI32(uint32_t accumulator, uint32_t word) {
  return static_cast<uint32_t>(
      F::apply(static_cast<int32_t>(accumulator), static_cast<int32_t>(word)));
}

Fold foldOf(Opcode fold, Type type) {
  bool f32 = type == Type::f32, f16 = type == Type::f16;
  switch (fold) {
  case Opcode::max:
    return f32 ? foldF32<Maximum> : f16 ? foldF16<Maximum> : foldI32<Maximum>;
  case Opcode::min:
    return f32 ? foldF32<Minimum> : f16 ? foldF16<Minimum> : foldI32<Minimum>;
  default:
    return f32   ? foldF32<Add>
           : f16 ? foldF16<Add>
                 : [](uint32_t a, uint32_t b) { return a + b; };
  }
}

} // namespace waferloom::executor
