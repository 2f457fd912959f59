// Weights go from the model's file into the image without a copy of their own
// (waferloom/Codegen/Data.h).

#include "waferloom/Codegen/Data.h"
#include "waferloom/Compile/Compile.h"
#include "waferloom/Image/Image.h"

using namespace waferloom;

/// "int4, blocks of 32"
static std::string formatText(const BlockFormat &format) {
  const std::string code = format.code == BlockFormat::Code::integer
                               ? "int" + std::to_string(format.bits)
                           : format.code == BlockFormat::Code::e2m1 ? "mxfp4"
                                                                    : "fp8";
  return code + ", blocks of " +
         std::to_string(format.tall > 1 ? format.tall : format.size);
}

static void tell(const codegen::DataSection &data,
                 std::vector<Rounded> *rounded) {
  if (!rounded)
    return;
  for (const codegen::RoundedWeight &weight : data.getRounded())
    rounded->push_back({weight.name, formatText(weight.format), weight.bytes,
                        weight.error.largest, weight.error.rms,
                        weight.error.largestNumber});
}

llvm::Error waferloom::writeImage(const codegen::Image &image,
                                  llvm::StringRef path,
                                  llvm::ArrayRef<std::string> read,
                                  std::vector<Rounded> *rounded) {
  auto data = codegen::DataSection::of(image);
  if (!data)
    return data.takeError();
  tell(*data, rounded);
  std::vector<std::string> all = read.vec();
  for (std::string &file : data->getFiles())
    all.push_back(std::move(file));
  return image::write(path, image.image, data->getChunks(), all);
}

llvm::Expected<std::string>
waferloom::imageBytes(const codegen::Image &image,
                      const std::function<bool()> &interrupted,
                      std::vector<Rounded> *rounded) {
  auto data = codegen::DataSection::of(image, interrupted);
  if (!data)
    return data.takeError();
  tell(*data, rounded);
  std::string bytes;
  auto take = [&](llvm::StringRef stretch) -> llvm::Error {
    if (interrupted && interrupted())
      return llvm::createStringError("interrupted");
    bytes += stretch;
    return llvm::Error::success();
  };
  if (llvm::Error error =
          image::forStretches(image.image, data->getChunks(), take))
    return std::move(error);
  return bytes;
}
