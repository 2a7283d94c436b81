// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.deeplearning4j.nn.conf.CNN2DFormat;
import org.deeplearning4j.nn.layers.normalization.BatchNormalization;
import org.deeplearning4j.nn.params.BatchNormalizationParamInitializer;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdStateException;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.memory.MemoryWorkspace;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.rng.Random;
import org.nd4j.linalg.dataset.api.MultiDataSet;
import org.nd4j.linalg.dataset.api.iterator.MultiDataSetIterator;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.ops.transforms.Transforms;

/**
 * Running mean and variance of batch normalisation, taken anew under the averaged weights: one
 * forward pass over some batches in training mode, in which each layer normalises by its batch, and
 * the moments of all their rows together (P. Izmailov et al., "Averaging Weights Leads to Wider
 * Optima", UAI 2018, section 3.2; Y. Wu, J. Johnson, "Rethinking Batch in BatchNorm", 2021, section
 * 3). They are exchanged with those of the training whenever the weights are.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class BatchNormEstimates {
    /** Below any variance of float32 activations that is not 0; the logarithm of 0 is no number. */
    private static final double LEAST_VARIANCE = 1e-30;

    /** A parameter of the network, and what it is exchanged with. */
    private record Estimate(INDArray parameter, INDArray value) {
        void exchange() {
            INDArray kept = parameter.dup();
            parameter.assign(value);
            value.assign(kept);
        }
    }

    private final List<Estimate> estimates;
    private final int layers;

    private BatchNormEstimates(List<Estimate> estimates, int layers) {
        this.estimates = estimates;
        this.layers = layers;
    }

    /**
     * Takes them under the weights that are in the network; changes nothing in it.
     *
     * @param most batches at most
     */
    static BatchNormEstimates of(Network net, MultiDataSetIterator data, int most) {
        if (data == null) {
            throw new LngdArgumentException("data is null");
        }
        if (most < 1) {
            throw new LngdArgumentException("batches is " + most + "; allowed is 1 or more");
        }
        Map<Unit, InputMoments> moments = new LinkedHashMap<>();
        for (Unit unit : net.units()) {
            if (unit.layer() instanceof BatchNormalization layer) {
                boolean last = layer.layerConf().getCnn2DFormat() == CNN2DFormat.NHWC;
                moments.put(unit, new InputMoments(last));
            }
        }
        if (moments.isEmpty()) {
            return new BatchNormEstimates(List.of(), 0);
        }
        // Activations such as RReLU draw: the training must not notice.
        Random random = Nd4j.getRandom();
        long root = random.rootState();
        long node = random.nodeState();
        try (MemoryWorkspace outside = Nd4j.getMemoryManager().scopeOutOfWorkspaces()) {
            run(net.forwardCopy(moments), data, most);
            List<Estimate> estimates = new ArrayList<>();
            moments.forEach((unit, m) -> add(estimates, (BatchNormalization) unit.layer(), m));
            return new BatchNormEstimates(estimates, moments.size());
        } finally {
            random.setStates(root, node);
        }
    }

    private static void run(ForwardCopy copy, MultiDataSetIterator data, int most) {
        if (data.resetSupported()) {
            data.reset();
        }
        int batches = 0;
        for (; batches < most && data.hasNext(); batches++) {
            MultiDataSet batch = data.next();
            copy.pass(batch.getFeatures(), batch.getFeaturesMaskArrays());
        }
        if (data.resetSupported()) {
            data.reset();
        }
        if (batches == 0) {
            throw new LngdArgumentException("data has 0 batches, allowed is 1 or more");
        }
    }

    private static void add(List<Estimate> to, BatchNormalization layer, InputMoments m) {
        INDArray variance = m.variance();
        if (!Double.isFinite(m.mean().sumNumber().doubleValue())
                || !Double.isFinite(variance.sumNumber().doubleValue())) {
            throw new LngdStateException(
                    "the inputs of a batch normalisation have NaN or Inf under the averaged weights:"
                            + " its statistics cannot be estimated");
        }
        to.add(estimate(layer, BatchNormalizationParamInitializer.GLOBAL_MEAN, m.mean()));
        if (layer.layerConf().isUseLogStd()) {
            INDArray log =
                    Transforms.log(Transforms.max(variance, LEAST_VARIANCE))
                            .muli(0.5 / Math.log(10));
            to.add(estimate(layer, BatchNormalizationParamInitializer.GLOBAL_LOG_STD, log));
        } else {
            to.add(estimate(layer, BatchNormalizationParamInitializer.GLOBAL_VAR, variance));
        }
    }

    private static Estimate estimate(BatchNormalization layer, String name, INDArray value) {
        INDArray parameter = layer.getParam(name);
        return new Estimate(
                parameter, value.castTo(DataType.FLOAT).reshape(parameter.shape()).dup());
    }

    /** Puts them into the network, and what was there back at the next call. */
    void exchange() {
        estimates.forEach(Estimate::exchange);
    }

    /** How many layers they are of. */
    int layers() {
        return layers;
    }
}
