// Types of the host, trips of loops and engines by name.

#include "waferloom/Executor/Executor.h"

using namespace llvm;

namespace waferloom::executor {

StringRef nameOf(HostType type) {
  switch (type) {
  case HostType::f32:
    return "float32";
  case HostType::f16:
    return "float16";
  case HostType::i32:
    return "int32";
  case HostType::i64:
    return "int64";
  case HostType::boolean:
    return "bool";
  }
  return "?";
}

Format formatOf(HostType type) {
  switch (type) {
  case HostType::f32:
    return Format::f32;
  case HostType::f16:
    return Format::f16;
  case HostType::i32:
    return Format::i32;
  case HostType::i64:
    return Format::i64;
  case HostType::boolean:
    return Format::i1;
  }
  return Format::f32;
}

unsigned bytesOf(HostType type) { return waferloom::bytesOf(formatOf(type)); }

StringRef tripOf(image::LoopOver over) {
  switch (over) {
  case image::LoopOver::layers:
    return "layer";
  case image::LoopOver::tokens:
    return "token";
  case image::LoopOver::nothing:
    break;
  }
  return "";
}

std::optional<EngineKind> engineNamed(StringRef name) {
  if (name == "lockstep")
    return EngineKind::lockstep;
  if (name == "reference")
    return EngineKind::reference;
  return std::nullopt;
}

} // namespace waferloom::executor
