// Mutated images: each is refused, or ends, or comes to rest with an error.
// None crashes and none runs on.

#include "Running.h"
#include <cstdlib>
#include <random>

using namespace waferloom;
using namespace waferloom::test;

/// The seed, or another one for a longer hunt: WAFERLOOM_FUZZ_SEED=7.
static unsigned seed(unsigned usual) {
  const char *other = std::getenv("WAFERLOOM_FUZZ_SEED");
  return other ? usual + static_cast<unsigned>(std::atoi(other)) * 100 : usual;
}

namespace {
struct Tally {
  unsigned refused = 0, ended = 0, failed = 0, hung = 0;
};
} // namespace

static void
tryImage(llvm::Expected<std::shared_ptr<const image::Loaded>> loaded,
         Tally &tally) {
  if (!loaded) {
    EXPECT_FALSE(toString(loaded.takeError()).empty());
    ++tally.refused;
    return;
  }
  if (auto alone = Session::create(*loaded); !alone) {
    EXPECT_FALSE(toString(alone.takeError()).empty());
    ++tally.refused;
    return;
  }
  std::unique_ptr<Session> session = bothEngines(*loaded);
  executor::RunOptions options;
  options.workLimit = 200000;
  std::vector<uint64_t> cycles;
  for (unsigned run = 0; run < 2; ++run) {
    llvm::cantFail(session->reset());
    auto result = session->step(0, {}, options);
    if (!result) {
      std::string text = toString(result.takeError());
      EXPECT_FALSE(text.empty());
      // What hangs must not be shown to be free of hangs.
      if (contains(text, "came to rest")) {
        EXPECT_NE(toString(session->proveHangFree(0)), "");
        ++tally.hung;
      }
      ++tally.failed;
      return;
    }
    cycles.push_back(result->cycles);
    options.workLimit = 0; // it ends: now cycles are counted in lock-step
  }
  EXPECT_EQ(cycles[0], cycles[1]);
  // Back to nothing; what no state is may be other than at first.
  auto fork = llvm::cantFail(session->fork());
  llvm::cantFail(fork->rewind(0));
  if (auto again = fork->step(0, {}, options))
    EXPECT_EQ(again->cycles, cycles[0]);
  else
    llvm::consumeError(again.takeError());
  llvm::consumeError(session->load({}, 1));
  ++tally.ended;
}

/// Streams with turns and microthreads, moving operands, an index, bindings.
static Builder sample() {
  Builder b(4, 2, 1024);
  b.columns("in", Role::input, 4, 0);
  b.columns("out", Role::output, 4, 64);
  b.image.entries[0]->inputs[0]->fallback = Default::ones;
  b.send(b.set({1, 2}), 0, 4, at(0)).thread = 1;
  b.vector(Opcode::add, 0, 4, at(256), at(512), at(768));
  b.add(Opcode::wait, b.set({1, 2}), 0).thread = 1;
  b.send(4, 0, 4, at(0));
  InstructionT &fold = b.recv(1, 0, 12, at(64), Opcode::recv_fold);
  fold.shape = {3, 4};
  fold.dst->strides = {0, 1};
  b.route(0, 1, {Turn(Side::east, 0)}, {Side::ramp});
  b.route(0, 2, {Turn(Side::ramp, 4), Turn(Side::east, 8)}, {Side::west});
  b.route(0, 3, {Turn(Side::ramp, 4), Turn(Side::east, 4)}, {Side::west});
  b.route(0, 4, {Turn(Side::ramp, 0)}, {Side::west});
  // A question and its answer: in another order, everybody waits.
  b.send(1, 1, 3, at(0));
  b.recv(1, 2, 3, at(380));
  b.recv(2, 1, 3, at(380));
  b.send(2, 2, 3, at(380));
  b.route(1, 1, {Turn(Side::ramp, 0)}, {Side::east});
  b.route(1, 2, {Turn(Side::west, 0)}, {Side::ramp});
  b.route(2, 2, {Turn(Side::ramp, 0)}, {Side::west});
  b.route(2, 1, {Turn(Side::east, 0)}, {Side::ramp});
  b.loop(0, 3, 2);
  OperandT row = at(128), x = at(192, 0);
  row.steps = {LoopStep(0, 16)};
  x.index_at = 916;
  x.index_scale = 4;
  x.index_count = 8;
  InstructionT &fma = b.vector(Opcode::fma, 0, 4, at(300), at(300), row, x);
  fma.predicate = std::make_unique<OperandT>(at(920, 0, Type::i32));
  b.vector(Opcode::convert, 0, 4, at(340, 1, Type::f16), at(300));
  b.pairs(Role::parameter, 900, 7, Type::i32);
  b.pairs(Role::state, 908, 7, Type::i32);
  b.pairs(Role::index, 916, 7, Type::i32);
  b.image.sources.push_back(std::make_unique<SourceT>());
  b.image.sources[0]->bytes = 28;
  b.data.assign(28, '\1');
  return b;
}

