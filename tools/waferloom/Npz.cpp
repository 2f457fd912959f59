// An .npz is a zip archive (libzip reads and writes it) of .npy members: a
// magic, a header that is a Python dictionary, and the elements.

#include "Npz.h"
#include "waferloom/Files/Output.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <unistd.h>
#include <zip.h>

using namespace waferloom::tool;
using llvm::Error;
using llvm::Expected;
using llvm::StringRef;

static Error fail(const llvm::formatv_object_base &message) {
  return llvm::createStringError(message.str());
}

/// The text behind `'key':` in the header.
static StringRef field(StringRef header, StringRef key) {
  size_t at = header.find(("'" + key + "'").str());
  if (at == StringRef::npos)
    return "";
  return header.substr(at).split(':').second.ltrim();
}

namespace {
/// What stands in front of the elements.
struct Header {
  Array array; // without bytes
  uint64_t start = 0, bytes = 0;
};
} // namespace

/// Longer headers are no NumPy's.
static constexpr size_t mostHeader = 1 << 16;

/// `bytes` are the member's first ones.
static Expected<Header> parseHeader(StringRef member, StringRef bytes) {
  auto bad = [&](const char *why) {
    return fail(llvm::formatv("array '{0}': {1}", member, why));
  };
  if (bytes.size() < 10 || !bytes.starts_with("\x93NUMPY"))
    return bad("is no .npy member");
  auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  size_t start = byte(6) >= 2 ? 12 : 10;
  if (bytes.size() < start)
    return bad("is cut off");
  uint64_t length = byte(8) | byte(9) << 8;
  if (start == 12)
    length |= uint64_t(byte(10)) << 16 | uint64_t(byte(11)) << 24;
  if (length > bytes.size() - start)
    return bad(bytes.size() < mostHeader ? "is cut off"
                                         : "has a header that is too long");
  StringRef header = bytes.substr(start, length);
  StringRef descr = field(header, "descr");
  if (!descr.consume_front("'"))
    return bad("has no simple element type");
  descr = descr.split('\'').first;
  if (descr.size() < 3 || (descr[0] != '<' && descr[0] != '|'))
    return bad("is not little-endian");
  Header found;
  Array &array = found.array;
  array.type = descr.drop_front().str();
  if (!StringRef("fiub").contains(array.type[0]))
    return bad("holds neither numbers nor booleans");
  unsigned width;
  if (StringRef(array.type).drop_front().getAsInteger(10, width) ||
      width == 0 || width > 8)
    return bad("has elements of an odd size");
  if (!field(header, "fortran_order").starts_with("False"))
    return bad("is in Fortran order");
  StringRef shape = field(header, "shape");
  if (!shape.consume_front("("))
    return bad("has no shape");
  uint64_t elements = 1;
  llvm::SmallVector<StringRef> parts;
  shape.split(')').first.split(parts, ',');
  for (StringRef part : parts) {
    part = part.trim();
    if (part.empty())
      continue;
    int64_t extent;
    if (part.getAsInteger(10, extent) || extent < 0)
      return bad("has an odd shape");
    bool overflow = false;
    elements = llvm::SaturatingMultiply(elements, static_cast<uint64_t>(extent),
                                        &overflow);
    if (overflow)
      return bad("has more elements than fit");
    array.shape.push_back(extent);
  }
  bool overflow = false;
  found.start = start + length;
  found.bytes = llvm::SaturatingMultiply(elements, uint64_t(width), &overflow);
  if (overflow)
    return bad("has more elements than fit");
  return found;
}

namespace {
/// An archive that is being read.
class Reader {
public:
  Reader(StringRef path, zip_t *archive, Wanted wanted)
      : path(path), archive(archive), wanted(wanted) {}

  Expected<std::map<std::string, Array>> run();

private:
  Error read(zip_int64_t index);
  Error member(StringRef name, zip_file_t *file, uint64_t size);

  StringRef path;
  zip_t *archive;
  Wanted wanted;
  uint64_t left = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                  static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) / 2;
  std::map<std::string, Array> arrays;
};
} // namespace

/// Reads all of `bytes`. A count of libzip's ends at 2^31 or so.
static bool fill(zip_file_t *file, llvm::MutableArrayRef<char> bytes) {
  while (!bytes.empty()) {
    uint64_t now = std::min<uint64_t>(bytes.size(), 1 << 30);
    if (zip_fread(file, bytes.data(), now) != static_cast<zip_int64_t>(now))
      return false;
    bytes = bytes.drop_front(now);
  }
  return true;
}

Error Reader::member(StringRef name, zip_file_t *file, uint64_t size) {
  std::string first(std::min<uint64_t>(size, mostHeader), '\0');
  if (!fill(file, llvm::MutableArrayRef(first.data(), first.size())))
    return fail(llvm::formatv("cannot read member '{0}'", name));
  Expected<Header> header = parseHeader(name, first);
  if (!header)
    return header.takeError();
  if (size < header->start || size - header->start != header->bytes)
    return fail(llvm::formatv(
        "array '{0}': does not have as many bytes as its shape says", name));
  if (Error error = wanted(name, header->array))
    return error;
  if (size > left)
    return fail(llvm::formatv(
        "array '{0}': unpacks to {1} MiB, which this host's memory does not "
        "hold",
        name, size >> 20));
  left -= size;
  std::string &bytes = header->array.bytes;
  bytes.resize(header->bytes);
  size_t have = std::min<uint64_t>(first.size() - header->start, bytes.size());
  std::copy_n(first.data() + header->start, have, bytes.data());
  if (!fill(file,
            llvm::MutableArrayRef(bytes.data(), bytes.size()).drop_front(have)))
    return fail(llvm::formatv("cannot read member '{0}'", name));
  arrays[name.str()] = std::move(header->array);
  return Error::success();
}

