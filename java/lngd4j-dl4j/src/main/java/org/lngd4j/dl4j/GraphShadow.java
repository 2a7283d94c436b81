// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.conf.layers.CnnLossLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.optimize.api.BaseTrainingListener;
import org.lngd4j.nativelib.LngdStateException;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** The {@link Shadow} of a {@code ComputationGraph}. */
final class GraphShadow implements Shadow {
    private final ComputationGraph net;
    private final ComputationGraph shadow;

    GraphShadow(ComputationGraph net) {
        this.net = net;
        shadow = new ComputationGraph(net.getConfiguration().clone());
        shadow.init(net.params(), false);
        shadow.initGradientsView();
        shadow.setListeners(
                new BaseTrainingListener() {
                    @Override
                    public void onForwardPass(Model model, Map<String, INDArray> activations) {
                        setLabels(activations);
                    }
                });
    }

    @Override
    public List<Unit> units() {
        return new GraphNetwork(shadow).units();
    }

    @Override
    public List<Layer> outputs() {
        return new GraphNetwork(shadow).outputs();
    }

    /**
     * Labels are not looked at, but DL4J wants some of the right shape. Those of the batch cannot
     * be had: the graph has no accessor for them and its output layers have dropped theirs by now.
     */
    private void setLabels(Map<String, INDArray> activations) {
        List<String> names = shadow.getConfiguration().getNetworkOutputs();
        INDArray[] labels = new INDArray[names.size()];
        for (int i = 0; i < labels.length; i++) {
            String name = names.get(i);
            INDArray input =
                    activations.get(shadow.getConfiguration().getVertexInputs().get(name).get(0));
            long rows = input.size(0);
            org.deeplearning4j.nn.conf.layers.Layer conf = shadow.getLayer(name).conf().getLayer();
            if (conf instanceof OutputLayer output) {
                labels[i] = Nd4j.zeros(rows, output.getNOut());
            } else if (conf instanceof CnnLossLayer) {
                labels[i] = Nd4j.zeros(input.shape());
            } else {
                labels[i] = Nd4j.zeros(rows, input.length() / rows);
            }
        }
        shadow.setLabels(labels);
    }

    private INDArray[] inputs() {
        INDArray[] inputs = net.getInputs();
        if (inputs == null || Arrays.asList(inputs).contains(null)) {
            throw new LngdStateException(
                    "the graph holds no batch, from which Fisher.PROVIDED draws targets: train it by fit");
        }
        return inputs;
    }

    private boolean masked() {
        return net.getInputMaskArrays() != null || net.getLabelMaskArrays() != null;
    }

    @Override
    public long samples(int wanted) {
        return Shadow.first(inputs()[0], masked() ? 0 : wanted).size(0);
    }

    /**
     * DL4J's own backward pass, whole: where paths meet, derivatives are summed, and that is not
     * repeated here for a part of the graph. Beside what is wanted it computes the pre-activations
     * a second time and the gradients of all weights.
     */
    @Override
    public void pass(int samples, int lowest) {
        INDArray[] inputs = inputs();
        boolean masked = masked();
        int rows = masked ? 0 : samples;
        try {
            shadow.setInputs(first(inputs, rows));
            if (masked) {
                shadow.setLayerMaskArrays(net.getInputMaskArrays(), net.getLabelMaskArrays());
            }
            shadow.computeGradientAndScore();
        } finally {
            shadow.clear();
            shadow.clearLayerMaskArrays();
            shadow.clearLayersStates();
        }
    }

    private static INDArray[] first(INDArray[] arrays, int rows) {
        INDArray[] parts = new INDArray[arrays.length];
        for (int i = 0; i < arrays.length; i++) {
            parts[i] = Shadow.first(arrays[i], rows);
        }
        return parts;
    }
}