TEST(Fuzz, TheSampleRuns) {
  Tally tally;
  Builder b = sample();
  tryImage(adopt(b.image, b.data), tally);
  EXPECT_EQ(tally.ended, 1u);
}

TEST(Fuzz, MutatedBytes) {
  Builder b = sample();
  std::string good =
      writeBytes(b.image, {llvm::ArrayRef(b.data.data(), b.data.size())});
  std::mt19937 random(seed(1));
  Tally tally;
  for (unsigned round = 0; round < 8000; ++round) {
    std::string bytes = good;
    for (unsigned k = 0, n = 1 + random() % 3; k < n; ++k) {
      char &at = bytes[random() % bytes.size()];
      switch (random() % 3) {
      case 0:
        at = static_cast<char>(random());
        break;
      case 1:
        at ^= static_cast<char>(1u << (random() % 8));
        break;
      default:
        at = random() % 2 ? '\0' : '\377';
      }
    }
    seal(bytes); // else the checksum refuses them all
    tryImage(readBytes(bytes, "mutated"), tally);
  }
  EXPECT_GT(tally.refused, 1000u);
  EXPECT_GT(tally.ended, 500u);
}

namespace {
/// Changes one field of an image to something near or far.
class Mutator {
public:
  Mutator(ImageT &image, std::mt19937 &random) : image(image), random(random) {}

  void run() {
    RegionT &region = *image.regions[0];
    ProgramT &program = *region.programs[0];
    switch (random() % 8) {
    case 0:
      return mutate(pick(program.routes));
    case 1:
      return mutate(
          random() % 2 ? pick(region.bindings)
                       : pick(random() % 2 ? program.inputs : program.outputs));
    case 2:
      return mutate(region);
    case 3:
      return shuffle(program);
    default:
      return mutate(pick(program.instructions));
    }
  }

private:
  template <typename T>
  T &pick(std::vector<std::unique_ptr<T>> &list) {
    return *list[random() % list.size()];
  }

  template <typename T>
  void change(T &value) {
    static const int64_t odd[] = {0,     1,       2,       4,         -1,
                                  7,     16,      255,     1023,      1024,
                                  65536, INT_MAX, INT_MIN, UINT32_MAX};
    switch (random() % 3) {
    case 0:
      value = static_cast<T>(odd[random() % std::size(odd)]);
      break;
    case 1:
      value = static_cast<T>(value + 1);
      break;
    default:
      value = static_cast<T>(value - 1);
    }
  }

  void mutate(OperandT &o) {
    switch (random() % 7) {
    case 0:
      return change(o.base);
    case 1:
      if (!o.strides.empty())
        change(o.strides[0]);
      return;
    case 2:
      if (!o.steps.empty()) {
        int32_t bytes = o.steps[0].bytes();
        uint32_t depth = o.steps[0].depth();
        random() % 2 ? change(bytes) : change(depth);
        o.steps[0] = LoopStep(depth, bytes);
      }
      return;
    case 3:
      return change(o.index_at);
    case 4:
      return change(o.index_scale);
    case 5:
      return change(o.index_count);
    default:
      o.type = Type(random() % 4);
    }
  }

