// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import java.io.Serializable;
import java.util.SplittableRandom;

/**
 * What a network in training sees of an image.
 *
 * @param intensities what a byte means
 * @param augmented whether images are cropped and mirrored at random
 */
public record ImageInput(Intensities intensities, boolean augmented) implements Serializable {
    /**
     * Writes one image into {@code row}.
     *
     * @param random decides how it is cropped and mirrored, where that is done
     */
    public void expand(LabelledImages images, int image, SplittableRandom random, float[] row) {
        if (augmented) {
            CropAndFlip.expand(images, image, intensities, random, row);
        } else {
            intensities.expand(images, image, row);
        }
    }
}
