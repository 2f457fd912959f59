//===- ExternalData.cpp - Tensors in files beside the model ---------------===//
//
// A model may come from anywhere: it names files of its own folder only.
//
//===----------------------------------------------------------------------===//

#include "ExternalData.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include "onnx/onnx_pb.h"

using namespace waferloom;
using namespace waferloom::import;
using llvm::Error;
using llvm::Expected;
using llvm::SmallString;
using llvm::StringRef;
using llvm::Twine;

/// Whether a file lies below a folder; both are real paths.
static bool liesBelow(StringRef file, StringRef folder) {
  return file.consume_front(folder) && (folder == "/" || file.starts_with("/"));
}

/// The path of an external data file as the model names it, which may not lead
/// out of the model's folder.
static Expected<std::string> externalPath(StringRef model, StringRef location) {
  namespace path = llvm::sys::path;
  SmallString<128> relative(location);
  path::remove_dots(relative, /*remove_dot_dot=*/true);
  if (location.empty() || path::is_absolute(relative) ||
      relative.starts_with("..") || location.contains('\0'))
    return llvm::createStringError("'" + Twine(location) +
                                   "' leaves the folder of the model");
  SmallString<128> full(path::parent_path(model));
  path::append(full, relative);
  return std::string(full);
}

Expected<ExternalData> import::findExternalData(const onnx::TensorProto &tensor,
                                                StringRef model,
                                                uint64_t bytes) {
  ExternalData data;
  data.length = bytes;
  llvm::StringSet<> keys;
  std::string location;
  for (const auto &entry : tensor.external_data()) {
    bool wrong = false;
    if (!keys.insert(entry.key()).second)
      return llvm::createStringError("has '" + Twine(entry.key()) + "' twice");
    if (entry.key() == "location")
      location = entry.value();
    else if (entry.key() == "offset")
      wrong = StringRef(entry.value()).getAsInteger(10, data.offset);
    else if (entry.key() == "length")
      wrong = StringRef(entry.value()).getAsInteger(10, data.length);
    if (wrong)
      return llvm::createStringError("has '" + Twine(entry.value()) +
                                     "' as its " + entry.key());
  }
  auto path = externalPath(model, location);
  if (!path)
    return path.takeError();
  data.path = std::move(*path);
  return data;
}

/// The folder of the repository that a cache of Hugging Face keeps a model in
/// (REPOSITORY/snapshots/REVISION/.. beside REPOSITORY/blobs), else the model's
/// own. Links inside of it do not leave it.
static StringRef repositoryOf(StringRef folder) {
  namespace path = llvm::sys::path;
  for (StringRef at = folder; !at.empty(); at = path::parent_path(at)) {
    StringRef above = path::parent_path(at);
    SmallString<128> blobs(above);
    path::append(blobs, "blobs");
    if (path::filename(at) == "snapshots" && llvm::sys::fs::is_directory(blobs))
      return above;
  }
  return folder;
}

/// Bytes of a file that can be read and whose links stay in the folder of the
/// model.
static Expected<uint64_t> checkFile(StringRef model, StringRef file) {
  namespace path = llvm::sys::path;
  namespace fs = llvm::sys::fs;
  fs::file_status status;
  const char *wayOut = "; put the file there, or compile shapes only with "
                       "--no-weights (Python: weights=False)";
  if (std::error_code error = fs::status(file, status))
    return llvm::createStringError(
        "'" + file + "' cannot be read: " + error.message() + wayOut);
  if (status.type() != fs::file_type::regular_file)
    return llvm::createStringError("'" + file + "' is not a regular file");
  StringRef folder = path::parent_path(model);
  SmallString<128> realFile, named, led;
  if (fs::real_path(folder.empty() ? StringRef(".") : folder, named) ||
      fs::real_path(model, led) || fs::real_path(file, realFile))
    return llvm::createStringError("'" + file + "' cannot be resolved");
  if (!liesBelow(realFile, repositoryOf(named)) &&
      !liesBelow(realFile, path::parent_path(led)))
    return llvm::createStringError("'" + file +
                                   "' leaves the folder of the model");
  return status.getSize();
}

Error import::checkExternalData(const ExternalData &data, StringRef model,
                                uint64_t bytes) {
  Expected<uint64_t> size = checkFile(model, data.path);
  if (!size)
    return size.takeError();
  if (data.length == bytes && data.offset <= *size &&
      data.length <= *size - data.offset)
    return Error::success();
  return llvm::createStringError("is " + Twine(data.length) + " bytes at " +
                                 Twine(data.offset) + " of '" + data.path +
                                 "', which has " + Twine(*size) +
                                 "; its dimensions say " + Twine(bytes));
}
