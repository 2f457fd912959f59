// The inverse of CoreToImage, for reading. Class sets get the names @set1,
// @set2,
// .. of their index; operands that lie densely lose their strides.

#include "ImageEnums.h"
#include "waferloom/Codegen/CoreText.h"
#include "waferloom/Format/HostType.h"
#include "waferloom/Image/Packing.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace waferloom;

namespace {

class Reader {
public:
  Reader(const image::ImageT &image, MLIRContext *context,
         const codegen::DataAt &data)
      : image(image), data(data), builder(context) {}

  OwningOpRef<ModuleOp> read();

private:
  void entry(const image::EntryT &entry);
  void region(const image::RegionT &region);
  void binding(const image::BindingT &binding);
  void route(const image::RouteT &route);
  /// Instructions [begin, end) at `depth`.
  void instructions(const image::ProgramT &program, size_t begin, size_t end,
                    unsigned depth);
  void instruction(const image::InstructionT &instruction);
  core::OperandAttr operand(const std::unique_ptr<image::OperandT> &operand,
                            ArrayRef<uint32_t> shape);
  ArrayAttr runs(const std::vector<std::unique_ptr<image::RunT>> &runs);
  FlatSymbolRefAttr set(uint32_t index);
  Location node(uint32_t index);
  Type element(image::Type type) {
    if (type == image::Type::f32)
      return builder.getF32Type();
    return type == image::Type::f16 ? Type(builder.getF16Type())
                                    : Type(builder.getI32Type());
  }
  Type hostElement(image::Type type, bool isBool, bool isInt64) {
    if (isBool)
      return builder.getI1Type();
    return isInt64 ? builder.getI64Type() : element(type);
  }
  DenseI64ArrayAttr stagesOf(const image::RegionT &region) {
    if (region.stages_x == 1 && region.stages_y == 1)
      return {};
    return builder.getDenseI64ArrayAttr({region.stages_x, region.stages_y});
  }
  IntegerAttr number(int64_t value) { return builder.getI64IntegerAttr(value); }
  DenseI64ArrayAttr shape(ArrayRef<uint32_t> sizes) {
    return builder.getDenseI64ArrayAttr(
        SmallVector<int64_t>(sizes.begin(), sizes.end()));
  }
  void refuse(const llvm::Twine &what) {
    if (!failed)
      emitError(builder.getUnknownLoc()) << "image is not readable: " << what;
    failed = true;
  }
  template <typename OpType, typename... Args>
  OpType create(Location loc, Args &&...args) {
    return OpType::create(builder, loc, std::forward<Args>(args)...);
  }

  const image::ImageT &image;
  const codegen::DataAt &data;
  OpBuilder builder;
  size_t setCount = 0; // of the current region
  bool failed = false;
};

} // namespace

Location Reader::node(uint32_t index) {
  if (index >= image.names.size()) {
    if (index)
      refuse("name " + llvm::Twine(index) + " of " +
             llvm::Twine(image.names.size()));
    return builder.getUnknownLoc();
  }
  if (image.names[index].empty())
    return builder.getUnknownLoc();
  return NameLoc::get(builder.getStringAttr(image.names[index]));
}

FlatSymbolRefAttr Reader::set(uint32_t index) {
  if (index == 0)
    return {};
  if (index >= setCount)
    refuse("set " + llvm::Twine(index) + " of " + llvm::Twine(setCount));
  return FlatSymbolRefAttr::get(builder.getContext(),
                                ("set" + llvm::Twine(index)).str());
}

ArrayAttr Reader::runs(const std::vector<std::unique_ptr<image::RunT>> &runs) {
  SmallVector<Attribute> attrs;
  for (const auto &run : runs) {
    if (!run) {
      refuse("a run is missing");
      break;
    }
    SmallVector<int64_t> classes(run->classes.begin(), run->classes.end());
    attrs.push_back(
        core::RunAttr::get(builder.getContext(), classes, run->repeats));
  }
  return builder.getArrayAttr(attrs);
}

static SmallVector<int64_t> stepsOf(const std::vector<image::LoopStep> &steps) {
  SmallVector<int64_t> flat;
  for (const image::LoopStep &step : steps)
    flat.append({int64_t(step.depth()), int64_t(step.bytes())});
  return flat;
}

