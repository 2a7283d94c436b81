// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.deeplearning4j.nn.conf.ConvolutionMode;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.graph.ElementWiseVertex;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.conf.layers.Convolution1DLayer;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.EmbeddingSequenceLayer;
import org.deeplearning4j.nn.conf.layers.GlobalPoolingLayer;
import org.deeplearning4j.nn.conf.layers.Layer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.conf.layers.PoolingType;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.lngd4j.Field;
import org.lngd4j.Fisher;
import org.lngd4j.LayerRegistration;
import org.lngd4j.LayerSpec;
import org.lngd4j.LayerTensors;
import org.lngd4j.LngdOptimizer;
import org.lngd4j.LngdOptions;
import org.lngd4j.Signal;
import org.lngd4j.StepPlan;
import org.lngd4j.Treatment;
import org.lngd4j.UpdateMode;
import org.lngd4j.adapter.TargetNoise;
import org.lngd4j.nd4j.Nd4jOptimizer;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.dataset.MultiDataSet;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.learning.config.Sgd;
import org.nd4j.linalg.lossfunctions.LossFunctions.LossFunction;

/** Fisher.PROVIDED: gradients of targets that the network draws itself, held against DL4J's own. */
@SuppressWarnings("try") // attachments that are only opened and closed
class SampledFisherTest {
    private static final int SAMPLES = 6;
    static final LngdOptions OPTIONS =
            LngdOptions.recipe(40)
                    .fisher(Fisher.PROVIDED)
                    .statisticsInterval(1)
                    .inverseInterval(1)
                    .statisticsSamples(SAMPLES)
                    .blockSize(0)
                    .seed(11)
                    .build();
    // Deltas of every step, and LNGD standing still.
    private static final LngdOptions DELTAS =
            LngdOptions.recipeEmpirical(40).schedule((s, e) -> 0).build();

    static OutputLayer output(LossFunction loss, Activation phi) {
        return new OutputLayer.Builder(loss).nOut(Nets.CLASSES).activation(phi).build();
    }

    static MultiLayerNetwork images(IUpdater updater, Layer... layers) {
        NeuralNetConfiguration.ListBuilder list =
                new NeuralNetConfiguration.Builder().seed(7).updater(updater).list();
        for (Layer layer : layers) {
            list.layer(layer);
        }
        // The 12 inputs as one channel of 3 x 4.
        list.setInputType(InputType.convolutionalFlat(3, 4, 1));
        MultiLayerNetwork net = new MultiLayerNetwork(list.build());
        net.init();
        return net;
    }

    static ConvolutionLayer conv(Activation phi) {
        return new ConvolutionLayer.Builder(2, 2).nOut(3).activation(phi).build();
    }

    private static MultiLayerNetwork convolutional(LossFunction loss, Activation phi) {
        return images(
                new Sgd(0.1),
                conv(Activation.RELU),
                new ConvolutionLayer.Builder(3, 3)
                        .nOut(2)
                        .convolutionMode(ConvolutionMode.Same)
                        .activation(Activation.TANH)
                        .build(),
                new DenseLayer.Builder().nOut(5).activation(Activation.SIGMOID).build(),
                output(loss, phi));
    }

    /** What is to be drawn for each row of predictions, with the numbers of TargetNoise. */
    static INDArray targets(INDArray p, PredictiveModel model, long step, int at) {
        TargetNoise noise = new TargetNoise(OPTIONS.seed(), step, at);
        INDArray y = Nd4j.zeros(p.shape());
        for (int n = 0; n < p.size(0); n++) {
            double passed = 0;
            double u = noise.uniform(n);
            for (int i = 0; i < p.size(1); i++) {
                long element = n * p.size(1) + i;
                double value = p.getDouble(n, i);
                switch (model) {
                    case CATEGORICAL -> {
                        y.putScalar(n, i, passed <= u && u < passed + value ? 1 : 0);
                        passed += value;
                    }
                    case BERNOULLI -> y.putScalar(n, i, noise.uniform(element) < value ? 1 : 0);
                    case GAUSSIAN -> y.putScalar(n, i, value + noise.normal(element));
                    default -> throw new AssertionError();
                }
            }
        }
        return y;
    }

