// Core text and the image have one shape; what differs is that text nests
// loops, names class sets, and leaves out strides of dense operands.

#include "ImageEnums.h"
#include "waferloom/Codegen/CoreText.h"
#include "waferloom/Format/HostType.h"
#include "waferloom/Image/Packing.h"
#include "waferloom/Image/Utf8.h"
#include "waferloom/Target/ImageTarget.h"
#include "waferloom/Target/Target.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace waferloom;

static image::Type typeOf(Type type) {
  return type.isF16()           ? image::Type::f16
         : isa<FloatType>(type) ? image::Type::f32
                                : image::Type::i32;
}

/// Booleans and int64 of the host are i32 on the wafer.
static void setHostType(Type host, image::Type &type, bool &isBool,
                        bool &isInt64) {
  type = typeOf(host);
  isBool = host.isSignlessInteger(1);
  isInt64 = host.isSignlessInteger(64);
}

namespace {

class Assembler {
public:
  Assembler(codegen::Image &out, const image::TargetT *machine)
      : out(out), machine(machine) {
    nodes[""] = 0;
    out.image.names.push_back("");
  }

  LogicalResult image(core::ImageOp op);

private:
  void source(core::SourceOp op);
  void entry(core::EntryOp op);
  LogicalResult region(core::RegionOp op);
  std::unique_ptr<image::BindingT> binding(core::BindOp op);
  std::unique_ptr<image::RouteT> route(core::RouteOp op);
  void block(Block &block, image::ProgramT &program);
  void instruction(Operation &op, image::ProgramT &program);
  std::unique_ptr<image::OperandT> operand(core::OperandAttr attr,
                                           ArrayRef<int64_t> shape);
  uint32_t node(Location loc);
  uint32_t set(std::optional<StringRef> name) {
    return name ? sets.lookup(*name) : 0;
  }
  /// `value` as 32 bits, or a diagnostic at the end.
  uint32_t narrow(int64_t value) {
    if (value < 0 || value > int64_t(UINT32_MAX))
      tooLarge = tooLarge ? tooLarge : value;
    return static_cast<uint32_t>(value);
  }
  uint32_t address(FlatSymbolRefAttr buffer, int64_t bytes) {
    if (!buffer)
      return narrow(bytes);
    core::BufferOp op = buffers.lookup(buffer);
    if (!op || !op.getAddress())
      homeless = homeless ? homeless : buffer;
    else
      bytes += static_cast<int64_t>(*op.getAddress());
    return narrow(bytes);
  }
  int32_t narrowSigned(int64_t value) {
    if (value < INT32_MIN || value > INT32_MAX)
      tooLarge = tooLarge ? tooLarge : value;
    return static_cast<int32_t>(value);
  }

  codegen::Image &out;
  const image::TargetT *machine;
  llvm::StringMap<uint32_t> nodes;
  llvm::StringMap<uint32_t> sets; // of the current region
  core::Buffers buffers;          // that the current program can name
  std::optional<int64_t> tooLarge;
  FlatSymbolRefAttr homeless; ///< a buffer without an address
};

} // namespace

/// The ONNX node, or the place in the text.
static std::string nameOf(Location loc) {
  if (auto name = dyn_cast<NameLoc>(loc))
    return name.getName().str();
  if (auto fused = dyn_cast<FusedLoc>(loc)) {
    for (Location part : fused.getLocations())
      if (std::string name = nameOf(part); !name.empty())
        return name;
  }
  if (auto line = dyn_cast<FileLineColLoc>(loc))
    return (llvm::sys::path::filename(line.getFilename()) + ":" +
            llvm::Twine(line.getLine()))
        .str();
  return "";
}

uint32_t Assembler::node(Location loc) {
  auto [known, isNew] =
      nodes.try_emplace(nameOf(loc), uint32_t(out.image.names.size()));
  if (isNew)
    out.image.names.push_back(image::escapeToUtf8(known->first()));
  return known->second;
}

/// The elements as the data section has them, little-endian.
static std::string bytesOf(ElementsAttr value) {
  std::string bytes;
  const unsigned bits = value.getElementType().getIntOrFloatBitWidth();
  auto append = [&](const APInt &element) {
    const uint64_t word = element.getZExtValue();
    for (unsigned i = 0; i < bits; i += 8)
      bytes.push_back(static_cast<char>(word >> i));
  };
  if (isa<FloatType>(value.getElementType()))
    for (const APFloat &element : value.getValues<APFloat>())
      append(element.bitcastToAPInt());
  else
    for (const APInt &element : value.getValues<APInt>())
      append(element);
  return bytes;
}

