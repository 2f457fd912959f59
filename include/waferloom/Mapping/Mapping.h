//===- Mapping.h - The choices of the compiler as a file --------*- C++ -*-===//
//
// What `--write-mapping` writes and `--mapping` reads: regions, places,
// layouts, collectives, colors, rewrites. docs/mapping.md tells what each field
// means. A mapping is data that knows its lines; rooms take from it what they
// decide, and say at its line what they cannot do.
//
//===----------------------------------------------------------------------===//

#ifndef WAFERLOOM_MAPPING_MAPPING_H
#define WAFERLOOM_MAPPING_MAPPING_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace waferloom::mapping {

/// What a field says, and the line where it does. No value: it says `auto`, or
/// is left out, and the compiler chooses.
template <typename T>
struct Field {
  std::optional<T> value;
  unsigned line = 0;

  Field() = default;
  Field(T value) : value(std::move(value)) {}
  explicit operator bool() const { return value.has_value(); }
  const T &operator*() const { return *value; }
  const T *operator->() const { return &*value; }
};

struct Rewrite {
  std::string name;
  Field<bool> on;
};

/// One region of PEs. Those behind the first share the trips of the layers.
struct Stage {
  Field<std::vector<int64_t>> at;    ///< column and row of its corner
  Field<std::vector<int64_t>> trips; ///< the first, and the one behind the last
};

/// How the dimensions of a class are split.
struct Layout {
  Field<std::string> kind;               ///< "ends": of their program
  Field<std::string> dim;                ///< a name of it, `*` for any text
  Field<int64_t> size;                   ///< elements: checked
  Field<std::vector<std::string>> split; ///< axes, none: whole on every PE
  std::vector<std::string> others;       ///< further names, a comment
};

/// How the collectives go that its first three fields say.
struct Collective {
  Field<std::string> kind;                   ///< "ends": of their program
  Field<std::string> at;                     ///< a name, `*` for any text
  Field<std::string> along;                  ///< x or y
  Field<int64_t> words;                      ///< of each PE: checked
  Field<std::vector<std::string>> algorithm; ///< the first that can
  Field<int64_t> group, levels, root, color;
};

struct Mapping {
  std::string name; ///< in messages: the file, or what is built in
  Field<int64_t> parameters, layers;
  Field<std::string> target, prefill;
  std::vector<Rewrite> rewrites;
  /// Of a region: PEs alone, or the factors of them, major to minor.
  Field<int64_t> width, height;
  Field<std::vector<int64_t>> x, y;
  /// The same of the region of the ends, where it has another shape.
  Field<int64_t> endsWidth, endsHeight;
  Field<std::vector<int64_t>> endsX, endsY;
  Field<int64_t> stageCount;
  std::vector<Stage> stages; ///< empty: not listed
  std::vector<Layout> layouts;
  std::vector<Collective> collectives;

  /// PEs of a region along x or y, where the file says them.
  std::optional<int64_t> getWidth() const;
  std::optional<int64_t> getHeight() const;
  std::optional<int64_t> getEndsWidth() const;
  std::optional<int64_t> getEndsHeight() const;
  /// What it says of the program of one kind of stages: the ends, or else the
  /// layers. Of places that of the first stage alone.
  Mapping ofKind(bool ends) const;
  /// The rewrites that it switches off.
  std::vector<std::string> getDisabledRewrites() const;
};

/// Reads a mapping. Errors begin with the line and say what may stand there.
llvm::Expected<Mapping> parse(llvm::StringRef text, llvm::StringRef name);

/// Writes what `parse` reads; the same mapping gives the same bytes. `comment`
/// stands in front, a line of it per line.
void write(const Mapping &mapping, llvm::StringRef comment,
           llvm::raw_ostream &os);

/// The text of a file, or of a mapping that is built in.
llvm::Expected<std::string> load(llvm::StringRef fileOrName);

/// The names of those that are built in.
std::vector<llvm::StringRef> builtInNames();

/// A name of a model, which may be any bytes, as a mapping has it.
std::string toText(llvm::StringRef name);

/// Whether `name` is what `pattern` says, in which `*` stands for any text.
bool matches(llvm::StringRef pattern, llvm::StringRef name);

/// Names collectives in the order of the program: by the function and the node
/// that they stand in, those that agree in both and in their direction numbered
/// from the second on.
class CollectiveNames {
public:
  std::string next(llvm::StringRef function, llvm::StringRef node, bool alongX);

private:
  std::map<std::tuple<std::string, std::string, bool>, unsigned> seen;
};

/// The first of `entries` that speaks of the collective called `name`; null:
/// none does.
const Collective *find(llvm::ArrayRef<Collective> entries, llvm::StringRef name,
                       bool alongX);

} // namespace waferloom::mapping

#endif // WAFERLOOM_MAPPING_MAPPING_H
