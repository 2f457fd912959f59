// Changes text word by word and line by line, as a person who edits it would.

#include "Fuzz.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"

#include <iterator>
#include <random>
#include <vector>

using llvm::StringRef;

/// Words, numbers and single signs, with the white space before each.
static std::vector<std::string> wordsOf(StringRef text) {
  std::vector<std::string> words;
  auto isPart = [](char c) {
    return llvm::isAlnum(c) || c == '_' || c == '.' || c == '@' || c == '"';
  };
  while (!text.empty()) {
    size_t begin = std::min(text.find_first_not_of(" \t\r\n"), text.size());
    size_t end = begin;
    while (end < text.size() && isPart(text[end]))
      ++end;
    end = std::max(end, std::min(begin + 1, text.size()));
    words.push_back(text.take_front(end).str());
    text = text.drop_front(end);
  }
  return words;
}

static std::string otherNumber(StringRef old, std::mt19937 &random) {
  static constexpr const char *odd[] = {
      "0",   "1",   "-1",    "2",          "3",          "7",
      "255", "256", "65536", "4294967295", "4294967296", "9223372036854775807"};
  int64_t value = 0;
  if (random() % 2 || old.getAsInteger(10, value) || value == INT64_MAX)
    return odd[random() % std::size(odd)];
  return std::to_string(random() % 2 ? value + 1 : value - 1);
}

static void changeWord(std::vector<std::string> &words, std::mt19937 &random) {
  // Numbers change more than names do.
  size_t at = random() % words.size();
  for (unsigned tries = 0; tries < 6; ++tries) {
    if (llvm::isDigit(words[at].back()))
      break;
    at = random() % words.size();
  }
  StringRef word = words[at], space = word;
  space = space.take_until([](char c) { return !llvm::isSpace(c); });
  word = word.drop_front(space.size());
  if (!word.empty() && llvm::isDigit(word.back()) && random() % 2)
    words[at] = (space + otherNumber(word, random)).str();
  else if (random() % 8 == 0)
    words.erase(words.begin() + static_cast<ptrdiff_t>(at));
  else
    words[at] = words[random() % words.size()];
}

static std::string changeLines(StringRef text, std::mt19937 &random) {
  llvm::SmallVector<StringRef> lines;
  text.split(lines, '\n');
  size_t a = random() % lines.size(), b = random() % lines.size();
  switch (random() % 3) {
  case 0:
    lines.erase(lines.begin() + a);
    break;
  case 1:
    std::swap(lines[a], lines[b]);
    break;
  default: {
    StringRef again = lines[a];
    lines.insert(lines.begin() + b, again);
  }
  }
  return llvm::join(lines, "\n");
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size,
                                          size_t most, unsigned seed) {
  std::mt19937 random(seed);
  if (size == 0 || random() % 16 == 0)
    return LLVMFuzzerMutate(data, size, most);
  StringRef text(reinterpret_cast<const char *>(data), size);
  std::string changed;
  if (random() % 4 == 0) {
    changed = changeLines(text, random);
  } else {
    std::vector<std::string> words = wordsOf(text);
    for (unsigned n = 1 + random() % 2; n-- && !words.empty();)
      changeWord(words, random);
    changed = llvm::join(words, "");
  }
  changed.resize(std::min(changed.size(), most));
  std::copy(changed.begin(), changed.end(), data);
  return changed.size();
}
