#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The optimizers of cifar10.py: LNGD and KFAC through lngd.h against the formulas in double precision, and the rivals."""
import ctypes
import unittest

from cifar10_fixture import LIBRARY, needs_library, needs_torch, np, torch

import cifar10_plan as plan
import lngd_abi

if torch:
    import cifar10_lngd
    import cifar10_network
    import cifar10_optimizers
    import lngd_reference


def small_network(seed=1):
    """A convolution with batch norm, a strided one, and a dense layer: what ResNet-18 is made of."""
    torch.manual_seed(seed)
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(3, 5, 3, 1, 1, bias=False), nn.BatchNorm2d(5), nn.ReLU(),
        nn.Conv2d(5, 6, 3, 2, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4),
    ).to(memory_format=torch.channels_last)


def batches(count, size):
    generator = torch.Generator().manual_seed(2)
    for _ in range(count):
        x = torch.randn(size, 3, 7, 8, generator=generator).to(memory_format=torch.channels_last)
        yield x, torch.randint(0, 4, (size,), generator=generator)


def one_step(network, optimizer, x, y, factor):
    optimizer.before_forward(len(x))
    logits = network(x)
    loss = torch.nn.functional.cross_entropy(logits, y)
    optimizer.zero_gradients()
    optimizer.after_forward(logits)
    loss.backward()
    optimizer.step(factor)
    return loss.item()


