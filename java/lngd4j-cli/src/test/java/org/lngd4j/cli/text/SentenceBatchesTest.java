// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class SentenceBatchesTest {
    private static final int COUNT = 103;

    /** Lengths 1 to 20; the first token tells the sentence. */
    private static List<SentenceBatch.Tokens> sentences() {
        Random random = new Random(7);
        List<SentenceBatch.Tokens> all = new ArrayList<>();
        for (int i = 0; i < COUNT; i++) {
            int[] source = new int[1 + random.nextInt(20)];
            int[] target = new int[1 + random.nextInt(20)];
            Arrays.fill(source, 100 + i);
            Arrays.fill(target, 100 + i);
            all.add(new SentenceBatch.Tokens(source, target));
        }
        return all;
    }

    @Test
    void sentencesBeginEndAndAreFilledUp() {
        SentenceBatch batch =
                SentenceBatch.of(
                        List.of(
                                new SentenceBatch.Tokens(new int[] {7, 8}, new int[] {9}),
                                new SentenceBatch.Tokens(new int[] {5}, new int[] {6, 4, 9})));
        assertThat(batch.source()).containsExactly(7, 8, 2, 5, 2, 0);
        assertThat(batch.input()).containsExactly(1, 9, 0, 0, 1, 6, 4, 9);
        assertThat(batch.output()).containsExactly(9, 2, 0, 0, 6, 4, 9, 2);
        assertThat(batch).hasToString("2 x 3 to 4");
    }

    @Test
    void everySentenceIsThereOnceAnEpochAndLittleIsPadding() {
        SentenceBatches batches = new SentenceBatches(sentences(), 10, 1);
        assertThat(batches.count()).isEqualTo(11);
        List<Long> seen = new ArrayList<>();
        long padding = 0;
        long numbers = 0;
        for (int i = 0; i < batches.count(); i++) {
            SentenceBatch batch = batches.get(0, i);
            for (int row = 0; row < batch.size(); row++) {
                seen.add(batch.source()[row * batch.sourceLength()]);
            }
            padding += Arrays.stream(batch.source()).filter(t -> t == Subwords.PADDING).count();
            numbers += batch.source().length;
        }
        assertThat(seen).hasSize(COUNT).doesNotHaveDuplicates();
        // In any order half of it would be: the longest of ten is nearly 20, their mean 10.5.
        // Sorted by the longer of two independent lengths, it is the difference to that one.
        assertThat(padding / (double) numbers).isLessThan(0.35);
    }

    @Test
    void aBatchDependsOnSeedEpochAndNumberAlone() {
        SentenceBatches one = new SentenceBatches(sentences(), 10, 1);
        SentenceBatches same = new SentenceBatches(sentences(), 10, 1);
        SentenceBatch later = one.get(3, 4);
        one.get(0, 0);
        assertThat(same.get(3, 4)).isEqualTo(later).isEqualTo(one.get(3, 4));
        assertThat(new SentenceBatches(sentences(), 10, 2).get(3, 4)).isNotEqualTo(later);
        assertThat(one.get(4, 4)).isNotEqualTo(later);
    }

    @Test
    void aBatchIsNoLargerThanTheSet() {
        assertThatThrownBy(() -> new SentenceBatches(sentences(), COUNT + 1, 1))
                .hasMessageContaining("batchSize: 104 is not in 1 to 103");
    }
}
