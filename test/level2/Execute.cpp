//===- Execute.cpp - Level 2 through upstream's JIT -----------------------===//
//
// Every op of the wafer dialect that brings something in becomes an argument
// of the function, in order; `Argument` remembers which. What leaves is copied
// to arguments too, so that the JIT sees functions of static memrefs only:
//
//   input, parameter, state, iota, position    memref -> tensor
//   lookup                                     generic that extracts
//   append                                     insert_slice at the position
//   store                                      copied to a memref
//   output, and each state after its append    copied to a memref
//
//===----------------------------------------------------------------------===//

#include "Execute.h"
#include "waferloom/Codegen/Codegen.h"
#include "waferloom/Dialect/Wafer/Wafer.h"
#include "waferloom/Image/Blocks.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Bufferization/Transforms/FuncBufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/Linalg/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Tensor/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Tensor/Transforms/Transforms.h"
#include "mlir/ExecutionEngine/ExecutionEngine.h"
#include "mlir/ExecutionEngine/OptUtils.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/TargetSelect.h"

#include <deque>

using namespace mlir;
using namespace waferloom;

namespace {

/// What an argument of a compiled entry is.
struct Argument {
  enum Kind { Input, Parameter, State, Iota, Position, Output, NewState } kind;
  std::string name;
  RankedTensorType type;
};

using Bytes = std::vector<char>;

size_t byteSize(RankedTensorType type) {
  unsigned bits = std::max(8u, type.getElementTypeBitWidth());
  return static_cast<size_t>(type.getNumElements()) * bits / 8;
}

//===----------------------------------------------------------------------===//
// Wafer ops to arguments
//===----------------------------------------------------------------------===//

class EntryRewriter {
public:
  explicit EntryRewriter(func::FuncOp function)
      : function(function), builder(function.getContext()) {}

  std::vector<Argument> run();

private:
  Value addArgument(Argument::Kind kind, StringRef name, Type type);
  void enter(Operation *op, Argument::Kind kind, StringRef name);
  void leave(Location loc, Value tensor, Argument::Kind kind, StringRef name);
  void lowerLookup(wafer::LookupOp op);
  void lowerAppend(wafer::AppendOp op);

  func::FuncOp function;
  OpBuilder builder;
  std::vector<Argument> arguments;
  llvm::DenseMap<Value, std::string> stateNames;
};

Value EntryRewriter::addArgument(Argument::Kind kind, StringRef name,
                                 Type type) {
  auto tensor = cast<RankedTensorType>(type);
  arguments.push_back({kind, name.str(), tensor});
  auto memref = MemRefType::get(tensor.getShape(), tensor.getElementType());
  if (failed(function.insertArgument(function.getNumArguments(), memref, {},
                                     function.getLoc())))
    return nullptr;
  return function.getArguments().back();
}

void EntryRewriter::enter(Operation *op, Argument::Kind kind, StringRef name) {
  Type type = op->getResult(0).getType();
  Value buffer = addArgument(kind, name, type);
  Value tensor = bufferization::ToTensorOp::create(builder, op->getLoc(), type,
                                                   buffer, /*restrict=*/true,
                                                   /*writable=*/false);
  op->getResult(0).replaceAllUsesWith(tensor);
  if (kind == Argument::State)
    stateNames[tensor] = name.str();
  op->erase();
}

void EntryRewriter::leave(Location loc, Value tensor, Argument::Kind kind,
                          StringRef name) {
  Value buffer = addArgument(kind, name, tensor.getType());
  auto copy = bufferization::MaterializeInDestinationOp::create(
      builder, loc, TypeRange(), tensor, buffer);
  copy.setRestrict(true);
  copy.setWritable(true);
}

void EntryRewriter::lowerLookup(wafer::LookupOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  auto indices = cast<RankedTensorType>(op.getIndices().getType());
  MLIRContext *context = op.getContext();
  unsigned rank = type.getRank(), taken = indices.getRank();
  auto all = AffineMap::getMultiDimIdentityMap(rank, context);
  AffineMap rows = all.getMajorSubMap(taken);
  if (taken == 0)
    rows = AffineMap::get(rank, 0, {}, context);
  SmallVector<utils::IteratorType> loops(rank, utils::IteratorType::parallel);
  Value empty = tensor::EmptyOp::create(builder, op.getLoc(), type.getShape(),
                                        type.getElementType());
  auto generic = linalg::GenericOp::create(
      builder, op.getLoc(), type, op.getIndices(), empty,
      ArrayRef<AffineMap>{rows, all}, loops,
      [&](OpBuilder &b, Location loc, ValueRange args) {
        SmallVector<Value> at{
            arith::IndexCastOp::create(b, loc, b.getIndexType(), args[0])};
        for (unsigned i = taken; i < rank; ++i)
          at.push_back(linalg::IndexOp::create(b, loc, i));
        Value element = tensor::ExtractOp::create(b, loc, op.getTable(), at);
        linalg::YieldOp::create(b, loc, element);
      });
  op.replaceAllUsesWith(generic.getResult(0));
  op.erase();
}

void EntryRewriter::lowerAppend(wafer::AppendOp op) {
  Location loc = op.getLoc();
  Value position =
      tensor::ExtractOp::create(builder, loc, op.getPosition(), ValueRange());
  Value at = arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                        position);
  auto update = cast<RankedTensorType>(op.getUpdate().getType());
  SmallVector<OpFoldResult> offsets(update.getRank(), builder.getIndexAttr(0));
  SmallVector<OpFoldResult> strides(update.getRank(), builder.getIndexAttr(1));
  SmallVector<OpFoldResult> sizes;
  for (int64_t size : update.getShape())
    sizes.push_back(builder.getIndexAttr(size));
  offsets[op.getDim()] = at;
  Value now = tensor::InsertSliceOp::create(
      builder, loc, op.getUpdate(), op.getState(), offsets, sizes, strides);
  std::string name = stateNames.lookup(op.getState());
  op.replaceAllUsesWith(now);
  leave(loc, now, Argument::NewState, name);
  op.erase();
}

