// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.List;
import org.bytedeco.javacpp.LongPointer;
import org.lngd4j.nativelib.global.lngd_samples;
import org.lngd4j.nativelib.global.lngd_tensor;
import org.nd4j.linalg.api.ndarray.INDArray;

/** The structs of a step with samples: made once, then only the numbers in them change. */
final class SampleStructs {
    /** Two sizes and two strides of each of two matrices. */
    private static final int EXTENTS = 8;

    private final lngd_samples structs;
    private final LongPointer extents;
    private final lngd_tensor[] tensors;
    private final AddressPointer address = new AddressPointer();

    SampleStructs(int layers) {
        structs = new lngd_samples(layers);
        extents = new LongPointer((long) layers * EXTENTS);
        tensors = new lngd_tensor[2 * layers];
        for (int i = 0; i < layers; i++) {
            lngd_samples entry = structs.getPointer(i);
            tensors[2 * i] = entry.inputs();
            tensors[2 * i + 1] = entry.deltas();
        }
        for (int i = 0; i < tensors.length; i++) {
            NativeStructs.fill(tensors[i], extents.getPointer(4L * i), 2);
        }
    }

    /** Takes over the addresses and extents of matrices that were checked. */
    void set(List<LayerSamples> data) {
        for (int i = 0; i < data.size(); i++) {
            set(2 * i, data.get(i).inputs());
            set(2 * i + 1, data.get(i).deltas());
        }
    }

    private void set(int index, INDArray a) {
        long first = 4L * index;
        extents.put(first, a.size(0));
        extents.put(first + 1, a.size(1));
        extents.put(first + 2, a.stride(0));
        extents.put(first + 3, a.stride(1));
        tensors[index].data(address.at(Views.address(a)));
    }

    lngd_samples structs() {
        return structs;
    }
}
