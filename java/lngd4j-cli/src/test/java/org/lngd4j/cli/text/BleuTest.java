// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;

class BleuTest {
    /** The example of sacreBLEU's documentation, which gives 48.530827009929865. */
    @Test
    void sacreBleusOwnExample() {
        Bleu bleu = new Bleu();
        bleu.add(
                "The dog bit the man.",
                List.of("The dog bit the man.", "The dog had bit the man."));
        bleu.add(
                "It wasn't surprising.",
                List.of("It was not unexpected.", "No one was surprised."));
        bleu.add(
                "The man had just bitten him.",
                List.of("The man bit him first.", "The man had bitten the dog."));
        assertThat(bleu.score()).isCloseTo(48.530827009929865, within(1e-12));
    }

    /**
     * By hand: 5 of 6 words, 3 of 5 pairs, 2 of 4 triples, 1 of 3 quadruples; 6 words against 7.
     */
    @Test
    void aShortTranslationPaysForItsBrevity() {
        double precision = Math.pow(5 / 6.0 * 3 / 5.0 * 2 / 4.0 * 1 / 3.0, 0.25);
        assertThat(Bleu.of(List.of("a b c d x f"), List.of("a b c d e f g")))
                .isCloseTo(100 * Math.exp(1 - 7 / 6.0) * precision, within(1e-12));
    }

    /** 2 of 4, 1 of 3; no triple of 2: a half; no quadruple of 1: a quarter. */
    @Test
    void whatNeverMatchesIsSmoothed() {
        double precision = Math.pow(2 / 4.0 * 1 / 3.0 * 0.5 / 2 * 0.25 / 1, 0.25);
        assertThat(Bleu.of(List.of("a b x y"), List.of("a b c d")))
                .isCloseTo(100 * precision, within(1e-12));
    }

    @Test
    void aWordCountsAsOftenAsTheReferenceHasIt() {
        // 2 of 7 words, then 1 of 6, 0 of 5, 0 of 4.
        double precision = Math.pow(2 / 7.0 * 0.5 / 6 * 0.25 / 5 * 0.125 / 4, 0.25);
        assertThat(
                        Bleu.of(
                                List.of("the the the the the the the"),
                                List.of("the cat is on the mat now")))
                .isCloseTo(100 * precision, within(1e-12));
    }

    @Test
    void theEndsOfTheScale() {
        assertThat(Bleu.of(List.of("a b c d"), List.of("a b c d"))).isCloseTo(100, within(1e-12));
        assertThat(Bleu.of(List.of("a b c d"), List.of("e f g h"))).isZero();
        assertThat(Bleu.of(List.of(""), List.of("e f g h"))).isZero();
        // Without any quadruple there is no fourth precision: sacreBLEU's corpus score is then 0.
        assertThat(Bleu.of(List.of("a b c"), List.of("a b c"))).isZero();
        assertThatThrownBy(() -> Bleu.of(List.of("a"), List.of()))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void tokensOfMteval13a() {
        assertThat(Tokens13a.of("Hello, world! It's 3.5% (or 1,000)."))
                .containsExactly(
                        "Hello", ",", "world", "!", "It's", "3.5", "%", "(", "or", "1,000", ")",
                        ".");
        assertThat(Tokens13a.of("a 10-year-old &quot;T-shirt&quot; &amp; more"))
                .containsExactly("a", "10", "-", "year-old", "\"", "T-shirt", "\"", "&", "more");
        assertThat(Tokens13a.of("Größe: 5 €.")).containsExactly("Größe", ":", "5", "€", ".");
        assertThat(Tokens13a.of("")).isEmpty();
    }
}
