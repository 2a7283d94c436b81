// SPDX-License-Identifier: Apache-2.0
// What a programmer would write by hand with OpenBLAS, on the same data: rows scaled and cblas_ssyrk, LAPACK's spotrf
// and spotri in a loop, sgemm; and the ceilings of the machine.
#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "network.hpp"
#include "numbers.hpp"
#include "row.hpp"

namespace bench {
namespace {

using namespace lngd::cpu;

// LAPACK is not part of the library's own table: it does not use it.
struct Lapack {
  void (*spotrf)(const char*, const int*, float*, const int*, int*, size_t);
  void (*spotri)(const char*, const int*, float*, const int*, int*, size_t);
};

Lapack lapack(const Blas& blas) {
  void* const library = dlopen(blas.path.c_str(), RTLD_NOW | RTLD_LOCAL);
  Lapack found{};
  if (library) {
    found.spotrf = reinterpret_cast<decltype(found.spotrf)>(dlsym(library, "spotrf_"));
    found.spotri = reinterpret_cast<decltype(found.spotri)>(dlsym(library, "spotri_"));
  }
  if (!found.spotrf || !found.spotri) throw Failed("no LAPACK in " + blas.path);
  return found;
}

// OpenBLAS with its own threads, for a peer that is one large call.
struct BlasThreads {
  BlasThreads(const Blas& library, int32_t threads) : blas(library) { blas.set_threads(threads); }
  ~BlasThreads() { blas.set_threads(1); }
  const Blas& blas;
};

// r_n of EXPECTED for relu, identity and softmax, c_n, psi, scaled rows: what layer_statistics does, in plain loops.
struct ByHand {
  const Layer& layer;
  const LayerData& data;
  std::vector<float> scaled, psi, q;
  std::vector<float> phi;

