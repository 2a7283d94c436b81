// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

import java.util.ArrayList;
import java.util.List;
import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.graph.vertex.GraphVertex;
import org.deeplearning4j.nn.graph.vertex.VertexIndices;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.lngd4j.nativelib.LngdArgumentException;

/** The layers with parameters of either kind of network, in the order of the forward pass. */
final class NetworkLayers {
    private NetworkLayers() {}

    static List<NetworkLayer> of(MultiLayerNetwork net) {
        List<Integer> indices = new ArrayList<>();
        for (int i = 0; i < net.getnLayers(); i++) {
            if (net.getLayer(i).numParams() > 0) {
                indices.add(i);
            }
        }
        List<NetworkLayer> layers = new ArrayList<>();
        for (int i : indices) {
            Layer layer = net.getLayer(i);
            String name = layer.conf().getLayer().getLayerName();
            layers.add(
                    new NetworkLayer(
                            name == null || name.isEmpty() ? "layer" + i : name,
                            layer,
                            i == indices.get(0),
                            i == indices.get(indices.size() - 1)));
        }
        return layers;
    }

    static List<NetworkLayer> of(ComputationGraph graph) {
        GraphVertex[] vertices = graph.getVertices();
        int[] order = graph.topologicalSortOrder();
        boolean[] before = new boolean[vertices.length];
        boolean[] after = new boolean[vertices.length];
        for (int at : order) {
            for (VertexIndices input : inputs(vertices[at])) {
                int from = input.getVertexIndex();
                before[at] |= before[from] || vertices[from].numParams() > 0;
            }
        }
        for (int i = order.length - 1; i >= 0; i--) {
            int at = order[i];
            for (VertexIndices input : inputs(vertices[at])) {
                after[input.getVertexIndex()] |= after[at] || vertices[at].numParams() > 0;
            }
        }
        List<NetworkLayer> layers = new ArrayList<>();
        for (int at : order) {
            GraphVertex vertex = vertices[at];
            if (vertex.numParams() == 0) {
                continue;
            }
            if (vertex.getLayer() == null) {
                throw new LngdArgumentException(
                        "vertex "
                                + vertex.getVertexName()
                                + " ("
                                + vertex.getClass().getSimpleName()
                                + ") has parameters of its own, whose updater this library cannot"
                                + " set; allowed are vertices around layers");
            }
            layers.add(
                    new NetworkLayer(
                            vertex.getVertexName(), vertex.getLayer(), !before[at], !after[at]));
        }
        return layers;
    }

    private static VertexIndices[] inputs(GraphVertex vertex) {
        VertexIndices[] inputs = vertex.getInputVertices();
        return inputs == null ? new VertexIndices[0] : inputs;
    }
}
