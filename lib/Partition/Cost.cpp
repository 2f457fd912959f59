// What a split costs: cycles of the local arithmetic (issue, then elements over
// the rate), cycles of collectives in closed form, bytes per PE. The forms are
// those of T = max(contention, energy / links) + distance + ramps, with the
// ramps and links of the machine; docs/partition.md has the table.

#include "Cost.h"

#include "waferloom/Format/Packing.h"
#include "waferloom/Target/Resources.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

using namespace waferloom;
using namespace waferloom::partition;
using llvm::ArrayRef;
using llvm::SmallVector;
using wafer::Axis;

Axes::Axes(const Factors &factors, int64_t mostHops, bool middleRoots,
           machine::LinkCosts links)
    : factors(factors), mostHops(mostHops), middleRoots(middleRoots),
      links(links) {
  for (auto direction : {Axis::X, Axis::Y}) {
    const auto &sizes = direction == Axis::X ? factors.x : factors.y;
    for (size_t i = 0; i < sizes.size(); ++i) {
      Axis axis;
      axis.direction = direction;
      if (sizes.size() > 1)
        axis.number = static_cast<int8_t>(i);
      axes.push_back(axis);
    }
  }
}

int64_t Axes::getSize(Axis axis) const {
  const auto &sizes = axis.direction == Axis::X ? factors.x : factors.y;
  return sizes[axis.number == Axis::whole ? 0 : axis.number];
}

int64_t Axes::getSize(ArrayRef<Axis> along) const {
  int64_t size = 1;
  for (Axis axis : along)
    size *= getSize(axis);
  return size;
}

int64_t Axes::getStride(Axis axis) const {
  const auto &sizes = axis.direction == Axis::X ? factors.x : factors.y;
  int64_t stride = 1;
  if (axis.number != Axis::whole)
    for (size_t i = axis.number + 1; i < sizes.size(); ++i)
      stride *= sizes[i];
  return stride;
}

/// One arm of `p` PEs, the root included, `hop` apart; `words` of each share
/// the links with `hop` - 1 other groups. Chains and stars can interleave; of
/// neighbours a grown tree is best, whose first word is behind by what six
/// links and a little more than one message take, however long it is
/// (docs/collectives.md).
static double getArmCycles(const machine::LinkCosts &links, int64_t p,
                           double words, double hop) {
  if (p <= 1)
    return 0;
  double b = words * hop, length = (p - 1) * hop * links.hop;
  auto step = static_cast<double>(links.getLink(0));
  double chain = b + length + step * (p - 1);
  double star = b * (p - 1) + step + length - (p - 1);
  if (hop > 1)
    return std::min(chain, star);
  double grown = b + length + 6 * step + 1.2 * b;
  return std::min({chain, star, grown});
}

/// The axes of `along` in one direction as a line: PEs and hops between them.
static std::pair<int64_t, int64_t>
getLine(const Axes &axes, ArrayRef<Axis> along, Axis::Direction direction) {
  int64_t size = 1, hop = 0;
  for (Axis axis : along)
    if (axis.direction == direction) {
      size *= axes.getSize(axis);
      int64_t stride = axes.getStride(axis);
      hop = hop ? std::min(hop, stride) : stride;
    }
  return {size, std::max<int64_t>(hop, 1)};
}

double partition::getAllReduceCycles(const Axes &axes, ArrayRef<Axis> along,
                                     int64_t words) {
  double total = 0;
  for (auto direction : {Axis::X, Axis::Y}) {
    auto [size, hop] = getLine(axes, along, direction);
    if (size == 1)
      continue;
    if (hop > axes.getMostHops())
      return impossibleCycles;
    int64_t arm = axes.hasMiddleRoots() ? size / 2 + 1 : size;
    double shared = static_cast<double>(words) * hop;
    total += getArmCycles(axes.getLinks(), arm, words, hop);
    if (size > 2 && axes.hasMiddleRoots())
      total += shared; // the second arm enters the root
    total += shared + axes.getLinks().getTravel((arm - 1) * hop);
  }
  return total;
}

