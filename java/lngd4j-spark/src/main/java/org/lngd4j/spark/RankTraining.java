// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.lngd4j.KernelTimes;
import org.lngd4j.gloo.CollectiveTimes;
import org.lngd4j.gloo.Ranks;

/** The steps of a rank, from where it stands to the end. */
@SuppressWarnings("try") // scopes that are only opened and closed
final class RankTraining<S> {
    private static final double NANOS = 1e9;

    private final RankNetwork<S> network;
    private final Ranks ranks;
    private final Sampling sampling;
    private final List<S> samples;
    private final long end;
    private final List<EpochMetrics> epochs = new ArrayList<>();
    private double lossSum; // of this epoch, of this rank
    private long lossSamples;
    private long epochSteps;
    private long epochStart;

    RankTraining(
            RankNetwork<S> network, Ranks ranks, Sampling sampling, List<S> samples, int epochs) {
        this.network = network;
        this.ranks = ranks;
        this.sampling = sampling;
        this.samples = samples;
        this.end = sampling.stepsPerEpoch() * epochs;
    }

    RankResult run(Checkpoints checkpoints, Metrics metrics, String host) throws IOException {
        CollectiveTimes before = ranks.times();
        KernelTimes kernels = network.times();
        long start = System.nanoTime();
        long from = network.steps();
        epochStart = start;
        if (ranks.rank() == 0) {
            metrics.steps().add(from);
        }
        for (long step = from; step < end; step++) {
            step(step, metrics);
            if (ranks.rank() == 0) {
                checkpoints.stepped(network, step + 1 == end);
            }
            if ((step + 1) % sampling.stepsPerEpoch() == 0) {
                endEpoch(step);
            }
        }
        RankReport report = report(host, from, start, before, kernels);
        String registration = network.report();
        network.finish();
        ByteChunks weights = new ByteChunks();
        boolean first = ranks.rank() == 0;
        if (first) {
            network.write(weights);
        }
        return new RankResult(
                ranks.rank(),
                null,
                report,
                network.checksum(),
                weights.chunks(),
                first ? epochs : List.of(),
                first ? registration : "");
    }

    private void step(long step, Metrics metrics) {
        int epoch = (int) (step / sampling.stepsPerEpoch());
        if (step % sampling.stepsPerEpoch() == 0) {
            network.epoch(epoch);
        }
        List<S> share = new ArrayList<>();
        for (int i : sampling.indexes(ranks.rank(), step)) {
            share.add(samples.get(i));
        }
        double loss;
        try {
            loss = network.step(share, sampling.first(ranks.rank(), step));
        } catch (RuntimeException | Error e) {
            ranks.abandon("step " + step + " failed: " + e.getMessage());
            throw e;
        }
        lossSum += loss;
        lossSamples += share.size();
        epochSteps++;
        metrics.samples().add(share.size());
        metrics.loss().add(loss);
        if (ranks.rank() == 0) {
            metrics.steps().add(1);
        }
    }

    private void endEpoch(long step) {
        long now = System.nanoTime();
        double[] sums = {lossSum, lossSamples};
        try (PointerScope scope = new PointerScope()) {
            Tensor all = Tensor.create(sums);
            ranks.sum(all);
            new DoublePointer(all.data_ptr()).get(sums);
        }
        epochs.add(
                new EpochMetrics(
                        (int) (step / sampling.stepsPerEpoch()),
                        epochSteps,
                        (long) sums[1],
                        sums[0] / sums[1],
                        (now - epochStart) / NANOS));
        lossSum = 0;
        lossSamples = 0;
        epochSteps = 0;
        epochStart = now;
    }

    private RankReport report(
            String host, long from, long start, CollectiveTimes before, KernelTimes kernels) {
        CollectiveTimes after = ranks.times();
        KernelTimes now = network.times();
        long update =
                now.total()
                        - now.statistics()
                        - now.inverse()
                        - (kernels.total() - kernels.statistics() - kernels.inverse());
        return new RankReport(
                ranks.rank(),
                host,
                samples.size(),
                end - from,
                (System.nanoTime() - start) / NANOS,
                (after.nanos() - before.nanos()) / NANOS,
                after.calls() - before.calls(),
                after.bytes() - before.bytes(),
                (now.statistics() - kernels.statistics()) / NANOS,
                (now.inverse() - kernels.inverse()) / NANOS,
                update / NANOS);
    }
}
