// The sequences behind exp and its kin, executed, against double precision: on
// dense grids over their ranges, and at the points where such things go wrong.

#include "../../lib/Codegen/Functions.h"
#include "../../lib/Codegen/Generic.h"
#include "Running.h"
#include "waferloom/Codegen/CoreText.h"
#include "waferloom/Executor/Executor.h"
#include "waferloom/Image/Image.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>
#include <random>
#include <string>

using namespace waferloom;
using namespace waferloom::codegen;

namespace {
constexpr int64_t batch = 4096;
constexpr float inf = std::numeric_limits<float>::infinity();

constexpr char onePe[] = R"mlir(
core.image "grid-1x1,sram=4MiB" {
  core.entry "f" {
    core.input "x" required
    core.tensor input "x" [4096] f32 as f32
    core.tensor output "y" [4096] f32 as f32
  }
  core.region at 0, 0 size 1, 1 columns [0] rows [0] {
    core.program "f" {
      core.buffer input @x bytes 16384
      core.buffer output @y bytes 16384
      core.bind input "x" f32[@x] as f32 [4096 by 1 (4096)]
      core.bind output "y" f32[@y] as f32 [4096 by 1 (4096)]
    }
  }
})mlir";

/// A program of one PE that applies `function` to 4,096 numbers per step.
class OnePe {
public:
  explicit OnePe(Function function) {
    mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
    context.loadDialect<core::CoreDialect>();
    auto module = mlir::parseSourceString<mlir::ModuleOp>(onePe, &context);
    SymbolNames names;
    mlir::FlatSymbolRefAttr x = names.take(&context, "x"),
                            y = names.take(&context, "y");
    module->walk([&](core::ProgramOp program) {
      Emitter emitter(program, names);
      function(emitter, {batch}, dense(y, Word::f32, {batch}),
               dense(x, Word::f32, {batch}));
    });
    auto made = codegen::assemble(*module);
    if (failed(made) || failed(mlir::verify(*module))) {
      ADD_FAILURE() << "is no program of the machine";
      return;
    }
    auto loaded = image::adopt(std::move(made->image), "");
    if (!loaded) {
      ADD_FAILURE() << llvm::toString(loaded.takeError());
      return;
    }
    session = test::bothEngines(*loaded);
  }

  std::vector<float> operator()(std::vector<float> x) {
    size_t count = x.size();
    x.resize((count + batch - 1) / batch * batch, 1.0f);
    std::vector<float> y;
    for (size_t at = 0; at < x.size(); at += batch) {
      executor::HostTensor tensor{
          "x", x.data() + at, executor::HostType::f32, {batch}};
      auto result = llvm::cantFail(session->step(0, tensor));
      const float *bytes =
          reinterpret_cast<const float *>(result.outputs[0].bytes.data());
      y.insert(y.end(), bytes, bytes + batch);
    }
    y.resize(count);
    return y;
  }

private:
  std::unique_ptr<executor::Session> session;
};

std::vector<float> grid(double low, double high, size_t count) {
  std::vector<float> out(count);
  for (size_t i = 0; i < count; ++i)
    out[i] =
        static_cast<float>(low + (high - low) * double(i) / double(count - 1));
  return out;
}

/// Magnitudes spread evenly over exponents.
std::vector<float> exponents(int low, int high, size_t count) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> draw(low, high);
  std::vector<float> out(count);
  for (float &x : out)
    x = static_cast<float>(std::exp2(draw(random)));
  return out;
}

void expectRelative(Function function, const std::vector<float> &x,
                    const std::function<double(double)> &exact, double bound) {
  std::vector<float> y = OnePe(function)(x);
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i)
    worst = std::max(worst, std::abs(y[i] / exact(x[i]) - 1));
  EXPECT_LE(worst, bound);
}

void expectAbsolute(Function function, const std::vector<float> &x,
                    const std::function<double(double)> &exact, double bound) {
  std::vector<float> y = OnePe(function)(x);
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i)
    worst = std::max(worst, std::abs(y[i] - exact(x[i])));
  EXPECT_LE(worst, bound);
}

