// A plan is nearly a program: each of its classes becomes a class of columns,
// each step an instruction that only the columns of its classes have.

#include "waferloom/Measure/Collective.h"

#include "llvm/Support/FormatVariadic.h"

using namespace waferloom;
using namespace waferloom::measure;
using collectives::Transfer;
using image::Opcode;
using llvm::Error;
using llvm::Expected;

static image::Side sideOf(collectives::Port port) {
  switch (port) {
  case collectives::Port::Low:
    return image::Side::west;
  case collectives::Port::High:
    return image::Side::east;
  case collectives::Port::Ramp:
    break;
  }
  return image::Side::ramp;
}

static std::unique_ptr<image::RouteT> encode(const collectives::Route &route,
                                             uint32_t set) {
  auto to = std::make_unique<image::RouteT>();
  to->color = static_cast<uint8_t>(route.color);
  to->columns = set;
  for (const collectives::Turn &turn : route.inputs)
    to->inputs.emplace_back(sideOf(turn.from),
                            static_cast<uint32_t>(turn.words));
  for (collectives::Port port :
       {collectives::Low, collectives::High, collectives::Ramp})
    if (route.outputs & port)
      to->outputs |= 1 << static_cast<int>(sideOf(port));
  return to;
}

namespace {

/// The buffer is at address 0, dense. A ring's buffer is a whole number of
/// parts, and behind it lie the numbers of the parts that a PE works on, round
/// by round: digit, digit - 1, .. modulo length.
struct Encoder {
  image::Type type;
  Opcode fold;
  uint32_t elements;
  uint32_t length = 0;    // PEs of a ring, else 0
  uint32_t partBytes = 0; // of a ring

  uint32_t elementBytes() const { return image::bytesOf(type); }
  uint32_t numbers() const { return length ? 2 * length - 1 : 0; }
  uint32_t numbersAt() const {
    return length ? length * partBytes : elements * elementBytes();
  }
  uint32_t memory() const { return numbersAt() + 4 * numbers(); }

  std::unique_ptr<image::OperandT> buffer(size_t rank) const {
    auto operand = std::make_unique<image::OperandT>();
    operand->type = type;
    operand->strides.assign(rank, 0);
    operand->strides.back() = 1;
    return operand;
  }
  std::unique_ptr<image::InstructionT> encode(const Transfer &transfer,
                                              uint32_t set) const;
  /// The part that number `first` and the round of the loop around name.
  std::unique_ptr<image::OperandT> part(uint32_t first) const;
  /// The loop of a RingFold or RingCopy.
  void encodeRing(const Transfer &transfer, uint32_t set,
                  image::ProgramT &program) const;
};

} // namespace

std::unique_ptr<image::InstructionT> Encoder::encode(const Transfer &transfer,
                                                     uint32_t set) const {
  auto to = std::make_unique<image::InstructionT>();
  to->columns = set;
  to->in_color = transfer.receives() ? static_cast<uint8_t>(transfer.in) : 0;
  to->out_color = transfer.sends() ? static_cast<uint8_t>(transfer.out) : 0;
  to->fold = fold;
  to->node = 1;
  if (transfer.kind != Transfer::Kind::Rewrite) {
    if (transfer.copies > 1)
      to->shape.push_back(static_cast<uint32_t>(transfer.copies));
    to->shape.push_back(elements);
  }
  switch (transfer.kind) {
  case Transfer::Kind::Send:
    to->op = Opcode::send;
    to->a = buffer(to->shape.size());
    break;
  case Transfer::Kind::Receive:
    to->op = Opcode::recv;
    to->dst = buffer(to->shape.size());
    break;
  case Transfer::Kind::ReceiveFold:
    to->op = Opcode::recv_fold;
    to->dst = buffer(to->shape.size());
    break;
  case Transfer::Kind::ReceiveFoldSend:
    to->op = Opcode::recv_fold_send;
    to->a = buffer(to->shape.size());
    break;
  case Transfer::Kind::Rewrite:
  case Transfer::Kind::RingFold:
  case Transfer::Kind::RingCopy:
    to->op = Opcode::rewrite;
    break;
  }
  return to;
}

std::unique_ptr<image::OperandT> Encoder::part(uint32_t first) const {
  auto operand = buffer(1);
  operand->index_at = numbersAt() + 4 * first;
  operand->index_steps.emplace_back(0u, 4);
  operand->index_scale = static_cast<int32_t>(partBytes);
  operand->index_count = length;
  return operand;
}

