#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts against sums by hand, and against what the library itself says of its sums."""
import ctypes
import os
import pathlib
import sys
import unittest

import counts
import layers

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "gpu"))
LIBRARY = os.environ.get("LNGD_LIBRARY")


class HandTest(unittest.TestCase):
    """784-256-128-10: by hand, layer by layer."""

    network = layers.by_name("mlp")

    def test_passes(self):
        weights = 785 * 256 + 257 * 128 + 129 * 10
        self.assertEqual(self.network.parameters, weights)
        self.assertEqual(weights, 235_146)
        self.assertEqual(counts.step(self.network, counts.recipe()).passes(256), 6 * 256 * 235_146)

    def test_recipe(self):
        count = counts.step(self.network, counts.recipe())
        # Columns in blocks of 128: 785 = 6 x 128 + 17, 257 = 2 x 128 + 1, 129 = 128 + 1. Rows are padded to 16 floats.
        self.assertEqual([c.blocks for c in count.layers], [(128,) * 6 + (17,), (128, 128, 1), (128, 1)])
        self.assertEqual([c.sums for c in count.layers], [6 * 128 * 128 + 17 * 32, 2 * 128 * 128 + 16, 128 * 128 + 16])
        self.assertEqual([c.triangles for c in count.layers], [6 * 8256 + 153, 2 * 8256 + 1, 8256 + 1])
        self.assertEqual(count.total("inverse"), 9 * 128**3 + 17**3 + 1 + 1)  # 18.9 M in docs/kernels.md
        self.assertEqual([c.syrk for c in count.layers], [2 * t for t in (6 * 8256 + 153, 2 * 8256 + 1, 8256 + 1)])
        # 2 m b a column of a block of b.
        direction = 2 * 256 * (6 * 128**2 + 17**2) + 2 * 128 * (2 * 128**2 + 1) + 2 * 10 * (128**2 + 1)
        self.assertEqual(count.total("direction"), direction)
        # Psi: 256, 128, 10 doubles, each range to a cache line of 8: + a line for the denominators of each, and a line for counts of 3.
        self.assertEqual(count.double_count, 8 + 3 * 8 + 256 + 128 + 16)
        self.assertEqual(count.gradient_bytes, 4 * 235_146)
        self.assertEqual(count.drawn(256), 0)

    def test_two_factors(self):
        count = counts.step(self.network, counts.block_kronecker(self.network, 500))
        self.assertEqual([c.blocks[-k:] for c, k in zip(count.layers, (2, 1, 1))], [(128, 128), (128,), (10,)])
        first = counts.step(self.network, counts.recipe())
        self.assertEqual(count.total("sums") - first.total("sums"), 3 * 128 * 128 + 10 * 16)
        self.assertEqual(count.total("direction") - first.total("direction"), 2 * (785 * 2 * 128**2 + 257 * 128**2 + 129 * 10**2))
        self.assertEqual(count.double_count, 8 + 3 * (8 + 8))
        self.assertEqual(count.drawn(256), 2 * 256 * 235_146)

    def test_a_convolution(self):
        layer = layers.Layer("c", "conv", 64, 128, kernel=3, stride=2, padding=1, groups=2, height=9, width=7)
        self.assertEqual((layer.positions, layer.d, layer.parameters), (5 * 4, 32 * 9, 128 * 32 * 9))
        # Two groups of 288 = 2 x 128 + 32 columns and of 64 outputs.
        c = counts.count(layer, counts.Preset("", 128, 128, 0, 1, 1))
        self.assertEqual(c.blocks, (128, 128, 32) * 2 + (64, 64))
        self.assertEqual(c.direction, 2 * 64 * 2 * (2 * 128**2 + 32**2) + 2 * 288 * 2 * 64**2)
        self.assertEqual(c.syrk, 2 * 20 * (2 * (2 * 8256 + 528) + 2 * 2080))
        # Of four groups 9 totals, so two lines of 8; of Psi 128, and one line for the denominators of either.
        four = layers.Layer("c", "conv", 64, 128, groups=4)
        self.assertEqual([counts.count(four, counts.Preset("", 128, second, 0, 1, 1)).doubles for second in (128, None)], [8 + 16, 8 + 128])

    def test_intervals_and_samples(self):
        net = self.network
        self.assertEqual([counts.block_kronecker(net, t).statistics_interval for t in (1, 160, 480, 9999)], [1, 2, 6, 6])
        self.assertEqual([counts.block_kronecker(net, t).inverse_interval for t in (1, 160, 500, 9999)], [1, 8, 25, 25])
        count = counts.step(net, counts.block_kronecker(net, 500))
        self.assertEqual([count.statistics_samples(p, 100) for p in (1, 2, 4, 100, 1024)], [100, 100, 64, 3, 1])
        tokens = counts.step(layers.transformer_big(), counts.block_kronecker(layers.transformer_big(), 500))
        self.assertEqual(tokens.statistics_samples(4, 64), 2)  # 64 of 256 rows: two sentences of 32
        everything = counts.step(net, counts.kfac())
        self.assertEqual(everything.statistics_samples(8, 32), 32)


