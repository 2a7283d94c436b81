// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import java.io.Serializable;

/**
 * The size of one image, stored channel by channel, each row-major: DL4J's NCHW without the N.
 *
 * @param channels 1 for grey, 3 for colour
 * @param height rows
 * @param width columns
 */
public record ImageShape(int channels, int height, int width) implements Serializable {
    /** Numbers of one image. */
    public int features() {
        return channels * height * width;
    }

    /** Pixels of one channel. */
    public int plane() {
        return height * width;
    }

    /** For example {@code 28x28} or {@code 3x32x32}. */
    @Override
    public String toString() {
        return (channels == 1 ? "" : channels + "x") + height + "x" + width;
    }
}