core::OperandAttr
Reader::operand(const std::unique_ptr<image::OperandT> &operand,
                ArrayRef<uint32_t> shape) {
  MLIRContext *context = builder.getContext();
  if (!operand) {
    refuse("an instruction has too few operands");
    return core::OperandAttr::getScalar(builder.getI32Type(), 0);
  }
  if (operand->immediate)
    return core::OperandAttr::getScalar(element(operand->type), operand->bits);
  bool dense = operand->strides.size() == shape.size();
  int64_t stride = 1;
  for (size_t i = shape.size(); dense && i-- > 0; stride *= shape[i])
    dense = operand->strides[i] == stride;
  SmallVector<int64_t> strides;
  if (!dense)
    strides.assign(operand->strides.begin(), operand->strides.end());
  // An operand without strides is one element for all of the shape.
  if (operand->strides.empty())
    strides.assign(shape.size(), 0);
  return core::OperandAttr::get(
      context, element(operand->type), {}, operand->base, dense, strides,
      stepsOf(operand->steps), {}, operand->index_at,
      stepsOf(operand->index_steps), operand->index_scale, operand->index_count,
      false, 0);
}

void Reader::binding(const image::BindingT &binding) {
  SmallVector<Attribute> dims;
  for (const auto &dim : binding.dims) {
    if (!dim)
      return refuse("a dimension of '" + llvm::Twine(binding.name) +
                    "' is missing");
    SmallVector<core::DigitAttr> digits;
    for (const image::Digit &digit : dim->digits)
      digits.push_back(core::DigitAttr::get(
          builder.getContext(), mirrored<core::Axis>(digit.axis()),
          digit.extent(),
          // Only the digits of an axis have a stride.
          digit.axis() == image::Axis::none ? 1 : digit.stride()));
    dims.push_back(core::DimAttr::get(builder.getContext(), dim->live,
                                      dim->source_stride, digits));
  }
  IntegerAttr source;
  if (binding.role == image::Role::parameter)
    source = number(binding.source);
  core::PackingAttr packing;
  if (binding.packing) {
    const SmallVector<int64_t> groups(binding.packing->groups.begin(),
                                      binding.packing->groups.end());
    const auto part = mirrored<core::PackedPart>(binding.packing->part);
    const BlockFormat format = image::formatOf(*binding.packing);
    if (mlir::failed(core::PackingAttr::verify(
            [&] { return mlir::emitError(builder.getUnknownLoc()); }, part,
            groups, format)))
      return refuse("'" + llvm::Twine(binding.name) + "' cannot be packed so");
    packing =
        core::PackingAttr::get(builder.getContext(), part, groups, format);
  }
  create<core::BindOp>(
      builder.getUnknownLoc(),
      core::RoleAttr::get(builder.getContext(),
                          mirrored<core::Role>(binding.role)),
      builder.getStringAttr(binding.name), TypeAttr::get(element(binding.type)),
      FlatSymbolRefAttr(), number(binding.address),
      TypeAttr::get(hostElement(binding.source_type, binding.source_bool,
                                binding.source_int64)),
      builder.getArrayAttr(dims), number(binding.padding), source,
      number(binding.source_offset), packing, set(binding.columns),
      set(binding.rows));
}

void Reader::route(const image::RouteT &route) {
  SmallVector<Attribute> turns;
  for (const image::Turn &turn : route.inputs)
    turns.push_back(core::TurnAttr::get(
        builder.getContext(), mirrored<core::Side>(turn.side()), turn.words()));
  create<core::RouteOp>(builder.getUnknownLoc(), number(route.color),
                        builder.getArrayAttr(turns), number(route.outputs),
                        set(route.columns), set(route.rows));
}

