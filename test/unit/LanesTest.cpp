// What the lock-step engine does at a stroke gives the bits that one
// instruction after the other gives (Running.h compares both engines), and
// sparse memories hold what others do.

#include "../../lib/Executor/Memory.h"
#include "../../lib/Executor/Workers.h"
#include "Running.h"
#include <random>

using namespace waferloom;
using namespace waferloom::test;

namespace {
/// Random multiply-adds, most of them into the same elements one after another.
class Sums {
public:
  explicit Sums(unsigned seed)
      : random(seed), width(1 + draw(40)), b(width, 1 + draw(2), 4096) {
    for (uint32_t i = 0; i < width * 64; ++i)
      singles.push_back(float(int32_t(random() % 20001) - 10000) / 3000.0f);
    for (uint32_t i = 0; i < width * 256; ++i)
      halves.push_back(static_cast<uint16_t>(
          draw(2) << 15 | (10 + draw(8)) << 10 | draw(1024)));
    b.columns("x", Role::input, 64, 0);
    b.columns("h", Role::input, 256, 256, Type::f16);
    b.columns("out", Role::output, 64, 1024);
    for (unsigned run = 0, runs = 1 + draw(4); run < runs; ++run)
      add();
  }

  void check() {
    executor::RunOptions options;
    options.threads = 1 + draw(3);
    stepOf(sessionOf(b).get(),
           {tensor("x", singles, {width, 64}),
            HostTensor{"h", halves.data(), HostType::f16, {width, 256}}},
           options);
  }

private:
  uint32_t draw(uint32_t below) { return random() % below; }

  OperandT factor(bool half, int stride, uint32_t n) {
    // Now and then what is written is read, too.
    if (!half && draw(8) == 0)
      return at(1024 + 4 * draw(40 - n), stride > 1 ? 1 : stride);
    uint32_t span = static_cast<uint32_t>(std::abs(stride)) * (n - 1) + 1;
    uint32_t first = draw((half ? 256 : 64) - span + 1);
    if (stride < 0)
      first += span - 1;
    return half ? at(256 + 2 * first, stride, Type::f16)
                : at(4 * first, stride);
  }

  void add() {
    const uint32_t n = 1 + draw(20), dst = 1024 + 4 * draw(16);
    const bool half = draw(3) > 0;
    const int strides[] = {1, 1, 2, 3, -1, 0};
    const int stride = strides[draw(6)];
    const uint32_t columns = draw(2) ? 0 : 1 + draw(width);
    for (unsigned row = 0, rows = 1 + draw(12); row < rows; ++row) {
      OperandT from = row == 0 && draw(2) ? constant(bits(0.25f)) : at(dst);
      OperandT vector = factor(half, stride, n), scalar = factor(half, 0, n);
      b.vector(Opcode::fma, columns, n, at(dst), from, vector, scalar);
      if (draw(8) == 0)
        b.vector(Opcode::add, 0, 1, at(2048), at(2048), at(dst));
    }
  }

  std::mt19937 random;
  uint32_t width;
  Builder b;
  std::vector<float> singles;
  std::vector<uint16_t> halves;
};
} // namespace

TEST(Lanes, SumsAreWhatTheirInstructionsGive) {
  for (unsigned seed = 0; seed < 600; ++seed) {
    SCOPED_TRACE(seed);
    Sums(seed).check();
    if (HasFailure())
      return;
  }
}

/// A core sends to all others of its row, words that lie in stretches or not.
TEST(Lanes, NeighboursTakeTheSameWords) {
  for (uint32_t width : {2u, 15u, 16u, 17u, 40u})
    for (uint32_t root : {0u, width / 2, width - 1})
      for (int stride : {1, 2}) {
        constexpr uint32_t words = 5;
        Builder b(width, 2, 4096);
        std::vector<uint32_t> others;
        for (uint32_t c = 0; c < width; ++c) {
          std::vector<Side> outputs;
          if (c > 0 && c <= root)
            outputs.push_back(Side::west);
          if (c + 1 < width && c >= root)
            outputs.push_back(Side::east);
          if (c != root) {
            outputs.push_back(Side::ramp);
            others.push_back(c);
          }
          Side from = c < root ? Side::east : Side::west;
          b.route(0, c + 1, {Turn(c == root ? Side::ramp : from, 0)}, outputs);
        }
        b.columns("x", Role::input, words, 0);
        b.columns("out", Role::output, words * 2, 1024);
        b.send(root + 1, 0, words, at(0));
        b.recv(b.set(others), 0, words, at(1024, stride));
        std::vector<float> x(width * words);
        for (size_t i = 0; i < x.size(); ++i)
          x[i] = float(i + 1);
        std::vector<float> out = valuesOf(
            stepOf(sessionOf(b).get(), {tensor("x", x, {width, words})}));
        ASSERT_EQ(out.size(), size_t(width) * words * 2);
        for (uint32_t c = 0; c < width; ++c)
          for (uint32_t w = 0; w < words; ++w)
            EXPECT_EQ(out[c * words * 2 + w * uint32_t(stride)],
                      c == root ? 0 : x[root * words + w]);
      }
}

