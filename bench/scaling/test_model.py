#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times: collectives, owners and steps where they can be computed by hand, and the directions in which they must change."""
import dataclasses
import itertools
import math
import random
import unittest

import balance
import collectives
import counts
import crossover
import layers
import model
import workers
from collectives import Link

PLAIN = Link("", 1e9, 1e-5)


class CollectivesTest(unittest.TestCase):
    def test_one_rank_needs_nothing(self):
        for function in (*collectives.ALL_REDUCE.values(), collectives.broadcast, collectives.all_gather):
            self.assertEqual(function(1, 1e6, PLAIN), 0)

    def test_two_ranks(self):
        """Half of the bytes each way and back, two messages."""
        self.assertAlmostEqual(collectives.ring(2, 1e6, PLAIN), 1e-3 + 2e-5)
        self.assertAlmostEqual(collectives.halving(2, 1e6, PLAIN), 1e-3 + 2e-5)
        self.assertAlmostEqual(collectives.tree(2, 1e6, PLAIN), 2e-3 + 2e-5)
        self.assertAlmostEqual(collectives.broadcast(2, 1e6, PLAIN), 1e-3 + 1e-5)
        self.assertAlmostEqual(collectives.all_gather(2, 1e6, PLAIN), 0.5e-3 + 1e-5)

    def test_more(self):
        self.assertAlmostEqual(collectives.ring(8, 1e6, PLAIN), 2 * 7 / 8 * 1e-3 + 14e-5)
        self.assertAlmostEqual(collectives.halving(8, 1e6, PLAIN), 2 * 7 / 8 * 1e-3 + 6e-5)
        self.assertAlmostEqual(collectives.halving(9, 1e6, PLAIN), 2 * 7 / 8 * 1e-3 + 6e-5 + 2e-3 + 2e-5)
        self.assertEqual([collectives.rounds(p) for p in (1, 2, 3, 8, 9, 1024)], [0, 1, 2, 3, 4, 10])

    def test_no_link(self):
        for bandwidth, latency in ((0, 0), (-1, 0), (1, -1), (math.nan, 0), (1, math.nan)):
            with self.assertRaisesRegex(ValueError, "bandwidth|latency"):
                Link("", bandwidth, latency)


class OwnersTest(unittest.TestCase):
    def test_by_hand(self):
        self.assertEqual(balance.owners([3, 5, 2, 4], 2), [1, 0, 0, 1])
        self.assertEqual(balance.longest([3, 5, 2, 4], 2), 7)
        self.assertEqual(balance.owners([1, 1, 1], 5), [0, 1, 2])
        with self.assertRaisesRegex(ValueError, "ranks is 0"):
            balance.owners([1], 0)

    def test_grahams_bound(self):
        """Against all assignments: never above 4/3 - 1/(3p) of the best. The textbook case reaches it."""
        rng = random.Random(1)
        cases = [([rng.randint(1, 30) for _ in range(7)], p) for p in (2, 3) for _ in range(20)] + [([5, 5, 4, 4, 3, 3, 3], 3)]
        worst = 0
        for costs, p in cases:
            every = itertools.product(range(p), repeat=len(costs))
            best = min(max(sum(c for c, r in zip(costs, ranks) if r == rank) for rank in range(p)) for ranks in every)
            ratio = balance.longest(costs, p) / best
            self.assertGreaterEqual(ratio, 1)
            self.assertLessEqual(ratio, 4 / 3 - 1 / (3 * p) + 1e-12)
            worst = max(worst, ratio)
        self.assertAlmostEqual(worst, 11 / 9)

    def test_bounds_of_a_network(self):
        costs = [workers.CORE.inverse_seconds(c.blocks) for c in counts.step(layers.resnet50(), counts.kfac()).layers]
        for p in (1, 8, 1024):
            self.assertGreaterEqual(balance.longest(costs, p) * (1 + 1e-12), max(max(costs), sum(costs) / p))


def uniform(count, size=128):
    """`count` layers whose inverses cost the same."""
    one = [layers.Layer(str(i), "dense", size, 4) for i in range(count)]
    return counts.step(layers.Network("uniform", tuple(one)), counts.recipe())