  void mutate(InstructionT &i) {
    std::unique_ptr<OperandT> *operands[] = {&i.dst, &i.a, &i.b, &i.c,
                                             &i.predicate};
    auto &operand = *operands[random() % 5];
    switch (random() % 12) {
    case 0:
      i.op = Opcode(random() % (unsigned(Opcode::MAX) + 2));
      return;
    case 1:
      if (!i.shape.empty())
        change(i.shape[random() % i.shape.size()]);
      return;
    case 2:
      return change(random() % 2 ? i.in_color : i.out_color);
    case 3:
      return change(i.count);
    case 4:
      return change(i.body);
    case 5:
      return change(i.thread);
    case 6:
      return change(random() % 2 ? i.columns : i.rows);
    case 7:
      if (random() % 4 == 0)
        operand = operand ? nullptr : std::make_unique<OperandT>();
      return;
    default:
      if (operand)
        mutate(*operand);
    }
  }

  void mutate(RouteT &route) {
    switch (random() % 5) {
    case 0:
      return change(route.color);
    case 1:
      return change(route.columns);
    case 2:
      return change(route.outputs);
    case 3:
      route.outputs = static_cast<uint8_t>(1u << (random() % 5));
      return;
    default: {
      Turn &turn = route.inputs[random() % route.inputs.size()];
      uint32_t words = turn.words();
      if (random() % 2)
        change(words);
      turn = Turn(random() % 2 ? turn.side() : Side(random() % 6), words);
    }
    }
  }

  void mutate(BindingT &binding) {
    switch (random() % 6) {
    case 0:
      return change(binding.address);
    case 1:
      return change(binding.source_offset);
    case 2:
      binding.type = Type(random() % 4);
      return;
    default: {
      DimT &dim = *binding.dims[random() % binding.dims.size()];
      switch (random() % 4) {
      case 0:
        return change(dim.live);
      case 1:
        return change(dim.source_stride);
      default: {
        Digit &digit = dim.digits[random() % dim.digits.size()];
        uint32_t extent = digit.extent(), stride = digit.stride();
        random() % 2 ? change(extent) : change(stride);
        digit = Digit(random() % 4 ? digit.axis() : Axis(random() % 4), extent,
                      stride);
      }
      }
    }
    }
  }

  void mutate(RegionT &region) {
    switch (random() % 6) {
    case 0:
      return change(region.width);
    case 1:
      return change(region.memory);
    case 2:
      return change(region.columns[0]->repeats);
    case 3:
      return change(region.columns[0]->classes[random() % 4]);
    case 4:
      return change(region.x);
    default: {
      auto &set = pick(region.sets);
      if (!set.words.empty())
        change(set.words[0]);
    }
    }
  }

  void shuffle(ProgramT &program) {
    auto &list = program.instructions;
    size_t a = random() % list.size(), b = random() % list.size();
    if (random() % 3 == 0)
      list.erase(list.begin() + static_cast<ptrdiff_t>(a));
    else
      std::swap(list[a], list[b]);
  }

  ImageT &image;
  std::mt19937 &random;
};
} // namespace

TEST(Fuzz, MutatedFields) {
  std::mt19937 random(seed(2));
  Builder good = sample();
  Tally tally;
  for (unsigned round = 0; round < 12000; ++round) {
    ImageT image = good.image;
    for (unsigned k = 0, n = 1 + random() % 2; k < n; ++k)
      Mutator(image, random).run();
    tryImage(adopt(std::move(image), good.data), tally);
  }
  EXPECT_GT(tally.refused, 1000u);
  EXPECT_GT(tally.ended, 1000u);
  EXPECT_GT(tally.failed, 10u);
  EXPECT_GT(tally.hung, 0u);
}
