//===- Shared.h - What all entries of an image share ------------*- C++ -*-===//
//
// Weights, states and index tensors are buffers of the region, in the order in
// which they will lie in memory (core-share gives the addresses). Each has a
// binding that says how the global tensor is spread over the PEs of the region.
// With stages, what only the first or only the others need is on their PEs
// only.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_CODEGEN_SHARED_H
#define WAFERLOOM_LIB_CODEGEN_SHARED_H

#include "Emitter.h"

#include "waferloom/Dialect/Fabric/Fabric.h"
#include "waferloom/Dialect/Wafer/Stages.h"

#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringSet.h"
#include <map>
#include <tuple>

namespace waferloom::codegen {

/// The bytes that one op reads, `step` further in each trip. All weights of a
/// trip lie behind each other.
struct LocalShard {
  mlir::FlatSymbolRefAttr buffer;
  int64_t offset = 0; // of the first trip
  int64_t bytes = 0;  // of one trip
  int64_t step = 0;
};

/// How a tensor lies, to be said of a buffer.
struct Layout {
  Word type = Word::f32;
  mlir::Type hostType;
  llvm::SmallVector<core::DimAttr> dims;
};

/// Which PEs hold something: one stage, or those that run it.
struct Holder {
  wafer::StageSet stageSet = wafer::StageSet::All;
  std::optional<uint32_t> stage;
};

class Shared {
public:
  /// Sources go in front of `out`, which buffers and bindings go into.
  Shared(wafer::RegionAttr region, mlir::ModuleOp module, core::RegionOp out,
         SymbolNames &names)
      : region(region), symbols(module), names(names),
        sourcePoint(mlir::OpBuilder(out)),
        builder(mlir::OpBuilder::atBlockEnd(&out.getBody().front())) {}

  /// Tells, before anything is laid, that `op` (a parameter, state or iota) is
  /// run by `stageSet`; other entries may say otherwise.
  void use(mlir::Operation *op, wafer::StageSet stageSet);
  /// Who runs it in any entry. What all run must be laid first.
  wafer::StageSet stageSetOf(mlir::Operation *op) const;

  /// Lays what `func` has and `stageSet` runs, if it is not laid yet.
  mlir::LogicalResult lay(mlir::func::FuncOp func, wafer::StageSet stageSet);
  /// Reserves the weights that the trips of a loop read, trip by trip; of these
  /// what `stageSet` runs.
  mlir::LogicalResult layTrips(wafer::RepeatOp op, wafer::StageSet stageSet);
  mlir::FailureOr<LocalShard> parameter(wafer::ParameterOp op);
  /// Lets `buffer` have at least `bytes`, the last of them for no weight.
  void extend(mlir::FlatSymbolRefAttr buffer, int64_t bytes);
  mlir::FailureOr<LocalShard> state(wafer::StateOp op);
  mlir::FailureOr<LocalShard> iota(wafer::IotaOp op);
  /// One word: the coordinate of this PE along `axes`, mixed radix.
  LocalShard coordinate(llvm::ArrayRef<wafer::Axis> axes);

  /// The axes of the region that a put is over.
  mlir::FailureOr<llvm::SmallVector<wafer::Axis>> axesOf(fabric::PutOp op);

  /// How the result or operand `local` of `op` lies.
  mlir::FailureOr<Layout> layout(mlir::Operation *op, mlir::ShapedType local);

  /// Says which PEs have what was laid, once their guards have names.
  void setHolders(llvm::function_ref<Guard(wafer::StageSet)> ofRunBy,
                  llvm::function_ref<Guard(uint32_t)> ofStage);

  wafer::RegionAttr getRegion() const { return region; }

private:
  /// Ops of equal keys are the same thing: name, attributes and type of the
  /// result.
  using Key = std::tuple<const void *, const void *, const void *>;
  static Key keyOf(mlir::Operation *op);
  /// A buffer for `tripCount` local shards behind each other.
  LocalShard reserve(core::Use use, llvm::StringRef hint, int64_t bytes,
                     int64_t tripCount, wafer::StageSet stageSet);
  mlir::LogicalResult layOne(mlir::Operation *op);
  /// Where the result of `op` lies; `lay` reserves and binds it the first time.
  mlir::FailureOr<LocalShard>
  layOnce(mlir::Operation *op,
          llvm::function_ref<mlir::FailureOr<LocalShard>(Layout &)> lay);
  /// Binds trip `trip` of `op` behind those that `shard` begins with.
  void bind(core::Role role, llvm::StringRef name, const Layout &layout,
            const LocalShard &shard, Holder holder,
            std::optional<uint32_t> source = {});
  /// The place of one trip, and who holds it.
  std::pair<LocalShard, Holder> tripOf(mlir::Operation *op, LocalShard shard,
                                       size_t trip, size_t tripCount);
  /// The number of a weight's bytes among the sources of the image.
  mlir::FailureOr<uint32_t> source(wafer::WeightOp weight, Word stored);

  wafer::RegionAttr region;
  mlir::SymbolTable symbols;
  SymbolNames &names;
  mlir::OpBuilder sourcePoint, builder;
  // Never iterated over: keys have no order that stays.
  llvm::DenseMap<Key, wafer::StageSet> users;
  llvm::DenseMap<Key, LocalShard> known;
  llvm::DenseMap<Key, LocalShard> reserved; // weights of trips
  std::map<std::string, LocalShard> coordinates;
  llvm::StringSet<> states;
  llvm::StringMap<uint32_t> sources;
  std::vector<std::pair<core::BufferOp, wafer::StageSet>> buffers;
  std::vector<std::pair<core::BindOp, Holder>> bindings;
};

/// A dimension of `extent` elements that every PE has all of.
core::DimAttr wholeDim(mlir::MLIRContext *context, int64_t live,
                       int64_t sourceStride, int64_t extent);

/// Makes the op at the point of `builder`.
core::BindOp createBind(mlir::OpBuilder &builder, core::Role role,
                        llvm::StringRef name, const Layout &layout,
                        mlir::FlatSymbolRefAttr buffer, int64_t offset = 0,
                        std::optional<uint32_t> source = {});

/// The layout attribute that an op carries at level 4.
mlir::FailureOr<wafer::LayoutAttr> layoutOf(mlir::Operation *op);

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_SHARED_H
