// A table from arith and math ops to instructions. What the machine has is one
// instruction; what it has not is a sequence from Functions.cpp, or two or
// three instructions spelled out here.

#include "Body.h"
#include "Functions.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/ADT/bit.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::codegen;

std::optional<Ref> codegen::constantRef(Attribute value) {
  if (auto integer = dyn_cast<IntegerAttr>(value)) {
    // A true i1 is the word 1, not -1.
    int64_t number = integer.getType().isInteger(1)
                         ? integer.getValue().getZExtValue()
                         : integer.getValue().getSExtValue();
    return Ref::constant(static_cast<int32_t>(number));
  }
  if (auto real = dyn_cast<FloatAttr>(value))
    return Ref::constant(static_cast<float>(real.getValueAsDouble()));
  return std::nullopt;
}

std::optional<Opcode> codegen::combinerOpcode(Operation *op) {
  return llvm::TypeSwitch<Operation *, std::optional<Opcode>>(op)
      .Case<arith::AddFOp, arith::AddIOp>([](auto) { return Opcode::add; })
      .Case<arith::MulFOp, arith::MulIOp>([](auto) { return Opcode::mul; })
      .Case<arith::MaximumFOp, arith::MaxNumFOp, arith::MaxSIOp>(
          [](auto) { return Opcode::max; })
      .Case<arith::MinimumFOp, arith::MinNumFOp, arith::MinSIOp>(
          [](auto) { return Opcode::min; })
      .Case<arith::AndIOp>([](auto) { return Opcode::bit_and; })
      .Case<arith::OrIOp>([](auto) { return Opcode::bit_or; })
      .Default([](auto) { return std::nullopt; });
}

namespace {
struct Comparison {
  Opcode op;
  bool swap, invert;
};
} // namespace

/// Ordered comparisons are false for NaN, unordered ones true: an unordered one
/// is the inverse of the opposite ordered one.
static std::optional<Comparison> comparisonOf(arith::CmpFPredicate predicate) {
  using P = arith::CmpFPredicate;
  switch (predicate) {
  case P::OEQ:
    return Comparison{Opcode::eq, false, false};
  case P::OLT:
    return Comparison{Opcode::lt, false, false};
  case P::OLE:
    return Comparison{Opcode::le, false, false};
  case P::OGT:
    return Comparison{Opcode::lt, true, false};
  case P::OGE:
    return Comparison{Opcode::le, true, false};
  case P::UNE:
    return Comparison{Opcode::eq, false, true};
  case P::UGE:
    return Comparison{Opcode::lt, false, true};
  case P::UGT:
    return Comparison{Opcode::le, false, true};
  case P::ULE:
    return Comparison{Opcode::lt, true, true};
  case P::ULT:
    return Comparison{Opcode::le, true, true};
  default:
    return std::nullopt;
  }
}

static std::optional<Comparison> comparisonOf(arith::CmpIPredicate predicate) {
  using P = arith::CmpIPredicate;
  switch (predicate) {
  case P::eq:
    return Comparison{Opcode::eq, false, false};
  case P::ne:
    return Comparison{Opcode::eq, false, true};
  case P::slt:
    return Comparison{Opcode::lt, false, false};
  case P::sle:
    return Comparison{Opcode::le, false, false};
  case P::sgt:
    return Comparison{Opcode::lt, true, false};
  case P::sge:
    return Comparison{Opcode::le, true, false};
  default:
    return std::nullopt;
  }
}

namespace {
/// The flags as Functions.def names them.
namespace fastmath {
constexpr auto afn = arith::FastMathFlags::afn;
constexpr auto nnan = arith::FastMathFlags::nnan;
constexpr auto ninf = arith::FastMathFlags::ninf;
} // namespace fastmath
} // namespace

static bool hasFlags(Operation *op, arith::FastMathFlags flags) {
  auto math = dyn_cast<arith::ArithFastMathInterface>(op);
  return math && arith::bitEnumContainsAll(
                     math.getFastMathFlagsAttr().getValue(), flags);
}

/// Is `op` computed for readers that round it to f16 (docs/precision.md)?
static bool isApproximate(Operation *op) {
  return hasFlags(op, arith::FastMathFlags::afn);
}

