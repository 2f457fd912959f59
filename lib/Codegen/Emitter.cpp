#include "Emitter.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/bit.h"

using namespace waferloom::codegen;
using namespace waferloom;
using llvm::ArrayRef;
using llvm::SmallVector;

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

Ref codegen::dense(int buffer, Word type, ArrayRef<int64_t> shape,
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

int Emitter::newBuffer(int64_t bytes) {
  Buffer buffer;
  buffer.bytes = llvm::alignTo(std::max<int64_t>(bytes, 4), 4);
  buffers.push_back(buffer);
  return static_cast<int>(buffers.size()) - 1;
}

int Emitter::pinBuffer(int64_t bytes) {
  int id = newBuffer(bytes);
  buffers[id].pinned = true;
  return id;
}

Ref Emitter::temporary(Word type, ArrayRef<int64_t> shape) {
  int64_t elements = 1;
  for (int64_t extent : shape)
    elements *= extent;
  return dense(newBuffer(elements * bytesOf(type)), type, shape);
}

void Emitter::touch(const Ref &ref, int64_t at) {
  for (int id : {ref.buffer, ref.indexBuffer}) {
    if (id < 0)
      continue;
    Buffer &buffer = buffers[id];
    if (buffer.first < 0)
      buffer.first = at;
    buffer.last = at;
  }
}

Draft &Emitter::append(Opcode op) {
  Draft draft;
  draft.op = op;
  draft.node = node;
  draft.product = product;
  draft.guard = guard;
  drafts.push_back(draft);
  return drafts.back();
}

void Emitter::loop(int64_t count, bool perEntry, image::LoopOver over) {
  Draft &draft = append(Opcode::loop);
  draft.count = count;
  draft.perEntry = perEntry;
  draft.over = over;
  open.push_back(drafts.size() - 1);
}

void Emitter::endLoop() {
  size_t begin = open.pop_back_val();
  drafts[begin].body = static_cast<int64_t>(drafts.size() - begin - 1);
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

  // Drop dimensions of extent 1, then merge neighbours that every operand walks
  // through without a jump.
  SmallVector<int64_t, 4> extents;
  SmallVector<SmallVector<int64_t, 4>, 4> strides(refs.size());
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

  Draft &draft = append(op);
  draft.shape = extents;
  draft.dst = dst;
  draft.a = a;
  draft.b = b;
  draft.c = c;
  draft.predicate = predicate;
  auto at = static_cast<int64_t>(drafts.size()) - 1;
  for (const Ref *ref : {&dst, &a, &b, &c, &predicate})
    touch(*ref, at);
  while (loops-- > 0)
    endLoop();
}

static Ref flat(Ref ref) {
  ref.strides.assign(1, 1);
  return ref;
}

void Emitter::send(uint8_t color, Ref a, int64_t words, Guard guard) {
  Draft &draft = append(Opcode::send);
  draft.shape = {words};
  draft.a = flat(a);
  draft.outColor = color;
  draft.guard = guard;
  touch(a, static_cast<int64_t>(drafts.size()) - 1);
}

void Emitter::receive(uint8_t color, Ref dst, int64_t words, Guard guard) {
  Draft &draft = append(Opcode::recv);
  draft.shape = {words};
  draft.dst = flat(dst);
  draft.inColor = color;
  draft.guard = guard;
  touch(dst, static_cast<int64_t>(drafts.size()) - 1);
}

void Emitter::receiveFold(uint8_t color, Ref dst, int64_t words, Opcode fold,
                          Guard guard) {
  receive(color, dst, words, guard);
  drafts.back().op = Opcode::recv_fold;
  drafts.back().fold = fold;
}

void Emitter::receiveFoldSend(uint8_t in, uint8_t out, Ref a, int64_t words,
                              Opcode fold, Guard guard) {
  send(out, a, words, guard);
  drafts.back().op = Opcode::recv_fold_send;
  drafts.back().inColor = in;
  drafts.back().fold = fold;
}

void Emitter::rewrite(Guard guard) { append(Opcode::rewrite).guard = guard; }

static std::unique_ptr<image::OperandT> encode(const Ref &ref,
                                               ArrayRef<Buffer> buffers) {
  if (ref.isAbsent())
    return nullptr;
  auto operand = std::make_unique<image::OperandT>();
  operand->type = ref.type;
  operand->immediate = ref.immediate;
  operand->bits = ref.bits;
  if (ref.immediate)
    return operand;
  operand->base =
      static_cast<uint32_t>(*buffers[ref.buffer].address + ref.offset);
  for (int64_t stride : ref.strides)
    operand->strides.push_back(static_cast<int32_t>(stride));
  for (LoopStep step : ref.steps)
    operand->steps.emplace_back(step.depth, static_cast<int32_t>(step.bytes));
  if (ref.indexBuffer >= 0) {
    operand->index_at = static_cast<uint32_t>(
        *buffers[ref.indexBuffer].address + ref.indexOffset);
    for (LoopStep step : ref.indexSteps)
      operand->index_steps.emplace_back(step.depth,
                                        static_cast<int32_t>(step.bytes));
    operand->index_scale = static_cast<int32_t>(ref.indexScale);
    operand->index_count = static_cast<uint32_t>(ref.indexCount);
  }
  return operand;
}

std::vector<std::unique_ptr<image::InstructionT>> Emitter::finish() const {
  std::vector<std::unique_ptr<image::InstructionT>> program;
  program.reserve(drafts.size());
  for (const Draft &draft : drafts) {
    auto &out = program.emplace_back(std::make_unique<image::InstructionT>());
    out->op = draft.op;
    out->shape.assign(draft.shape.begin(), draft.shape.end());
    out->dst = encode(draft.dst, buffers);
    out->a = encode(draft.a, buffers);
    out->b = encode(draft.b, buffers);
    out->c = encode(draft.c, buffers);
    out->predicate = encode(draft.predicate, buffers);
    out->fold = draft.fold;
    out->in_color = draft.inColor;
    out->out_color = draft.outColor;
    out->count = static_cast<uint32_t>(draft.count);
    out->body = static_cast<uint32_t>(draft.body);
    out->over = draft.over;
    out->thread = draft.thread;
    out->columns = draft.guard.columns;
    out->rows = draft.guard.rows;
    out->node = draft.node;
    out->product = draft.product && draft.op != Opcode::loop;
  }
  return program;
}