void Assembler::source(core::SourceOp op) {
  auto source = std::make_unique<image::SourceT>();
  source->name = op.getName().str();
  codegen::SourceBytes bytes;
  if (std::optional<ElementsAttr> value = op.getValue()) {
    bytes.inlined = bytesOf(*value);
    source->bytes = bytes.inlined.size();
  } else {
    source->bytes = *op.getBytes();
    bytes.file = op.getFile().value_or("").str();
    bytes.offset = op.getOffset().value_or(0);
    bytes.narrows = op.getNarrowed();
    if (core::BlocksAttr blocks = op.getBlocksAttr()) {
      bytes.blocks = blocks.getFormat();
      if (StringAttr scales = blocks.getScalesFile())
        bytes.scalesFile = scales.str();
      bytes.scalesOffset = blocks.getScalesAt();
      if (StringAttr zeros = blocks.getZerosFile())
        bytes.zerosFile = zeros.str();
      bytes.zerosOffset = blocks.getZerosAt();
      if (auto part = op.getPart())
        bytes.part = mirrored<image::PackedPart>(*part);
    }
  }
  out.image.sources.push_back(std::move(source));
  out.sources.push_back(std::move(bytes));
}

static std::unique_ptr<image::BoundsT> boundsOf(core::BoundsOp op) {
  auto to = std::make_unique<image::BoundsT>();
  to->wires = static_cast<uint64_t>(op.getWires());
  to->hard = static_cast<uint64_t>(op.getHard());
  to->products = static_cast<uint64_t>(op.getProducts());
  to->pace = static_cast<uint64_t>(op.getPace());
  to->layers = static_cast<uint32_t>(op.getLayers());
  to->layer_wires = static_cast<uint64_t>(op.getLayerWires());
  to->layer_hard = static_cast<uint64_t>(op.getLayerHard());
  to->layer_products = static_cast<uint64_t>(op.getLayerProducts());
  to->floor = static_cast<uint64_t>(op.getFloor());
  to->layer_floor = static_cast<uint64_t>(op.getLayerFloor());
  return to;
}

void Assembler::entry(core::EntryOp op) {
  auto entry = std::make_unique<image::EntryT>();
  entry->name = op.getName().str();
  entry->tokens = narrow(op.getTokens());
  entry->from = narrow(op.getFrom());
  entry->until = narrow(op.getUntil());
  if (!op.getBody().empty())
    for (Operation &nested : op.getBody().front()) {
      if (auto input = dyn_cast<core::InputOp>(nested)) {
        auto to = std::make_unique<image::EntryInputT>();
        to->name = input.getName().str();
        to->fallback = mirrored<image::Default>(input.getFallback());
        to->limit = narrow(input.getLimit());
        to->least = static_cast<int32_t>(input.getLeast());
        to->fed = input.getFed();
        entry->inputs.push_back(std::move(to));
      } else if (auto tensor = dyn_cast<core::TensorOp>(nested)) {
        auto to = std::make_unique<image::TensorInfoT>();
        to->name = tensor.getName().str();
        to->role = mirrored<image::Role>(tensor.getRole());
        image::Type host;
        setHostType(tensor.getHostType(), host, to->source_bool,
                    to->source_int64);
        to->type = typeOf(tensor.getType());
        to->host = hostNameOf(tensor.getHostType()).str();
        to->whole = tensor.getWhole();
        for (int64_t size : tensor.getShape())
          to->shape.push_back(narrow(size));
        entry->tensors.push_back(std::move(to));
      } else if (auto bounds = dyn_cast<core::BoundsOp>(nested)) {
        entry->bounds = boundsOf(bounds);
      }
    }
  out.image.entries.push_back(std::move(entry));
}

