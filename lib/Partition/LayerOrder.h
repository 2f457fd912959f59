//===- LayerOrder.h - In which order layers are read ------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_PARTITION_LAYERORDER_H
#define WAFERLOOM_LIB_PARTITION_LAYERORDER_H

#include "mlir/IR/Block.h"

#include <vector>

namespace waferloom::partition {

/// Whom rows of a table belong to: the layer that stands where they are looked
/// up, or all layers that read them.
enum class Tables { OfALayer, Shared };

/// The ops of a block that compute. What layers share stands where the first of
/// them needs it; here it is in front of all.
std::vector<mlir::Operation *> inLayerOrder(mlir::Block &block, Tables tables);

} // namespace waferloom::partition

#endif // WAFERLOOM_LIB_PARTITION_LAYERORDER_H
