// How the ops of tensor hand on or read what is stored as f16: those of our own
// dialect say so themselves (WaferInterfaces.td).

#include "waferloom/Algebra/Passes.h"
#include "waferloom/Dialect/Wafer/Wafer.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace waferloom;
using wafer::PrecisionOpInterface;

namespace {
/// The result is elements of the operand.
template <typename Op>
struct WindowModel : PrecisionOpInterface::ExternalModel<WindowModel<Op>, Op> {
  std::optional<unsigned> getForwardedOperand(Operation *) const { return 0; }
};

/// What is joined is of one type.
struct ConcatModel
    : PrecisionOpInterface::ExternalModel<ConcatModel, tensor::ConcatOp> {
  bool readsSingles(Operation *) const { return true; }
};
} // namespace

void algebra::registerOpModels(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, tensor::TensorDialect *,
                            wafer::WaferDialect *) {
    tensor::ExtractSliceOp::attachInterface<
        WindowModel<tensor::ExtractSliceOp>>(*context);
    tensor::ExpandShapeOp::attachInterface<WindowModel<tensor::ExpandShapeOp>>(
        *context);
    tensor::CollapseShapeOp::attachInterface<
        WindowModel<tensor::CollapseShapeOp>>(*context);
    tensor::ConcatOp::attachInterface<ConcatModel>(*context);
  });
}
