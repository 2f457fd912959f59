//===- waferloom-level2.cpp - Look at and run levels 1 and 2 --------------===//
//
// For tests only. Prints what import makes of a model, or compiles level 2 with
// upstream's JIT and runs the steps that a folder describes (Execute.h).
//
//===----------------------------------------------------------------------===//

#include "Execute.h"
#include "waferloom/Import/Import.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

namespace cl = llvm::cl;
using namespace waferloom;

static cl::opt<std::string>
    input(cl::Positional, cl::Required,
          cl::desc("<model.onnx | model.onnxtxt | level-2.mlir>"));
static cl::opt<std::string> emit("emit", cl::init("tensors"),
                                 cl::desc("onnx, tensors, or nothing"));
static cl::opt<std::string> run("run", cl::desc("folder with steps to run"));
static cl::opt<int64_t> contextSize("context", cl::init(0));
static cl::list<int64_t> chunks("chunk");
static cl::list<std::string> dims("dim", cl::desc("NAME=SIZE"));
static cl::list<std::string> states("state", cl::desc("PAST=PRESENT"));
static cl::list<std::string> sets("set", cl::desc("INPUT=VALUE"));
static cl::opt<bool> mistakeCapacity("mistake-shape-is-capacity");
static cl::opt<bool> mistakePadding("mistake-padding-is-kept");

static import::Options optionsOf() {
  import::Options options;
  if (contextSize)
    options.context = contextSize;
  options.chunks.assign(chunks.begin(), chunks.end());
  for (llvm::StringRef entry : dims) {
    auto [name, size] = entry.rsplit('=');
    int64_t value = 0;
    size.getAsInteger(10, value);
    options.dims.push_back({name.str(), value});
  }
  for (llvm::StringRef entry : states) {
    auto [past, present] = entry.split('=');
    options.states.push_back({past.str(), present.str()});
  }
  for (llvm::StringRef entry : sets) {
    auto [name, text] = entry.rsplit('=');
    double value = 0;
    text.getAsDouble(value);
    options.sets.push_back({name.str(), value});
  }
  options.mistakeShapeIsCapacity = mistakeCapacity;
  options.mistakePaddingIsKept = mistakePadding;
  return options;
}

/// Level 1, or level 2 if the input is text of it.
static mlir::OwningOpRef<mlir::ModuleOp> read(mlir::MLIRContext &context) {
  llvm::StringRef path = input;
  if (path.ends_with(".mlir"))
    return mlir::parseSourceFile<mlir::ModuleOp>(path, &context);
  if (!path.ends_with(".onnxtxt"))
    return import::importOnnx(path, &context);
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
  if (!buffer) {
    llvm::errs() << path << ": " << buffer.getError().message() << "\n";
    return nullptr;
  }
  return import::importOnnxText((*buffer)->getBuffer(), path, &context);
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  cl::ParseCommandLineOptions(argc, argv, "levels 1 and 2 of a model\n");
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  import::loadDialects(context);
  mlir::ScopedDiagnosticHandler handler(&context, [](mlir::Diagnostic &found) {
    llvm::errs() << found.getLocation() << ": "
                 << (found.getSeverity() == mlir::DiagnosticSeverity::Error
                         ? "error: "
                         : "warning: ")
                 << found << "\n";
    for (mlir::Diagnostic &note : found.getNotes())
      llvm::errs() << "note: " << note << "\n";
  });
  auto onnx = read(context);
  if (!onnx)
    return 1;
  bool isLevel2 = !onnx->getOps<mlir::func::FuncOp>().empty();
  mlir::OwningOpRef<mlir::ModuleOp> module =
      emit == "onnx" || isLevel2 ? std::move(onnx)
                                 : import::lowerOnnx(*onnx, optionsOf());
  if (!module || mlir::failed(mlir::verify(*module)))
    return 1;
  if (!run.empty())
    return mlir::failed(level2::execute(*module, run));
  if (emit != "nothing")
    module->print(llvm::outs());
  return 0;
}
