// What instructions compute: types, folds, predicates, indices, loops.

#include "../../lib/Executor/Half.h"
#include "Running.h"
#include <cmath>

using namespace waferloom;
using namespace waferloom::test;

/// Runs one program on one PE: `in` lies at 0, the result is what lies at 512.
template <typename T, typename U>
static std::vector<T> compute(Builder &b, const std::vector<U> &in,
                              HostType type, uint32_t results,
                              Type resultType) {
  b.columns("in", Role::input, static_cast<uint32_t>(in.size()), 0,
            type == HostType::f32   ? Type::f32
            : type == HostType::f16 ? Type::f16
                                    : Type::i32);
  b.columns("out", Role::output, results, 512, resultType);
  auto session = sessionOf(b);
  StepResult result =
      stepOf(session.get(),
             {HostTensor{
                 "in", in.data(), type, {1, static_cast<int64_t>(in.size())}}});
  return valuesOf<T>(result);
}

static std::vector<float> floats(Opcode op, std::vector<float> a,
                                 const std::vector<float> &b) {
  Builder builder(1, 1);
  auto n = static_cast<uint32_t>(a.size());
  builder.vector(op, 0, n, at(512), at(0), at(4 * n));
  a.insert(a.end(), b.begin(), b.end());
  return compute<float>(builder, a, HostType::f32, n, Type::f32);
}

static std::vector<int32_t> integers(Opcode op, std::vector<int32_t> a,
                                     const std::vector<int32_t> &b) {
  Builder builder(1, 1);
  auto n = static_cast<uint32_t>(a.size());
  builder.vector(op, 0, n, at(512, 1, Type::i32), at(0, 1, Type::i32),
                 at(4 * n, 1, Type::i32));
  a.insert(a.end(), b.begin(), b.end());
  return compute<int32_t>(builder, a, HostType::i32, n, Type::i32);
}

using Floats = std::vector<float>;
using Ints = std::vector<int32_t>;

TEST(ExecutorValues, FloatArithmetic) {
  EXPECT_EQ(floats(Opcode::add, {1, 2.5f}, {3, -1}), (Floats{4, 1.5f}));
  EXPECT_EQ(floats(Opcode::sub, {1, 2.5f}, {3, -1}), (Floats{-2, 3.5f}));
  EXPECT_EQ(floats(Opcode::mul, {1, 2.5f}, {3, -1}), (Floats{3, -2.5f}));
  Floats max = floats(Opcode::max, {1, NAN, -0.0f, 3}, {2, 1, 0.0f, NAN});
  EXPECT_EQ(max[0], 2);
  EXPECT_TRUE(std::isnan(max[1]) && std::isnan(max[3]));
  EXPECT_FALSE(std::signbit(max[2]));
  Floats min = floats(Opcode::min, {1, NAN, 0.0f}, {2, 1, -0.0f});
  EXPECT_EQ(min[0], 1);
  EXPECT_TRUE(std::isnan(min[1]) && std::signbit(min[2]));
}

TEST(ExecutorValues, MultiplyAddRoundsOnce) {
  Builder b(1, 1);
  b.vector(Opcode::fma, 0, 1, at(512), at(0), at(4), at(4, 0));
  // (1 + e)^2 - (1 + 2 e) = e^2, which two roundings lose.
  float e = 0x1p-20f;
  EXPECT_EQ(compute<float>(b, Floats{-(1 + 2 * e), 1 + e}, HostType::f32, 1,
                           Type::f32),
            Floats{e * e});
}