/// Does `op` neither read nor give what is infinite? Of a quotient this says
/// that its divisor is none of 0, infinite, or near them; of exp, that its
/// argument is at most 0, or as small as one likes (docs/precision.md).
static bool isBounded(Operation *op) {
  return hasFlags(op, arith::FastMathFlags::ninf);
}

/// What is bounded is the powers and the divisor of a softmax, whose results
/// enter sums of f32.
static Accuracy accuracyOf(Operation *op) {
  return isApproximate(op) ? Accuracy::Half
         : isBounded(op)   ? Accuracy::Near
                           : Accuracy::Full;
}

/// Is `value` at least 0, or NaN, whatever the operands of its body are?
static bool isAtLeastZero(Value value) {
  Operation *op = value.getDefiningOp();
  if (auto constant = dyn_cast_or_null<arith::ConstantOp>(op)) {
    auto real = dyn_cast<FloatAttr>(constant.getValue());
    return real && !real.getValue().isNegative();
  }
  return isa_and_nonnull<math::ExpOp, math::AbsFOp>(op);
}

/// A positive constant and what is not negative: 1 + exp(-x).
static bool isPositive(Value value) {
  auto sum = value.getDefiningOp<arith::AddFOp>();
  if (!sum)
    return false;
  for (auto [one, other] : {std::pair(sum.getLhs(), sum.getRhs()),
                            std::pair(sum.getRhs(), sum.getLhs())}) {
    FloatAttr real;
    if (matchPattern(one, m_Constant(&real)) && isAtLeastZero(other) &&
        real.getValueAsDouble() >= 1e-30)
      return true;
  }
  return false;
}

/// The value x of `1 / (1 + exp(-x))`, if `quotient` is one and nothing else
/// reads what it is computed from.
static Value sigmoidOf(arith::DivFOp quotient) {
  auto isOne = [](Value value) {
    FloatAttr real;
    return matchPattern(value, m_Constant(&real)) &&
           real.getValue().isExactlyValue(1.0);
  };
  auto sum = quotient.getRhs().getDefiningOp<arith::AddFOp>();
  if (!isOne(quotient.getLhs()) || !sum || !sum->hasOneUse())
    return {};
  Value power = isOne(sum.getLhs())   ? sum.getRhs()
                : isOne(sum.getRhs()) ? sum.getLhs()
                                      : Value();
  auto exp = power ? power.getDefiningOp<math::ExpOp>() : math::ExpOp();
  auto negated = exp && exp->hasOneUse()
                     ? exp.getOperand().getDefiningOp<arith::NegFOp>()
                     : arith::NegFOp();
  return negated && negated->hasOneUse() ? negated.getOperand() : Value();
}

/// a, b and c of `a + b * c`, c a constant and b none, if nothing else reads
/// the product.
static SmallVector<Value, 3> multiplyAddOf(arith::AddFOp sum) {
  if (!sum.getType().isF32())
    return {};
  for (unsigned side : {0, 1}) {
    Value a = sum->getOperand(1 - side);
    auto product = sum->getOperand(side).getDefiningOp<arith::MulFOp>();
    if (!product || !product->hasOneUse())
      continue;
    const bool isLeft = matchPattern(product.getLhs(), m_Constant());
    if (isLeft != matchPattern(product.getRhs(), m_Constant()))
      return {a, product->getOperand(isLeft ? 1 : 0),
              product->getOperand(isLeft ? 0 : 1)};
  }
  return {};
}

BodyForm codegen::formOf(Operation *op) {
  if (auto quotient = dyn_cast<arith::DivFOp>(op))
    if (Value x = sigmoidOf(quotient))
      return {BodyForm::Sigmoid, {x}};
  if (auto sum = dyn_cast<arith::AddFOp>(op))
    if (SmallVector<Value, 3> operands = multiplyAddOf(sum); !operands.empty())
      return {BodyForm::MultiplyAdd, operands};
  if (isa<math::Exp2Op>(op))
    if (auto difference = op->getOperand(0).getDefiningOp<arith::SubFOp>();
        difference && difference->hasOneUse())
      return {BodyForm::PowerOfTwo, {difference.getLhs(), difference.getRhs()}};
  return {BodyForm::Single, SmallVector<Value, 3>(op->getOperands())};
}

