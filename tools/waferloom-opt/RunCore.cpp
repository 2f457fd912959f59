#include "RunCore.h"

#include "waferloom/Codegen/CoreTranslations.h"
#include "waferloom/Dialect/Wafer/Wafer.h"
#include "waferloom/Executor/Executor.h"

#include "mlir/Tools/mlir-translate/Translation.h"

#include "llvm/ADT/APFloat.h"
#include "llvm/Support/CommandLine.h"

#include <cstring>

using namespace mlir;
using namespace waferloom;

static executor::HostType hostTypeOf(const image::TensorInfoT &info) {
  if (info.source_bool)
    return executor::HostType::boolean;
  if (info.source_int64)
    return executor::HostType::i64;
  switch (info.type) {
  case image::Type::f32:
    return executor::HostType::f32;
  case image::Type::f16:
    return executor::HostType::f16;
  case image::Type::i32:
    break;
  }
  return executor::HostType::i32;
}

/// One tensor for each input that has a source of its name.
static std::vector<executor::HostTensor> inputsOf(const image::ImageT &image,
                                                  const char *data) {
  std::vector<executor::HostTensor> inputs;
  for (const auto &info : image.entries.front()->tensors)
    for (const auto &source : image.sources)
      if (info->role == image::Role::input && source->name == info->name) {
        executor::HostTensor tensor;
        tensor.name = info->name;
        tensor.type = hostTypeOf(*info);
        tensor.shape.assign(info->shape.begin(), info->shape.end());
        uint64_t bytes = executor::bytesOf(tensor.type);
        for (int64_t size : tensor.shape)
          bytes *= uint64_t(size);
        tensor.data = data + source->offset;
        if (bytes == source->bytes)
          inputs.push_back(tensor);
      }
  return inputs;
}

static void printElement(executor::HostType type, const char *from,
                         llvm::raw_ostream &os) {
  if (type == executor::HostType::f32) {
    float value;
    std::memcpy(&value, from, sizeof value);
    os << llvm::format("%g", double(value));
  } else if (type == executor::HostType::f16) {
    uint16_t bits;
    std::memcpy(&bits, from, sizeof bits);
    llvm::APFloat half(llvm::APFloat::IEEEhalf(), llvm::APInt(16, bits));
    bool lossy;
    half.convert(llvm::APFloat::IEEEdouble(),
                 llvm::APFloat::rmNearestTiesToEven, &lossy);
    os << llvm::format("%g", half.convertToDouble());
  } else {
    int64_t value = 0;
    std::memcpy(&value, from, executor::bytesOf(type));
    os << (type == executor::HostType::i32 ? int64_t(int32_t(value)) : value);
  }
}

/// One line per row of the last dimension.
static void print(const executor::OutputTensor &tensor, llvm::raw_ostream &os) {
  os << tensor.name << ' ' << executor::nameOf(tensor.type);
  const size_t size = executor::bytesOf(tensor.type);
  const size_t row = tensor.shape.empty() ? 1 : size_t(tensor.shape.back());
  for (size_t i = 0; i * size < tensor.bytes.size(); ++i) {
    os << (row && i % row == 0 ? "\n  " : " ");
    printElement(tensor.type, tensor.bytes.data() + i * size, os);
  }
  os << '\n';
}

static llvm::Error run(codegen::Image &&assembled, executor::EngineKind engine,
                       llvm::raw_ostream &os) {
  auto section = codegen::DataSection::of(assembled);
  if (!section)
    return section.takeError();
  std::string data;
  for (llvm::ArrayRef<char> chunk : section->getChunks())
    data.append(chunk.begin(), chunk.end());
  auto loaded = image::adopt(std::move(assembled.image), std::move(data));
  if (!loaded)
    return loaded.takeError();
  if ((*loaded)->image.entries.empty())
    return llvm::createStringError("the image has no entry");
  auto session = executor::Session::create(*loaded, engine);
  if (!session)
    return session.takeError();
  auto step =
      (*session)->step(0, inputsOf((*loaded)->image, (*loaded)->data.data()));
  if (!step)
    return step.takeError();
  os << step->cycles << " cycles, last PE (" << step->lastX << ", "
     << step->lastY << ")\n";
  for (const executor::OutputTensor &output : step->outputs)
    print(output, os);
  return llvm::Error::success();
}

void tool::registerRunCore() {
  using executor::EngineKind;
  static llvm::cl::opt<EngineKind> engine(
      "engine", llvm::cl::desc("What --run-core executes with"),
      llvm::cl::values(
          clEnumValN(EngineKind::lockstep, "lockstep", "the fast one"),
          clEnumValN(EngineKind::reference, "reference", "PE by PE")),
      llvm::cl::init(EngineKind::lockstep));
  static TranslateFromMLIRRegistration registration(
      "run-core", "assemble core text, run its first entry once",
      [](Operation *op, llvm::raw_ostream &os) -> LogicalResult {
        FailureOr<codegen::Image> assembled = codegen::assemble(op);
        if (failed(assembled))
          return failure();
        if (llvm::Error error = run(std::move(*assembled), engine, os))
          return op->emitError(llvm::toString(std::move(error)));
        return success();
      },
      [](DialectRegistry &registry) {
        registry.insert<core::CoreDialect, wafer::WaferDialect>();
      });
}
