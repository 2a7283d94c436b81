// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch.transformer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.lngd4j.cli.model.TransformerSpec;
import org.lngd4j.cli.text.SentenceBatch;
import org.lngd4j.cli.text.SentenceBatches;
import org.lngd4j.cli.text.Subwords;

@SuppressWarnings("try") // scopes that are only opened and closed
class TransformerTest {
    private static final TransformerSpec SPEC = TransformerSpec.parse("transformer:2-8-2-12", 20);
    private static final List<int[]> SOURCES =
            List.of(new int[] {5, 6, 7, 8, 9}, new int[] {4}, new int[] {10, 11, 12});

    private Transformer model;

    @BeforeEach
    void make() {
        torch.manual_seed(2);
        model = new Transformer(SPEC, 0.5);
        model.train(false);
    }

    private static SentenceBatch batch(List<int[]> sources, int[]... targets) {
        return new SentenceBatches(
                        IntStream.range(0, targets.length)
                                .mapToObj(i -> new SentenceBatch.Tokens(sources.get(i), targets[i]))
                                .toList(),
                        targets.length,
                        0)
                .get(0, 0);
    }

    @Test
    void hasTheParametersThatItsSpecificationTells() {
        long count = 0;
        for (long i = 0; i < model.parameters().size(); i++) {
            count += model.parameters().get(i).numel();
        }
        assertThat(count).isEqualTo(SPEC.parameters());
    }

    /** What stands beside a sentence, and what comes later, changes nothing of it. */
    @Test
    void paddingAndTheFutureAreNotSeen() {
        try (PointerScope scope = new PointerScope();
                NoGradGuard guard = new NoGradGuard()) {
            SentenceBatch alone = batch(List.of(SOURCES.get(1)), new int[] {6, 7});
            SentenceBatch longer = batch(List.of(SOURCES.get(1)), new int[] {6, 7, 8, 9});
            SentenceBatch together =
                    batch(
                            List.of(SOURCES.get(1), SOURCES.get(0)),
                            new int[] {6, 7},
                            new int[] {5, 5, 5, 5, 5, 5});
            Tensor one = model.forward(alone);
            // Batches are sorted by length: the short one is the first.
            Tensor two = model.forward(together).narrow(0, 0, 1).narrow(1, 0, 3);
            Tensor three = model.forward(longer).narrow(1, 0, 3);
            assertThat(one.allclose(two, 1e-4, 1e-5, false)).isTrue();
            assertThat(one.allclose(three, 1e-4, 1e-5, false)).isTrue();
        }
    }

    /** The likeliest token each time, by whole forward passes of the translation so far. */
    private int[] greedy(int[] source, int most) {
        int[] so = new int[0];
        while (so.length < most) {
            try (PointerScope scope = new PointerScope();
                    NoGradGuard guard = new NoGradGuard()) {
                Tensor logits = model.forward(batch(List.of(source), so)).select(1, so.length);
                for (long never : new long[] {Subwords.PADDING, Subwords.BEGIN, Subwords.UNKNOWN}) {
                    logits.select(1, never).fill_(new Scalar(Double.NEGATIVE_INFINITY));
                }
                int token = (int) logits.argmax(new LongOptional(1), false).item_long();
                if (token == Subwords.END) {
                    return so;
                }
                so = Arrays.copyOf(so, so.length + 1);
                so[so.length - 1] = token;
            }
        }
        return so;
    }

    @Test
    void aBeamOfOneIsGreedy() {
        List<int[]> translations = new BeamSearch(model, 1).translate(SOURCES);
        // The longest of the batch is five tokens and its end.
        for (int i = 0; i < SOURCES.size(); i++) {
            assertThat(translations.get(i)).isEqualTo(greedy(SOURCES.get(i), 6 + 50));
        }
    }

    /** Of a model that knows few tokens and ends early, every translation can be tried. */
    @Test
    void aWideBeamFindsTheBestTranslation() {
        TransformerSpec small = TransformerSpec.parse("transformer:1-4-1-4", 6);
        torch.manual_seed(11);
        model = new Transformer(small, 0);
        model.train(false);
        int[] source = {4, 5};
        double best = Double.NEGATIVE_INFINITY;
        // Tokens 4 and 5; longer ones than these have lost by their length.
        for (int length = 0; length <= 8; length++) {
            for (int bits = 0; bits < 1 << length; bits++) {
                int[] target = new int[length];
                for (int i = 0; i < length; i++) {
                    target[i] = 4 + (bits >> i & 1);
                }
                best = Math.max(best, score(source, target));
            }
        }
        int[] found = new BeamSearch(model, 64).translate(List.of(source)).get(0);
        assertThat(found.length).isLessThan(8);
        assertThat(score(source, found)).isCloseTo(best, within(1e-5));
    }

    private double score(int[] source, int... target) {
        try (PointerScope scope = new PointerScope();
                NoGradGuard guard = new NoGradGuard()) {
            SentenceBatch batch = batch(List.of(source), target);
            Tensor logits = model.forward(batch).squeeze(0);
            for (long never : new long[] {Subwords.PADDING, Subwords.BEGIN, Subwords.UNKNOWN}) {
                logits.select(1, never).fill_(new Scalar(Double.NEGATIVE_INFINITY));
            }
            Tensor next = Tensor.create(batch.output(), batch.targetLength(), 1);
            double sum = logits.log_softmax(1).gather(1, next).sum().item_double();
            return sum / Math.pow((5 + target.length + 1) / 6.0, 0.6);
        }
    }
}