std::vector<Argument> EntryRewriter::run() {
  for (Operation &op : llvm::make_early_inc_range(function.getBody().front())) {
    builder.setInsertionPoint(&op);
    if (auto input = dyn_cast<wafer::InputOp>(op))
      enter(&op, Argument::Input, input.getName());
    else if (auto parameter = dyn_cast<wafer::ParameterOp>(op))
      enter(&op, Argument::Parameter,
            cast<FlatSymbolRefAttr>(parameter.getWeights()[0]).getValue());
    else if (auto state = dyn_cast<wafer::StateOp>(op))
      enter(&op, Argument::State,
            cast<StringAttr>(state.getNames()[0]).getValue());
    else if (isa<wafer::IotaOp>(op))
      enter(&op, Argument::Iota, "");
    else if (isa<wafer::PositionOp>(op))
      enter(&op, Argument::Position, "");
    else if (auto lookup = dyn_cast<wafer::LookupOp>(op))
      lowerLookup(lookup);
    else if (auto append = dyn_cast<wafer::AppendOp>(op))
      lowerAppend(append);
    else if (auto store = dyn_cast<wafer::StoreOp>(op)) {
      leave(op.getLoc(), store.getUpdate(), Argument::NewState,
            stateNames.lookup(store.getState()));
      op.erase();
    } else if (auto output = dyn_cast<wafer::OutputOp>(op)) {
      leave(op.getLoc(), output.getValue(), Argument::Output, output.getName());
      op.erase();
    }
  }
  function->setAttr("llvm.emit_c_interface", builder.getUnitAttr());
  return std::move(arguments);
}

//===----------------------------------------------------------------------===//
// To machine code
//===----------------------------------------------------------------------===//

