// Finds layers that repeat and rerolls them into one body with a trip count.
//
// Ops that compute are a sequence of kinds: what an op is, without the
// values and weights it reads. A model of n layers has a long run in which
// every op is of the kind of the op p behind it; p is the length of a layer.
// The first layer may hold ops that later layers share (a mask, the tables of
// rotations); it is matched backwards, skipping them, and they stay in front of
// the loop.
//
// A run is only a guess. It is a loop if each operand, from trip to trip, is
// computed in the same place of its own trip, or in the same place of the trip
// before (then it is carried), or is one value from outside, or some of them in
// turn (the masks of layers with and without a window: they are carried
// around), or a weight or state of its own. Among the places where a trip may
// begin, the one with the most trips and then the fewest carried values is
// taken.

#include "LayerOrder.h"
#include "Sameness.h"
#include "Truths.h"
#include "waferloom/Partition/PartitionOpInterfaces.h"
#include "waferloom/Partition/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/Sequence.h"
#include "llvm/ADT/SetVector.h"

#include <algorithm>
#include <set>

namespace waferloom::partition {
#define GEN_PASS_DEF_PARTITIONREROLL
#include "waferloom/Partition/Passes.h.inc"
} // namespace waferloom::partition

using namespace mlir;
using namespace waferloom;
using namespace waferloom::partition;

namespace {
/// A guess at a loop: ops[t * period + k] is op k of trip t.
struct Loop {
  std::vector<Operation *> ops;
  size_t period = 0, tripCount = 0;
  /// Carried values: what trip 0 reads, and the op and result of the body whose
  /// value the next trip reads in its place; or which other carried one it is,
  /// where trips read values from outside in turn.
  struct Carried {
    Value init;
    size_t op;
    unsigned result;
    std::optional<size_t> next = std::nullopt;
  };
  std::vector<Carried> carried;
  llvm::DenseMap<Operation *, size_t> indexOf; // into ops

  Operation *at(size_t trip, size_t k) const { return ops[trip * period + k]; }
  /// What each trip reads in one place.
  SmallVector<Value> operandsAt(size_t k, unsigned operand) const {
    SmallVector<Value> values;
    for (size_t t = 0; t < tripCount; ++t)
      values.push_back(at(t, k)->getOperand(operand));
    return values;
  }
  std::optional<size_t> findTurn(ArrayRef<Value> values) const;
  void addTurn(ArrayRef<Value> values);
};

class Reroller {
public:
  Reroller(Block &block, size_t fewestTrips)
      : block(block), fewestTrips(fewestTrips) {}

  /// Rerolls the best loop of the block; false if there is none.
  bool run();

private:
  void readSequence(Tables tables);
  std::optional<Loop> findLoop() const;
  bool findRun(size_t &start, size_t &length, size_t &period) const;
  std::vector<Operation *> extendBackwards(size_t start, size_t length,
                                           size_t period) const;
  bool check(Loop &loop) const;
  bool checkOperand(Loop &loop, size_t k, unsigned operand) const;
  bool checkUses(const Loop &loop) const;
  void build(const Loop &loop);

  Block &block;
  const size_t fewestTrips;
  std::vector<Operation *> sequence;
  std::vector<int> kinds; // equal for ops that are the same
};
} // namespace

void Reroller::readSequence(Tables tables) {
  sequence = inLayerOrder(block, tables);
  kinds.clear();
  using Known =
      std::pair<Operation *, int>; // the first of its kind, its number
  llvm::DenseMap<llvm::hash_code, SmallVector<Known>> known;
  int next = 0;
  auto number = [&](Operation *op) {
    // What enters, leaves or is rerolled already belongs to no layer.
    if (getRerolling(op) == Rerolling::Never)
      return next++;
    auto &alike = known[OperationEquivalence::computeHash(
        op, OperationEquivalence::ignoreHashValue,
        OperationEquivalence::ignoreHashValue,
        OperationEquivalence::IgnoreLocations)];
    for (auto [first, kind] : alike)
      if (isSameOp(first, op))
        return kind;
    alike.emplace_back(op, next);
    return next++;
  };
  for (Operation *op : sequence)
    kinds.push_back(number(op));
}

/// The longest run: `length` ops from `start` on are of the kind of the op
/// `period` behind them.
bool Reroller::findRun(size_t &start, size_t &length, size_t &period) const {
  size_t n = sequence.size(), saved = 0; // the longest run so far
  for (size_t p = 4; p <= n / 2; ++p) {
    size_t run = 0;
    for (size_t i = 0; i + p <= n; ++i) {
      bool same = i + p < n && kinds[i] == kinds[i + p];
      if (same) {
        ++run;
        continue;
      }
      if (run > saved && 2 * run >= p) {
        saved = run;
        start = i - run;
        length = run + p;
        period = p;
      }
      run = 0;
    }
  }
  return saved > 0;
}