std::unique_ptr<image::BindingT> Assembler::binding(core::BindOp op) {
  auto to = std::make_unique<image::BindingT>();
  to->name = op.getName().str();
  to->role = mirrored<image::Role>(op.getRole());
  to->type = typeOf(op.getType());
  setHostType(op.getHostType(), to->source_type, to->source_bool,
              to->source_int64);
  for (auto dim : op.getDims().getAsRange<core::DimAttr>()) {
    auto toDim = std::make_unique<image::DimT>();
    toDim->live = narrow(dim.getLive());
    toDim->source_stride = dim.getSourceStride();
    for (core::DigitAttr digit : dim.getDigits())
      toDim->digits.emplace_back(
          mirrored<image::Axis>(digit.getAxis()), narrow(digit.getExtent()),
          // Only the digits of an axis have a stride.
          digit.getAxis() == core::Axis::none ? 0 : narrow(digit.getStride()));
    to->dims.push_back(std::move(toDim));
  }
  to->address = address(op.getBufferAttr(), op.getAddress());
  to->padding = static_cast<uint32_t>(op.getPadding());
  to->source = narrow(op.getSource().value_or(0));
  to->source_offset = op.getSourceOffset();
  to->columns = set(op.getColumns());
  to->rows = set(op.getRows());
  if (core::PackingAttr packing = op.getPackingAttr())
    to->packing = image::packingOf(
        mirrored<image::PackedPart>(packing.getPart()), packing.getFormat(),
        llvm::map_to_vector(packing.getGroups(),
                            [&](auto n) { return narrow(n); }));
  return to;
}

std::unique_ptr<image::RouteT> Assembler::route(core::RouteOp op) {
  auto to = std::make_unique<image::RouteT>();
  to->color = static_cast<uint8_t>(op.getColor());
  to->outputs = static_cast<uint8_t>(op.getOutputs());
  for (auto turn : op.getInputs().getAsRange<core::TurnAttr>())
    to->inputs.emplace_back(mirrored<image::Side>(turn.getSide()),
                            narrow(turn.getWords()));
  to->columns = set(op.getColumns());
  to->rows = set(op.getRows());
  return to;
}

std::unique_ptr<image::OperandT> Assembler::operand(core::OperandAttr attr,
                                                    ArrayRef<int64_t> shape) {
  auto to = std::make_unique<image::OperandT>();
  to->type = typeOf(attr.getType());
  if (attr.getImmediate()) {
    to->immediate = true;
    to->bits = attr.getBits();
    return to;
  }
  to->base = address(attr.getBuffer(), attr.getBase());
  if (attr.getDense()) {
    to->strides.resize(shape.size());
    int64_t stride = 1;
    for (size_t i = shape.size(); i-- > 0; stride *= shape[i])
      to->strides[i] = narrowSigned(stride);
  } else {
    for (int64_t stride : attr.getStrides())
      to->strides.push_back(narrowSigned(stride));
  }
  auto addSteps = [&](ArrayRef<int64_t> from,
                      std::vector<image::LoopStep> &steps) {
    for (size_t i = 0; i < from.size(); i += 2)
      steps.emplace_back(narrow(from[i]), narrowSigned(from[i + 1]));
  };
  addSteps(attr.getSteps(), to->steps);
  // An index times 0, of a table of one row, is none.
  if (!attr.getIndexScale())
    return to;
  to->index_at = address(attr.getIndexBuffer(), attr.getIndexAt());
  addSteps(attr.getIndexSteps(), to->index_steps);
  to->index_scale = narrowSigned(attr.getIndexScale());
  to->index_count = narrow(attr.getIndexCount());
  return to;
}

