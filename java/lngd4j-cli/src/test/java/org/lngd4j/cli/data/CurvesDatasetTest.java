// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.zip.CRC32;
import org.junit.jupiter.api.Test;

class CurvesDatasetTest {
    @Test
    void everyByteIsFixed() {
        Dataset data = CurvesDataset.generate();

        assertThat(data.training().count()).isEqualTo(20_000);
        assertThat(data.test().count()).isEqualTo(10_000);
        assertThat(data.classes()).isEqualTo(Dataset.NO_CLASSES);
        // Seen on the first machine that ran it; any other must see the same.
        assertThat(crc(data.training())).isEqualTo("9aeaa15f");
        assertThat(crc(data.test())).isEqualTo("973cdaa0");
    }

    @Test
    void anImageDoesNotDependOnHowManyThereAre() {
        Dataset few = CurvesDataset.generate(10, 2);

        assertThat(few.training()).isEqualTo(CurvesDataset.generate(20, 2).training().slice(0, 10));
        assertThat(few.test()).isNotEqualTo(few.training().slice(0, 2));
    }

    @Test
    void theyAreStrokesAwayFromTheBorder() {
        LabelledImages images = CurvesDataset.generate(1000, 1).training();
        long ink = 0;
        for (int i = 0; i < images.count(); i++) {
            int brightest = 0;
            for (int k = 0; k < 784; k++) {
                int level = images.pixels()[i * 784 + k] & 0xff;
                boolean border = k % 28 == 0 || k % 28 == 27 || k / 28 == 0 || k / 28 == 27;
                assertThat(border && level > 0).isFalse();
                brightest = Math.max(brightest, level);
                ink += level;
            }
            // No point is further than sqrt(1/2) from a pixel's centre: 255 (1.1 - 0.71).
            assertThat(brightest).isGreaterThanOrEqualTo(100);
        }
        // A stroke 2.2 pixels wide with soft edges and some 10 pixels long covers a few per cent.
        assertThat(ink / 255.0 / images.count() / 784).isBetween(0.02, 0.08);
    }

    private static String crc(LabelledImages images) {
        CRC32 crc = new CRC32();
        crc.update(images.pixels());
        return Long.toHexString(crc.getValue());
    }
}