@needs_torch
@needs_library
class AgainstTheFormulas(unittest.TestCase):
    """LNGD and KFAC through ctypes, hooks and all, against the same steps in double precision."""

    STEPS, BATCH = 6, 10

    def rows(self, module, a, s):
        """(a with the constant, s) as n x t x columns, in double."""
        if isinstance(module, torch.nn.Conv2d):
            a = torch.nn.functional.unfold(a, module.kernel_size, padding=module.padding, stride=module.stride).transpose(1, 2)
            return a.numpy(), s.flatten(2).transpose(1, 2).numpy()
        return torch.cat([a, torch.ones(len(a), 1, dtype=a.dtype)], 1)[:, None].numpy(), s[:, None].numpy()

    def compare(self, kind, device, changes, steps=None):
        targets = torch.tensor([(3 * n) % 4 for n in range(self.BATCH)])
        drawn, cifar10_lngd.draw = cifar10_lngd.draw, lambda logits: targets[: len(logits)].to(logits.device)
        self.addCleanup(setattr, cifar10_lngd, "draw", drawn)
        torch_device = "cuda" if device == "cuda" else "cpu"
        network, twin = small_network().to(torch_device), small_network().double()
        library = lngd_abi.Library(LIBRARY)
        # The tolerance is one of float32, which statistics in TF32 (precision AUTO) are not.
        changes = {"statistics_interval": 2, "inverse_interval": 4, "rest_learning_rate": 0.0, "precision": library.PRECISION_TF32X3, **changes}
        optimizer = cifar10_lngd.FROM_LIBRARY[kind](network, self.STEPS, changes, library, device)
        self.addCleanup(optimizer.close)
        s, kfac = optimizer.settings, kind != "lngd"
        modules = [m for m in twin if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]
        layers = []
        for m in modules:
            w = m.weight.detach().flatten(1)
            w = w if m.bias is None else torch.cat([w, m.bias.detach()[:, None]], 1)
            layers.append(lngd_reference.Layer(w.numpy(), s, kfac))
        seen = {}
        for m in modules:
            m.register_forward_hook(lambda m, inputs, output: seen.__setitem__(m, (inputs[0], output)))
        for t, (x, y) in enumerate(batches(steps or self.STEPS, self.BATCH)):
            factor = plan.factor(t, self.STEPS, 0.2)
            one_step(network, optimizer, x.to(torch_device), y.to(torch_device), factor)

            logits, few = twin(x.double()), int(s["statistics_samples"]) or self.BATCH
            outputs = [seen[m][1] for m in modules]
            sampled = torch.nn.functional.cross_entropy(logits[:few], targets[:few], reduction="sum")
            g = torch.autograd.grad(sampled, outputs, retain_graph=True)
            weights = [p for m in modules for p in m.parameters()]
            gradients = dict(zip(weights, torch.autograd.grad(torch.nn.functional.cross_entropy(logits, y), weights)))
            for i, (m, layer) in enumerate(zip(modules, layers)):
                if t % s["statistics_interval"] == 0:
                    a, out = self.rows(m, seen[m][0].detach()[:few], outputs[i].detach()[:few])
                    _, back = self.rows(m, seen[m][0].detach()[:few], g[i][:few])
                    if m is modules[-1]:
                        p = np.exp(out) / np.exp(out).sum(-1, keepdims=True)
                        q = p * (1 - p)
                    else:
                        q = np.ones_like(out)
                    layer.observe(a, back, q)
                if t % s["inverse_interval"] == 0:
                    layer.invert()
                gradient = gradients[m.weight].flatten(1)
                if m.bias is not None:
                    gradient = torch.cat([gradient, gradients[m.bias][:, None]], 1)
                layer.step(gradient.numpy(), factor, t)
                with torch.no_grad():
                    w = torch.from_numpy(layer.w)
                    m.weight.copy_(w[:, : m.weight[0].numel()].reshape(m.weight.shape))
                    if m.bias is not None:
                        m.bias.copy_(w[:, -1])
        for weights in ("w", "average"):
            for i, (m, layer) in enumerate(zip(optimizer.layers, layers)):
                w = m.weight.detach().flatten(1)
                w = w if m.bias is None else torch.cat([w, m.bias.detach()[:, None]], 1)
                w = w.cpu()
                expected = getattr(layer, weights)
                moved = np.linalg.norm(layer.w - self.start(i))
                # float32 forward and backward passes (1e-6 a step) through an inverse of condition below 1e2, six steps.
                self.assertLess(np.linalg.norm(w.numpy() - expected), 2e-4 * moved, f"layer {i}, {weights}")
            optimizer.swap_averages()
        optimizer.swap_averages()
        return optimizer

    def start(self, index):
        m = [m for m in small_network() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))][index]
        w = m.weight.detach().flatten(1).double()
        return (w if m.bias is None else torch.cat([w, m.bias.detach().double()[:, None]], 1)).numpy()

    def test_lngd(self):
        optimizer = self.compare("lngd", "cpu", {"statistics_samples": 6, "block_size": 16, "trust_constant": 0.3})
        health = optimizer.report()["health"]
        self.assertEqual((3, 2, 0), tuple(health[k] for k in ("statistics_updates", "inverse_updates", "skipped_steps")))

    def test_lngd_with_decay_and_other_damping(self):
        self.compare("lngd", "cpu", {"statistics_samples": 0, "block_size": 0, "damping_factor": 3, "weight_decay": 0.02, "rho": 0.5})

    def test_kfac(self):
        self.compare("kfac", "cpu", {})

    def test_lngd_on_the_emulated_device(self):
        self.compare("lngd", "emulated", {"statistics_samples": 3, "block_size": 16}, steps=3)

    def test_kfac_on_the_emulated_device(self):
        self.compare("kfac", "emulated", {}, steps=3)

    @unittest.skipUnless(torch and torch.cuda.is_available(), "no GPU")
    def test_lngd_and_kfac_on_a_gpu(self):
        tf32 = torch.backends.cudnn.allow_tf32
        self.addCleanup(setattr, torch.backends.cudnn, "allow_tf32", tf32)
        torch.backends.cudnn.allow_tf32 = False  # the tolerance is one of float32
        self.compare("lngd", "cuda", {"statistics_samples": 6, "block_size": 16})
        self.compare("lngd", "cuda", {"statistics_samples": 0, "block_size": 0, "weight_decay": 0.02, "overlap": 0})
        self.compare("kfac", "cuda", {})

    def test_settings_that_are_none_are_refused(self):
        library = lngd_abi.Library(LIBRARY)
        with self.assertRaisesRegex(ValueError, "--try speed: allowed are"):
            cifar10_lngd.Lngd(small_network(), 5, {"speed": 1.0}, library, "cpu")
        with self.assertRaisesRegex(lngd_abi.LngdError, "momentum is 2"):
            cifar10_lngd.Lngd(small_network(), 5, {"momentum": 2.0}, library, "cpu")
        with self.assertRaisesRegex(ValueError, "EMPIRICAL"):
            cifar10_lngd.Lngd(small_network(), 5, {"rate": 1}, library, "cpu")

    def test_only_what_feeds_the_statistics_is_kept_and_only_when_due(self):
        network, library = small_network(), lngd_abi.Library(LIBRARY)
        optimizer = cifar10_lngd.Lngd(network, 5, {"statistics_samples": 3, "statistics_interval": 2, "inverse_interval": 2}, library, "cpu")
        self.addCleanup(optimizer.close)
        for due, (x, y) in zip((True, False, True), batches(3, 5)):
            self.assertEqual(due, optimizer.before_forward(len(x)))
            logits = network(x.requires_grad_())
            optimizer.zero_gradients()
            optimizer.after_forward(logits)
            self.assertEqual([3] * (6 if due else 0), [len(t) for t in optimizer.kept])
            self.assertFalse(any(t.requires_grad for t in optimizer.kept))
            torch.nn.functional.cross_entropy(logits, y).backward()
            optimizer.step(1.0)
            self.assertEqual([], optimizer.kept)

    def test_draws_follow_the_softmax(self):
        torch.manual_seed(1)
        logits = torch.tensor([[0.0, 1.0, -1.0, 2.0]])
        p, count = logits.softmax(1)[0], 40000
        share = torch.bincount(cifar10_lngd.draw(logits.expand(count, 4)), minlength=4) / count
        self.assertLess(((share - p).abs() / (p * (1 - p) / count).sqrt()).max(), 5)  # standard deviations


