// Behind a deferred norm a product reads x g instead of x g r, and rounds it to
// f16 where its weights are f16. |x g| may exceed 65504 where |x| does not. So
// the gain is stored as g 2^-k with k = ceil(log2 max |g|), and the norm's
// factor becomes r 2^k: |x g 2^-k| <= |x|. A power of two changes no digit, and
// no instruction is added: r 2^k is the reciprocal root of 4^-k times its
// argument, whose constants take it in.
//
// One k, the largest, for all gains at the same place of layers, so that layers
// stay alike.
// Gains are small, so the scaled ones are values in the IR; they are f32 even
// in a file of f16, and nothing converts them on the wafer.
//
// Where a gain is no weight, or cannot be read, the factor is not rounded: the
// weights are widened instead.

#include "HalfFactors.h"

#include "waferloom/Algebra/Elementwise.h"
#include "waferloom/Algebra/Scalar.h"
#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/Support/MemoryBuffer.h"

#include <cmath>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::algebra;

Value algebra::stripConversions(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (!isa<arith::ExtFOp, arith::TruncFOp>(op))
      break;
    value = op->getOperand(0);
  }
  return value;
}

/// Takes the rounding of a factor away.
static void widen(linalg::GenericOp op, unsigned operand) {
  Value argument = op.getBody()->getArgument(operand);
  SmallVector<Operation *> conversions;
  for (Operation &inner : *op.getBody())
    if (isa<arith::TruncFOp, arith::ExtFOp>(inner) &&
        stripConversions(inner.getResult(0)) == argument)
      conversions.push_back(&inner);
  for (Operation *inner : conversions)
    if (inner->getResult(0).getType() == argument.getType())
      inner->getResult(0).replaceAllUsesWith(argument);
  for (Operation *inner : llvm::reverse(conversions))
    if (inner->use_empty())
      inner->erase();
}

static bool isRounded(DeferredNorm::Reader reader) {
  BlockArgument argument =
      reader.product.getBody()->getArgument(reader.operand);
  return llvm::any_of(argument.getUsers(), [](Operation *user) {
    return isa<arith::TruncFOp>(user);
  });
}

namespace {
/// What a norm multiplies x by: a weight, through a body that computes each
/// element from one of the weight's (a conversion; 1 + w).
struct Gain {
  OpOperand *use = nullptr; // of the product with x
  wafer::ParameterOp parameter;
  linalg::GenericOp body; // null: the weight as it is
  wafer::WeightOp weight;
  std::optional<SmallVector<float>> values; // none: only its shape is known
};
} // namespace

/// The elements of a small weight; nothing if they cannot be read.
static DenseElementsAttr read(wafer::WeightOp weight) {
  if (auto value = dyn_cast_or_null<DenseElementsAttr>(weight.getValueAttr()))
    return value;
  auto type = cast<ShapedType>(weight.getType());
  if (!weight.getFile() || weight.getBlocks())
    return {};
  const auto bytes = static_cast<uint64_t>(type.getNumElements()) *
                     type.getElementTypeBitWidth() / 8;
  auto buffer = llvm::MemoryBuffer::getFileSlice(*weight.getFile(), bytes,
                                                 weight.getOffset());
  if (!buffer || (*buffer)->getBufferSize() != bytes)
    return {};
  StringRef raw = (*buffer)->getBuffer();
  return DenseElementsAttr::getFromRawBuffer(
      type, ArrayRef<char>(raw.data(), raw.size()));
}

/// What a body of one input gives for `element`.
static std::optional<double> evaluateBody(Block &body, double element) {
  llvm::DenseMap<Value, double> known{{body.getArgument(0), element}};
  for (Operation &op : body.without_terminator()) {
    SmallVector<double> operands;
    for (Value operand : op.getOperands()) {
      auto it = known.find(operand);
      if (it == known.end())
        return std::nullopt;
      operands.push_back(it->second);
    }
    std::optional<double> result = evaluate(&op, operands);
    if (!result)
      return std::nullopt;
    known[op.getResult(0)] = roundTo(*result, op.getResult(0).getType());
  }
  auto it = known.find(body.getTerminator()->getOperand(0));
  return it == known.end() ? std::nullopt : std::optional(it->second);
}

