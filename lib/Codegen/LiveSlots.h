//===- LiveSlots.h - Who may end with the live slots ------------*- C++ -*-===//

#ifndef WAFERLOOM_LIB_CODEGEN_LIVESLOTS_H
#define WAFERLOOM_LIB_CODEGEN_LIVESLOTS_H

#include "SlotFacts.h"

#include "llvm/ADT/MapVector.h"

namespace waferloom::codegen {

/// The caches of a region: buffers of states, to which all programs append rows
/// by slot and write nothing else. Their dead slots are zero, as in the
/// beginning.
using Caches = std::map<llvm::StringRef, Slots>;
Caches findCaches(core::RegionOp region);

/// Where the slots of `bind` lie if one is `stride` bytes and there are
/// `count`; `count` 0: it has none such.
Slots slotsOf(core::BindOp bind, int64_t stride, int64_t count);

/// An instruction whose dimension `dim` ends with the live slots.
struct Ending {
  llvm::SmallVector<Walk, 4> walks; ///< of its operands, in their order
  core::LiveAttr live;
  /// It reads nothing that others left out, so that it may also be whole.
  bool isFree = true;
  int64_t slots = 0; ///< of each PE
  int64_t trips = 1;

  llvm::ArrayRef<int64_t> shape() const { return walks.front().extents; }
};
using Endings = llvm::MapVector<mlir::Operation *, Ending>;

/// One walk through a program. All instructions that may end with the live
/// slots do so, but those in `whole`; what that is wrong with is found behind
/// the walk.
class LiveSlots {
public:
  LiveSlots(core::ProgramOp program, const Caches &caches, int64_t tokens);

  /// False: the program is of a kind that this does not follow.
  bool walk(const std::set<mlir::Operation *> &whole);

  Endings endings;
  /// Instructions that must not, since others read what they left out.
  std::set<mlir::Operation *> wrong;
  /// Caches to which rows are appended at slots that nothing is known of.
  std::set<llvm::StringRef> unknown;

  /// A vector instruction on its way through `visit`.
  struct Visit;

private:
  void begin();
  bool walk(mlir::Block &block);
  void visit(mlir::Operation *op);
  void visit(core::VectorOp op);
  void append(core::VectorOp op);
  void overSlots(Visit &visit, unsigned dim);
  void inSlots(Visit &visit);
  /// The instruction ends with the live ones of `slots`, of which the first
  /// that it goes over is `from`. No `dim`: that is the only one.
  void end(Visit &visit, const Slots &slots, std::optional<unsigned> dim,
           int64_t from);
  void write(const Visit &visit, const Fact &fact);
  void refuse(const Fact &fact) {
    wrong.insert(fact.origins.begin(), fact.origins.end());
  }
  void checkWords(core::OperandAttr operand);
  Fact resultOf(const Visit &visit, unsigned dim, int64_t first,
                const Slots &of) const;
  bool isScratch(core::OperandAttr operand) const {
    return scratch.count(operand.getBuffer().getValue()) != 0;
  }
  Fact find(core::OperandAttr operand, llvm::ArrayRef<int64_t> shape) const;

  core::ProgramOp program;
  const Caches &caches;
  int64_t tokens;
  std::set<llvm::StringRef> scratch; ///< that no host reads
  const std::set<mlir::Operation *> *whole = nullptr;
  Facts facts;
  core::Trips trips;
};

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_LIVESLOTS_H
