// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.text;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * BLEU of a corpus (K. Papineni et al., "BLEU: a method for automatic evaluation of machine
 * translation", 2002) as sacreBLEU computes it by default (M. Post, "A call for clarity in
 * reporting BLEU scores", 2018): tokens of {@link Tokens13a}, case kept, n-grams up to 4, n-grams
 * that never match smoothed exponentially. With p_n the share of the n-grams of all translations
 * that are in their references, c and r the tokens of translations and references,
 *
 * <pre>
 * BLEU = 100 min(1, exp(1 - r / c)) (p_1 p_2 p_3 p_4)^(1/4)
 * </pre>
 */
public final class Bleu {
    private static final int ORDER = 4;

    private final long[] matches = new long[ORDER];
    private final long[] totals = new long[ORDER];
    private long length;
    private long referenceLength;

    /** The score of translations, 0 to 100, with one reference each. */
    public static double of(List<String> translations, List<String> references) {
        if (translations.size() != references.size()) {
            throw new IllegalArgumentException(
                    translations.size() + " translations, " + references.size() + " references");
        }
        Bleu bleu = new Bleu();
        for (int i = 0; i < translations.size(); i++) {
            bleu.add(translations.get(i), List.of(references.get(i)));
        }
        return bleu.score();
    }

    /**
     * Adds a sentence. An n-gram counts as often as it is in the reference that has it most often;
     * the length is that of the reference that is nearest, the shorter of two.
     */
    public void add(String translation, List<String> references) {
        List<String> tokens = Tokens13a.of(translation);
        Map<List<String>, Integer> most = new HashMap<>();
        int nearest = -1;
        for (String reference : references) {
            List<String> other = Tokens13a.of(reference);
            grams(other).forEach((gram, count) -> most.merge(gram, count, Math::max));
            int difference = Math.abs(other.size() - tokens.size());
            int before = Math.abs(nearest - tokens.size());
            if (nearest < 0
                    || difference < before
                    || difference == before && other.size() < nearest) {
                nearest = other.size();
            }
        }
        grams(tokens)
                .forEach(
                        (gram, count) -> {
                            int n = gram.size() - 1;
                            totals[n] += count;
                            matches[n] += Math.min(count, most.getOrDefault(gram, 0));
                        });
        length += tokens.size();
        referenceLength += nearest;
    }

    private static Map<List<String>, Integer> grams(List<String> tokens) {
        Map<List<String>, Integer> counts = new HashMap<>();
        for (int n = 1; n <= ORDER; n++) {
            for (int i = 0; i + n <= tokens.size(); i++) {
                counts.merge(tokens.subList(i, i + n), 1, Integer::sum);
            }
        }
        return counts;
    }

    /** The score of what was added, 0 to 100. */
    public double score() {
        double logarithms = 0;
        double smoothing = 1;
        for (int n = 0; n < ORDER; n++) {
            if (totals[n] == 0 || matches[0] == 0) {
                return 0;
            }
            double hits = matches[n];
            if (matches[n] == 0) {
                // Half of a match for the first n without any, a quarter for the next.
                smoothing *= 2;
                hits = 1 / smoothing;
            }
            logarithms += Math.log(hits / totals[n]) / ORDER;
        }
        double brevity = Math.min(0, 1 - (double) referenceLength / length);
        return 100 * Math.exp(brevity + logarithms);
    }
}
