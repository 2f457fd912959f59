//===- Bindings.cpp - Sizes of the dimensions of inputs -------------------===//

#include "Bindings.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

StringRef import::fallbackOf(onnx::InputOp input) {
  StringRef name = input.getName();
  if (!isa<IntegerType>(input.getElementType()))
    return "required";
  if (name == "attention_mask")
    return "ones";
  if (name == "position_ids" || name == "cache_position")
    return "positions";
  return "required";
}

static bool isBoundByState(onnx::InputOp input, ArrayRef<State> states) {
  return llvm::any_of(states, [&](const State &state) {
    return onnx::InputOp(state.past) == input;
  });
}

Bindings::Bindings(onnx::GraphOp graph, ArrayRef<State> states,
                   const Options &options)
    : graph(graph), states(states), options(options) {
  for (auto input : graph.getBody().getOps<onnx::InputOp>())
    if (input.getName() == "input_ids" && input.getShape().size() >= 2)
      tokenInput = input;
  if (tokenInput)
    return;
  for (auto input : graph.getBody().getOps<onnx::InputOp>())
    if (!tokenInput && input.getShape().size() >= 2 &&
        isa<IntegerType>(input.getElementType()) &&
        fallbackOf(input) == "required" && !isBoundByState(input, states))
      tokenInput = input;
}

std::optional<int64_t> Bindings::fixedTokens() {
  if (!tokenInput)
    return 1;
  Attribute dim = tokenInput.getShape()[1];
  if (auto fixed = dyn_cast<IntegerAttr>(dim))
    return fixed.getInt();
  for (const auto &[name, size] : options.dims)
    if (name == cast<StringAttr>(dim).getValue())
      return size;
  return std::nullopt;
}

void Bindings::put(Attribute dim, Expr size) {
  if (auto name = dyn_cast<StringAttr>(dim); name && !name.getValue().empty())
    sizes.try_emplace(name.getValue(), size);
}

void Bindings::bind(Arithmetic &math, int64_t n) {
  Expr tokens = math.constant(n);
  sizes.clear();
  for (const State &state : states) {
    onnx::InputOp past = state.past;
    put(past.getShape()[state.axis], math.position());
  }
  if (tokenInput)
    put(tokenInput.getShape()[1], tokens);
  for (const auto &[name, size] : options.dims)
    sizes.try_emplace(name, math.constant(size));
  for (auto input : graph.getBody().getOps<onnx::InputOp>()) {
    ArrayAttr shape = input.getShape();
    if (input.getResult().use_empty() || shape.empty())
      continue;
    put(shape[0], math.constant(1));
    if (input.getName() == "attention_mask" && shape.size() == 2)
      put(shape[1], states.empty() ? tokens : math.add(math.position(), n));
  }
}

Expr Bindings::size(Arithmetic &math, Attribute dim) {
  if (auto fixed = dyn_cast<IntegerAttr>(dim))
    return math.constant(fixed.getInt());
  StringRef name = cast<StringAttr>(dim).getValue().trim();
  if (auto known = sizes.find(name); known != sizes.end())
    return known->second;
  int64_t number;
  if (!name.getAsInteger(10, number) && number >= 0)
    return math.constant(number);
  if (!name.contains('+'))
    return nullptr;
  Expr sum = math.constant(0);
  SmallVector<StringRef> parts;
  name.split(parts, '+');
  for (StringRef part : parts) {
    Builder b(graph.getContext());
    Expr size = this->size(math, b.getStringAttr(part.trim()));
    if (!size)
      return nullptr;
    sum = math.add(sum, size);
  }
  return sum;
}

SmallVector<std::string> Bindings::knownNames() {
  llvm::SetVector<StringRef> known;
  for (auto input : graph.getBody().getOps<onnx::InputOp>())
    for (Attribute dim : input.getShape())
      if (auto name = dyn_cast<StringAttr>(dim); name && !name.empty()) {
        SmallVector<StringRef> parts;
        name.getValue().split(parts, '+');
        for (StringRef part : parts)
          known.insert(part.trim());
        known.insert(name.getValue());
      }
  return SmallVector<std::string>(
      llvm::map_range(known, [](StringRef name) { return name.str(); }));
}

SmallVector<std::string> Bindings::unknownNames() {
  SmallVector<std::string> known = knownNames(), unknown;
  for (const auto &[name, size] : options.dims)
    if (!llvm::is_contained(known, name))
      unknown.push_back(name);
  return unknown;
}
