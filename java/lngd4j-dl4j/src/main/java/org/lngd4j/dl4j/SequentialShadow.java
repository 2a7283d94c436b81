// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.util.List;
import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.lngd4j.nativelib.LngdStateException;

/** The {@link Shadow} of a {@code MultiLayerNetwork}. */
final class SequentialShadow implements Shadow {
    private final MultiLayerNetwork net;
    private final MultiLayerNetwork shadow;
    private final ChainPass chain;

    SequentialShadow(MultiLayerNetwork net) {
        this.net = net;
        shadow = new MultiLayerNetwork(net.getLayerWiseConfigurations().clone());
        shadow.init(net.params(), false);
        shadow.initGradientsView();
        chain = new ChainPass(shadow);
    }

    @Override
    public List<Unit> units() {
        return new SequentialNetwork(shadow).units();
    }

    @Override
    public List<Layer> outputs() {
        return new SequentialNetwork(shadow).outputs();
    }

    @Override
    public long samples(int wanted) {
        checkBatch();
        return Shadow.first(net.getInput(), masked() ? 0 : wanted).size(0);
    }

    private void checkBatch() {
        if (net.getInput() == null || net.getLabels() == null) {
            throw new LngdStateException(
                    "the network holds no batch, from which Fisher.PROVIDED draws targets: train it by"
                            + " fit, with features and labels");
        }
    }

    private boolean masked() {
        boolean masked = false;
        for (Layer layer : net.getLayers()) {
            masked |= layer.getMaskArray() != null;
        }
        return masked;
    }

    @Override
    public void pass(int samples, int lowest) {
        checkBatch();
        boolean masked = masked();
        int rows = masked ? 0 : samples;
        try {
            shadow.setInput(Shadow.first(net.getInput(), rows));
            shadow.setLabels(Shadow.first(net.getLabels(), rows));
            if (!masked) {
                chain.run(shadow.getInput(), lowest);
                return;
            }
            for (int i = 0; i < net.getnLayers(); i++) {
                shadow.getLayer(i).setMaskArray(net.getLayer(i).getMaskArray());
            }
            shadow.computeGradientAndScore();
        } finally {
            shadow.clear();
            shadow.clearLayerMaskArrays();
        }
    }
}
