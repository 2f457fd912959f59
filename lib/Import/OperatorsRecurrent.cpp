//===- OperatorsRecurrent.cpp - Recurrent networks, step by step ----------===//
//
// The products with the inputs of all steps are one; those with what the step
// before gave are written once per step, whose number is a size.
//
//===----------------------------------------------------------------------===//

#include "Compose.h"

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

/// The operand of a state that the first step finds.
static unsigned initialOperand(unsigned state) { return 5 + state; }
static constexpr unsigned lengthsOperand = 4, peepholeOperand = 7;

namespace {
using Values = SmallVector<SymbolicTensor *>;

/// What RNN, GRU and LSTM have in common: operands (X, W, R, B, sequence_lens,
/// initial_h, ..) as the standard has them.
class Recurrence {
public:
  /// `states`: what a step hands on, the output first.
  using Step = llvm::function_ref<Values(Recurrence &, SymbolicTensor *inputs,
                                         ArrayRef<SymbolicTensor *> states)>;

  Recurrence(Call &c, int64_t gates, int64_t states,
             ArrayRef<StringRef> activations)
      : o(c), c(c), gates(gates), states(states),
        usual(activations.begin(), activations.end()) {}

  Results lower(Step step);

  /// Activation `i` of the direction at hand.
  SymbolicTensor *activate(unsigned i, SymbolicTensor *q);
  /// The same of a gate, which is clipped first where the node says so.
  SymbolicTensor *gate(unsigned i, SymbolicTensor *q);
  /// q times `count` gates of the recurrent weights from `first` on, with their
  /// bias.
  SymbolicTensor *recur(SymbolicTensor *q, int64_t first, int64_t count);
  /// Parts of a gate each, along the last dimension.
  Results cut(SymbolicTensor *q, int64_t parts);
  SymbolicTensor *peephole(int64_t gate);

  Compose o;

private:
  bool check();
  bool checkOperands();
  bool runDirection(int64_t number, Step step);
  SymbolicTensor *at(SymbolicTensor *q, int64_t axis, int64_t index);
  SymbolicTensor *slice(SymbolicTensor *q, int64_t axis, int64_t start,
                        int64_t length) {
    return q ? sliceAxis(c.lowering, q, axis, start, length) : nullptr;
  }
  SymbolicTensor *initial(unsigned state, int64_t number);
  SymbolicTensor *stacked(ArrayRef<SymbolicTensor *> parts, int64_t axis);
  bool isReversed(int64_t number) {
    return direction == "reverse" || number == 1;
  }
  /// Each sequence from its own end on.
  SymbolicTensor *fromEnds(SymbolicTensor *q) {
    return o("ReverseSequence",
             {q, converted(c, c.input(lengthsOperand),
                           c.lowering.builder.getI64Type())},
             {o.attribute("time_axis", 0), o.attribute("batch_axis", 1)});
  }
  SymbolicTensor *whereItRuns(int64_t time, SymbolicTensor *q,
                              SymbolicTensor *otherwise);
  bool takesBatchFirst() { return c.integer("layout", 0) != 0; }

  Call &c;
  const int64_t gates, states;
  SmallVector<StringRef> usual;
  StringRef direction;
  int64_t steps = 0, batch = 0, hidden = 0;
  SymbolicTensor *sequence = nullptr;                 // [steps, batch, in]
  SymbolicTensor *weights = nullptr, *bias = nullptr; // recurrent ones
  SymbolicTensor *peepholes = nullptr;
  SmallVector<StringRef> activations; // of the direction
  SmallVector<Values> outputs;        // of a direction each
  SmallVector<Values> last;           // states, likewise
};
} // namespace