TEST(ExecutorValues, IntegersWrap) {
  EXPECT_EQ(integers(Opcode::add, {INT32_MAX}, {1}), Ints{INT32_MIN});
  EXPECT_EQ(integers(Opcode::mul, {65536}, {65537}), Ints{65536});
  EXPECT_EQ(integers(Opcode::max, {-3, 4}, {2, 1}), (Ints{2, 4}));
  EXPECT_EQ(integers(Opcode::floor_div, {7, -7, 7, -7, 5, INT32_MIN},
                     {2, 2, -2, -2, 0, -1}),
            (Ints{3, -4, -4, 3, 0, INT32_MIN}));
  EXPECT_EQ(integers(Opcode::floor_mod, {7, -7, 7, -7, 5, INT32_MIN},
                     {2, 2, -2, -2, 0, -1}),
            (Ints{1, 1, -1, -1, 5, 0}));
  EXPECT_EQ(integers(Opcode::shl, {1, 1}, {4, 32}), (Ints{16, 0}));
  EXPECT_EQ(integers(Opcode::shr, {-1, -1}, {31, 40}), (Ints{1, 0}));
  EXPECT_EQ(integers(Opcode::sar, {-8, -8}, {1, 99}), (Ints{-4, -1}));
  EXPECT_EQ(integers(Opcode::bit_and, {6}, {3}), Ints{2});
  EXPECT_EQ(integers(Opcode::bit_or, {6}, {3}), Ints{7});
  EXPECT_EQ(integers(Opcode::bit_xor, {6}, {3}), Ints{5});
  EXPECT_EQ(integers(Opcode::eq, {6, 3}, {3, 3}), (Ints{0, 1}));
  EXPECT_EQ(integers(Opcode::lt, {-6, 3}, {3, 3}), (Ints{1, 0}));
  EXPECT_EQ(integers(Opcode::le, {6, 3}, {3, 3}), (Ints{0, 1}));
}

/// What an operation makes of patterns of 16 bits, with one for all.
static std::vector<uint16_t> patterns(Opcode op, std::vector<uint16_t> a,
                                      uint32_t b) {
  Builder builder(1, 1);
  const auto n = static_cast<uint32_t>(a.size());
  builder.vector(op, 0, n, at(512, 1, Type::f16), at(0, 1, Type::f16),
                 constant(b, Type::f16));
  return compute<uint16_t>(builder, a, HostType::f16, n, Type::f16);
}

/// Numbers, subnormal ones, infinities: patterns all.
TEST(ExecutorValues, PatternsOfHalvesHaveSixteenBits) {
  using Words = std::vector<uint16_t>;
  EXPECT_EQ(patterns(Opcode::bit_and, {0xffff, 0x1234, 0x7c00}, 0x0ff0),
            (Words{0x0ff0, 0x0230, 0x0c00}));
  EXPECT_EQ(patterns(Opcode::bit_or, {0x000f, 0x0000, 0x00ff}, 0x6400),
            (Words{0x640f, 0x6400, 0x64ff}));
  EXPECT_EQ(patterns(Opcode::bit_xor, {0x00ff, 0x8080}, 0x8080),
            (Words{0x807f, 0}));
  EXPECT_EQ(patterns(Opcode::shr, {0xabcd, 0x00ff}, 12), (Words{0xa, 0}));
  EXPECT_EQ(patterns(Opcode::shr, {0xabcd}, 16), Words{0});
  EXPECT_EQ(patterns(Opcode::shl, {0xabcd}, 4), Words{0xbcd0});
  EXPECT_EQ(patterns(Opcode::shl, {0xabcd, 1}, 16), (Words{0, 0}));
  EXPECT_EQ(patterns(Opcode::sar, {0x8000, 0x4000}, 14), (Words{0xfffe, 1}));
}

TEST(ExecutorValues, ConversionsRoundToNearestEven) {
  Builder b(1, 1);
  b.vector(Opcode::convert, 0, 8, at(512, 1, Type::i32), at(0));
  EXPECT_EQ(compute<int32_t>(
                b, Floats{0.5f, 1.5f, 2.5f, -0.5f, -1.6f, 3e9f, -3e9f, NAN},
                HostType::f32, 8, Type::i32),
            (Ints{0, 2, 2, 0, -2, INT32_MAX, INT32_MIN, 0}));
  Builder back(1, 1);
  back.vector(Opcode::convert, 0, 2, at(512), at(0, 1, Type::i32));
  EXPECT_EQ(
      compute<float>(back, Ints{16777217, -5}, HostType::i32, 2, Type::f32),
      (Floats{16777216, -5}));
}

