//===- OperatorsEinsum.cpp - Products by letters --------------------------===//
//
// Every letter is a loop: a pair of operands is one generic that multiplies and
// adds, as a matrix product is. More than two are taken pair by pair.
//
//===----------------------------------------------------------------------===//

#include "Compose.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

#include <map>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

namespace {

/// An operand and the letters of its dimensions.
struct Letters {
  SymbolicTensor *value;
  std::string letters;
};

class Einsum {
public:
  explicit Einsum(Call &call) : c(call), o(call) {}
  SymbolicTensor *lower();

private:
  bool parse();
  bool spell(StringRef text, size_t rank, std::string &letters);
  Letters onDiagonals(Letters term);
  Letters summed(Letters term, const std::string &kept);
  Letters product(Letters a, Letters b, const std::string &kept);

  Call &c;
  Compose o;
  SmallVector<Letters> terms;
  std::string output;
  std::map<char, Expr> sizes;
  size_t ellipsis = 0; // dimensions of the longest
};

} // namespace

/// Dimensions of "..." are the digits; the last is 0.
bool Einsum::spell(StringRef text, size_t rank, std::string &letters) {
  auto [before, after] = text.split("...");
  const bool has = text.contains("...");
  const size_t named = text.size() - (has ? 3 : 0);
  if ((has ? named > rank : named != rank) || rank - named > 10)
    return c.refuse("'" + text + "' does not fit rank " + Twine(rank)), false;
  letters = before.str();
  for (size_t i = rank - named; i-- > 0;)
    letters += static_cast<char>('0' + i);
  if (has)
    letters += after.str();
  ellipsis = std::max(ellipsis, rank - named);
  return true;
}

bool Einsum::parse() {
  std::string equation;
  for (char letter : c.text("equation", ""))
    if (letter != ' ')
      equation += letter;
  auto [left, right] = StringRef(equation).split("->");
  SmallVector<StringRef> operands;
  left.split(operands, ',');
  if (operands.size() != c.inputs.size())
    return c.refuse("'" + equation + "' is for " + Twine(operands.size()) +
                    " operands"),
           false;
  std::map<char, int> uses;
  for (auto [text, input] : llvm::zip_equal(operands, c.inputs)) {
    Letters term{input, {}};
    if (!spell(text, input->rank(), term.letters))
      return false;
    for (auto [letter, size] : llvm::zip_equal(term.letters, input->shape)) {
      ++uses[letter];
      auto [known, isNew] = sizes.try_emplace(letter, size);
      Expr unit = c.math.constant(1);
      if (known->second == unit)
        known->second = size;
      if (!isNew && size != unit && known->second != size)
        return c.refuse(Twine("the sizes of '") + std::string(1, letter) +
                        "' differ"),
               false;
    }
    terms.push_back(term);
  }
  if (StringRef(equation).contains("->"))
    return spell(right,
                 right.contains("...") ? right.size() - 3 + ellipsis
                                       : right.size(),
                 output);
  for (size_t i = ellipsis; i-- > 0;)
    output += static_cast<char>('0' + i);
  for (auto [letter, count] : uses)
    if (count == 1 && !llvm::isDigit(letter))
      output += letter;
  return true;
}

/// A letter that occurs twice keeps what lies on the diagonal.
Letters Einsum::onDiagonals(Letters term) {
  for (size_t i = 0; i < term.letters.size() && term.value; ++i) {
    size_t again = term.letters.find(term.letters[i], i + 1);
    if (again == std::string::npos)
      continue;
    Sizes shape(term.value->rank(), c.math.constant(1));
    shape[i] = term.value->shape[i];
    shape[again] = term.value->shape[again];
    c.math.dims = shape;
    Expr same = c.math.equalZero(c.math.sub(c.math.dim(i), c.math.dim(again)));
    SymbolicTensor *on =
        c.lowering.fromFunction(shape, c.lowering.builder.getI1Type(), same);
    term.value = o("ReduceSum",
                   {o.where(on, term.value, o.constant(0)),
                    o.ints({static_cast<int64_t>(again)})},
                   o.attribute("keepdims", 0));
    term.letters.erase(again, 1);
    --i;
  }
  return term;
}

