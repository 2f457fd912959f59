// The text of a level. What is written can be read by whoever has the files of
// the weights; what is read was perhaps written by hand, so nothing of it is
// believed.

#include "Levels.h"

#include "waferloom/Dialect/Core/Core.h"
#include "waferloom/Dialect/Fabric/Fabric.h"
#include "waferloom/Dialect/Onnx/Onnx.h"
#include "waferloom/Dialect/Wafer/Stages.h"
#include "waferloom/Files/Output.h"

#include "mlir/AsmParser/AsmParser.h"
#include "mlir/AsmParser/AsmParserState.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
using namespace waferloom;

/// `blocks` with the files that `visit` gives.
template <typename Blocks>
static Blocks visitBlocks(Operation *op, Blocks blocks, VisitFile visit) {
  StringAttr zeros = blocks.getZerosFile(), scales = blocks.getScalesFile();
  const BlockFormat format = blocks.getFormat();
  const uint64_t scalesAt = blocks.getScalesAt(), zerosAt = blocks.getZerosAt();
  return Blocks::get(
      op->getContext(), format,
      scales ? visit(op, scales, scalesAt, format.scaleBytes()) : scales,
      scalesAt, zeros ? visit(op, zeros, zerosAt, format.zeroBytes()) : zeros,
      zerosAt);
}

/// Calls `visit` with the files of a source of the image.
static void visitSource(core::SourceOp source, VisitFile visit) {
  StringAttr file = source.getFileAttr();
  core::BlocksAttr blocks = source.getBlocksAttr();
  if (!file)
    return;
  const uint64_t bytes = *source.getBytes() * (source.getNarrowed() ? 2 : 1);
  source.setFileAttr(visit(source, file, source.getOffset().value_or(0),
                           blocks ? blocks.getFormat().bytesInFile() : bytes));
  if (blocks)
    source.setBlocksAttr(visitBlocks(source, blocks, visit));
}

void waferloom::visitFiles(ModuleOp module, VisitFile visit) {
  auto sizeOf = [](Type type) {
    auto shaped = cast<ShapedType>(type);
    return llvm::divideCeil(
        uint64_t(shaped.getNumElements()) * shaped.getElementTypeBitWidth(), 8);
  };
  module.walk([&](Operation *op) {
    if (auto weight = dyn_cast<onnx::WeightOp>(op)) {
      if (StringAttr file = weight.getFileAttr())
        weight.setFileAttr(
            visit(op, file, weight.getOffset(), sizeOf(weight.getType())));
    } else if (auto weight = dyn_cast<wafer::WeightOp>(op)) {
      StringAttr file = weight.getFileAttr();
      wafer::BlocksAttr blocks = weight.getBlocksAttr();
      if (file)
        weight.setFileAttr(visit(op, file, weight.getOffset(),
                                 blocks ? blocks.getFormat().packedBytes()
                                        : sizeOf(weight.getType())));
      // Without a file there are no scales either.
      if (file && blocks)
        weight.setBlocksAttr(visitBlocks(op, blocks, visit));
    } else if (auto source = dyn_cast<core::SourceOp>(op)) {
      visitSource(source, visit);
    }
  });
}

/// The way from `folder` to `file`, links followed; `file` if there is none.
static std::string getRelative(StringRef file, StringRef folder) {
  namespace path = llvm::sys::path;
  SmallString<128> from, to;
  if (llvm::sys::fs::real_path(folder.empty() ? "." : folder, from) ||
      llvm::sys::fs::real_path(file, to) ||
      path::root_path(from) != path::root_path(to))
    return file.str();
  auto a = path::begin(from), b = path::begin(to);
  for (; a != path::end(from) && b != path::end(to) && *a == *b; ++a)
    ++b;
  SmallString<128> way;
  for (; a != path::end(from); ++a)
    path::append(way, "..");
  for (; b != path::end(to); ++b)
    path::append(way, *b);
  return way.str().str();
}

llvm::Error waferloom::writeLevel(ModuleOp module, StringRef path) {
  StringRef folder = llvm::sys::path::parent_path(path);
  OwningOpRef<ModuleOp> copy = module.clone();
  visitFiles(*copy, [&](Operation *op, StringAttr file, uint64_t, uint64_t) {
    return StringAttr::get(op->getContext(),
                           getRelative(file.getValue(), folder));
  });
  return files::write(path, [&](llvm::raw_ostream &os) -> llvm::Error {
    copy->print(os, OpPrintingFlags().enableDebugInfo(true, false));
    return llvm::Error::success();
  });
}