void Encoder::encodeRing(const Transfer &transfer, uint32_t set,
                         image::ProgramT &program) const {
  const bool folds = transfer.kind == Transfer::Kind::RingFold;
  const uint32_t first = folds ? 0 : length - 1;
  auto make = [&](Opcode op) {
    auto to = std::make_unique<image::InstructionT>();
    to->op = op;
    to->columns = set;
    to->node = 1;
    return to;
  };
  auto loop = make(Opcode::loop);
  loop->count = static_cast<uint32_t>(transfer.copies);
  loop->body = 2;
  auto send = make(Opcode::send);
  send->a = part(first);
  send->out_color = static_cast<uint8_t>(transfer.out);
  auto receive = make(folds ? Opcode::recv_fold : Opcode::recv);
  receive->dst = part(first + 1);
  receive->fold = fold;
  receive->in_color = static_cast<uint8_t>(transfer.in);
  send->shape = receive->shape = {partBytes / elementBytes()};
  program.instructions.push_back(std::move(loop));
  if (transfer.out != 0)
    std::swap(send, receive);
  program.instructions.push_back(std::move(send));
  program.instructions.push_back(std::move(receive));
}

/// PEs along x, elements on each.
static std::unique_ptr<image::BindingT> bind(const char *name, image::Role role,
                                             image::Type type, uint32_t pes,
                                             uint32_t elements) {
  auto to = std::make_unique<image::BindingT>();
  to->name = name;
  to->role = role;
  to->type = to->source_type = type;
  auto addDim = [&](uint32_t live, int64_t stride, image::Axis axis) {
    auto dim = std::make_unique<image::DimT>();
    dim->live = live;
    dim->source_stride = stride;
    dim->digits.emplace_back(axis, live, 1);
    to->dims.push_back(std::move(dim));
  };
  addDim(pes, elements, image::Axis::x);
  addDim(elements, 1, image::Axis::none);
  return to;
}

static std::unique_ptr<image::EntryT> describe(image::Type type, uint32_t pes,
                                               uint32_t elements) {
  auto entry = std::make_unique<image::EntryT>();
  entry->name = "collective";
  entry->tokens = 1;
  auto input = std::make_unique<image::EntryInputT>();
  input->name = "x";
  entry->inputs.push_back(std::move(input));
  for (auto [name, role] : {std::pair{"x", image::Role::input},
                            std::pair{"y", image::Role::output}}) {
    auto info = std::make_unique<image::TensorInfoT>();
    info->name = name;
    info->role = role;
    info->type = type;
    info->shape = {pes, elements};
    entry->tensors.push_back(std::move(info));
  }
  return entry;
}

static Error checkFit(uint64_t pes, uint64_t bytes,
                      const image::TargetT &target) {
  if (pes > std::max(target.width, target.height))
    return llvm::createStringError(llvm::formatv(
        "a line of {0} PEs does not fit target {1}, which is {2} x {3}", pes,
        target.name, target.width, target.height));
  const uint64_t room = target.sram_bytes - target.reserved_bytes;
  if (bytes > room)
    return llvm::createStringError(llvm::formatv(
        "{0} bytes per PE do not fit the {1} bytes that target {2} leaves: "
        "combine fewer words at a time",
        bytes, room, target.name));
  return Error::success();
}

static std::unique_ptr<image::RegionT>
encodeRegion(const collectives::CollectivePlan &plan, const Encoder &encoder,
             uint32_t pes) {
  auto region = std::make_unique<image::RegionT>();
  region->width = pes;
  region->height = 1;
  region->memory = encoder.memory();
  for (const collectives::Run &run : plan.runs) {
    auto to = std::make_unique<image::RunT>();
    to->classes.assign(run.pattern.begin(), run.pattern.end());
    to->repeats = static_cast<uint32_t>(run.repeats);
    region->columns.push_back(std::move(to));
  }
  region->rows.push_back(std::make_unique<image::RunT>());
  region->rows.back()->classes = {0};
  region->rows.back()->repeats = 1;
  region->sets.push_back(std::make_unique<image::ClassSetT>()); // 0: every
  auto program = std::make_unique<image::ProgramT>();
  auto setOf = [&](llvm::ArrayRef<unsigned> classes) {
    auto set = std::make_unique<image::ClassSetT>();
    set->words.resize(plan.classes.size() / 64 + 1);
    for (unsigned id : classes)
      set->words[id / 64] |= uint64_t(1) << (id % 64);
    region->sets.push_back(std::move(set));
    return static_cast<uint32_t>(region->sets.size() - 1);
  };
  for (const collectives::SharedRoute &shared : plan.routes())
    program->routes.push_back(encode(shared.route, setOf(shared.classes)));
  for (const collectives::Step &step : plan.steps())
    if (encoder.length)
      encoder.encodeRing(step.transfer, setOf(step.classes), *program);
    else
      program->instructions.push_back(
          encoder.encode(step.transfer, setOf(step.classes)));
  program->inputs.push_back(
      bind("x", image::Role::input, encoder.type, pes, encoder.elements));
  program->outputs.push_back(
      bind("y", image::Role::output, encoder.type, pes, encoder.elements));
  region->programs.push_back(std::move(program));
  if (encoder.length) {
    auto numbers = bind("parts", image::Role::parameter, image::Type::i32, pes,
                        encoder.numbers());
    numbers->address = encoder.numbersAt();
    region->bindings.push_back(std::move(numbers));
  }
  return region;
}

