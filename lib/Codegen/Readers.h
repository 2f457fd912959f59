//===- Readers.h - On which lines of PEs a value is read --------*- C++ -*-===//
//
// Level 5 has one program for all PEs. What a value is on some of them may be
// nobody's concern: of a sum along y that is then given along x from one
// column, only that column's is read. The collective need not be done in the
// others.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_CODEGEN_READERS_H
#define WAFERLOOM_LIB_CODEGEN_READERS_H

#include "waferloom/Dialect/Fabric/Fabric.h"

#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/DenseMap.h"

namespace waferloom::codegen {

/// The columns and the rows of PEs that read something.
struct Lines {
  llvm::BitVector columns, rows;

  Lines &operator|=(const Lines &other) {
    columns |= other.columns;
    rows |= other.rows;
    return *this;
  }
  llvm::BitVector &along(fabric::Direction direction) {
    return direction == fabric::Direction::X ? columns : rows;
  }
  llvm::BitVector &across(fabric::Direction direction) {
    return direction == fabric::Direction::X ? rows : columns;
  }
};

class Readers {
public:
  /// On a region of `width` x `height` PEs.
  Readers(int64_t width, int64_t height);

  /// Those that read `value`, and what is made of it.
  const Lines &of(mlir::Value value);
  /// Those that read a result of `op`.
  Lines of(mlir::Operation *op);
  /// The PEs that have a part in `op`: all of a group, if one reads.
  Lines partsIn(fabric::CollectiveOpInterface op);
  /// Whether nobody but the roots of its lines reads what `op` gives them.
  bool areRoots(fabric::BroadcastOp op);

private:
  Lines readBy(mlir::OpOperand &use);

  Lines all;
  llvm::DenseMap<mlir::Value, Lines> known;
};

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_READERS_H