/// Two senders of a row, whose takers lie in the same blocks of sixteen cores:
/// what the one's take leaves alone is the other's, who may be at work in
/// another thread. Races are rare: many rows and steps.
TEST(Lanes, TakersOfSeveralSendersShareBlocks) {
  constexpr uint32_t width = 13, height = 120, words = 24;
  for (uint32_t split : {1u, 5u, 8u}) {
    Builder b(width, height, 4096);
    for (uint32_t c = 0; c < width; ++c) {
      const bool sends = c == 0 || c == split;
      std::vector<Side> outputs;
      if (c + 1 < width && c + 1 != split)
        outputs.push_back(Side::east);
      if (!sends)
        outputs.push_back(Side::ramp);
      if (!outputs.empty())
        b.route(0, c + 1, {Turn(sends ? Side::ramp : Side::west, 0)}, outputs);
    }
    std::vector<uint32_t> others;
    for (uint32_t c = 0; c < width; ++c)
      if (c != 0 && c != split)
        others.push_back(c);
    b.columns("x", Role::input, words, 0);
    b.columns("out", Role::output, words, 1024);
    for (uint32_t root : {0u, split})
      if (root != 0 || split > 1)
        b.send(root + 1, 0, words, at(0));
    b.recv(b.set(others), 0, words, at(1024));
    std::vector<float> x(width * words);
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = float(i + 1);
    executor::RunOptions options;
    options.threads = 4;
    for (unsigned step = 0; step < 20; ++step) {
      std::vector<float> out = valuesOf(stepOf(
          sessionOf(b).get(), {tensor("x", x, {width, words})}, options));
      for (uint32_t c = 0; c < width; ++c)
        for (uint32_t w = 0; w < words; ++w) {
          const uint32_t root = c < split ? 0 : split;
          const float wanted = c == root ? 0 : x[root * words + w];
          ASSERT_EQ(out[c * words + w], wanted) << split << " " << c;
        }
    }
  }
}

/// Zeros take nothing until something else lies on their page.
TEST(Lanes, SparseMemoriesHoldTheSame) {
  using executor::Memory;
  executor::Workers workers;
  for (bool inLanes : {true, false}) {
    constexpr uint32_t width = 35, height = 3, bytes = 9000;
    Memory dense(width, height, bytes, inLanes);
    Memory sparse(width, height, bytes, inLanes, /*isSparse=*/true);
    std::vector<char> zeros(4000), other(4000, 7), read(8000), expected(8000);
    for (size_t pe = 0; pe < width * height; ++pe)
      sparse.lay(pe, 0, zeros.data(), zeros.size());
    EXPECT_EQ(sparse.bytesLaid(), 0u);
    for (Memory *memory : {&dense, &sparse}) {
      memory->lay(40, 2002, other.data(), other.size());
      memory->lay(40, 4002, zeros.data(), 2000); // over what was laid
      memory->lay(41, 0, zeros.data(), zeros.size());
    }
    EXPECT_EQ(dense.bytesLaid(), 0u);
    EXPECT_GT(sparse.bytesLaid(), 0u);
    EXPECT_LT(sparse.bytesLaid(), dense.bytes() / 4);
    for (size_t pe = 0; pe < width * height; ++pe) {
      sparse.read(pe, 0, read.data(), read.size());
      dense.read(pe, 0, expected.data(), expected.size());
      EXPECT_EQ(read, expected) << pe;
      if (pe == 40)
        EXPECT_EQ(read[3000], 7);
    }
    sparse.clear(workers);
    EXPECT_EQ(sparse.bytesLaid(), 0u);
    sparse.read(40, 0, read.data(), read.size());
    EXPECT_EQ(read, std::vector<char>(8000));
  }
}
