#include "Emitter.h"

#include "Core/ImageEnums.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/bit.h"

using namespace waferloom::codegen;
using namespace waferloom;
using namespace mlir;

mlir::Type codegen::typeOf(MLIRContext *context, Word word) {
  switch (word) {
  case Word::f32:
    return Float32Type::get(context);
  case Word::f16:
    return Float16Type::get(context);
  case Word::i32:
    break;
  }
  return IntegerType::get(context, 32);
}

FlatSymbolRefAttr SymbolNames::take(MLIRContext *context, StringRef hint) {
  // What text can have without quotes.
  std::string name;
  for (char c : hint)
    name += llvm::isAlnum(c) || c == '_' || c == '.' || c == '-' ? c : '_';
  if (name.empty() || llvm::isDigit(name.front()))
    name.insert(0, "b");
  auto [it, isNew] = used.try_emplace(name, 0);
  if (isNew)
    return FlatSymbolRefAttr::get(context, name);
  while (true) {
    std::string numbered = name + "_" + std::to_string(++it->second);
    if (used.try_emplace(numbered, 0).second)
      return FlatSymbolRefAttr::get(context, numbered);
    it = used.find(name); // the map may have grown
  }
}

Ref Ref::constant(float value) {
  Ref ref;
  ref.immediate = true;
  ref.bits = llvm::bit_cast<uint32_t>(value);
  return ref;
}

Ref Ref::constant(int32_t value) {
  Ref ref;
  ref.immediate = true;
  ref.type = Word::i32;
  ref.bits = static_cast<uint32_t>(value);
  return ref;
}

Ref codegen::dense(FlatSymbolRefAttr buffer, Word type, ArrayRef<int64_t> shape,
                   int64_t offset) {
  Ref ref;
  ref.buffer = buffer;
  ref.type = type;
  ref.offset = offset;
  ref.strides.resize(shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0; stride *= shape[i])
    ref.strides[i] = stride;
  return ref;
}

Emitter::Emitter(core::ProgramOp program, SymbolNames names)
    : program(program), names(std::move(names)),
      builder(OpBuilder::atBlockEnd(&program.getBody().front())),
      node(builder.getUnknownLoc()) {
  Block &body = program.getBody().front();
  if (!body.empty())
    lastInFront = &body.back();
  setNode(node);
}

void Emitter::setNode(Location location) {
  auto named = location->findInstanceOf<NameLoc>();
  StringRef name = named ? named.getName().getValue() : StringRef();
  node = name.empty() ? builder.getUnknownLoc()
                      : Location(NameLoc::get(builder.getStringAttr(name)));
  // Exporters give paths; their last part says what is done.
  hint = name.rtrim('/').rsplit('/').second.str();
  if (hint.empty())
    hint = name.empty() ? "scratch" : name.str();
}

FlatSymbolRefAttr Emitter::newBuffer(int64_t bytes, core::Use use,
                                     StringRef given) {
  OpBuilder::InsertionGuard back(builder);
  if (lastInFront)
    builder.setInsertionPointAfter(lastInFront);
  else
    builder.setInsertionPointToStart(&program.getBody().front());
  FlatSymbolRefAttr name =
      names.take(builder.getContext(), given.empty() ? hint : given);
  lastInFront = core::BufferOp::create(
      builder, node, core::UseAttr::get(builder.getContext(), use),
      name.getAttr(), number(llvm::alignTo(std::max<int64_t>(bytes, 4), 4)),
      IntegerAttr(), IntegerAttr(), FlatSymbolRefAttr(), FlatSymbolRefAttr());
  return name;
}

void Emitter::insertBinding(core::BindOp bind) {
  OpBuilder::InsertionGuard back(builder);
  builder.setInsertionPointAfter(lastInFront);
  builder.insert(bind);
  lastInFront = bind;
}

void Emitter::dropUnused() {
  llvm::SmallPtrSet<Attribute, 32> named;
  program.walk([&](Operation *op) {
    if (auto bind = dyn_cast<core::BindOp>(op))
      named.insert(bind.getBufferAttr());
    core::forEachOperand(op, [&](core::OperandAttr operand) {
      named.insert(operand.getBuffer());
      named.insert(operand.getIndexBuffer());
    });
  });
  for (core::BufferOp buffer :
       llvm::make_early_inc_range(program.getBody().getOps<core::BufferOp>()))
    if (!named.contains(FlatSymbolRefAttr::get(buffer.getSymNameAttr())))
      buffer.erase();
}

Ref Emitter::temporary(Word type, ArrayRef<int64_t> shape) {
  int64_t elements = 1;
  for (int64_t extent : shape)
    elements *= extent;
  return dense(newBuffer(elements * bytesOf(type)), type, shape);
}

void Emitter::loop(int64_t count, bool perEntry, image::LoopOver over) {
  auto loop = core::LoopOp::create(
      builder, node, number(count),
      perEntry ? builder.getUnitAttr() : UnitAttr(), core::LoopOverAttr(),
      FlatSymbolRefAttr(), FlatSymbolRefAttr());
  if (over != image::LoopOver::nothing)
    loop.setOver(mirrored<core::LoopOver>(over));
  builder.createBlock(&loop.getBody());
  open.push_back(loop);
}

void Emitter::endLoop() { builder.setInsertionPointAfter(open.pop_back_val()); }

static SmallVector<int64_t> flat(ArrayRef<LoopStep> steps) {
  SmallVector<int64_t> numbers;
  for (LoopStep step : steps)
    numbers.append({static_cast<int64_t>(step.depth), step.bytes});
  return numbers;
}

