// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch;

import java.util.EnumSet;
import java.util.Set;
import java.util.stream.Collectors;
import org.bytedeco.pytorch.Adam;
import org.bytedeco.pytorch.AdamOptions;
import org.bytedeco.pytorch.AdamW;
import org.bytedeco.pytorch.AdamWOptions;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.lngd4j.cli.pytorch.transformer.Transformer;
import org.lngd4j.cli.train.FirstOrderSettings;
import org.lngd4j.cli.train.OptimizerKind;
import org.lngd4j.pytorch.optim.Muon;
import org.lngd4j.pytorch.optim.MuonOptions;
import org.lngd4j.pytorch.optim.Soap;
import org.lngd4j.pytorch.optim.SoapOptions;

/** PyTorch's own optimizers and the library's, by the names of {@code --optimizer}. */
final class TorchOptimizers {
    private static final Set<OptimizerKind> OURS =
            EnumSet.of(
                    OptimizerKind.SGD,
                    OptimizerKind.ADAM,
                    OptimizerKind.ADAMW,
                    OptimizerKind.MUON,
                    OptimizerKind.MUON_DECAY,
                    OptimizerKind.SOAP);

    // Of SOAP: its authors' default.
    private static final int LONGEST_SIDE = 10_000;

    // A vocabulary is no such side: a QR of 4000 x 4000 every tenth step takes longer than the
    // rest.
    private static final int LONGEST_SIDE_BESIDE_WORDS = 1000;

    private TorchOptimizers() {}

    static boolean has(OptimizerKind kind) {
        return OURS.contains(kind);
    }

    static String names() {
        return OURS.stream().map(Object::toString).collect(Collectors.joining(", "));
    }

    private static int longestSide(Module model) {
        return model instanceof Transformer ? LONGEST_SIDE_BESIDE_WORDS : LONGEST_SIDE;
    }

    /**
     * The optimizer of a model's parameters. SGD's momentum is Nesterov's, as DL4J's is. Muon is in
     * the form of "Muon is scalable", also as there: its matrices take AdamW's rates and decays, so
     * that one learning rate is tuned, as for all others.
     */
    static TorchStep of(FirstOrderSettings numbers, Module model) {
        OptimizerKind kind = numbers.settings().optimizer();
        double rate = numbers.learningRate();
        double momentum = numbers.momentum();
        double decay = numbers.weightDecay();
        return switch (kind) {
            case SGD -> {
                SGDOptions options = new SGDOptions(rate);
                options.momentum().put(momentum);
                options.nesterov().put(momentum > 0);
                yield new StockStep(new SGD(model.parameters(), options));
            }
            case ADAM -> new StockStep(new Adam(model.parameters(), new AdamOptions(rate)));
            case ADAMW -> {
                AdamWOptions options = new AdamWOptions(rate);
                options.betas().put(0, momentum);
                options.weight_decay().put(decay);
                yield new StockStep(new AdamW(model.parameters(), options));
            }
            case MUON, MUON_DECAY ->
                    new LibraryStep(
                            kind,
                            new Muon(
                                    model,
                                    MuonOptions.matchingAdamW(rate, decay)
                                            .momentum(momentum)
                                            .build()));
            case SOAP ->
                    new LibraryStep(
                            kind,
                            new Soap(
                                    model,
                                    SoapOptions.builder()
                                            .learningRate(rate)
                                            .beta1(momentum)
                                            .weightDecay(decay)
                                            .maxPreconditionedSize(longestSide(model))
                                            .build()));
            default -> throw new IllegalArgumentException(kind.toString());
        };
    }
}
