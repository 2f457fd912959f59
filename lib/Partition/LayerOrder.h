//===- LayerOrder.h - In which order layers are read ------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_PARTITION_LAYERORDER_H
#define WAFERLOOM_LIB_PARTITION_LAYERORDER_H

#include "mlir/IR/Block.h"

#include <vector>

namespace waferloom::partition {

/// What is made of one weight belongs to the layer that stands there; to all
/// layers that read it, if the step says which rows of it are taken; or to all
/// in any case.
enum class Tables { OfALayer, RowsShared, Shared };

/// The ops of a block that compute. What layers share stands where the first of
/// them needs it; here it is in front of all.
std::vector<mlir::Operation *> inLayerOrder(mlir::Block &block, Tables tables);

} // namespace waferloom::partition

#endif // WAFERLOOM_LIB_PARTITION_LAYERORDER_H