  void rows(int64_t first, int64_t last, float* partial) {
    const int64_t m = layer.outputs, w = layer.inputs, d = layer.columns();
    std::vector<float> q_row(static_cast<size_t>(m));
    for (int64_t n = first; n < last; ++n) {
      const float* const s = data.signal.data() + n * m;
      const float* const a = data.inputs.data() + n * w;
      float r = 0, c = layer.bias ? 1.0f : 0.0f, total = 0, top = s[0];
      if (layer.activation == "softmax") {
        for (int64_t i = 1; i < m; ++i) top = std::max(top, s[i]);
        for (int64_t i = 0; i < m; ++i) total += q_row[static_cast<size_t>(i)] = std::exp(s[i] - top);
        for (float& p : q_row) p = p / total * (1 - p / total);
      } else if (layer.activation == "relu") {
        for (int64_t i = 0; i < m; ++i) q_row[static_cast<size_t>(i)] = s[i] > 0 ? 1.0f : 0.0f;
      } else {
        std::fill(q_row.begin(), q_row.end(), 1.0f);
      }
#pragma omp simd reduction(+ : r)
      for (int64_t i = 0; i < m; ++i) r += q_row[static_cast<size_t>(i)];
#pragma omp simd reduction(+ : c)
      for (int64_t j = 0; j < w; ++j) c += a[j] * a[j];
#pragma omp simd
      for (int64_t i = 0; i < m; ++i) partial[i] += c * q_row[static_cast<size_t>(i)];
      const float scale = std::sqrt(r);
      float* const to = scaled.data() + n * d;
#pragma omp simd
      for (int64_t j = 0; j < w; ++j) to[j] = scale * a[j];
      if (layer.bias) to[w] = scale;
    }
  }
};

void add_statistics_peer(const Blas& blas, const Set& set, const Layer& layer, int32_t threads,
                         std::vector<Case>& cases) {
  Case c{"layer_statistics",
         set.name,
         layer.name,
         set.preset.name,
         "scaling + cblas_ssyrk by hand",
         threads,
         statistics_work(layer, set.preset, 1),
         false,
         {}};
  c.make = [&blas, layer, preset = set.preset, threads] {
    struct Data {
      Layer layer;
      LayerData values;
      std::unique_ptr<ByHand> hand;
      std::vector<float> partial;
    };
    auto data = std::make_shared<Data>();
    data->layer = layer;
    const int64_t n = layer.samples(preset) * layer.positions(), m = layer.outputs, d = layer.columns();
    data->values.inputs = random_floats(n * layer.inputs, 5);
    data->values.signal = random_floats(n * m, 6);
    data->hand = std::make_unique<ByHand>(ByHand{data->layer, data->values, {}, {}, {}, {}});
    data->hand->scaled.resize(static_cast<size_t>(n * d));
    const lngd::BlockLayout blocks = layer.blocks(preset);
    data->hand->phi.resize(static_cast<size_t>(blocks.floats()));
    data->partial.resize(static_cast<size_t>(threads * m));
    Case::Body body;
    body.data = data;
    body.run = [&blas, data, blocks, threads, n, m, d] {
      on_threads(threads, [&](int32_t part, int32_t parts) {
        data->hand->rows(part * n / parts, (part + 1) * n / parts, data->partial.data() + part * m);
      });
      const BlasThreads scope(blas, threads);
      for (int64_t k = 0; k < blocks.count(); ++k)
        blas.ssyrk(kRowMajor, kLower, kTrans, static_cast<int>(blocks.size(k)), static_cast<int>(n), 1.0f,
                   data->hand->scaled.data() + blocks.begin(k), static_cast<int>(d), 1.0f,
                   data->hand->phi.data() + blocks.offset(k), static_cast<int>(blocks.ld(k)));
    };
    return body;
  };
  cases.push_back(c);
}

// Symmetric positive definite, spectrum about [0.2, 1.8].
void fill_spd(float* a, int64_t n, int64_t ld, uint32_t seed) {
  const float scale = 0.4f * std::sqrt(3.0f / static_cast<float>(n));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j <= i; ++j)
      a[i * ld + j] = i == j ? 1.0f : scale * uniform(seed, static_cast<uint64_t>(i * n + j));
}

// Small matrices: a loop on each thread, OpenBLAS on one. Large ones: one after the other, OpenBLAS on all.
void add_inverse_peer(const Blas& blas, const Set& set, int32_t threads, std::vector<Case>& cases) {
  Work work;
  for (const Layer& l : set.layers) work = work + factor_inverse_work(l, set.preset);
  Case c{"factor_inverse", set.name, "all", set.preset.name, "spotrf + spotri", threads, work, false, {}};
  c.make = [&blas, set, threads] {
    struct Matrix {
      int64_t n, ld;
      std::vector<float> phi, inverse;
    };
    auto all = std::make_shared<std::vector<Matrix>>();
    for (const Layer& l : set.layers) {
      const lngd::BlockLayout blocks = l.blocks(set.preset);
      for (int64_t k = 0; k < blocks.count(); ++k) {
        Matrix x{blocks.size(k), blocks.ld(k), {}, {}};
        x.phi.resize(static_cast<size_t>(x.n * x.ld));
        x.inverse.resize(x.phi.size());
        fill_spd(x.phi.data(), x.n, x.ld, static_cast<uint32_t>(k));
        all->push_back(std::move(x));
      }
    }
    std::stable_sort(all->begin(), all->end(), [](const Matrix& a, const Matrix& b) { return a.n > b.n; });
    const Lapack library = lapack(blas);
    const auto invert = [library](Matrix& x) {
      const int n = static_cast<int>(x.n), ld = static_cast<int>(x.ld);
      int info = 0;
      for (int64_t i = 0; i < x.n; ++i) { // damped copy of the lower triangle
        std::memcpy(x.inverse.data() + i * x.ld, x.phi.data() + i * x.ld, static_cast<size_t>(i + 1) * sizeof(float));
        x.inverse[static_cast<size_t>(i * x.ld + i)] += 1.0f;
      }
      library.spotrf("U", &n, x.inverse.data(), &ld, &info, 1);
      library.spotri("U", &n, x.inverse.data(), &ld, &info, 1);
      for (int64_t i0 = 0; i0 < x.n; i0 += 32) // both triangles, as the product of the step wants them
        for (int64_t j0 = 0; j0 <= i0; j0 += 32)
          for (int64_t i = i0; i < std::min(x.n, i0 + 32); ++i)
            for (int64_t j = j0; j < std::min(i, j0 + 32); ++j)
              x.inverse[static_cast<size_t>(j * x.ld + i)] = x.inverse[static_cast<size_t>(i * x.ld + j)];
    };
    Case::Body body;
    body.data = all;
    body.run = [&blas, all, threads, invert] {
      size_t first_small = 0;
      for (; first_small < all->size() && (*all)[first_small].n > 256; ++first_small) {
        const BlasThreads scope(blas, threads);
        invert((*all)[first_small]);
      }
      on_threads(threads, [&](int32_t part, int32_t parts) {
        for (size_t i = first_small + static_cast<size_t>(part); i < all->size(); i += static_cast<size_t>(parts))
          invert((*all)[i]);
      });
    };
    return body;
  };
  cases.push_back(c);
}

// The products alone: the floor of precondition.
void add_product_peer(const Blas& blas, const Set& set, int32_t threads, std::vector<Case>& cases) {
  Work work;
  for (const Layer& l : set.layers) work = work + precondition_work(l, set.preset, 1);
  Case c{"precondition", set.name, "all", set.preset.name, "cblas_sgemm of the blocks alone", threads, work, true, {}};
  c.make = [&blas, set, threads] {
    struct Product {
      int64_t rows, d, n, begin;
      std::vector<float>*gradient, *direction;
      std::vector<float> inverse;
    };
    struct Data {
      std::vector<std::vector<float>> gradients, directions;
      std::vector<Product> products;
    };
    auto data = std::make_shared<Data>();
    data->gradients.reserve(set.layers.size());
    data->directions.reserve(set.layers.size());
    for (const Layer& l : set.layers) {
      const lngd::BlockLayout blocks = l.blocks(set.preset);
      data->gradients.push_back(random_floats(l.outputs * l.columns(), 2));
      data->directions.emplace_back(static_cast<size_t>(l.outputs * l.columns()));
      for (int64_t k = 0; k < blocks.count(); ++k)
        data->products.push_back({l.outputs / l.groups, l.columns(), blocks.size(k), blocks.begin(k),
                                  &data->gradients.back(), &data->directions.back(),
                                  random_floats(blocks.size(k) * blocks.size(k), 3)});
    }
    Case::Body body;
    body.data = data;
    body.run = [&blas, data, threads] {
      on_threads(threads, [&](int32_t part, int32_t parts) {
        for (Product& p : data->products) {
          const int64_t first = part * p.rows / parts, last = (part + 1) * p.rows / parts;
          blas.sgemm(kRowMajor, kNoTrans, kNoTrans, static_cast<int>(last - first), static_cast<int>(p.n),
                     static_cast<int>(p.n), 1.0f, p.gradient->data() + first * p.d + p.begin, static_cast<int>(p.d),
                     p.inverse.data(), static_cast<int>(p.n), 0.0f, p.direction->data() + first * p.d + p.begin,
                     static_cast<int>(p.d));
        }
      });
    };
    return body;
  };
  cases.push_back(c);
}

double best_seconds(double budget, const std::function<void()>& body) {
  using Clock = std::chrono::steady_clock;
  body();
  double best = 1e9;
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(budget));
  do {
    const auto start = Clock::now();
    body();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  } while (Clock::now() < end);
  return best;
}

} // namespace

