// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.text;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.lngd4j.cli.data.SampleOrder;

/**
 * Mini-batches of sentences of about the same length, so that little is padding. What is in a batch
 * depends on the seed, the epoch and the batch's number alone. Not thread-safe.
 */
public final class SentenceBatches {
    private static final long GOLDEN = 0x9e3779b97f4a7c15L;

    private final List<SentenceBatch.Tokens> sentences;
    private final int batchSize;
    private final long seed;
    private final SampleOrder order;
    private int[] sorted; // of the epoch: by length
    private int[] numbers; // of the epoch: which batch comes when
    private int epochOfOrder = -1;

    /**
     * @param sentences the training set
     * @param batchSize 1 to the number of sentences
     * @param seed decides the order of every epoch
     */
    public SentenceBatches(List<SentenceBatch.Tokens> sentences, int batchSize, long seed) {
        if (batchSize < 1 || batchSize > sentences.size()) {
            throw new IllegalArgumentException(
                    "batchSize: " + batchSize + " is not in 1 to " + sentences.size());
        }
        this.sentences = sentences;
        this.batchSize = batchSize;
        this.seed = seed;
        this.order = new SampleOrder(sentences.size(), seed);
    }

    /** The number of batches of an epoch; one of them may be smaller. */
    public int count() {
        return (sentences.size() + batchSize - 1) / batchSize;
    }

    /** Tokens of all translations, their ends included. */
    public long targetTokens() {
        return sentences.stream().mapToLong(pair -> pair.target().length + 1L).sum();
    }

    /**
     * A batch.
     *
     * @param epoch counted from 0
     * @param number 0 to {@code count() - 1}
     */
    public SentenceBatch get(int epoch, int number) {
        if (epoch != epochOfOrder) {
            arrange(epoch);
        }
        int start = numbers[number] * batchSize;
        int end = Math.min(start + batchSize, sorted.length);
        return SentenceBatch.of(
                Arrays.stream(sorted, start, end).mapToObj(sentences::get).toList());
    }

    /**
     * All sentences in a random order are sorted by length, which keeps that order among those that
     * are as long; cut into batches; and the batches shuffled.
     */
    private void arrange(int epoch) {
        sorted =
                Arrays.stream(order.of(epoch))
                        .boxed()
                        .sorted(Comparator.comparingInt(this::length))
                        .mapToInt(i -> i)
                        .toArray();
        numbers = IntStream.range(0, count()).toArray();
        SplittableRandom random = new SplittableRandom(~(seed * GOLDEN + epoch));
        for (int i = numbers.length - 1; i > 0; i--) {
            int j = random.nextInt(i + 1);
            int swapped = numbers[i];
            numbers[i] = numbers[j];
            numbers[j] = swapped;
        }
        epochOfOrder = epoch;
    }

    /** The longer of the two decides what is padded. */
    private int length(int sentence) {
        SentenceBatch.Tokens tokens = sentences.get(sentence);
        return Math.max(tokens.source().length, tokens.target().length);
    }
}