/// The gain that `product` multiplies by, where it is one; `symbols` names the
/// weights.
static std::optional<Gain> findGain(OpOperand &use, SymbolTable &symbols) {
  constexpr int64_t mostElements = 1 << 16;
  Gain gain;
  gain.use = &use;
  Value source = use.get();
  if (auto body = source.getDefiningOp<linalg::GenericOp>()) {
    SmallVector<AffineMap> maps = body.getIndexingMapsArray();
    if (body.getNumReductionLoops() || body->getNumResults() != 1 ||
        maps.size() != 2 || maps.front() != maps.back())
      return std::nullopt;
    gain.body = body;
    source = body.getInputs().front();
  }
  gain.parameter = source.getDefiningOp<wafer::ParameterOp>();
  if (!gain.parameter || gain.parameter.getWeights().size() != 1)
    return std::nullopt;
  auto name = cast<FlatSymbolRefAttr>(gain.parameter.getWeights()[0]);
  gain.weight = symbols.lookup<wafer::WeightOp>(name.getValue());
  auto type =
      gain.weight ? cast<ShapedType>(gain.weight.getType()) : ShapedType();
  if (!type || !isa<FloatType>(type.getElementType()) ||
      type.getNumElements() > mostElements || gain.weight.getPart())
    return std::nullopt;
  if (!gain.weight.getFile() && !gain.weight.getValue())
    return gain;
  DenseElementsAttr stored = read(gain.weight);
  if (!stored)
    return std::nullopt;
  gain.values.emplace();
  for (const APFloat &element : stored.getValues<APFloat>()) {
    std::optional<double> value = FloatAttr::getValueAsDouble(element);
    if (gain.body)
      value = evaluateBody(*gain.body.getBody(), *value);
    if (!value || !std::isfinite(*value))
      return std::nullopt;
    gain.values->push_back(static_cast<float>(*value));
  }
  return gain;
}

/// The least k with |g| <= 2^k for all g; nothing if all are 0 or unknown.
static std::optional<int> exponentOf(const Gain &gain) {
  float largest = 0;
  for (float value : gain.values.value_or(SmallVector<float>()))
    largest = std::max(largest, std::fabs(value));
  if (largest == 0)
    return std::nullopt;
  int exponent;
  return std::frexp(largest, &exponent) == 0.5f ? exponent - 1 : exponent;
}

namespace {
/// Constants that take in a factor of a value that is computed from them.
struct Scaling {
  struct Place {
    OpOperand *constant;
    bool isDivisor;
  };
  SmallVector<Place> places;

  bool scaleSum(Value value);
  bool scaleProduct(Operation *op);
};
} // namespace

/// Finds the constants that `value`, of a body, is a sum of multiples of.
bool Scaling::scaleSum(Value value) {
  // Chains of a norm are four ops long; a bound keeps the walk short.
  for (int steps = 0; steps < 16; ++steps) {
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      auto op = cast<linalg::GenericOp>(argument.getOwner()->getParentOp());
      OpOperand *input = op.getMatchingOpOperand(argument);
      auto producer = input->get().getDefiningOp<linalg::GenericOp>();
      if (!producer || producer.getNumReductionLoops() ||
          producer->getNumResults() != 1 || !producer->hasOneUse())
        return false;
      value = producer.getBody()->getTerminator()->getOperand(0);
      continue;
    }
    Operation *op = value.getDefiningOp();
    if (!op->hasOneUse())
      return false;
    auto sum = dyn_cast<arith::AddFOp>(op);
    if (!sum)
      return scaleProduct(op);
    bool isLeft = getNumber(sum.getLhs()).has_value();
    if (!isLeft && !getNumber(sum.getRhs()))
      return false;
    places.push_back({&op->getOpOperand(isLeft ? 0 : 1), false});
    value = op->getOperand(isLeft ? 1 : 0);
  }
  return false;
}

