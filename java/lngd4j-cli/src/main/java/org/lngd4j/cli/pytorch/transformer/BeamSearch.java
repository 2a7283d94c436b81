// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch.transformer;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.T_TensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.lngd4j.cli.text.SentenceBatch;
import org.lngd4j.cli.text.Subwords;

/**
 * Follows the likeliest hypotheses of each translation token by token. An ended one counts log p(y
 * | x) / ((5 + length) / 6)^0.6 (Y. Wu et al., "Google's neural machine translation system", 2016,
 * equation 14), so that short ones are not preferred. A sentence is done once as many have ended as
 * are followed; with a beam of 1 that is the greedy translation.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
public final class BeamSearch {
    private static final double LENGTH_PENALTY = 0.6;
    private static final int TOGETHER = 100;
    private static final int LONGER = 50; // than the source, at most: as the paper has it

    private final Transformer model;
    private final int beam;

    /**
     * @param model in inference mode
     * @param beam hypotheses that are followed, at least 1
     */
    public BeamSearch(Transformer model, int beam) {
        this.model = model;
        this.beam = beam;
    }

    /** A translation that is followed, or has ended. */
    private record Hypothesis(int[] tokens, double logProbability) {
        Hypothesis with(int token, double total) {
            int[] longer = Arrays.copyOf(tokens, tokens.length + 1);
            longer[tokens.length] = token;
            return new Hypothesis(longer, total);
        }

        long last() {
            return tokens.length == 0 ? Subwords.BEGIN : tokens[tokens.length - 1];
        }

        double score() {
            return logProbability / Math.pow((5 + tokens.length + 1) / 6.0, LENGTH_PENALTY);
        }
    }

    /**
     * Translates.
     *
     * @param sentences tokens without ends
     * @return tokens without ends, in the order of the sentences
     */
    public List<int[]> translate(List<int[]> sentences) {
        int[][] translations = new int[sentences.size()][];
        List<Integer> byLength =
                IntStream.range(0, sentences.size())
                        .boxed()
                        .sorted(Comparator.comparingInt(i -> sentences.get(i).length))
                        .toList();
        for (int from = 0; from < byLength.size(); from += TOGETHER) {
            List<Integer> some = byLength.subList(from, Math.min(from + TOGETHER, byLength.size()));
            List<int[]> found = search(some.stream().map(sentences::get).toList());
            for (int i = 0; i < some.size(); i++) {
                translations[some.get(i)] = found.get(i);
            }
        }
        return List.of(translations);
    }

    private List<int[]> search(List<int[]> sentences) {
        List<List<Hypothesis>> live = new ArrayList<>();
        List<List<Hypothesis>> ended = new ArrayList<>();
        for (int i = 0; i < sentences.size(); i++) {
            live.add(List.of(new Hypothesis(new int[0], 0)));
            ended.add(new ArrayList<>());
        }
        SentenceBatch batch = SentenceBatch.ofSources(sentences);
        try (PointerScope scope = new PointerScope();
                NoGradGuard guard = new NoGradGuard();
                Decoding decoding = new Decoding(model, batch)) {
            for (int length = 0; length < batch.sourceLength() + LONGER; length++) {
                if (!extend(live, ended, decoding)) {
                    break;
                }
            }
        }
        List<int[]> best = new ArrayList<>();
        for (int i = 0; i < live.size(); i++) {
            // Where none has ended in time, the best that is followed.
            List<Hypothesis> of = ended.get(i).isEmpty() ? live.get(i) : ended.get(i);
            best.add(
                    of.stream()
                            .max(Comparator.comparing(Hypothesis::score))
                            .orElseThrow()
                            .tokens());
        }
        return best;
    }

    /** One more token of all; whether there is anything left to follow. */
    private boolean extend(
            List<List<Hypothesis>> live, List<List<Hypothesis>> ended, Decoding decoding) {
        // A scope of its own: the logits of all positions together would be gigabytes.
        try (PointerScope scope = new PointerScope()) {
            Candidates candidates =
                    candidates(
                            decoding.next(
                                    live.stream()
                                            .flatMap(List::stream)
                                            .mapToLong(Hypothesis::last)
                                            .toArray()));
            List<Long> origins = new ArrayList<>();
            int row = 0;
            for (int i = 0; i < live.size(); i++) {
                int before = live.get(i).size();
                live.set(i, extend(live.get(i), candidates, row, ended.get(i), origins));
                row += before;
            }
            if (!origins.isEmpty()) {
                decoding.choose(origins.stream().mapToLong(r -> r).toArray());
            }
            return !origins.isEmpty();
        }
    }

    /** The likeliest tokens after each hypothesis, and log p of them. */
    private record Candidates(int each, long[] tokens, float[] logProbabilities) {}

    private Candidates candidates(Tensor logits) {
        for (long never : new long[] {Subwords.PADDING, Subwords.BEGIN, Subwords.UNKNOWN}) {
            logits.select(1, never).fill_(new Scalar(Double.NEGATIVE_INFINITY));
        }
        // One of them may be the end, which leaves as many as are followed.
        int each = Math.toIntExact(Math.min(beam + 1L, logits.size(1)));
        T_TensorTensor_T top = logits.log_softmax(1).topk(each);
        float[] values = new float[Math.toIntExact(logits.size(0)) * each];
        long[] tokens = new long[values.length];
        new FloatPointer(top.get0().contiguous().data_ptr()).get(values);
        new LongPointer(top.get1().contiguous().data_ptr()).get(tokens);
        return new Candidates(each, tokens, values);
    }

    private record Step(long row, Hypothesis hypothesis, boolean ends) {}

    /**
     * Goes on with one sentence.
     *
     * @param first row of its first hypothesis
     * @param ended gets those that have ended
     * @param origins gets the row of each hypothesis that is followed further
     */
    private List<Hypothesis> extend(
            List<Hypothesis> live,
            Candidates candidates,
            int first,
            List<Hypothesis> ended,
            List<Long> origins) {
        List<Step> steps = new ArrayList<>();
        for (int h = 0; h < live.size(); h++) {
            for (int k = 0; k < candidates.each(); k++) {
                int at = (first + h) * candidates.each() + k;
                Hypothesis from = live.get(h);
                double total = from.logProbability() + candidates.logProbabilities()[at];
                int token = (int) candidates.tokens()[at];
                boolean ends = token == Subwords.END;
                steps.add(
                        new Step(
                                first + h,
                                ends
                                        ? new Hypothesis(from.tokens(), total)
                                        : from.with(token, total),
                                ends));
            }
        }
        steps.sort(
                Comparator.comparingDouble((Step s) -> s.hypothesis().logProbability()).reversed());
        List<Hypothesis> next = new ArrayList<>();
        // An end counts only among the likeliest: it is compared with what is followed.
        for (int rank = 0; rank < steps.size() && next.size() < beam; rank++) {
            Step step = steps.get(rank);
            if (!step.ends()) {
                next.add(step.hypothesis());
                origins.add(step.row());
            } else if (rank < beam) {
                ended.add(step.hypothesis());
            }
        }
        if (ended.size() >= beam) {
            origins.subList(origins.size() - next.size(), origins.size()).clear();
            return List.of();
        }
        return next;
    }
}
