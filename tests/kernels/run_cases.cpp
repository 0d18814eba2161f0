// Runs the cases of files that tests/kernels/write_cases.py wrote on every kernel table of this machine, in
// float32 and float64, on one thread and on two, and holds every result against the reference. For machines
// that have a compiler and no Python, and for cross-compiled tables under an emulator.
//
//     run_cases FILE ...
//
// Prints a line for each case. The exit status is 0 only if there were cases, every cell of the tables had
// one, every file could be read to its end, and every result of every case is right.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "case_file.h"
#include "case_runs.h"
#include "runtime/build_info.h"
#include "runtime/isa.h"

namespace timeloom {
namespace {

/// The worst result of a case so far, as error over allowed error.
struct Verdict {
  double worst = 0.0;
  std::vector<std::string> faults;
};

template <class Scalar>
constexpr const char* kTypeName = sizeof(Scalar) == 4 ? "float32" : "float64";

/// Holds the results of one run against what is expected.
template <class Scalar>
void compare(const Case& one, const Results<Scalar>& results, const std::string& where, Verdict& verdict) {
  for (const auto& [name, result] : results) {
    if (one.results.count(name) == 0)
      verdict.faults.push_back(where + ": a result " + name + " that the file lacks");
  }
  for (const auto& [name, expected] : one.results) {
    const auto found = results.find(name);
    if (found == results.end() || found->second.size() != expected.array.values.size()) {
      verdict.faults.push_back(where + ": " + name + " is missing or of another size");
      continue;
    }
    if (!found->second.guard_is_intact()) verdict.faults.push_back(where + ": wrote behind " + name);
    const double allowed = sizeof(Scalar) == 4 ? expected.allowed_float32 : expected.allowed_float64;
    double error = 0.0;
    bool finite = true;
    for (std::size_t i = 0; i < expected.array.values.size(); ++i) {
      const double difference =
          std::fabs(static_cast<double>(found->second.data()[i]) - expected.array.values[i]);
      finite = finite && std::isfinite(difference);
      error = std::max(error, difference);
    }
    if (!finite || !(error <= allowed)) {
      char text[96];
      std::snprintf(text, sizeof text, ": error %.3g, allowed %.3g", finite ? error : NAN, allowed);
      verdict.faults.push_back(where + ": " + name + text);
    }
    if (error > 0.0) verdict.worst = std::max(verdict.worst, error / allowed);
  }
}

/// Runs a case on one table in one type: on one thread, then on two, which must give the same bits.
template <class Scalar>
void run_on(const Case& one, const KernelTable& table, Verdict& verdict) {
  const std::string where = std::string(table.isa) + " " + kTypeName<Scalar>;
  const Results<Scalar> alone = run_case<Scalar>(one, table, 1);
  compare(one, alone, where, verdict);
  const Results<Scalar> together = run_case<Scalar>(one, table, 2);
  for (const auto& [name, result] : alone) {
    const auto other = together.find(name);
    if (other == together.end() || !result.has_bits_of(other->second))
      verdict.faults.push_back(where + ": " + name + " differs on two threads");
  }
}

bool run_file(const std::string& path, const std::vector<std::string>& isas, std::set<std::string>& cells,
              int& count) {
  bool good = true;
  for (const Case& one : CaseFile(path).read()) {
    ++count;
    Verdict verdict;
    if (one.kind == "recurrent" && one.words.count("cell")) cells.insert(one.words.at("cell"));
    if (one.results.empty()) verdict.faults.push_back("no result to hold the kernels against");
    for (const std::string& isa : isas) {
      try {
        run_on<float>(one, table_for(isa.c_str()), verdict);
        run_on<double>(one, table_for(isa.c_str()), verdict);
      } catch (const std::exception& error) {
        verdict.faults.push_back(isa + ": " + error.what());
      }
    }
    std::printf("%s %s %s (%.2f of the error allowed)\n", verdict.faults.empty() ? "ok  " : "FAIL",
                one.kind.c_str(), one.label.c_str(), verdict.worst);
    for (const std::string& fault : verdict.faults) std::printf("     %s\n", fault.c_str());
    good = good && verdict.faults.empty();
  }
  return good;
}

/// Whether denormals count as zero on every thread of a region and the caller's mode comes back.
bool check_denormals() {
  bool good = true;
  for (const int threads : {1, 2}) {
    const bool zero = types_with_denormals_in_region(threads) == 0 && types_with_denormals() == 2;
    std::printf("%s denormals count as zero on %d thread(s), and not afterwards\n", zero ? "ok  " : "FAIL",
                threads);
    good = good && zero;
  }
  return good;
}

/// Whether a call with meetings passes by a worker that comes late.
bool check_meetings() {
  bool good = true;
  for (const int threads : {2, 5}) {
    const bool passed = late_worker_holds_up_nobody(threads);
    std::printf("%s %d threads do each item once and wait for nobody who is late\n", passed ? "ok  " : "FAIL",
                threads);
    good = good && passed;
  }
  const bool told = errors_of_two_sides_arrive();
  std::printf("%s what is thrown on either of two sides arrives\n", told ? "ok  " : "FAIL");
  return good && told;
}

int run(const std::vector<std::string>& paths) {
  const std::vector<std::string> isas = supported_isas();
  std::string names;
  for (const std::string& isa : isas) names += (names.empty() ? "" : ", ") + isa;
  std::printf("tables %s; active %s; OpenMP %s\n", names.c_str(), active_isa().c_str(),
              build_info().openmp ? "yes" : "no");
  bool good = check_denormals();
  good = check_meetings() && good;
  std::set<std::string> cells;
  int count = 0;
  for (const std::string& path : paths) {
    try {
      good = run_file(path, isas, cells, count) && good;
    } catch (const std::exception& error) {
      std::printf("FAIL %s\n", error.what());
      good = false;
    }
  }
  if (count == 0) {
    std::printf("FAIL no case at all\n");
    good = false;
  } else {
    for (int i = 0; i < active_table().f32.cell_count; ++i) {
      const std::string name = active_table().f32.cells[i].info->name;
      if (cells.count(name) == 0) {
        std::printf("FAIL no case of the cell %s\n", name.c_str());
        good = false;
      }
    }
  }
  std::printf("%d cases: %s\n", count, good ? "all right" : "FAILED");
  return good ? 0 : 1;
}

}  // namespace
}  // namespace timeloom

int main(int count, char** arguments) {
  try {
    return timeloom::run(std::vector<std::string>(arguments + 1, arguments + count));
  } catch (const std::exception& error) {
    std::printf("FAIL %s\n", error.what());
    return 1;
  }
}