/// Sums over the letters that nobody else has.
Letters Einsum::summed(Letters term, const std::string &kept) {
  SmallVector<int64_t> axes;
  std::string left;
  for (auto [i, letter] : llvm::enumerate(term.letters))
    if (StringRef(kept).contains(letter))
      left += letter;
    else
      axes.push_back(i);
  if (!axes.empty())
    term.value =
        o("ReduceSum", {term.value, o.ints(axes)}, o.attribute("keepdims", 0));
  return {term.value, left};
}

Letters Einsum::product(Letters a, Letters b, const std::string &kept) {
  // The loops: what stays, in order, then what is summed.
  std::string loops;
  for (const std::string &letters : {a.letters, b.letters})
    for (char letter : letters)
      if (StringRef(kept).contains(letter) &&
          !StringRef(loops).contains(letter))
        loops += letter;
  const size_t stays = loops.size();
  for (char letter : a.letters)
    if (!StringRef(loops).contains(letter))
      loops += letter;
  SmallVector<bool> reduced(stays, false);
  reduced.resize(loops.size(), true);
  SmallVector<int64_t> extents;
  Sizes shape;
  for (auto [i, letter] : llvm::enumerate(loops)) {
    extents.push_back(c.lowering.capacity(sizes[letter]));
    if (i < stays)
      shape.push_back(sizes[letter]);
  }
  Operand operands[2];
  for (auto [term, operand] :
       llvm::zip_equal(ArrayRef<Letters>{a, b}, operands)) {
    SymbolicTensor *value = term.value;
    for (auto [i, letter] : llvm::enumerate(term.letters))
      if (value && !StringRef(kept).contains(letter) &&
          c.lowering.isBounded(value->shape[i]))
        value = c.lowering.maskPadding(value, i, 0);
    const View *view = value ? c.lowering.viewOf(value) : nullptr;
    if (!view)
      return {nullptr, {}};
    operand.view = *view;
    for (char letter : term.letters)
      operand.to.push_back(static_cast<int>(loops.find(letter)));
  }
  auto result = c.lowering.contract(operands[0], operands[1], extents, reduced,
                                    a.value->type);
  if (!result)
    return {nullptr, {}};
  return {c.lowering.fromView(shape, a.value->type, std::move(*result)),
          loops.substr(0, stays)};
}

SymbolicTensor *Einsum::lower() {
  if (!parse())
    return nullptr;
  for (Letters &term : terms)
    if (!term.value->isFloat() || term.value->type != terms[0].value->type)
      return c.refuse("of values that are not floats of one type");
  for (Letters &term : terms)
    term = onDiagonals(term);
  auto neededBy = [&](size_t from) {
    std::string needed = output;
    for (const Letters &term : ArrayRef<Letters>(terms).drop_front(from))
      needed += term.letters;
    return needed;
  };
  if (o.failed())
    return nullptr;
  Letters all = summed(terms[0], neededBy(1));
  for (size_t i = 1; i < terms.size() && all.value; ++i) {
    Letters next = summed(terms[i], all.letters + neededBy(i + 1));
    if (o.failed())
      return nullptr;
    all = product(all, next, neededBy(i + 1));
  }
  if (!all.value)
    return nullptr;
  SmallVector<int64_t> order;
  for (char letter : output) {
    size_t at = all.letters.find(letter);
    if (at == std::string::npos)
      return c.refuse("no operand has '" + std::string(1, letter) + "'");
    order.push_back(static_cast<int64_t>(at));
  }
  return transposed(c, all.value, order);
}

static Results lowerEinsum(Call &c) { return one(Einsum(c).lower()); }

ArrayRef<OperatorEntry> import::einsumOperators() {
  static const OperatorEntry table[] = {
      // domain, operator, fewest and most inputs, function
      {"", "Einsum", 1, OperatorEntry::anyNumber, lowerEinsum},
  };
  return table;
}
