//===- ImportTest.cpp - The arithmetic of shapes --------------------------===//

#include "../../lib/Import/Expr.h"

#include <gtest/gtest.h>

using namespace waferloom::import;

namespace {

/// p + n tokens with a capacity of 21 and chunks of 4, as most tests need.
struct ImportTest : testing::Test {
  ImportTest() { math.maxPosition = 17; }

  Expr c(int64_t value) { return math.constant(value); }
  Expr p() { return math.position(); }
  Expr d(unsigned k) { return math.dim(k); }

  /// The value of an integer expression at a position and indices.
  int64_t at(Expr e, int64_t position, std::vector<int64_t> indices) {
    Arithmetic fixed;
    std::vector<Expr> numbers;
    int64_t sum = 0;
    for (const Term &term : e->terms) {
      int64_t product = term.coefficient;
      for (Expr atom : term.atoms)
        product *= atomAt(atom, position, indices);
      sum += product;
    }
    return sum;
  }

  int64_t atomAt(Expr atom, int64_t position,
                 const std::vector<int64_t> &indices) {
    auto arg = [&](unsigned i) { return at(atom->args[i], position, indices); };
    auto floor = [](int64_t a, int64_t b) {
      return a / b - (a % b != 0 && (a < 0) != (b < 0));
    };
    switch (atom->kind) {
    case ExprKind::Position:
      return position;
    case ExprKind::Dim:
      return indices[atom->payload];
    case ExprKind::FloorDiv:
      return floor(arg(0), arg(1));
    case ExprKind::Mod:
      return arg(0) - floor(arg(0), arg(1)) * arg(1);
    case ExprKind::Max:
      return std::max(arg(0), arg(1));
    case ExprKind::Min:
      return std::min(arg(0), arg(1));
    default:
      ADD_FAILURE() << "an atom that this test does not evaluate";
      return 0;
    }
  }

