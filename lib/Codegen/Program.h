//===- Program.h - The program of one entry ---------------------*- C++ -*-===//
//
// Walks a function of per-PE tensors in order. Every tensor value is a window
// of a buffer; views cost nothing, a generic gets a buffer for its result, a
// collective travels in a buffer that its operands were computed into.
//
// An entry of several tokens may stream them through the program of one token:
// what stands in front of the head, and the layers, are a loop over tokens, in
// every stage one of its own, so that stages work on several tokens at a time.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_LIB_CODEGEN_PROGRAM_H
#define WAFERLOOM_LIB_CODEGEN_PROGRAM_H

#include "CollectiveEmitter.h"
#include "Generic.h"
#include "Orders.h"
#include "Readers.h"
#include "Shared.h"
#include "waferloom/Image/Utf8.h"
#include "waferloom/Machine/MachineModel.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace waferloom::codegen {

/// The shape of a tensor value.
inline llvm::SmallVector<int64_t> shapeOf(mlir::Value value) {
  return llvm::to_vector(
      mlir::cast<mlir::ShapedType>(value.getType()).getShape());
}

/// The type of the host's array for a tensor: booleans and int64 are i32 on the
/// wafer.
mlir::Type hostTypeOf(mlir::Operation *op, mlir::ShapedType local);

/// An entry that a function for one token is written for.
struct Stream {
  int64_t tokens = 1; ///< of the entry
  int64_t most = 1;   ///< of the longest entry that shares the code
};

class ProgramEmitter {
public:
  /// Writes into `program`, whose region has the buffers that `shared` laid;
  /// `names` are those of the region.
  ProgramEmitter(mlir::func::FuncOp func, Stream stream, Stage stage,
                 core::ProgramOp program, const SymbolNames &names,
                 Shared &shared, CollectiveEmitter &collectives,
                 const image::TargetT &target, Budget budget);

  mlir::LogicalResult run();

private:
  /// A buffer for an input or output, and its binding on `holders`.
  Ref bind(core::Role role, llvm::StringRef name, const Layout &layout,
           llvm::ArrayRef<int64_t> shape, int64_t bytes, Guard holders = {});
  mlir::FailureOr<Guard> holdersOf(wafer::OutputOp op);
  mlir::LogicalResult emitBlock(mlir::Block &block);
  mlir::LogicalResult emitOp(mlir::Operation *op);
  mlir::LogicalResult emit(mlir::linalg::GenericOp op);
  mlir::LogicalResult emit(fabric::CollectiveOpInterface op);
  mlir::LogicalResult emit(fabric::PutOp op);
  mlir::LogicalResult emit(fabric::ToLanesOp op);
  mlir::LogicalResult emit(fabric::FromLanesOp op);
  mlir::LogicalResult emit(wafer::RepeatOp op);
  mlir::LogicalResult emitTrips(wafer::RepeatOp op, int64_t tripCount,
                                llvm::ArrayRef<Ref> carried);

  // What stages of unlike shapes give each other (StageStreams.cpp).
  mlir::LogicalResult emit(fabric::StageSendRecvOp op);
  mlir::LogicalResult emit(fabric::StageRecvOp op);
  mlir::LogicalResult emit(fabric::StageSendOp op);
  /// Both ends of stage 0: what leaves, and what comes back into its place.
  mlir::LogicalResult sendOut(fabric::StageSendRecvOp op);
  mlir::LogicalResult takeBack(fabric::StageSendRecvOp op);
  /// What this stage has of the stream that stage `from` sends.
  mlir::LogicalResult emitStageStream(fabric::StageStreamOpInterface op,
                                      int64_t from, collectives::Border what,
                                      Ref message, int64_t words);

  // What stages give each other (Handover.cpp).
  mlir::LogicalResult emitStaged(wafer::RepeatOp op);
  /// The part of the stage in the trips of one token: stage 0 sends what they
  /// begin with; the others receive, run theirs, and send.
  mlir::LogicalResult emitShare(wafer::RepeatOp op);
  mlir::LogicalResult send(wafer::RepeatOp op);
  mlir::LogicalResult receive(wafer::RepeatOp op);
  /// What `leave` or `enter` of a turn makes of `given`.
  mlir::FailureOr<Ref> emitTurn(mlir::Region &turn, Ref given);
  /// Streams between other stages that pass this one.
  mlir::LogicalResult emitPasses();
  /// What tells the parts and lanes of a turn: before everything else.
  void emitTurnWords();

  // Streamed entries (Stream.cpp).
  mlir::LogicalResult emitStream();
  /// The op that ends what is done for each token; null: there is none.
  mlir::Operation *lastPerToken();
  mlir::LogicalResult emitStagedTokens(mlir::Operation *last);
  mlir::LogicalResult emitToken(mlir::Operation *last);
  /// What stage 0 does with what comes back for a token.
  mlir::LogicalResult emitBack(mlir::Operation *last);
  mlir::LogicalResult emitAgain(mlir::Operation *last);
  mlir::LogicalResult emitLoop(int64_t tokens,
                               llvm::function_ref<mlir::LogicalResult()> body);
  /// A place for an input of all tokens, of which each takes its part.
  mlir::LogicalResult emitPerToken(wafer::InputOp op);
  void takeToken(wafer::InputOp op);
  /// Whether the input has a dimension over the tokens of a step.
  bool isPerToken(wafer::InputOp op) const;