TEST(Functions, exp) {
  expectRelative(
      emitExp, grid(-87, 88.3, 1 << 20), [](double x) { return std::exp(x); },
      3e-7);
  std::vector<float> y =
      OnePe(emitExp)({-inf, -1000, -88, 0, 89, inf, std::nanf("")});
  EXPECT_EQ(y[0], 0);
  EXPECT_EQ(y[1], 0);
  EXPECT_EQ(y[2], 0);
  EXPECT_EQ(y[3], 1);
  EXPECT_EQ(y[4], inf);
  EXPECT_EQ(y[5], inf);
  EXPECT_TRUE(std::isnan(y[6]));
}

TEST(Functions, reciprocal) {
  std::vector<float> x = exponents(-126, 125, 1 << 19);
  for (size_t i = 0; i < x.size(); i += 2)
    x[i] = -x[i];
  expectRelative(emitReciprocal, x, [](double v) { return 1 / v; }, 2e-7);
  std::vector<float> y =
      OnePe(emitReciprocal)({0.0f, -0.0f, inf, -inf, 1e-40f, std::nanf("")});
  EXPECT_EQ(y[0], inf);
  EXPECT_EQ(y[1], -inf);
  EXPECT_EQ(y[2], 0);
  EXPECT_EQ(y[3], 0);
  EXPECT_EQ(y[4], inf);
  EXPECT_TRUE(std::isnan(y[5]));
}

TEST(Functions, rsqrt) {
  expectRelative(
      emitRsqrt, exponents(-126, 127, 1 << 19),
      [](double x) { return 1 / std::sqrt(x); }, 8e-7);
}

void quickReciprocal(Emitter &emitter, llvm::ArrayRef<int64_t> shape, Ref dst,
                     Ref x) {
  emitReciprocal(emitter, shape, dst, x, {false, Accuracy::Half});
}

void positiveReciprocal(Emitter &emitter, llvm::ArrayRef<int64_t> shape,
                        Ref dst, Ref x) {
  emitReciprocal(emitter, shape, dst, x, {true, Accuracy::Full});
}

/// Number by number: the machine has more for single ones.
void rsqrtOfEach(Emitter &emitter, llvm::ArrayRef<int64_t> shape, Ref dst,
                 Ref x) {
  emitter.loop(shape[0]);
  for (Ref *ref : {&dst, &x})
    ref->steps.push_back({0, 4});
  emitRsqrt(emitter, {1}, dst, x);
  emitter.endLoop();
}

TEST(Functions, quickExp) {
  expectRelative(
      emitQuickExp, grid(-87, 88.3, 1 << 20),
      [](double x) { return std::exp(x); }, 8e-5);
  std::vector<float> y =
      OnePe(emitQuickExp)({-inf, -1000, -88, 89, inf, std::nanf("")});
  EXPECT_EQ(y[0], 0);
  EXPECT_EQ(y[1], 0);
  EXPECT_EQ(y[2], 0);
  EXPECT_EQ(y[3], inf);
  EXPECT_EQ(y[4], inf);
  EXPECT_TRUE(std::isnan(y[5]));
}

TEST(Functions, quickReciprocal) {
  std::vector<float> x = exponents(-126, 125, 1 << 19);
  for (size_t i = 0; i < x.size(); i += 2)
    x[i] = -x[i];
  expectRelative(quickReciprocal, x, [](double v) { return 1 / v; }, 1.2e-4);
  std::vector<float> y = OnePe(quickReciprocal)({0.0f, -0.0f});
  EXPECT_EQ(y[0], inf);
  EXPECT_EQ(y[1], -inf);
}

TEST(Functions, positiveReciprocal) {
  expectRelative(
      positiveReciprocal, exponents(-126, 125, 1 << 19),
      [](double v) { return 1 / v; }, 2e-7);
  EXPECT_EQ(OnePe(positiveReciprocal)({inf})[0], 0);
}

TEST(Functions, quickRsqrt) {
  expectRelative(
      emitQuickRsqrt, exponents(-126, 127, 1 << 19),
      [](double x) { return 1 / std::sqrt(x); }, 2.1e-5);
}

