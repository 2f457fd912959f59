// An .npz is a zip archive (libzip reads and writes it) of .npy members: a
// magic, a header that is a Python dictionary, and the elements.

#include "Npz.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

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

static Expected<Array> parseNpy(StringRef member, StringRef bytes) {
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
    return bad("is cut off");
  StringRef header = bytes.substr(start, length);
  StringRef descr = field(header, "descr");
  if (!descr.consume_front("'"))
    return bad("has no simple element type");
  descr = descr.split('\'').first;
  if (descr.size() < 3 || (descr[0] != '<' && descr[0] != '|'))
    return bad("is not little-endian");
  Array array;
  array.type = descr.drop_front().str();
  if (!StringRef("fib").contains(array.type[0]))
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
  StringRef data = bytes.drop_front(start + length);
  if (data.size() / width != elements || data.size() % width)
    return bad("does not have as many bytes as its shape says");
  array.bytes = data.str();
  return array;
}

Expected<std::map<std::string, Array>>
waferloom::tool::readNpz(StringRef path) {
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
  std::map<std::string, Array> arrays;
  zip_int64_t count = zip_get_num_entries(archive.get(), 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    zip_stat_t info;
    if (zip_stat_index(archive.get(), i, 0, &info) != 0 ||
        !(info.valid & ZIP_STAT_SIZE) || info.size > (uint64_t(1) << 34))
      return fail(llvm::formatv("'{0}': member {1} has no sane size", path, i));
    StringRef name = info.name;
    name.consume_back(".npy");
    std::unique_ptr<zip_file_t, int (*)(zip_file_t *)> file(
        zip_fopen_index(archive.get(), i, 0), zip_fclose);
    std::string bytes(info.size, '\0');
    if (!file || zip_fread(file.get(), bytes.data(), info.size) !=
                     static_cast<zip_int64_t>(info.size))
      return fail(llvm::formatv("'{0}': cannot read member '{1}'", path, name));
    Expected<Array> array = parseNpy(name, bytes);
    if (!array)
      return fail(
          llvm::formatv("'{0}': {1}", path, llvm::toString(array.takeError())));
    arrays[name.str()] = std::move(*array);
  }
  return arrays;
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

Error waferloom::tool::writeNpz(StringRef path,
                                const std::map<std::string, Array> &arrays) {
  int code = 0;
  // libzip writes to a temporary file and renames it when closed.
  zip_t *archive =
      zip_open(path.str().c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code);
  if (!archive)
    return fail(llvm::formatv("cannot write '{0}'", path));
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
      return fail(llvm::formatv("cannot write '{0}'", path));
    }
    zip_set_file_compression(archive, index, ZIP_CM_STORE, 0);
    // A fixed time: the same arrays give the same bytes.
    zip_file_set_mtime(archive, index, 315532800, 0);
  }
  if (zip_close(archive) != 0) {
    std::string why = zip_strerror(archive);
    zip_discard(archive);
    return fail(llvm::formatv("cannot write '{0}': {1}", path, why));
  }
  return Error::success();
}