core::OperandAttr Emitter::encode(const Ref &ref,
                                  ArrayRef<int64_t> shape) const {
  if (ref.isAbsent())
    return {};
  MLIRContext *context = builder.getContext();
  mlir::Type type = typeOf(context, ref.type);
  if (ref.immediate)
    return core::OperandAttr::getScalar(type, ref.bits);
  const bool isDense = ref.strides == dense({}, ref.type, shape).strides;
  SmallVector<int64_t, 4> strides;
  if (!isDense)
    strides = ref.strides;
  if (ref.strides.empty()) // one element for all of the shape
    strides.assign(shape.size(), 0);
  const bool hasIndex = static_cast<bool>(ref.indexBuffer);
  return core::OperandAttr::get(
      context, type, ref.buffer, ref.offset, isDense, strides, flat(ref.steps),
      ref.indexBuffer, hasIndex ? ref.indexOffset : 0, flat(ref.indexSteps),
      hasIndex ? ref.indexScale : 0, hasIndex ? ref.indexCount : 0, false, 0);
}

/// Drops dimensions of extent 1, then merges neighbours that every operand
/// walks through without a jump. `strides` has a list per operand.
static SmallVector<int64_t, 4>
mergeDimensions(ArrayRef<int64_t> shape, ArrayRef<Ref *> refs,
                SmallVectorImpl<SmallVector<int64_t, 4>> &strides) {
  SmallVector<int64_t, 4> extents;
  for (auto [i, extent] : llvm::enumerate(shape)) {
    if (extent == 1)
      continue;
    bool merges = !extents.empty();
    for (auto [r, ref] : llvm::enumerate(refs))
      merges = merges && strides[r].back() == ref->strides[i] * extent;
    if (merges) {
      extents.back() *= extent;
      for (auto [r, ref] : llvm::enumerate(refs))
        strides[r].back() = ref->strides[i];
      continue;
    }
    extents.push_back(extent);
    for (auto [r, ref] : llvm::enumerate(refs))
      strides[r].push_back(ref->strides[i]);
  }
  return extents;
}

void Emitter::vector(Opcode op, ArrayRef<int64_t> shape, Ref dst, Ref a, Ref b,
                     Ref c, Ref predicate) {
  SmallVector<Ref *, 4> refs;
  for (Ref *ref : {&dst, &a, &b, &c})
    if (!ref->isAbsent())
      refs.push_back(ref);
  for (Ref *ref : refs)
    if (ref->immediate || ref->strides.empty())
      ref->strides.assign(shape.size(), 0);
  SmallVector<SmallVector<int64_t, 4>, 4> strides(refs.size());
  SmallVector<int64_t, 4> extents = mergeDimensions(shape, refs, strides);

  unsigned loops = 0;
  for (; extents.size() > 4; ++loops) {
    for (auto [r, ref] : llvm::enumerate(refs)) {
      int64_t bytes = strides[r].front() * bytesOf(ref->type);
      if (bytes != 0)
        ref->steps.push_back({depth(), bytes});
      strides[r].erase(strides[r].begin());
    }
    loop(extents.front());
    extents.erase(extents.begin());
  }
  for (auto [r, ref] : llvm::enumerate(refs))
    ref->strides = strides[r];

  SmallVector<Attribute, 3> sources;
  for (const Ref *ref : {&a, &b, &c})
    if (!ref->isAbsent())
      sources.push_back(encode(*ref, extents));
  core::VectorOp::create(
      builder, node,
      core::OpcodeAttr::get(builder.getContext(), mirrored<core::Opcode>(op)),
      shapeAttr(extents), encode(dst, extents), builder.getArrayAttr(sources),
      product ? builder.getUnitAttr() : UnitAttr(), core::LiveAttr(),
      FlatSymbolRefAttr(), FlatSymbolRefAttr(), encode(predicate, extents),
      IntegerAttr());
  while (loops-- > 0)
    endLoop();
}

/// The window as it travels: all its elements, one behind the other.
static Ref travelling(Ref ref) {
  ref.strides.assign(1, 1);
  return ref;
}

void Emitter::send(Channel to, Ref a, int64_t words, Guard guard) {
  core::SendOp::create(builder, node, shapeAttr(words),
                       encode(travelling(a), words), number(to.color),
                       number(to.queue), guard.columns, guard.rows,
                       core::OperandAttr(), IntegerAttr());
}

void Emitter::receive(Channel from, Ref dst, int64_t words, Guard guard) {
  core::RecvOp::create(builder, node, shapeAttr(words),
                       encode(travelling(dst), words), number(from.color),
                       number(from.queue), guard.columns, guard.rows,
                       core::OperandAttr(), IntegerAttr());
}

void Emitter::receiveFold(Channel from, Ref dst, Folded what, Guard guard) {
  SmallVector<int64_t, 2> shape = {what.words};
  Ref into = travelling(dst);
  if (what.copies > 1) { // dimension 0 stays at the same elements
    shape.insert(shape.begin(), what.copies);
    into.strides.insert(into.strides.begin(), 0);
  }
  core::RecvFoldOp::create(
      builder, node, core::FoldAttr::get(builder.getContext(), what.fold),
      shapeAttr(shape), encode(into, shape), number(from.color),
      number(from.queue), guard.columns, guard.rows, core::OperandAttr(),
      IntegerAttr());
}

void Emitter::receiveFoldSend(Channel from, Channel to, Ref a, Folded what,
                              Guard guard) {
  core::RecvFoldSendOp::create(
      builder, node, core::FoldAttr::get(builder.getContext(), what.fold),
      shapeAttr(what.words), encode(travelling(a), what.words),
      number(from.color), number(from.queue), number(to.color),
      number(to.queue), guard.columns, guard.rows, core::OperandAttr(),
      IntegerAttr());
}

void Emitter::rewrite(Guard guard) {
  core::RewriteOp::create(builder, node, guard.columns, guard.rows);
}
