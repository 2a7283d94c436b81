// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.lngd4j.nativelib.global.lngd_tensor;

/** Ways to spoil a good matrix tensor, each with a word that the message must have. */
final class BadTensors {
    private static final LongPointer ZERO_ROWS = new LongPointer(0, 0);
    private static final LongPointer NEGATIVE = new LongPointer(-4, 5);
    private static final LongPointer HUGE = new LongPointer(Long.MAX_VALUE, Long.MAX_VALUE);

    private BadTensors() {}

    static Map<String, Consumer<lngd_tensor>> matrix() {
        Map<String, Consumer<lngd_tensor>> map = new LinkedHashMap<>();
        map.put("data", t -> t.data((Pointer) null));
        map.put("device", t -> t.device_type(7));
        map.put("device ", t -> t.device_type(0));
        map.put("rank 0 ndim", t -> t.ndim(0));
        map.put("rank 1 ndim", t -> t.ndim(1));
        map.put("rank 3 ndim", t -> t.ndim(3));
        map.put("rank -1 ndim", t -> t.ndim(-1));
        map.put("int dtype", t -> t.dtype_code((byte) 0));
        map.put("bfloat dtype", t -> t.dtype_code((byte) 4));
        map.put("double dtype", t -> t.dtype_bits((byte) 64));
        map.put("half dtype", t -> t.dtype_bits((byte) 16));
        map.put("two lanes dtype", t -> t.dtype_lanes((short) 2));
        map.put("no lanes dtype", t -> t.dtype_lanes((short) 0));
        map.put("shape", t -> t.shape((LongPointer) null));
        map.put("zero size rows", t -> t.shape(ZERO_ROWS));
        map.put("negative rows", t -> t.shape(NEGATIVE));
        map.put("huge rows", t -> t.shape(HUGE));
        return map;
    }
}