double partition::getGatherCycles(const Axes &axes, ArrayRef<Axis> along,
                                  int64_t words) {
  double total = 0;
  for (auto direction : {Axis::X, Axis::Y}) {
    auto [size, hop] = getLine(axes, along, direction);
    if (size > 1 && hop > axes.getMostHops())
      return impossibleCycles;
    if (size > 1)
      total += 2.0 * words * hop + size * hop * axes.getLinks().hop +
               2 * axes.getLinks().getLink(0);
  }
  return total;
}

Costs::Costs(const Problem &problem, const Factors &factors)
    : problem(problem), axes(factors, problem.mostHops, problem.middleRoots,
                             machine::MachineModel(problem.target).getLinks()) {
}

std::vector<int64_t> Costs::getPadded(const Assignment &assignment) const {
  // Classes of one padding number share the least size that all can divide.
  SmallVector<int64_t, 128> multiple(problem.classes.size(), 1);
  for (auto [i, entry] : llvm::enumerate(problem.classes))
    if (assignment[i] && !assignment[i]->empty())
      multiple[entry.padding] =
          std::lcm(multiple[entry.padding], axes.getSize(*assignment[i]));
  std::vector<int64_t> padded;
  padded.reserve(problem.classes.size());
  for (const DimClass &entry : problem.classes)
    padded.push_back(llvm::alignTo(entry.size, multiple[entry.padding]));
  return padded;
}

int64_t Costs::getExtent(int index, const Assignment &assignment,
                         ArrayRef<int64_t> padded) const {
  return assignment[index] ? padded[index] / axes.getSize(*assignment[index])
                           : 1;
}

int64_t Costs::getWords(const TensorShape &shape, const Assignment &assignment,
                        ArrayRef<int64_t> padded) const {
  int64_t words = 1;
  for (int index : shape.classes)
    words *= getExtent(index, assignment, padded);
  return words;
}

int64_t Costs::getLeastWords(const TensorShape &shape,
                             const Assignment &assignment,
                             ArrayRef<int64_t> padded) const {
  int64_t words = 1, open = 1, cores = problem.width * problem.height;
  for (int index : shape.classes) {
    if (assignment[index]) {
      words *= getExtent(index, assignment, padded);
      cores /= axes.getSize(*assignment[index]);
    } else {
      open *= problem.classes[index].size;
    }
  }
  // At best the dimensions still open share the axes still free.
  return words * llvm::divideCeil(open, std::max<int64_t>(cores, 1));
}

/// As code generation has it: for each element of one operand, an fma with a
/// vector of the other, few of them written out and more in a loop; or all
/// products at once, and halves of them added to each other.
double Costs::getProductCycles(const Work &work, int64_t elements,
                               int64_t results, const Assignment &assignment,
                               ArrayRef<int64_t> padded) const {
  using machine::Opcode;
  using machine::Type;
  const machine::MachineModel machine(problem.target);
  const int64_t fma = machine.getRate(Opcode::fma, Type::f32),
                add = machine.getRate(Opcode::add, Type::f32),
                convert = machine.getRate(Opcode::convert, Type::f32);
  auto cyclesOf = [&](int64_t count, int64_t rate) {
    return machine.getInstructionCycles(count, rate);
  };
  int64_t most = 0, all = 0;
  for (const TensorShape &factor : work.factors) {
    int64_t words = getWords(factor, assignment, padded);
    most = std::max(most, words);
    all += words;
  }
  // One factor is rounded to f16, or the other one is widened.
  int64_t begin = work.halves == 1   ? cyclesOf(most, convert)
                  : work.halves == 2 ? cyclesOf(all - most, convert)
                                     : 0;
  int64_t rate = work.halves == 2 ? machine.getRate(Opcode::fma, Type::f32,
                                                    Type::f32, Type::f16)
                                  : fma;
  int64_t rounds = llvm::Log2_64_Ceil(llvm::divideCeil(elements, results));
  int64_t best = cyclesOf(elements, fma) +
                 std::min<int64_t>(elements + 2 * machine.getIssue(),
                                   rounds * machine.getIssue() +
                                       machine.getVectorCycles(elements, add)) +
                 (work.halves == 2 ? cyclesOf(most, convert) : 0);
  for (const TensorShape &factor : work.factors) {
    int64_t times = getWords(factor, assignment, padded);
    int64_t each =
        cyclesOf(llvm::divideCeil(elements, times), rate) +
        (times > target::mostRowsWrittenOut ? machine.getRewrite() : 0);
    best = std::min(best, times * each);
  }
  return static_cast<double>(begin + best);
}

