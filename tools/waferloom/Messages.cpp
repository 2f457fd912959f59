#include "Messages.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

using namespace waferloom;
using llvm::StringRef;

static bool asJson = false;

void tool::tellAsJson() { asJson = true; }

bool tool::tellsAsJson() { return asJson; }

void tool::tell(const Message &message) {
  if (!asJson) {
    llvm::errs() << message.where << ": " << message.severity << ": "
                 << message.text << "\n";
    for (const std::string &note : message.notes)
      llvm::errs() << "note: " << note << "\n";
    return;
  }
  llvm::json::Array notes;
  for (const std::string &note : message.notes)
    notes.push_back(llvm::json::fixUTF8(note));
  llvm::errs() << llvm::json::Value(llvm::json::Object{
                      {"severity", message.severity},
                      {"where", llvm::json::fixUTF8(message.where)},
                      {"message", llvm::json::fixUTF8(message.text)},
                      {"node", llvm::json::fixUTF8(message.node)},
                      {"notes", std::move(notes)}})
               << "\n";
}

int tool::fail(StringRef where, llvm::Error error) {
  tell({"error", where.str(), llvm::toString(std::move(error)), "", {}});
  return 1;
}

void tool::warn(StringRef where, StringRef text) {
  tell({"warning", where.str(), text.str(), "", {}});
}