/// The ops of the run, preceded by those in front of it that continue its
/// pattern backwards. Skipped ops must not read matched ones.
std::vector<Operation *> Reroller::extendBackwards(size_t start, size_t length,
                                                   size_t period) const {
  std::vector<Operation *> ops(sequence.begin() + start,
                               sequence.begin() + start + length);
  std::vector<Operation *> front;
  std::set<Operation *> skipped;
  for (size_t j = start; j-- > 0 && front.size() < period;) {
    Operation *op = sequence[j];
    int wanted = kinds[start + period - 1 - front.size()];
    bool feedsSkipped = llvm::any_of(op->getUsers(), [&](Operation *user) {
      Operation *here = block.findAncestorOpInBlock(*user);
      return here && skipped.count(here) != 0;
    });
    if (kinds[j] == wanted && !feedsSkipped)
      front.push_back(op);
    else
      skipped.insert(op);
  }
  std::reverse(front.begin(), front.end());
  ops.insert(ops.begin(), front.begin(), front.end());
  return ops;
}

/// Does a value exist before all trips?
static bool isOutside(const Loop &loop, Value value) {
  llvm::SetVector<Operation *> todo;
  todo.insert(value.getDefiningOp());
  for (size_t i = 0; i < todo.size(); ++i) {
    if (!todo[i] || loop.indexOf.count(todo[i]))
      return false;
    for (Value operand : todo[i]->getOperands())
      todo.insert(operand.getDefiningOp());
  }
  return true;
}

/// After how many trips they read the same values again, the same of each turn.
static size_t turnOf(ArrayRef<Value> values) {
  size_t turn = 1;
  while (!llvm::all_of(llvm::seq<size_t>(turn, values.size()), [&](size_t t) {
    return isSameValue(values[t - turn], values[t]);
  }))
    ++turn;
  return turn;
}

/// Do trips read a few different values in turn that exist before them?
static bool isTurn(const Loop &loop, ArrayRef<Value> values) {
  constexpr size_t mostCarried = 8;
  if (llvm::any_of(values, [&](Value value) {
        return loop.indexOf.count(value.getDefiningOp()) != 0;
      }))
    return false;
  const size_t turn = turnOf(values);
  return turn > 1 && turn <= mostCarried &&
         llvm::all_of(values, [&](Value value) {
           return value.getType() == values.front().getType() &&
                  isOutside(loop, value) && !isSource(value.getDefiningOp());
         });
}

/// The carried value that stands for values from outside that take turns.
std::optional<size_t> Loop::findTurn(ArrayRef<Value> values) const {
  const size_t turn = turnOf(values);
  for (size_t c = 0; c < carried.size(); ++c) {
    size_t at = c, matching = 0;
    while (matching < turn && carried[at].next &&
           isSameValue(carried[at].init, values[matching])) {
      at = *carried[at].next;
      ++matching;
    }
    if (matching == turn && at == c)
      return c;
  }
  return std::nullopt;
}

void Loop::addTurn(ArrayRef<Value> values) {
  if (findTurn(values))
    return;
  const size_t first = carried.size(), turn = turnOf(values);
  for (size_t i = 0; i < turn; ++i)
    carried.push_back({values[i], ops.size(), 0, first + (i + 1) % turn});
}

