#include "waferloom/Image/Utf8.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/JSON.h"

std::string waferloom::image::escapeToUtf8(llvm::StringRef text) {
  std::string escaped;
  size_t wrong;
  while (!llvm::json::isUTF8(text, &wrong)) {
    escaped += text.take_front(wrong);
    escaped += "\\x" + llvm::toHex(text.substr(wrong, 1), /*LowerCase=*/true);
    text = text.drop_front(wrong + 1);
  }
  return escaped + text.str();
}
