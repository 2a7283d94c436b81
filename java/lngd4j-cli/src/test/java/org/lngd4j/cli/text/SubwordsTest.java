// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.lngd4j.cli.CliException;

class SubwordsTest {
    private static final List<String> TEXT =
            List.of(
                    "A dog runs, and a dog sleeps.",
                    "Zwei Hunde laufen: 3.5 km (oder mehr)!",
                    "Ein \u201eHund\u201c läuft - wohin?",
                    "low lower lowest, new newer newest");

    /**
     * The example of Sennrich et al.: of low x 5, lower x 2, newest x 6, widest x 3 the pairs e s,
     * es t, then l o (7 times each after them). Here a blank belongs to a word.
     */
    @Test
    void theMostFrequentPairIsMergedFirst() {
        StringBuilder text = new StringBuilder();
        text.append("low ".repeat(5)).append("lower ".repeat(2));
        text.append("newest ".repeat(6)).append("widest ".repeat(3));
        int characters = 11; // blank, d, e, i, l, n, o, r, s, t, w
        Subwords two = Subwords.learn(List.of(text.toString()), Subwords.SPECIAL + characters + 2);
        assertThat(two.write()).contains("merges 2\n").contains(" es\n").contains(" est\n");
        Subwords all = Subwords.learn(List.of(text.toString()), 1000);
        assertThat(all.encode("newest low")).hasSize(2);
        assertThat(all.encode("lowest")).hasSize(2); // low, est
    }

    @ParameterizedTest
    @ValueSource(ints = {10, 60, 1000})
    void theTextComesBack(int size) {
        Subwords subwords = Subwords.learn(TEXT, size);
        for (String sentence : TEXT) {
            assertThat(subwords.decode(subwords.encode(sentence))).isEqualTo(sentence);
        }
        assertThat(subwords.decode(subwords.encode("  a   dog\tsleeps ")))
                .isEqualTo("a dog sleeps");
    }

    @Test
    void aFileGivesTheSameNumbers() {
        Subwords subwords = Subwords.learn(TEXT, 70);
        Subwords read = Subwords.parse("file", subwords.write());
        assertThat(read.size()).isEqualTo(subwords.size());
        for (String sentence : TEXT) {
            assertThat(read.encode(sentence)).isEqualTo(subwords.encode(sentence));
        }
    }

    /** Two merges may give the same text: "a" + "bc" and "ab" + "c". */
    @Test
    void tokensOfTheSameTextStayApart() {
        Random random = new Random(1);
        List<String> words =
                IntStream.range(0, 3000)
                        .mapToObj(
                                i ->
                                        random.ints(2 + random.nextInt(6), 'a', 'd')
                                                .mapToObj(Character::toString)
                                                .reduce("", String::concat))
                        .toList();
        Subwords subwords = Subwords.learn(words, 400);
        Subwords read = Subwords.parse("file", subwords.write());
        for (String word : words) {
            assertThat(read.encode(word)).isEqualTo(subwords.encode(word));
        }
    }

    @Test
    void theSameTextInAnotherOrderGivesTheSameSubwords() {
        List<String> other = new java.util.ArrayList<>(TEXT);
        Collections.reverse(other);
        assertThat(Subwords.learn(other, 70).write()).isEqualTo(Subwords.learn(TEXT, 70).write());
    }

    @Test
    void aStrangeCharacterIsUnknown() {
        Subwords subwords = Subwords.learn(TEXT, 70);
        assertThat(subwords.encode("\u4e2d")).contains(Subwords.UNKNOWN);
        assertThat(subwords.decode(subwords.encode("a \u4e2d"))).isEqualTo("a \ufffd");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "lngd-subwords 2", "lngd-subwords 1\ncharacters 9\na\n"})
    void whatIsNoFileOfSubwordsIsRefused(String text) {
        assertThatThrownBy(() -> Subwords.parse("some.txt", text))
                .isInstanceOf(CliException.class)
                .hasMessageContaining("some.txt: not a file of subwords");
    }
}
