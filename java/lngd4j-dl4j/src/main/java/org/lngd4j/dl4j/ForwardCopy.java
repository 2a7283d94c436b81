// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.util.Map;
import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.conf.ComputationGraphConfiguration;
import org.deeplearning4j.nn.conf.MultiLayerConfiguration;
import org.deeplearning4j.nn.conf.graph.LayerVertex;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * A second network of DL4J on a copy of the parameters, in training mode but without dropout and
 * weight noise, whose layers show what goes into them. A copy, since DL4J's helpers may change the
 * running statistics of batch normalisation in a forward pass.
 */
interface ForwardCopy {
    /**
     * One forward pass.
     *
     * @param features one array for each input
     * @param masks likewise; null, or nulls in it: none
     */
    void pass(INDArray[] features, INDArray[] masks);

    /**
     * Of a network with one input.
     *
     * @param watched what looks at the inputs of layers, by their index
     */
    static ForwardCopy of(MultiLayerNetwork net, Map<Integer, InputMoments> watched) {
        MultiLayerConfiguration conf = net.getLayerWiseConfigurations().clone();
        watched.forEach(
                (index, watch) ->
                        conf.getInputPreProcessors()
                                .put(index, watch.around(conf.getInputPreProcess(index))));
        MultiLayerNetwork copy = new MultiLayerNetwork(conf);
        copy.init(net.params().dup(), false);
        withoutNoise(copy.getLayers());
        return (features, masks) -> {
            try {
                if (masks != null && masks[0] != null) {
                    copy.setLayerMaskArrays(masks[0], null);
                }
                copy.feedForward(features[0], true);
            } finally {
                copy.clear();
                copy.clearLayerMaskArrays();
            }
        };
    }

    /**
     * Of a graph.
     *
     * @param watched what looks at the inputs of layers, by their name
     */
    static ForwardCopy of(ComputationGraph net, Map<String, InputMoments> watched) {
        ComputationGraphConfiguration conf = net.getConfiguration().clone();
        watched.forEach(
                (name, watch) -> {
                    LayerVertex vertex = (LayerVertex) conf.getVertices().get(name);
                    vertex.setPreProcessor(watch.around(vertex.getPreProcessor()));
                });
        ComputationGraph copy = new ComputationGraph(conf);
        copy.init(net.params().dup(), false);
        withoutNoise(copy.getLayers());
        return (features, masks) -> {
            try {
                if (masks != null) {
                    copy.setLayerMaskArrays(masks, null);
                }
                copy.feedForward(features, true);
            } finally {
                copy.clear();
                copy.clearLayerMaskArrays();
            }
        };
    }

    private static void withoutNoise(Layer[] layers) {
        for (Layer layer : layers) {
            SampledFisher.withoutNoise(layer);
        }
    }
}
