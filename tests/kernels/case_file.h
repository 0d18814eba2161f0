/// The case files of run_cases: what tests/kernels/write_cases.py writes, read with every length checked.
///
/// A file is the tag "timeloom cases 1\n", a uint32 that counts the cases, the cases, and the tag "end of
/// cases\n". Numbers are little endian. A text is its length as uint32 and its bytes; a list its length as
/// uint32 and its entries. A case is a kind (text), a label (text) and four lists:
///     words      (name, text)
///     numbers    (name, float64)
///     arguments  (name, array)
///     results    (name, array, error allowed to float32 as float64, error allowed to float64)
/// An array is a list of its sizes (each uint32) and its elements (float64, last axis fastest).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace timeloom {

/// A problem with a case or its file; the message names it.
struct CaseError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct CaseArray {
  std::vector<std::size_t> shape;
  std::vector<double> values;
};

struct ExpectedArray {
  CaseArray array;
  double allowed_float32;
  double allowed_float64;
};

struct Case {
  std::string kind;
  std::string label;
  std::map<std::string, std::string> words;
  std::map<std::string, double> numbers;
  std::map<std::string, CaseArray> arguments;
  std::map<std::string, ExpectedArray> results;
};

/// Reads one file. Throws CaseError if it cannot be opened, ends too early, goes on too long, or is no case
/// file.
class CaseFile {
 public:
  explicit CaseFile(const std::string& path) : path_(path), stream_(path, std::ios::binary) {
    if (!stream_) fail("cannot be opened");
  }

  std::vector<Case> read() {
    expect_tag("timeloom cases 1\n");
    std::vector<Case> cases(length(kMostCases));
    for (Case& one : cases) {
      one.kind = text();
      one.label = text();
      each([&](const std::string& name) { one.words[name] = text(); });
      each([&](const std::string& name) { one.numbers[name] = number<double>(); });
      each([&](const std::string& name) { one.arguments[name] = array(); });
      each([&](const std::string& name) {
        ExpectedArray& result = one.results[name];
        result.array = array();
        result.allowed_float32 = number<double>();
        result.allowed_float64 = number<double>();
      });
    }
    expect_tag("end of cases\n");
    if (stream_.peek() != std::ifstream::traits_type::eof()) fail("goes on after its end");
    return cases;
  }

 private:
  // Far above what is written: a damaged length is refused before memory is asked for.
  static constexpr std::size_t kMostCases = 1 << 16, kMostBytes = 1 << 12, kMostEntries = 64, kMostAxes = 4,
                               kMostElements = 1 << 24;

  [[noreturn]] void fail(const std::string& what) const { throw CaseError(path_ + ": " + what); }

  void bytes(void* target, std::size_t count) {
    stream_.read(static_cast<char*>(target), static_cast<std::streamsize>(count));
    if (!stream_) fail("ends too early");
  }

  template <class T>
  T number() {
    unsigned char raw[sizeof(T)];
    bytes(raw, sizeof raw);
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < sizeof raw; ++i) bits |= static_cast<std::uint64_t>(raw[i]) << (8 * i);
    T value;
    if constexpr (sizeof(T) == 8) {
      std::memcpy(&value, &bits, sizeof value);
    } else {
      const auto half = static_cast<std::uint32_t>(bits);
      std::memcpy(&value, &half, sizeof value);
    }
    return value;
  }

  std::size_t length(std::size_t most) {
    const std::size_t count = number<std::uint32_t>();
    if (count > most) fail("holds a length of " + std::to_string(count) + ": damaged");
    return count;
  }

  std::string text() {
    std::string result(length(kMostBytes), '\0');
    bytes(&result[0], result.size());
    return result;
  }

  CaseArray array() {
    CaseArray result;
    result.shape.resize(length(kMostAxes));
    std::size_t count = 1;
    for (std::size_t& size : result.shape) {
      size = length(kMostElements);
      count *= size;
      if (count > kMostElements) fail("holds an array of more than 2^24 elements: damaged");
    }
    result.values.resize(count);
    for (double& value : result.values) value = number<double>();
    return result;
  }

  /// Calls entry(name) for each entry of a list; a name must not occur twice.
  template <class Entry>
  void each(const Entry& entry) {
    std::map<std::string, bool> seen;
    for (std::size_t left = length(kMostEntries); left > 0; --left) {
      const std::string name = text();
      if (seen[name]) fail("names '" + name + "' twice in one case");
      seen[name] = true;
      entry(name);
    }
  }

  void expect_tag(const std::string& tag) {
    std::string found(tag.size(), '\0');
    bytes(&found[0], found.size());
    if (found != tag) fail("is no case file of this version, or damaged");
  }

  std::string path_;
  std::ifstream stream_;
};

}  // namespace timeloom