void Assembler::instruction(Operation &op, image::ProgramT &program) {
  auto to = std::make_unique<image::InstructionT>();
  image::InstructionT *ins = to.get();
  program.instructions.push_back(std::move(to));
  ins->node = node(op.getLoc());
  auto common = [&](auto typed) {
    for (int64_t size : typed.getShape())
      ins->shape.push_back(narrow(size));
    if (core::OperandAttr predicate = typed.getPredicateAttr())
      ins->predicate = operand(predicate, typed.getShape());
    if (std::optional<uint64_t> thread = typed.getThread())
      ins->thread = static_cast<int8_t>(*thread);
  };
  if (auto guard = op.getAttrOfType<FlatSymbolRefAttr>("columns"))
    ins->columns = set(guard.getValue());
  if (auto guard = op.getAttrOfType<FlatSymbolRefAttr>("rows"))
    ins->rows = set(guard.getValue());

  if (auto vector = dyn_cast<core::VectorOp>(op)) {
    common(vector);
    ins->op = mirrored<image::Opcode>(vector.getOp());
    ins->product = vector.getProduct();
    if (core::LiveAttr live = vector.getLiveAttr()) {
      ins->live_parts = narrow(live.getParts());
      ins->live_dim = static_cast<uint8_t>(live.getDim());
      ins->live_from = narrow(live.getFrom());
    }
    ins->dst = operand(vector.getDst(), vector.getShape());
    auto sources = vector.getSources().getAsRange<core::OperandAttr>();
    std::unique_ptr<image::OperandT> *slots[] = {&ins->a, &ins->b, &ins->c};
    for (auto [slot, source] : llvm::zip(slots, sources))
      *slot = operand(source, vector.getShape());
  } else if (auto send = dyn_cast<core::SendOp>(op)) {
    common(send);
    ins->op = image::Opcode::send;
    ins->a = operand(send.getA(), send.getShape());
    ins->out_color = static_cast<uint8_t>(send.getColor());
    ins->out_queue = static_cast<uint8_t>(send.getQueue());
  } else if (auto recv = dyn_cast<core::RecvOp>(op)) {
    common(recv);
    ins->op = image::Opcode::recv;
    ins->dst = operand(recv.getDst(), recv.getShape());
    ins->in_color = static_cast<uint8_t>(recv.getColor());
    ins->in_queue = static_cast<uint8_t>(recv.getQueue());
  } else if (auto fold = dyn_cast<core::RecvFoldOp>(op)) {
    common(fold);
    ins->op = image::Opcode::recv_fold;
    ins->dst = operand(fold.getDst(), fold.getShape());
    ins->fold = mirrored<image::Opcode>(fold.getFold());
    ins->in_color = static_cast<uint8_t>(fold.getColor());
    ins->in_queue = static_cast<uint8_t>(fold.getQueue());
  } else if (auto pass = dyn_cast<core::RecvFoldSendOp>(op)) {
    common(pass);
    ins->op = image::Opcode::recv_fold_send;
    ins->a = operand(pass.getA(), pass.getShape());
    ins->fold = mirrored<image::Opcode>(pass.getFold());
    ins->in_color = static_cast<uint8_t>(pass.getInColor());
    ins->in_queue = static_cast<uint8_t>(pass.getInQueue());
    ins->out_color = static_cast<uint8_t>(pass.getOutColor());
    ins->out_queue = static_cast<uint8_t>(pass.getOutQueue());
  } else if (auto loop = dyn_cast<core::LoopOp>(op)) {
    ins->op = image::Opcode::loop;
    ins->count = narrow(loop.getCount());
    ins->over = mirrored<image::LoopOver>(loop.getOver());
    const size_t before = program.instructions.size();
    block(loop.getBody().front(), program);
    ins->body = static_cast<uint32_t>(program.instructions.size() - before);
  } else if (auto wait = dyn_cast<core::WaitOp>(op)) {
    ins->op = image::Opcode::wait;
    ins->thread = static_cast<int8_t>(wait.getThread());
  } else if (isa<core::RewriteOp>(op)) {
    ins->op = image::Opcode::rewrite;
  } else {
    ins->op = image::Opcode::end;
  }
}

void Assembler::block(Block &block, image::ProgramT &program) {
  for (Operation &op : block) {
    if (auto bind = dyn_cast<core::BindOp>(op))
      (bind.getRole() == core::Role::input ? program.inputs : program.outputs)
          .push_back(binding(bind));
    else if (isa<core::BufferOp>(op))
      continue; // what names it says where it is
    else if (auto routeOp = dyn_cast<core::RouteOp>(op))
      program.routes.push_back(route(routeOp));
    else
      instruction(op, program);
  }
}

