//===- compare-levels.cpp - Partitioning changes no number ----------------===//
//
// compare-levels FILE [--grids=1x1,5x3] [--position=P] [--sram=BYTES]
// [--reroll=0] [--disable-rewrite=NAME]
//
// Runs every entry of a level-2 module, then partitions it for each grid, runs
// all PEs of level 4, and compares outputs and states.
//
// compare-levels FILE --lowered=FILE
//
// The same with a module that was saved at level 3 or 4: status 2 if it
// computes something else.
//
//===----------------------------------------------------------------------===//

#include "Interpreter.h"

#include "waferloom/Algebra/Passes.h"
#include "waferloom/Algebra/Rewrites.h"
#include "waferloom/Compile/Pipelines.h"
#include "waferloom/Dialect/Wafer/Stages.h"
#include "waferloom/Partition/PartitionOpInterfaces.h"
#include "waferloom/Partition/Passes.h"
#include "waferloom/Target/TargetAttr.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/SourceMgr.h"

#include <cmath>

using namespace mlir;
using namespace waferloom;

static llvm::cl::opt<std::string> file(llvm::cl::Positional,
                                       llvm::cl::Required);
static llvm::cl::opt<std::string> lowered("lowered");
static llvm::cl::list<std::string> grids("grids", llvm::cl::CommaSeparated);
static llvm::cl::opt<int64_t> position("position", llvm::cl::init(3));
static llvm::cl::opt<int64_t> sram("sram", llvm::cl::init(1 << 24));
static llvm::cl::opt<bool> reroll("reroll", llvm::cl::init(true));
static llvm::cl::list<std::string> disabled("disable-rewrite");
static llvm::cl::opt<bool> verbose("v");
static llvm::cl::opt<bool> print("print");

/// The largest difference relative to the largest number; NaN if one side has
/// one that the other has not.
static double getDifference(const std::map<std::string, interpret::Tensor> &a,
                            const std::map<std::string, interpret::Tensor> &b) {
  double worst = 0;
  for (const auto &[name, tensor] : a) {
    double largest = 1e-30, difference = 0;
    const auto &other = b.at(name).data;
    if (other.size() != tensor.data.size())
      return NAN;
    for (size_t i = 0; i < other.size(); ++i) {
      if (tensor.data[i] == other[i])
        continue; // infinities too
      double d = std::fabs(tensor.data[i] - other[i]);
      if (std::isnan(d))
        return NAN;
      largest = std::max(largest, std::fabs(tensor.data[i]));
      difference = std::max(difference, d);
    }
    if (verbose)
      llvm::errs() << "  " << name << ": "
                   << llvm::format("%.1e", difference / largest) << "\n";
    worst = std::max(worst, difference / largest);
  }
  return worst;
}

using Worlds = std::map<std::string, interpret::World>;

/// Of kinds of stages those of the first, which run the other's.
static SmallVector<func::FuncOp> entriesOf(ModuleOp module) {
  return llvm::to_vector(
      wafer::getKinds(module).front().getOps<func::FuncOp>());
}

/// What every entry of level 2 computes.
static FailureOr<Worlds> runLevel2(ModuleOp source) {
  Worlds worlds;
  for (func::FuncOp entry : entriesOf(source)) {
    interpret::World world =
        interpret::createWorld(source, entry, 11, position);
    if (failed(interpret::run(entry, world)))
      return failure();
    worlds[entry.getName().str()] = world;
  }
  return worlds;
}