@needs_torch
@needs_library
class DeviceTensors(unittest.TestCase):
    """The CUDA backend on its emulator, with tensors in its memory: the structs that a GPU's pointers will go through."""

    def run_layer(self, on_device):
        library = lngd_abi.Library(LIBRARY)
        config, layer = library.struct("lngd_config"), library.struct("lngd_layer_config")
        library.call("lngd_config_init", library.PRESET_RECIPE, 4, ctypes.byref(config))
        config.device, config.statistics_interval, config.inverse_interval = library.DEVICE_CUDA_EMULATED, 2, 2
        library.call("lngd_conv_init", 2, 3, 4, (ctypes.c_int32 * 2)(3, 3), ctypes.byref(layer))
        layer.bias, layer.activation = 0, library.ACTIVATION_IDENTITY
        optimizer = library.handle("lngd_create", ctypes.byref(config), ctypes.byref(layer), 1)
        rng, kept = np.random.RandomState(1), []

        def tensor(shape, last=False):
            """Random numbers, channels last where asked, in memory of the device where asked."""
            values = rng.randn(*shape).astype(np.float32)
            stored = values.transpose(0, 2, 3, 1) if last else values
            if on_device:
                address = library.handle("lngd_device_allocate", optimizer, stored.nbytes)
                array = np.frombuffer((ctypes.c_char * stored.nbytes).from_address(address.value), np.float32).reshape(stored.shape)
                library.call("lngd_device_copy", optimizer, address, np.ascontiguousarray(stored).ctypes.data, stored.nbytes)
                kept.append(address)
            else:
                array = np.ascontiguousarray(stored)
            array = array.transpose(0, 3, 1, 2) if last else array
            return array, library.of_numpy(array, lngd_abi.CUDA if on_device else lngd_abi.CPU)

        weights, w = tensor((4, 27))
        gradients, g = tensor((4, 27))
        before = weights.copy()
        bindings = (library.header.structs["lngd_binding"] * 1)()
        bindings[0].weights, bindings[0].weight_gradients = w, g
        made = library.handle("lngd_plan_create", optimizer, bindings, 1, library.UPDATE_WEIGHTS)
        for _ in range(3):
            (_, a), (_, s) = tensor((2, 3, 6, 5), True), tensor((2, 4, 4, 3), True)
            library.call("lngd_observe", optimizer, 0, ctypes.byref(a), ctypes.byref(s), library.SIGNAL_PRE_ACTIVATIONS)
            library.call("lngd_refresh", made)
            library.call("lngd_step", made, 0.5, None)
        # Only a plan without host tensors can be replayed: the library has seen where these lie.
        allowed = ctypes.c_int32()
        library.call("lngd_synchronize", optimizer)
        out = weights.copy()
        library.call("lngd_replay", made, 0.5, ctypes.byref(allowed))
        self.assertEqual(int(on_device), allowed.value)
        for address in kept:
            library.call("lngd_device_free", optimizer, address)
        library.call("lngd_plan_destroy", made)
        library.call("lngd_destroy", optimizer)
        return before, out

    def test_device_tensors_give_the_bits_of_host_tensors(self):
        (before, host), (_, device) = self.run_layer(False), self.run_layer(True)
        self.assertGreater(np.abs(host - before).max(), 1e-4)
        self.assertTrue(np.array_equal(host, device))


