// What the text of a program says of the bytes that a PE holds.

#ifndef WAFERLOOM_DIALECT_CORE_SHARDS_H
#define WAFERLOOM_DIALECT_CORE_SHARDS_H

#include "waferloom/Dialect/Core/Core.h"

namespace waferloom::core {

/// Bytes of the shard that one PE holds of what `bind` says.
int64_t getShardBytes(BindOp bind);

} // namespace waferloom::core

#endif // WAFERLOOM_DIALECT_CORE_SHARDS_H