bool Scaling::scaleProduct(Operation *op) {
  const bool isDivision = getKind(op) == ScalarKind::Divide;
  if (!isDivision && getKind(op) != ScalarKind::Multiply)
    return false;
  for (OpOperand &operand : op->getOpOperands())
    if (getNumber(operand.get())) {
      places.push_back(
          {&operand, isDivision && operand.getOperandNumber() == 1});
      return true;
    }
  return false;
}

/// Makes the reciprocal root `factor` 2^k times as large by its constants;
/// false where it has no such form.
static bool scaleRoot(Value factor, int k) {
  auto op = factor.getDefiningOp<linalg::GenericOp>();
  if (!op || op.getNumReductionLoops() || op->getNumResults() != 1)
    return false;
  auto root = op.getBody()
                  ->getTerminator()
                  ->getOperand(0)
                  .getDefiningOp<math::RsqrtOp>();
  Scaling scaling;
  if (!root || !root->hasOneUse() || !scaling.scaleSum(root.getOperand()))
    return false;
  SmallVector<double> numbers;
  for (auto [constant, isDivisor] : scaling.places) {
    double scaled =
        std::ldexp(*getNumber(constant->get()), isDivisor ? 2 * k : -2 * k);
    if (!std::isnormal(static_cast<float>(scaled)))
      return false;
    numbers.push_back(scaled);
  }
  for (auto [place, number] : llvm::zip(scaling.places, numbers)) {
    OpBuilder builder(place.constant->getOwner());
    place.constant->set(arith::ConstantOp::create(
        builder, place.constant->getOwner()->getLoc(),
        getAttribute(place.constant->get().getType(), number)));
  }
  return true;
}

/// `factor` times 2^k, as an op of its own.
static Value createScaled(Value factor, int k) {
  OpBuilder builder(factor.getContext());
  builder.setInsertionPointAfterValue(factor);
  Location loc = factor.getLoc();
  auto type = cast<RankedTensorType>(factor.getType());
  return createElementwise(
             builder, loc, type, factor,
             [&](OpBuilder &b, ValueRange arguments) {
               Value power = arith::ConstantOp::create(
                   b, loc, getAttribute(b.getF32Type(), std::ldexp(1.0, k)));
               return arith::MulFOp::create(b, loc, arguments[0], power);
             })
      .getResult(0);
}

static void scaleFactor(DeferredNorm &norm, int k) {
  llvm::SmallPtrSet<Operation *, 4> scaled;
  for (const DeferredNorm::Reader &reader : norm.readers)
    scaled.insert(reader.scaled);
  auto isOurs = [&](OpOperand &use) { return scaled.contains(use.getOwner()); };
  if (llvm::all_of(norm.factor.getUses(), isOurs) && scaleRoot(norm.factor, k))
    return;
  Value larger = createScaled(norm.factor, k);
  norm.factor.replaceUsesWithIf(larger, isOurs);
}

namespace {
/// Weights of gains times 2^-k, one for all entries that read it.
class ScaledGains {
public:
  explicit ScaledGains(SymbolTable &symbols) : symbols(symbols) {}

  /// Lets the product read the gain times 2^-k.
  void use(Gain &gain, int k);

private:
  FlatSymbolRefAttr nameOf(const Gain &gain, int k);

  SymbolTable &symbols;
  /// By the weight's name and the scaled elements.
  llvm::DenseMap<std::pair<Attribute, Attribute>, FlatSymbolRefAttr> names;
};
} // namespace

FlatSymbolRefAttr ScaledGains::nameOf(const Gain &gain, int k) {
  wafer::WeightOp weight = gain.weight;
  auto type = cast<ShapedType>(weight.getType())
                  .clone(Float32Type::get(weight.getContext()));
  ElementsAttr value;
  if (gain.values) {
    SmallVector<float> scaled;
    for (float element : *gain.values)
      scaled.push_back(std::ldexp(element, -k));
    value = DenseElementsAttr::get(type, ArrayRef<float>(scaled));
  }
  FlatSymbolRefAttr &name = names[{weight.getSymNameAttr(), value}];
  if (name)
    return name;
  OpBuilder builder(weight);
  auto made = wafer::WeightOp::create(
      builder, weight.getLoc(),
      builder.getStringAttr(weight.getSymName() + ".scaled"), StringAttr(),
      builder.getI64IntegerAttr(0), value, wafer::BlocksAttr(),
      wafer::PartAttr(), TypeAttr::get(type));
  made->remove();
  return name = FlatSymbolRefAttr::get(
             symbols.insert(made, std::next(weight->getIterator())));
}

