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
import org.deeplearning4j.nn.conf.MultiLayerConfiguration;
import org.deeplearning4j.nn.layers.FrozenLayer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.nn.updater.BaseMultiLayerUpdater;
import org.deeplearning4j.nn.updater.MultiLayerUpdater;
import org.deeplearning4j.optimize.api.TrainingListener;
import org.nd4j.linalg.api.ndarray.INDArray;

/** A {@code MultiLayerNetwork}. */
record SequentialNetwork(MultiLayerNetwork net) implements Network {
    @Override
    public Model model() {
        return net;
    }

    @Override
    public List<Unit> units() {
        MultiLayerConfiguration conf = net.getLayerWiseConfigurations();
        int count = net.getnLayers();
        int frozen = -1;
        for (int i = 0; i < count; i++) {
            frozen = net.getLayer(i) instanceof FrozenLayer ? i : frozen;
        }
        List<Unit> units = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            Layer layer = net.getLayer(i);
            boolean direct = i + 1 < count && conf.getInputPreProcess(i + 1) == null;
            units.add(
                    new Unit(
                            i,
                            Unit.name(layer, i),
                            layer,
                            layer,
                            conf.getInputPreProcess(i),
                            i > 0 ? net.getLayer(i - 1) : null,
                            direct ? net.getLayer(i + 1) : null,
                            i < frozen
                                    ? "the backward pass ends at the frozen layer " + frozen
                                    : null));
        }
        return units;
    }

    @Override
    public List<Layer> outputs() {
        return List.of(net.getLayer(net.getnLayers() - 1));
    }

    @Override
    public long samples() {
        return net.getInput().size(0);
    }

    @Override
    public Shadow shadow() {
        return new SequentialShadow(net);
    }

    @Override
    public ForwardCopy forwardCopy(Map<Unit, InputMoments> watched) {
        Map<Integer, InputMoments> layers = new HashMap<>();
        watched.forEach((unit, moments) -> layers.put(unit.index(), moments));
        return ForwardCopy.of(net, layers);
    }

    @Override
    public BackpropType backpropType() {
        return net.getLayerWiseConfigurations().getBackpropType();
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
        net.getLayerWiseConfigurations().setIterationCount(iteration);
        net.getLayerWiseConfigurations().setEpochCount(epoch);
        for (Layer layer : net.getLayers()) {
            layer.setIterationCount(iteration);
            layer.setEpochCount(epoch);
        }
    }

    @Override
    public BaseMultiLayerUpdater<?> updater() {
        return (MultiLayerUpdater) net.getUpdater();
    }

    @Override
    public BaseMultiLayerUpdater<?> updaterIfAny() {
        return (MultiLayerUpdater) net.getUpdater(false);
    }

    @Override
    public void setUpdater(BaseMultiLayerUpdater<?> updater) {
        net.setUpdater(updater);
    }

    @Override
    public BaseMultiLayerUpdater<?> plainUpdater(INDArray state) {
        return new MultiLayerUpdater(net, state);
    }

    @Override
    public AttachedUpdater attachedUpdater(
            BaseMultiLayerUpdater<?> replaced, Attachment attachment, List<LayerCapture> captures) {
        return new SequentialUpdater(net, replaced, attachment, captures);
    }
}
