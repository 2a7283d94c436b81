// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.golden;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.lngd4j.Activation;
import org.lngd4j.ActivationFunctions;
import org.lngd4j.Device;
import org.lngd4j.Field;
import org.lngd4j.Fisher;
import org.lngd4j.FisherRows;
import org.lngd4j.LayerHealth;
import org.lngd4j.LayerRate;
import org.lngd4j.LayerSpec;
import org.lngd4j.LayerTensors;
import org.lngd4j.LngdOptimizer;
import org.lngd4j.LngdOptions;
import org.lngd4j.OutputModel;
import org.lngd4j.Precision;
import org.lngd4j.Signal;
import org.lngd4j.StepPlan;
import org.lngd4j.TrustRatio;
import org.lngd4j.UpdateMode;
import org.lngd4j.WeightDecay;
import org.lngd4j.nd4j.Nd4jOptimizer;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** A golden file through the native library. */
final class GoldenRun {
    private final GoldenTwin twin;
    private final GoldenFile file;
    private final Device device;
    private final boolean bias;
    private final LayerSpec layer;
    private final INDArray inputs;
    private final INDArray signal;
    private final Signal kind;
    private final Map<String, double[]> values = new HashMap<>();

    GoldenRun(GoldenTwin twin, Device device) {
        this.twin = twin;
        this.file = twin.file;
        this.device = device;
        this.bias = hasBias();
        this.layer = layer();
        this.inputs =
                matrix(twin.a, twin.n, twin.d)
                        .get(
                                org.nd4j.linalg.indexing.NDArrayIndex.all(),
                                org.nd4j.linalg.indexing.NDArrayIndex.interval(0, layer.inputs()));
        this.signal = matrix(twin.noisy == null ? twin.s : twin.noisy, twin.n, twin.m);
        this.kind = twin.noisy == null ? Signal.PRE_ACTIVATIONS : Signal.GRADIENTS;
    }

    /** Every quantity that the file's inputs allow, by path. */
    Map<String, double[]> values() {
        values.put("s", twin.s);
        if (file.isSoftmax()) {
            copyFromTwin("output");
            copyFromTwin("g");
        } else {
            float[] s = floats(twin.s);
            double parameter = file.phi().defaultParameter();
            values.put("output", doubles(ActivationFunctions.value(file.phi(), parameter, s)));
            double[] slope = doubles(ActivationFunctions.derivative(file.phi(), parameter, s));
            values.put("phi_prime", slope);
            if (twin.delta != null) {
                double[] g = file.input("upstream").clone();
                for (int i = 0; i < g.length; i++) {
                    g[i] *= slope[i];
                }
                values.put("g", g);
            }
        }
        copyFromTwin("G");
        if (twin.values.containsKey("q") || twin.values.containsKey("c")) {
            rows();
        }
        for (String update : GoldenSchema.UPDATES) {
            if (file.expects(update)) {
                update(update);
            }
        }
        return values;
    }

    private void copyFromTwin(String path) {
        if (twin.values.containsKey(path)) {
            values.put(path, twin.values.get(path));
        }
    }

    private void rows() {
        try (LngdOptimizer core =
                LngdOptimizer.create(
                        LngdOptions.paper()
                                .device(device)
                                .threads(1)
                                .precision(Precision.TF32X3)
                                .build(),
                        List.of(layer))) {
            FisherRows rows = new Nd4jOptimizer(core).fisherRows(0, 0, inputs, signal, kind);
            double[] r = doubles(rows.r());
            double[] c = doubles(rows.c());
            values.put("c", c);
            if (!twin.values.containsKey("q")) {
                return;
            }
            values.put("q", doubles(rows.q()));
            values.put("r", r);
            values.put("trace_F", new double[] {Dense.dot(r, c) / twin.n});
            LngdOptions options =
                    LngdOptions.paper()
                            .device(device)
                            .threads(1)
                            .precision(Precision.TF32X3)
                            .statisticsInterval(1)
                            .build();
            statistics(options);
        }
    }

