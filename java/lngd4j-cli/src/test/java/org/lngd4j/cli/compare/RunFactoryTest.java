// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.support.Json;
import org.lngd4j.cli.support.Versions;
import org.lngd4j.cli.train.TextSettings;
import org.lngd4j.cli.train.TrainSettings;

class RunFactoryTest {
    private static final CompareSettings SETTINGS =
            new CompareSettings(
                    "here",
                    "mlp",
                    null,
                    List.of(Contender.parse("sgd"), Contender.parse("lngd")),
                    6,
                    100,
                    0.5,
                    1,
                    null,
                    null,
                    null,
                    TextSettings.NONE,
                    3,
                    null,
                    new CompareSettings.Tuning(5, 2, null, 1),
                    1);

    @TempDir Path folder;

    private final RunFactory runs = new RunFactory(SETTINGS, 1050);
    private final Contender sgd = SETTINGS.contenders().get(0);
    private final Contender lngd = SETTINGS.contenders().get(1);

    @Test
    void aTuningRunIsShortAndLeavesTheTestSetAlone() {
        TrainSettings tuning = runs.tuningRun(sgd, List.of(4)).settings();
        TrainSettings whole = runs.wholeRun(sgd, List.of(4), 2).settings();

        assertThat(tuning.epochs()).isEqualTo(2);
        assertThat(tuning.validation()).isEqualTo(105);
        assertThat(tuning.seed()).isGreaterThan(1000);
        assertThat(tuning.learningRate()).isEqualTo(0.01);
        assertThat(whole.epochs()).isEqualTo(6);
        assertThat(whole.validation()).isNull();
        assertThat(whole.seed()).isEqualTo(2);
        // 945 and 1050 images in batches of 100.
        assertThat(runs.tuningSteps()).isEqualTo(2 * 10);
        assertThat(runs.wholeSteps()).isEqualTo(6 * 11);
        assertThat(Comparison.totalSteps(SETTINGS, runs)).isEqualTo(2 * (5 * 20 + 3 * 66));
    }

    @Test
    void theTrustRatioFollowsTheLengthOfTheRun() {
        List<Integer> start = new GridSearch(lngd.axes(), 0).start();
        List<Integer> moved = List.of(1, start.get(1));

        // The defaults are left to the preset.
        assertThat(runs.wholeRun(lngd, start, 1).settings().trustRatio()).isNull();
        assertThat(runs.wholeRun(lngd, moved, 1).settings().trustRatio())
                .isCloseTo(0.06 / Math.sqrt(66), within(1e-15));
        assertThat(runs.tuningRun(lngd, moved).settings().trustRatio())
                .isCloseTo(0.06 / Math.sqrt(20), within(1e-15));
    }

    /** As many grid points around the start, which is left to the preset, as for the others. */
    @Test
    void blockKroneckerIsTunedAroundItsOwnDefaults() {
        Contender block = Contender.parse("lngd/block-kronecker");
        List<Integer> start = new GridSearch(block.axes(), 0).start();
        assertThat(runs.wholeRun(block, start, 1).settings().toMap())
                .containsEntry("preset", "block-kronecker")
                .containsEntry("trust-ratio", null)
                .containsEntry("damping", null);
        assertThat(runs.wholeRun(block, List.of(start.get(0), 3), 1).settings().damping())
                .isEqualTo(2);
        Contender fit = Contender.parse("lngd/block-kronecker-fit");
        assertThat(fit.axes().get(1).start()).isEqualTo(0.15);
        for (int i = 0; i < 2; i++) {
            int points = lngd.axes().get(i).grid().size();
            assertThat(block.axes().get(i).grid()).hasSize(points);
            assertThat(fit.axes().get(i).grid()).hasSize(points);
        }
        assertThat(Contender.parse("lngd/recommended").options())
                .isEqualTo(Map.of("preset", "recommended"));
    }

    @Test
    void weightDecayIsTunedAndItsDefaultLeftToTheOptimizer() {
        Contender muon = Contender.parse("muon-decay/raw");
        List<Integer> start = new GridSearch(muon.axes(), 0).start();

        assertThat(runs.wholeRun(muon, start, 1).settings().weightDecay()).isNull();
        assertThat(runs.wholeRun(muon, start, 1).settings().averagedWeights()).isFalse();
        assertThat(runs.wholeRun(muon, List.of(start.get(0), 1), 1).settings().weightDecay())
                .isEqualTo(0.01);
    }