/// Operands have the shapes that the standard says.
bool Recurrence::checkOperands() {
  const int64_t directions = direction == "bidirectional" ? 2 : 1;
  const int64_t in = *sequence->shape[2]->constant(), rows = gates * hidden;
  auto has = [&](unsigned operand, ArrayRef<int64_t> sizes) {
    SymbolicTensor *q = c.input(operand);
    auto isSize = [](Expr size, int64_t wanted) {
      return size->constant() == wanted;
    };
    return !q || llvm::equal(q->shape, sizes, isSize);
  };
  SmallVector<int64_t> start{directions, batch, hidden};
  if (takesBatchFirst())
    std::swap(start[0], start[1]);
  bool fits = has(1, {directions, rows, in}) &&
              has(2, {directions, rows, hidden}) &&
              has(3, {directions, 2 * rows}) && has(lengthsOperand, batch) &&
              has(peepholeOperand, {directions, 3 * hidden});
  for (unsigned i = 0; i < states; ++i)
    fits &= has(initialOperand(i), start);
  if (!fits)
    c.refuse("its operands do not fit the sequence");
  return fits;
}

bool Recurrence::check() {
  constexpr int64_t mostSteps = 1024;
  direction = c.text("direction", "forward");
  SymbolicTensor *x = c.input(0), *r = c.input(2);
  auto refuse = [&](const Twine &what) { return c.refuse(what), false; };
  if (!x->isFloat() || x->rank() != 3 || r->rank() != 3)
    return refuse("of values that are no floats of rank 3");
  for (Expr size : x->shape)
    if (!size->constant())
      return refuse("of a sequence of shape " + c.lowering.print(x->shape) +
                    ", which changes with the position");
  sequence = takesBatchFirst() ? transposed(c, x, {1, 0, 2}) : x;
  if (!sequence)
    return false;
  steps = *sequence->shape[0]->constant();
  batch = *sequence->shape[1]->constant();
  hidden = r->shape[2]->constant().value_or(0);
  if (steps < 1 || batch < 1 || hidden < 1)
    return refuse("of a sequence or a state without elements");
  if (steps > mostSteps)
    return refuse("of " + Twine(steps) + " steps; at most " + Twine(mostSteps) +
                  " are written out: bind a shorter one");
  if (direction != "forward" && direction != "reverse" &&
      direction != "bidirectional")
    return refuse("of the direction '" + direction + "'");
  if (c.integer("input_forget", 0))
    return refuse("couples its gates (input_forget)");
  for (unsigned i = 0; i < 2 * usual.size(); ++i)
    if (auto named = c.attributes.getAs<ArrayAttr>("activations");
        named && i < named.size()) {
      StringRef name = cast<StringAttr>(named[i]).getValue();
      if (name != "Sigmoid" && name != "Tanh" && name != "Relu")
        return refuse("of the activation '" + name +
                      "'; known are Sigmoid, Tanh and Relu");
    }
  return checkOperands();
}

SymbolicTensor *Recurrence::at(SymbolicTensor *q, int64_t axis, int64_t index) {
  if (!q)
    return nullptr;
  return o("Squeeze", {slice(q, axis, index, 1), o.ints({axis})});
}

SymbolicTensor *Recurrence::activate(unsigned i, SymbolicTensor *q) {
  return o(activations[i], {q});
}

SymbolicTensor *Recurrence::gate(unsigned i, SymbolicTensor *q) {
  if (double most = c.real("clip", 0); most > 0)
    q = o("Clip", {q, o.constant(-most), o.constant(most)});
  return activate(i, q);
}

SymbolicTensor *Recurrence::recur(SymbolicTensor *q, int64_t first,
                                  int64_t count) {
  SymbolicTensor *part = slice(weights, 0, first * hidden, count * hidden);
  SymbolicTensor *y =
      o("MatMul", {q, part ? transposed(c, part, {1, 0}) : nullptr});
  return bias ? o.add(y, slice(bias, 0, first * hidden, count * hidden)) : y;
}

Results Recurrence::cut(SymbolicTensor *q, int64_t parts) {
  return o.all("Split", {q, o.ints(SmallVector<int64_t>(parts, hidden))},
               {o.attribute("axis", -1)}, static_cast<unsigned>(parts));
}