LogicalResult lowerToLLVM(ModuleOp module) {
  MLIRContext *context = module.getContext();
  RewritePatternSet patterns(context);
  tensor::populateDecomposeTensorConcatPatterns(patterns);
  if (failed(applyPatternsGreedily(module, std::move(patterns))))
    return failure();
  PassManager pm(context);
  pm.addPass(bufferization::createEmptyTensorToAllocTensorPass());
  bufferization::OneShotBufferizePassOptions options;
  options.bufferizeFunctionBoundaries = true;
  pm.addPass(bufferization::createOneShotBufferizePass(options));
  pm.addNestedPass<func::FuncOp>(createConvertLinalgToLoopsPass());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(arith::createArithExpandOpsPass());
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createConvertMathToLibmPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createFinalizeMemRefToLLVMConversionPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  return pm.run(module);
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

class Session {
public:
  Session(ModuleOp module, StringRef folder) : module(module), folder(folder) {}
  LogicalResult run();

private:
  LogicalResult expand(wafer::WeightOp weight, wafer::BlocksAttr blocks,
                       Bytes &to);
  LogicalResult loadWeights();
  LogicalResult compile();
  LogicalResult step(StringRef line, unsigned number);
  Bytes &bufferFor(const Argument &argument, const llvm::StringMap<Bytes> &in,
                   std::deque<Bytes> &storage, int32_t position);
  LogicalResult write(const Twine &path, const Bytes &bytes);
  LogicalResult fail(const Twine &message) {
    return emitError(module.getLoc()) << message;
  }

  ModuleOp module;
  std::string folder;
  float fill = 0;
  llvm::StringMap<std::vector<Argument>> entries;
  llvm::StringMap<Bytes> weights, states;
  std::unique_ptr<ExecutionEngine> engine;
};

LogicalResult Session::expand(wafer::WeightOp weight, wafer::BlocksAttr blocks,
                              Bytes &to) {
  BlockFormat format = blocks.getFormat();
  auto read = [](StringRef file, int64_t offset, uint64_t bytes) {
    auto slice = llvm::MemoryBuffer::getFileSlice(file, bytes, offset);
    return slice && (*slice)->getBufferSize() == bytes ? std::move(*slice)
                                                       : nullptr;
  };
  auto packed =
      read(*weight.getFile(), weight.getOffset(), format.packedBytes());
  auto scales =
      read(blocks.getScalesFile(), blocks.getScalesAt(), format.scaleBytes());
  uint64_t zeroBytes = format.zeroBytes();
  auto zeros = zeroBytes
                   ? read(blocks.getZerosFile(), blocks.getZerosAt(), zeroBytes)
                   : nullptr;
  if (!packed || !scales || (zeroBytes && !zeros))
    return fail("cannot read the blocks of " + weight.getSymName());
  image::expandBlocks(format, packed->getBufferStart(),
                      scales->getBufferStart(),
                      zeros ? zeros->getBufferStart() : nullptr, to.data());
  return success();
}

LogicalResult Session::loadWeights() {
  for (auto weight : module.getOps<wafer::WeightOp>()) {
    auto type = cast<RankedTensorType>(weight.getType());
    Bytes &bytes = weights[weight.getSymName()];
    bytes.assign(byteSize(type), 0);
    if (!weight.getFile())
      continue;
    if (wafer::BlocksAttr blocks = weight.getBlocksAttr()) {
      if (failed(expand(weight, blocks, bytes)))
        return failure();
      continue;
    }
    auto slice = llvm::MemoryBuffer::getFileSlice(
        *weight.getFile(), bytes.size(), weight.getOffset());
    if (!slice)
      return fail("cannot read " + *weight.getFile());
    llvm::copy((*slice)->getBuffer(), bytes.begin());
  }
  for (auto weight :
       llvm::make_early_inc_range(module.getOps<wafer::WeightOp>()))
    weight.erase();
  return success();
}

LogicalResult Session::compile() {
  for (auto function : module.getOps<func::FuncOp>())
    entries[function.getName()] = EntryRewriter(function).run();
  if (wafer::ProgramOp program = wafer::getProgram(module))
    program.erase();
  if (failed(lowerToLLVM(module)))
    return failure();
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  ExecutionEngineOptions options;
  auto optimize = makeOptimizingTransformer(2, 0, nullptr);
  options.transformer = optimize;
  StringRef libraries[] = {RUNNER_UTILS};
  options.sharedLibPaths = libraries;
  auto made = ExecutionEngine::create(module, options);
  if (!made)
    return fail(llvm::toString(made.takeError()));
  engine = std::move(*made);
  return success();
}

Bytes &Session::bufferFor(const Argument &argument,
                          const llvm::StringMap<Bytes> &in,
                          std::deque<Bytes> &storage, int32_t position) {
  size_t size = byteSize(argument.type);
  switch (argument.kind) {
  case Argument::Parameter:
    return weights[argument.name];
  case Argument::State: {
    Bytes &state = states[argument.name];
    if (state.empty()) {
      state.resize(size);
      for (size_t i = 0; i + sizeof(float) <= size; i += sizeof(float))
        memcpy(&state[i], &fill, sizeof(float));
    }
    return state;
  }
  case Argument::Input:
    return storage.emplace_back(in.lookup(argument.name));
  case Argument::Iota: {
    Bytes &bytes = storage.emplace_back(size);
    for (int32_t i = 0; i < argument.type.getNumElements(); ++i)
      memcpy(&bytes[i * 4], &i, 4);
    return bytes;
  }
  case Argument::Position: {
    Bytes &bytes = storage.emplace_back(size);
    memcpy(bytes.data(), &position, 4);
    return bytes;
  }
  default:
    return storage.emplace_back(size);
  }
}

LogicalResult Session::write(const Twine &path, const Bytes &bytes) {
  SmallString<128> full(folder);
  llvm::sys::path::append(full, path);
  llvm::sys::fs::create_directories(llvm::sys::path::parent_path(full));
  std::error_code error;
  llvm::raw_fd_ostream out(full, error);
  if (error)
    return fail("cannot write " + full);
  out.write(bytes.data(), bytes.size());
  return success();
}

LogicalResult Session::step(StringRef line, unsigned number) {
  SmallVector<StringRef> words;
  line.split(words, ' ', -1, /*KeepEmpty=*/false);
  int32_t position;
  if (words.size() < 2 || !entries.contains(words[0]) ||
      words[1].getAsInteger(10, position))
    return fail("step " + Twine(number) + " is not ENTRY POSITION NAME=FILE..");
  llvm::StringMap<Bytes> in;
  for (StringRef word : ArrayRef(words).drop_front(2)) {
    auto [name, path] = word.split('=');
    auto buffer = llvm::MemoryBuffer::getFile(path);
    if (!buffer)
      return fail("cannot read " + path);
    StringRef content = (*buffer)->getBuffer();
    in[name] = Bytes(content.begin(), content.end());
  }

  const std::vector<Argument> &arguments = entries[words[0]];
  std::deque<Bytes> storage;
  std::vector<Bytes *> buffers;
  std::vector<std::vector<int64_t>> descriptors;
  for (const Argument &argument : arguments) {
    Bytes &bytes = bufferFor(argument, in, storage, position);
    if (bytes.size() != byteSize(argument.type))
      return fail("step " + Twine(number) + ": '" + argument.name + "' has " +
                  Twine(bytes.size()) + " bytes, not " +
                  Twine(byteSize(argument.type)));
    buffers.push_back(&bytes);
    auto address = reinterpret_cast<int64_t>(bytes.data());
    std::vector<int64_t> descriptor{address, address, 0};
    ArrayRef<int64_t> shape = argument.type.getShape();
    llvm::append_range(descriptor, shape);
    for (size_t i = 0; i < shape.size(); ++i) {
      int64_t stride = 1;
      for (int64_t inner : shape.drop_front(i + 1))
        stride *= inner;
      descriptor.push_back(stride);
    }
    descriptors.push_back(std::move(descriptor));
  }
  std::vector<void *> pointers;
  for (auto &descriptor : descriptors)
    pointers.push_back(descriptor.data());
  SmallVector<void *> packed;
  for (void *&pointer : pointers)
    packed.push_back(&pointer);
  if (auto error =
          engine->invokePacked(("_mlir_ciface_" + words[0]).str(), packed))
    return fail(llvm::toString(std::move(error)));
  for (auto [argument, bytes] : llvm::zip_equal(arguments, buffers)) {
    if (argument.kind == Argument::NewState)
      states[argument.name] = *bytes;
    if (argument.kind == Argument::Output &&
        failed(write(Twine(number) + "/" + argument.name, *bytes)))
      return failure();
  }
  return success();
}

LogicalResult Session::run() {
  auto read = [&](StringRef name) {
    SmallString<128> path(folder);
    llvm::sys::path::append(path, name);
    auto buffer = llvm::MemoryBuffer::getFile(path);
    return buffer ? (*buffer)->getBuffer().str() : std::string();
  };
  double first = 0;
  StringRef(read("state-fill.txt")).trim().getAsDouble(first);
  fill = static_cast<float>(first);
  if (failed(loadWeights()) || failed(compile()))
    return failure();
  std::string steps = read("steps.txt");
  unsigned number = 0;
  SmallVector<StringRef> lines;
  StringRef(steps).split(lines, '\n', -1, /*KeepEmpty=*/false);
  for (StringRef line : lines)
    if (failed(step(line, number++)))
      return failure();
  for (auto &entry : states)
    if (failed(write("state/" + entry.first(), entry.second)))
      return failure();
  return success();
}

} // namespace

LogicalResult level2::execute(ModuleOp module, StringRef folder) {
  DialectRegistry registry;
  arith::registerBufferizableOpInterfaceExternalModels(registry);
  bufferization::func_ext::registerBufferizableOpInterfaceExternalModels(
      registry);
  linalg::registerBufferizableOpInterfaceExternalModels(registry);
  tensor::registerBufferizableOpInterfaceExternalModels(registry);
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registry.insert<bufferization::BufferizationDialect, memref::MemRefDialect,
                  scf::SCFDialect, LLVM::LLVMDialect>();
  module.getContext()->appendDialectRegistry(registry);
  module.getContext()
      ->loadDialect<bufferization::BufferizationDialect,
                    memref::MemRefDialect>();
  return Session(module, folder).run();
}
