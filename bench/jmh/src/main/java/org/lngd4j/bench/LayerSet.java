// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.lngd4j.Activation;
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

/** A layer set of bench/layers with random data in it, and one optimizer over all of its layers. */
final class LayerSet implements AutoCloseable {
    /** A line of the file. kernel: 0 for a dense layer. */
    record Layer(LayerSpec spec, int side, int kernel, int stride, int padding) {
        /** Height and width of the output. */
        int outSide() {
            return (side + 2 * padding - kernel) / stride + 1;
        }

        long positions() {
            return kernel == 0 ? 1 : (long) outSide() * outSide();
        }

        /** d: the constant of a bias included. */
        long columns() {
            return spec.columns();
        }

        /** Floats of weights and bias. */
        long parameters() {
            return spec.outputs() * columns();
        }
    }

    final List<Layer> layers;
    final LngdOptimizer optimizer;
    private final Nd4jOptimizer arrays;
    final StepPlan plan;
    private final List<INDArray> inputs = new ArrayList<>();
    private final List<INDArray> signals = new ArrayList<>();
    private final List<INDArray> weights = new ArrayList<>();

    /**
     * @param name of the file, without its ending
     * @param samples of a batch
     */
    LayerSet(String name, LngdOptions options, int samples) {
        layers = read(Path.of(System.getProperty("lngd.layers", "../layers"), name + ".csv"));
        arrays = Nd4jOptimizer.create(options, layers.stream().map(Layer::spec).toList());
        optimizer = arrays.core();
        Nd4j.getRandom().setSeed(1);
        List<LayerTensors> tensors = new ArrayList<>();
        for (int i = 0; i < layers.size(); i++) {
            tensors.add(tensors(i, samples));
        }
        plan = optimizer.plan(tensors, UpdateMode.WEIGHTS);
    }

    private LayerTensors tensors(int index, int samples) {
        Layer layer = layers.get(index);
        LayerSpec spec = layer.spec();
        long in = spec.inputs();
        long out = spec.outputs();
        long[] shape = {out, in};
        long[] image = {samples, in};
        long[] result = {samples, out};
        if (layer.kernel() > 0) {
            shape = new long[] {out, in, layer.kernel(), layer.kernel()};
            image = new long[] {samples, in, layer.side(), layer.side()};
            result = new long[] {samples, out, layer.outSide(), layer.outSide()};
        }
        INDArray w = Nd4j.randn(shape).muli(0.05);
        weights.add(w);
        inputs.add(Nd4j.randn(image));
        signals.add(Nd4j.randn(result));
        boolean bias = spec.bias();
        return arrays.tensors(
                index,
                w,
                bias ? Nd4j.zeros(out) : null,
                Nd4j.randn(shape).muli(0.01),
                bias ? Nd4j.randn(new long[] {out}).muli(0.01) : null);
    }

    /** One step, statistics where they are due. See {@link Mlp#step} on the factor. */
    void step() {
        for (int i = 0; i < layers.size(); i++) {
            if (optimizer.needsStatistics(i)) {
                arrays.observe(i, inputs.get(i), signals.get(i), Signal.PRE_ACTIVATIONS);
            }
        }
        plan.step(1e-6);
    }

    /**
     * What the steps have done must be sound, or their time means nothing.
     *
     * @throws IllegalStateException where a step was skipped, an inverse failed or a weight is not
     *     finite
     */
    void check() {
        for (int i = 0; i < layers.size(); i++) {
            var health = optimizer.health(i);
            if (health.skippedSteps() > 0
                    || health.failedInverses() > 0
                    || health.inverseUpdates() == 0
                    || !Double.isFinite(weights.get(i).norm2Number().doubleValue())) {
                throw new IllegalStateException(layers.get(i).spec().name() + ": " + health);
            }
        }
    }

    long parameters() {
        return layers.stream().mapToLong(Layer::parameters).sum();
    }

    @Override
    public void close() {
        optimizer.close();
    }

    private static List<Layer> read(Path file) {
        try {
            return Files.readAllLines(file).stream().skip(1).map(LayerSet::parse).toList();
        } catch (IOException e) {
            throw new UncheckedIOException(file + ": -Dlngd.layers names the folder", e);
        }
    }

    // name,kind,inputs,outputs,kernel,stride,padding,groups,height,width,bias,batch,activation
    private static Layer parse(String line) {
        String[] cell = line.split(",");
        int[] number = new int[cell.length];
        for (int i = 2; i < 12; i++) {
            number[i] = Integer.parseInt(cell[i]);
        }
        boolean conv = cell[1].equals("conv");
        if (conv && (number[7] != 1 || number[8] != number[9])) {
            throw new IllegalArgumentException(line + ": one group and square images only");
        }
        LayerSpec spec =
                conv
                        ? LayerSpec.convolution(cell[0], number[2], number[3], number[4], number[4])
                                .stride(number[5], number[5])
                                .padding(number[6], number[6])
                        : LayerSpec.dense(cell[0], number[2], number[3]);
        spec =
                spec.bias(number[10] == 1)
                        .activation(
                                cell[12].equals("relu") ? Activation.RELU : Activation.IDENTITY);
        if (cell[12].equals("softmax")) {
            spec = spec.output(OutputModel.SOFTMAX);
        }
        return new Layer(spec, number[8], conv ? number[4] : 0, number[5], number[6]);
    }
}
