// The list of algorithms, in the order in which the first of equally cheap ones
// is taken.

#include "Algorithms.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVectorExtras.h"
#include "llvm/Support/ErrorHandling.h"

#include <utility>

using namespace waferloom::collectives;

static constexpr llvm::StringLiteral autoName = "auto";

static constexpr std::pair<Algorithm, const Rules *> table[] = {
    {Algorithm::Chain, &chainRules}, {Algorithm::Tree, &treeRules},
    {Algorithm::Star, &starRules},   {Algorithm::TwoPhase, &twoPhaseRules},
    {Algorithm::Ring, &ringRules},   {Algorithm::Grown, &grownRules},
};

const Rules &waferloom::collectives::rulesOf(Algorithm algorithm) {
  for (auto [known, rules] : table)
    if (known == algorithm)
      return *rules;
  llvm_unreachable("`auto` is no algorithm: it is chosen before anyone asks");
}

llvm::StringRef waferloom::collectives::nameOf(Algorithm algorithm) {
  return algorithm == Algorithm::Auto
             ? llvm::StringRef(autoName)
             : llvm::StringRef(rulesOf(algorithm).name);
}

std::optional<Algorithm>
waferloom::collectives::parseAlgorithm(llvm::StringRef name) {
  if (name == autoName)
    return Algorithm::Auto;
  for (auto [algorithm, rules] : table)
    if (rules->name == name)
      return algorithm;
  return std::nullopt;
}

llvm::SmallVector<Algorithm> waferloom::collectives::algorithms() {
  return llvm::map_to_vector(table, [](auto entry) { return entry.first; });
}

llvm::SmallVector<Algorithm>
waferloom::collectives::candidates(const Line &line) {
  llvm::SmallVector<Algorithm> found;
  for (auto [algorithm, rules] : table)
    if (line.length <= rules->longest &&
        !(rules->neighboursOnly && line.stride > 1))
      found.push_back(algorithm);
  return found;
}

bool waferloom::collectives::hasGroups(Algorithm algorithm) {
  return algorithm != Algorithm::Auto &&
         rulesOf(algorithm).group != Rules::Group::None;
}

unsigned waferloom::collectives::levelsOf(Algorithm algorithm) {
  return algorithm == Algorithm::Auto ? 0 : rulesOf(algorithm).mostLevels;
}

bool waferloom::collectives::countsWords(Algorithm algorithm) {
  return algorithm != Algorithm::Auto && rulesOf(algorithm).countsWords;
}