class CrossoverTest(unittest.TestCase):
    def test_closed_form(self):
        """16 equal layers of c seconds and n bytes on p ranks, no latency: 16 c (1 - 1/p) = log2(p) 16 n / B."""
        count = uniform(16)
        c = 128**3 / workers.CORE.inverse_rate(128)
        for p in (2, 4, 8, 16):
            b = math.log2(p) * 4 * 128 * 128 / (c * (1 - 1 / p))
            self.assertAlmostEqual(crossover.bandwidth(count, workers.CORE, p, 0) / b, 1, places=9)
            gathered = crossover.bandwidth(count, workers.CORE, p, 0, model.Options(gathered=True))
            self.assertAlmostEqual(gathered / (4 * 128 * 128 / c), 1, places=9)  # (p-1)/p on both sides

    def test_auto_takes_the_faster_side(self):
        count, auto = uniform(16), model.Options(owned=None)
        b = crossover.bandwidth(count, workers.CORE, 8, 1e-6)
        for factor, owned in ((0.9, False), (1.1, True)):
            link = Link("", factor * b, 1e-6)
            time = model.step(count, workers.CORE, 8, 4, link, auto)
            self.assertEqual(time, model.step(count, workers.CORE, 8, 4, link, model.Options(owned=owned)))
            other = model.step(count, workers.CORE, 8, 4, link, model.Options(owned=not owned))
            self.assertLess(time.total, other.total)

    def test_never(self):
        self.assertEqual(crossover.bandwidth(uniform(16), workers.GPU, 8, 1e-3), math.inf)  # 48 messages of a millisecond

    def test_ends(self):
        rows = [(1, 10.0, 0.0), (2, 6.0, 0.3), (4, 5.0, 0.5), (8, 5.5, 0.8)]
        self.assertEqual(crossover.end(rows), (4, 4))
        self.assertEqual(crossover.end(rows[:2]), (2, None))
        self.assertEqual([r for r, _, _ in crossover.strong(uniform(1), workers.CORE, 40, PLAIN)], [1, 2, 4, 8, 16, 32])


