// SPDX-License-Identifier: Apache-2.0
// The kernels of kernels.def over a layer set. Each is run on what the kernels before it have left, and a sample of its
// result is compared with double precision.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "network.hpp"
#include "row.hpp"

namespace bench {
namespace {

using Prepared = std::shared_ptr<Network>;

// The network of a set, made when the first case wants it and kept while any case holds it.
struct Shared {
  const lngd::Backend& backend;
  Set set;
  int32_t threads;
  int32_t rate;
  std::weak_ptr<Network> made;

  Prepared get() {
    Prepared network = made.lock();
    if (!network) {
      network = std::make_shared<Network>(backend, set.layers, set.preset, threads, rate);
      network->prepare();
      made = network;
    }
    return network;
  }
};

// Sums over N rows in float, in pieces of up to 256 rows.
constexpr double kSumBound = 1e-5;

double relative(double seen, double expected, double scale) { return std::fabs(seen - expected) / scale; }
// NaN must not pass as the smaller one.
double worse(double a, double b) { return b <= a ? a : b; }

// a_row, element j, of a dense layer or of the patch of a convolution at row = sample * positions + position.
double input(Network& net, size_t i, int64_t row, int64_t j) {
  const Layer& l = net.layers[i];
  const LayerData& d = net.data[i];
  if (j == net.shapes[i].inputs) return 1; // the bias
  if (!l.conv) return d.inputs[static_cast<size_t>(row * l.inputs + j)];
  const int64_t positions = l.positions(), n = row / positions, p = row % positions;
  const int64_t c = j / (l.kernel * l.kernel), ky = j / l.kernel % l.kernel, kx = j % l.kernel;
  const int64_t y = p / l.out_width() * l.stride - l.padding + ky, x = p % l.out_width() * l.stride - l.padding + kx;
  if (y < 0 || y >= l.height || x < 0 || x >= l.width) return 0;
  return d.inputs[static_cast<size_t>(((n * l.inputs + c) * l.height + y) * l.width + x)];
}

// Some elements of Phi and psi of group 0: c and r come from the library's own row function, which the tests check.
double statistics_residual(Network& net, size_t i) {
  const lngd::LayerShape& s = net.shapes[i];
  const int64_t rows = net.data[i].samples * (net.layers[i].conv ? net.layers[i].positions() : 1);
  std::vector<float> r(static_cast<size_t>(rows * s.groups)), c(r.size());
  const lngd::FisherRows out{nullptr, r.data(), c.data()};
  if (net.layers[i].conv)
    net.backend.conv_fisher_rows(*net.context, net.conv_args(i), out);
  else
    net.backend.fisher_rows(*net.context, net.statistics_args(i), out);
  double residual = 0, denominator = 0;
  for (int64_t n = 0; n < rows; ++n)
    denominator += static_cast<double>(r[static_cast<size_t>(n * s.groups)]) * c[static_cast<size_t>(n * s.groups)];
  residual = worse(residual, relative(net.memory[i].denominator[0], denominator, denominator));
  for (int64_t k : {int64_t{0}, s.blocks.group_blocks() - 1}) {
    const int64_t size = s.blocks.size(k), begin = s.blocks.begin(k);
    for (int64_t row : {int64_t{0}, size / 2, size - 1})
      for (int64_t column : {int64_t{0}, row}) {
        double sum = 0, scale = 0;
        for (int64_t n = 0; n < rows; ++n) {
          const double x = input(net, i, n, begin + row), y = input(net, i, n, begin + column);
          const double weight = r[static_cast<size_t>(n * s.groups)];
          sum += weight * x * y;
          scale += weight * std::fabs(x * y);
        }
        const float seen = net.memory[i].phi_sum[s.blocks.offset(k) + row * s.blocks.ld(k) + column];
        residual = worse(residual, relative(seen, sum, scale > 0 ? scale : 1));
      }
  }
  return residual;
}

// Rows of (Phi + lambda I) Phi^-1 - I.
double inverse_residual(Network& net) {
  double residual = 0;
  for (size_t i = 0; i < net.layers.size(); ++i) {
    const lngd::BlockLayout& blocks = net.shapes[i].blocks;
    for (int64_t k : {int64_t{0}, blocks.count() - 1}) {
      const int64_t n = blocks.size(k), ld = blocks.ld(k);
      const float* const phi = net.memory[i].phi + blocks.offset(k);
      const float* const inverse = net.memory[i].phi_inverse + blocks.offset(k);
      std::vector<double> product(static_cast<size_t>(n));
      for (int64_t row : {int64_t{0}, n - 1}) {
        std::fill(product.begin(), product.end(), 0.0);
        for (int64_t l = 0; l < n; ++l) {
          double a = l <= row ? phi[row * ld + l] : phi[l * ld + row];
          if (l == row) a += net.memory[i].lambda_phi[k];
          for (int64_t j = 0; j < n; ++j) product[static_cast<size_t>(j)] += a * inverse[l * ld + j];
        }
        product[static_cast<size_t>(row)] -= 1;
        for (const double x : product) residual = worse(residual, std::fabs(x));
      }
    }
  }
  return residual;
}

double gradient(Network& net, size_t i, int64_t row, int64_t j) {
  const int64_t inputs = net.shapes[i].inputs;
  return j == inputs ? net.data[i].bias_gradients[static_cast<size_t>(row)]
                     : net.data[i].weight_gradients[static_cast<size_t>(row * inputs + j)];
}

double direction_residual(Network& net) {
  double residual = 0;
  for (size_t i = 0; i < net.layers.size(); ++i) {
    const lngd::LayerShape& s = net.shapes[i];
    const int64_t group_rows = s.outputs / s.groups;
    for (int64_t row : {int64_t{0}, s.outputs / 2, s.outputs - 1})
      for (int64_t in_group : {int64_t{0}, s.blocks.group_blocks() - 1}) {
        const int64_t k = row / group_rows * s.blocks.group_blocks() + in_group, n = s.blocks.size(k);
        const float* const inverse = net.memory[i].phi_inverse + s.blocks.offset(k);
        for (int64_t j : {int64_t{0}, n - 1}) {
          double sum = 0, scale = 0;
          for (int64_t l = 0; l < n; ++l) {
            const double term = gradient(net, i, row, s.blocks.begin(k) + l) * inverse[l * s.blocks.ld(k) + j];
            sum += term;
            scale += std::fabs(term);
          }
          const double psi = net.memory[i].psi_inverse[row];
          const float seen = net.memory[i].direction[row * s.ldw + s.blocks.begin(k) + j];
          residual = worse(residual, relative(seen, psi * sum, psi * scale));
        }
      }
  }
  return residual;
}

// Curvature of the dense layers: (1/N) sum_n (delta_n^T D a_n)^2.
double rate_residual(Network& net) {
  double residual = 0;
  for (size_t i = 0; i < net.layers.size(); ++i) {
    const lngd::LayerShape& s = net.shapes[i];
    if (s.convolution || net.config.rate != LNGD_RATE_EMPIRICAL) {
      residual = worse(residual, std::isfinite(net.memory[i].record->coefficient) ? 0 : NAN);
      continue;
    }
    double curvature = 0;
    const int64_t rows = net.steps[i].samples;
    for (int64_t n = 0; n < rows; ++n) {
      double x = 0;
      for (int64_t row = 0; row < s.outputs; ++row) {
        double dot = 0;
        for (int64_t j = 0; j < s.d; ++j)
          dot += static_cast<double>(net.memory[i].direction[row * s.ldw + j]) * input(net, i, n, j);
        x += dot * net.data[i].signal[static_cast<size_t>(n * s.outputs + row)];
      }
      curvature += x * x / static_cast<double>(rows);
    }
    residual = worse(residual, relative(net.memory[i].record->curvature, curvature, curvature));
  }
  return residual;
}

struct Builder {
  const Set& set;
  int32_t threads;
  std::vector<Case>& cases;

