//===- ClassReader.h - Reads classes off a module ----------------*- C++-*-===//
//
// The reader behind classify(), and what the models of ops are given to say
// which dimensions are split alike (LayoutOpInterface::readClasses).
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_PARTITION_CLASSREADER_H
#define WAFERLOOM_LIB_PARTITION_CLASSREADER_H

#include "Classes.h"
#include "Dimensions.h"

#include "waferloom/Format/TypeFormat.h"
#include "waferloom/Partition/PartitionOpInterfaces.h"

#include <map>

namespace waferloom::partition {

using Ids = llvm::SmallVector<DimId>;

/// A work with dimensions instead of classes.
struct RawWork {
  Work work;
  Ids parallel, reduction;
  llvm::SmallVector<std::pair<int64_t, Ids>>
      buffers;                    // bytes of an element, dims
  llvm::SmallVector<Ids> factors; // of a product that is summed: dims
  std::optional<std::pair<DimId, DimId>> change;
  std::vector<std::pair<Unpacking, Ids>> unpackings;
};

class ClassReader {
public:
  llvm::LogicalResult read(mlir::ModuleOp module);
  ModuleClasses finish();

  // For the models of ops.

  llvm::LogicalResult readBlock(mlir::Block &block);
  /// Joins the dimensions of operands and result of `op` by its loops and adds
  /// its work.
  void readLoops(mlir::Operation *op, const IterationSpace &space);
  /// `op` gives what lies in memory under `names`, in all entries alike.
  llvm::LogicalResult readStored(mlir::Operation *op, mlir::ArrayAttr names);
  Ids &getIds(mlir::Value value);
  /// Joins two dimensions unless they are apart.
  bool join(DimId a, DimId b);
  void joinAll(mlir::Value a, mlir::Value b);
  /// A class of its own for dimension `dim` of an operand, behind a change of
  /// layout. `ids` are those that the operand is read with, and become so.
  DimId addChange(mlir::Operation *op, unsigned operand, Ids &ids, int64_t dim);
  void keepWhole(DimId id) { whole.insert(id); }
  void keepCyclic(DimId id) { cyclic.insert(id); }
  /// `to` is the value `from` by another name.
  void rename(mlir::Value from, mlir::Value to);

  /// While it lives, ops run `tripCount` times as often.
  class Trips {
  public:
    Trips(ClassReader &reader, int64_t tripCount)
        : reader(reader), outerTrips(reader.tripCount),
          outerScope(reader.scope) {
      reader.tripCount *= tripCount;
      reader.scope = ++reader.scopes;
    }
    ~Trips() {
      reader.tripCount = outerTrips;
      reader.scope = outerScope;
    }

  private:
    ClassReader &reader;
    int64_t outerTrips;
    int outerScope;
  };

private:
  llvm::LogicalResult readOp(mlir::Operation *op);
  bool clash(DimId a, DimId b);
  void keepApart(DimId a, DimId b);
  /// The work of an op without what it computes: its loops and buffers.
  void addWork(mlir::Operation *op, const IterationSpace &space,
               llvm::ArrayRef<Ids> used, const std::map<int, DimId> &loops);
  int64_t getBytes(mlir::Value value) {
    return bytesOf(computedFormatOf(value.getType()).value_or(Format::f32));
  }

  /// How a weight lies in a file whose integers stay packed; else nothing.
  std::optional<PackedWeight> packedOf(mlir::Value value) const;

  std::optional<mlir::SymbolTable> symbols;
  Dimensions dims;
  llvm::DenseMap<mlir::Value, Ids> ids;
  llvm::DenseMap<std::pair<mlir::Operation *, unsigned>, Ids> changed;
  std::map<DimId, std::set<DimId>> apart; // of representatives
  std::set<DimId> whole, cyclic;
  std::vector<std::pair<DimId, DimId>> samePadding;
  std::map<DimId, std::set<std::string>> roles;
  std::vector<RawWork> works;
  std::vector<std::pair<Stored, Ids>> stored;
  llvm::DenseMap<mlir::Value, int> producer; // the work that computes a value
  llvm::DenseMap<mlir::Attribute, mlir::Value> firstUse;
  int64_t tripCount = 1;
  int scope = 0, scopes = 0;
};

} // namespace waferloom::partition

#endif // WAFERLOOM_LIB_PARTITION_CLASSREADER_H
