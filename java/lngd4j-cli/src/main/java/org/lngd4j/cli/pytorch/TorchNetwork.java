// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch;

import org.bytedeco.pytorch.Module;
import org.lngd4j.cli.model.Network;
import org.nd4j.linalg.api.ndarray.INDArray;

/** A module of PyTorch as the command trains it. */
abstract class TorchNetwork implements Network {
    private final Module module;
    private double score;

    TorchNetwork(Module module) {
        this.module = module;
    }

    Module module() {
        return module;
    }

    @Override
    public void setEpochCount(int epoch) {
        // No schedule here goes by epochs.
    }

    @Override
    public void setIterationCount(int step) {
        // The method counts.
    }

    @Override
    public INDArray params() {
        return ModuleState.vector(module);
    }

    @Override
    public void setParams(INDArray values) {
        ModuleState.assign(module, values);
    }

    void score(double loss) {
        score = loss;
    }

    @Override
    public double score() {
        return score;
    }
}
