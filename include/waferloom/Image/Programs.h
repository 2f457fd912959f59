// Who runs what: classes of columns and rows, and each class's own program.

#ifndef WAFERLOOM_IMAGE_PROGRAMS_H
#define WAFERLOOM_IMAGE_PROGRAMS_H

#include "waferloom/Format/Format.h"
#include "waferloom/Image/Image_generated.h"
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace waferloom::image {

/// The class of every column and of every row of a region.
struct Classes {
  std::vector<uint32_t> columns, rows;
};

Classes classesOf(const RegionT &region);

/// Whether set `set` of the region holds class `id`; set 0 holds all.
bool contains(const RegionT &region, uint32_t set, uint32_t id);

/// Indices of the instructions that PEs of a class of columns and a class of
/// rows have. A loop that they do not have takes its body with it.
std::vector<uint32_t> programOf(const RegionT &region, const ProgramT &program,
                                uint32_t column, uint32_t row);

/// The classes of one axis in groups: those of a group are in the same sets.
/// Groups are numbered by their first class.
class ClassGroups {
public:
  /// All of `classes` are in one group.
  explicit ClassGroups(const std::vector<uint32_t> &classes);

  /// Parts groups of which a set has some classes, not all.
  void split(const ClassSetT &set);
  /// Numbers the groups; to be called after the last split.
  void number();

  uint32_t count() const { return static_cast<uint32_t>(sizes.size()); }
  uint32_t of(uint32_t id) const { return groups[id]; }
  uint32_t first(uint32_t group) const { return firsts[group]; }

private:
  std::vector<uint32_t> groups; // by class; UINT32_MAX: no line has it
  std::vector<uint32_t> sizes, firsts;
};

/// Pairs of groups stand for all pairs of classes: what belongs to one pair of
/// classes belongs to all of its pair of groups. Few, however many classes.
struct ClassPairs {
  ClassGroups columns, rows;

  uint64_t count() const { return uint64_t(columns.count()) * rows.count(); }
  uint32_t of(uint32_t column, uint32_t row) const {
    return columns.of(column) * rows.count() + rows.of(row);
  }
};

/// The pairs that the instructions of all programs tell apart.
ClassPairs instructionPairs(const RegionT &region, const Classes &classes);
/// The pairs that the routes of a program tell apart.
ClassPairs routePairs(const RegionT &region, const Classes &classes,
                      const ProgramT &program);

/// The different programs of an entry on a region, and which one each pair of
/// groups runs.
struct ProgramTable {
  std::vector<std::vector<uint32_t>> programs;
  std::vector<uint32_t> ofPair; // by ClassPairs::of
};

ProgramTable tabulate(const RegionT &region, const ClassPairs &pairs,
                      const ProgramT &program);

/// Bytes of code on the fullest PE: the programs of all entries.
uint64_t codeBytes(const RegionT &region, const TargetT &target);

/// How the SRAM of the fullest PE is used, in bytes. Weights that have no bytes
/// (a model of shapes only) are among the buffers.
struct Usage {
  uint64_t weights = 0, states = 0, tables = 0, buffers = 0, code = 0,
           reserved = 0;
};

Usage usageOf(const RegionT &region, const TargetT &target);

inline bool isLoop(Opcode op) { return op == Opcode::loop; }
inline bool sends(Opcode op) {
  return op == Opcode::send || op == Opcode::recv_fold_send;
}
inline bool receives(Opcode op) {
  return op == Opcode::recv || op == Opcode::recv_fold ||
         op == Opcode::recv_fold_send;
}
inline bool isStream(Opcode op) { return sends(op) || receives(op); }
inline bool isControl(Opcode op) { return op >= Opcode::loop; }

/// What an image computes with are the computed formats, in their order.
constexpr Format formatOf(Type type) {
  constexpr Format formats[] = {
#define COMPUTED(name, fma, mul, add, max, mov) Format::name,
#include "waferloom/Format/Formats.def"
  };
  return formats[static_cast<unsigned>(type)];
}
#define COMPUTED(name, fma, mul, add, max, mov)                                \
  static_assert(formatOf(Type::name) == Format::name,                          \
                "Image.fbs and Formats.def list " #name                        \
                " at different places");
#include "waferloom/Format/Formats.def"
static_assert(static_cast<unsigned>(Type::MAX) + 1 == std::size({
#define COMPUTED(name, fma, mul, add, max, mov) Format::name,
#include "waferloom/Format/Formats.def"
                                                      }),
              "Image.fbs and Formats.def have different formats");

/// The type of an image whose elements have `format`; none if PEs do not
/// compute with it.
constexpr std::optional<Type> typeOf(Format format) {
  for (unsigned type = 0; type <= static_cast<unsigned>(Type::MAX); ++type)
    if (formatOf(static_cast<Type>(type)) == format)
      return static_cast<Type>(type);
  return std::nullopt;
}

/// Bytes of an element in a PE's memory.
constexpr uint32_t bytesOf(Type type) {
  return waferloom::bytesOf(formatOf(type));
}

} // namespace waferloom::image

#endif // WAFERLOOM_IMAGE_PROGRAMS_H