int64_t Costs::getPackedBytes(const PackedWeight &weight,
                              const TensorShape &shape,
                              const Assignment &assignment,
                              ArrayRef<int64_t> padded) const {
  const int64_t elements = getLeastWords(shape, assignment, padded);
  const BlockFormat &format = weight.format;
  const int64_t codes =
      2 * packedWords(elements, static_cast<int64_t>(format.bits));
  SmallVector<PackedDim> dims;
  for (auto [index, stride] : llvm::zip_equal(shape.classes, weight.strides)) {
    if (!assignment[index])
      return codes;
    const DimClass &dim = problem.classes[index];
    dims.push_back({dim.size, stride,
                    dim.cyclic ? 1 : getExtent(index, assignment, padded)});
  }
  int64_t groups = elements;
  for (int64_t group : groupsOf(format, dims, weight.at))
    groups /= group;
  const int64_t scale = format.halfScales ? 2 : shape.elementBytes,
                zero = format.zeros == BlockFormat::Zeros::packed   ? 2
                       : format.zeros == BlockFormat::Zeros::scaled ? scale
                                                                    : 0;
  return std::min(codes + groups * (scale + zero),
                  elements * shape.elementBytes);
}

/// As code generation has it: planes of the words are shifted, masked and given
/// a bias, which is taken off again; then come scales.
double Costs::getUnpackingCycles(const Unpacking &unpacking,
                                 const Assignment &assignment,
                                 ArrayRef<int64_t> padded) const {
  const TensorShape &shape = unpacking.shape;
  const BlockFormat &format = unpacking.weight.format;
  const int64_t elements = getWords(shape, assignment, padded);
  if (getPackedBytes(unpacking.weight, shape, assignment, padded) >=
      elements * shape.elementBytes)
    return 0; // numbers lie there
  using machine::Opcode;
  using machine::Type;
  const machine::MachineModel machine(problem.target);
  const auto planes = 16 / static_cast<int64_t>(format.bits);
  const int64_t words = llvm::divideCeil(elements, planes);
  int64_t cycles = 0;
  auto addOf = [&](int64_t count, Opcode op, Type to, Type from) {
    cycles += machine.getInstructionCycles(count,
                                           machine.getRate(op, to, from, from));
  };
  auto add = [&](Opcode op, Type to, Type from) {
    addOf(elements, op, to, from);
  };
  if (format.code == BlockFormat::Code::integer) {
    // Those of a byte in place, the upper byte shifted down to them.
    const bool areOwn = format.zeros == BlockFormat::Zeros::packed;
    addOf(words, Opcode::shr, Type::f16, Type::f16);
    for (int64_t i = 0; i < planes / 2; ++i)
      for (Opcode op : {Opcode::bit_and, Opcode::bit_or, Opcode::sub})
        if (op != Opcode::sub || i > 0 || !areOwn)
          addOf(2 * words, op, Type::f16, Type::f16);
    if (areOwn)
      add(Opcode::sub, Type::f16, Type::f16);
  } else {
    for (const auto &pieces : planesOf(format.code))
      for (auto [i, piece] : llvm::enumerate(pieces)) {
        if (piece.up)
          addOf(words, Opcode::shl, Type::f16, Type::f16);
        addOf(words, Opcode::bit_and, Type::f16, Type::f16);
        if (i > 0)
          addOf(words, Opcode::bit_or, Type::f16, Type::f16);
      }
  }
  const bool toSingles = shape.elementBytes == 4;
  const Type scales = toSingles && !format.halfScales ? Type::f32 : Type::f16;
  add(Opcode::mul, scales, scales);
  if (toSingles)
    add(Opcode::convert, Type::f32, Type::f16);
  return static_cast<double>(cycles);
}