TEST(ExecutorValues, HalvesAgreeWithTheirDefinition) {
  using executor::floatOfHalf;
  using executor::halfOfFloat;
  for (uint32_t half = 0; half < 65536; ++half) {
    float value = floatOfHalf(static_cast<uint16_t>(half));
    uint32_t exponent = (half >> 10) & 31, mantissa = half & 1023;
    double expected = exponent == 0
                          ? mantissa * 0x1p-24
                          : std::ldexp(1024.0 + mantissa, int(exponent) - 25);
    if (exponent == 31) {
      EXPECT_EQ(mantissa != 0, std::isnan(value));
    } else {
      EXPECT_EQ(value, half & 0x8000 ? -expected : expected);
    }
    if (!std::isnan(value)) {
      EXPECT_EQ(halfOfFloat(value), half);
    }
  }
  // Between neighbours: nearest, ties to even.
  for (uint32_t half = 0; half < 0x7bff; ++half) {
    float low = floatOfHalf(static_cast<uint16_t>(half));
    float high = floatOfHalf(static_cast<uint16_t>(half + 1));
    float middle = low + (high - low) / 2;
    EXPECT_EQ(halfOfFloat(middle), half + (half & 1));
    EXPECT_EQ(halfOfFloat(std::nextafter(middle, 0.0f)), half);
    EXPECT_EQ(halfOfFloat(std::nextafter(middle, 1e9f)), half + 1);
  }
  EXPECT_EQ(halfOfFloat(65519.996f), 0x7bff);
  EXPECT_EQ(halfOfFloat(65520.0f), 0x7c00);
  EXPECT_EQ(halfOfFloat(-1e9f), 0xfc00);
}

TEST(ExecutorValues, HalvesRoundOncePerOperation) {
  Builder b(1, 1);
  b.vector(Opcode::mul, 0, 1, at(512, 1, Type::f16), at(0, 1, Type::f16),
           at(2, 1, Type::f16));
  uint16_t x = executor::halfOfFloat(1.001f), y = executor::halfOfFloat(3.3f);
  EXPECT_EQ(compute<uint16_t>(b, std::vector<uint16_t>{x, y}, HostType::f16, 1,
                              Type::f16),
            std::vector<uint16_t>{executor::halfOfFloat(
                executor::floatOfHalf(x) * executor::floatOfHalf(y))});
}

TEST(ExecutorValues, MixedMultiplyAddWidens) {
  Builder b(1, 1);
  b.vector(Opcode::fma, 0, 2, at(512), at(512), at(0, 1, Type::f16),
           at(4, 0, Type::f16));
  std::vector<uint16_t> in = {executor::halfOfFloat(2.5f),
                              executor::halfOfFloat(60000),
                              executor::halfOfFloat(4)};
  EXPECT_EQ(compute<float>(b, in, HostType::f16, 2, Type::f32),
            (Floats{10, 240000}));
}

TEST(ExecutorValues, PredicatesDecideWhatIsStored) {
  Builder b(1, 1);
  InstructionT &add = b.vector(Opcode::add, 0, 3, at(512, 1, Type::i32),
                               at(0, 1, Type::i32), constant(10, Type::i32));
  add.predicate = std::make_unique<OperandT>(at(12, 1, Type::i32));
  EXPECT_EQ(
      compute<int32_t>(b, Ints{1, 2, 3, 1, 0, -1}, HostType::i32, 3, Type::i32),
      (Ints{11, 0, 13}));
}

TEST(ExecutorValues, SelectChooses) {
  Builder b(1, 1);
  b.vector(Opcode::select, 0, 2, at(512), at(0, 1, Type::i32), at(0),
           constant(bits(7)));
  EXPECT_EQ(compute<float>(b, Floats{0, 3}, HostType::f32, 2, Type::f32),
            (Floats{7, 3}));
}

TEST(ExecutorValues, AStrideOfZeroFolds) {
  Builder b(1, 1);
  // Two rows of three: the sum of each.
  InstructionT &sum = b.vector(Opcode::add, 0, 0, at(512), at(512), at(0));
  sum.shape = {2, 3};
  sum.dst->strides = sum.a->strides = {1, 0};
  sum.b->strides = {3, 1};
  EXPECT_EQ(
      compute<float>(b, Floats{1, 2, 3, 4, 5, 6}, HostType::f32, 2, Type::f32),
      (Floats{6, 15}));
}