/// Whether some type of `module` has a layout.
static bool hasLayouts(ModuleOp module) {
  return module
      .walk([](Operation *op) {
        return llvm::any_of(op->getResultTypes(),
                            [](Type type) { return wafer::getLayout(type); })
                   ? WalkResult::interrupt()
                   : WalkResult::advance();
      })
      .wasInterrupted();
}

/// Which level `module` is at; none: it is nothing that the compiler writes.
static std::optional<unsigned> levelOf(ModuleOp module) {
  enum : unsigned { Onnx, Tensors, Layouts, PerPe, Fabric, Programs };
  if (!module.getOps<core::ImageOp>().empty())
    return Programs;
  if (!module.getOps<onnx::GraphOp>().empty())
    return Onnx;
  module = wafer::getKinds(module).front(); // all are at one level
  wafer::ProgramOp program = wafer::getProgram(module);
  if (!program || module.getOps<func::FuncOp>().empty())
    return std::nullopt;
  if (!program.getPesAttr())
    return Tensors;
  for (auto function : module.getOps<func::FuncOp>())
    if (fabric::getPlace(function))
      return Fabric;
  return hasLayouts(module) ? Layouts : PerPe;
}

/// Says at every op in which line of the text it stands.
static void locate(const AsmParserState &state, llvm::SourceMgr &sources,
                   StringRef path) {
  for (const auto &definition : state.getOpDefs()) {
    Operation *op = definition.op;
    auto [line, column] = sources.getLineAndColumn(definition.loc.Start);
    Location here = FileLineColLoc::get(op->getContext(), path, line, column);
    // Fused locations have several names, of which the first is the node.
    if (auto named = op->getLoc()->findInstanceOf<NameLoc>())
      here = NameLoc::get(named.getName(), here);
    op->setLoc(here);
  }
}

/// The one module of a text, or one around its ops.
static OwningOpRef<ModuleOp> takeModule(Block &block, Location location) {
  if (llvm::hasSingleElement(block))
    if (auto module = dyn_cast<ModuleOp>(block.front())) {
      module->remove();
      return module;
    }
  OwningOpRef<ModuleOp> module = ModuleOp::create(location);
  module->getBody()->getOperations().splice(module->getBody()->end(),
                                            block.getOperations());
  return module;
}

/// Finds the files of weights from the text's folder. Reports a file that is
/// not there, or too short, once.
static LogicalResult resolveFiles(ModuleOp module, StringRef path) {
  llvm::StringSet<> refused;
  StringRef folder = llvm::sys::path::parent_path(path);
  visitFiles(module, [&](Operation *op, StringAttr file, uint64_t offset,
                         uint64_t bytes) {
    SmallString<128> found(file.getValue());
    if (llvm::sys::path::is_relative(found)) {
      found = folder;
      llvm::sys::path::append(found, file.getValue());
    }
    uint64_t size;
    std::error_code error = llvm::sys::fs::file_size(found, size);
    if (!error && offset <= size && bytes <= size - offset)
      return StringAttr::get(op->getContext(), found);
    if (!refused.insert(found).second)
      return file;
    if (error)
      op->emitOpError() << "lies in '" << found
                        << "', which cannot be read: " << error.message();
    else
      op->emitOpError() << "lies at bytes " << offset << " to "
                        << offset + bytes << " of '" << found << "', which has "
                        << size;
    return file;
  });
  return success(refused.empty());
}

FailureOr<Level> waferloom::readLevel(StringRef path, MLIRContext *context) {
  auto file = llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
  Location whole = FileLineColLoc::get(context, path, 0, 0);
  if (!file)
    return emitError(whole)
           << "the file cannot be read: " << file.getError().message();
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(std::move(*file), llvm::SMLoc());
  // Verified once ops know their lines.
  Block block;
  AsmParserState state;
  ParserConfig config(context, /*verifyAfterParse=*/false);
  if (failed(parseAsmSourceFile(sources, &block, config, &state)))
    return failure();
  locate(state, sources, path);
  Level level;
  level.module = takeModule(block, whole);
  if (failed(verify(*level.module)))
    return failure();
  std::optional<unsigned> index = levelOf(*level.module);
  if (!index)
    return emitError(whole)
           << "is the text of no level: it has neither an onnx.graph nor a "
              "wafer.program in front of functions nor a core.image";
  if (wafer::getKind(*level.module))
    return emitError(whole) << "has the program of one kind of stages without "
                               "that of the other";
  level.index = *index;
  if (failed(resolveFiles(*level.module, path)))
    return failure();
  return level;
}