    /** Inputs and deltas of every layer of LNGD, the samples put in one by one. */
    static List<List<INDArray>> oneByOne(
            MultiLayerNetwork net, INDArray x, INDArray y, double scale) {
        List<List<INDArray>> rows = new ArrayList<>();
        try (LngdTraining lngd = Lngd.attach(net, DELTAS)) {
            for (int n = 0; n < x.size(0); n++) {
                net.setInput(x.getRow(n, true).dup());
                net.setLabels(y.getRow(n, true).dup());
                net.computeGradientAndScore();
                for (LayerCapture capture : lngd.captures()) {
                    rows.add(
                            List.of(
                                    Nets.inputs(capture.samples()).dup(),
                                    Nets.deltas(capture.samples()).mul(scale)));
                }
            }
            int layers = lngd.captures().size();
            List<List<INDArray>> result = new ArrayList<>();
            for (int layer = 0; layer < layers; layer++) {
                List<INDArray> a = new ArrayList<>();
                List<INDArray> g = new ArrayList<>();
                for (int i = layer; i < rows.size(); i += layers) {
                    a.add(rows.get(i).get(0));
                    g.add(rows.get(i).get(1));
                }
                result.add(
                        List.of(
                                Nd4j.concat(0, a.toArray(new INDArray[0])),
                                Nd4j.concat(0, g.toArray(new INDArray[0]))));
            }
            return result;
        }
    }

    /** Phi and psi as the library makes them of rows. */
    static void assertStatistics(
            LngdTraining lngd, LngdOptions options, List<List<INDArray>> rows) {
        List<LayerSpec> specs =
                lngd.report().with(Treatment.LNGD).stream().map(LayerRegistration::spec).toList();
        assertThat(rows).hasSameSizeAs(specs);
        try (LngdOptimizer core = LngdOptimizer.create(options, specs)) {
            Nd4jOptimizer twin = new Nd4jOptimizer(core);
            List<LayerTensors> tensors = new ArrayList<>();
            for (int i = 0; i < specs.size(); i++) {
                LayerSpec s = specs.get(i);
                twin.observe(i, rows.get(i).get(0), rows.get(i).get(1), Signal.GRADIENTS);
                tensors.add(
                        twin.tensors(
                                i,
                                Nd4j.ones(DataType.FLOAT, s.outputs(), s.weightColumns()),
                                s.bias() ? Nd4j.ones(DataType.FLOAT, s.outputs()) : null,
                                Nd4j.ones(DataType.FLOAT, s.outputs(), s.weightColumns()),
                                s.bias() ? Nd4j.ones(DataType.FLOAT, s.outputs()) : null));
            }
            try (StepPlan plan = core.plan(tensors, UpdateMode.WEIGHTS)) {
                plan.step(0);
            }
            for (int i = 0; i < specs.size(); i++) {
                for (Field field : new Field[] {Field.PHI, Field.PSI}) {
                    INDArray expected = twin.read(i, field);
                    INDArray actual = Nets.read(lngd, i, field);
                    double largest = expected.amaxNumber().doubleValue();
                    assertThat(largest).as("%s of layer %d", field, i).isGreaterThan(1e-9);
                    // Another batch size makes GEMMs round otherwise; squares of float32 results.
                    assertThat(actual.sub(expected).amaxNumber().doubleValue())
                            .as("%s of layer %d, largest %s", field, i, largest)
                            .isLessThanOrEqualTo(2e-5 * largest);
                }
            }
        }
    }

    static Stream<Object[]> outputs() {
        return Stream.of(
                new Object[] {
                    LossFunction.MCXENT, Activation.SOFTMAX, PredictiveModel.CATEGORICAL, 1.0
                },
                new Object[] {
                    LossFunction.XENT, Activation.SIGMOID, PredictiveModel.BERNOULLI, 1.0
                },
                // DL4J's losses are the squares themselves, and MSE their mean: 2 and 2/4 times
                // (f - y) phi', where -log p has 1.
                new Object[] {LossFunction.L2, Activation.TANH, PredictiveModel.GAUSSIAN, 0.5},
                new Object[] {
                    LossFunction.MSE,
                    Activation.SOFTMAX,
                    PredictiveModel.GAUSSIAN,
                    Nets.CLASSES / 2.0
                });
    }