bool Reroller::checkOperand(Loop &loop, size_t k, unsigned operand) const {
  // The trip and place of the op that computes a value, if it is in the loop.
  auto find = [&](Value value) -> std::optional<std::pair<size_t, size_t>> {
    auto it = loop.indexOf.find(value.getDefiningOp());
    if (it == loop.indexOf.end())
      return std::nullopt;
    return std::pair(it->second / loop.period, it->second % loop.period);
  };
  Value first = loop.at(0, k)->getOperand(operand);
  auto origin = find(first);
  const SmallVector<Value> perTrip = loop.operandsAt(k, operand);
  const bool takesTurns = isTurn(loop, perTrip);
  if (takesTurns)
    loop.addTurn(perTrip);
  for (size_t t = 1; !takesTurns && t < loop.tripCount; ++t) {
    Value value = loop.at(t, k)->getOperand(operand);
    auto here = find(value);
    if (origin) {
      // Inside the trip: the same place of each trip.
      if (!here || here->first != t || here->second != origin->second ||
          cast<OpResult>(value).getResultNumber() !=
              cast<OpResult>(first).getResultNumber())
        return false;
      continue;
    }
    if (!here && isSameValue(first, value))
      continue; // from outside
    Operation *a = first.getDefiningOp(), *b = value.getDefiningOp();
    if (!here) {
      if (!a || !b || !isSource(a) || !isSource(b) || !sameSource(a, b))
        return false;
      continue;
    }
    // Carried from the trip before, always from the same place.
    if (here->first + 1 != t)
      return false;
    Loop::Carried carried{first, here->second,
                          cast<OpResult>(value).getResultNumber()};
    bool known = llvm::any_of(loop.carried, [&](const Loop::Carried &c) {
      return c.init == first && c.op == carried.op &&
             c.result == carried.result;
    });
    if (!known && t > 1)
      return false;
    if (!known)
      loop.carried.push_back(carried);
  }
  // Carried in one trip means carried in all.
  bool everCarried = false, always = true;
  for (size_t t = 1; t < loop.tripCount; ++t) {
    auto here = find(loop.at(t, k)->getOperand(operand));
    bool carried = !origin && here && here->first + 1 == t;
    everCarried |= carried;
    always &= carried;
  }
  return !everCarried || always;
}

/// After the loop only the last trip's carried values may be read.
bool Reroller::checkUses(const Loop &loop) const {
  const auto &tripOf = loop.indexOf;
  for (size_t i = 0; i < loop.period * loop.tripCount; ++i) {
    size_t trip = i / loop.period, k = i % loop.period;
    for (OpResult result : loop.ops[i]->getResults())
      for (Operation *user : result.getUsers()) {
        Operation *here = block.findAncestorOpInBlock(*user);
        auto it = tripOf.find(here);
        if (it != tripOf.end()) {
          if (it->second / loop.period > trip + 1)
            return false;
          continue;
        }
        bool carried = llvm::any_of(loop.carried, [&](const auto &c) {
          return c.op == k && c.result == result.getResultNumber();
        });
        if (trip + 1 != loop.tripCount || !carried)
          return false;
      }
  }
  return true;
}

bool Reroller::check(Loop &loop) const {
  for (size_t k = 0; k < loop.period; ++k)
    for (unsigned i = 0; i < loop.at(0, k)->getNumOperands(); ++i)
      if (!checkOperand(loop, k, i))
        return false;
  return checkUses(loop);
}