namespace {
/// One body op being emitted.
struct BodyEmitter {
  Emitter &emitter;
  Operation *op;
  ArrayRef<int64_t> shape;
  ArrayRef<Ref> operands;
  Ref dst;

  LogicalResult simple(Opcode opcode) {
    emitter.vector(opcode, shape, dst, operands[0],
                   operands.size() > 1 ? operands[1] : Ref());
    return success();
  }
  LogicalResult function(
      llvm::function_ref<void(Emitter &, ArrayRef<int64_t>, Ref, Ref)> emit) {
    if (dst.type != Word::f32)
      return op->emitOpError("is computed in f32 only");
    Ref x = operands[0];
    if (x.immediate) { // sequences look at the bit pattern through memory
      Ref copy = emitter.temporary(Word::f32, shape);
      emitter.vector(Opcode::mov, shape, copy, x);
      x = copy;
    }
    emit(emitter, shape, dst, x);
    return success();
  }
  LogicalResult compare(std::optional<Comparison> comparison) {
    if (!comparison)
      return op->emitOpError("compares in a way the machine has no sequence "
                             "for");
    Ref a = operands[comparison->swap ? 1 : 0];
    Ref b = operands[comparison->swap ? 0 : 1];
    emitter.vector(comparison->op, shape, dst, a, b);
    if (comparison->invert)
      emitter.vector(Opcode::bit_xor, shape, dst, dst,
                     Ref::constant(int32_t(1)));
    return success();
  }
  LogicalResult convert() {
    if (operands[0].type == dst.type)
      return simple(Opcode::mov);
    return simple(Opcode::convert);
  }
  /// Towards zero: round |x| - 0.5 up to what is not above |x|, sign back.
  LogicalResult truncate() {
    Ref x = operands[0];
    Ref magnitude = emitter.temporary(Word::f32, shape);
    emitter.vector(Opcode::abs, shape, magnitude, x);
    Ref whole = emitter.temporary(Word::i32, shape);
    emitter.vector(Opcode::convert, shape, whole, magnitude);
    Ref back = emitter.temporary(Word::f32, shape);
    emitter.vector(Opcode::convert, shape, back, whole);
    Ref over = emitter.temporary(Word::i32, shape);
    emitter.vector(Opcode::lt, shape, over, magnitude, back);
    emitter.vector(Opcode::sub, shape, whole, whole, over);
    Ref negative = emitter.temporary(Word::i32, shape);
    emitter.vector(Opcode::lt, shape, negative, x, Ref::constant(0.0f));
    Ref opposite = emitter.temporary(Word::i32, shape);
    emitter.vector(Opcode::sub, shape, opposite, Ref::constant(int32_t(0)),
                   whole);
    emitter.vector(Opcode::select, shape, dst, negative, opposite, whole);
    return success();
  }
  LogicalResult divide() {
    if (dst.type == Word::i32)
      return op->emitOpError("divides integers, which import should have "
                             "written as a floor division");
    Ref divisor = operands[1];
    if (divisor.immediate) {
      float inverse = 1.0f / llvm::bit_cast<float>(divisor.bits);
      emitter.vector(Opcode::mul, shape, dst, operands[0],
                     Ref::constant(inverse));
      return success();
    }
    bool one =
        operands[0].immediate && operands[0].bits == Ref::constant(1.0f).bits;
    Ref inverse = one ? dst : emitter.temporary(Word::f32, shape);
    emitReciprocal(
        emitter, shape, inverse, divisor,
        {isPositive(op->getOperand(1)), accuracyOf(op), isBounded(op)});
    if (!one)
      emitter.vector(Opcode::mul, shape, dst, operands[0], inverse);
    return success();
  }
  LogicalResult exponential() {
    Exponent exponent;
    exponent.accuracy = accuracyOf(op);
    exponent.mayOverflow = !isBounded(op);
    return function(
        [&](Emitter &to, ArrayRef<int64_t> over, Ref result, Ref x) {
          emitExponential(to, over, result, x, exponent);
        });
  }
  LogicalResult sigmoid() {
    return function(
        [&](Emitter &to, ArrayRef<int64_t> over, Ref result, Ref x) {
          emitSigmoid(to, over, result, x,
                      isApproximate(op) ? Accuracy::Half : Accuracy::Near);
        });
  }
};
} // namespace

