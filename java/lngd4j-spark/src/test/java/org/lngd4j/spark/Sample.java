// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.bytedeco.pytorch.Tensor;

/** Some numbers and a class that follows from them, with noise. */
record Sample(float[] x, int label) implements Serializable {
    static final int CLASSES = 3;

    static List<Sample> some(int count, int size, long seed) {
        Random random = new Random(seed);
        List<Sample> samples = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int label = random.nextInt(CLASSES);
            float[] x = new float[size];
            for (int j = 0; j < size; j++) {
                x[j] = (float) random.nextGaussian() + (j % CLASSES == label ? 1 : 0);
            }
            samples.add(new Sample(x, label));
        }
        return samples;
    }

    static Tensor inputs(List<Sample> samples, long... shape) {
        int size = samples.get(0).x().length;
        float[] all = new float[samples.size() * size];
        for (int i = 0; i < samples.size(); i++) {
            System.arraycopy(samples.get(i).x(), 0, all, i * size, size);
        }
        long[] whole = new long[shape.length + 1];
        whole[0] = samples.size();
        System.arraycopy(shape, 0, whole, 1, shape.length);
        return Tensor.create(all, whole);
    }

    static Tensor labels(List<Sample> samples) {
        return Tensor.create(samples.stream().mapToLong(Sample::label).toArray());
    }
}