Costs::WorkCost Costs::getCost(const Work &work, const Assignment &assignment,
                               ArrayRef<int64_t> padded) const {
  WorkCost cost;
  if (work.change) {
    auto [from, to] = *work.change;
    const auto &source = *assignment[from], &target = *assignment[to];
    if (source == target || source.empty())
      return cost; // a slice is free
    cost.along = source;
    cost.words = getWords(work.buffers.front(), assignment, padded) *
                 axes.getSize(target);
    cost.collective = getGatherCycles(axes, cost.along, cost.words);
    return cost;
  }
  int64_t parallel = 1, reduction = 1;
  for (int index : work.parallel)
    parallel *= getExtent(index, assignment, padded);
  for (int index : work.reduction) {
    reduction *= getExtent(index, assignment, padded);
    llvm::append_range(cost.along, *assignment[index]);
  }
  cost.cycles = work.factors.empty()
                    ? work.cyclesPerElement *
                          (problem.target.issue_cycles + parallel * reduction)
                    : getProductCycles(work, parallel * reduction, parallel,
                                       assignment, padded);
  for (const Unpacking &unpacking : work.unpackings)
    cost.cycles += getUnpackingCycles(unpacking, assignment, padded);
  llvm::sort(cost.along);
  if (!cost.along.empty()) {
    cost.words = parallel;
    cost.collective = getAllReduceCycles(axes, cost.along, parallel);
  }
  return cost;
}

int64_t Costs::getBytes(const Assignment &assignment,
                        ArrayRef<int64_t> padded) const {
  auto decided = [&](const TensorShape &shape) {
    return llvm::all_of(shape.classes, [&](int index) {
      return assignment[index].has_value();
    });
  };
  int64_t once = 0, repeated = 0, largest = 0;
  const int64_t sharing = std::max<int64_t>(problem.stages - 1, 1);
  for (const Stored &entry : problem.stored)
    (entry.repeated ? repeated : once) +=
        (entry.repeated ? llvm::divideCeil(entry.count, sharing)
                        : entry.count) *
        (entry.packed
             ? getPackedBytes(*entry.packed, entry.shape, assignment, padded)
             : entry.shape.elementBytes *
                   getLeastWords(entry.shape, assignment, padded));
  for (const Work &work : problem.works) {
    int64_t bytes = 0;
    for (const TensorShape &shape : work.buffers)
      if (decided(shape))
        bytes += shape.elementBytes * getWords(shape, assignment, padded);
    largest = std::max(largest, bytes);
  }
  // Stage 0 holds what is not repeated, the others the rest.
  return (problem.stages > 1 ? std::max(once, repeated) : once + repeated) +
         largest;
}

void Costs::rank(const Assignment &assignment, LayoutPlan &plan) const {
  std::vector<int64_t> padded = getPadded(assignment);
  using Key = std::tuple<int, int, int, std::vector<Axis>, size_t>;
  std::map<Key, std::pair<int64_t, int64_t>> messages; // words, trips
  std::vector<int> depths;
  double gathers = 0;
  for (auto [number, work] : llvm::enumerate(problem.works)) {
    int depth = 0;
    for (int producer : work.producers)
      depth = std::max(depth, depths[producer]);
    WorkCost cost = getCost(work, assignment, padded);
    plan.computeCycles += cost.cycles * work.tripCount;
    if (!cost.along.empty()) {
      if (work.change) {
        gathers += cost.collective * work.tripCount;
        ++plan.messages;
      } else {
        auto &message = messages[Key(work.scope, depth, work.combiner,
                                     {cost.along.begin(), cost.along.end()},
                                     problem.fusedCollectives ? 0 : number)];
        message.first += cost.words;
        message.second = work.tripCount;
      }
      ++depth;
    }
    depths.push_back(depth);
  }
  plan.cycles = plan.computeCycles + gathers;
  for (const auto &[key, message] : messages) {
    plan.cycles += message.second *
                   getAllReduceCycles(axes, std::get<3>(key), message.first);
    ++plan.messages;
  }
  plan.bytes = getBytes(assignment, padded);
  plan.padded = std::move(padded);
  plan.axes.clear();
  for (const auto &entry : assignment)
    plan.axes.push_back(*entry);
}