    /** Phi and psi of the batch alone: the running averages after a first update. */
    private void statistics(LngdOptions options) {
        try (LngdOptimizer core =
                LngdOptimizer.create(
                        options.toBuilder().layerRate(LayerRate.NONE).build(), List.of(layer))) {
            Nd4jOptimizer optimizer = new Nd4jOptimizer(core);
            INDArray weights = Nd4j.zeros(twin.m, layer.inputs());
            INDArray gradients = Nd4j.zeros(twin.m, layer.inputs());
            INDArray vector = bias ? Nd4j.zeros(twin.m) : null;
            INDArray vectorGradients = bias ? Nd4j.zeros(twin.m) : null;
            optimizer.observe(0, inputs, signal, kind);
            try (StepPlan plan =
                    core.plan(
                            List.of(
                                    optimizer.tensors(
                                            0, weights, vector, gradients, vectorGradients)),
                            UpdateMode.WEIGHTS)) {
                plan.step(0);
            }
            values.put("Phi", doubles(core.read(0, Field.PHI)));
            values.put("psi", doubles(core.read(0, Field.PSI)));
        }
    }

    private void update(String name) {
        Step none = step(name, LayerRate.NONE, 1, 0, 0);
        values.put(name + ".Phi_hat", none.phi);
        values.put(name + ".psi_hat", none.psi);
        values.put(name + ".lam_Phi", new double[] {none.health.lambdaPhiMax()});
        values.put(name + ".lam_Psi", new double[] {none.health.lambdaPsi()});
        values.put(name + ".Phi_damped_inverse", none.phiInverse);
        values.put(name + ".psi_damped_inverse", none.psiInverse);
        values.put(name + ".direction", none.direction);
        values.put(name + ".inner_d_G", new double[] {none.health.innerProduct()});
        values.put(name + ".per_sample_gDa", perSample(none.direction));
        Step empirical = rate(name, "empirical", LayerRate.EMPIRICAL, 1);
        values.put(name + ".quad_empirical", new double[] {empirical.health.curvature()});
        Step kron = rate(name, "kron", LayerRate.KRONECKER, 1);
        values.put(name + ".quad_kron", new double[] {kron.health.curvature()});
        // C = <D, G> is no rate of the library: the factor of the schedule is put in the place of
        // alpha_l.
        double inner = none.health.innerProduct();
        double alpha = inner / (inner + file.hyper("mu"));
        rate(name, "cheap", LayerRate.NONE, alpha);
        values.put(name + ".update.cheap.alpha_l", new double[] {alpha});
    }

    private Step rate(String name, String rateName, LayerRate rate, double factor) {
        String path = name + ".update." + rateName + ".";
        double beta = file.hyper("beta");
        // Decay is multiplied by the factor too, which is 1 but for "cheap".
        double decay = file.hyper("weight_decay") / (factor > 0 ? factor : 1);
        Step bare = step(name, rate, factor, 0, 0);
        values.put(path + "alpha_l", new double[] {bare.health.alpha()});
        values.put(path + "zeta", bare.momentum);
        if (file.has("momentum")) {
            Step plain = step(name, rate, factor, beta, 0);
            values.put(path + "momentum_new", plain.momentum);
            values.put(path + "W_new_no_wd", plain.weights);
            values.put(path + "W_new_decoupled_wd", step(name, rate, factor, beta, decay).weights);
        }
        return bare;
    }

    /** What is read after a step. */
    private record Step(
            LayerHealth health,
            double[] phi,
            double[] psi,
            double[] phiInverse,
            double[] psiInverse,
            double[] direction,
            double[] momentum,
            double[] weights) {}

