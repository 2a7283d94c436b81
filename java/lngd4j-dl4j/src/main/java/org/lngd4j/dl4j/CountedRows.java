// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.util.Arrays;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.layers.ActivationLayer;
import org.deeplearning4j.nn.layers.DropoutLayer;
import org.deeplearning4j.nn.layers.LossLayer;
import org.deeplearning4j.nn.layers.OutputLayer;
import org.deeplearning4j.nn.layers.convolution.Convolution1DLayer;
import org.deeplearning4j.nn.layers.feedforward.dense.DenseLayer;
import org.deeplearning4j.nn.layers.feedforward.embedding.EmbeddingSequenceLayer;
import org.deeplearning4j.nn.layers.recurrent.RnnLossLayer;
import org.deeplearning4j.nn.layers.recurrent.RnnOutputLayer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Which rows of a batch count for the statistics of a layer: those that no mask leaves out. Masks
 * lie where DL4J puts them for the batch that is in the network: at a layer that of its inputs, at
 * an output that of the labels. A row is left out
 *
 * <ul>
 *   <li>by the layer's own mask,
 *   <li>by that of the output, where only layers that take row by row stand between: what comes of
 *       the row then enters no loss,
 *   <li>with its whole sample, where the labels of all outputs leave that out.
 * </ul>
 *
 * <p>A mask of single elements leaves a row out where it leaves out all of it.
 */
final class CountedRows {
    /** By exact class: a subclass may compute something else. */
    private static final Set<Class<?>> ROW_BY_ROW =
            Set.of(
                    EmbeddingSequenceLayer.class,
                    DenseLayer.class,
                    ActivationLayer.class,
                    DropoutLayer.class,
                    OutputLayer.class,
                    RnnOutputLayer.class,
                    LossLayer.class,
                    RnnLossLayer.class);

    private final Network batch;
    private final List<Layer> outputs;
    private final Set<Layer> above = Collections.newSetFromMap(new IdentityHashMap<>());
    private final Map<Layer, Layer> before = new IdentityHashMap<>();
    private final Map<Layer, Layer> after = new IdentityHashMap<>();

    /**
     * @param batch the network that holds the batch
     * @param units its layers, or those of a shadow that has its masks
     * @param outputs likewise
     */
    CountedRows(Network batch, List<Unit> units, List<Layer> outputs) {
        this.batch = batch;
        this.outputs = outputs;
        for (Unit unit : units) {
            if (unit.layer() != null && unit.before() != null) {
                before.put(unit.layer(), unit.before());
                after.put(unit.before(), unit.layer());
            }
        }
        Layer next = outputs.size() == 1 ? outputs.get(0) : null;
        for (int i = units.size() - 1; i >= 0 && next != null; i--) {
            Layer layer = units.get(i).layer();
            if (layer != next || !isRowByRow(layer)) {
                break;
            }
            above.add(layer);
            next = units.get(i).before();
        }
    }

    /**
     * The numbers of the rows that count.
     *
     * @param layer of the network or the shadow
     * @param rows how many the layer has in this batch: samples, or samples and times, of which
     *     those of one time lie together, as DL4J has them
     * @return null: all
     */
    int[] of(Layer layer, long rows) {
        boolean[] counted = rows(mask(layer), rows);
        if (above.contains(layer)) {
            counted = without(counted, rows(outputs.get(0).getMaskArray(), rows));
        }
        counted = without(counted, repeated(samples(), rows));
        if (counted == null) {
            return null;
        }
        int[] numbers = new int[counted.length];
        int count = 0;
        for (int i = 0; i < counted.length; i++) {
            if (counted[i]) {
                numbers[count++] = i;
            }
        }
        return count == rows ? null : Arrays.copyOf(numbers, count);
    }

    /** Some rows of a batch, or samples of any shape; a copy. */
    static INDArray pick(INDArray batch, int[] rows) {
        if (batch.rank() == 2) {
            return Nd4j.pullRows(batch, 1, rows, 'c');
        }
        long[] shape = batch.shape().clone();
        shape[0] = rows.length;
        INDArray some = Nd4j.createUninitialized(batch.dataType(), shape, 'c');
        for (int i = 0; i < rows.length; i++) {
            some.slice(i).assign(batch.slice(rows[i]));
        }
        return some;
    }

    /** A 1-D convolution hands a mask on and keeps none: that of its neighbours, if it fits. */
    private INDArray mask(Layer layer) {
        INDArray mask = layer.getMaskArray();
        if (layer instanceof Convolution1DLayer) {
            mask = first(layer, before);
            mask = mask == null ? first(layer, after) : mask;
        }
        return mask;
    }

    private INDArray first(Layer layer, Map<Layer, Layer> next) {
        Layer at = layer;
        while (at instanceof Convolution1DLayer) {
            at = next.get(at);
        }
        // That of an output is of labels, not of what goes into it.
        return at == null || outputs.contains(at) ? null : at.getMaskArray();
    }

    private static boolean isRowByRow(Layer layer) {
        if (layer.getClass() == Convolution1DLayer.class) {
            ConvolutionLayer conf = (ConvolutionLayer) layer.conf().getLayer();
            return conf.getKernelSize()[0] == 1
                    && conf.getStride()[0] == 1
                    && conf.getPadding()[0] == 0;
        }
        return ROW_BY_ROW.contains(layer.getClass());
    }

    /** Those that all outputs leave out are false; null: none. */
    private boolean[] samples() {
        boolean[] counted = null;
        for (Layer output : outputs) {
            INDArray mask = output == null ? null : output.getMaskArray();
            if (mask == null) {
                return null;
            }
            int count = (int) batch.samples();
            boolean[] some = any(mask);
            if (some.length % count != 0) {
                return null;
            }
            counted = counted == null ? new boolean[count] : counted;
            for (int row = 0; row < some.length; row++) {
                counted[row % count] |= some[row];
            }
        }
        return counted;
    }

    /**
     * A truth value for each row, of a mask that has one or some; null: it is not of these rows.
     */
    private static boolean[] rows(INDArray mask, long rows) {
        if (mask == null) {
            return null;
        }
        if (mask.size(0) == rows) {
            return any(mask);
        }
        if (mask.length() == mask.size(0)) { // samples, and rows may be their times
            return repeated(any(mask), rows);
        }
        // Samples x times, where DL4J has made rows of both: those of one time lie together.
        return mask.rank() == 2 && mask.length() == rows ? any(mask.reshape('f', rows, 1)) : null;
    }

    private static boolean[] any(INDArray mask) {
        int rows = (int) mask.size(0);
        float[] values =
                mask.castTo(DataType.FLOAT).dup('c').reshape(mask.length()).toFloatVector();
        boolean[] any = new boolean[rows];
        for (int i = 0; i < values.length; i++) {
            any[i / (values.length / rows)] |= values[i] != 0;
        }
        return any;
    }

    private static boolean[] repeated(boolean[] samples, long rows) {
        if (samples == null || rows % samples.length != 0) {
            return null;
        }
        boolean[] all = new boolean[(int) rows];
        for (int i = 0; i < all.length; i++) {
            all[i] = samples[i % samples.length];
        }
        return all;
    }

    private static boolean[] without(boolean[] counted, boolean[] more) {
        if (counted == null || more == null) {
            return counted == null ? more : counted;
        }
        for (int i = 0; i < counted.length; i++) {
            counted[i] &= more[i];
        }
        return counted;
    }
}
