//===- OperatorsActivation.cpp - Functions of one value -------------------===//
//
// Written in terms of other operators, so that they are as exact at the edges
// as those. A form that loses digits near zero, or leaves the range of f32
// before its result does, is replaced there.
//
//===----------------------------------------------------------------------===//

#include "Compose.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

/// Refuses what is no float; the body of every function of this file.
static Results
onFloats(Call &c,
         function_ref<SymbolicTensor *(Compose &, SymbolicTensor *)> write) {
  SymbolicTensor *x = c.input(0);
  if (!x->isFloat())
    return one(c.refuse("of a value that is not a float"));
  Compose compose(c);
  return one(write(compose, x));
}

static SymbolicTensor *isSmall(Compose &o, SymbolicTensor *x, double limit) {
  return o.less(o("Abs", {x}), o.constant(limit));
}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

/// max(x, 0) + log(1 + exp(-|x|)): no power overflows.
static SymbolicTensor *softplus(Compose &o, SymbolicTensor *x) {
  SymbolicTensor *power = o("Exp", {o("Neg", {o("Abs", {x})})});
  SymbolicTensor *log = o("Log", {o.add(power, o.constant(1))});
  return o.add(o("Relu", {x}), log);
}

static Results lowerSoftplus(Call &c) { return onFloats(c, softplus); }

static Results lowerMish(Call &c) {
  return onFloats(c, [](Compose &o, SymbolicTensor *x) {
    // tanh(softplus) is 0 where x is -inf, and so is the product.
    SymbolicTensor *gate = o("Tanh", {softplus(o, x)});
    SymbolicTensor *none = o("Equal", {gate, o.constant(0)});
    return o.where(none, o.constant(0), o.mul(x, gate));
  });
}

static Results lowerSwish(Call &c) {
  return onFloats(c, [&](Compose &o, SymbolicTensor *x) {
    SymbolicTensor *scaled = o.mul(x, o.constant(c.real("alpha", 1)));
    SymbolicTensor *gate = o("Sigmoid", {scaled});
    SymbolicTensor *none = o("Equal", {gate, o.constant(0)});
    return o.where(none, o.constant(0), o.mul(x, gate));
  });
}

/// scale * (x, or alpha * (exp(x / width) - 1) below 0).
static SymbolicTensor *exponential(Compose &o, SymbolicTensor *x, double alpha,
                                   double width, double scale) {
  SymbolicTensor *below = o("Min", {x, o.constant(0)});
  below = o.mul(below, o.constant(1 / width));
  SymbolicTensor *power = o.sub(o("Exp", {below}), o.constant(1));
  // Near 0 the difference has few digits.
  SymbolicTensor *series =
      o.mul(below, o.polynomial(below, {1, 1.0 / 2, 1.0 / 6, 1.0 / 24}));
  power = o.where(isSmall(o, below, 0.05), series, power);
  power = o.mul(power, o.constant(alpha));
  SymbolicTensor *either = o.where(o.less(x, o.constant(0)), power, x);
  return scale == 1 ? either : o.mul(either, o.constant(scale));
}

static Results lowerElu(Call &c) {
  return onFloats(c, [&](Compose &o, SymbolicTensor *x) {
    return exponential(o, x, c.real("alpha", 1), 1, 1);
  });
}

static Results lowerCelu(Call &c) {
  return onFloats(c, [&](Compose &o, SymbolicTensor *x) -> SymbolicTensor * {
    double alpha = c.real("alpha", 1);
    if (alpha == 0)
      return c.refuse("alpha is 0");
    // max(0, x) + min(0, alpha * (exp(x / alpha) - 1))
    return exponential(o, x, alpha, alpha, 1);
  });
}

static Results lowerSelu(Call &c) {
  return onFloats(c, [&](Compose &o, SymbolicTensor *x) {
    return exponential(o, x, c.real("alpha", 1.67326319217681884765625), 1,
                       c.real("gamma", 1.05070102214813232421875));
  });
}

static Results lowerHardSigmoid(Call &c) {
  return onFloats(c, [&](Compose &o, SymbolicTensor *x) {
    SymbolicTensor *line = o.add(o.mul(x, o.constant(c.real("alpha", 0.2f))),
                                 o.constant(c.real("beta", 0.5)));
    return o("Max", {o("Min", {line, o.constant(1)}), o.constant(0)});
  });
}