LogicalResult Assembler::region(core::RegionOp op) {
  auto region = std::make_unique<image::RegionT>();
  region->x = narrow(op.getX());
  region->y = narrow(op.getY());
  region->width = narrow(op.getWidth());
  region->height = narrow(op.getHeight());
  region->memory = narrow(op.getMemory().value_or(0));
  if (std::optional<ArrayRef<int64_t>> stages = op.getStages()) {
    region->stages_x = narrow((*stages)[0]);
    region->stages_y = narrow((*stages)[1]);
  }
  buffers = core::Buffers(op);
  auto addRuns = [&](ArrayAttr from,
                     std::vector<std::unique_ptr<image::RunT>> &runs) {
    for (auto run : from.getAsRange<core::RunAttr>()) {
      auto to = std::make_unique<image::RunT>();
      for (int64_t id : run.getClasses())
        to->classes.push_back(narrow(id));
      to->repeats = narrow(run.getRepeats());
      runs.push_back(std::move(to));
    }
  };
  addRuns(op.getColumns(), region->columns);
  addRuns(op.getRows(), region->rows);
  sets.clear();
  region->sets.push_back(std::make_unique<image::ClassSetT>()); // 0: every
  for (auto set : op.getBody().getOps<core::SetOp>()) {
    sets[set.getSymName()] = region->sets.size();
    auto to = std::make_unique<image::ClassSetT>();
    for (int64_t id : set.getClasses()) {
      if (id > 1 << 20)
        return set.emitOpError()
               << "holds class " << id << ", the limit is " << (1 << 20);
      to->words.resize(std::max<size_t>(to->words.size(), id / 64 + 1));
      to->words[id / 64] |= uint64_t(1) << (id % 64);
    }
    region->sets.push_back(std::move(to));
  }
  for (auto bind : op.getBody().getOps<core::BindOp>())
    region->bindings.push_back(binding(bind));
  // Programs in the order of the entries; the verifier saw one for each.
  for (const auto &entry : out.image.entries)
    for (auto program : op.getBody().getOps<core::ProgramOp>())
      if (program.getEntry() == entry->name) {
        region->programs.push_back(std::make_unique<image::ProgramT>());
        buffers = core::Buffers(program);
        block(program.getBody().front(), *region->programs.back());
        for (auto [i, other] : llvm::enumerate(out.image.entries))
          if (program.getShares() == other->name)
            region->programs.back()->shares = static_cast<uint32_t>(i + 1);
      }
  out.image.regions.push_back(std::move(region));
  return success();
}

/// Whether an instruction has patterns of 16 bits.
static bool hasShortPatterns(const image::ImageT &image) {
  for (const auto &region : image.regions)
    for (const auto &program : region->programs)
      for (const auto &i : program->instructions)
        if (i->op >= image::Opcode::bit_and && i->op <= image::Opcode::sar &&
            i->dst->type == image::Type::f16)
          return true;
  return false;
}

/// An image has the rates of 16-bit patterns only if they count.
static void forgetUnusedRates(image::ImageT &image) {
  if (hasShortPatterns(image))
    return;
  image.target->rate_bits_16 = image.target->rate_shift_16 = 0;
}

LogicalResult Assembler::image(core::ImageOp op) {
  out.image.producer = "waferloom";
  std::optional<target::Target> named;
  if (machine) {
    out.image.target = std::make_unique<image::TargetT>(*machine);
  } else {
    llvm::Expected<target::Target> parsed = target::parse(op.getTarget());
    if (!parsed)
      return op.emitOpError() << llvm::toString(parsed.takeError());
    named = std::move(*parsed);
    out.image.target = target::toImage(*named);
  }
  out.image.capacity = narrow(op.getCapacity());
  out.image.parameters = op.getParameters();
  out.image.shape_only = op.getShapeOnly();
  for (auto nested : op.getBody().getOps<core::SourceOp>())
    source(nested);
  codegen::placeSources(out.image);
  for (auto nested : op.getBody().getOps<core::EntryOp>())
    entry(nested);
  for (auto nested : op.getBody().getOps<core::RegionOp>()) {
    if (named)
      if (llvm::Error error = target::checkRectangle(
              *named, nested.getWidth(), nested.getHeight(), nested.getX(),
              nested.getY()))
        return nested.emitOpError() << llvm::toString(std::move(error));
    if (failed(region(nested)))
      return failure();
  }
  forgetUnusedRates(out.image);
  if (homeless)
    return op.emitOpError() << "has no address for buffer " << homeless
                            << ": core-allocate gives it one";
  if (tooLarge)
    return op.emitOpError()
           << "has the number " << *tooLarge << ", which does not fit 32 bits";
  return success();
}

FailureOr<codegen::Image> codegen::coreToImage(core::ImageOp op,
                                               const image::TargetT *machine) {
  Image out;
  if (failed(Assembler(out, machine).image(op)))
    return failure();
  return std::move(out);
}
