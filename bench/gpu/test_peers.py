#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The peers compute what the kernels compute: a peer that does less would be no peer. Needs PyTorch, no GPU."""
import dataclasses
import pathlib
import sys
import unittest

try:
    import torch
except ImportError:
    print("skipped: this Python has no PyTorch")
    sys.exit(77)

import peer_layers
import peer_network
from peer_layers import Layer, Preset
from peer_timing import Clock

CONV = Layer("conv", "conv", 3, 5, 3, 2, 1, 1, 7, 6, 0, 4, "relu")
DENSE = Layer("dense", "dense", 10, 4, 1, 1, 0, 1, 1, 3, 1, 4, "identity")
BLOCKS = Preset("blocks", 8, 0, 20, 100)
FULL = Preset("full", 0, 0, 100, 100)
CLOCK = Clock("cpu", True)


def close(a, b):
    # float32 sums of at most a hundred terms of at most 10
    return torch.testing.assert_close(a.double(), b.double(), rtol=1e-5, atol=1e-4)


class Peers(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(3)

    def test_patches_are_in_the_order_channel_row_column(self):
        x = torch.rand(CONV.batch, 3, 7, 6)
        rows = peer_layers.patches(CONV, x).t().reshape(CONV.batch, CONV.out_height, CONV.out_width, 3, 3, 3)
        for n, oy, ox in ((0, 0, 0), (3, 3, 2), (2, 1, 1)):
            for c, ky, kx in ((0, 0, 0), (2, 2, 1), (1, 1, 2)):
                y, xx = oy * 2 - 1 + ky, ox * 2 - 1 + kx
                expected = x[n, c, y, xx] if 0 <= y < 7 and 0 <= xx < 6 else torch.tensor(0.0)
                self.assertEqual(expected, rows[n, oy, ox, c, ky, kx])

    def test_one_by_one_patches_are_those_of_unfold(self):
        layer = dataclasses.replace(CONV, kernel=1, padding=0)
        x = torch.rand(CONV.batch, 3, 7, 6)
        unfolded = torch.nn.functional.unfold(x, 1, stride=2).permute(1, 0, 2).reshape(3, -1)
        self.assertTrue(torch.equal(unfolded, peer_layers.patches(layer, x)))

    def test_every_way_of_the_weighted_syrk(self):
        a, r = torch.rand(50, 27) - 0.5, torch.rand(50)
        expected = (a.double() * r.double()[:, None]).t() @ a.double()
        for preset in (BLOCKS, FULL):
            blocks = CONV.blocks(preset)
            self.assertEqual(27, sum(size for _, size in blocks))
            for out in (
                peer_layers.syrk(a, r, blocks, "sqrt"),
                peer_layers.syrk(a, r, blocks, "plain"),
                peer_layers.syrk_by_columns(a.t().contiguous(), r, blocks),
            ):
                pieces = [p for o in out for p in (o if o.dim() == 3 else [o])]
                self.assertEqual(len(blocks), len(pieces))
                for (first, size), piece in zip(blocks, pieces):
                    close(piece, expected[first : first + size, first : first + size])

    def test_direction_is_that_of_the_block_diagonal_inverse(self):
        for preset in (BLOCKS, FULL):
            state = peer_network.State(CLOCK, DENSE, preset)
            blocks = list(state.phi_inverse) + ([state.rest] if state.rest is not None else [])
            dense = torch.block_diag(*blocks).double()
            self.assertEqual((11, 11), tuple(dense.shape))
            close(state.direction(), state.psi_inverse.double() * (state.gradient.double() @ dense))

    def test_a_step_has_the_norm_of_the_trust_ratio(self):
        state = peer_network.State(CLOCK, DENSE, BLOCKS)
        before = state.weight.clone()
        state.step(1e-3, 1.0, 0.25)
        moved = state.weight - before
        close(moved.norm(), 1e-3 * before.norm())  # momentum was zero
        close((moved * state.direction()).sum() / (moved.norm() * state.direction().norm()), torch.tensor(-1.0))
        close(state.average, before + 0.25 * moved)

    def test_every_way_of_the_inverse(self):
        a = peer_network.damped(CLOCK, 3, 40)
        spectrum = torch.linalg.eigvalsh(a)
        self.assertGreater(spectrum.min(), 0.5)
        self.assertLess(spectrum.max(), 3.5)
        for name, inverse in peer_network.INVERSES:
            with self.subTest(name):
                close(inverse(a).double() @ a.double(), torch.eye(40).expand(3, 40, 40))

    def test_layer_sets_are_read_as_they_were_written(self):
        layers = peer_layers.read(pathlib.Path(__file__).resolve().parent.parent / "layers" / "resnet50-imagenet.csv")
        self.assertEqual(54, len(layers))
        self.assertEqual(25_503_912, sum(l.outputs * l.d for l in layers))
        self.assertEqual((112, 112), (layers[0].out_height, layers[0].out_width))
        self.assertLess(len(peer_layers.distinct(layers)), 30)


if __name__ == "__main__":
    unittest.main()