    @ParameterizedTest(name = "{0} {1}")
    @MethodSource("outputs")
    void gradientsAreThoseOfDl4jForTheSameTargets(
            LossFunction loss, Activation phi, PredictiveModel model, double scale) {
        MultiLayerNetwork net = convolutional(loss, phi);
        DataSet data = Nets.data(SAMPLES + 3, 5, 1);
        INDArray x = data.getFeatures().get(NDArrayIndex.interval(0, SAMPLES), NDArrayIndex.all());
        INDArray y = targets(net.output(x), model, 0, 0);
        List<List<INDArray>> rows = oneByOne(net.clone(), x, y, scale);
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            assertThat(lngd.report().with(Treatment.LNGD)).hasSize(4);
            net.fit(data);
            assertStatistics(lngd, OPTIONS, rows);
        }
    }

    @Test
    void targetsAreDrawnWithTheProbabilitiesOfTheModel() {
        INDArray s = Nd4j.createFromArray(new float[][] {{0, 1, -1, 2}}).repeat(0, 20_000);
        INDArray p = Activation.SOFTMAX.getActivationFunction().getActivation(s.dup(), true);
        INDArray g =
                PredictiveModel.CATEGORICAL.gradient(
                        s, Activation.SOFTMAX.getActivationFunction(), new TargetNoise(1, 2, 3), 0);
        // E[p - onehot(y)] = 0; five standard deviations of a mean of 20,000 draws.
        assertThat(g.mean(0).amaxNumber().doubleValue()).isLessThan(5 * 0.5 / Math.sqrt(20_000));
        assertThat(g.add(p.neg()).minNumber().doubleValue()).isBetween(-1.0 - 1e-6, -1.0 + 1e-6);
        INDArray normal =
                PredictiveModel.GAUSSIAN.gradient(
                        s,
                        Activation.IDENTITY.getActivationFunction(),
                        new TargetNoise(1, 2, 3),
                        0);
        assertThat(normal.meanNumber().doubleValue())
                .isBetween(-5 / Math.sqrt(80_000), 5 / Math.sqrt(80_000));
        // The variance of a square of a normal number is 2.
        assertThat(normal.mul(normal).meanNumber().doubleValue())
                .isBetween(1 - 5 * Math.sqrt(2.0 / 80_000), 1 + 5 * Math.sqrt(2.0 / 80_000));
        assertThat(normal)
                .isNotEqualTo(
                        PredictiveModel.GAUSSIAN.gradient(
                                s,
                                Activation.IDENTITY.getActivationFunction(),
                                new TargetNoise(1, 3, 3),
                                0));
    }

    static ComputationGraph graph(boolean normalised) {
        NeuralNetConfiguration.Builder builder =
                new NeuralNetConfiguration.Builder().seed(7).updater(new Adam(1e-3));
        var g = builder.graphBuilder().addInputs("in");
        g.addLayer("a", conv(Activation.TANH), "in");
        g.addLayer(
                "b",
                new ConvolutionLayer.Builder(3, 3)
                        .nOut(3)
                        .convolutionMode(ConvolutionMode.Same)
                        .activation(Activation.IDENTITY)
                        .build(),
                "a");
        String last = "b";
        if (normalised) {
            g.addLayer("norm", new BatchNormalization(), "b");
            last = "norm";
        }
        g.addVertex("sum", new ElementWiseVertex(ElementWiseVertex.Op.Add), last, "a");
        g.addLayer("pool", new GlobalPoolingLayer(), "sum");
        g.addLayer("class", output(LossFunction.MCXENT, Activation.SOFTMAX), "pool");
        g.addLayer("value", output(LossFunction.MSE, Activation.IDENTITY), "pool");
        g.setOutputs("class", "value").setInputTypes(InputType.convolutional(3, 4, 1));
        ComputationGraph net = new ComputationGraph(g.build());
        net.init();
        return net;
    }

    static MultiDataSet pair(int rows, long seed) {
        DataSet data = Nets.data(rows, seed, 1);
        return new MultiDataSet(
                new INDArray[] {data.getFeatures().reshape('c', rows, 1, 3, 4)},
                new INDArray[] {data.getLabels(), data.getLabels().mul(2)});
    }

    /** With batch normalisation, by the statistics of the batch: training mode. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aGraphSumsTheLossesOfItsOutputs(boolean normalised) {
        ComputationGraph net = graph(normalised);
        LngdOptions whole = OPTIONS.toBuilder().statisticsSamples(0).build();
        MultiDataSet data = pair(SAMPLES, 1);
        INDArray[] f = net.output(true, data.getFeatures(0));
        INDArray classes = targets(f[0], PredictiveModel.CATEGORICAL, 0, 0);
        INDArray values = targets(f[1], PredictiveModel.GAUSSIAN, 0, 1);
        // DL4J's MSE has 2/4 (f - y): twice as far away gives f - y.
        INDArray far = f[1].add(values.sub(f[1]).mul(Nets.CLASSES / 2.0));
        List<List<INDArray>> rows = new ArrayList<>();
        ComputationGraph twin = net.clone();
        try (LngdTraining lngd = Lngd.attach(twin, DELTAS)) {
            twin.setInputs(data.getFeatures());
            twin.setLabels(classes, far);
            twin.computeGradientAndScore();
            for (LayerCapture c : lngd.captures()) {
                rows.add(List.of(Nets.inputs(c.samples()).dup(), Nets.deltas(c.samples()).dup()));
            }
        }
        try (LngdTraining lngd = Lngd.attach(net, whole)) {
            net.fit(data);
            assertStatistics(lngd, whole, rows);
        }
    }

    @Test
    void maskedSamplesAreLeftOut() {
        MultiLayerNetwork net = convolutional(LossFunction.MCXENT, Activation.SOFTMAX);
        LngdOptions whole = OPTIONS.toBuilder().statisticsSamples(0).build();
        DataSet data = Nets.data(SAMPLES, 5, 1);
        INDArray x = data.getFeatures();
        INDArray y = targets(net.output(x), PredictiveModel.CATEGORICAL, 0, 0);
        INDArray mask = Nd4j.ones(SAMPLES, 1);
        mask.putScalar(2, 0, 0);
        List<List<INDArray>> rows = oneByOne(net.clone(), x, y, 1);
        int[] others = {0, 1, 3, 4, 5};
        rows.replaceAll(layer -> layer.stream().map(rs -> CountedRows.pick(rs, others)).toList());
        data.setLabelsMaskArray(mask);
        try (LngdTraining lngd = Lngd.attach(net, whole)) {
            net.fit(data);
            assertStatistics(lngd, whole, rows);
        }
    }

    private static MultiLayerNetwork sequences(IUpdater updater) {
        NeuralNetConfiguration.ListBuilder list =
                new NeuralNetConfiguration.Builder().seed(7).updater(updater).list();
        list.layer(new EmbeddingSequenceLayer.Builder().nIn(9).nOut(4).inputLength(6).build());
        list.layer(
                new Convolution1DLayer.Builder(3)
                        .nOut(5)
                        .convolutionMode(ConvolutionMode.Same)
                        .activation(Activation.TANH)
                        .build());
        list.layer(new GlobalPoolingLayer(PoolingType.AVG));
        list.layer(output(LossFunction.MCXENT, Activation.SOFTMAX));
        MultiLayerNetwork net =
                new MultiLayerNetwork(list.setInputType(InputType.recurrent(9, 6)).build());
        net.init();
        return net;
    }

    /** Embedding, 1-D convolution and pooling, with steps that a feature mask leaves out. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void sequencesWithMasks(boolean masked) {
        MultiLayerNetwork net = sequences(new Sgd(0.1));
        LngdOptions whole = OPTIONS.toBuilder().statisticsSamples(0).build();
        INDArray x = Nd4j.create(SAMPLES, 1, 6);
        for (int i = 0; i < x.length(); i++) {
            x.putScalar(i / 6, 0, i % 6, (i * 5 + i / 7) % 9);
        }
        INDArray mask = masked ? Nd4j.ones(SAMPLES, 6) : null;
        if (masked) {
            mask.putScalar(1, 5, 0);
            mask.putScalar(2, 4, 0);
            mask.putScalar(2, 5, 0);
        }
        INDArray p = net.output(x, true, mask, null);
        INDArray y = targets(p, PredictiveModel.CATEGORICAL, 0, 0);
        List<List<INDArray>> rows = new ArrayList<>();
        MultiLayerNetwork twin = net.clone();
        try (LngdTraining lngd = Lngd.attach(twin, DELTAS)) {
            twin.setInput(x);
            twin.setLabels(y);
            twin.setLayerMaskArrays(mask, null);
            twin.computeGradientAndScore();
            for (LayerCapture c : lngd.captures()) {
                rows.add(List.of(Nets.inputs(c.samples()).dup(), Nets.deltas(c.samples()).dup()));
            }
        }
        try (LngdTraining lngd = Lngd.attach(net, whole)) {
            assertThat(lngd.report().with(Treatment.LNGD)).hasSize(3);
            // The labels of the data are others than the drawn ones.
            net.fit(new DataSet(x, Nd4j.zeros(SAMPLES, Nets.CLASSES).addi(0.25), mask, null));
            assertStatistics(lngd, whole, rows);
        }
    }
}
