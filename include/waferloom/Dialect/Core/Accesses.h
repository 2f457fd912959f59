//===- Accesses.h - What instructions touch, and where ----------*- C++ -*-===//
//
// For passes on programs whose buffers have no addresses yet: the bytes of
// which buffer an instruction reads and writes, and the PEs that execute it.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_DIALECT_CORE_ACCESSES_H
#define WAFERLOOM_DIALECT_CORE_ACCESSES_H

#include "waferloom/Dialect/Core/Core.h"

#include "llvm/ADT/BitVector.h"

namespace waferloom::core {

/// Bytes of an element: of an f16, or of a word.
inline int64_t bytesOf(mlir::Type element) { return element.isF16() ? 2 : 4; }

/// Whether an operand is elsewhere in another trip, or where an index says.
inline bool moves(OperandAttr operand) {
  return !operand.getSteps().empty() || operand.getIndexScale() != 0;
}

/// The trips of the loops around an instruction, the outermost first.
using Trips = llvm::SmallVector<int64_t, 4>;
/// Of all loops around `instruction`.
Trips tripsAround(mlir::Operation *instruction);

/// Bytes of a buffer, counted from its begin: from `low` to before `high`. Of a
/// null buffer: addresses.
struct Window {
  mlir::FlatSymbolRefAttr buffer;
  int64_t low = 0, high = 0;

  /// Moves it by 0 .. `times` - 1 times `bytes`; what no address has room for
  /// ends at the last one.
  void move(int64_t times, int64_t bytes);
  /// Whether they may share a byte. Addresses may be anybody's.
  bool overlaps(const Window &other) const {
    if (!buffer || !other.buffer)
      return true;
    return buffer == other.buffer && low < other.high && other.low < high;
  }
  bool contains(const Window &other) const {
    return buffer == other.buffer && low <= other.low && other.high <= high;
  }
};

/// All that an operand that is no scalar touches: every element of `shape`, in
/// every trip, whatever its index is.
Window windowOf(OperandAttr operand, llvm::ArrayRef<int64_t> shape,
                const Trips &trips);
/// The word that an operand with an index is chosen by.
Window indexWindowOf(OperandAttr operand, const Trips &trips);

/// Whether every byte between its first and its last element is one of it.
bool isSolid(OperandAttr operand, llvm::ArrayRef<int64_t> shape);

/// The shape of an instruction; empty for a scalar, and for what has none.
llvm::ArrayRef<int64_t> shapeOf(mlir::Operation *instruction);

struct Access {
  Window window;
  bool writes = false;
};

/// Calls `visit` for everything that an instruction reads or writes, in every
/// trip of the loops around it. Of a loop: for all that stands in it.
void forEachAccess(mlir::Operation *op, Trips &trips,
                   llvm::function_ref<void(const Access &)> visit);

/// Whether it sends or takes words.
inline bool isStream(mlir::Operation *op) {
  return mlir::isa<SendOp, RecvOp, RecvFoldOp, RecvFoldSendOp>(op);
}

/// Columns and rows of PEs, by their classes.
struct PeSet {
  llvm::BitVector columns, rows;

  bool meets(const PeSet &other) const {
    return columns.anyCommon(other.columns) && rows.anyCommon(other.rows);
  }
  bool operator==(const PeSet &other) const {
    return columns == other.columns && rows == other.rows;
  }
};

/// The sets that the instructions of a region name.
class PeSets {
public:
  explicit PeSets(RegionOp region);

  /// The PEs that have an instruction, a loop or a buffer.
  PeSet of(mlir::Operation *op) const;
  const llvm::BitVector &columnsOf(mlir::Attribute name) const {
    return lookup(name, allColumns);
  }
  const llvm::BitVector &rowsOf(mlir::Attribute name) const {
    return lookup(name, allRows);
  }
  /// How many columns, or rows, are of one of the classes.
  int64_t countColumns(const llvm::BitVector &classes) const {
    return count(classes, columnsOfClass);
  }
  int64_t countRows(const llvm::BitVector &classes) const {
    return count(classes, rowsOfClass);
  }

private:
  const llvm::BitVector &lookup(mlir::Attribute name,
                                const llvm::BitVector &all) const;
  static int64_t count(const llvm::BitVector &classes,
                       llvm::ArrayRef<int64_t> sizes);

  llvm::DenseMap<mlir::Attribute, llvm::BitVector> sets; // by name
  llvm::BitVector allColumns, allRows;
  llvm::SmallVector<int64_t> columnsOfClass, rowsOfClass;
};

} // namespace waferloom::core

#endif // WAFERLOOM_DIALECT_CORE_ACCESSES_H
