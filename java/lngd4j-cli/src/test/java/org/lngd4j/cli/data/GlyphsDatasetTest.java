// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.zip.CRC32;
import org.junit.jupiter.api.Test;

class GlyphsDatasetTest {
    @Test
    void everyByteIsFixed() {
        Dataset data = GlyphsDataset.generate();

        assertThat(data.training().count()).isEqualTo(30_000);
        assertThat(data.test().count()).isEqualTo(10_000);
        assertThat(data.classes()).isEqualTo(20);
        // Seen on the first machine that ran it; any other must see the same.
        assertThat(crc(data.training().pixels())).isEqualTo("80812a97");
        assertThat(crc(data.training().labels())).isEqualTo("778c8271");
        assertThat(crc(data.test().pixels())).isEqualTo("c170bc99");
        assertThat(crc(data.test().labels())).isEqualTo("29c35f0f");
    }

    @Test
    void anImageDoesNotDependOnHowManyThereAre() {
        Dataset few = GlyphsDataset.generate(10, 2);

        assertThat(few.training()).isEqualTo(GlyphsDataset.generate(20, 2).training().slice(0, 10));
        assertThat(few.test()).isNotEqualTo(few.training().slice(0, 2));
    }

    @Test
    void classesAreAboutEqual() {
        int[] images = new int[20];
        LabelledImages training = GlyphsDataset.generate().training();
        for (int i = 0; i < training.count(); i++) {
            images[training.label(i)]++;
        }
        // 1500 each; the standard deviation of a binomial count is 38.
        for (int count : images) {
            assertThat(count).isBetween(1500 - 4 * 38, 1500 + 4 * 38);
        }
    }

    private static String crc(byte[] bytes) {
        CRC32 crc = new CRC32();
        crc.update(bytes);
        return Long.toHexString(crc.getValue());
    }
}