/// Runs all PEs of level 4 on the same numbers; prints how far they are off.
/// Returns whether they are not, or nothing after an error.
static std::optional<bool> compare(ModuleOp source, ModuleOp module,
                                   const Worlds &expected, StringRef where) {
  bool allRight = true;
  for (func::FuncOp entry : entriesOf(module)) {
    auto before = source.lookupSymbol<func::FuncOp>(entry.getName());
    if (!before) {
      entry.emitError("is not an entry of level 2");
      return std::nullopt;
    }
    interpret::World world =
        interpret::createWorld(source, before, 11, position);
    // Constants became weights on the way.
    interpret::World made = interpret::createWorld(module, entry, 11, position);
    for (const auto &[name, tensor] : made.weights)
      world.weights.try_emplace(name, tensor);
    interpret::readParts(module, world);
    if (failed(interpret::run(entry, world)))
      return std::nullopt;
    const interpret::World &reference = expected.at(entry.getName().str());
    double outputs = getDifference(reference.outputs, world.outputs);
    double states = getDifference(reference.states, world.states);
    bool right = outputs < 1e-4 && states < 1e-4;
    llvm::outs() << entry.getName() << " on " << where << ": "
                 << (right ? "equal" : "DIFFERENT") << ", outputs "
                 << llvm::format("%.1e", outputs) << ", states "
                 << llvm::format("%.1e", states) << "\n";
    allRight &= right;
  }
  return allRight;
}

/// A saved module; one of level 3 is brought to level 4.
static OwningOpRef<ModuleOp> readLowered(MLIRContext &context) {
  auto module = parseSourceFile<ModuleOp>(lowered, &context);
  if (!module)
    return nullptr;
  WalkResult found = module->walk([](Operation *op) {
    for (Type type : op->getResultTypes())
      if (wafer::getLayout(type))
        return WalkResult::interrupt();
    return WalkResult::advance();
  });
  PassManager manager(&context);
  manager.addPass(partition::createPartitionToPerPe());
  if (found.wasInterrupted())
    for (ModuleOp kind : wafer::getKinds(*module))
      if (failed(manager.run(kind)))
        return nullptr;
  return module;
}

int main(int argc, char **argv) {
  llvm::cl::ParseCommandLineOptions(argc, argv, "compare levels 2 and 4\n");
  DialectRegistry registry;
  registry
      .insert<arith::ArithDialect, func::FuncDialect, linalg::LinalgDialect,
              math::MathDialect, tensor::TensorDialect, wafer::WaferDialect>();
  algebra::registerOpModels(registry);
  partition::registerOpModels(registry);
  MLIRContext context(registry);
  auto source = parseSourceFile<ModuleOp>(file, &context);
  if (!source)
    return 1;
  FailureOr<Worlds> expected = runLevel2(*source);
  if (failed(expected))
    return 1;
  if (!lowered.empty()) {
    OwningOpRef<ModuleOp> module = readLowered(context);
    std::optional<bool> right =
        module ? compare(*source, *module, *expected, lowered) : std::nullopt;
    return right ? (*right ? 0 : 2) : 1;
  }
  int status = 0;
  for (const std::string &grid : grids) {
    partition::PartitionPlanOptions options;
    auto [w, h] = StringRef(grid).split('x');
    if (w.getAsInteger(10, options.width) || h.getAsInteger(10, options.height))
      return llvm::errs() << "bad grid " << grid << "\n", 1;
    OwningOpRef<ModuleOp> module = source->clone();
    target::setTarget(
        *module,
        llvm::cantFail(target::parse(
            llvm::formatv("grid-{0},sram={1}", grid, sram.getValue()).str())));
    CompileOptions prepare;
    prepare.disabledRewrites.assign(disabled.begin(), disabled.end());
    auto isOn = [&](StringRef rewrite) {
      return !llvm::is_contained(prepare.disabledRewrites, rewrite);
    };
    options.fusedCollectives = isOn(algebra::packedMessages);
    options.middleRoots = isOn(algebra::middleRoot);
    PassManager manager(&context);
    populatePreparePipeline(manager, prepare, reroll);
    manager.addPass(partition::createPartitionPlan(options));
    populatePerPePipeline(manager, prepare);
    if (failed(manager.run(*module)))
      return 1;
    if (print)
      module->print(llvm::outs());
    std::optional<bool> right = compare(*source, *module, *expected, grid);
    if (!right)
      return 1;
    status |= !*right;
  }
  return status;
}