Error Reader::read(zip_int64_t index) {
  zip_stat_t info;
  if (zip_stat_index(archive, index, 0, &info) != 0 ||
      !(info.valid & ZIP_STAT_SIZE) || !(info.valid & ZIP_STAT_NAME))
    return fail(llvm::formatv("member {0} has no sane size", index));
  StringRef name = info.name;
  name.consume_back(".npy");
  std::unique_ptr<zip_file_t, int (*)(zip_file_t *)> file(
      zip_fopen_index(archive, index, 0), zip_fclose);
  if (!file)
    return fail(llvm::formatv("cannot read member '{0}'", name));
  return member(name, file.get(), info.size);
}

Expected<std::map<std::string, Array>> Reader::run() {
  zip_int64_t count = zip_get_num_entries(archive, 0);
  for (zip_int64_t i = 0; i < count; ++i)
    if (Error error = read(i))
      return fail(
          llvm::formatv("'{0}': {1}", path, llvm::toString(std::move(error))));
  return std::move(arrays);
}

Expected<std::map<std::string, Array>> waferloom::tool::readNpz(StringRef path,
                                                                Wanted wanted) {
  int code = 0;
  std::unique_ptr<zip_t, int (*)(zip_t *)> archive(
      zip_open(path.str().c_str(), ZIP_RDONLY, &code), zip_close);
  if (!archive) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    std::string why = zip_error_strerror(&error);
    zip_error_fini(&error);
    return fail(llvm::formatv("cannot read '{0}': {1}", path, why));
  }
  return Reader(path, archive.get(), wanted).run();
}

static std::string npyBytes(const Array &array) {
  std::string shape;
  for (int64_t extent : array.shape)
    shape += std::to_string(extent) + ", ";
  std::string header =
      llvm::formatv("{{'descr': '{0}{1}', 'fortran_order': False, "
                    "'shape': ({2}), }",
                    array.type == "b1" ? "|" : "<", array.type, shape);
  while ((10 + header.size() + 1) % 64)
    header += ' ';
  header += '\n';
  std::string out("\x93NUMPY\x01\x00", 8);
  out += static_cast<char>(header.size() & 255);
  out += static_cast<char>(header.size() >> 8);
  return out + header + array.bytes;
}

/// The archive, made in memory: libzip's own files would be left behind by a
/// signal.
static Expected<std::string>
archiveBytes(const std::map<std::string, Array> &arrays) {
  auto bad = [](const char *why) { return llvm::createStringError(why); };
  zip_source_t *whole = zip_source_buffer_create(nullptr, 0, 0, nullptr);
  zip_t *archive =
      whole ? zip_open_from_source(whole, ZIP_CREATE | ZIP_TRUNCATE, nullptr)
            : nullptr;
  if (!archive)
    return bad("no memory for the archive");
  zip_source_keep(whole); // closing the archive gives it up
  std::unique_ptr<zip_source_t, void (*)(zip_source_t *)> keep(whole,
                                                               zip_source_free);
  std::vector<std::string> members;
  members.reserve(arrays.size()); // libzip reads them when it closes
  for (const auto &[name, array] : arrays) {
    const std::string &bytes = members.emplace_back(npyBytes(array));
    zip_source_t *source =
        zip_source_buffer(archive, bytes.data(), bytes.size(), 0);
    zip_int64_t index = source ? zip_file_add(archive, (name + ".npy").c_str(),
                                              source, ZIP_FL_ENC_UTF_8)
                               : -1;
    if (index < 0) {
      zip_discard(archive);
      return bad("an array does not fit the archive");
    }
    zip_set_file_compression(archive, index, ZIP_CM_STORE, 0);
    // A fixed time: the same arrays give the same bytes.
    zip_file_set_mtime(archive, index, 315532800, 0);
  }
  if (zip_close(archive) != 0) {
    std::string why = zip_strerror(archive);
    zip_discard(archive);
    return bad(why.c_str());
  }
  zip_stat_t info;
  zip_stat_init(&info);
  if (zip_source_stat(whole, &info) != 0 || zip_source_open(whole) != 0)
    return bad("the archive cannot be read back");
  std::string bytes(info.size, '\0');
  zip_int64_t read = zip_source_read(whole, bytes.data(), bytes.size());
  zip_source_close(whole);
  if (read != static_cast<zip_int64_t>(bytes.size()))
    return bad("the archive cannot be read back");
  return bytes;
}

Error waferloom::tool::writeNpz(StringRef path,
                                const std::map<std::string, Array> &arrays,
                                llvm::ArrayRef<std::string> read) {
  // libzip makes no archive of nothing: its end alone is one.
  std::string empty = std::string("PK\5\6", 4) + std::string(18, '\0');
  Expected<std::string> bytes =
      arrays.empty() ? std::move(empty) : archiveBytes(arrays);
  if (!bytes)
    return fail(llvm::formatv("cannot write '{0}': {1}", path,
                              llvm::toString(bytes.takeError())));
  return files::writeText(path, *bytes, read);
}
