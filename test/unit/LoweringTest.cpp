// From level 4 to cycles: what words cross PEs for, lowered by convert, place,
// route and code generation, executed on 12 x 5 PEs, and compared with loops
// over the whole tensors. Small integers: sums are exact in any order.

#include "Running.h"
#include "waferloom/Codegen/Codegen.h"
#include "waferloom/Compile/Pipelines.h"
#include "waferloom/Dialect/Fabric/Fabric.h"
#include "waferloom/Dialect/Wafer/Wafer.h"
#include "waferloom/Executor/Executor.h"
#include "waferloom/Image/Image.h"
#include "waferloom/Target/ImageTarget.h"
#include "waferloom/Target/Target.h"
#include "waferloom/Target/TargetAttr.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "gtest/gtest.h"

#include <algorithm>
#include <map>

using namespace mlir;
using namespace waferloom;

static constexpr char level4[] = R"mlir(
#id = affine_map<(i, j, k) -> (i, j, k)>
wafer.program region <x = 2 x 3 x 2, y = 5> {
  wafer.entry "main" of @main tokens 1 shapes {
      a = array<i64: 12, 5, 3>, b = array<i64: 12, 5, 2>,
      sum = array<i64: 2, 3>, twice = array<i64: 2, 2>,
      max = array<i64: 3, 5, 3>, all = array<i64: 4, 3, 5, 3>,
      cyclic = array<i64: 12, 1, 15>, there = array<i64: 2, 5, 3>}
}
func.func @main() {
  %a = wafer.input "a" {layout = #wafer.layout<[x0 x1 x2, y, *]>} : tensor<1x1x3xf32>
  %b = wafer.input "b" {layout = #wafer.layout<[x0 x1 x2, y, *]>} : tensor<1x1x2xf32>
  %e = tensor.empty() : tensor<1x1x2xf32>
  %bb = linalg.generic {indexing_maps = [#id, #id, #id],
                        iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%b, %b : tensor<1x1x2xf32>, tensor<1x1x2xf32>) outs(%e : tensor<1x1x2xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.addf %p, %q : f32
    linalg.yield %r : f32
  } -> tensor<1x1x2xf32>

  // Along x, then along y in the same buffer; %bb is computed into it.
  %s:2 = wafer.all_reduce %a, %bb over [x1, x2, y] sum
      : (tensor<1x1x3xf32>, tensor<1x1x2xf32>) -> (tensor<1x1x3xf32>, tensor<1x1x2xf32>)
  %s0 = tensor.collapse_shape %s#0 [[0, 1], [2]] : tensor<1x1x3xf32> into tensor<1x3xf32>
  %s1 = tensor.collapse_shape %s#1 [[0, 1], [2]] : tensor<1x1x2xf32> into tensor<1x2xf32>
  wafer.output "sum", %s0 {layout = #wafer.layout<[x0, *]>} : tensor<1x3xf32>
  wafer.output "twice", %s1 {layout = #wafer.layout<[x0, *]>} : tensor<1x2xf32>

  // Two lines of one direction, one of them interleaved.
  %m = wafer.all_reduce %a over [x0, x2] max : (tensor<1x1x3xf32>) -> tensor<1x1x3xf32>
  wafer.output "max", %m {layout = #wafer.layout<[x1, y, *]>} : tensor<1x1x3xf32>

  %g = wafer.gather %a dim 0 over [x0, x2] : (tensor<1x1x3xf32>) -> tensor<4x1x3xf32>
  %g4 = tensor.expand_shape %g [[0], [1, 2], [3]] output_shape [4, 1, 1, 3]
      : tensor<4x1x3xf32> into tensor<4x1x1x3xf32>
  wafer.output "all", %g4 {layout = #wafer.layout<[*, x1, y, *]>} : tensor<4x1x1x3xf32>
  %c = wafer.gather %a dim 2 over [y] cyclic : (tensor<1x1x3xf32>) -> tensor<1x1x15xf32>
  wafer.output "cyclic", %c {layout = #wafer.layout<[x0 x1 x2, *, *]>} : tensor<1x1x15xf32>

  %r = wafer.reduce %a to [x1, x2] = 4 sum : (tensor<1x1x3xf32>) -> tensor<1x1x3xf32>
  %t = wafer.broadcast %r from [x1, x2] = 4 : (tensor<1x1x3xf32>) -> tensor<1x1x3xf32>
  wafer.output "there", %t {layout = #wafer.layout<[x0, y, *]>} : tensor<1x1x3xf32>
  return
}
)mlir";

using Floats = std::vector<float>;

namespace {
struct Lowering : ::testing::Test {
  MLIRContext context{MLIRContext::Threading::DISABLED};

  Lowering() {
    context.loadDialect<arith::ArithDialect, fabric::FabricDialect,
                        func::FuncDialect, linalg::LinalgDialect,
                        tensor::TensorDialect, wafer::WaferDialect>();
  }

  /// Compiles `level4` for `specification` and runs it once.
  std::map<std::string, Floats> run(StringRef specification, const Floats &a,
                                    const Floats &b) {
    target::Target target = llvm::cantFail(target::parse(specification));
    OwningOpRef<ModuleOp> module =
        parseSourceString<ModuleOp>(level4, &context);
    PassManager pm(&context);
    if (module)
      target::setTarget(*module, target);
    populateFabricPipeline(pm, CompileOptions());
    std::map<std::string, Floats> out;
    target::Fit fit;
    if (!module || failed(pm.run(*module))) {
      ADD_FAILURE() << "does not reach level 5";
      return out;
    }
    std::unique_ptr<image::TargetT> machine = target::toImage(target);
    if (failed(codegen::lowerToCore(*module, *machine, fit))) {
      ADD_FAILURE() << "does not reach level 6";
      return out;
    }
    auto made = codegen::emitImage(*module, *machine);
    if (failed(made)) {
      ADD_FAILURE() << "does not reach the image";
      return out;
    }
    auto session = test::bothEngines(
        llvm::cantFail(image::adopt(std::move(made->image), "")));
    EXPECT_FALSE(llvm::errorToBool(session->proveHangFree(0)));
    executor::HostTensor inputs[] = {
        {"a", a.data(), executor::HostType::f32, {12, 5, 3}},
        {"b", b.data(), executor::HostType::f32, {12, 5, 2}}};
    for (const auto &tensor :
         llvm::cantFail(session->step(0, inputs)).outputs) {
      auto *values = reinterpret_cast<const float *>(tensor.bytes.data());
      out[tensor.name].assign(values, values + tensor.bytes.size() / 4);
    }
    return out;
  }
};
} // namespace

TEST_F(Lowering, collectivesComputeWhatTheySay) {
  Floats a(12 * 5 * 3), b(12 * 5 * 2);
  for (size_t i = 0; i < a.size(); ++i)
    a[i] = static_cast<float>(i * 37 % 101);
  for (size_t i = 0; i < b.size(); ++i)
    b[i] = static_cast<float>(i * 53 % 97);
  Floats sum(2 * 3), twice(2 * 2), max(3 * 5 * 3, -1), all(4 * 3 * 5 * 3),
      cyclic(12 * 15), there(2 * 5 * 3);
  for (size_t x = 0; x < 12; ++x)
    for (size_t y = 0; y < 5; ++y) {
      size_t x0 = x / 6, x1 = x / 2 % 3, x2 = x % 2, pe = x * 5 + y;
      for (size_t k = 0; k < 3; ++k) {
        float value = a[pe * 3 + k];
        sum[x0 * 3 + k] += value;
        there[(x0 * 5 + y) * 3 + k] += value;
        float &most = max[(x1 * 5 + y) * 3 + k];
        most = std::max(most, value);
        all[(((x0 * 2 + x2) * 3 + x1) * 5 + y) * 3 + k] = value;
        cyclic[x * 15 + k * 5 + y] = value;
      }
      for (size_t k = 0; k < 2; ++k)
        twice[x0 * 2 + k] += 2 * b[pe * 2 + k];
    }
  // Colors and queues in plenty, then as few as will do.
  for (StringRef target :
       {"grid-12x5,colors=64", "grid-14x6,colors=25,input-queues=3"}) {
    SCOPED_TRACE(target.str());
    auto out = run(target, a, b);
    EXPECT_EQ(out["sum"], sum);
    EXPECT_EQ(out["twice"], twice);
    EXPECT_EQ(out["max"], max);
    EXPECT_EQ(out["all"], all);
    EXPECT_EQ(out["cyclic"], cyclic);
    EXPECT_EQ(out["there"], there);
  }
}
