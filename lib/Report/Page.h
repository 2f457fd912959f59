// What the page is made of: tables whose numbers can be found by name, bars,
// and its style.

#ifndef WAFERLOOM_LIB_REPORT_PAGE_H
#define WAFERLOOM_LIB_REPORT_PAGE_H

#include "waferloom/Report/Cycles.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/raw_ostream.h"
#include <string>
#include <utility>
#include <vector>

namespace waferloom::report {

/// A stretch of a bar: its share of it and the class that colors it.
struct Stretch {
  uint64_t size;
  std::string style, title;
};

/// Writes HTML that is well-formed XML too.
class Page {
public:
  explicit Page(llvm::StringRef title);

  void heading(llvm::StringRef text);
  void subheading(llvm::StringRef text);
  void text(llvm::StringRef text);

  void beginTable(llvm::ArrayRef<llvm::StringRef> columns);
  void endTable();
  void beginRow() { os << "<tr>"; }
  void endRow() { os << "</tr>\n"; }
  void cell(llvm::StringRef text);
  /// A number that tests and scripts find by `key`; empty: by none.
  void number(uint64_t value, const llvm::Twine &key = "");
  void signedNumber(int64_t value, const llvm::Twine &key);
  /// `whole`: what a bar of full width stands for.
  void bar(llvm::ArrayRef<Stretch> stretches, uint64_t whole);
  /// A row of two cells.
  void fact(llvm::StringRef name, llvm::StringRef value);
  void fact(llvm::StringRef name, uint64_t value, const llvm::Twine &key);

  void legend(llvm::ArrayRef<std::pair<llvm::StringRef, llvm::StringRef>>
                  stylesAndTexts);
  /// For pictures.
  llvm::raw_ostream &raw() { return os; }
  void escaped(llvm::StringRef text);

  std::string finish();

private:
  std::string page;
  llvm::raw_string_ostream os;
};

/// Classes of the kinds of cycles, in their order.
constexpr std::array<llvm::StringLiteral, 4> kindStyles = {"k0", "k1", "k2",
                                                           "k3"};

} // namespace waferloom::report

#endif // WAFERLOOM_LIB_REPORT_PAGE_H
