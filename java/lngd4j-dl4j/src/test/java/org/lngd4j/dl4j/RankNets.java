// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.util.Random;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.conf.GradientNormalization;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.constraint.MaxNormConstraint;
import org.deeplearning4j.nn.conf.graph.MergeVertex;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.LSTM;
import org.deeplearning4j.nn.conf.layers.Layer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.conf.layers.PReLULayer;
import org.deeplearning4j.nn.conf.layers.RnnOutputLayer;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.lngd4j.gloo.Ranks;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.INDArrayIndex;
import org.nd4j.linalg.indexing.NDArrayIndex;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.lossfunctions.LossFunctions.LossFunction;

/** Networks and batches that several processes train together. */
enum RankNets {
    /** Dense layers alone. */
    MLP,
    /** All terms of DL4J that act on the gradient or the parameters of a whole batch. */
    REGULARISED,
    /** Two paths of convolutions, a parametric ReLU that Adam trains, and a merge. */
    GRAPH,
    /** Masked sequences through an LSTM that Adam trains. */
    MASKED,
    /** Batch normalisation. */
    NORMALISED,
    /** Dropout, which draws from the generator of each process. */
    DROPOUT;

    /** Samples of a whole batch. */
    static final int BATCH = 12;

    private static final int LAST = 7; // of every fifth batch: an uneven one
    private static final int TIMES = 5;
    private static final int SIDE = 4;

    Model net(long seed) {
        NeuralNetConfiguration.Builder builder =
                new NeuralNetConfiguration.Builder().seed(seed).updater(new Adam(1e-2));
        return switch (this) {
            case MLP ->
                    net(
                            builder,
                            Nets.dense(Nets.INPUTS, 9, Activation.TANH),
                            Nets.dense(9, 8, Activation.RELU),
                            Nets.softmax(8));
            case REGULARISED ->
                    net(
                            builder.l1(1e-3)
                                    .l2(1e-2)
                                    .weightDecayBias(1e-2)
                                    .gradientNormalization(GradientNormalization.ClipL2PerLayer)
                                    .gradientNormalizationThreshold(0.05),
                            new DenseLayer.Builder()
                                    .nIn(Nets.INPUTS)
                                    .nOut(9)
                                    .activation(Activation.TANH)
                                    .constrainWeights(new MaxNormConstraint(1.2, 1))
                                    .build(),
                            prelu(9),
                            Nets.softmax(9));
            case MASKED ->
                    net(
                            builder,
                            new LSTM.Builder().nIn(Nets.INPUTS).nOut(6).build(),
                            new RnnOutputLayer.Builder(LossFunction.MCXENT)
                                    .nIn(6)
                                    .nOut(Nets.CLASSES)
                                    .activation(Activation.SOFTMAX)
                                    .build());
            case NORMALISED ->
                    net(
                            builder,
                            Nets.dense(Nets.INPUTS, 9, Activation.IDENTITY),
                            new BatchNormalization.Builder()
                                    .nIn(9)
                                    .nOut(9)
                                    .useLogStd(false)
                                    .build(),
                            Nets.softmax(9));
            case DROPOUT ->
                    net(
                            builder.dropOut(0.8),
                            Nets.dense(Nets.INPUTS, 9, Activation.TANH),
                            Nets.softmax(9));
            case GRAPH -> graph(builder);
        };
    }

    private static PReLULayer prelu(int size) {
        PReLULayer layer = new PReLULayer.Builder().inputShape(size).build();
        layer.setNIn(size);
        layer.setNOut(size);
        return layer;
    }

    private static MultiLayerNetwork net(NeuralNetConfiguration.Builder builder, Layer... layers) {
        NeuralNetConfiguration.ListBuilder list = builder.list();
        for (Layer layer : layers) {
            list.layer(layer);
        }
        MultiLayerNetwork net = new MultiLayerNetwork(list.build());
        net.init();
        return net;
    }

