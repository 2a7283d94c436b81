// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;
import org.nd4j.linalg.api.ndarray.INDArray;

class IntensitiesTest {
    @Test
    void greyIsTheExactQuotient() {
        LabelledImages images =
                new LabelledImages(
                        new byte[] {9, 9, 4, (byte) 251}, new byte[2], new ImageShape(1, 1, 2));

        INDArray features = Intensities.of(images).toFeatures(images, 1, 1);

        assertThat(features.toFloatMatrix()).isDeepEqualTo(new float[][] {{4 / 255f, 251 / 255f}});
    }

    @Test
    void eachColourHasMeanZeroAndDeviationOne() {
        // Channel 0 of the two images: 10, 20, 30, 40; channel 1 is constant.
        byte[] pixels = {10, 20, 7, 7, 30, 40, 7, 7};
        LabelledImages images = new LabelledImages(pixels, new byte[2], new ImageShape(2, 1, 2));

        float[] x = Intensities.of(images).toFeatures(images, 0, 2).data().asFloat();

        double deviation = Math.sqrt(125);
        // One rounding to float.
        assertThat(x[0]).isCloseTo((float) (-15 / deviation), within(1e-7f));
        assertThat(x[5]).isCloseTo((float) (15 / deviation), within(1e-7f));
        assertThat(new float[] {x[2], x[3], x[6], x[7]}).containsOnly(0f);
    }
}
