// HTML by hand: a few elements, one style, no script. Colors are variables, so
// that dark screens get their own.

#include "Page.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/ConvertUTF.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;

namespace waferloom::report {

static constexpr StringLiteral style = R"(
:root { color-scheme: light dark; --paper: #fbfbfa; --ink: #1d1f21; --soft: #62676d; --line: #d9dbde; --track: #ececeb;
  --c0: #2f6fdb; --c1: #17a398; --c2: #e0861f; --c3: #b4b8be; --c4: #8a5cd1; --c5: #d4547a; }
@media (prefers-color-scheme: dark) { :root { --paper: #17191c; --ink: #e6e7e8; --soft: #9ba1a8; --line: #363a40;
  --track: #25282c; --c0: #6ea0f5; --c1: #3cc4b8; --c2: #f0a552; --c3: #5d636b; --c4: #b18cf0; --c5: #ef83a3; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 62rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .6rem; padding-top: .8rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; overflow-wrap: anywhere; }
p { margin: .3rem 0 .8rem; color: var(--soft); max-width: 46rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .4rem 0 1rem; }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: .85rem; vertical-align: bottom; }
th, td { padding: .18rem .9rem .18rem 0; }
td { vertical-align: middle; max-width: 24rem; overflow-wrap: anywhere; }
tr + tr td { border-top: 1px solid var(--line); }
.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.bar { display: block; width: 22rem; max-width: 42vw; height: .85rem; }
.track { fill: var(--track); }
.k0 { fill: var(--c0); } .k1 { fill: var(--c1); } .k2 { fill: var(--c2); }
.k3 { fill: var(--c3); } .k4 { fill: var(--c4); } .k5 { fill: var(--c5); }
.fabric { fill: var(--track); stroke: var(--line); } .stage { stroke: var(--paper); }
.map { display: block; max-width: 100%; height: auto; }
.map text { fill: var(--ink); font: 12px system-ui, sans-serif; } .map .on { fill: #fff; }
.pictures { display: flex; flex-wrap: wrap; gap: 2rem; align-items: flex-start; }
figure { margin: .4rem 0; max-width: 100%; } figcaption { color: var(--soft); font-size: .85rem; margin-top: .3rem; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; margin: .2rem 0 .6rem; font-size: .85rem; color: var(--soft); }
.legend svg { width: .8rem; height: .8rem; margin-right: .4rem; vertical-align: -1px; }
.used { fill: var(--c0); } .free { fill: var(--track); }
)";

Page::Page(StringRef title) : os(page) {
  os << "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta "
        "charset=\"utf-8\"/>\n<meta name=\"viewport\" "
        "content=\"width=device-width, initial-scale=1\"/>\n<title>";
  escaped(title);
  os << "</title>\n<style>" << style << "</style>\n</head>\n<body>\n<h1>";
  escaped(title);
  os << "</h1>\n";
}

void Page::escaped(StringRef text) {
  const auto *from = reinterpret_cast<const UTF8 *>(text.begin());
  const bool legal =
      isLegalUTF8String(&from, reinterpret_cast<const UTF8 *>(text.end()));
  // What XML has no place for becomes a mark.
  std::string clean;
  for (char c : text)
    clean +=
        isPrint(c) || (legal && static_cast<unsigned char>(c) >= 128) ? c : '?';
  printHTMLEscaped(clean, os);
}

void Page::heading(StringRef text) {
  os << "<h2>";
  escaped(text);
  os << "</h2>\n";
}

void Page::subheading(StringRef text) {
  os << "<h3>";
  escaped(text);
  os << "</h3>\n";
}

void Page::text(StringRef text) {
  os << "<p>";
  escaped(text);
  os << "</p>\n";
}

/// A column that begins with '#' has numbers.
void Page::beginTable(ArrayRef<StringRef> columns) {
  os << "<div class=\"wide\"><table>\n";
  if (columns.empty())
    return;
  os << "<tr>";
  for (StringRef column : columns) {
    os << (column.consume_front("#") ? "<th class=\"n\">" : "<th>");
    escaped(column);
    os << "</th>";
  }
  os << "</tr>\n";
}

void Page::endTable() { os << "</table></div>\n"; }

void Page::cell(StringRef text) {
  os << "<td>";
  escaped(text);
  os << "</td>";
}

void Page::signedNumber(int64_t value, const Twine &key) {
  os << "<td class=\"n\"";
  if (std::string name = key.str(); !name.empty()) {
    os << " data-key=\"";
    escaped(name);
    os << "\" data-value=\"" << value << "\"";
  }
  os << ">" << formatv("{0:N}", value) << "</td>";
}

void Page::number(uint64_t value, const Twine &key) {
  signedNumber(static_cast<int64_t>(value), key);
}

void Page::bar(ArrayRef<Stretch> stretches, uint64_t whole) {
  os << "<td><svg class=\"bar\" viewBox=\"0 0 1000 10\" "
        "preserveAspectRatio=\"none\"><rect class=\"track\" width=\"1000\" "
        "height=\"10\"/>";
  uint64_t before = 0;
  const double scale =
      1000.0 / static_cast<double>(std::max<uint64_t>(whole, 1));
  for (const Stretch &stretch : stretches) {
    os << formatv("<rect class=\"{0}\" x=\"{1:F2}\" width=\"{2:F2}\" "
                  "height=\"10\"><title>",
                  stretch.style, static_cast<double>(before) * scale,
                  static_cast<double>(stretch.size) * scale);
    escaped(stretch.title);
    os << "</title></rect>";
    before += stretch.size;
  }
  os << "</svg></td>";
}

void Page::fact(StringRef name, StringRef value) {
  beginRow();
  cell(name);
  cell(value);
  endRow();
}

void Page::fact(StringRef name, uint64_t value, const Twine &key) {
  beginRow();
  cell(name);
  number(value, key);
  endRow();
}

void Page::legend(ArrayRef<std::pair<StringRef, StringRef>> stylesAndTexts) {
  os << "<div class=\"legend\">";
  for (auto [style, text] : stylesAndTexts) {
    os << "<span><svg viewBox=\"0 0 10 10\"><rect class=\"" << style
       << "\" width=\"10\" height=\"10\"/></svg>";
    escaped(text);
    os << "</span>";
  }
  os << "</div>\n";
}

std::string Page::finish() {
  os << "</body>\n</html>\n";
  return std::move(page);
}

} // namespace waferloom::report
