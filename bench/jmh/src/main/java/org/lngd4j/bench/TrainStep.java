// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.bench;

import java.util.concurrent.TimeUnit;
import org.deeplearning4j.nn.conf.MultiLayerConfiguration;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.nn.weights.WeightInit;
import org.lngd4j.LngdOptions;
import org.lngd4j.dl4j.Lngd;
import org.lngd4j.dl4j.LngdTraining;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.learning.config.Nesterovs;
import org.nd4j.linalg.learning.config.Sgd;
import org.nd4j.linalg.lossfunctions.LossFunctions.LossFunction;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * A whole training step in DL4J, MLP 784-256-128-10 at batch 256: {@code net.fit(dataSet)} with
 * DL4J's own updaters and with LNGD attached. Threads come from OMP_NUM_THREADS for ND4J and from
 * the parameter for LNGD; bench/jmh/run.sh sets both alike.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 3)
@Measurement(iterations = 7, time = 3)
@Fork(1)
public class TrainStep {
    /**
     * lngd: the default preset; lngd-full: full Phi and intervals of 100; lngd-paper: the paper's
     * preset; lngd-kronecker: BLOCK_KRONECKER; lngd-orthogonal: with whitened orthogonalisation.
     */
    @Param({
        "sgd",
        "nesterovs",
        "adam",
        "lngd",
        "lngd-full",
        "lngd-paper",
        "lngd-kronecker",
        "lngd-orthogonal"
    })
    public String optimizer;

    @Param("1")
    public int threads;

    private MultiLayerNetwork net;
    private LngdTraining lngd;
    private DataSet batch;

    @Setup
    public void open() {
        Nd4j.getRandom().setSeed(1);
        // Rates so small that thousands of steps on one batch neither converge to zero gradients
        // nor diverge.
        IUpdater updater =
                switch (optimizer) {
                    case "nesterovs" -> new Nesterovs(1e-6, 0.9);
                    case "adam" -> new Adam(1e-8);
                    default -> new Sgd(1e-6);
                };
        MultiLayerConfiguration conf =
                new NeuralNetConfiguration.Builder()
                        .seed(1)
                        .updater(updater)
                        .weightInit(WeightInit.RELU)
                        .activation(Activation.RELU)
                        .list()
                        .layer(new DenseLayer.Builder().nIn(784).nOut(256).build())
                        .layer(new DenseLayer.Builder().nIn(256).nOut(128).build())
                        .layer(
                                new OutputLayer.Builder(LossFunction.MCXENT)
                                        .nIn(128)
                                        .nOut(10)
                                        .activation(Activation.SOFTMAX)
                                        .build())
                        .build();
        net = new MultiLayerNetwork(conf);
        net.init();
        INDArray labels = Nd4j.zeros(256, 10);
        for (int i = 0; i < 256; i++) {
            labels.putScalar(i, i % 10, 1.0);
        }
        batch = new DataSet(Nd4j.rand(256, 784), labels);
        LngdOptions options =
                switch (optimizer) {
                    case "lngd" -> quiet(LngdOptions.recipe(1410));
                    case "lngd-full" ->
                            quiet(
                                    LngdOptions.recipe(1410)
                                            .blockSize(0)
                                            .statisticsSamples(0)
                                            .statisticsInterval(100)
                                            .inverseInterval(100));
                    case "lngd-paper" -> quiet(LngdOptions.paper());
                    case "lngd-kronecker" -> quiet(LngdOptions.blockKronecker(1410));
                    case "lngd-orthogonal" ->
                            quiet(
                                    LngdOptions.blockKronecker(1410)
                                            .orthogonalise(true)
                                            .nesterov(true));
                    default -> null;
                };
        if (options != null) {
            lngd = Lngd.attach(net, options);
        }
    }

    private LngdOptions quiet(LngdOptions.Builder builder) {
        return builder.threads(threads).schedule((step, epoch) -> 1e-6).build();
    }

    @Benchmark
    public void fit() {
        net.fit(batch);
    }

    @TearDown
    public void close() {
        if (lngd != null) {
            lngd.close();
        }
    }
}