void add_peers(const Blas& blas, const Set& set, int32_t threads, std::vector<Case>& cases) {
  for (const Layer& layer : distinct(set.layers))
    if (!layer.conv) add_statistics_peer(blas, set, layer, threads, cases);
  add_inverse_peer(blas, set, threads, cases);
  add_product_peer(blas, set, threads, cases);
}

Ceilings measure_ceilings(const Blas& blas, int32_t threads, double seconds) {
  constexpr int kN = 1536; // three matrices of 9 MiB: large enough for the best rate
  const std::vector<float> a = random_floats(int64_t{kN} * kN, 1), b = random_floats(int64_t{kN} * kN, 2);
  std::vector<float> c(a.size());
  double flops;
  {
    const BlasThreads scope(blas, threads);
    flops =
        2.0 * kN * kN * kN / best_seconds(seconds, [&] {
          blas.sgemm(kRowMajor, kNoTrans, kNoTrans, kN, kN, kN, 1.0f, a.data(), kN, b.data(), kN, 0.0f, c.data(), kN);
        });
  }
  constexpr int64_t kCopy = 64 << 20; // floats: beyond every cache
  std::vector<float> from(kCopy, 1.0f), to(kCopy);
  const double bytes = 8.0 * kCopy / best_seconds(seconds, [&] {
                         on_threads(threads, [&](int32_t part, int32_t parts) {
                           const int64_t first = part * kCopy / parts, last = (part + 1) * kCopy / parts;
                           std::memcpy(to.data() + first, from.data() + first, static_cast<size_t>(last - first) * 4);
                         });
                       });
  return {flops * 1e-9, bytes * 1e-9};
}

} // namespace bench