  Arithmetic math;
};

TEST_F(ImportTest, EqualExpressionsAreTheSameNode) {
  EXPECT_EQ(math.add(p(), c(4)), math.add(c(4), p()));
  EXPECT_EQ(math.sub(math.add(p(), c(4)), p()), c(4));
  EXPECT_EQ(math.mul(math.add(p(), c(1)), math.add(p(), c(-1))),
            math.sub(math.mul(p(), p()), c(1)));
}

TEST_F(ImportTest, AnEntryAsLongAsTheCapacityOnlyStartsAtZero) {
  math.maxPosition = 0;
  EXPECT_EQ(p(), c(0));
}

TEST_F(ImportTest, SignsHoldForEveryPosition) {
  EXPECT_EQ(math.lowest(math.sub(p(), c(3))), -3);
  EXPECT_EQ(math.highest(math.sub(p(), c(3))), 14);
  // (p - 3)^2 is smallest in the middle: the ends do not show it.
  Expr square = math.mul(math.sub(p(), c(3)), math.sub(p(), c(3)));
  EXPECT_EQ(math.lowest(square), 0);
  EXPECT_EQ(math.highest(square), 196);
}

TEST_F(ImportTest, ExtremesAgreeWithEveryPosition) {
  for (int64_t a : {-3, -1, 0, 2})
    for (int64_t b : {-40, -7, 0, 31})
      for (int64_t k : {-5, 0, 9}) {
        Expr e = math.add(math.mul(c(a), math.mul(p(), p())),
                          math.add(math.mul(c(b), p()), c(k)));
        int64_t low = INT64_MAX, high = INT64_MIN;
        for (int64_t position = 0; position <= 17; ++position) {
          int64_t value = a * position * position + b * position + k;
          low = std::min(low, value);
          high = std::max(high, value);
        }
        EXPECT_EQ(math.lowest(e), low);
        EXPECT_EQ(math.highest(e), high);
      }
  Expr cube = math.mul(p(), math.mul(p(), math.sub(p(), c(3))));
  EXPECT_LE(math.lowest(cube), -4);
  EXPECT_GE(math.highest(cube), 17 * 17 * 14);
}

TEST_F(ImportTest, CausalMaskOfOneTokenIsTrue) {
  // Columns d1 < p + 1, rows d0 < 1: d1 <= d0 + p.
  math.dims = {c(1), math.add(p(), c(1))};
  EXPECT_TRUE(math.lessEqual(d(1), math.add(d(0), p()))->isTrue());
  // Of four tokens it is not, and with the capacity for the length neither.
  math.dims = {c(4), math.add(p(), c(4))};
  EXPECT_EQ(math.print(math.lessEqual(d(1), math.add(d(0), p()))),
            "-p + d1 - d0 <= 0");
}

TEST_F(ImportTest, DivisionByALiveLengthIsExactWhereItCanBe) {
  // A mask of [2, p + 4] flattened and read at row * width + column.
  Expr width = math.add(p(), c(4));
  math.dims = {c(2), width};
  Expr flat = math.add(math.mul(d(0), width), d(1));
  auto both = math.floorDivMod(flat, width);
  ASSERT_TRUE(both);
  EXPECT_EQ(both->first, d(0));
  EXPECT_EQ(both->second, d(1));
}

TEST_F(ImportTest, DivisionAgreesWithArithmetic) {
  for (int64_t a : {-9, -1, 0, 3, 7})
    for (int64_t b : {1, 2, 5}) {
      Expr x = math.add(math.mul(c(a), p()), math.sub(d(0), c(4)));
      math.dims = {c(6)};
      auto both = math.floorDivMod(x, c(b));
      ASSERT_TRUE(both);
      for (int64_t position : {0, 1, 8, 17})
        for (int64_t i = 0; i < 6; ++i) {
          int64_t value = a * position + i - 4;
          int64_t quotient = (value - ((value % b) + b) % b) / b;
          EXPECT_EQ(at(both->first, position, {i}), quotient);
          EXPECT_EQ(at(both->second, position, {i}), value - quotient * b);
        }
    }
}

TEST_F(ImportTest, DivisionByWhatMayBeZeroIsRefused) {
  EXPECT_FALSE(math.floorDivMod(d(0), p()));
  EXPECT_FALSE(math.floorDivMod(d(0), c(-2)));
}

TEST_F(ImportTest, GreaterAndEqualWrittenWithOrMeet) {
  math.dims = {c(4), c(9)};
  Expr less = math.lessEqual(math.add(d(1), c(1)), d(0));
  Expr equal = math.equalZero(math.sub(d(1), d(0)));
  EXPECT_EQ(math.logicalOr(less, equal), math.lessEqual(d(1), d(0)));
  EXPECT_TRUE(math.logicalAnd(less, math.logicalNot(less))->isFalse());
}

TEST_F(ImportTest, ComparingASelectionComparesItsBranches) {
  math.dims = {c(9)};
  Expr first = math.lessEqual(d(0), c(2));
  Expr chosen = math.where(first, c(1), c(0));
  EXPECT_EQ(math.logicalNot(math.equalZero(chosen)), first);
}

TEST_F(ImportTest, MasksOfFloatsFoldIntoASelection) {
  math.dims = {c(9)};
  Expr first = math.lessEqual(d(0), c(2));
  Expr mask = math.toFloat(math.where(first, c(1), c(0)), Format::F32);
  Expr one = math.floatConstant(1, Format::F32);
  Expr low = math.floatConstant(-3.4028234663852886e38, Format::F32);
  Expr bias = math.apply(
      ScalarOp::Mul, {math.apply(ScalarOp::Sub, {one, mask}, Format::F32), low},
      Format::F32);
  ASSERT_EQ(bias->kind, ExprKind::FloatWhere);
  EXPECT_EQ(bias->args[0], first);
  EXPECT_EQ(bias->args[1]->floatValue(), 0);
  EXPECT_EQ(bias->args[2], low);
}

TEST_F(ImportTest, ConstantsRoundInTheirOwnFormat) {
  Expr third = math.apply(
      ScalarOp::Div,
      {math.floatConstant(1, Format::F32), math.floatConstant(3, Format::F32)},
      Format::F32);
  EXPECT_EQ(third->floatValue(), static_cast<double>(1.0f / 3.0f));
  EXPECT_EQ(math.floatConstant(0.1, Format::F16)->floatValue(),
            0.0999755859375);
  EXPECT_TRUE(math.isNaN(math.floatConstant(NAN, Format::F32))->isTrue());
  EXPECT_EQ(math.toInt(math.floatConstant(-INFINITY, Format::F32)),
            c(INT64_MIN));
}

TEST_F(ImportTest, SubstitutionSimplifiesUnderTheNewSizes) {
  math.dims = {c(4), math.add(p(), c(4))};
  Expr causal = math.lessEqual(d(1), math.add(d(0), p()));
  math.dims = {math.add(p(), c(4))};
  // The last row sees everything.
  EXPECT_TRUE(math.substitute(causal, {c(3), d(0)})->isTrue());
  EXPECT_FALSE(math.substitute(causal, {c(2), d(0)})->isTrue());
}

TEST_F(ImportTest, SharedExpressionsAreWalkedOnce) {
  math.dims = {c(1 << 20)};
  Expr e = d(0);
  for (int i = 0; i < 60; ++i)
    e = math.where(math.lessEqual(e, c(1000 + i)), math.add(e, c(1)),
                   math.mul(e, c(1)));
  math.dims = {c(7)};
  EXPECT_NE(math.substitute(e, {d(0)}), nullptr);
  EXPECT_EQ(math.dimsOf(e).count(), 1u);
}

TEST_F(ImportTest, OverflowIsNoticed) {
  EXPECT_FALSE(math.overflowed);
  math.mul(c(INT64_MAX), c(2));
  EXPECT_TRUE(math.overflowed);
}

TEST_F(ImportTest, EndlessChainsAreNoticed) {
  math.dims = {c(1 << 20)};
  Expr e = d(0);
  for (int i = 0; i < 2000 && !math.overflowed; ++i)
    e = math.max(math.mul(e, c(-1)), math.sub(c(i), d(0)));
  EXPECT_TRUE(math.overflowed);
  EXPECT_LT(math.print(e).size(), 1000u);
}

} // namespace
