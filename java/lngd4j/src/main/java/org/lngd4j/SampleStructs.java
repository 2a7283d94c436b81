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
        structs = new lngd_samples(layers).retainReference();
        inputs = new TensorStruct[layers];
        deltas = new TensorStruct[layers];
        for (int i = 0; i < layers; i++) {
            lngd_samples entry = structs.getPointer(i);
            inputs[i] = new TensorStruct(entry.inputs());
            deltas[i] = new TensorStruct(entry.deltas());
        }
    }

    /** Takes over the addresses and extents of tensors that were checked. */
    lngd_samples set(List<LayerSamples> data) {
        for (int i = 0; i < inputs.length; i++) {
            LayerSamples samples = data.get(i);
            inputs[i].set(samples.inputs());
            deltas[i].set(samples.deltas());
        }
        return structs;
    }
}