class StepTest(unittest.TestCase):
    network = layers.by_name("mlp")
    count = counts.step(network, counts.recipe())

    def test_one_rank(self):
        time = model.step(self.count, workers.CORE, 1, 256, None)
        self.assertEqual((time.communication, time.copies, time.drawn), (0, 0, 0))
        self.assertAlmostEqual(time.passes, 6 * 256 * 235_146 / 95e9)
        small = 1 + 17**3 / 13.6e9 + 1 / 13.6e9  # rates are those of 32 rows below it
        self.assertAlmostEqual(time.inverses * 100, 9 * 128**3 / 53.8e9 + small - 1 + 1 / 13.6e9, places=9)
        self.assertAlmostEqual(time.update, 28 * 235_146 / 22.7e9)
        self.assertAlmostEqual(time.total, sum(dataclasses.astuple(time)))

    def test_communication_of_two(self):
        time = model.step(self.count, workers.CORE, 2, 128, PLAIN)
        self.assertEqual(time.gradients, 0)  # behind the backward pass
        plain = model.step(self.count, workers.CORE, 2, 128, PLAIN, model.Options(copies=3, overlap=False))
        self.assertAlmostEqual(plain.gradients, 4 * 235_146 / 1e9 + 2e-5)
        self.assertAlmostEqual(plain.agreement, 8 * (20 + 7) / 1e9 + 2e-5)
        self.assertAlmostEqual(time.agreement, plain.agreement + 4 * 6 / 1e9 + 2e-5)
        self.assertAlmostEqual(plain.copies, 3 * 8 * 235_146 / 22.7e9)
        floats = sum(c.sums for c in self.count.layers)
        self.assertAlmostEqual(time.sums * 20, (4 * floats + 8 * 432) / 1e9 + 4e-5)
        self.assertAlmostEqual(time.copies, 2 * 8 * 235_146 / 22.7e9)
        self.assertEqual(time.statistics, model.step(self.count, workers.CORE, 4, 16, PLAIN).statistics + 16 * self.count.total("syrk") / 82e9 / 20)

    def test_options(self):
        def changed(**options):
            return model.step(self.count, workers.CORE, 8, 4, PLAIN, model.Options(**{"overlap": False, **options}))

        plain = changed()

        wire = 2 * 7 / 8 / 1e9
        half = sum(c.sums for c in self.count.layers) * 2
        self.assertAlmostEqual(plain.sums - changed(half_sums=True).sums, half * wire / 20)
        triangles = 4 * sum(c.sums - c.triangles for c in self.count.layers)
        self.assertAlmostEqual(plain.sums - changed(triangles=True).sums, triangles * wire / 20)
        self.assertAlmostEqual(plain.gradients - changed(half_gradients=True).gradients, 2 * 235_146 * wire)
        self.assertAlmostEqual(plain.gradients - changed(overlap=True).gradients, 2 / 3 * plain.passes)
        self.assertLess(plain.agreement, changed(overlap=True).agreement)
        self.assertAlmostEqual(plain.gradients - changed(all_reduce="halving").gradients, (14 - 6) * 1e-5)
        self.assertEqual(changed(copies=0).copies, 0)
        self.assertGreaterEqual(model.step(self.count, workers.CORE, 2, 512, PLAIN, model.Options()).gradients, 0)

    def test_buckets(self):
        self.assertEqual(model.buckets(1000, 8), [1000])
        self.assertEqual(model.buckets(16 << 20, 2), [1 << 20] + 7 * [2 << 20] + [1 << 20])
        self.assertEqual(model.buckets(400 << 20, 8), [1 << 20] + 15 * [25 << 20] + [24 << 20])
        self.assertEqual(model.buckets(300 << 20, 1024), [32 << 20, 256 << 20, 12 << 20])

    def test_monotone(self):
        """Faster links and machines, fewer bytes: never slower. More ranks: more to say."""
        for network in (layers.resnet50(), layers.transformer_big()):
            for preset in (counts.recipe(), counts.block_kronecker(network, 9999)):
                count = counts.step(network, preset)
                for owned in (False, True):
                    options = model.Options(owned=owned)
                    times = [model.step(count, workers.NODE, 64, 32, collectives.gbit(g, 1e-5), options).total for g in (1, 10, 100, 400)]
                    self.assertEqual(times, sorted(times, reverse=True))
                    said = [model.step(count, workers.NODE, p, 32, PLAIN, options).communication for p in (1, 2, 8, 64, 512)]
                    self.assertEqual(said, sorted(said))
                computed = [model.owned(count, workers.NODE, p) for p in (1, 2, 4, 16, 64)]
                self.assertEqual(computed, sorted(computed, reverse=True))
                self.assertAlmostEqual(computed[0], model.replicated(count, workers.NODE))
        rates = [workers.CORE.inverse_rate(n) for n in (1, 32, 50, 64, 100, 128, 1000, 2048, 9999)]
        self.assertEqual(rates, sorted(rates))
        self.assertEqual(workers.CORE.inverse_rate(128), 53.8e9)

    def test_strong_scaling_shares_the_passes(self):
        alone = model.step(self.count, workers.CORE, 1, 256, None)
        self.assertAlmostEqual(model.step(self.count, workers.CORE, 8, 32, PLAIN).passes, alone.passes / 8)

    def test_only_the_core_is_measured(self):
        self.assertEqual([w.name for w in workers.ALL.values() if w.measured], ["core"])
        for w in workers.ALL.values():
            self.assertTrue(w.source.startswith("measured" if w.measured else "assumed"), w.source)

    def test_refused(self):
        with self.assertRaisesRegex(ValueError, "ranks is 0"):
            model.step(self.count, workers.CORE, 0, 1, PLAIN)
        with self.assertRaisesRegex(ValueError, "samples is 0"):
            model.step(self.count, workers.CORE, 1, 0, PLAIN)


if __name__ == "__main__":
    unittest.main()
