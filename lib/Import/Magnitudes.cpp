//===- Magnitudes.cpp - Integers at run time stay within 32 bits ----------===//
//
// The file computes in 64 bits, the wafer in 32. Where an index function is
// written out, no integer on its way may leave 32 bits: what it reads from an
// input is narrowed to the values for which that holds, and the host checks
// them before a step.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

#include "llvm/ADT/SetVector.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace waferloom;
using namespace waferloom::import;

namespace {
constexpr int64_t most32 = std::numeric_limits<int32_t>::max();

/// Absolute values of all integers in a function, at most; in double, which
/// saturates, and rounds far beyond what matters here only.
class Magnitudes {
public:
  Magnitudes(Lowering &lowering, int64_t ofInputs)
      : lowering(lowering), ofInputs(static_cast<double>(ofInputs)) {}

  double of(Expr e);
  double largest = 0;
  llvm::SmallSetVector<unsigned, 4> open; // inputs without a range, by read

private:
  double ofAtom(Expr e);
  double ofTerms(llvm::ArrayRef<Term> terms, bool below);
  double ofRead(unsigned source);

  Lowering &lowering;
  double ofInputs;
  llvm::DenseMap<Expr, double> known;
};
} // namespace

double Magnitudes::ofRead(unsigned number) {
  const ReadTensor &source = lowering.math.reads[number];
  if (source.low && source.high)
    return std::max(std::abs(static_cast<double>(*source.low)),
                    std::abs(static_cast<double>(*source.high)));
  if (!lowering.inputs.count(number))
    return 1; // nothing is known of it
  open.insert(number);
  return ofInputs;
}

double Magnitudes::ofAtom(Expr e) {
  llvm::SmallVector<double, 4> args;
  // Indices of a read are written as a function of their own.
  if (e->kind != ExprKind::IntRead && e->kind != ExprKind::BoolRead)
    for (Expr arg : e->args)
      args.push_back(of(arg));
  switch (e->kind) {
  case ExprKind::Position:
    return static_cast<double>(lowering.math.maxPosition);
  case ExprKind::Dim:
    return static_cast<double>(
        lowering.capacity(lowering.math.dims[e->payload]));
  case ExprKind::IntRead:
    return ofRead(e->payload);
  case ExprKind::IntWhere:
    return std::max(args[1], args[2]);
  case ExprKind::Max:
  case ExprKind::Min:
    return std::max(args[0], args[1]);
  case ExprKind::Abs:
  case ExprKind::FloorDiv:
  case ExprKind::TruncDiv:
    return args[0];
  case ExprKind::Mod:
  case ExprKind::TruncMod:
    return args[1];
  case ExprKind::FloatToInt:
    return 1;
  default:
    return 0;
  }
}

double Magnitudes::ofTerms(llvm::ArrayRef<Term> terms, bool below) {
  double sum = 0;
  for (const Term &term : terms) {
    if ((term.coefficient < 0) != below)
      continue;
    double product = std::abs(static_cast<double>(term.coefficient));
    for (Expr atom : term.atoms)
      product *= of(atom);
    sum += product;
  }
  return sum;
}

double Magnitudes::of(Expr e) {
  if (auto found = known.find(e); found != known.end())
    return found->second;
  double magnitude = 0;
  if (e->kind == ExprKind::LessEqualZero || e->kind == ExprKind::EqualZero)
    // Written with the terms below 0 on the other side.
    magnitude = std::max(ofTerms(e->args[0]->terms, /*below=*/false),
                         ofTerms(e->args[0]->terms, /*below=*/true));
  else if (e->kind == ExprKind::Polynomial)
    magnitude = ofTerms(e->terms, false) + ofTerms(e->terms, true);
  else
    magnitude = ofAtom(e);
  largest = std::max(largest, magnitude);
  return known[e] = magnitude;
}

/// Lets the host check that an input is within -most to most.
static void narrow(Lowering &lowering, unsigned number, int64_t most) {
  wafer::InputOp input = lowering.inputs.at(number);
  input.setLeast(-most);
  input.setLimit(most + 1);
  lowering.math.reads[number].low = -most;
  lowering.math.reads[number].high = most;
  lowering.math.forgetBounds();
}

bool Lowering::staysIn32Bits(Expr function) {
  auto magnitudes = [&](int64_t ofInputs) {
    Magnitudes found(*this, ofInputs);
    found.of(function);
    return found;
  };
  Magnitudes widest = magnitudes(most32);
  if (widest.largest <= most32)
    return true;
  // The largest range of inputs for which it does, by bisection.
  int64_t low = 0, high = most32;
  while (low + 1 < high) {
    int64_t middle = low + (high - low) / 2;
    (magnitudes(middle).largest <= most32 ? low : high) = middle;
  }
  if (widest.open.empty() || low == 0) {
    refuse("an integer that is computed at run time may leave 32 bits: " +
           math.print(function));
    return false;
  }
  for (unsigned number : widest.open)
    narrow(*this, number, low);
  return true;
}
