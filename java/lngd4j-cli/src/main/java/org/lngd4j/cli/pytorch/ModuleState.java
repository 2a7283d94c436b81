// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch;

import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** Parameters and running statistics of a module as one vector of ND4J. */
@SuppressWarnings("try") // scopes that are only opened and closed
final class ModuleState {
    private ModuleState() {}

    /** The memory of an array in 'c' order. */
    static Tensor tensor(INDArray array) {
        FloatPointer data = new FloatPointer(array.data().pointer()).position(array.offset());
        return torch.from_blob(data, array.shape());
    }

    /** All of them, [1, n]. */
    static INDArray vector(Module module) {
        try (PointerScope scope = new PointerScope();
                NoGradGuard guard = new NoGradGuard()) {
            TensorVector state = state(module);
            long count = 0;
            for (long i = 0; i < state.size(); i++) {
                count += state.get(i).numel();
            }
            INDArray all = Nd4j.createUninitialized(DataType.FLOAT, new long[] {1, count}, 'c');
            long at = 0;
            for (long i = 0; i < state.size(); i++) {
                Tensor t = state.get(i);
                tensor(all).view(-1).narrow(0, at, t.numel()).copy_(t.reshape(-1));
                at += t.numel();
            }
            return all;
        }
    }

    /** Takes over what {@link #vector} gave. */
    static void assign(Module module, INDArray values) {
        try (PointerScope scope = new PointerScope();
                NoGradGuard guard = new NoGradGuard()) {
            TensorVector state = state(module);
            Tensor all = tensor(values).view(-1);
            long at = 0;
            for (long i = 0; i < state.size(); i++) {
                Tensor t = state.get(i);
                t.copy_(all.narrow(0, at, t.numel()).view(t.sizes()));
                at += t.numel();
            }
        }
    }

    /**
     * Parameters, then buffers of floats: the running statistics of batch norm, not its counter.
     */
    private static TensorVector state(Module module) {
        TensorVector all = new TensorVector();
        for (TensorVector some : new TensorVector[] {module.parameters(), module.buffers()}) {
            for (long i = 0; i < some.size(); i++) {
                if (some.get(i).is_floating_point()) {
                    all.push_back(some.get(i));
                }
            }
        }
        return all;
    }
}
