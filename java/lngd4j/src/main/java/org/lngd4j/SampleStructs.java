// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.List;
import org.lngd4j.nativelib.global.lngd_samples;

/** The structs of a step with samples: made once, then only the numbers in them change. */
final class SampleStructs {
    private final lngd_samples structs;
    private final TensorStruct[] inputs;
    private final TensorStruct[] deltas;

    SampleStructs(int layers) {
        structs = new lngd_samples(layers);
        inputs = new TensorStruct[layers];
        deltas = new TensorStruct[layers];
        for (int i = 0; i < layers; i++) {
            lngd_samples entry = structs.getPointer(i);
            inputs[i] = new TensorStruct(entry.inputs());
            deltas[i] = new TensorStruct(entry.deltas());
        }
    }

    /** Takes over the addresses and extents of matrices that were checked. */
    lngd_samples set(List<? extends StepSamples> data) {
        for (int i = 0; i < inputs.length; i++) {
            StepSamples samples = data.get(i);
            if (samples instanceof LayerSamples arrays) {
                inputs[i].set(arrays.inputs());
                deltas[i].set(arrays.deltas());
            } else if (samples instanceof DeviceLayerSamples tensors) {
                inputs[i].set(tensors.inputs());
                deltas[i].set(tensors.deltas());
            }
        }
        return structs;
    }
}