void Reader::instruction(const image::InstructionT &from) {
  const Location loc = node(from.node);
  FlatSymbolRefAttr columns = set(from.columns), rows = set(from.rows);
  core::OperandAttr predicate;
  if (from.predicate)
    predicate = operand(from.predicate, from.shape);
  IntegerAttr thread;
  if (from.thread >= 0)
    thread = number(from.thread);
  const auto fold = core::FoldAttr::get(builder.getContext(),
                                        mirrored<core::Fold>(from.fold));
  switch (from.op) {
  case image::Opcode::send:
    create<core::SendOp>(loc, shape(from.shape), operand(from.a, from.shape),
                         number(from.out_color), number(from.out_queue),
                         columns, rows, predicate, thread);
    return;
  case image::Opcode::recv:
    create<core::RecvOp>(loc, shape(from.shape), operand(from.dst, from.shape),
                         number(from.in_color), number(from.in_queue), columns,
                         rows, predicate, thread);
    return;
  case image::Opcode::recv_fold:
    create<core::RecvFoldOp>(loc, fold, shape(from.shape),
                             operand(from.dst, from.shape),
                             number(from.in_color), number(from.in_queue),
                             columns, rows, predicate, thread);
    return;
  case image::Opcode::recv_fold_send:
    create<core::RecvFoldSendOp>(
        loc, fold, shape(from.shape), operand(from.a, from.shape),
        number(from.in_color), number(from.in_queue), number(from.out_color),
        number(from.out_queue), columns, rows, predicate, thread);
    return;
  case image::Opcode::wait:
    create<core::WaitOp>(loc, number(from.thread), columns, rows);
    return;
  case image::Opcode::rewrite:
    create<core::RewriteOp>(loc, columns, rows);
    return;
  case image::Opcode::end:
    create<core::EndOp>(loc);
    return;
  default:
    break;
  }
  if (from.op > image::Opcode::floor_mod)
    return refuse("instruction code " + llvm::Twine(int(from.op)));
  SmallVector<Attribute> sources;
  for (const auto *source : {&from.a, &from.b, &from.c})
    if (*source)
      sources.push_back(operand(*source, from.shape));
  core::LiveAttr live;
  if (from.live_parts != 0)
    live = core::LiveAttr::get(builder.getContext(), from.live_dim,
                               from.live_parts, from.live_from);
  create<core::VectorOp>(loc,
                         core::OpcodeAttr::get(builder.getContext(),
                                               mirrored<core::Opcode>(from.op)),
                         shape(from.shape), operand(from.dst, from.shape),
                         builder.getArrayAttr(sources),
                         from.product ? builder.getUnitAttr() : UnitAttr(),
                         live, columns, rows, predicate, thread);
}

void Reader::instructions(const image::ProgramT &program, size_t begin,
                          size_t end, unsigned depth) {
  constexpr unsigned deepest = 64;
  for (size_t i = begin; i < end && !failed; ++i) {
    if (!program.instructions[i])
      return refuse("instruction " + llvm::Twine(i) + " is missing");
    const image::InstructionT &from = *program.instructions[i];
    if (from.op != image::Opcode::loop) {
      instruction(from);
      continue;
    }
    if (from.body > end - i - 1 || depth > deepest)
      return refuse("loop at instruction " + llvm::Twine(i) + " repeats " +
                    llvm::Twine(from.body) + " of " + llvm::Twine(end - i - 1) +
                    " instructions");
    auto loop = create<core::LoopOp>(node(from.node), number(from.count),
                                     UnitAttr(), core::LoopOverAttr(),
                                     set(from.columns), set(from.rows));
    if (from.over != image::LoopOver::nothing)
      loop.setOver(mirrored<core::LoopOver>(from.over));
    OpBuilder::InsertionGuard guard(builder);
    builder.createBlock(&loop.getBody());
    instructions(program, i + 1, i + 1 + from.body, depth + 1);
    i += from.body;
  }
}

void Reader::entry(const image::EntryT &entry) {
  auto op = create<core::EntryOp>(
      builder.getUnknownLoc(), builder.getStringAttr(entry.name),
      number(entry.tokens), number(entry.from), number(entry.until));
  if (entry.inputs.empty() && entry.tensors.empty() && !entry.bounds)
    return;
  OpBuilder::InsertionGuard guard(builder);
  builder.createBlock(&op.getBody());
  for (const auto &input : entry.inputs)
    create<core::InputOp>(
        builder.getUnknownLoc(), builder.getStringAttr(input->name),
        core::FallbackAttr::get(builder.getContext(),
                                mirrored<core::Fallback>(input->fallback)),
        number(input->limit), number(input->least),
        input->fed ? builder.getUnitAttr() : UnitAttr());
  for (const auto &tensor : entry.tensors)
    create<core::TensorOp>(
        builder.getUnknownLoc(),
        core::RoleAttr::get(builder.getContext(),
                            mirrored<core::Role>(tensor->role)),
        builder.getStringAttr(tensor->name), shape(tensor->shape),
        TypeAttr::get(element(tensor->type)),
        TypeAttr::get(tensor->host.empty()
                          ? hostElement(tensor->type, tensor->source_bool,
                                        tensor->source_int64)
                          : hostTypeOf(tensor->host, builder.getContext())),
        tensor->whole ? builder.getUnitAttr() : UnitAttr());
  if (const image::BoundsT *bounds = entry.bounds.get())
    create<core::BoundsOp>(
        builder.getUnknownLoc(), number(bounds->wires), number(bounds->hard),
        number(bounds->products), number(bounds->pace), number(bounds->layers),
        number(bounds->layer_wires), number(bounds->layer_hard),
        number(bounds->layer_products), number(bounds->floor),
        number(bounds->layer_floor));
}

