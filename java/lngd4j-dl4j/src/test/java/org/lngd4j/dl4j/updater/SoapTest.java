// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.lngd4j.dl4j.updater.TwinCheck.Expected;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.schedule.FixedSchedule;

class SoapTest {
    private static final double RATE = 0.01;

    // Outputs, inputs, steps between bases, longest side.
    @ParameterizedTest
    @CsvSource({
        "5, 5, 3, 100",
        "4, 7, 3, 100",
        "7, 4, 1, 100",
        "4, 7, 10, 100",
        "4, 7, 2, 5",
        "7, 4, 2, 5",
        "6, 6, 2, 5",
        "1, 6, 50, 100"
    })
    void followsThePaper(int outputs, int inputs, int frequency, int largest) {
        MatrixShape shape = new MatrixShape(outputs, inputs);
        SoapUpdater config =
                new SoapUpdater(
                        new FixedSchedule(RATE),
                        "x",
                        outputs,
                        inputs,
                        0.9,
                        0.95,
                        0.8,
                        1e-8,
                        frequency,
                        largest);
        INDArray state =
                Nd4j.createUninitialized(DataType.FLOAT, 1, config.stateSize(shape.size()));
        SoapStep step = (SoapStep) config.instantiate(state, true);
        SoapTwin twin = new SoapTwin(0.9, 0.95, 0.8, 1e-8, frequency);
        Random random = new Random(5);
        for (int t = 1; t <= 24; t++) {
            double[][] g = gradient(random, outputs, inputs);
            INDArray flat = flat(g, shape);
            double[][] expected = twin.update(matrix(flat, shape), RATE, t);
            step.applyUpdater(flat, t - 1, 0);
            if (t == 1) {
                bases(twin, state, shape, largest);
            }
            // Directions of about 1, and a basis whose error is a rounding (6e-8) over the gaps
            // between its eigenvalues, a hundredth or so of them: 1e-5 of the rate.
            assertThat(Dense.difference(matrix(flat, shape), expected))
                    .as("step %d", t)
                    .isLessThan(2e-4 * RATE);
        }
    }

    /** The first bases must be eigenvectors by falling eigenvalues; then the twin takes them. */
    private static void bases(SoapTwin twin, INDArray state, MatrixShape shape, int largest) {
        int m = (int) shape.outputs();
        int n = (int) shape.inputs();
        int at = 2 + 2 * m * n;
        double[][] right = null;
        if (n <= largest) {
            right = square(state, at + n * n, n);
            at += 2 * n * n;
            eigenvectors(right, twin.right());
        }
        double[][] left = null;
        if (m <= largest) {
            left = square(state, at + m * m, m);
            eigenvectors(left, twin.left());
        }
        twin.bases(left, right);
    }

    private static void eigenvectors(double[][] q, double[][] factor) {
        double[][] d = Dense.times(Dense.transposed(q), Dense.times(factor, q));
        double[][] e = Dense.times(Dense.transposed(q), q);
        for (int i = 0; i < d.length; i++) {
            for (int j = 0; j < d.length; j++) {
                assertThat(Math.abs(e[i][j] - (i == j ? 1 : 0))).isLessThan(3e-6);
                if (i != j) {
                    assertThat(Math.abs(d[i][j])).isLessThan(3e-6 * d[0][0]);
                }
            }
            if (i > 0) {
                assertThat(d[i][i]).isLessThan(d[i - 1][i - 1] + 3e-6 * d[0][0]);
            }
        }
    }

    private static double[][] square(INDArray state, int from, int n) {
        double[][] q = Dense.zeros(n, n);
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < n; j++) {
                q[i][j] = state.getDouble(from + i + j * n); // by columns
            }
        }
        return q;
    }

    // The sizes of rows and columns change order with time, so that bases have to be sorted.
    private static double[][] gradient(Random random, int outputs, int inputs) {
        double[][] g = Dense.gaussian(random, outputs, inputs);
        double[] rows = Dense.gaussian(random, 1, outputs)[0];
        for (int i = 0; i < outputs; i++) {
            for (int j = 0; j < inputs; j++) {
                g[i][j] *= Math.pow(1.5, -i - j) + 0.3 * Math.abs(rows[i]);
            }
        }
        return g;
    }

    private static INDArray flat(double[][] g, MatrixShape shape) {
        INDArray flat = Nd4j.createUninitialized(DataType.FLOAT, 1, shape.size());
        int at = 0;
        for (double[] row : g) {
            for (double x : row) {
                flat.putScalar(at++, x);
            }
        }
        return flat;
    }

    private static double[][] matrix(INDArray flat, MatrixShape shape) {
        double[][] g = Dense.zeros((int) shape.outputs(), (int) shape.inputs());
        for (int i = 0; i < g.length; i++) {
            for (int j = 0; j < g[0].length; j++) {
                g[i][j] = flat.getDouble((long) i * g[0].length + j);
            }
        }
        return g;
    }

    @Test
    void everyMatrixOfANetworkIsTrainedAndTheRestByAdamW() {
        // A longest side of 1 leaves bases out: then SOAP is Adam from the second step on, and
        // arrays, rates and decays of whole networks can be compared to the last digits.
        Soap soap =
                Soap.builder().learningRate(RATE).weightDecay(0.2).maxPreconditionedSize(1).build();
        MultiLayerNetwork dense = UpdaterNets.dense();
        UpdaterReport report = soap.install(dense);
        assertThat(report.layers("Soap")).hasSize(4);
        TwinCheck.run(dense, 6, SoapTest::late);
        MultiLayerNetwork convolutional = UpdaterNets.convolutional();
        report = soap.install(convolutional);
        assertThat(report.layers("Soap")).containsExactly("layer0", "layer2", "layer3", "layer4");
        assertThat(report.layers("AdamW")).containsExactly("layer1");
        TwinCheck.run(convolutional, 6, SoapTest::late);
        ComputationGraph graph = UpdaterNets.residual();
        assertThat(soap.install(graph).layers("Soap")).hasSize(4);
        TwinCheck.run(graph, 6, SoapTest::late);
    }

    private static Expected late(String name) {
        if (UpdaterNets.isStatistic(name)) {
            return null;
        }
        boolean matrix = name.endsWith("_W");
        Rule rule = matrix ? new SoapTwin(0.95, 0.95, 0.95, 1e-8, 10) : Rule.adam(0.95, 0.95, 1e-8);
        return new Expected(rule, new FixedSchedule(RATE), matrix ? 0.2 : 0, 3e-7);
    }

    @Test
    void trainsWithBases() {
        MultiLayerNetwork net = UpdaterNets.convolutional();
        Soap.builder().learningRate(RATE).build().install(net);
        double before = net.score(UpdaterNets.data(1));
        for (int i = 0; i < 60; i++) {
            UpdaterNets.fit(net, UpdaterNets.data(1));
        }
        assertThat(net.score(UpdaterNets.data(1))).isLessThan(0.2 * before);
    }
}
