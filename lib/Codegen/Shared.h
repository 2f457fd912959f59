//===- Shared.h - What all entries of an image share ------------*- C++ -*-===//
//
// Weights, states and index tensors are buffers of the region, in the order in
// which they will lie in memory (core-share gives the addresses). Each has a
// binding that says how the global tensor is spread over the PEs of the region.
// A stage has what it runs, of the layers its own trips.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_CODEGEN_SHARED_H
#define WAFERLOOM_LIB_CODEGEN_SHARED_H

#include "Emitter.h"
#include "Generic.h"

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
  /// Elements from one to the next of each dimension; empty: row-major.
  llvm::SmallVector<int64_t> strides;
};

/// Of a weight whose integers stay packed: where its parts lie, each in front
/// of the trips like a shard of its own.
struct PackedShard {
  BlockFormat format;
  llvm::SmallVector<int64_t> order; // dimensions as they lie, outermost first
  llvm::SmallVector<int64_t> shape, groups; // in that order
  int64_t codeRows = 0; // of the outermost one, with those that fill planes
  Word scaleType = Word::f32, zeroType = Word::f16;
  int64_t scalesAt = 0, zerosAt = 0; // behind the codes, in bytes
  int64_t bytes = 0;                 // of all

  int64_t countElements() const { return llvm::product_of(shape); }
  int64_t countCodes() const {
    return countElements() / shape.front() * codeRows;
  }
  int64_t countGroups() const;
  /// Elements from one to the next of each dimension of the tensor.
  llvm::SmallVector<int64_t> getStrides() const;
};

/// How a tensor lies, to be said of a buffer.
struct Layout {
  Word type = Word::f32;
  mlir::Type hostType;
  llvm::SmallVector<core::DimAttr> dims;
};

/// `dims` with the strides of the weight that theirs is a part of (may be
/// null).
llvm::SmallVector<core::DimAttr> dimsInWhole(llvm::ArrayRef<core::DimAttr> dims,
                                             wafer::PartAttr part);

/// What one stage, with a region of its own, runs of the functions.
struct Stage {
  /// All: the only one, or one of a kind.
  wafer::StageSet runs = wafer::StageSet::All;
  int64_t index = 0;

  /// The trips that it runs of `repeat`: the first, and the one behind the
  /// last.
  std::pair<int64_t, int64_t> tripsOf(wafer::RepeatOp repeat) const;
};

/// How the file packs the numbers of `weight`, if it does.
core::BlocksAttr blocksOf(wafer::WeightOp weight);

/// Where the bytes of weights are, by their names; all regions of an image read
/// from the same.
class Sources {
public:
  /// Makes the ops of the sources in front of `first`.
  explicit Sources(core::RegionOp first) : point(first) {}

  /// The number of a weight's bytes among the sources of the image.
  mlir::FailureOr<uint32_t> get(wafer::WeightOp weight, Word stored);
  /// The number of a part of the bytes of a packed weight.
  uint32_t getPacked(wafer::WeightOp weight, core::PackedPart part);

private:
  mlir::OpBuilder point;
  llvm::StringMap<uint32_t> known;
};

class Shared {
public:
  /// Buffers and bindings go into `out`.
  Shared(wafer::RegionAttr region, Stage stage, mlir::SymbolTable &symbols,
         Sources &sources, core::RegionOp out, SymbolNames &names,
         Budget budget, const image::TargetT &target)
      : region(region), stage(stage), symbols(symbols), sources(sources),
        names(names), budget(budget), target(target),
        builder(mlir::OpBuilder::atBlockEnd(&out.getBody().front())) {}

