// What a mapping says of a thing that has a name.

#include "waferloom/Mapping/Mapping.h"

#include "waferloom/Image/Utf8.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"

#include <numeric>

using namespace waferloom;
using namespace waferloom::mapping;
using llvm::StringRef;

static std::optional<int64_t>
productOf(const Field<std::vector<int64_t>> &factors) {
  if (!factors)
    return std::nullopt;
  return std::accumulate(factors->begin(), factors->end(), int64_t(1),
                         std::multiplies<int64_t>());
}

std::optional<int64_t> Mapping::getWidth() const {
  return width ? width.value : productOf(x);
}
std::optional<int64_t> Mapping::getHeight() const {
  return height ? height.value : productOf(y);
}

std::optional<int64_t> Mapping::getEndsWidth() const {
  return endsWidth ? endsWidth.value : productOf(endsX);
}
std::optional<int64_t> Mapping::getEndsHeight() const {
  return endsHeight ? endsHeight.value : productOf(endsY);
}

Mapping Mapping::ofKind(bool ends) const {
  Mapping out = *this;
  auto isOther = [&](const auto &entry) {
    return (entry.kind && *entry.kind == "ends") != ends;
  };
  llvm::erase_if(out.layouts, isOther);
  llvm::erase_if(out.collectives, isOther);
  for (Stage &stage : llvm::drop_begin(out.stages, out.stages.empty() ? 0 : 1))
    stage.at = {};
  if (!ends)
    return out;
  out.width = endsWidth;
  out.height = endsHeight;
  out.x = endsX;
  out.y = endsY;
  out.layers = {};
  if (!out.stages.empty())
    out.stages.resize(1);
  return out;
}

std::vector<std::string> Mapping::getDisabledRewrites() const {
  std::vector<std::string> names;
  for (const Rewrite &rewrite : rewrites)
    if (rewrite.on && !*rewrite.on)
      names.push_back(rewrite.name);
  return names;
}

std::string mapping::toText(StringRef name) {
  return image::escapeToUtf8(name);
}

bool mapping::matches(StringRef pattern, StringRef name) {
  if (pattern == name)
    return true;
  auto [head, rest] = pattern.split('*');
  if (head.size() == pattern.size() || !name.consume_front(head))
    return false;
  // What stands between two stars is found as early as possible.
  while (rest.contains('*')) {
    auto [part, behind] = rest.split('*');
    const size_t at = name.find(part);
    if (at == StringRef::npos)
      return false;
    name = name.drop_front(at + part.size());
    rest = behind;
  }
  return name.ends_with(rest);
}

std::string CollectiveNames::next(StringRef function, StringRef node,
                                  bool alongX) {
  std::string name = toText(function) + ":" + toText(node);
  unsigned number = ++seen[{function.str(), node.str(), alongX}];
  if (number > 1)
    name += "#" + std::to_string(number);
  return name;
}

const Collective *mapping::find(llvm::ArrayRef<Collective> entries,
                                StringRef name, bool alongX) {
  for (const Collective &entry : entries)
    if ((!entry.along || (*entry.along == "x") == alongX) &&
        matches(*entry.at, name))
      return &entry;
  return nullptr;
}

static constexpr std::pair<StringRef, StringRef> builtIn[] = {
    {"waferllm",
     R"(# The published engine that was written by hand, as far as a mapping can say it:
# two-phase reductions in groups to the edge, a multicast back, a collective for
# each product (q, k, v are one, and gate, up), no scale deferred, sums where all
# compute with them; K10 in docs/validation.md.
waferloom-mapping: 1
rewrites:
  deferred-norm: off
  deferred-softmax: off
  compute-at-roots: off
  own-maximum: off
  middle-root: off
collectives:
  - {at: "*", algorithm: [two-phase, chain], root: 0}
)"}};

std::vector<StringRef> mapping::builtInNames() {
  std::vector<StringRef> names;
  llvm::append_range(names, llvm::make_first_range(builtIn));
  return names;
}

llvm::Expected<std::string> mapping::load(StringRef fileOrName) {
  for (auto [name, text] : builtIn)
    if (name == fileOrName)
      return text.str();
  constexpr size_t most = 64 << 20;
  if (llvm::sys::fs::exists(fileOrName) &&
      !llvm::sys::fs::is_regular_file(fileOrName))
    return llvm::createStringError("'" + fileOrName +
                                   "' is no regular file, as a mapping is");
  auto file = llvm::MemoryBuffer::getFile(fileOrName, /*IsText=*/true);
  if (!file)
    return llvm::createStringError(file.getError(),
                                   "there is no mapping '" + fileOrName +
                                       "': " + file.getError().message() +
                                       "; those that are built in are " +
                                       llvm::join(builtInNames(), ", "));
  if ((*file)->getBufferSize() > most)
    return llvm::createStringError(
        "'" + fileOrName + "' has " + llvm::Twine((*file)->getBufferSize()) +
        " bytes, a mapping at most " + llvm::Twine(most));
  return (*file)->getBuffer().str();
}