/// The numbers of the parts, for all PEs.
static std::string partNumbers(const Encoder &encoder, uint32_t pes) {
  std::string data;
  for (uint32_t pe = 0; pe < pes; ++pe)
    for (uint32_t round = 0; round < encoder.numbers(); ++round) {
      const uint32_t number =
          (pe % encoder.length + 2 * encoder.length - round) % encoder.length;
      for (unsigned shift = 0; shift < 32; shift += 8)
        data.push_back(static_cast<char>(number >> shift));
    }
  return data;
}

/// A color gets a queue of its own while there are any.
static void assignQueues(image::ProgramT &program,
                         const image::TargetT &target) {
  for (auto &instruction : program.instructions) {
    instruction->in_queue = static_cast<uint8_t>(
        instruction->in_color % std::max(1u, target.input_queues));
    instruction->out_queue = static_cast<uint8_t>(
        instruction->out_color % std::max(1u, target.output_queues));
  }
}

Expected<CollectiveImage>
measure::collectiveImage(const collectives::Line &line,
                         const collectives::Request &request, image::Type type,
                         const image::TargetT &target, CollectiveRun &about) {
  if (request.words > UINT32_MAX / 8)
    return llvm::createStringError(
        llvm::formatv("{0} words are too many for any PE", request.words));
  const auto words = static_cast<uint32_t>(request.words);
  Encoder encoder{type, collectives::opcodeOf(request.combiner),
                  type == image::Type::f16 ? words * 2 : words};
  if (request.algorithm == collectives::Algorithm::Ring &&
      line.extent() <= std::max(target.width, target.height)) {
    encoder.length = line.length;
    encoder.partBytes =
        (words + line.length - 1) / std::max(1u, line.length) * 4;
  }
  if (Error error = checkFit(line.extent(), encoder.memory(), target))
    return std::move(error);
  const collectives::Costs costs(target);
  Expected<collectives::CollectivePlan> plan =
      collectives::solve(line, request, costs);
  if (!plan)
    return plan.takeError();

  collectives::Request chosen = request;
  chosen.algorithm = about.algorithm = plan->algorithm;
  chosen.group = about.group = plan->group;
  chosen.levels = about.levels = plan->levels;
  about.colors = plan->colors;
  about.classes = plan->classes.size();
  about.estimated = collectives::cycles(line, chosen, costs);
  about.published = collectives::publishedCycles(
      request.kind, plan->algorithm, line.length, request.words, plan->group,
      target.ramp_cycles);
  about.lowerBound =
      collectives::lowerBoundCycles(request.kind, line.length, request.root,
                                    request.words, target.ramp_cycles);

  about.grownBound = collectives::grownBoundCycles(line, request, costs);
  about.hardBound = collectives::hardBoundCycles(line, request, costs);

  const auto pes = static_cast<uint32_t>(line.extent());
  CollectiveImage made;
  image::ImageT &image = made.image;
  image.producer = "waferloom collective";
  image.target = std::make_unique<image::TargetT>(target);
  if (pes > target.width)
    std::swap(image.target->width, image.target->height);
  image.names = {"", collectives::nameOf(plan->algorithm).str()};
  image.entries.push_back(describe(type, pes, encoder.elements));
  image.regions.push_back(encodeRegion(*plan, encoder, pes));
  assignQueues(*image.regions.back()->programs.back(), target);
  if (encoder.length) {
    made.data = partNumbers(encoder, pes);
    image.sources.push_back(std::make_unique<image::SourceT>());
    image.sources.back()->name = "parts";
    image.sources.back()->bytes = made.data.size();
  }
  return std::move(made);
}
