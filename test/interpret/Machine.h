//===- Machine.h - All PEs, one op after the other ----------------*- C++
//-*-===//

#ifndef WAFERLOOM_TEST_INTERPRET_MACHINE_H
#define WAFERLOOM_TEST_INTERPRET_MACHINE_H

#include "Interpreter.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <cmath>

namespace waferloom::interpret {

inline int64_t count(llvm::ArrayRef<int64_t> shape) {
  int64_t n = 1;
  for (int64_t size : shape)
    n *= size;
  return n;
}

/// Calls `visit` with every index of `shape`, in row-major order.
inline void forEach(llvm::ArrayRef<int64_t> shape,
                    llvm::function_ref<void(llvm::ArrayRef<int64_t>)> visit) {
  llvm::SmallVector<int64_t> index(shape.size(), 0);
  if (count(shape) == 0)
    return;
  while (true) {
    visit(index);
    int64_t d = static_cast<int64_t>(shape.size()) - 1;
    while (d >= 0 && ++index[d] == shape[d])
      index[d--] = 0;
    if (d < 0)
      return;
  }
}

inline int64_t offsetOf(llvm::ArrayRef<int64_t> shape,
                        llvm::ArrayRef<int64_t> index) {
  int64_t offset = 0;
  for (auto [size, i] : llvm::zip(shape, index))
    offset = offset * size + i;
  return offset;
}

class Machine {
public:
  Machine(mlir::func::FuncOp entry, World &world)
      : entry(entry), world(world), region(wafer::getRegion(entry)) {
    width = region ? region.getWidth() : 1;
    height = region ? region.getHeight() : 1;
    numPes = width * height;
  }

  llvm::LogicalResult run() {
    if (llvm::failed(runBlock(entry.getBody().front())))
      return llvm::failure();
    for (auto &[name, shards] : states)
      if (llvm::failed(collect(shards.second, shards.first,
                               world.states.at(name), entry)))
        return llvm::failure();
    return llvm::success();
  }

private:
  using LocalShards = std::vector<Tensor>; // per PE

  llvm::LogicalResult runBlock(mlir::Block &block);
  llvm::LogicalResult runOp(mlir::Operation *op);
  llvm::LogicalResult runGeneric(mlir::linalg::GenericOp op);
  llvm::LogicalResult runRepeat(wafer::RepeatOp op);
  /// `root`: the coordinate along the axes that has the results, the others
  /// have NaN; all have them without one.
  template <typename OpT>
  void reduce(OpT op, mlir::ValueRange results,
              std::optional<int64_t> root = std::nullopt);
  void runBroadcast(mlir::Value from, mlir::Value to,
                    llvm::ArrayRef<wafer::Axis> axes, int64_t root);
  void runAllReduce(wafer::AllReduceOp op);
  void runReduce(wafer::ReduceOp op);
  llvm::LogicalResult runAtRoots(wafer::ReduceApplyBroadcastOp op);
  void runToNeighbor(wafer::ToNeighborOp op);
  llvm::LogicalResult runLayers(wafer::SendRecvOp op);
  void runAppend(wafer::AppendOp op);
  void runLookup(wafer::LookupOp op);
  template <typename OpT>
  void runShare(OpT op, bool slices);
  void runSlice(mlir::tensor::ExtractSliceOp op);
  void runConcat(mlir::tensor::ConcatOp op);

  LocalShards &set(mlir::Value value) {
    LocalShards &shards = values[value];
    auto type = mlir::cast<mlir::RankedTensorType>(value.getType());
    shards.assign(numPes, {llvm::SmallVector<int64_t>(type.getShape()),
                           std::vector<double>(type.getNumElements(), NAN)});
    return shards;
  }
  /// Distributes a whole tensor by `layout`; `padding` gives what is beyond.
  void distribute(const Tensor &whole, wafer::LayoutAttr layout,
                  mlir::Value value, llvm::function_ref<double()> padding);
  llvm::LogicalResult collect(const LocalShards &shards,
                              wafer::LayoutAttr layout, Tensor &whole,
                              mlir::Operation *op);
  llvm::SmallVector<int64_t> getPadded(llvm::ArrayRef<int64_t> local,
                                       wafer::LayoutAttr layout);
  /// The lane of a PE in a strip of stages, and the last PE (or the first) of
  /// a lane.
  int64_t laneOf(int64_t pe, bool alongX) const {
    return alongX ? row(pe) : column(pe);
  }
  int64_t endOf(int64_t lane, bool alongX, bool last) const {
    return alongX ? lane * width + (last ? width - 1 : 0)
                  : lane + (last ? (height - 1) * width : 0);
  }
  int64_t column(int64_t pe) const { return pe % width; }
  int64_t row(int64_t pe) const { return pe / width; }
  int64_t getCoordinate(llvm::ArrayRef<wafer::Axis> axes, int64_t pe) {
    int64_t result = 0;
    for (wafer::Axis axis : axes)
      result = result * region.getSize(axis) +
               region.getCoordinate(axis, column(pe), row(pe));
    return result;
  }
  /// The PEs that differ only on `axes`, in order of their coordinate there.
  std::vector<std::vector<int64_t>> getGroups(llvm::ArrayRef<wafer::Axis> axes);

  mlir::func::FuncOp entry;
  World &world;
  wafer::RegionAttr region;
  int64_t width, height, numPes;
  /// Of layers that have a program of their own: what they take and give, for
  /// each lane of the strip.
  std::vector<LocalShards> taken, sent;
  int64_t trip = 0;
  llvm::DenseMap<mlir::Value, LocalShards> values;
  llvm::DenseMap<mlir::Value, std::string> stateNames;
  std::map<std::string, std::pair<wafer::LayoutAttr, LocalShards>> states;
};

} // namespace waferloom::interpret

#endif // WAFERLOOM_TEST_INTERPRET_MACHINE_H
