#pragma once

namespace timeloom {

/// Facts fixed when this module was compiled.
struct BuildInfo {
  const char* version;
  const char* compiler;
  bool openmp;  // false: every kernel runs on one thread
};

BuildInfo build_info();

}  // namespace timeloom
