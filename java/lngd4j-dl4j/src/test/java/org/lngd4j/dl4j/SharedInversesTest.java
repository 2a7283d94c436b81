// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.lngd4j.InversePlacement;
import org.lngd4j.LngdOptions;
import org.lngd4j.Preset;
import org.lngd4j.gloo.PlacementDecision;
import org.lngd4j.gloo.Rendezvous;
import org.lngd4j.nativelib.LngdArgumentException;

/** Where the inverses of a network are computed: two ranks as threads. */
@SuppressWarnings("try") // attachments that are only opened and closed
class SharedInversesTest {
    private static final int STEPS = 10;
    private static final int SAVED = 5;

    @TempDir Path folder;

    private static LngdOptions options(Preset preset) {
        return LngdOptions.preset(preset, STEPS)
                .threads(1)
                .statisticsSamples(0)
                .statisticsInterval(2)
                .inverseInterval(2)
                .build();
    }

    private static InversePlacement other(InversePlacement inverses) {
        return inverses == InversePlacement.OWNED
                ? InversePlacement.REPLICATED
                : InversePlacement.OWNED;
    }

    /**
     * Full factors of a perceptron, their eigenvectors, blocks of convolutions. Steps 2, 3, 7 and 8
     * have a rank without samples. A state that was saved where each rank computed its own goes on
     * where all compute all, and the other way round.
     */
    @ParameterizedTest
    @CsvSource({"MLP, RECIPE_FIT", "MLP, EKFAC", "GRAPH, RECIPE", "GRAPH, BLOCK_KRONECKER"})
    void inversesOfOneRankAreThoseOfAll(RankNets nets, Preset preset) throws Exception {
        LngdOptions options = options(preset);
        List<float[]> weights = new ArrayList<>();
        Set<String> health = new HashSet<>();
        for (InversePlacement inverses :
                List.of(InversePlacement.OWNED, InversePlacement.REPLICATED)) {
            Path state = folder.resolve(inverses + ".zip");
            Model[] models = nets.two();
            weights.addAll(
                    RankThreads.run(
                            Rendezvous.file(folder.resolve("straight-" + inverses)),
                            ranks -> {
                                Model net = models[ranks.rank()];
                                try (DataParallel lngd =
                                        RankProgram.attach(net, options, ranks, inverses)) {
                                    checkSaid(lngd, inverses);
                                    nets.train(net, lngd, ranks, 0, SAVED);
                                    if (ranks.rank() == 0) {
                                        lngd.training().save(state);
                                    }
                                    dropUpdater(net);
                                    nets.train(net, lngd, ranks, SAVED, STEPS);
                                    note(health, lngd);
                                }
                                return RankNets.weights(net);
                            }));
            weights.addAll(
                    RankThreads.run(
                            Rendezvous.file(folder.resolve("resumed-" + inverses)),
                            ranks -> {
                                try (DataParallel lngd =
                                        DataParallel.resume(
                                                state,
                                                options,
                                                AttachOptions.defaults(),
                                                ranks,
                                                other(inverses))) {
                                    checkSaid(lngd, other(inverses));
                                    Model net = lngd.training().network();
                                    nets.train(net, lngd, ranks, SAVED, STEPS - 1);
                                    lngd.training().restore(state);
                                    nets.train(net, lngd, ranks, SAVED, STEPS);
                                    note(health, lngd);
                                    lngd.close();
                                    return RankNets.weights(net);
                                }
                            }));
        }
        assertThat(weights).hasSize(8);
        for (float[] of : weights) {
            assertThat(of).containsExactly(weights.get(0));
        }
        assertThat(weights.get(0)).isNotEqualTo(RankNets.weights(nets.net(1)));
        assertThat(health).hasSize(1);
    }

    private static void checkSaid(DataParallel lngd, InversePlacement inverses) {
        PlacementDecision decision = lngd.inverses();
        assertThat(decision.placement()).isEqualTo(inverses);
        assertThat(decision.largest()).isPositive().isLessThan(decision.operations());
        assertThat(lngd.training().report().notes()).endsWith(decision.toString());
    }

    /** DL4J drops its updater in {@code clear()}; LNGD makes another plan then. */
    private static void dropUpdater(Model net) {
        if (net instanceof MultiLayerNetwork layers) {
            layers.clear();
        }
    }

    /** Damping, norms and counts of all layers. */
    private static void note(Set<String> health, DataParallel lngd) {
        lngd.training().health().values().forEach(h -> assertThat(h.inverseUpdates()).isPositive());
        synchronized (health) {
            health.add(lngd.training().health().toString());
        }
    }

    @Test
    void autoMeasuresAndDecidesAlikeOnAllRanks() throws Exception {
        Model[] nets = RankNets.GRAPH.two();
        List<PlacementDecision> decisions =
                RankThreads.run(
                        Rendezvous.file(folder.resolve("store")),
                        ranks -> {
                            Model net = nets[ranks.rank()];
                            LngdOptions options = options(Preset.RECIPE);
                            try (DataParallel lngd = RankProgram.attach(net, options, ranks)) {
                                RankNets.GRAPH.train(net, lngd, ranks, 0, 3);
                                assertThat(lngd.training().report().toString())
                                        .contains("Note: " + lngd.inverses());
                                return lngd.inverses();
                            }
                        });
        assertThat(decisions.get(0).asked()).isEqualTo(InversePlacement.AUTO);
        assertThat(decisions.get(0).placement()).isNotEqualTo(InversePlacement.AUTO);
        assertThat(decisions.get(0).ownedSeconds()).isPositive();
        assertThat(decisions.get(0).replicatedSeconds()).isPositive();
        assertThat(decisions.get(1)).isEqualTo(decisions.get(0));
    }

    @Test
    void ranksThatAskForOtherPlacementsAreRefused() throws Exception {
        refuse(
                List.of(InversePlacement.REPLICATED, InversePlacement.OWNED),
                "the ranks differ, allowed is the same on all of them: rank 1 has the placement of"
                        + " inverses OWNED, rank 0 REPLICATED",
                "");
    }

    @Test
    void noPlacementOnOneRankIsRefusedOnAll() throws Exception {
        List<InversePlacement> asked = new ArrayList<>();
        asked.add(InversePlacement.AUTO);
        asked.add(null);
        refuse(
                asked,
                "inverses is null, allowed is one of [REPLICATED, OWNED, AUTO]",
                "rank 1 says: ");
    }

    /** Nothing is changed, and nothing is attached. */
    private void refuse(List<InversePlacement> asked, String message, String beforeOnRankZero)
            throws Exception {
        Model[] nets = RankNets.MLP.two();
        LngdOptions options = options(Preset.RECIPE);
        RankThreads.run(
                Rendezvous.file(folder.resolve("store")),
                ranks -> {
                    Model net = nets[ranks.rank()];
                    float[] before = RankNets.weights(net);
                    assertThatThrownBy(
                                    () ->
                                            RankProgram.attach(
                                                    net, options, ranks, asked.get(ranks.rank())))
                            .isInstanceOf(LngdArgumentException.class)
                            .hasMessage((ranks.rank() == 0 ? beforeOnRankZero : "") + message);
                    assertThat(RankNets.weights(net)).containsExactly(before);
                    RankProgram.attach(net, options).abandon();
                    return null;
                });
    }
}
