// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.text;

import java.util.Arrays;
import java.util.List;

/**
 * Sentences side by side, filled up with {@link Subwords#PADDING} to the longest of them.
 *
 * @param size N sentences
 * @param sourceLength S, the end included
 * @param targetLength T, begin or end included
 * @param source N x S, row by row: each ends with {@link Subwords#END}
 * @param input N x T: {@link Subwords#BEGIN}, then the translation
 * @param output N x T: the translation, then {@link Subwords#END}: at each position what follows
 *     the same position of {@code input}
 */
public record SentenceBatch(
        int size, int sourceLength, int targetLength, long[] source, long[] input, long[] output) {
    /** Tokens of one sentence and its translation, without begin and end. */
    public record Tokens(int[] source, int[] target) {}

    /** Puts sentences side by side. */
    static SentenceBatch of(List<Tokens> sentences) {
        int size = sentences.size();
        int longestSource = 0;
        int longestTarget = 0;
        for (Tokens pair : sentences) {
            longestSource = Math.max(longestSource, pair.source().length + 1);
            longestTarget = Math.max(longestTarget, pair.target().length + 1);
        }
        SentenceBatch batch =
                new SentenceBatch(
                        size,
                        longestSource,
                        longestTarget,
                        new long[size * longestSource],
                        new long[size * longestTarget],
                        new long[size * longestTarget]);
        for (int i = 0; i < size; i++) {
            int[] source = sentences.get(i).source();
            int[] target = sentences.get(i).target();
            row(batch.source, i * longestSource, source);
            row(batch.output, i * longestTarget, target);
            batch.input[i * longestTarget] = Subwords.BEGIN;
            copy(batch.input, i * longestTarget + 1, target);
        }
        return batch;
    }

    /**
     * Sources alone.
     *
     * @param sentences without their ends
     * @return N x S with the ends and padding
     */
    public static SentenceBatch ofSources(List<int[]> sentences) {
        return of(sentences.stream().map(s -> new Tokens(s, new int[0])).toList());
    }

    private static void row(long[] all, int start, int[] tokens) {
        copy(all, start, tokens);
        all[start + tokens.length] = Subwords.END;
    }

    private static void copy(long[] all, int start, int[] tokens) {
        for (int i = 0; i < tokens.length; i++) {
            all[start + i] = tokens[i];
        }
    }

    // A record would compare and print its arrays by identity: no use to anybody.
    @Override
    public boolean equals(Object other) {
        return other instanceof SentenceBatch that
                && size == that.size
                && Arrays.equals(source, that.source)
                && Arrays.equals(output, that.output);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(output);
    }

    @Override
    public String toString() {
        return size + " x " + sourceLength + " to " + targetLength;
    }
}