    private static ComputationGraph graph(NeuralNetConfiguration.Builder builder) {
        ComputationGraph graph =
                new ComputationGraph(
                        builder.graphBuilder()
                                .addInputs("in")
                                .setInputTypes(InputType.convolutional(SIDE, SIDE, 2))
                                .addLayer("left", convolution(), "in")
                                .addLayer("right", convolution(), "in")
                                .addLayer(
                                        "slopes",
                                        new PReLULayer.Builder().inputShape(3, 2, 2).build(),
                                        "left")
                                .addVertex("both", new MergeVertex(), "slopes", "right")
                                .addLayer(
                                        "out",
                                        new OutputLayer.Builder(LossFunction.MCXENT)
                                                .nOut(Nets.CLASSES)
                                                .activation(Activation.SOFTMAX)
                                                .build(),
                                        "both")
                                .setOutputs("out")
                                .build());
        graph.init();
        return graph;
    }

    private static ConvolutionLayer convolution() {
        return new ConvolutionLayer.Builder(3, 3).nOut(3).activation(Activation.TANH).build();
    }

    /** The whole batch of a step. */
    DataSet batch(int step) {
        int samples = samples(step);
        Random random = new Random(500 + step);
        if (this == GRAPH) {
            INDArray x = normal(random, samples, 2, SIDE, SIDE);
            return new DataSet(x, labels(random, samples));
        }
        if (this != MASKED) {
            return Nets.data(samples, 100 + step, 1);
        }
        INDArray x = normal(random, samples, Nets.INPUTS, TIMES);
        INDArray y = Nd4j.zeros(samples, Nets.CLASSES, TIMES);
        INDArray mask = Nd4j.zeros(samples, TIMES);
        for (int n = 0; n < samples; n++) {
            int length = 1 + random.nextInt(TIMES);
            for (int t = 0; t < TIMES; t++) {
                y.putScalar(new int[] {n, random.nextInt(Nets.CLASSES), t}, 1);
                mask.putScalar(n, t, t < length ? 1 : 0);
            }
        }
        return new DataSet(x, y, mask, mask.dup());
    }

    private static INDArray normal(Random random, long... shape) {
        INDArray x = Nd4j.create(shape);
        for (long i = 0; i < x.length(); i++) {
            x.putScalar(i, random.nextGaussian());
        }
        return x;
    }

    private static INDArray labels(Random random, int samples) {
        INDArray y = Nd4j.zeros(samples, Nets.CLASSES);
        for (int n = 0; n < samples; n++) {
            y.putScalar(n, random.nextInt(Nets.CLASSES), 1);
        }
        return y;
    }

    /** Some samples of a batch. */
    static DataSet share(DataSet batch, int first, int samples) {
        return new DataSet(
                rows(batch.getFeatures(), first, samples),
                rows(batch.getLabels(), first, samples),
                rows(batch.getFeaturesMaskArray(), first, samples),
                rows(batch.getLabelsMaskArray(), first, samples));
    }

    private static INDArray rows(INDArray array, int first, int samples) {
        if (array == null) {
            return null;
        }
        INDArrayIndex[] part = new INDArrayIndex[array.rank()];
        java.util.Arrays.fill(part, NDArrayIndex.all());
        part[0] = NDArrayIndex.interval(first, first + samples);
        return array.get(part).dup();
    }

    /** A network for each of two ranks, made in one thread: ND4J's generator is one for all. */
    Model[] two() {
        return new Model[] {net(1), net(2)};
    }

    /** Steps of one rank. */
    void train(Model net, DataParallel lngd, Ranks ranks, int from, int to) {
        for (int step = from; step < to; step++) {
            RankProgram.step(net, lngd, ranks, step, batch(step));
        }
    }

    static void fit(Model net, DataSet batch) {
        if (net instanceof MultiLayerNetwork layers) {
            layers.fit(batch);
        } else {
            ((ComputationGraph) net).fit(batch);
        }
    }

    static float[] weights(Model net) {
        return net.params().dup().data().asFloat();
    }

    /** The batches are not all of one size. */
    static int samples(int step) {
        return step % 5 == 4 ? LAST : BATCH;
    }

    /** Where the share of each rank begins, and the end: of two, uneven, and sometimes empty. */
    static int[] bounds(int step, int size) {
        if (size == 1) {
            return new int[] {0, samples(step)};
        }
        int middle =
                switch (step % 5) {
                    case 2 -> 0; // rank 0 has nothing
                    case 3 -> BATCH; // rank 1 has nothing
                    case 4 -> 5; // of 7
                    default -> BATCH / 2;
                };
        return new int[] {0, middle, samples(step)};
    }
}
