// SPDX-License-Identifier: Apache-2.0
#include "backend/cpu/blas.h"

#include <dlfcn.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>

namespace lngd::cpu {
namespace {

std::mutex loading;
std::atomic<const Blas*> loaded{nullptr};

// Sets or removes an environment variable for as long as it lives. setenv is not safe against a getenv of another
// thread that walks the table at that moment; OpenBLAS has no other way to be told, and it reads only while it is
// loaded, which happens once.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    set(value);
  }
  ~ScopedVariable() { set(old_ ? old_->c_str() : nullptr); }
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;

 private:
  void set(const char* value) {
    if (value) {
      setenv(name_, value, 1);
    } else {
      unsetenv(name_);
    }
  }
  const char* name_;
  std::optional<std::string> old_;
};

template <typename Function>
bool bind(void* library, const char* symbol, Function& function, std::string& reason) {
  function = reinterpret_cast<Function>(dlsym(library, symbol));
  if (!function) reason += std::string("it has no ") + symbol + "; ";
  return function != nullptr;
}

std::unique_ptr<Blas> open(const std::string& path, std::string& reason) {
  // A stale core type would pick kernels of another processor (measured: Haswell's on AVX-512 halve the speed).
  const ScopedVariable core("OPENBLAS_CORETYPE", std::getenv("LNGD_OPENBLAS_CORETYPE"));
  // One thread: the backend's own threads each call it. Set before loading, or it would start threads that spin.
  const ScopedVariable threads("OPENBLAS_NUM_THREADS", "1");
  // Local and bound to itself: a second OpenBLAS in the process (ND4J's) neither sees nor replaces its symbols.
  int flags = RTLD_NOW | RTLD_LOCAL;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) // sanitizers refuse it
  flags |= RTLD_DEEPBIND;
#endif
  void* library = dlopen(path.c_str(), flags);
  if (!library) {
    reason += path + ": " + dlerror() + "; ";
    return nullptr;
  }
  auto found = std::make_unique<Blas>();
  std::string missing;
  char* (*get_config)() = nullptr;
  char* (*get_core)() = nullptr;
  const bool complete =
      bind(library, "cblas_sgemm", found->sgemm, missing) & bind(library, "cblas_ssyrk", found->ssyrk, missing) &
      bind(library, "cblas_strsm", found->strsm, missing) & bind(library, "ssyevd_", found->ssyevd, missing) &
      bind(library, "openblas_get_config", get_config, missing) &
      bind(library, "openblas_get_corename", get_core, missing) &
      bind(library, "openblas_get_num_threads", found->get_threads, missing) &
      bind(library, "openblas_set_num_threads", found->set_threads, missing);
  if (!complete) {
    reason += path + ": " + missing;
    dlclose(library);
    return nullptr;
  }
  found->set_threads(1);
  found->config = get_config();
  found->core = get_core();
  found->path = path;
  return found; // the library stays loaded for the life of the process
}

} // namespace

const Blas* blas() { return loaded.load(std::memory_order_acquire); }

bool load_blas(const char* path, std::string& reason) {
  const std::lock_guard<std::mutex> hold(loading);
  if (blas()) return true;
  std::unique_ptr<Blas> found;
  if (path) {
    found = open(path, reason);
  } else {
    const char* const chosen = std::getenv("LNGD_OPENBLAS");
    for (const char* candidate : {chosen, "libopenblas.so.0", "libopenblas.so"})
      if (!found && candidate && *candidate) found = open(candidate, reason);
  }
  if (!found) return false;
  loaded.store(found.release(), std::memory_order_release);
  return true;
}

} // namespace lngd::cpu
