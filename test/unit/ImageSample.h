// An image for the tests of its file and of its rules.

#ifndef WAFERLOOM_TEST_UNIT_IMAGESAMPLE_H
#define WAFERLOOM_TEST_UNIT_IMAGESAMPLE_H

#include "Programs.h"

namespace waferloom::test {

/// An image that uses every part of the format.
inline Builder sample() {
  Builder b(3, 2, 1024);
  b.columns("in", Role::input, 4, 0);
  b.columns("out", Role::output, 4, 64);
  b.send(1, 0, 4, at(0)).thread = 1;
  b.vector(Opcode::add, 1, 4, at(256), at(512), at(768));
  b.add(Opcode::wait, 1, 0).thread = 1;
  b.recv(3, 0, 4, at(64));
  b.loop(0, 3, 1);
  OperandT row = at(128), x = at(192, 0);
  row.steps = {LoopStep(0, 16)};
  x.index_at = 200;
  x.index_scale = 4;
  x.index_count = 8;
  InstructionT &fma = b.vector(Opcode::fma, 0, 4, at(300), at(300), row, x);
  fma.predicate = std::make_unique<OperandT>(at(320, 0, Type::i32));
  b.add(Opcode::end, 0, 0);
  b.route(0, 1, {Turn(Side::ramp, 0)}, {Side::east});
  b.route(0, 2, {Turn(Side::west, 0)}, {Side::east});
  b.route(0, 3, {Turn(Side::west, 0)}, {Side::ramp});

  b.pairs(Role::parameter, 900, 5, Type::i32).name = "weight";
  b.pairs(Role::state, 908, 5, Type::i32);
  b.pairs(Role::index, 916, 5, Type::i32);
  auto source = std::make_unique<SourceT>();
  source->name = "weight";
  source->offset = 4;
  source->bytes = 20;
  b.image.sources.push_back(std::move(source));
  b.data.assign(24, '\1');
  b.image.capacity = 10;
  return b;
}

} // namespace waferloom::test

#endif // WAFERLOOM_TEST_UNIT_IMAGESAMPLE_H
