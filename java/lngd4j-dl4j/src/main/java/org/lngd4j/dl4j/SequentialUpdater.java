// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.util.List;
import org.deeplearning4j.nn.gradient.Gradient;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.nn.updater.BaseMultiLayerUpdater;
import org.deeplearning4j.nn.updater.MultiLayerUpdater;
import org.deeplearning4j.nn.workspace.LayerWorkspaceMgr;
import org.nd4j.linalg.api.ndarray.INDArray;

/** The updater of an attached {@code MultiLayerNetwork}; what it does is in {@link LngdUpdate}. */
final class SequentialUpdater extends MultiLayerUpdater implements Network.AttachedUpdater {
    private static final long serialVersionUID = 1L;

    private final transient LngdUpdate lngd;

    SequentialUpdater(
            MultiLayerNetwork net,
            BaseMultiLayerUpdater<?> replaced,
            Attachment attachment,
            List<LayerCapture> captures) {
        super(net, replaced.getStateViewArray());
        lngd =
                new LngdUpdate(
                        this,
                        (gradient, size) -> divideByMinibatch(false, gradient, size),
                        replaced,
                        attachment,
                        captures);
    }

    @Override
    public LngdUpdate lngd() {
        return lngd;
    }

    @Override
    public BaseMultiLayerUpdater<?> updater() {
        return this;
    }

    @Override
    public synchronized void update(
            Gradient gradient,
            int iteration,
            int epoch,
            int batchSize,
            LayerWorkspaceMgr workspaceMgr) {
        lngd.update(gradient, iteration, epoch, batchSize, workspaceMgr);
    }

    /** The state that plain DL4J would have. */
    @Override
    public INDArray getStateViewArray() {
        if (lngd != null) { // null while the superclass is made
            lngd.scatterState();
        }
        return super.getStateViewArray();
    }

    @Override
    public synchronized INDArray getStateViewArrayCopy() {
        INDArray state = getStateViewArray();
        return state == null ? null : state.dup();
    }

    @Override
    public void setStateViewArray(INDArray viewArray) {
        super.setStateViewArray(viewArray);
        if (lngd != null) {
            lngd.gatherState();
        }
    }
}