SymbolicTensor *Recurrence::peephole(int64_t gate) {
  return peepholes ? slice(peepholes, 0, gate * hidden, hidden) : nullptr;
}

SymbolicTensor *Recurrence::initial(unsigned state, int64_t number) {
  SymbolicTensor *given = c.input(initialOperand(state));
  if (given)
    return at(given, takesBatchFirst() ? 1 : 0, number);
  return c.lowering.fromFunction(
      {c.math.constant(batch), c.math.constant(hidden)}, c.input(0)->type,
      c.lowering.constantOf(0, c.input(0)->type));
}

/// Behind its end a sequence gives nothing and changes nothing.
SymbolicTensor *Recurrence::whereItRuns(int64_t time, SymbolicTensor *q,
                                        SymbolicTensor *otherwise) {
  SymbolicTensor *lengths = c.input(lengthsOperand);
  if (!lengths)
    return q;
  SymbolicTensor *now =
      c.lowering.fromElements({c.math.constant(time)}, true, lengths->type);
  SymbolicTensor *runs = o("Unsqueeze", {o.less(now, lengths), o.ints({1})});
  return o.where(runs, q, otherwise);
}

bool Recurrence::runDirection(int64_t number, Step step) {
  activations = usual;
  if (auto named = c.attributes.getAs<ArrayAttr>("activations"))
    for (auto [i, name] : llvm::enumerate(activations))
      if (number * usual.size() + i < named.size())
        name = cast<StringAttr>(named[number * usual.size() + i]).getValue();
  weights = at(c.input(2), 0, number);
  SymbolicTensor *both = c.input(3) ? at(c.input(3), 0, number) : nullptr;
  bias = slice(both, 0, gates * hidden, gates * hidden);
  peepholes = c.input(peepholeOperand) ? at(c.input(peepholeOperand), 0, number)
                                       : nullptr;
  SymbolicTensor *taken = at(c.input(1), 0, number);
  const bool hasLengths = c.input(lengthsOperand) != nullptr;
  SymbolicTensor *ordered =
      isReversed(number) && hasLengths ? fromEnds(sequence) : sequence;
  SymbolicTensor *inputs =
      o("MatMul", {ordered, taken ? transposed(c, taken, {1, 0}) : nullptr});
  if (both)
    inputs = o.add(inputs, slice(both, 0, 0, gates * hidden));
  Values carried;
  for (unsigned i = 0; i < states; ++i)
    carried.push_back(initial(i, number));
  Values &times = outputs.emplace_back(steps);
  for (int64_t i = 0; i < steps && !o.failed(); ++i) {
    const int64_t time = isReversed(number) && !hasLengths ? steps - 1 - i : i;
    Values next = step(*this, at(inputs, 0, time), carried);
    times[time] = whereItRuns(time, next[0], o.constant(0));
    for (auto [fresh, before] : llvm::zip_equal(next, carried))
      fresh = whereItRuns(time, fresh, before);
    carried = next;
  }
  if (isReversed(number) && hasLengths) {
    SymbolicTensor *all = fromEnds(stacked(times, 0));
    for (auto [i, output] : llvm::enumerate(times))
      output = at(all, 0, static_cast<int64_t>(i));
  }
  last.push_back(carried);
  return !o.failed();
}

SymbolicTensor *Recurrence::stacked(ArrayRef<SymbolicTensor *> parts,
                                    int64_t axis) {
  Values rows;
  for (SymbolicTensor *part : parts)
    rows.push_back(o("Unsqueeze", {part, o.ints({axis})}));
  return rows.size() == 1 ? rows[0]
                          : o("Concat", rows, {o.attribute("axis", axis)});
}