/// A body that widened an operand of halves takes it as it is, in singles.
static void readAsSingle(linalg::GenericOp op, unsigned operand) {
  BlockArgument argument = op.getBody()->getArgument(operand);
  if (argument.getType().isF32())
    return;
  argument.setType(Float32Type::get(op.getContext()));
  for (Operation *user : llvm::make_early_inc_range(argument.getUsers())) {
    cast<arith::ExtFOp>(user).getResult().replaceAllUsesWith(argument);
    user->erase();
  }
}

void ScaledGains::use(Gain &gain, int k) {
  OpBuilder builder(gain.parameter);
  auto stored = cast<RankedTensorType>(gain.use->get().getType());
  auto type = stored.clone(builder.getF32Type());
  if (k == 0 && !gain.body && stored == type)
    return;
  gain.use->set(wafer::ParameterOp::create(
      builder, gain.parameter.getLoc(), type,
      builder.getArrayAttr(nameOf(gain, k)), wafer::LayoutAttr()));
  readAsSingle(cast<linalg::GenericOp>(gain.use->getOwner()),
               gain.use->getOperandNumber());
}

/// The gain of a norm whose readers all read x times it, if there is one.
static std::optional<Gain> findGain(DeferredNorm &norm, SymbolTable &symbols) {
  linalg::GenericOp product = norm.gains.front();
  if (norm.gains.size() > 1 ||
      llvm::any_of(norm.readers, [&](DeferredNorm::Reader &reader) {
        return reader.product.getInputs()[reader.operand] !=
               product.getResult(0);
      }))
    return std::nullopt;
  for (OpOperand *input : product.getDpsInputOperands())
    if (std::optional<Gain> gain = findGain(*input, symbols))
      return gain;
  return std::nullopt;
}

/// Equal for norms that stand at the same place of layers: what their readers
/// give, by type.
static SmallVector<Type> kindOf(DeferredNorm &norm) {
  SmallVector<Type> kind{norm.gains.front().getResult(0).getType()};
  for (DeferredNorm::Reader &reader : norm.readers)
    kind.push_back(reader.product.getResult(0).getType());
  return kind;
}

void algebra::boundFactors(ModuleOp module, MutableArrayRef<DeferredNorm> norms,
                           bool keep) {
  struct Bounded {
    DeferredNorm *norm;
    Gain gain;
    SmallVector<Type> kind;
  };
  SymbolTable symbols(module);
  SmallVector<Bounded> bounded;
  llvm::MapVector<SmallVector<Type>, std::optional<int>> exponents;
  for (DeferredNorm &norm : norms) {
    // Without a gain, x itself is rounded.
    if (llvm::none_of(norm.readers, isRounded) || (keep && norm.gains.empty()))
      continue;
    std::optional<Gain> gain =
        keep ? findGain(norm, symbols) : std::optional<Gain>();
    if (!gain) {
      for (DeferredNorm::Reader &reader : norm.readers)
        widen(reader.product, reader.operand);
      continue;
    }
    SmallVector<Type> kind = kindOf(norm);
    std::optional<int> &largest = exponents[kind];
    if (std::optional<int> exponent = exponentOf(*gain))
      largest = std::max(largest.value_or(*exponent), *exponent);
    bounded.push_back({&norm, std::move(*gain), std::move(kind)});
  }
  ScaledGains gains(symbols);
  for (auto &[norm, gain, kind] : bounded) {
    const int k = exponents[kind].value_or(0);
    gains.use(gain, k);
    if (k)
      scaleFactor(*norm, k);
  }
}
