# SPDX-License-Identifier: Apache-2.0
"""LNGD and KFAC of liblngd as optimizers of a PyTorch network: lngd.h by ctypes, tensors used where they lie, the caller's stream.

Batch norm follows every convolution, so there is no activation directly after it and its layer model is the identity, as in the
adapter for DL4J; the last layer's is the categorical of its softmax. Batch norm's own weights are trained by SGD with momentum.
Weights are kept row-major (m, c, kh, kw): that is the order of the library's columns, and channels_last weights cannot be described to
it as m x d with one stride. cuDNN then converts them in each pass, which counts in LNGD's time."""
import ctypes
import math

import torch
import torch.nn.functional as F
from torch import nn

from cifar10_optimizers import AVERAGING_WINDOW, Averages, Optimizer, weights_and_rest

DEVICES = {"cpu": "DEVICE_CPU", "cuda": "DEVICE_CUDA", "emulated": "DEVICE_CUDA_EMULATED"}


def draw(logits):
    """A target from each row's softmax, by Gumbel noise: torch.multinomial makes the host wait."""
    uniform = torch.rand_like(logits).clamp_(1e-20, 1 - 1e-7)
    return (logits - uniform.log().neg_().log_()).argmax(1)


class Lngd(Optimizer):
    PRESET = "PRESET_RECIPE"
    # Of batch norm (learning rate and momentum of Sgd in cifar10_optimizers.py); `trust_constant` is c in tau = c / sqrt(steps), 0: the
    # preset's own. The other settings are the fields of lngd_config.
    OWN = {"rest_learning_rate": 0.2, "rest_momentum": 0.9, "trust_constant": 0.0}
    CONFIG = {}  # departures from the preset

    def __init__(self, network, steps, changes, library, device):
        config = self._config(library, steps, changes, device)
        self.DEFAULTS = {**self.OWN, **{field: getattr(config, field) for field, _ in config._fields_[1:]}}
        super().__init__(network, steps, changes)
        self.library, self.kept, self.hooks = library, [], []
        self.optimizer = self.plan = None
        try:
            self._create(config, network)
        except Exception:
            self.close()
            raise

    def _config(self, library, steps, changes, device):
        config = library.struct("lngd_config")
        library.call("lngd_config_init", getattr(library, self.PRESET), steps, ctypes.byref(config))
        config.device = getattr(library, DEVICES[device])
        config.averaging, config.averaging_window = 1, AVERAGING_WINDOW  # as the rivals have it
        values, kinds = {**self.OWN, **self.CONFIG, **changes}, dict(config._fields_)
        if values["trust_constant"]:
            config.trust_ratio = values["trust_constant"] / math.sqrt(steps)
        for name, value in values.items():
            if name in kinds:
                setattr(config, name, float(value) if kinds[name] is ctypes.c_double else int(value))
        if config.rate == library.RATE_EMPIRICAL:
            raise ValueError("--try rate=1: the rate EMPIRICAL needs per-sample deltas, which cifar10.py does not collect")
        return config

    def _create(self, config, network):
        lib = self.library
        self.provided = config.fisher == lib.FISHER_PROVIDED
        self.layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
        table = (lib.header.structs["lngd_layer_config"] * len(self.layers))()
        for i, module in enumerate(self.layers):
            table[i] = self._layer(module, last=i == len(self.layers) - 1)
        self.optimizer = lib.handle("lngd_create", ctypes.byref(config), table, len(table))
        lib.call("lngd_get_config", self.optimizer, ctypes.byref(config))
        for name, _ in config._fields_[1:]:
            self.settings[name] = getattr(config, name)
        self.samples = config.statistics_samples
        stream = torch.cuda.current_stream().cuda_stream if self.layers[0].weight.is_cuda else None
        lib.call("lngd_set_stream", self.optimizer, stream)
        self._bind()
        _, rest = weights_and_rest(network)
        mine = {id(p) for m in self.layers for p in m.parameters()}
        rest = [p for p in rest if id(p) not in mine]
        s = self.settings
        self.add(torch.optim.SGD(rest, lr=s["rest_learning_rate"], momentum=s["rest_momentum"], nesterov=s["rest_momentum"] > 0, foreach=True))
        self.averages = Averages(rest)

    def _layer(self, module, last):
        lib, out = self.library, self.library.struct("lngd_layer_config")
        if isinstance(module, nn.Conv2d):
            pair = ctypes.c_int32 * 2
            lib.call("lngd_conv_init", 2, module.in_channels, module.out_channels, pair(*module.kernel_size), ctypes.byref(out))
            out.stride, out.dilation, out.groups = pair(*module.stride), pair(*module.dilation), module.groups
            out.padding_before = out.padding_after = pair(*module.padding)
        else:
            lib.call("lngd_layer_init", module.in_features, module.out_features, ctypes.byref(out))
        out.bias, out.activation = int(module.bias is not None), lib.ACTIVATION_IDENTITY
        if last and not self.provided:
            out.output = lib.OUTPUT_SOFTMAX
        return out

    def _bind(self):
        """The plan: weights and gradients as m x d_w, in memory that stays."""
        lib, bindings = self.library, (self.library.header.structs["lngd_binding"] * len(self.layers))()
        self.bound, described = [], []
        for i, module in enumerate(self.layers):
            for p in module.parameters():
                p.data = p.detach().clone(memory_format=torch.contiguous_format)
                p.grad = torch.zeros_like(p, memory_format=torch.contiguous_format)
                self.bound += [p.detach(), p.grad]
            matrices = [t.view(t.shape[0], -1) for t in (module.weight.detach(), module.weight.grad)]
            described += [lib.of_torch(t) for t in matrices]
            bindings[i].layer = i
            bindings[i].weights, bindings[i].weight_gradients = described[-2:]
            if module.bias is not None:
                described += [lib.of_torch(t) for t in (module.bias.detach(), module.bias.grad)]
                bindings[i].bias, bindings[i].bias_gradients = described[-2:]
        self.plan = lib.handle("lngd_plan_create", self.optimizer, bindings, len(bindings), lib.UPDATE_WEIGHTS)

    def zero_gradients(self):
        grads = [p.grad for p in self.network.parameters() if p.grad is not None]
        torch._foreach_zero_(grads)

    # ---- observation

    def before_forward(self, count):
        """Hooks on the layers whose next step takes statistics; True if there are any."""
        bits = ctypes.c_uint32()
        self.rows, self.signals = min(self.samples or count, count), []
        for i, module in enumerate(self.layers):
            self.library.call("lngd_needs", self.optimizer, i, ctypes.byref(bits))
            if bits.value & self.library.NEEDS_STATISTICS:
                self.hooks.append(module.register_forward_hook(self._hook(i)))
        return bool(self.hooks)

    def _hook(self, index):
        def seen(_, inputs, output):
            if self.provided:
                self.signals.append((index, inputs[0].detach(), output))
            else:
                self._observe(index, inputs[0].detach(), output.detach(), self.library.SIGNAL_PRE_ACTIVATIONS)

        return seen

    def _observe(self, index, inputs, signal, kind):
        pair = [t[: self.rows].float() for t in (inputs, signal)]
        self.kept += pair  # the library may read them until the step
        a, s = (self.library.of_torch(t) for t in pair)
        self.library.call("lngd_observe", self.optimizer, index, ctypes.byref(a), ctypes.byref(s), kind)

    def after_forward(self, logits):
        if not self.hooks:
            return
        for hook in self.hooks:
            hook.remove()
        self.hooks = []
        if self.provided:
            self._sampled_gradients(logits)
        # Averages and inverses while the backward pass runs.
        self.library.call("lngd_refresh", self.plan)

    def _sampled_gradients(self, logits):
        """Back-propagates targets drawn from the model's own prediction on the first samples, to the outputs of the layers only."""
        few = logits[: self.rows].float()
        loss = F.cross_entropy(few, draw(few.detach()), reduction="sum")  # a sum, so that each row is the gradient of its own sample
        gradients = torch.autograd.grad(loss, [output for _, _, output in self.signals], retain_graph=True)
        for (index, inputs, _), gradient in zip(self.signals, gradients):
            self._observe(index, inputs, gradient, self.library.SIGNAL_GRADIENTS)
        self.signals = []

    # ---- step

    def step(self, factor):
        self.library.call("lngd_step", self.plan, factor, None)
        self.kept = []
        super().step(factor)

    def swap_averages(self):
        self.library.call("lngd_swap_averages", self.plan, None)
        super().swap_averages()

    def report(self):
        lib, out = self.library, {}
        health, memory, times = (lib.struct(n) for n in ("lngd_health", "lngd_memory", "lngd_times"))
        counters = ("skipped_statistics", "failed_inverses", "skipped_steps", "retries")
        worst = {name: 0 for name in counters}
        for i in range(len(self.layers)):
            lib.call("lngd_layer_health", self.optimizer, i, ctypes.byref(health))
            for name in counters:
                worst[name] += getattr(health, name)
        out["health"] = {**worst, "statistics_updates": health.statistics_updates, "inverse_updates": health.inverse_updates}
        lib.call("lngd_memory_report", self.optimizer, ctypes.byref(memory))
        lib.call("lngd_profile", self.optimizer, ctypes.byref(times))
        out["library_bytes"] = memory.total
        out["host_seconds"] = {name: getattr(times, name) / 1e9 for name, _ in times._fields_[2:]}
        return out

    def close(self):
        super().close()
        for hook in self.hooks:
            hook.remove()
        self.hooks, self.kept, self.signals, self.bound = [], [], [], []
        if self.plan:
            self.library.call("lngd_plan_destroy", self.plan)
        if self.optimizer:
            self.library.call("lngd_destroy", self.optimizer)
        self.plan = self.optimizer = None


class Kfac(Lngd):
    """As its authors have it, but for the averaged weights that all have here."""

    PRESET = "PRESET_KFAC"


class KfacTrust(Kfac):
    """With RECIPE's trust ratio and relative damping, as `lngd train --optimizer kfac-trust`."""

    OWN = {**Lngd.OWN, "trust_constant": 0.17}
    CONFIG = {"trust": 2, "learning_rate": 1.0, "damping": 0, "damping_factor": 1.0}


FROM_LIBRARY = {"lngd": Lngd, "kfac": Kfac, "kfac-trust": KfacTrust}