void vanishingExp(Emitter &emitter, llvm::ArrayRef<int64_t> shape, Ref dst,
                  Ref x) {
  emitExponential(emitter, shape, dst, x, {Accuracy::Near, true, false});
}

void quickVanishingExp(Emitter &emitter, llvm::ArrayRef<int64_t> shape, Ref dst,
                       Ref x) {
  emitExponential(emitter, shape, dst, x, {Accuracy::Half, true, false});
}

// What a softmax computes: arguments are at most 0.
TEST(Functions, expOfWhatIsNotPositive) {
  auto exact = [](double x) { return std::exp(x); };
  expectRelative(vanishingExp, grid(-87, 0, 1 << 19), exact, 3e-6);
  expectRelative(quickVanishingExp, grid(-87, 0, 1 << 19), exact, 8e-5);
  for (Function function : {vanishingExp, quickVanishingExp}) {
    std::vector<float> y =
        OnePe(function)({-inf, -1e9f, -88, -0.0f, std::nanf("")});
    EXPECT_EQ(y[0], 0);
    EXPECT_EQ(y[1], 0);
    EXPECT_EQ(y[2], 0);
    EXPECT_NEAR(y[3], 1, 8e-5);
    EXPECT_TRUE(std::isnan(y[4]));
  }
}

void powerOfDifference(Emitter &emitter, llvm::ArrayRef<int64_t> shape, Ref dst,
                       Ref x) {
  emitPowerOfTwo(emitter, shape, dst, x, Ref::constant(-1e6f));
}

TEST(Functions, powerOfTwo) {
  std::vector<float> y =
      OnePe(powerOfDifference)({-1e6f, -1000001, -1000126, -1000127, -2e6f});
  EXPECT_EQ(y, (std::vector<float>{1, 0.5f, 0x1p-126f, 0, 0}));
}

void boundedReciprocal(Emitter &emitter, llvm::ArrayRef<int64_t> shape, Ref dst,
                       Ref x) {
  emitReciprocal(emitter, shape, dst, x, {true, Accuracy::Full, true});
}

void quickBoundedReciprocal(Emitter &emitter, llvm::ArrayRef<int64_t> shape,
                            Ref dst, Ref x) {
  emitReciprocal(emitter, shape, dst, x, {true, Accuracy::Half, true});
}

void nearBoundedReciprocal(Emitter &emitter, llvm::ArrayRef<int64_t> shape,
                           Ref dst, Ref x) {
  emitReciprocal(emitter, shape, dst, x, {true, Accuracy::Near, true});
}

TEST(Functions, reciprocalOfWhatIsBounded) {
  auto exact = [](double x) { return 1 / x; };
  std::vector<float> x = exponents(-126, 125, 1 << 19);
  expectRelative(boundedReciprocal, x, exact, 2e-7);
  expectRelative(nearBoundedReciprocal, x, exact, 1.3e-6);
  expectRelative(quickBoundedReciprocal, x, exact, 1.2e-4);
  EXPECT_TRUE(std::isnan(OnePe(quickBoundedReciprocal)({std::nanf("")})[0]));
}

void sigmoid(Emitter &emitter, llvm::ArrayRef<int64_t> shape, Ref dst, Ref x) {
  emitSigmoid(emitter, shape, dst, x, Accuracy::Full);
}

void quickSigmoid(Emitter &emitter, llvm::ArrayRef<int64_t> shape, Ref dst,
                  Ref x) {
  emitSigmoid(emitter, shape, dst, x, Accuracy::Half);
}

void nearSigmoid(Emitter &emitter, llvm::ArrayRef<int64_t> shape, Ref dst,
                 Ref x) {
  emitSigmoid(emitter, shape, dst, x, Accuracy::Near);
}

