// SPDX-License-Identifier: Apache-2.0
// lngd_gate LAYERS.csv: every kernel of kernels.def once, on small fixed layers and one thread, for check.py to count
// the instructions of. Each call goes through gate_measured, which callgrind looks for; before it runs, a line says
// which case it is and what its useful multiply-adds are. Counts do not depend on what else the machine does, so a
// bound on them is a test.
#include <cstdio>
#include <functional>

#include "native/network.hpp"

namespace {

using namespace bench;

} // namespace

extern "C" __attribute__((noinline, noclone, used)) void gate_measured(const std::function<void()>& body) { body(); }

namespace {

void measure(const char* kernel, const char* what, double operations, const std::function<void()>& body) {
  std::printf("%s %s %.0f\n", kernel, what, operations / 2);
  std::fflush(stdout);
  gate_measured(body);
}

Work sum_over(const Network& net, Work (*work)(const Layer&, const Preset&)) {
  Work sum;
  for (const Layer& l : net.layers) sum = sum + work(l, net.preset);
  return sum;
}

void statistics(Network& net) {
  for (size_t i = 0; i < net.layers.size(); ++i) {
    const double operations = statistics_work(net.layers[i], net.preset, 1).operations;
    if (net.layers[i].conv)
      measure("conv_statistics", net.preset.name, operations,
              [&net, i] { net.backend.conv_statistics(*net.context, net.conv_args(i)); });
    else
      measure("layer_statistics", net.preset.name, operations,
              [&net, i] { net.backend.layer_statistics(*net.context, net.statistics_args(i)); });
  }
}

using StepKernel = void (*lngd::Backend::*)(lngd::Context&, const lngd::StepArgs&);

void step_kernel(Network& net, const char* name, const char* what, double operations, StepKernel kernel) {
  const lngd::StepArgs args = net.step_args();
  measure(name, what, operations, [&net, &args, kernel] { (net.backend.*kernel)(*net.context, args); });
}

// The order is that of a step: each kernel finds what the one before has left.
void run(const lngd::Backend& backend, const std::vector<Layer>& layers, const Preset& preset) {
  Network net(backend, layers, preset, 1, LNGD_RATE_NONE);
  net.prepare();
  if (!preset.orthogonalise) { // they do not look at it
    net.clear_sums();
    statistics(net);
    step_kernel(net, "running_average", preset.name, sum_over(net, running_average_work).operations,
                &lngd::Backend::running_average);
  }
  step_kernel(net, "factor_inverse", preset.name, sum_over(net, factor_inverse_work).operations,
              &lngd::Backend::factor_inverse);
  step_kernel(net, "precondition", preset.name,
              sum_over(net, [](const Layer& l, const Preset& p) { return precondition_work(l, p, 1); }).operations,
              &lngd::Backend::precondition);
  net.check();
  if (preset.block == 0 || preset.second >= 0) return; // the others do not look at the factors
  step_kernel(net, "layer_rate", "none", 0, &lngd::Backend::layer_rate);
  step_kernel(net, "apply_update", "-",
              sum_over(net, [](const Layer& l, const Preset&) { return apply_update_work(l); }).operations,
              &lngd::Backend::apply_update);
  step_kernel(net, "swap_averages", "-", 0, &lngd::Backend::swap_averages);

  Network empirical(backend, layers, preset, 1, LNGD_RATE_EMPIRICAL);
  empirical.prepare();
  const lngd::StepArgs args = empirical.step_args();
  backend.precondition(*empirical.context, args);
  step_kernel(empirical, "layer_rate", "empirical",
              sum_over(empirical, [](const Layer& l, const Preset&) { return empirical_rate_work(l, 1); }).operations,
              &lngd::Backend::layer_rate);
  empirical.check();
}

} // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: lngd_gate LAYERS.csv\n");
    return 2;
  }
  try {
    char reason[512];
    const lngd::Backend* const backend = lngd::cpu_backend(reason, sizeof reason);
    if (!backend) throw Failed(std::string("the CPU backend cannot be used: ") + reason);
    const std::vector<Layer> layers = read_layers(arguments[1]);
    run(*backend, layers, {"blocks", 128, 0, -1});
    run(*backend, layers, {"full", 0, 0, -1});
    run(*backend, layers, {"kronecker", 128, 0, 128});
    run(*backend, layers, {"orthogonal", 128, 0, 128, true});
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "lngd_gate: %s\n", e.what());
    return 2;
  }
}