/// An instruction or a sequence of Functions.def; nothing for other ops.
static std::optional<LogicalResult> emitListed(BodyEmitter &body) {
  using namespace fastmath;
  Operation *computed = body.op;
#define INSTRUCTION(name, onnx, operands, op, opcode, finite, value)           \
  if (isa<op>(computed))                                                       \
    return body.simple(Opcode::opcode);
#define SEQUENCE(name, onnx, op, exact, quick, flags, weight, temporaries,     \
                 finite, value)                                                \
  if (isa<op>(computed))                                                       \
    return body.function(hasFlags(computed, flags) ? emit##quick : emit##exact);
#include "waferloom/Scalar/Functions.def"
  return std::nullopt;
}

LogicalResult codegen::emitBodyOp(Emitter &emitter, Operation *op,
                                  BodyForm::Kind kind, ArrayRef<int64_t> shape,
                                  ArrayRef<Ref> operands, Ref dst) {
  BodyEmitter body{emitter, op, shape, operands, dst};
  if (kind == BodyForm::Sigmoid)
    return body.sigmoid();
  if (kind == BodyForm::MultiplyAdd) {
    emitter.vector(Opcode::fma, shape, dst, operands[0], operands[1],
                   operands[2]);
    return success();
  }
  if (kind == BodyForm::PowerOfTwo) {
    emitPowerOfTwo(emitter, shape, dst, operands[0], operands[1]);
    return success();
  }
  if (isa<math::ExpOp>(op))
    return body.exponential();
  if (std::optional<Opcode> opcode = combinerOpcode(op))
    return body.simple(*opcode);
  if (std::optional<LogicalResult> listed = emitListed(body))
    return *listed;
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case<arith::SubIOp>([&](auto) { return body.simple(Opcode::sub); })
      .Case<math::AbsIOp>([&](auto) { return body.simple(Opcode::abs); })
      .Case<arith::XOrIOp>([&](auto) { return body.simple(Opcode::bit_xor); })
      .Case<arith::ShLIOp>([&](auto) { return body.simple(Opcode::shl); })
      .Case<arith::ShRUIOp>([&](auto) { return body.simple(Opcode::shr); })
      .Case<arith::ShRSIOp>([&](auto) { return body.simple(Opcode::sar); })
      .Case<arith::FloorDivSIOp>(
          [&](auto) { return body.simple(Opcode::floor_div); })
      .Case<arith::SelectOp>([&](auto) {
        emitter.vector(Opcode::select, shape, dst, operands[0], operands[1],
                       operands[2]);
        return success();
      })
      .Case<arith::CmpFOp>([&](arith::CmpFOp cmp) {
        if (cmp.getPredicate() == arith::CmpFPredicate::UNO) {
          // NaN is the one value that differs from itself.
          if (cmp.getLhs() != cmp.getRhs())
            return body.compare(std::nullopt);
          return body.compare(Comparison{Opcode::eq, false, true});
        }
        return body.compare(comparisonOf(cmp.getPredicate()));
      })
      .Case<arith::CmpIOp>([&](arith::CmpIOp cmp) {
        return body.compare(comparisonOf(cmp.getPredicate()));
      })
      .Case<math::IsNaNOp>([&](auto) {
        emitter.vector(Opcode::eq, shape, dst, operands[0], operands[0]);
        emitter.vector(Opcode::bit_xor, shape, dst, dst,
                       Ref::constant(int32_t(1)));
        return success();
      })
      .Case<arith::SIToFPOp, arith::UIToFPOp, arith::ExtFOp, arith::TruncFOp,
            arith::ExtUIOp>([&](auto) { return body.convert(); })
      .Case<arith::FPToSIOp>([&](auto) { return body.truncate(); })
      .Case<arith::DivFOp>([&](auto) { return body.divide(); })
      .Default([](Operation *other) {
        return other->emitOpError("has no sequence of instructions");
      });
}
