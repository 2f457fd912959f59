//===- Bindings.cpp - Sizes of the dimensions of inputs -------------------===//

#include "Bindings.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"

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
                   ArrayRef<HostInput> hostInputs, const Options &options)
    : graph(graph), states(states), hostInputs(hostInputs), options(options) {
  for (auto input : graph.getBody().getOps<onnx::InputOp>())
    if (input.getName() == "input_ids" && input.getShape().size() >= 2)
      tokenInput = input;
  if (tokenInput)
    return;
  // Embeddings that the caller looked up stand for ids.
  for (auto input : graph.getBody().getOps<onnx::InputOp>())
    if (input.getName() == "inputs_embeds" && input.getShape().size() == 3)
      tokenInput = input;
  for (auto input : graph.getBody().getOps<onnx::InputOp>())
    if (!tokenInput && input.getShape().size() >= 2 &&
        isa<IntegerType>(input.getElementType()) &&
        fallbackOf(input) == "required" && !isBoundByState(input, states))
      tokenInput = input;
  // Without ids, what a decoder takes a row of per token.
  for (auto input : graph.getBody().getOps<onnx::InputOp>())
    if (!tokenInput && !states.empty() && input.getShape().size() == 3 &&
        isa<StringAttr>(input.getShape()[1]) && !isBoundByState(input, states))
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

FailureOr<SmallVector<int64_t>> Bindings::chooseEntries() {
  SmallVector<int64_t> entries(options.chunks.begin(), options.chunks.end());
  std::optional<int64_t> fixed = fixedTokens();
  bool fixedByFile = tokenInput && isa<IntegerAttr>(tokenInput.getShape()[1]);
  if (!states.empty() && !fixedByFile) {
    entries.push_back(1);
    if (fixed)
      entries.push_back(*fixed);
  } else if (fixed) {
    for (int64_t chunk : entries)
      if (chunk != *fixed)
        return emitError(graph.getLoc())
                   << "a chunk of " << chunk << " tokens, but the model takes "
                   << *fixed,
               failure();
    entries.assign(1, *fixed);
  } else if (entries.empty()) {
    StringRef name = cast<StringAttr>(tokenInput.getShape()[1]).getValue();
    InFlightDiagnostic diagnostic = emitError(graph.getLoc());
    diagnostic << "input '" << tokenInput.getName() << "': dimension '" << name
               << "' has no size";
    diagnostic.attachNote() << "bind it: --dim " << name << "=N";
    return failure();
  }
  llvm::sort(entries);
  entries.erase(llvm::unique(entries), entries.end());
  for (int64_t n : entries) {
    if (n < 1 || n > (1 << 20))
      return emitError(graph.getLoc())
                 << "a step cannot take " << n << " tokens",
             failure();
    if (!states.empty() && n > *options.context)
      return emitError(graph.getLoc())
                 << "a step of " << n << " tokens does not fit a context of "
                 << *options.context,
             failure();
  }
  return entries;
}

void Bindings::put(Attribute dim, Expr size) {
  if (auto name = dyn_cast<StringAttr>(dim); name && !name.getValue().empty())
    sizes.try_emplace(name.getValue(), size);
}

void Bindings::bind(Arithmetic &math, int64_t n) {
  Expr tokens = math.constant(n);
  Expr live = states.empty() ? tokens : math.add(math.position(), n);
  // The mask of a static cache has a column for each of its rows.
  const bool isStatic =
      llvm::any_of(states, [](const State &state) { return placeOf(state); });
  Expr columns = isStatic ? math.constant(*options.context) : live;
  sizes.clear();
  for (const State &state : states) {
    onnx::InputOp past = state.past;
    put(past.getShape()[state.axis],
        placeOf(state) ? math.constant(*options.context) : math.position());
  }
  if (tokenInput)
    put(tokenInput.getShape()[1], tokens);
  for (HostInput host : hostInputs)
    if (host.use == "positions")
      put(host.input.getShape()[host.input.getShape().size() - 1], tokens);
  given.clear();
  for (const auto &[name, size] : options.dims)
    if (sizes.try_emplace(name, math.constant(size)).second)
      given.try_emplace(name, size);
  for (auto input : graph.getBody().getOps<onnx::InputOp>()) {
    ArrayAttr shape = input.getShape();
    if (input.getResult().use_empty() || shape.empty())
      continue;
    put(shape[0], math.constant(1));
    if (input.getName() != "attention_mask" || shape.size() < 2)
      continue;
    put(shape[shape.size() - 1], columns);
    if (shape.size() > 2)
      put(shape[shape.size() - 2], tokens);
  }
  // A present is as long as its past and the new tokens.
  for (State state : states) {
    ArrayAttr shape = state.present.getShape();
    if (state.axis < shape.size() && !placeOf(state))
      put(shape[state.axis], live);
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

std::optional<int64_t> Bindings::givenSize(Attribute dim) const {
  auto name = dyn_cast<StringAttr>(dim);
  auto known = name ? given.find(name.getValue()) : given.end();
  return known == given.end() ? std::nullopt : std::optional(known->second);
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

LogicalResult import::checkOptions(onnx::GraphOp graph, Bindings &bindings,
                                   ArrayRef<State> found,
                                   const Options &options) {
  auto error = [&] { return emitError(graph.getLoc()); };
  SmallVector<State> states(found);
  for (const auto &[name, size] : options.dims)
    if (size < 1 || size > (int64_t(1) << 31))
      return error() << "dimension '" << name << "' cannot have size " << size,
             failure();
  for (const auto &[name, size] : options.dims)
    for (const auto &[other, otherSize] : options.dims)
      if (name == other && size != otherSize)
        return error() << "dimension '" << name << "' is bound to both " << size
                       << " and " << otherSize,
               failure();
  for (const auto &[name, value] : options.sets) {
    bool found = false;
    graph.walk([&, &wanted = name](onnx::InputOp input) {
      found |= input.getName() == wanted;
    });
    if (!found)
      return error() << "no input is called '" << name
                     << "', so it cannot be fixed to " << value,
             failure();
  }
  if (auto unknown = bindings.unknownNames(); !unknown.empty())
    return error() << "no input has a dimension '" << unknown.front()
                   << "'; the names are "
                   << llvm::join(bindings.knownNames(), ", "),
           failure();
  constexpr int64_t maxContext = 1 << 24;
  if (options.context &&
      (*options.context < 1 || *options.context > maxContext))
    return error() << "a context of " << *options.context
                   << " tokens is not between 1 and " << maxContext,
           failure();
  if (!states.empty() && !options.context) {
    InFlightDiagnostic diagnostic =
        error() << "the model keeps a state ('" << states[0].past.getName()
                << "') and nothing says how many tokens it holds";
    return diagnostic.attachNote() << "give its capacity: --context N",
           failure();
  }
  return success();
}