    @Test
    void aFolderIsNamedByAllThatDecidesTheRun() {
        String name = runs.wholeRun(sgd, List.of(4), 1).folderName();

        assertThat(name).matches("sgd-[0-9a-f]{16}");
        assertThat(new RunFactory(SETTINGS, 1050).wholeRun(sgd, List.of(4), 1).folderName())
                .isEqualTo(name);
        assertThat(
                        List.of(
                                runs.wholeRun(sgd, List.of(4), 2).folderName(),
                                runs.wholeRun(sgd, List.of(5), 1).folderName(),
                                runs.wholeRun(Contender.parse("sgd/raw"), List.of(4), 1)
                                        .folderName(),
                                runs.tuningRun(sgd, List.of(4)).folderName()))
                .doesNotContain(name)
                .doesNotHaveDuplicates();
    }

    /** Caches of runs are kept for months. */
    @Test
    void whereNewOptionsAreNotSaidTheFoldersKeepTheirNames() throws Exception {
        PlannedRun run = runs.wholeRun(sgd, List.of(4), 1);
        Map<String, Object> options = run.settings().toMap();
        assertThat(options).containsEntry("engine", null);
        List<String> later =
                List.of("engine", "warmup", "vocabulary", "dropout", "label-smoothing");
        later.forEach(options::remove);
        String text =
                String.join(
                        "|", "1", Versions.lngd4j(), Versions.convolutions(), Json.write(options));
        byte[] digest =
                MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
        String name = "sgd-" + HexFormat.of().formatHex(digest, 0, 8);
        assertThat(run.folderName()).isEqualTo(name);

        options.put("engine", "pytorch");
        PlannedRun other = new PlannedRun("sgd", TrainSettings.of(options));
        assertThat(other.folderName()).isNotEqualTo(name);
        assertThat(other.settings().toArguments()).contains("--engine", "pytorch");
    }

    @Test
    void contendersAreReadAndUnknownOnesListWhatThereIs() {
        Contender contender = Contender.parse(" lngd/recipe-fit/raw ");
        assertThat(contender.name()).isEqualTo("lngd/recipe-fit/raw");
        assertThat(contender.options())
                .isEqualTo(Map.of("preset", "recipe-fit", "averaged-weights", false));

        Contender plain = Contender.parse("lngd");
        assertThat(plain.fitting("fashion-mnist", null)).isEqualTo(plain);
        Contender fitting = plain.fitting("multi30k", null);
        assertThat(fitting.name()).isEqualTo("lngd");
        assertThat(fitting.options()).isEqualTo(Map.of("preset", "recommended"));
        assertThat(contender.fitting("multi30k", null)).isEqualTo(contender);
        assertThat(Contender.parse("sgd").fitting("multi30k", null).options()).isEmpty();

        assertThatThrownBy(() -> Contender.parse("ng+"))
                .isInstanceOf(CliException.class)
                .hasMessage(
                        "--optimizers ng+: there is no such optimizer; there are lngd, paper,"
                                + " lngd-sample, lngd-lr, kfac, kfac-trust, kfac-trust-decay, tkfac, ekfac,"
                                + " ngplus, adam, adamw, sgd, lars, lamb, muon, muon-decay, soap");
        assertThatThrownBy(() -> Contender.parse("sgd/recipe"))
                .hasMessageContaining("/recipe is not known; there are /avg");
    }

    @Test
    void tunedSettingsComeBackFromTheirFile() throws IOException {
        List<ContenderResult> results =
                List.of(
                        new ContenderResult(sgd, List.of(7), Map.of(), List.of(), List.of()),
                        new ContenderResult(lngd, List.of(2, 4), Map.of(), List.of(), List.of()));
        Path file = folder.resolve("tuned.json");
        Files.writeString(file, TunedFile.of(results).toJson());

        TunedFile read = TunedFile.read(file, SETTINGS.contenders());
        assertThat(read.point(sgd)).containsExactly(7);
        assertThat(read.point(lngd)).containsExactly(2, 4);

        List<Contender> more = List.of(sgd, Contender.parse("adam"));
        assertThatThrownBy(() -> TunedFile.read(file, more))
                .isInstanceOf(CliException.class)
                .hasMessageContaining("tuned.json: nothing about adam");
        Files.writeString(file, "{\"sgd\": {\"learning-rate\": 0.2}}");
        assertThatThrownBy(() -> TunedFile.read(file, List.of(sgd)))
                .hasMessageContaining("sgd: learning-rate is 0.2, not one of [");
        Files.writeString(file, "[]");
        assertThatThrownBy(() -> TunedFile.read(file, List.of(sgd)))
                .hasMessageContaining("not a JSON object");
    }
}