static Results lowerHardSwish(Call &c) {
  return onFloats(c, [](Compose &o, SymbolicTensor *x) {
    SymbolicTensor *line =
        o.add(o.mul(x, o.constant(1.0 / 6)), o.constant(0.5));
    SymbolicTensor *gate =
        o("Max", {o("Min", {line, o.constant(1)}), o.constant(0)});
    SymbolicTensor *none = o("Equal", {gate, o.constant(0)});
    return o.where(none, o.constant(0), o.mul(x, gate));
  });
}

/// x, or slope * x below 0.
static SymbolicTensor *leaky(Compose &o, SymbolicTensor *x,
                             SymbolicTensor *slope) {
  return o.where(o.less(x, o.constant(0)), o.mul(x, slope), x);
}

static Results lowerLeakyRelu(Call &c) {
  return onFloats(c, [&](Compose &o, SymbolicTensor *x) {
    return leaky(o, x, o.constant(c.real("alpha", 0.01f)));
  });
}

static Results lowerPRelu(Call &c) {
  return onFloats(c, [&](Compose &o, SymbolicTensor *x) {
    return leaky(o, x, c.input(1));
  });
}

static Results lowerThresholdedRelu(Call &c) {
  return onFloats(c, [&](Compose &o, SymbolicTensor *x) {
    return o.where(o.less(o.constant(c.real("alpha", 1)), x), x, o.constant(0));
  });
}

static Results lowerShrink(Call &c) {
  return onFloats(c, [&](Compose &o, SymbolicTensor *x) {
    double lambda = c.real("lambd", 0.5), bias = c.real("bias", 0);
    SymbolicTensor *above = o.where(o.less(o.constant(lambda), x),
                                    o.sub(x, o.constant(bias)), o.constant(0));
    return o.where(o.less(x, o.constant(-lambda)), o.add(x, o.constant(bias)),
                   above);
  });
}

static Results lowerSoftsign(Call &c) {
  return onFloats(c, [](Compose &o, SymbolicTensor *x) {
    // 1 / (1 / |x| + 1) has a value at infinity.
    SymbolicTensor *size = o("Abs", {x});
    SymbolicTensor *far =
        o.div(o.constant(1), o.add(o.div(o.constant(1), size), o.constant(1)));
    SymbolicTensor *near = o.div(x, o.add(size, o.constant(1)));
    far = o.where(o.less(x, o.constant(0)), o("Neg", {far}), far);
    return o.where(isSmall(o, x, 1), near, far);
  });
}

static Results lowerSign(Call &c) {
  SymbolicTensor *x = c.input(0);
  if (x->isBool())
    return one(c.refuse("of booleans"));
  Compose o(c);
  SymbolicTensor *zero = o.constant(0);
  // Zeros and NaN are themselves.
  SymbolicTensor *rest = o.where(o.less(x, zero), o.constant(-1), x);
  return one(o.where(o.less(zero, x), o.constant(1), rest));
}

static Results lowerIsInf(Call &c) {
  return onFloats(c, [&](Compose &o, SymbolicTensor *x) -> SymbolicTensor * {
    const double infinity = std::numeric_limits<double>::infinity();
    bool above = c.integer("detect_positive", 1);
    bool below = c.integer("detect_negative", 1);
    SymbolicTensor *up = o("Equal", {x, o.constant(infinity)});
    SymbolicTensor *down = o("Equal", {x, o.constant(-infinity)});
    if (above && below)
      return o("Or", {up, down});
    SymbolicTensor *no = o("Not", {o("Equal", {x, x})});
    return above ? up : below ? down : o("And", {no, o("Not", {no})});
  });
}

//===----------------------------------------------------------------------===//
// Angles
//===----------------------------------------------------------------------===//

static Results lowerTan(Call &c) {
  return onFloats(c, [](Compose &o, SymbolicTensor *x) {
    return o.div(o("Sin", {x}), o("Cos", {x}));
  });
}