@needs_torch
class Rivals(unittest.TestCase):
    def test_newton_schulz_makes_singular_values_near_one(self):
        torch.manual_seed(1)
        x = torch.randn(3, 8, 40)
        for kind in (torch.float32, torch.bfloat16):  # as on a CPU, as on a GPU
            values = torch.linalg.svdvals(cifar10_optimizers.orthogonalised(x.to(kind), 5).float())
            # The quintic's coefficients do not converge: they leave singular values between about 0.7 and 1.2 (Jordan et al.).
            self.assertTrue(values.min() > 0.6 and values.max() < 1.3, values)

    def test_muon_takes_the_steps_of_the_plain_formula(self):
        network = cifar10_network.ResNet18(2).to(memory_format=torch.channels_last)
        optimizer = cifar10_optimizers.Muon(network, 10, {"learning_rate": 0.1, "weight_decay": 0.5, "momentum": 0.8})
        self.assertEqual(20, sum(p.dim() == 4 for p in network.parameters()))
        self.assertEqual(19, len(optimizer.hidden))
        expected = [p.detach().clone() for p in optimizer.hidden]
        momenta = [torch.zeros_like(w) for w in expected]
        for _ in range(2):
            for p in network.parameters():
                p.grad = torch.randn_like(p)
            gradients = [p.grad.clone() for p in optimizer.hidden]
            optimizer.step(0.5)
            for w, g, m in zip(expected, gradients, momenta):
                m.mul_(0.8).add_(0.2 * g)
                flat = (0.2 * g + 0.8 * m).reshape(len(g), -1)  # channel, kernel row, kernel column: another order of columns
                rows, columns = flat.shape
                x = flat if rows <= columns else flat.t()
                x = cifar10_optimizers.orthogonalised(x[None], 5)[0]
                x = x if rows <= columns else x.t()
                w.mul_(1 - 0.05 * 0.5).sub_(0.05 * max(1, rows / columns) ** 0.5 * x.reshape(w.shape))
        for p, w in zip(optimizer.hidden, expected):
            # float32 in another order, through five steps that amplify small singular values by 3.4 each.
            torch.testing.assert_close(p.detach(), w, rtol=1e-3, atol=1e-4)

    def test_averages(self):
        p = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        averages, expected = cifar10_optimizers.Averages([p]), None
        for t, value in enumerate(([3.0, 1.0], [5.0, -1.0], [0.5, 2.5])):
            p.data.copy_(torch.tensor(value))
            averages.add()
            w = np.array(value)
            expected = w if expected is None else expected + 8 / (8 + t) * (w - expected)
        before = p.detach().clone()
        averages.swap()
        np.testing.assert_allclose(p.detach().numpy(), expected, rtol=1e-6)
        averages.swap()
        self.assertTrue(torch.equal(before, p.detach()))

    def test_only_weights_decay(self):
        for kind in cifar10_optimizers.RIVALS:
            network = small_network()
            norms = [p for p in network.parameters() if p.dim() == 1]
            optimizer = cifar10_optimizers.RIVALS[kind](network, 10, {})
            before = [p.detach().clone() for p in network.parameters()]
            for p in network.parameters():
                p.grad = torch.zeros_like(p)
            optimizer.step(1.0)
            for p, w in zip(network.parameters(), before):
                self.assertEqual(any(p is n for n in norms), torch.equal(p.detach(), w), kind)


if __name__ == "__main__":
    unittest.main()