TEST(ExecutorValues, FourDimensionsTranspose) {
  Builder b(1, 1);
  InstructionT &mov = b.add(Opcode::mov, 0, 0);
  mov.shape = {2, 3, 2, 2};
  mov.dst = std::make_unique<OperandT>(at(512));
  mov.dst->strides = {1, 2, 6, 12};
  mov.a = std::make_unique<OperandT>(at(0));
  mov.a->strides = {12, 4, 2, 1};
  Floats in(24), expected(24);
  for (int i = 0; i < 24; ++i)
    in[i] = static_cast<float>(i);
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 3; ++j)
      for (int k = 0; k < 2; ++k)
        for (int l = 0; l < 2; ++l)
          expected[i + 2 * j + 6 * k + 12 * l] = in[12 * i + 4 * j + 2 * k + l];
  EXPECT_EQ(compute<float>(b, in, HostType::f32, 24, Type::f32), expected);
}

/// y = x W with W in rows: one multiply-add per element of x.
TEST(ExecutorValues, LoopsMoveOperands) {
  Builder b(1, 1);
  b.loop(0, 3, 1);
  OperandT row = at(12), x = at(0, 0);
  row.steps = {LoopStep(0, 8)};
  x.steps = {LoopStep(0, 4)};
  b.vector(Opcode::fma, 0, 2, at(512), at(512), row, x);
  EXPECT_EQ(compute<float>(b, Floats{1, 2, 3, 1, 10, 2, 20, 3, 30},
                           HostType::f32, 2, Type::f32),
            (Floats{14, 140}));
}

TEST(ExecutorValues, LoopsNest) {
  Builder b(1, 1);
  b.loop(0, 2, 3);
  b.loop(0, 3, 1);
  OperandT cell = at(512);
  cell.steps = {LoopStep(0, 12), LoopStep(1, 4)};
  b.vector(Opcode::add, 0, 1, cell, at(0), cell);
  b.vector(Opcode::add, 0, 1, at(0), at(0), constant(bits(1)));
  EXPECT_EQ(compute<float>(b, Floats{5}, HostType::f32, 6, Type::f32),
            (Floats{5, 5, 5, 6, 6, 6}));
}

static Builder lookup() {
  Builder b(1, 1);
  OperandT row = at(8);
  row.index_at = 0;
  row.index_steps = {LoopStep(0, 4)};
  row.index_scale = 8;
  row.index_count = 3;
  OperandT to = at(512);
  to.steps = {LoopStep(0, 8)};
  b.loop(0, 2, 1);
  b.vector(Opcode::mov, 0, 2, to, row);
  return b;
}

TEST(ExecutorValues, IndicesChooseRows) {
  Builder b = lookup();
  EXPECT_EQ(compute<float>(b,
                           Floats{executor::floatOfBits(2),
                                  executor::floatOfBits(0), 1, 2, 3, 4, 5, 6},
                           HostType::f32, 4, Type::f32),
            (Floats{5, 6, 1, 2}));
}

TEST(ExecutorValues, AnIndexOutOfRangeIsAnError) {
  Builder b = lookup();
  b.columns("in", Role::input, 8, 0, Type::i32);
  auto session = sessionOf(b);
  Ints in = {1, 3, 0, 0, 0, 0, 0, 0};
  std::string text =
      failure(session->step(0, {{"in", in.data(), HostType::i32, {1, 8}}}));
  EXPECT_TRUE(contains(text, "an index is 3 but must be in [0, 3)")) << text;
  EXPECT_TRUE(contains(text, "node 'node/a'"));
}

TEST(ExecutorValues, ClassesHaveTheirOwnPrograms) {
  Builder b(2, 1);
  b.columns("out", Role::output, 1, 512);
  b.loop(1, 5, 1); // the first column only; its body goes with it
  b.vector(Opcode::add, 0, 1, at(512), at(512), constant(bits(1)));
  b.vector(Opcode::add, 2, 1, at(512), at(512), constant(bits(7)));
  EXPECT_EQ(valuesOf(stepOf(sessionOf(b).get())), (Floats{5, 7}));
}
