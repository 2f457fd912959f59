// Between arrays as a model has them and the local shards that PEs hold.

#ifndef WAFERLOOM_LIB_EXECUTOR_DISTRIBUTE_H
#define WAFERLOOM_LIB_EXECUTOR_DISTRIBUTE_H

#include "Engine.h"
#include "waferloom/Executor/Executor.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace waferloom::executor {

/// Elements that a binding reads or writes: a base and the type there.
struct Elements {
  const char *data = nullptr;
  HostType type = HostType::f32;
};

HostType hostTypeOf(Type type, bool boolean, bool int64);

/// Bytes from the first to behind the last element of an array that a
/// parameter's live indices reach (I26).
size_t bytesReached(const image::BindingT &binding, HostType type);

/// Puts every PE's local shard of `source` into its memory, converted; padding
/// where an index is beyond the live size. `index` bindings need no source.
/// `isFirst`: nothing has been computed yet.
void distribute(const image::RegionT &region, const image::BindingT &binding,
                Elements source, Memory &memory, Workers &workers,
                bool isFirst = false);

/// Writes every live element of the PEs' local shards to `data`, converted to
/// `type`.
void collect(const image::RegionT &region, const image::BindingT &binding,
             Memory &memory, HostType type, char *data);

/// Elements of the PEs' local shards become zeros where `isGone` says so, of
/// their offset in the array and whether they are in it.
void clear(const image::RegionT &region, const image::BindingT &binding,
           Memory &memory, Workers &workers,
           llvm::function_ref<bool(int64_t offset, bool live)> isGone);

} // namespace waferloom::executor

#endif // WAFERLOOM_LIB_EXECUTOR_DISTRIBUTE_H