  /// Whether the stage runs `op`.
  bool isWritten(mlir::Operation *op) const;
  /// A copy of weights in every trip of a loop.
  struct TripCopy {
    llvm::SmallVector<int64_t> words;
    Ref to, from;
    bool isNext = false; ///< of the next trip: behind their last reader
  };
  mlir::LogicalResult copyWeights(wafer::RepeatOp op, int64_t tripCount,
                                  std::vector<TripCopy> &copies);
  mlir::LogicalResult emit(wafer::AppendOp op);
  mlir::LogicalResult emit(wafer::StoreOp op);
  mlir::LogicalResult emitPatched(wafer::AppendOp op, const Patch &patch);
  mlir::LogicalResult emit(wafer::LookupOp op);
  mlir::LogicalResult emit(wafer::SliceOp op);
  mlir::LogicalResult emit(wafer::InputOp op);
  mlir::LogicalResult emit(wafer::OutputOp op);
  mlir::LogicalResult emit(mlir::tensor::ConcatOp op);
  mlir::LogicalResult view(mlir::tensor::ExtractSliceOp op);
  mlir::LogicalResult reshape(mlir::Operation *op, mlir::Value source,
                              mlir::ShapedType to);
  mlir::LogicalResult parameterLike(mlir::Operation *op,
                                    mlir::FailureOr<LocalShard> shard,
                                    size_t tripCount);

  mlir::FailureOr<Ref> get(mlir::Operation *user, mlir::Value value);
  /// A weight that is packed, as numbers: made where it is read first.
  mlir::FailureOr<Ref> unpack(wafer::ParameterOp op);
  /// The same of the rows that `op` takes.
  mlir::LogicalResult emitPackedRows(wafer::LookupOp op,
                                     const PackedShard &packed);
  /// The number of the first row that this PE has of a table that is divided.
  mlir::FailureOr<std::optional<Ref>> firstRow(wafer::LookupOp op);
  struct PackedParts {
    Ref codes, scales, zeros;
  };
  mlir::FailureOr<PackedParts> partsOf(wafer::ParameterOp op,
                                       const PackedShard &packed);
  /// A buffer for the result of `value`: inside the fused collective that it
  /// travels in, or its own.
  mlir::FailureOr<Ref> result(mlir::Value value);
  Ref sharedRef(LocalShard shard, Word type, llvm::ArrayRef<int64_t> shape);
  Ref coordinate(llvm::ArrayRef<wafer::Axis> axes);
  void placeFusedCollectives(mlir::Block &block);

  /// Where position p + t of a state lies: the local slot, and whether this PE
  /// owns it. Computed once, before everything else.
  struct Slots {
    Ref slot, owned;
    Ref hot; ///< 1 where a new row goes, one per slot; where a patch needs it
    bool everywhere = false;
  };
  using SlotKey = std::tuple<std::vector<std::string>, bool, int64_t, int64_t>;
  mlir::FailureOr<SlotKey> slotKey(wafer::AppendOp op);
  mlir::LogicalResult emitHot(wafer::AppendOp op, Slots &slots);
  /// Stores the rows of `update` into `state`.
  void store(wafer::AppendOp op, const Slots &slots, Ref state, Ref update);
  /// Once for each kind of append that the stage runs.
  mlir::LogicalResult emitSlots();
  void bindPosition();

  mlir::func::FuncOp func;
  Stream stream;
  Stage stage;
  Shared &shared;
  CollectiveEmitter &collectives;
  Readers readers;
  const image::TargetT &target;
  Budget budget;
  Emitter emitter;
  std::optional<Ref> position;
  llvm::DenseMap<mlir::Operation *, wafer::StageSet> stageSets;
  Ref tokenNumber; // of this step
  llvm::DenseMap<mlir::Operation *, std::pair<Ref, int64_t>> perToken;
  llvm::DenseMap<mlir::Value, Ref> values;
  llvm::DenseSet<mlir::Value> unread;       // weights that are packed
  llvm::DenseMap<mlir::Value, Ref> placed;  // operands of fused collectives
  llvm::DenseMap<mlir::Value, Ref> rounded; // what products read as halves
  llvm::DenseMap<mlir::Operation *, unsigned> depths;
  std::map<SlotKey, Slots> slots;
  Ref lanePiece, laneOwned;              // of this PE, where strips turn
  llvm::StringMap<wafer::InputOp> taken; // inputs by name
};

/// The stream that stage `from` sends, as the stages of `op` have it.
mlir::FailureOr<CollectiveEmitter::Border>
getBorder(fabric::StageStreamOpInterface op, int64_t from,
          collectives::Border what);

} // namespace waferloom::codegen

#endif // WAFERLOOM_LIB_CODEGEN_PROGRAM_H
