//===- Shared.h - What all entries of an image share ------------*- C++ -*-===//
//
// Weights, states and index tensors lie at the same addresses in every entry's
// program, from address 0 up. Each has a binding that says how the global
// tensor is spread over the PEs of the region. With stages, what only the first
// or only the others need shares its addresses, each on its own PEs.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_CODEGEN_SHARED_H
#define WAFERLOOM_LIB_CODEGEN_SHARED_H

#include "Emitter.h"

#include "waferloom/Codegen/Codegen.h"
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
  int64_t address = 0;
  int64_t bytes = 0; // of one trip
  int64_t step = 0;
  int64_t front = 0; // address of the first local shard of the same trip
};

/// Which PEs hold something: one stage, or those that run it.
struct Holder {
  wafer::StageSet stageSet = wafer::StageSet::All;
  std::optional<uint32_t> stage;
};

class Shared {
public:
  Shared(wafer::RegionAttr region, mlir::ModuleOp module, Image &image)
      : region(region), symbols(module), image(image) {}

  /// Tells, before anything is laid, that `op` (a parameter, state or iota) is
  /// run by `stageSet`; other entries may say otherwise.
  void use(mlir::Operation *op, wafer::StageSet stageSet);
  /// Who runs it in any entry. What all run must be laid first.
  wafer::StageSet stageSetOf(mlir::Operation *op) const;

  /// Reserves the weights that the trips of a loop read, trip by trip; of these
  /// what `stageSet` runs.
  mlir::LogicalResult layTrips(wafer::RepeatOp op, wafer::StageSet stageSet);
  bool isKnown(wafer::ParameterOp op) const;
  mlir::FailureOr<LocalShard> parameter(wafer::ParameterOp op);
  mlir::FailureOr<LocalShard> state(wafer::StateOp op);
  mlir::FailureOr<LocalShard> iota(wafer::IotaOp op);
  /// One word: the coordinate of this PE along `axes`, mixed radix.
  LocalShard coordinate(llvm::ArrayRef<wafer::Axis> axes);

  /// The axes of the region that a put is over.
  mlir::FailureOr<llvm::SmallVector<wafer::Axis>> axesOf(fabric::PutOp op);

  /// A binding for an input or output of an entry.
  mlir::FailureOr<std::unique_ptr<image::BindingT>>
  binding(mlir::Operation *op, mlir::ShapedType local, llvm::StringRef name,
          image::Role role);

  /// On the fullest PE.
  int64_t bytes() const {
    return laid(wafer::StageSet::All) + std::max(laid(wafer::StageSet::First),
                                                 laid(wafer::StageSet::Others));
  }
  /// Of what just `stageSet` need.
  int64_t laid(wafer::StageSet stageSet) const {
    return tops[static_cast<size_t>(stageSet)];
  }
  wafer::RegionAttr getRegion() const { return region; }
  std::vector<std::unique_ptr<image::BindingT>> bindings;
  std::vector<Holder> holders; // one per binding

private:
  /// Ops of equal keys are the same thing: name, attributes and type of the
  /// result.
  using Key = std::tuple<const void *, const void *, const void *>;
  static Key keyOf(mlir::Operation *op);
  /// A place for `tripCount` local shards behind each other.
  LocalShard reserve(int64_t bytes, int64_t tripCount,
                     wafer::StageSet stageSet);
  /// Sets `binding` of trip `trip` of `op` behind those that `shard` begins
  /// with.
  void add(std::unique_ptr<image::BindingT> binding, mlir::Operation *op,
           const LocalShard &shard, size_t trip, size_t tripCount);
  mlir::FailureOr<uint32_t> source(wafer::WeightOp weight, Word stored);

  wafer::RegionAttr region;
  mlir::SymbolTable symbols;
  Image &image;
  int64_t tops[3] = {};
  // Never iterated over: keys have no order that stays.
  llvm::DenseMap<Key, wafer::StageSet> users;
  llvm::DenseMap<Key, LocalShard> known;
  llvm::DenseMap<Key, LocalShard> reserved; // weights of trips
  std::map<std::string, LocalShard> coordinates;
  llvm::StringSet<> states;
  std::map<std::string, uint32_t> sources;
};

/// The layout attribute that an op carries at level 4.
mlir::FailureOr<wafer::LayoutAttr> layoutOf(mlir::Operation *op);

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_SHARED_H
