//===- Unsupported.cpp - Nodes that import does not lower -----------------===//

#include "Unsupported.h"

#include "KnownOperators.h"
#include "Operators.h"
#include "waferloom/Import/Import.h"

#include "llvm/ADT/StringSet.h"

#include <tuple>
#include <vector>

using namespace mlir;
using namespace waferloom;
using namespace waferloom::import;

std::string import::describeNode(onnx::NodeOp node) {
  std::string op = node.getOperatorType().str();
  if (node.getBodyOf())
    op += ", in the body of " + node.getBodyOf()->str();
  auto loc = dyn_cast<NameLoc>(node.getLoc());
  return "node '" + (loc ? loc.getName().str() : "") + "' (" + op + ")";
}

StringRef import::reasonAgainst(StringRef domain, StringRef name) {
  static const struct {
    StringRef reason;
    std::vector<StringRef> names;
  } reasons[] = {
      {"the size of its result depends on data",
       {"Compress", "NonMaxSuppression", "Unique"}},
      {"its values are no tensors",
       {"ConcatFromSequence", "Optional", "OptionalGetElement",
        "OptionalHasElement", "SequenceAt", "SequenceConstruct",
        "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceLength",
        "SequenceMap", "SplitToSequence"}},
      {"the machine has no strings",
       {"RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit",
        "TfIdfVectorizer"}},
      {"a program draws no random numbers but tokens",
       {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike",
        "RandomUniform", "RandomUniformLike"}},
      {"it reads files of images", {"ImageDecoder"}},
  };
  if (domain == "com.microsoft")
    return "a model that no optimizer of a runtime went through is without it";
  if (!domain.empty())
    return "a function of the file is taken, where one gives it a body";
  for (const auto &[reason, names] : reasons)
    if (llvm::is_contained(names, name))
      return reason;
  return {};
}

/// Why a node cannot be lowered whatever its operands are; empty if nothing is
/// known against it.
static std::string refusalOf(onnx::NodeOp node) {
  const OperatorEntry *entry =
      findOperator(node.getDomain(), node.getOperatorType());
  if (!entry)
    return "the operator is not supported";
  const auto inputs = static_cast<unsigned>(node.getInputs().size());
  if (inputs < entry->minInputs || inputs > entry->maxInputs)
    return "has " + std::to_string(inputs) + " inputs";
  for (Value input :
       node.getInputs().take_front(std::min(inputs, entry->neededInputs())))
    if (input.getDefiningOp<onnx::AbsentOp>())
      return "leaves out an input it needs";
  return {};
}

static std::vector<std::string> unsupportedNodes(onnx::GraphOp graph) {
  std::vector<std::string> unsupported;
  for (auto node : graph.getBody().getOps<onnx::NodeOp>()) {
    std::string why = refusalOf(node);
    StringRef domain = node.getDomain();
    StringRef reason;
    if (!findOperator(domain, node.getOperatorType()))
      reason = reasonAgainst(domain, node.getOperatorType());
    if (!why.empty())
      unsupported.push_back(describeNode(node) + ": " + why + " (domain " +
                            (domain.empty() ? "ai.onnx" : domain).str() +
                            ", version " + std::to_string(node.getVersion()) +
                            ")" + (reason.empty() ? "" : "; " + reason.str()));
  }
  return unsupported;
}

std::vector<std::string> import::unsupportedNodes(ModuleOp module) {
  std::vector<std::string> all;
  for (auto graph : module.getOps<onnx::GraphOp>())
    llvm::append_range(all, ::unsupportedNodes(graph));
  return all;
}

LogicalResult import::checkOperators(onnx::GraphOp graph) {
  std::vector<std::string> unsupported = ::unsupportedNodes(graph);
  if (unsupported.empty())
    return success();
  InFlightDiagnostic diagnostic = emitError(graph.getLoc());
  diagnostic << unsupported.front();
  for (const std::string &other : ArrayRef(unsupported).drop_front())
    diagnostic.attachNote() << other;
  if (unsupported.size() > 1)
    diagnostic.attachNote()
        << unsupported.size() << " nodes of this model are not supported";
  return failure();
}

std::vector<OperatorSupport> import::operatorSupport() {
  using How = OperatorSupport::How;
  std::vector<OperatorSupport> all;
  llvm::StringSet<> standard;
  for (const KnownOperator &known : knownOperators()) {
    standard.insert(known.name);
    const bool isNative = findOperator("", known.name) ||
                          llvm::is_contained({"Constant", "If", "Loop", "Scan"},
                                             StringRef(known.name));
    all.push_back({isNative        ? How::Native
                   : known.hasBody ? How::Body
                                   : How::Refused,
                   "", known.name, known.version,
                   reasonAgainst("", known.name).str()});
  }
  std::vector<OperatorSupport> others;
  for (const OperatorEntry &entry : operatorTable())
    if (!entry.domain.empty() || !standard.contains(entry.name))
      others.push_back(
          {How::Native, entry.domain.str(), entry.name.str(), 0, {}});
  llvm::sort(others, [](const auto &a, const auto &b) {
    return std::tie(a.domain, a.name) < std::tie(b.domain, b.name);
  });
  llvm::append_range(all, others);
  return all;
}