TEST(Functions, sigmoid) {
  auto exact = [](double x) { return 1 / (1 + std::exp(-x)); };
  expectRelative(sigmoid, grid(-86, 120, 1 << 19), exact, 5e-7);
  expectRelative(nearSigmoid, grid(-86, 120, 1 << 19), exact, 5e-6);
  expectRelative(quickSigmoid, grid(-86, 120, 1 << 19), exact, 2e-4);
  for (Function function : {sigmoid, nearSigmoid, quickSigmoid}) {
    std::vector<float> y =
        OnePe(function)({-inf, -1000, 1000, inf, std::nanf("")});
    EXPECT_LT(y[0], 5e-38f);
    EXPECT_GE(y[0], 0);
    EXPECT_LT(y[1], 5e-38f);
    EXPECT_NEAR(y[2], 1, 1.2e-4);
    EXPECT_NEAR(y[3], 1, 1.2e-4);
    EXPECT_TRUE(std::isnan(y[4]));
  }
}

/// Number by number, as short as single numbers are.
void quickExpOfEach(Emitter &emitter, llvm::ArrayRef<int64_t> shape, Ref dst,
                    Ref x) {
  emitter.loop(shape[0]);
  for (Ref *ref : {&dst, &x})
    ref->steps.push_back({0, 4});
  emitQuickExp(emitter, {1}, dst, x);
  emitter.endLoop();
}

TEST(Functions, expOfSingleNumbers) {
  expectRelative(
      quickExpOfEach, grid(-87, 88.3, 1 << 16),
      [](double x) { return std::exp(x); }, 8e-5);
}

TEST(Functions, rsqrtOfSingleNumbers) {
  expectRelative(
      rsqrtOfEach, exponents(-126, 127, 1 << 13),
      [](double x) { return 1 / std::sqrt(x); }, 8e-7);
}

TEST(Functions, sqrt) {
  expectRelative(
      emitSqrt, exponents(-126, 127, 1 << 19),
      [](double x) { return std::sqrt(x); }, 9e-7);
  EXPECT_EQ(OnePe(emitSqrt)({0.0f})[0], 0);
}

TEST(Functions, log) {
  auto exact = [](double x) { return std::log(x); };
  for (Function function : {emitLog, emitNormalLog}) {
    expectRelative(function, exponents(-126, 127, 1 << 19), exact, 2e-7);
    expectRelative(function, grid(0.5, 0.9999, 1 << 18), exact, 2e-7);
    expectRelative(function, grid(1.0001, 2, 1 << 18), exact, 2e-7);
    EXPECT_EQ(OnePe(function)({1.0f})[0], 0);
  }
  expectRelative(emitLog, exponents(-149, -126, 1 << 16), exact, 2e-7);
  std::vector<float> y =
      OnePe(emitLog)({0, -0.0f, -1, -inf, inf, std::nanf("")});
  EXPECT_EQ(y[0], -inf);
  EXPECT_EQ(y[1], -inf);
  EXPECT_TRUE(std::isnan(y[2]));
  EXPECT_TRUE(std::isnan(y[3]));
  EXPECT_EQ(y[4], inf);
  EXPECT_TRUE(std::isnan(y[5]));
}

TEST(Functions, sin) {
  for (double range : {4.0, 100.0, 2e5})
    expectAbsolute(
        emitSin, grid(-range, range, 1 << 18),
        [](double x) { return std::sin(x); }, 3e-7);
}

TEST(Functions, cos) {
  for (double range : {4.0, 100.0, 2e5})
    expectAbsolute(
        emitCos, grid(-range, range, 1 << 18),
        [](double x) { return std::cos(x); }, 3e-7);
}

TEST(Functions, tanh) {
  expectAbsolute(
      emitTanh, grid(-20, 20, 1 << 18), [](double x) { return std::tanh(x); },
      4e-7);
}

TEST(Functions, erf) {
  expectAbsolute(
      emitErf, grid(-8, 8, 1 << 18), [](double x) { return std::erf(x); },
      8e-7);
}
TEST(Functions, wholeNumbers) {
  std::vector<float> x = grid(-5, 5, 4001);
  for (float more : exponents(-149, 127, 4000)) {
    x.push_back(more);
    x.push_back(-more);
  }
  for (auto [function, exact] :
       {std::pair<Function, float (*)(float)>(emitFloor, std::floor),
        std::pair<Function, float (*)(float)>(emitCeil, std::ceil),
        std::pair<Function, float (*)(float)>(emitRound, std::nearbyint)}) {
    std::vector<float> y = OnePe(function)(x);
    for (size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(y[i], exact(x[i])) << x[i];
      ASSERT_EQ(std::signbit(y[i]), std::signbit(exact(x[i]))) << x[i];
    }
  }
}

