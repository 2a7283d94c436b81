// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.text;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * Learns merges: the most frequent pair of neighbours becomes a token, again and again. Counts are
 * kept up to date word by word; counting all of them anew at each of some thousand merges would
 * take minutes. Of pairs that are as frequent the one with the smaller numbers comes first, so that
 * the same text gives the same subwords.
 */
final class MergeLearner {
    private static final int LEAST = 2; // a pair that is there once is no regularity

    private final List<int[]> words = new ArrayList<>();
    private final List<Integer> counts = new ArrayList<>();
    private final Map<Long, Integer> pairCounts = new HashMap<>();
    private final Map<Long, Set<Integer>> wordsOfPair = new HashMap<>();
    private final Subwords learned;

    private record Candidate(long pair, int count) {}

    private final PriorityQueue<Candidate> queue =
            new PriorityQueue<>(
                    Comparator.comparingInt(Candidate::count)
                            .reversed()
                            .thenComparingLong(Candidate::pair));

    MergeLearner(Collection<String> sentences) {
        Map<String, Integer> frequencies = new TreeMap<>();
        for (String sentence : sentences) {
            Subwords.words(sentence).forEach(word -> frequencies.merge(word, 1, Integer::sum));
        }
        Set<String> alphabet = new TreeSet<>();
        frequencies.keySet().forEach(word -> alphabet.addAll(Subwords.characters(word)));
        learned = new Subwords(alphabet);
        List<String> order = List.copyOf(alphabet);
        Map<String, Integer> numbers = new HashMap<>();
        for (int i = 0; i < order.size(); i++) {
            numbers.put(order.get(i), Subwords.SPECIAL + i);
        }
        frequencies.forEach(
                (word, count) -> {
                    words.add(Subwords.characters(word).stream().mapToInt(numbers::get).toArray());
                    counts.add(count);
                });
    }

    Subwords learn(int size) {
        for (int word = 0; word < words.size(); word++) {
            count(word, 1);
        }
        pairCounts.forEach((pair, count) -> queue.add(new Candidate(pair, count)));
        while (learned.size() < size && !queue.isEmpty()) {
            Candidate best = queue.poll();
            int now = pairCounts.getOrDefault(best.pair(), 0);
            if (now != best.count()) {
                continue; // counted anew since: it is in the queue again
            }
            if (now < LEAST) {
                break;
            }
            merge(best.pair());
        }
        return learned;
    }

    private void merge(long pair) {
        int left = (int) (pair >> Integer.SIZE);
        int right = (int) pair;
        int merged = learned.size();
        learned.merge(left, right);
        Set<Long> changed = new HashSet<>();
        for (int word : List.copyOf(wordsOfPair.get(pair))) {
            changed.addAll(count(word, -1));
            words.set(word, Subwords.replace(words.get(word), left, right, merged));
            changed.addAll(count(word, 1));
        }
        for (long other : changed) {
            int count = pairCounts.getOrDefault(other, 0);
            if (count > 0) {
                queue.add(new Candidate(other, count));
            }
        }
    }

    /** Adds a word's pairs to the counts, or takes them out; gives the pairs. */
    private Set<Long> count(int word, int sign) {
        int[] ids = words.get(word);
        Set<Long> pairs = new HashSet<>();
        for (int i = 0; i + 1 < ids.length; i++) {
            long pair = Subwords.pair(ids[i], ids[i + 1]);
            pairs.add(pair);
            pairCounts.merge(pair, sign * counts.get(word), Integer::sum);
        }
        for (long pair : pairs) {
            Set<Integer> of = wordsOfPair.computeIfAbsent(pair, p -> new HashSet<>());
            if (sign > 0) {
                of.add(word);
            } else {
                of.remove(word);
            }
        }
        return pairs;
    }
}
