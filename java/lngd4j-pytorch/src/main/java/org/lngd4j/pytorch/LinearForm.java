// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Tensor;
import org.lngd4j.LayerSpec;

/** A fully connected layer: all axes before the last are samples. */
record LinearForm(LinearImpl layer) implements SequenceForm {
    @Override
    public LayerSpec spec(String name) {
        Tensor w = layer.weight();
        return LayerSpec.dense(name, w.size(1), w.size(0)).bias(layer.bias().defined());
    }

    @Override
    public Tensor matrix(Tensor weights) {
        return weights;
    }

    @Override
    public int axes() {
        return 2;
    }

    @Override
    public Tensor inputs(Tensor input) {
        return rows(input);
    }

    @Override
    public Tensor outputs(Tensor output) {
        return rows(output);
    }

    @Override
    public Tensor inputRows(Tensor input) {
        return rows(input);
    }

    @Override
    public Tensor outputRows(Tensor output) {
        return rows(output);
    }

    private static Tensor rows(Tensor x) {
        return x.dim() == 2 ? x : x.reshape(-1, x.size(x.dim() - 1));
    }
}