    private Step step(String name, LayerRate rate, double factor, double beta, double decay) {
        LngdOptions options =
                LngdOptions.paper()
                        .device(device)
                        .precision(Precision.TF32X3)
                        .threads(1)
                        .absoluteDamping(file.hyper("nu1"), file.hyper("nu2"))
                        .rho(file.hyper("eps"))
                        .mu(file.hyper("mu"))
                        .learningRate(file.hyper("alpha"))
                        .momentum(beta)
                        .nesterov(false)
                        .weightDecay(decay, WeightDecay.DECOUPLED)
                        .layerRate(rate)
                        .rateSamples(0)
                        .trustRatio(TrustRatio.OFF, 0)
                        .averaging(false)
                        .blockSize(0)
                        .statisticsSamples(0)
                        .statisticsInterval(1)
                        .inverseInterval(1)
                        .build();
        int columns = twin.d - (bias ? 1 : 0);
        INDArray w = matrix(file.input("W"), twin.m, twin.d);
        INDArray g = matrix(twin.gradient, twin.m, twin.d);
        try (LngdOptimizer core = LngdOptimizer.create(options, List.of(layer))) {
            Nd4jOptimizer optimizer = new Nd4jOptimizer(core);
            if (name.equals("ema_update")) {
                core.write(0, Field.PHI, floats(file.input("Phi_hat_old")));
                core.write(0, Field.PSI, floats(file.input("psi_hat_old")));
            }
            if (beta > 0) {
                core.write(0, Field.MOMENTUM, floats(file.input("momentum")));
            }
            optimizer.observe(0, inputs, signal, kind);
            // Views of one matrix: the bias is its last column.
            LayerTensors tensors =
                    optimizer.tensors(
                            0,
                            columns(w, 0, columns),
                            bias ? columns(w, columns, twin.d) : null,
                            columns(g, 0, columns),
                            bias ? columns(g, columns, twin.d) : null);
            try (StepPlan plan = core.plan(List.of(tensors), UpdateMode.WEIGHTS)) {
                if (rate == LayerRate.EMPIRICAL) {
                    plan.step(
                            factor,
                            List.of(
                                    optimizer.samples(
                                            0, inputs, matrix(twin.delta, twin.n, twin.m))));
                } else {
                    plan.step(factor);
                }
            }
            return new Step(
                    core.health(0),
                    doubles(core.read(0, Field.PHI)),
                    doubles(core.read(0, Field.PSI)),
                    doubles(core.read(0, Field.PHI_INVERSE)),
                    doubles(core.read(0, Field.PSI_INVERSE)),
                    doubles(core.read(0, Field.DIRECTION)),
                    doubles(core.read(0, Field.MOMENTUM)),
                    doubles(w.dup('c').data().asFloat()));
        }
    }

    private double[] perSample(double[] direction) {
        double[] projected =
                Dense.multiply(
                        twin.a, Dense.transpose(direction, twin.m, twin.d), twin.n, twin.d, twin.m);
        double[] result = new double[twin.n];
        for (int i = 0; i < projected.length; i++) {
            result[i / twin.m] += twin.delta[i] * projected[i];
        }
        return result;
    }

    /** The last column of the inputs is the constant 1 of a bias, unless it is the only one. */
    private boolean hasBias() {
        boolean ones = twin.d > 1;
        for (int i = twin.d - 1; i < twin.a.length; i += twin.d) {
            ones &= twin.a[i] == 1;
        }
        return ones;
    }

    private LayerSpec layer() {
        LayerSpec spec =
                LayerSpec.dense(file.name(), twin.d - (bias ? 1 : 0), twin.m)
                        .bias(bias)
                        .fisher(twin.noisy == null ? Fisher.EXPECTED : Fisher.PROVIDED);
        if (file.isSoftmax()) {
            return spec.output(
                    file.isGaussian() ? OutputModel.SOFTMAX_GAUSSIAN : OutputModel.SOFTMAX);
        }
        Activation phi = file.phi();
        return spec.activation(phi);
    }

    private static INDArray columns(INDArray a, long from, long to) {
        return a.get(
                org.nd4j.linalg.indexing.NDArrayIndex.all(),
                org.nd4j.linalg.indexing.NDArrayIndex.interval(from, to));
    }

    private static INDArray matrix(double[] values, int rows, int columns) {
        return Nd4j.create(floats(values), new int[] {rows, columns}, 'c');
    }

    private static float[] floats(double[] values) {
        float[] floats = new float[values.length];
        for (int i = 0; i < values.length; i++) {
            floats[i] = (float) values[i];
        }
        return floats;
    }

    private static double[] doubles(float[] values) {
        double[] doubles = new double[values.length];
        for (int i = 0; i < values.length; i++) {
            doubles[i] = values[i];
        }
        return doubles;
    }
}