class NetworkTest(unittest.TestCase):
    def test_resnet50(self):
        """Parameters and multiply-adds from the description in the paper, not from the layer set."""
        weights, operations = 7 * 7 * 3 * 64, 7 * 7 * 3 * 64 * 112**2
        normalised, channels = 64, 64
        for width, blocks, side in ((64, 3, 56), (128, 4, 28), (256, 6, 14), (512, 3, 7)):
            for block in range(blocks):
                before = side * (2 if block == 0 and width > 64 else 1)  # the stride is in the 3 x 3
                for size, positions in ((channels * width, before**2), (9 * width**2, side**2), (4 * width**2, side**2)):
                    weights, operations = weights + size, operations + size * positions
                normalised += 6 * width
                if block == 0:
                    weights, operations = weights + 4 * channels * width, operations + 4 * channels * width * side**2
                    normalised += 4 * width
                channels = 4 * width
        weights, operations = weights + 2049 * 1000, operations + 2048 * 1000
        network = layers.resnet50()
        self.assertEqual(weights + 2 * normalised, network.parameters)
        self.assertEqual(network.parameters, 25_557_032)  # torchvision's
        self.assertEqual(operations + 1000, network.multiply_adds)  # ours counts the bias as a column
        self.assertAlmostEqual(network.multiply_adds / 1e9, 4.09, delta=0.01)  # "4.1 GMAC"
        self.assertEqual(network.other_tensors, 2 * 53)

    def test_transformer_big(self):
        attention, hidden, norm = 4 * 1025 * 1024, 1025 * 4096 + 4097 * 1024, 2 * 1024
        encoder, decoder = 6 * (attention + hidden + 2 * norm), 6 * (2 * attention + hidden + 3 * norm)
        network = layers.transformer_big()
        self.assertEqual(encoder + decoder + 32768 * 1024, network.parameters)  # one matrix for both embeddings and the output
        self.assertEqual(network.parameters, 209_911_808)  # fairseq, one dictionary of 32,768

    def test_a_layer_without_factors(self):
        """Everything but its factors stays: parameters, both passes, the tensors that ranks tell of."""
        whole = layers.by_name("mlp")
        part = counts.step(whole.without("output"), counts.recipe())
        full = counts.step(whole, counts.recipe())
        self.assertEqual([c.name for c in part.layers], ["dense0", "dense1"])
        for same in ("gradient_bytes", "update_bytes", "copy_bytes"):
            self.assertEqual(getattr(part, same), getattr(full, same))
        self.assertEqual((part.passes(3), part.agreement_bytes(2)), (full.passes(3), full.agreement_bytes(2)))
        self.assertEqual(full.total("sums") - part.total("sums"), 128 * 128 + 16)
        self.assertEqual(part.double_count, 8 + 2 * 8 + 256 + 128)

    def test_what_is_not_there(self):
        for name in ("resnet51", "../layers/mlp2"):
            with self.assertRaisesRegex(ValueError, f"network is {name}"):
                layers.by_name(name)
        with self.assertRaisesRegex(ValueError, "preset is adam"):
            counts.by_name("adam", layers.by_name("mlp"), 1)
        with self.assertRaisesRegex(ValueError, "kind is pool"):
            layers.layer({"name": "p", "kind": "pool", "inputs": "1", "outputs": "1"})
        with self.assertRaisesRegex(ValueError, "no layer head"):
            layers.by_name("mlp").without("head")


@unittest.skipUnless(LIBRARY, "LNGD_LIBRARY is not set")
class LibraryTest(unittest.TestCase):
    """The sums on the wire, as lngd_get_sums has them."""

    def sums(self, network, preset, steps):
        import lngd_abi

        lib = lngd_abi.Library(LIBRARY)
        config = lib.struct("lngd_config")
        lib.call("lngd_config_init", getattr(lib, f"PRESET_{preset}"), steps, ctypes.byref(config))
        config.trust_ratio = config.trust_ratio or 0.1
        config.device = lib.DEVICE_CPU
        others = network.other_tensors
        table = (lib.header.structs["lngd_layer_config"] * (len(network.layers) + others))()
        pair = ctypes.c_int32 * 2
        for i, layer in enumerate(network.layers):
            if layer.kind == "conv":
                lib.call("lngd_conv_init", 2, layer.inputs, layer.outputs, pair(layer.kernel, layer.kernel), ctypes.byref(table[i]))
                table[i].stride, table[i].groups = pair(layer.stride, layer.stride), layer.groups
                table[i].padding_before = table[i].padding_after = pair(layer.padding, layer.padding)
            else:
                lib.call("lngd_layer_init", layer.inputs, layer.outputs, ctypes.byref(table[i]))
            table[i].bias = layer.bias
        for i in range(others):
            lib.call("lngd_parameter_init", 1, ctypes.byref(table[len(network.layers) + i]))
        optimizer = lib.handle("lngd_create", ctypes.byref(config), table, len(table))
        try:
            found = lib.struct("lngd_sums")
            lib.call("lngd_get_sums", optimizer, ctypes.byref(found))
            return found.float_count, found.double_count
        finally:
            lib.call("lngd_destroy", optimizer)

    def test_sums(self):
        for name in ("mlp", "lenet", "resnet18-cifar"):
            network = layers.by_name(name)
            for preset, ours in (("RECIPE", counts.recipe()), ("BLOCK_KRONECKER", counts.block_kronecker(network, 500))):
                count = counts.step(network, ours)
                with self.subTest(network=name, preset=preset):
                    self.assertEqual(self.sums(network, preset, 500), (count.total("sums"), count.double_count))
        network = layers.by_name("lenet")
        count = counts.step(network, counts.kfac())
        self.assertEqual(self.sums(network, "KFAC", 500), (count.total("sums"), count.double_count))


if __name__ == "__main__":
    unittest.main()