  // A case over all layers. `run` is called again and again, `after` measures the last result.
  void add(const char* kernel, const std::string& name, Work work, std::function<Prepared()> make,
           std::function<void(Network&)> run, std::function<double(Network&)> after, double bound) {
    Case c{kernel, set.name, name, set.preset.name, "lngd", threads, work, false, {}};
    c.make = [make, run, after, bound] {
      const Prepared net = make();
      Case::Body body;
      body.data = net;
      body.run = [net, run] { run(*net); };
      body.residual = [net, run, after] {
        net->clear_sums();
        run(*net);
        net->check();
        return after(*net);
      };
      body.bound = bound;
      return body;
    };
    cases.push_back(c);
  }

  Work total(const std::function<Work(const Layer&)>& of) const {
    Work sum;
    for (const Layer& l : set.layers) sum = sum + of(l);
    return sum;
  }
};

// Weights and averages, each read and written.
Work swap_work(const Layer& l) {
  return {0, 0, 0, 16.0 * static_cast<double>(l.outputs) * static_cast<double>(l.columns())};
}

Work only_in_float(Work w) { // no tensor cores here: their operations are fp32's
  w.fp32 = w.operations;
  w.tensor = 0;
  return w;
}

} // namespace

void add_kernels(const lngd::Backend& backend, const Set& set, int32_t threads, std::vector<Case>& cases) {
  const auto whole = std::make_shared<Shared>(Shared{backend, set, threads, LNGD_RATE_NONE, {}});
  Builder to{set, threads, cases};
  const auto network = [whole] { return whole->get(); };
  const Preset p = set.preset;

  for (const Layer& layer : distinct(set.layers)) {
    const std::vector<Layer> one{layer};
    const auto alone = std::make_shared<Shared>(Shared{backend, {set.name, one, p}, threads, LNGD_RATE_NONE, {}});
    to.add(
        layer.conv ? "conv_statistics" : "layer_statistics", layer.name, statistics_work(layer, p, 1),
        [alone] { return alone->get(); },
        [](Network& net) {
          if (net.layers[0].conv)
            net.backend.conv_statistics(*net.context, net.conv_args(0));
          else
            net.backend.layer_statistics(*net.context, net.statistics_args(0));
        },
        [](Network& net) { return statistics_residual(net, 0); }, kSumBound);
  }
  to.add(
      "running_average", "all", to.total([&](const Layer& l) { return running_average_work(l, p); }), network,
      [](Network& net) {
        // The kernel leaves sums of zero, and an update that observed nothing is dropped.
        for (size_t i = 0; i < net.layers.size(); ++i) {
          net.memory[i].record->samples = 1;
          for (int64_t g = 0; g < net.shapes[i].groups; ++g) net.memory[i].denominator[g] = 1;
        }
        net.backend.running_average(*net.context, net.step_args());
      },
      [](Network& net) { // rho Phi + (1 - rho) 0: nothing may have been dropped
        for (size_t i = 0; i < net.layers.size(); ++i)
          if (net.memory[i].record->skipped_statistics) return double{NAN};
        return 0.0;
      },
      0);
  // What this case has averaged with nothing is too small to be inverted: statistics anew.
  const auto fresh = [whole] {
    const Prepared net = whole->get();
    net->prepare();
    return net;
  };
  // Residual of an explicit inverse: eps times the condition number, which with gamma = 1 is below n.
  to.add(
      "factor_inverse", "all", to.total([&](const Layer& l) { return factor_inverse_work(l, p); }), fresh,
      [](Network& net) { net.backend.factor_inverse(*net.context, net.step_args()); }, inverse_residual, 1e-3);
  to.add(
      "precondition", "all", to.total([&](const Layer& l) { return precondition_work(l, p, 1); }), fresh,
      [](Network& net) { net.backend.precondition(*net.context, net.step_args()); }, direction_residual, kSumBound);
  to.add(
      "layer_rate", "all", {}, fresh, [](Network& net) { net.backend.layer_rate(*net.context, net.step_args()); },
      rate_residual, 1e-4);
  const bool dense = std::all_of(set.layers.begin(), set.layers.end(), [](const Layer& l) { return !l.conv; });
  if (dense && p.block > 0) { // the rate EMPIRICAL does not depend on blocks
    const auto empirical = std::make_shared<Shared>(Shared{backend, set, threads, LNGD_RATE_EMPIRICAL, {}});
    // C is a mean of squares of float sums over d: their relative error doubles.
    to.add(
        "layer_rate", "all empirical", to.total([](const Layer& l) { return empirical_rate_work(l, 1); }),
        [empirical] {
          const Prepared net = empirical->get();
          net->backend.precondition(*net->context, net->step_args());
          return net;
        },
        [](Network& net) { net.backend.layer_rate(*net.context, net.step_args()); }, rate_residual, 1e-4);
  }
  const auto moved = [fresh] {
    const Prepared net = fresh();
    for (int step = 0; step < 2; ++step) { // after the first the average still is the weights
      net->backend.precondition(*net->context, net->step_args());
      net->backend.layer_rate(*net->context, net->step_args());
      net->backend.apply_update(*net->context, net->step_args());
    }
    return net;
  };
  to.add(
      "apply_update", "all", to.total(apply_update_work), moved,
      [](Network& net) { net.backend.apply_update(*net.context, net.step_args()); },
      [](Network& net) { // one more step of a known momentum
        const double before = net.data[0].weights[0], momentum = net.memory[0].momentum[0];
        const double zeta = net.memory[0].record->coefficient * net.memory[0].direction[0];
        net.backend.apply_update(*net.context, net.step_args());
        const double expected = before + net.config.momentum * momentum + zeta;
        return relative(net.data[0].weights[0], expected, std::fabs(before));
      },
      1e-6); // some roundings of a float
  to.add(
      "swap_averages", "all", to.total(swap_work), moved,
      [](Network& net) { net.backend.swap_averages(*net.context, net.step_args()); },
      [](Network& net) { // twice is nothing
        const std::vector<float> before = net.data[0].weights;
        net.backend.swap_averages(*net.context, net.step_args());
        const bool swapped = net.data[0].weights != before;
        net.backend.swap_averages(*net.context, net.step_args());
        return swapped && net.data[0].weights == before ? 0.0 : double{NAN};
      },
      0);
  for (Case& c : cases) c.work = only_in_float(c.work);
}

} // namespace bench
