// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.InversePlacement;
import org.lngd4j.KernelTimes;
import org.lngd4j.LngdOptions;
import org.lngd4j.gloo.Ranks;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.pytorch.LngdTorch;

/** The copy of a PyTorch module that a rank trains. */
@SuppressWarnings("try") // scopes that are only opened and closed
final class TorchRank<M extends Module, S> implements RankNetwork<S> {
    /**
     * PyTorch has one generator for a process, and several ranks may be threads of one: none draws
     * initial weights in the midst of another.
     */
    private static final Object GENERATOR = new Object();

    /**
     * Bytes of gradients up to which they are added in the step. They would be one bucket, behind
     * which nothing is left of the backward pass, and two short collectives more cost 3 to 6 % of a
     * step of 784-256-128-10 (docs/scaling.md).
     */
    private static final long ONE_BUCKET = 1L << 20;

    private final TorchNetwork<M, S> network;
    private final long seed;
    private final int rank;
    private M model;
    private LngdOptions options;
    private LngdTorch lngd; // null: not attached
    private boolean overlap; // gradients are added during the backward pass

    TorchRank(TorchNetwork<M, S> network, long seed, int rank) {
        this.network = network;
        this.seed = seed;
        this.rank = rank;
    }

    /** A module with the initial weights of a seed. */
    static <M extends Module> M create(TorchNetwork<M, ?> network, long seed) {
        synchronized (GENERATOR) {
            torch.manual_seed(seed);
            M model = network.create();
            if (model == null) {
                throw new LngdArgumentException("TorchNetwork.create() gave null");
            }
            return model;
        }
    }

    @Override
    public void prepare(long totalSteps, int batch, int cpus) {
        torch.set_num_threads(cpus);
        model = create(network, seed);
        LngdOptions chosen = network.options(model, totalSteps, batch);
        if (chosen == null) {
            throw new LngdArgumentException("TorchNetwork.options(...) gave null");
        }
        options = chosen.threads() == 0 ? chosen.toBuilder().threads(cpus).build() : chosen;
    }

    @Override
    public void attach(Ranks ranks, InversePlacement inverses) {
        lngd = LngdTorch.attach(model, options, network.others(), ranks, inverses);
        overlap = Weights.bytes(model) > ONE_BUCKET;
    }

    @Override
    public double step(List<S> share, long first) {
        try (PointerScope scope = new PointerScope()) {
            // What dropout draws depends on the step alone, so that a run that goes on from a
            // checkpoint draws the same.
            torch.manual_seed(Sampling.mix(Sampling.mix(seed, lngd.steps()), rank));
            lngd.share(first, share.size());
            double sum = 0;
            if (share.isEmpty()) {
                if (overlap) {
                    lngd.backwardWithoutSamples();
                }
            } else {
                Tensor loss = network.loss(model, share);
                checkLoss(loss);
                if (overlap) {
                    lngd.backward(loss);
                } else {
                    loss.backward();
                }
                sum = loss.item_double() * share.size();
            }
            lngd.step();
            lngd.zeroGrad();
            return sum;
        }
    }

    private static void checkLoss(Tensor loss) {
        if (loss == null || !loss.defined() || loss.numel() != 1) {
            throw new LngdArgumentException(
                    "TorchNetwork.loss(...) gave "
                            + (loss == null || !loss.defined()
                                    ? "no tensor"
                                    : loss.numel() + " numbers")
                            + ", allowed is one number, the mean over the samples");
        }
    }

    @Override
    public void epoch(int epoch) {
        lngd.epoch(epoch);
    }

    @Override
    public long steps() {
        return lngd.steps();
    }

    @Override
    public void save(OutputStream out) throws IOException {
        DataOutputStream data = new DataOutputStream(out);
        Weights.write(model, data);
        data.flush();
        lngd.saveState(out);
    }

    @Override
    public void restore(InputStream in) throws IOException {
        Weights.read(model, new DataInputStream(in));
        lngd.restoreState(in);
    }

    @Override
    public String report() {
        return options.reason() + System.lineSeparator() + lngd.report();
    }

    @Override
    public KernelTimes times() {
        return lngd.times();
    }

    @Override
    public void finish() {
        lngd.close();
        lngd = null;
    }

    @Override
    public long checksum() {
        return Weights.checksum(model);
    }

    @Override
    public void write(OutputStream out) throws IOException {
        Weights.write(model, new DataOutputStream(out));
    }

    @Override
    public void close() {
        if (lngd != null) {
            lngd.close();
            lngd = null;
        }
    }
}
