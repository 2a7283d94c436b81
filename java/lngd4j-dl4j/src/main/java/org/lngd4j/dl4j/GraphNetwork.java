// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.conf.BackpropType;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.graph.vertex.GraphVertex;
import org.deeplearning4j.nn.graph.vertex.VertexIndices;
import org.deeplearning4j.nn.graph.vertex.impl.FrozenVertex;
import org.deeplearning4j.nn.graph.vertex.impl.LayerVertex;
import org.deeplearning4j.nn.layers.FrozenLayer;
import org.deeplearning4j.nn.updater.BaseMultiLayerUpdater;
import org.deeplearning4j.nn.updater.graph.ComputationGraphUpdater;
import org.deeplearning4j.optimize.api.TrainingListener;
import org.nd4j.linalg.api.ndarray.INDArray;

/** A {@code ComputationGraph}. */
record GraphNetwork(ComputationGraph net) implements Network {
    @Override
    public Model model() {
        return net;
    }

    @Override
    public List<Unit> units() {
        GraphVertex[] vertices = net.getVertices();
        boolean[] reached = reached();
        List<Unit> units = new ArrayList<>();
        for (int at : net.topologicalSortOrder()) {
            GraphVertex vertex = vertices[at];
            if (!vertex.hasLayer() && vertex.numParams() == 0) {
                continue;
            }
            units.add(
                    new Unit(
                            units.size(),
                            vertex.getVertexName(),
                            vertex,
                            vertex.getLayer(),
                            vertex instanceof LayerVertex v ? v.getLayerPreProcessor() : null,
                            before(vertex),
                            follower(vertex),
                            reached[at]
                                    ? null
                                    : "every way back from the outputs ends at a frozen layer"));
        }
        return units;
    }

    /** Which vertices the backward pass comes to: it stops at frozen ones. */
    private boolean[] reached() {
        GraphVertex[] vertices = net.getVertices();
        int[] order = net.topologicalSortOrder();
        boolean[] reached = new boolean[vertices.length];
        for (int i = order.length - 1; i >= 0; i--) {
            GraphVertex vertex = vertices[order[i]];
            int at = vertex.getVertexIndex();
            reached[at] |= vertex.isOutputVertex();
            boolean frozen =
                    vertex instanceof FrozenVertex || vertex.getLayer() instanceof FrozenLayer;
            if (reached[at] && !frozen && vertex.getInputVertices() != null) {
                for (VertexIndices input : vertex.getInputVertices()) {
                    reached[input.getVertexIndex()] = true;
                }
            }
        }
        return reached;
    }

    private Layer before(GraphVertex vertex) {
        VertexIndices[] inputs = vertex.getInputVertices();
        return inputs == null || inputs.length != 1
                ? null
                : net.getVertices()[inputs[0].getVertexIndex()].getLayer();
    }

    private Layer follower(GraphVertex vertex) {
        VertexIndices[] outputs = vertex.getOutputVertices();
        if (outputs == null || outputs.length != 1) {
            return null;
        }
        return net.getVertices()[outputs[0].getVertexIndex()] instanceof LayerVertex next
                        && next.getLayerPreProcessor() == null
                ? next.getLayer()
                : null;
    }

    @Override
    public List<Layer> outputs() {
        List<Layer> outputs = new ArrayList<>();
        for (String name : net.getConfiguration().getNetworkOutputs()) {
            outputs.add(net.getVertex(name).getLayer());
        }
        return outputs;
    }

    @Override
    public long samples() {
        return net.getInput(0).size(0);
    }

    @Override
    public Shadow shadow() {
        return new GraphShadow(net);
    }

    @Override
    public ForwardCopy forwardCopy(Map<Unit, InputMoments> watched) {
        Map<String, InputMoments> layers = new HashMap<>();
        watched.forEach((unit, moments) -> layers.put(unit.name(), moments));
        return ForwardCopy.of(net, layers);
    }

    @Override
    public BackpropType backpropType() {
        return net.getConfiguration().getBackpropType();
    }

    @Override
    public Collection<TrainingListener> listeners() {
        return net.getListeners();
    }

    @Override
    public int iterationCount() {
        return net.getIterationCount();
    }

    @Override
    public int epochCount() {
        return net.getEpochCount();
    }

    @Override
    public void setCounts(int iteration, int epoch) {
        net.getConfiguration().setIterationCount(iteration);
        net.getConfiguration().setEpochCount(epoch);
        for (Layer layer : net.getLayers()) {
            layer.setIterationCount(iteration);
            layer.setEpochCount(epoch);
        }
    }

    @Override
    public BaseMultiLayerUpdater<?> updater() {
        return net.getUpdater();
    }

    @Override
    public BaseMultiLayerUpdater<?> updaterIfAny() {
        return net.getUpdater(false);
    }

    @Override
    public void setUpdater(BaseMultiLayerUpdater<?> updater) {
        net.setUpdater((ComputationGraphUpdater) updater);
    }

    @Override
    public BaseMultiLayerUpdater<?> plainUpdater(INDArray state) {
        return new ComputationGraphUpdater(net, state);
    }

    @Override
    public AttachedUpdater attachedUpdater(
            BaseMultiLayerUpdater<?> replaced, Attachment attachment, List<LayerCapture> captures) {
        return new GraphUpdater(net, replaced, attachment, captures);
    }
}