  /// Lays what `func` has and the stage runs, if it is not laid yet.
  mlir::LogicalResult lay(mlir::func::FuncOp func);
  mlir::FailureOr<LocalShard> parameter(wafer::ParameterOp op);
  /// Of a parameter whose integers stay packed; nothing where its weights hold
  /// numbers, or a shard of them takes fewer bytes so.
  mlir::FailureOr<std::optional<PackedShard>> packed(wafer::ParameterOp op);
  /// Whether any entry takes rows of it by an index.
  bool isTable(wafer::ParameterOp op);
  /// Lets `buffer` have at least `bytes`, the last of them for no weight.
  void extend(mlir::FlatSymbolRefAttr buffer, int64_t bytes);
  mlir::FailureOr<LocalShard> state(wafer::StateOp op);
  mlir::FailureOr<LocalShard> iota(wafer::IotaOp op);
  /// The position that each slot of this PE is for, where `op` appends.
  mlir::FailureOr<LocalShard> slotNumbers(wafer::AppendOp op);
  /// One word: the coordinate of this PE along `axes`, mixed radix.
  LocalShard coordinate(llvm::ArrayRef<wafer::Axis> axes);

  /// The axes of the region that a put is over.
  mlir::FailureOr<llvm::SmallVector<wafer::Axis>> axesOf(fabric::PutOp op);

  /// How the result or operand `local` of `op` lies.
  mlir::FailureOr<Layout> layout(mlir::Operation *op, mlir::ShapedType local);

  wafer::RegionAttr getRegion() const { return region; }

private:
  /// Ops of equal keys are the same thing: name, attributes and type of the
  /// result.
  using Key = std::tuple<const void *, const void *, const void *>;
  static Key keyOf(mlir::Operation *op);
  mlir::FailureOr<std::optional<PackedShard>> pack(wafer::ParameterOp op);
  /// A buffer for `tripCount` local shards behind each other.
  LocalShard reserve(core::Use use, llvm::StringRef hint, int64_t bytes,
                     int64_t tripCount);
  /// Reserves the weights that the trips of a loop read, trip by trip.
  mlir::LogicalResult layTrips(wafer::RepeatOp op);
  mlir::LogicalResult layOne(mlir::Operation *op);
  /// Bytes of the shard of one weight of `op`.
  mlir::FailureOr<int64_t> bytesOfShard(wafer::ParameterOp op);
  /// Binds the parts of a packed weight at `place`.
  void bindPacked(wafer::ParameterOp op, wafer::WeightOp weight,
                  const Layout &lies, const PackedShard &packed,
                  const LocalShard &place);
  /// Where the result of `op` lies; `lay` reserves and binds it the first time.
  mlir::FailureOr<LocalShard>
  layOnce(mlir::Operation *op,
          llvm::function_ref<mlir::FailureOr<LocalShard>(Layout &)> lay);
  void bind(core::Role role, llvm::StringRef name, const Layout &layout,
            const LocalShard &shard, std::optional<uint32_t> source = {},
            int64_t sourceOffset = 0);
  /// Of `count` shards of `op`, one per trip: which the stage holds.
  std::pair<size_t, size_t> tripsHeld(mlir::Operation *op, size_t count) const;

  wafer::RegionAttr region;
  Stage stage;
  mlir::SymbolTable &symbols;
  Sources &sources;
  SymbolNames &names;
  const Budget budget;
  const image::TargetT &target;
  mlir::OpBuilder builder;
  // Never iterated over: keys have no order that stays.
  llvm::DenseMap<Key, LocalShard> known;
  llvm::DenseMap<Key, LocalShard> reserved; // weights of trips
  llvm::DenseMap<Key, std::optional<PackedShard>> packings;
  std::optional<llvm::DenseSet<Key>> tables;
  std::map<std::string, LocalShard> coordinates;
  llvm::DenseMap<mlir::Attribute, LocalShard> numbered; // by dimension
  llvm::StringSet<> states;
};

/// A dimension of `extent` elements that every PE has all of.
core::DimAttr wholeDim(mlir::MLIRContext *context, int64_t live,
                       int64_t sourceStride, int64_t extent);

/// Makes the op at the point of `builder`.
core::BindOp createBind(mlir::OpBuilder &builder, core::Role role,
                        llvm::StringRef name, const Layout &layout,
                        mlir::FlatSymbolRefAttr buffer, int64_t offset = 0,
                        std::optional<uint32_t> source = {},
                        int64_t sourceOffset = 0);

/// The layout attribute that an op carries at level 4.
mlir::FailureOr<wafer::LayoutAttr> layoutOf(mlir::Operation *op);

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_SHARED_H