Results Recurrence::lower(Step step) {
  if (!check())
    return {};
  const int64_t directions = direction == "bidirectional" ? 2 : 1;
  for (int64_t number = 0; number < directions; ++number)
    if (!runDirection(number, step))
      return {};
  // Outputs of [batch, hidden] to [steps, directions, batch, hidden], or to
  // [batch, steps, directions, hidden].
  const int64_t axis = takesBatchFirst() ? 1 : 0;
  Results results(c.resultCount, nullptr);
  if (c.wants(0)) {
    Values times;
    for (int64_t i = 0; i < steps; ++i)
      times.push_back(stacked(
          llvm::map_to_vector(outputs, [&](Values &of) { return of[i]; }),
          axis));
    results[0] = stacked(times, axis);
  }
  for (unsigned i = 0; i < states; ++i)
    if (c.wants(i + 1))
      results[i + 1] = stacked(
          llvm::map_to_vector(last, [&](Values &of) { return of[i]; }), axis);
  return o.failed() ? Results{} : results;
}

static Results lowerRNN(Call &c) {
  return Recurrence(c, 1, 1, {"Tanh"})
      .lower([](Recurrence &r, SymbolicTensor *x,
                ArrayRef<SymbolicTensor *> states) -> Values {
        return {r.gate(0, r.o.add(x, r.recur(states[0], 0, 1)))};
      });
}

/// Gates: update, reset, hidden.
static Results lowerGRU(Call &c) {
  const bool resetsBehind = c.integer("linear_before_reset", 0) != 0;
  return Recurrence(c, 3, 1, {"Sigmoid", "Tanh"})
      .lower([&](Recurrence &r, SymbolicTensor *x,
                 ArrayRef<SymbolicTensor *> states) -> Values {
        Compose &o = r.o;
        SymbolicTensor *h = states[0];
        Results in = r.cut(x, 3), old = r.cut(r.recur(h, 0, 2), 2);
        if (in.empty() || old.empty())
          return {nullptr};
        SymbolicTensor *update = r.gate(0, o.add(in[0], old[0]));
        SymbolicTensor *reset = r.gate(0, o.add(in[1], old[1]));
        SymbolicTensor *recurred = resetsBehind
                                       ? o.mul(reset, r.recur(h, 2, 1))
                                       : r.recur(o.mul(reset, h), 2, 1);
        SymbolicTensor *fresh = r.gate(1, o.add(in[2], recurred));
        // (1 - update) * fresh + update * h
        return {o.add(fresh, o.mul(update, o.sub(h, fresh)))};
      });
}

/// Gates: input, output, forget, cell.
static Results lowerLSTM(Call &c) {
  return Recurrence(c, 4, 2, {"Sigmoid", "Tanh", "Tanh"})
      .lower([](Recurrence &r, SymbolicTensor *x,
                ArrayRef<SymbolicTensor *> states) -> Values {
        Compose &o = r.o;
        SymbolicTensor *cell = states[1];
        Results all = r.cut(o.add(x, r.recur(states[0], 0, 4)), 4);
        if (all.empty())
          return {nullptr, nullptr};
        auto peeped = [&](int64_t gate, SymbolicTensor *of) {
          SymbolicTensor *weight = r.peephole(gate);
          return weight ? o.add(all[gate], o.mul(weight, of)) : all[gate];
        };
        SymbolicTensor *input = r.gate(0, peeped(0, cell));
        SymbolicTensor *forget = r.gate(0, peeped(2, cell));
        SymbolicTensor *fresh = r.gate(1, all[3]);
        SymbolicTensor *next = o.add(o.mul(forget, cell), o.mul(input, fresh));
        SymbolicTensor *output = r.gate(0, peeped(1, next));
        // As ONNX Runtime has it, the cell is no gate.
        return {o.mul(output, r.activate(2, next)), next};
      });
}

ArrayRef<OperatorEntry> import::recurrentOperators() {
  static const OperatorEntry operators[] = {
      {"", "GRU", 3, 6, lowerGRU},
      {"", "LSTM", 3, 8, lowerLSTM},
      {"", "RNN", 3, 6, lowerRNN},
  };
  return operators;
}
