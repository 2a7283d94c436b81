// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.fisher;

import java.util.ArrayList;
import java.util.List;
import org.lngd4j.Activation;
import org.lngd4j.Device;
import org.lngd4j.Field;
import org.lngd4j.Fisher;
import org.lngd4j.LayerSpec;
import org.lngd4j.LayerTensors;
import org.lngd4j.LngdOptimizer;
import org.lngd4j.LngdOptions;
import org.lngd4j.OutputModel;
import org.lngd4j.Signal;
import org.lngd4j.StepPlan;
import org.lngd4j.UpdateMode;
import org.lngd4j.nd4j.Nd4jOptimizer;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * The Fisher block of one layer and what stands for it. Rows and columns are vec(W) column by
 * column, a (x) g: element (input i, output p) has number {@code i * m + p}. Everything is an
 * expectation over targets in closed form: there is no sampling noise in it.
 *
 * @param model {@code (1/N) sum_n a a^T (x) sum_y p_y g_y g_y^T}: exact, over the model's own
 *     predictions
 * @param layerwise {@code (1/N) sum_n a a^T (x) diag(phi'(s)^2)}: exact, of the layer's own
 *     Gaussian model (the paper, 3.1)
 * @param kfac {@code A (x) B} with the means of {@code a a^T} and {@code sum_y p_y g_y g_y^T}
 * @param lngd {@code Phi (x) diag(psi)} of the layer-wise model, as the library computes it
 * @param lngdLr the same of the model's gradients: the paper's ablation LNGD-lr
 */
record FisherBlocks(
        double[][] model,
        double[][] layerwise,
        double[][] kfac,
        double[][] lngd,
        double[][] lngdLr) {

    static FisherBlocks of(SmallNet net, int layer, List<double[]> samples) {
        SmallNet.Pass first = net.forward(samples.get(0));
        int d = first.inputs()[layer].length;
        int m = first.preActivations()[layer].length;
        boolean output = layer == net.layers() - 1;
        double[][] model = new double[d * m][d * m];
        double[][] layerwise = new double[d * m][d * m];
        double[][] a = new double[d][d];
        double[][] b = new double[m][m];
        List<double[]> inputs = new ArrayList<>();
        List<double[]> preActivations = new ArrayList<>();
        List<double[]> roots = new ArrayList<>(); // g whose squares are the expected ones
        double weight = 1.0 / samples.size();
        for (double[] sample : samples) {
            SmallNet.Pass pass = net.forward(sample);
            double[] x = pass.inputs()[layer];
            double[] s = pass.preActivations()[layer];
            double[][] second = new double[m][m];
            for (int y = 0; y < pass.probabilities().length; y++) {
                Matrices.addOuter(second, pass.probabilities()[y], net.gradient(pass, layer, y));
            }
            double[] own = new double[m];
            for (int i = 0; i < m; i++) {
                own[i] =
                        output
                                ? pass.probabilities()[i] * (1 - pass.probabilities()[i])
                                : s[i] > 0 ? 1 : 0;
            }
            Matrices.addKronecker(model, weight, x, second);
            Matrices.addKronecker(layerwise, weight, x, Matrices.diagonal(own));
            Matrices.addOuter(a, weight, x);
            double[] root = new double[m];
            for (int i = 0; i < m; i++) {
                root[i] = Math.sqrt(second[i][i]);
                for (int j = 0; j < m; j++) {
                    b[i][j] += weight * second[i][j];
                }
            }
            inputs.add(x);
            preActivations.add(s);
            roots.add(root);
        }
        return new FisherBlocks(
                model,
                layerwise,
                Matrices.kronecker(a, b),
                library(inputs, preActivations, output, Fisher.EXPECTED),
                library(inputs, roots, output, Fisher.PROVIDED));
    }

    /** Phi (x) diag(psi) from the library: one update of full factors. */
    private static double[][] library(
            List<double[]> inputs, List<double[]> signal, boolean output, Fisher fisher) {
        int d = inputs.get(0).length;
        int m = signal.get(0).length;
        LngdOptions options =
                LngdOptions.recipe(1)
                        .device(Device.CPU)
                        .threads(1)
                        .fisher(fisher)
                        .blockSize(0)
                        .statisticsSamples(0)
                        .averaging(false)
                        .build();
        LayerSpec spec = LayerSpec.dense("layer", d - 1, m);
        if (output) {
            spec = spec.activation(Activation.IDENTITY).output(OutputModel.SOFTMAX);
        }
        try (LngdOptimizer core = LngdOptimizer.create(options, List.of(spec))) {
            Nd4jOptimizer optimizer = new Nd4jOptimizer(core);
            LayerTensors tensors =
                    optimizer.tensors(
                            0,
                            Nd4j.ones(m, d - 1),
                            Nd4j.ones(m),
                            Nd4j.ones(m, d - 1),
                            Nd4j.ones(m));
            StepPlan plan = core.plan(List.of(tensors), UpdateMode.WEIGHTS);
            optimizer.observe(
                    0,
                    array(inputs, d - 1),
                    array(signal, m),
                    fisher == Fisher.PROVIDED ? Signal.GRADIENTS : Signal.PRE_ACTIVATIONS);
            plan.step(0); // takes the statistics; weights of a step of length 0 stay
            double[][] phi = square(core.read(0, Field.PHI), d);
            float[] psi = core.read(0, Field.PSI);
            double[] diagonal = new double[m];
            for (int i = 0; i < m; i++) {
                diagonal[i] = psi[i];
            }
            return Matrices.kronecker(phi, Matrices.diagonal(diagonal));
        }
    }

    private static INDArray array(List<double[]> rows, int columns) {
        float[][] values = new float[rows.size()][columns];
        for (int n = 0; n < values.length; n++) {
            for (int j = 0; j < columns; j++) {
                values[n][j] = (float) rows.get(n)[j];
            }
        }
        return Nd4j.createFromArray(values);
    }

    private static double[][] square(float[] values, int n) {
        double[][] result = new double[n][n];
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < n; j++) {
                result[i][j] = values[i * n + j];
            }
        }
        return result;
    }
}