void Reader::region(const image::RegionT &region) {
  const Location loc = builder.getUnknownLoc();
  setCount = region.sets.size();
  auto op = create<core::RegionOp>(loc, number(region.x), number(region.y),
                                   number(region.width), number(region.height),
                                   runs(region.columns), runs(region.rows),
                                   number(region.memory), stagesOf(region));
  OpBuilder::InsertionGuard guard(builder);
  builder.createBlock(&op.getBody());
  for (size_t i = 1; i < setCount; ++i) {
    SmallVector<int64_t> classes;
    for (size_t bit = 0; bit < region.sets[i]->words.size() * 64; ++bit)
      if (region.sets[i]->words[bit / 64] >> (bit % 64) & 1)
        classes.push_back(int64_t(bit));
    create<core::SetOp>(loc, builder.getStringAttr("set" + llvm::Twine(i)),
                        builder.getDenseI64ArrayAttr(classes));
  }
  for (const auto &from : region.bindings)
    binding(*from);
  for (size_t i = 0; i < region.programs.size(); ++i) {
    if (i >= image.entries.size())
      return refuse("program " + llvm::Twine(i) + " of " +
                    llvm::Twine(image.entries.size()) + " entries");
    const image::ProgramT &program = *region.programs[i];
    if (program.shares > i)
      return refuse("program " + llvm::Twine(i) +
                    " shares the code of one "
                    "that is not before it");
    StringAttr shares;
    if (program.shares)
      shares = builder.getStringAttr(image.entries[program.shares - 1]->name);
    auto programOp = create<core::ProgramOp>(
        loc, builder.getStringAttr(image.entries[i]->name), shares);
    OpBuilder::InsertionGuard inner(builder);
    builder.createBlock(&programOp.getBody());
    for (const auto &from : program.inputs)
      binding(*from);
    for (const auto &from : program.outputs)
      binding(*from);
    for (const auto &from : program.routes)
      route(*from);
    instructions(program, 0, program.instructions.size(), 0);
  }
}

OwningOpRef<ModuleOp> Reader::read() {
  const Location loc = builder.getUnknownLoc();
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  builder.setInsertionPointToEnd(module->getBody());
  auto op = create<core::ImageOp>(
      loc, builder.getStringAttr(image.target ? image.target->name : ""),
      number(image.capacity), number(int64_t(image.parameters)),
      image.shape_only ? builder.getUnitAttr() : UnitAttr());
  builder.createBlock(&op.getBody());
  for (const auto &source : image.sources) {
    StringAttr file;
    IntegerAttr offset;
    if (!data.file.empty() && !image.shape_only) {
      file = builder.getStringAttr(data.file);
      offset = number(static_cast<int64_t>(data.begin + source->offset));
    }
    create<core::SourceOp>(
        loc, builder.getStringAttr(source->name), ElementsAttr(),
        number(static_cast<int64_t>(source->bytes)), file, offset, UnitAttr(),
        core::BlocksAttr(), core::PackedPartAttr());
  }
  for (const auto &from : image.entries)
    entry(*from);
  for (const auto &from : image.regions)
    region(*from);
  if (failed)
    return nullptr;
  return module;
}

OwningOpRef<ModuleOp> codegen::imageToCore(const image::ImageT &image,
                                           MLIRContext *context,
                                           const DataAt &data) {
  context->loadDialect<core::CoreDialect>();
  return Reader(image, context, data).read();
}