/// The angle of |x| is turned by 0, 45 or 90 degrees to where a polynomial has
/// it to 2e-7 (the coefficients of Cephes).
static SymbolicTensor *arcTangent(Compose &o, SymbolicTensor *x) {
  SymbolicTensor *one = o.constant(1), *size = o("Abs", {x});
  SymbolicTensor *far = o.less(o.constant(2.414213562373095), size);
  SymbolicTensor *middle = o.less(o.constant(0.4142135623730950), size);
  SymbolicTensor *y =
      o.where(middle, o.div(o.sub(size, one), o.add(size, one)), size);
  y = o.where(far, o.div(o.constant(-1), size), y);
  SymbolicTensor *turned = o.where(middle, o.constant(M_PI / 4), o.constant(0));
  turned = o.where(far, o.constant(M_PI / 2), turned);
  SymbolicTensor *square = o.mul(y, y);
  SymbolicTensor *series =
      o.polynomial(square, {-3.33329491539e-1, 1.99777106478e-1,
                            -1.38776856032e-1, 8.05374449538e-2});
  SymbolicTensor *angle =
      o.add(turned, o.add(y, o.mul(o.mul(series, square), y)));
  return o.where(o.less(x, o.constant(0)), o("Neg", {angle}), angle);
}

static Results lowerAtan(Call &c) { return onFloats(c, arcTangent); }

static Results lowerAsin(Call &c) {
  return onFloats(c, [](Compose &o, SymbolicTensor *x) {
    SymbolicTensor *one = o.constant(1);
    SymbolicTensor *other = o.mul(o.sub(one, x), o.add(one, x));
    return arcTangent(o, o.div(x, o("Sqrt", {other})));
  });
}

static Results lowerAcos(Call &c) {
  return onFloats(c, [](Compose &o, SymbolicTensor *x) {
    SymbolicTensor *one = o.constant(1);
    SymbolicTensor *ratio = o.div(o.sub(one, x), o.add(one, x));
    return o.mul(arcTangent(o, o("Sqrt", {ratio})), o.constant(2));
  });
}

//===----------------------------------------------------------------------===//
// Hyperbolic functions
//===----------------------------------------------------------------------===//

/// (exp(x) +- exp(-x)) / 2, by the roots of the powers, which overflow later.
static SymbolicTensor *powers(Compose &o, SymbolicTensor *x, bool isSum) {
  SymbolicTensor *root = o("Exp", {o.mul(x, o.constant(0.5))});
  SymbolicTensor *half = o.constant(0.5);
  SymbolicTensor *up = o.mul(o.mul(root, half), root);
  SymbolicTensor *down = o.div(o.div(half, root), root);
  return isSum ? o.add(up, down) : o.sub(up, down);
}

/// Odd functions have a series near 0, where their forms lose digits.
static SymbolicTensor *oddSeries(Compose &o, SymbolicTensor *x,
                                 ArrayRef<double> coefficients) {
  return o.mul(x, o.polynomial(o.mul(x, x), coefficients));
}

static Results lowerCosh(Call &c) {
  return onFloats(c, [](Compose &o, SymbolicTensor *x) {
    return powers(o, x, /*isSum=*/true);
  });
}

static Results lowerSinh(Call &c) {
  return onFloats(c, [](Compose &o, SymbolicTensor *x) {
    SymbolicTensor *near = oddSeries(o, x, {1, 1.0 / 6, 1.0 / 120, 1.0 / 5040});
    return o.where(isSmall(o, x, 0.5), near, powers(o, x, /*isSum=*/false));
  });
}

/// log(2 * size) where `size` is large: its square would leave the range.
static SymbolicTensor *logarithm(Compose &o, SymbolicTensor *size,
                                 SymbolicTensor *sum) {
  SymbolicTensor *far = o.add(o("Log", {size}), o.constant(M_LN2));
  return o.where(o.less(o.constant(1e9), size), far, o("Log", {sum}));
}

static Results lowerAsinh(Call &c) {
  return onFloats(c, [](Compose &o, SymbolicTensor *x) {
    SymbolicTensor *size = o("Abs", {x});
    SymbolicTensor *root = o("Sqrt", {o.add(o.mul(size, size), o.constant(1))});
    SymbolicTensor *value = logarithm(o, size, o.add(size, root));
    value = o.where(o.less(x, o.constant(0)), o("Neg", {value}), value);
    SymbolicTensor *near =
        oddSeries(o, x, {1, -1.0 / 6, 3.0 / 40, -15.0 / 336, 105.0 / 3456});
    return o.where(isSmall(o, x, 0.25), near, value);
  });
}

