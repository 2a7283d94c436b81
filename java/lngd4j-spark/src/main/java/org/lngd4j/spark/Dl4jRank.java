// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.zip.CRC32C;
import java.util.zip.CheckedOutputStream;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.lngd4j.InversePlacement;
import org.lngd4j.KernelTimes;
import org.lngd4j.LngdOptions;
import org.lngd4j.dl4j.AttachOptions;
import org.lngd4j.dl4j.DataParallel;
import org.lngd4j.gloo.Ranks;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdStateDataException;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.factory.Nd4j;

/** The copy of a DL4J network that a rank trains. */
final class Dl4jRank<N extends Model, S> implements RankNetwork<S> {
    private final Dl4jNetwork<N, S> network;
    private final long seed;
    private final int rank;
    private N model;
    private LngdOptions options;
    private DataParallel parallel; // null: not attached

    Dl4jRank(Dl4jNetwork<N, S> network, long seed, int rank) {
        this.network = network;
        this.seed = seed;
        this.rank = rank;
        NativeCache.ofThisExecutor();
        Nd4j.getRandom(); // loads its natives: see NativeCache.load
    }

    /** An initialised network. */
    static <N extends Model> N create(Dl4jNetwork<N, ?> network, long seed) {
        Nd4j.getRandom().setSeed(seed);
        N model = network.create();
        if (model instanceof MultiLayerNetwork net) {
            net.init();
        } else if (model instanceof ComputationGraph graph) {
            graph.init();
        } else {
            throw new LngdArgumentException(
                    "Dl4jNetwork.create() gave "
                            + (model == null ? "null" : "a " + model.getClass().getName())
                            + ", allowed is a MultiLayerNetwork or a ComputationGraph");
        }
        return model;
    }

    @Override
    public void prepare(long totalSteps, int batch, int cpus) {
        model = create(network, seed);
        LngdOptions chosen = network.options(model, totalSteps, batch);
        if (chosen == null) {
            throw new LngdArgumentException("Dl4jNetwork.options(...) gave null");
        }
        options = chosen.threads() == 0 ? chosen.toBuilder().threads(cpus).build() : chosen;
    }

    @Override
    public void attach(Ranks ranks, InversePlacement inverses) {
        AttachOptions attach = network.attachOptions();
        parallel =
                model instanceof ComputationGraph graph
                        ? DataParallel.attach(graph, options, attach, ranks, inverses)
                        : DataParallel.attach(
                                (MultiLayerNetwork) model, options, attach, ranks, inverses);
    }

    @Override
    public double step(List<S> share, long first) {
        // What dropout draws depends on the step alone, so that a run that goes on from a
        // checkpoint draws the same.
        Nd4j.getRandom().setSeed(Sampling.mix(Sampling.mix(seed, steps()), rank));
        if (share.isEmpty()) {
            parallel.stepWithoutSamples();
            return 0;
        }
        DataSet batch = network.batch(share);
        if (batch == null || batch.numExamples() != share.size()) {
            throw new LngdArgumentException(
                    "Dl4jNetwork.batch(...) gave "
                            + (batch == null ? "null" : batch.numExamples() + " samples")
                            + ", allowed are those it was given, "
                            + share.size());
        }
        parallel.share(first, share.size());
        if (model instanceof ComputationGraph graph) {
            graph.fit(batch);
        } else {
            ((MultiLayerNetwork) model).fit(batch);
        }
        return model.score() * share.size();
    }

    /** DL4J counts epochs itself, and LNGD reads them there. */
    @Override
    public void epoch(int epoch) {
        if (model instanceof ComputationGraph graph) {
            graph.getConfiguration().setEpochCount(epoch);
        } else {
            ((MultiLayerNetwork) model).getLayerWiseConfigurations().setEpochCount(epoch);
        }
    }

    @Override
    public long steps() {
        return parallel.training().steps();
    }

    @Override
    public void save(OutputStream out) throws IOException {
        Path file = Files.createTempFile("lngd-checkpoint-", ".zip");
        try {
            parallel.training().save(file);
            Files.copy(file, out);
        } finally {
            Files.deleteIfExists(file);
        }
    }

    @Override
    public void restore(InputStream in) throws IOException {
        Path file = Files.createTempFile("lngd-checkpoint-", ".zip");
        try {
            Files.copy(in, file, StandardCopyOption.REPLACE_EXISTING);
            parallel.training().restore(file);
        } finally {
            Files.deleteIfExists(file);
        }
    }

    @Override
    public String report() {
        return options.reason() + System.lineSeparator() + parallel.training().report();
    }

    @Override
    public KernelTimes times() {
        return parallel.training().times();
    }

    @Override
    public void finish() {
        parallel.close();
        parallel = null;
    }

    @Override
    public long checksum() {
        CRC32C crc = new CRC32C();
        try {
            write(new CheckedOutputStream(OutputStream.nullOutputStream(), crc));
        } catch (IOException e) { // not to nowhere
            throw new UncheckedIOException(e);
        }
        return crc.getValue();
    }

    @Override
    public void write(OutputStream out) throws IOException {
        float[] parameters = model.params().toFloatVector();
        DataOutputStream data = new DataOutputStream(new BufferedOutputStream(out));
        data.writeInt(parameters.length);
        for (float parameter : parameters) {
            data.writeFloat(parameter);
        }
        data.flush();
    }

    /** Reads parameters into a network of the same kind. */
    static void read(Model model, InputStream in) throws IOException {
        DataInputStream data = new DataInputStream(new BufferedInputStream(in));
        float[] parameters = new float[data.readInt()];
        if (parameters.length != model.numParams()) {
            throw new LngdStateDataException(
                    "there are "
                            + parameters.length
                            + " parameters, this network has "
                            + model.numParams());
        }
        for (int i = 0; i < parameters.length; i++) {
            parameters[i] = data.readFloat();
        }
        model.setParams(Nd4j.createFromArray(new float[][] {parameters}));
    }

    @Override
    public void close() {
        if (parallel != null) {
            parallel.close();
            parallel = null;
        }
    }
}
