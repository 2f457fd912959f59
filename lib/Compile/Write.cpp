// Weights go from the model's file into the image without a copy of their own
// (waferloom/Codegen/Data.h).

#include "waferloom/Codegen/Data.h"
#include "waferloom/Compile/Compile.h"
#include "waferloom/Image/Image.h"

using namespace waferloom;

llvm::Error waferloom::writeImage(const codegen::Image &image,
                                  llvm::StringRef path,
                                  llvm::ArrayRef<std::string> read) {
  auto data = codegen::DataSection::of(image);
  if (!data)
    return data.takeError();
  std::vector<std::string> all = read.vec();
  for (std::string &file : data->getFiles())
    all.push_back(std::move(file));
  return image::write(path, image.image, data->getChunks(), all);
}

llvm::Expected<std::string>
waferloom::imageBytes(const codegen::Image &image,
                      const std::function<bool()> &interrupted) {
  auto data = codegen::DataSection::of(image, interrupted);
  if (!data)
    return data.takeError();
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
