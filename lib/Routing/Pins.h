//===- Pins.h - What a mapping says of collectives ---------------*- C++-*-===//

#ifndef WAFERLOOM_LIB_ROUTING_PINS_H
#define WAFERLOOM_LIB_ROUTING_PINS_H

#include "waferloom/Mapping/Mapping.h"
#include "waferloom/Routing/Routing.h"

#include "mlir/IR/BuiltinOps.h"

namespace waferloom::routing {

/// The mapping of a module, asked collective after collective in the order of
/// the program. What cannot be done is reported at the mapping's lines.
class Pins {
public:
  /// Errors: the mapping cannot be read, which is reported.
  static mlir::FailureOr<Pins> of(mlir::ModuleOp module);

  /// Algorithm, group, levels and root of `c`, which stands in `function`.
  llvm::LogicalResult choose(llvm::StringRef function, Collective &c,
                             const collectives::Costs &costs);
  /// Its first color.
  void color(llvm::StringRef function, Collective &c);

private:
  const mapping::Collective *find(llvm::StringRef function,
                                  const Collective &c);
  mlir::InFlightDiagnostic refuse(const Collective &c, unsigned line,
                                  llvm::StringRef name);
  llvm::LogicalResult setRoot(const mapping::Collective &entry, Collective &c,
                              llvm::StringRef name);
  llvm::LogicalResult refuseAlgorithm(const mapping::Collective &entry,
                                      const Collective &c, llvm::StringRef name,
                                      llvm::StringRef algorithm);
  llvm::LogicalResult setAlgorithm(const mapping::Collective &entry,
                                   Collective &c, llvm::StringRef name,
                                   const collectives::Costs &costs);

  mapping::Mapping mapping;
  mapping::CollectiveNames names;
  std::string name; ///< of the collective that was asked about last
};

} // namespace waferloom::routing

#endif // WAFERLOOM_LIB_ROUTING_PINS_H