static Results lowerAcosh(Call &c) {
  return onFloats(c, [](Compose &o, SymbolicTensor *x) {
    SymbolicTensor *one = o.constant(1);
    SymbolicTensor *root =
        o.mul(o("Sqrt", {o.sub(x, one)}), o("Sqrt", {o.add(x, one)}));
    return logarithm(o, x, o.add(x, root));
  });
}

static Results lowerAtanh(Call &c) {
  return onFloats(c, [](Compose &o, SymbolicTensor *x) {
    SymbolicTensor *one = o.constant(1);
    SymbolicTensor *ratio = o.div(o.add(one, x), o.sub(one, x));
    SymbolicTensor *value = o.mul(o("Log", {ratio}), o.constant(0.5));
    SymbolicTensor *near =
        oddSeries(o, x, {1, 1.0 / 3, 1.0 / 5, 1.0 / 7, 1.0 / 9});
    return o.where(isSmall(o, x, 0.2), near, value);
  });
}

//===----------------------------------------------------------------------===//
// Of several
//===----------------------------------------------------------------------===//

static Results lowerSum(Call &c) {
  Compose o(c);
  SymbolicTensor *sum = c.input(0);
  for (size_t i = 1; i < c.inputs.size(); ++i)
    sum = o.add(sum, c.input(i));
  if (c.op == "Mean")
    sum = o.div(sum, o.constant(static_cast<double>(c.inputs.size())));
  return one(sum);
}

//===----------------------------------------------------------------------===//
// Fused with what stands before them, by the optimizers of com.microsoft
//===----------------------------------------------------------------------===//

/// Gelu of x, or of x + bias.
static Results lowerBiasGelu(Call &c) {
  return onFloats(c, [&](Compose &o, SymbolicTensor *x) {
    if (SymbolicTensor *bias = c.input(1))
      x = o.add(x, bias);
    if (c.op != "FastGelu")
      return o("Gelu", {x});
    OpBuilder &b = c.lowering.builder;
    return o("Gelu", {x},
             b.getNamedAttr("approximate", b.getStringAttr("tanh")));
  });
}

static Results lowerQuickGelu(Call &c) {
  return onFloats(c, [&](Compose &o, SymbolicTensor *x) {
    SymbolicTensor *steep = o.mul(x, o.constant(c.real("alpha", 1.702)));
    return o.mul(x, o("Sigmoid", {steep}));
  });
}

ArrayRef<OperatorEntry> import::activationOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"", "Acos", 1, 1, lowerAcos},
      {"", "Acosh", 1, 1, lowerAcosh},
      {"", "Asin", 1, 1, lowerAsin},
      {"", "Asinh", 1, 1, lowerAsinh},
      {"", "Atan", 1, 1, lowerAtan},
      {"", "Atanh", 1, 1, lowerAtanh},
      {"", "Celu", 1, 1, lowerCelu},
      {"", "Cosh", 1, 1, lowerCosh},
      {"", "Elu", 1, 1, lowerElu},
      {"", "HardSigmoid", 1, 1, lowerHardSigmoid},
      {"", "HardSwish", 1, 1, lowerHardSwish},
      {"", "IsInf", 1, 1, lowerIsInf},
      {"", "LeakyRelu", 1, 1, lowerLeakyRelu},
      {"", "Mean", 1, OperatorEntry::anyNumber, lowerSum},
      {"", "Mish", 1, 1, lowerMish},
      {"", "PRelu", 2, 2, lowerPRelu},
      {"", "Selu", 1, 1, lowerSelu},
      {"", "Shrink", 1, 1, lowerShrink},
      {"", "Sign", 1, 1, lowerSign},
      {"", "Sinh", 1, 1, lowerSinh},
      {"", "Softplus", 1, 1, lowerSoftplus},
      {"", "Softsign", 1, 1, lowerSoftsign},
      {"", "Sum", 1, OperatorEntry::anyNumber, lowerSum},
      {"", "Swish", 1, 1, lowerSwish},
      {"", "Tan", 1, 1, lowerTan},
      {"", "ThresholdedRelu", 1, 1, lowerThresholdedRelu},
      {"com.microsoft", "BiasGelu", 2, 2, lowerBiasGelu},
      {"com.microsoft", "FastGelu", 1, 2, lowerBiasGelu},
      {"com.microsoft", "Gelu", 1, 1, lowerBiasGelu},
      {"com.microsoft", "QuickGelu", 1, 1, lowerQuickGelu},
  };
  return table;
}