/// What Functions.def promises of a sequence where such things go wrong.
struct Special {
  const char *name;
  Function function;
  std::optional<float> atNaN, atInf, atMinusInf, atZero, atMinusZero,
      atSubnormal;
};

std::vector<Special> specials() {
  constexpr std::nullopt_t any = std::nullopt;
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  return {
#define SPECIAL(name, error, atNaN, atInf, atMinusInf, atZero, atMinusZero,    \
                atSubnormal)                                                   \
  {#name,      emit##name, atNaN,       atInf,                                 \
   atMinusInf, atZero,     atMinusZero, atSubnormal},
#include "waferloom/Scalar/Functions.def"
  };
}

void expectValue(float found, float promised, const std::string &where) {
  if (std::isnan(promised))
    EXPECT_TRUE(std::isnan(found)) << where << " is " << found;
  else if (std::isinf(promised))
    EXPECT_EQ(found, promised) << where;
  else
    EXPECT_NEAR(found, promised, 1e-6 * std::max(1.0f, std::abs(promised)))
        << where;
  // A promised -0 is one.
  if (promised == 0 && std::signbit(promised))
    EXPECT_TRUE(std::signbit(found)) << where;
}

TEST(Functions, SpecialValuesAreThoseThatTheListPromises) {
  const std::vector<float> at = {std::nanf(""), inf, -inf, 0, -0.0f, 1e-40f};
  ASSERT_FALSE(specials().empty());
  for (const Special &special : specials()) {
    std::vector<float> y = OnePe(special.function)(at);
    const std::optional<float> promised[] = {
        special.atNaN,  special.atInf,       special.atMinusInf,
        special.atZero, special.atMinusZero, special.atSubnormal};
    for (size_t i = 0; i < at.size(); ++i)
      if (promised[i])
        expectValue(y[i], *promised[i],
                    std::string(special.name) + "(" + std::to_string(at[i]) +
                        ")");
  }
}

TEST(Functions, EverySequenceOfTheListPromisesItsSpecialValues) {
  std::vector<std::string> sequences, promised;
#define SEQUENCE(name, onnx, op, exact, quick, flags, weight, temporaries,     \
                 finite, value)                                                \
  sequences.push_back(#exact);
#include "waferloom/Scalar/Functions.def"
  for (const Special &special : specials())
    promised.push_back(special.name);
  EXPECT_EQ(sequences, promised);
}
TEST(Formats, WhatNoPeComputesWithIsRefusedByName) {
  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> op =
      mlir::ModuleOp::create(mlir::UnknownLoc::get(&context));
  std::string said;
  mlir::ScopedDiagnosticHandler handler(
      &context, [&](mlir::Diagnostic &diagnostic) {
        said = diagnostic.str();
        for (mlir::Diagnostic &note : diagnostic.getNotes())
          said += "; " + note.str();
        return mlir::success();
      });
  mlir::Builder b(&context);
  EXPECT_EQ(*wordType(*op, b.getF16Type()), Word::f16);
  EXPECT_EQ(*wordType(*op, b.getI1Type()), Word::i32);
  EXPECT_TRUE(said.empty()) << said;
  for (auto [type, name] : {std::pair<mlir::Type, const char *>(
                                b.getIntegerType(4), "int4 is widened to f32"),
                            {mlir::Float4E2M1FNType::get(&context), "mxfp4"},
                            {mlir::Float8E4M3FNType::get(&context), "fp8"},
                            {b.getBF16Type(), "bf16"}}) {
    EXPECT_TRUE(mlir::failed(wordType(*op, type)));
    EXPECT_NE(said.find("which the machine does not have"), std::string::npos);
    EXPECT_NE(said.find(name), std::string::npos) << said;
  }
}
} // namespace