void Reroller::build(const Loop &loop) {
  Operation *last = loop.at(loop.tripCount - 1, loop.period - 1);
  OpBuilder builder(last->getContext());
  builder.setInsertionPointAfter(last);
  SmallVector<Value> inits;
  SmallVector<Type> types;
  SmallVector<Location> locs;
  for (const Loop::Carried &carried : loop.carried) {
    const bool areTruths = getElementTypeOrSelf(carried.init).isInteger(1);
    inits.push_back(areTruths ? asNumbers(builder, carried.init)
                              : carried.init);
    types.push_back(inits.back().getType());
    locs.push_back(carried.init.getLoc());
  }
  auto repeat = wafer::RepeatOp::create(
      builder, loop.at(0, 0)->getLoc(), types,
      builder.getI64IntegerAttr(static_cast<int64_t>(loop.tripCount)), inits);
  Block *body = builder.createBlock(&repeat.getBody(), {}, types, locs);
  IRMapping map;

  // A source of the body: per trip its own weight or state, else a copy.
  std::function<Value(ArrayRef<Value>)> makeSource =
      [&](ArrayRef<Value> perTrip) -> Value {
    Value first = perTrip.front();
    if (Value known = map.lookupOrNull(first))
      return known;
    Operation *op = first.getDefiningOp();
    bool same = llvm::all_equal(perTrip);
    if (isa<wafer::StoredOpInterface>(op) && isMemoryEffectFree(op) && same)
      return first; // one weight for all trips: read outside
    IRMapping operands;
    for (unsigned i = 0; i < op->getNumOperands(); ++i) {
      Value operand = op->getOperand(i);
      if (operand.getDefiningOp() && isSource(operand.getDefiningOp()))
        operands.map(operand, makeSource({operand}));
    }
    Operation *copy = builder.clone(*op, operands);
    SmallVector<Attribute> names;
    for (Value value : perTrip)
      if (auto stored = value.getDefiningOp<wafer::StoredOpInterface>())
        llvm::append_range(names, stored.getStoredNames());
    if (auto stored = dyn_cast<wafer::StoredOpInterface>(copy))
      stored.setStoredNames(builder.getArrayAttr(names));
    map.map(first, copy->getResult(0));
    return copy->getResult(0);
  };

  for (size_t k = 0; k < loop.period; ++k) {
    Operation *op = loop.at(0, k);
    Operation *copy = builder.clone(*op, map);
    for (unsigned i = 0; i < op->getNumOperands(); ++i) {
      SmallVector<Value> perTrip = loop.operandsAt(k, i);
      Value first = perTrip.front();
      if (isTurn(loop, perTrip)) {
        Value carried = body->getArgument(*loop.findTurn(perTrip));
        OpBuilder::InsertionGuard guard(builder);
        builder.setInsertionPoint(copy);
        copy->setOperand(i, getElementTypeOrSelf(first).isInteger(1)
                                ? asTruths(builder, carried)
                                : carried);
        continue;
      }
      // Which of the carried values this operand reads, by its second trip.
      for (auto [c, carried] : llvm::enumerate(loop.carried))
        if (!carried.next && carried.init == first &&
            perTrip[1] == loop.at(0, carried.op)->getResult(carried.result))
          copy->setOperand(i, body->getArgument(c));
      Operation *source = first.getDefiningOp();
      bool inside = llvm::is_contained(
          ArrayRef(loop.ops).take_front(loop.period), source);
      if (source && isSource(source) && !inside &&
          copy->getOperand(i) == first) {
        OpBuilder::InsertionGuard guard(builder);
        builder.setInsertionPoint(copy);
        copy->setOperand(i, makeSource(perTrip));
      }
    }
    for (auto [from, to] : llvm::zip(op->getResults(), copy->getResults()))
      map.map(from, to);
  }
  SmallVector<Value> yielded;
  for (const Loop::Carried &carried : loop.carried)
    yielded.push_back(
        carried.next
            ? Value(body->getArgument(*carried.next))
            : map.lookup(loop.at(0, carried.op)->getResult(carried.result)));
  wafer::YieldOp::create(builder, repeat.getLoc(), yielded);

  for (auto [i, carried] : llvm::enumerate(loop.carried))
    if (!carried.next)
      loop.at(loop.tripCount - 1, carried.op)
          ->getResult(carried.result)
          .replaceUsesWithIf(repeat.getResult(i), [&](OpOperand &use) {
            return !llvm::is_contained(
                loop.ops, block.findAncestorOpInBlock(*use.getOwner()));
          });
  for (size_t i = loop.tripCount * loop.period; i-- > 0;)
    loop.ops[i]->erase();
}

/// The best loop of the sequence.
std::optional<Loop> Reroller::findLoop() const {
  size_t start, length, period;
  if (!findRun(start, length, period))
    return std::nullopt;
  std::vector<Operation *> ops = extendBackwards(start, length, period);
  std::optional<Loop> best;
  for (size_t phase = 0; phase < period; ++phase) {
    Loop loop;
    loop.period = period;
    loop.tripCount = (ops.size() - phase) / period;
    if (loop.tripCount < fewestTrips ||
        (best && loop.tripCount < best->tripCount))
      break;
    loop.ops.assign(ops.begin() + phase,
                    ops.begin() + phase + loop.tripCount * period);
    for (auto [i, op] : llvm::enumerate(loop.ops))
      loop.indexOf[op] = i;
    if (check(loop) && (!best || loop.tripCount > best->tripCount ||
                        loop.carried.size() < best->carried.size()))
      best = loop;
  }
  return best;
}

bool Reroller::run() {
  std::optional<Loop> best;
  for (Tables tables : {Tables::OfALayer, Tables::RowsShared, Tables::Shared}) {
    readSequence(tables);
    if (std::optional<Loop> loop = findLoop();
        loop && (!best || loop->ops.size() > best->ops.size()))
      best = std::move(loop);
  }
  if (!best)
    return false;
  build(*best);
  return true;
}

namespace {
struct PartitionReroll : partition::impl::PartitionRerollBase<PartitionReroll> {
  using PartitionRerollBase::PartitionRerollBase;

  void runOnOperation() override {
    Block &block = getOperation().getBody().front();
    if (!Reroller(block, std::max<int64_t>(fewestTrips, 2)).run())
      return;
    // Sources that only the rerolled layers read are read by nobody now.
    SmallVector<Operation *> ops;
    for (Operation &op : block)
      ops.push_back(&op);
    for (Operation *op : llvm::reverse(ops))
      if (isSource(op) && op->use_empty())
        op->erase();
  }
};
} // namespace
