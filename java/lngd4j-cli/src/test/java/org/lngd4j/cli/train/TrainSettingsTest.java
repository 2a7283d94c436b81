// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.lngd4j.cli.Main;
import org.lngd4j.cli.support.Json;

/** Options and their ranges, through the command itself: what a user sees. */
class TrainSettingsTest {
    @TempDir Path folder;

    @ParameterizedTest(name = "{0}")
    @CsvSource(
            delimiter = '|',
            value = {
                "--epochs 0 | --epochs 0: must be 1 to 100000",
                "--epochs -3 | --epochs -3: must be 1 to 100000",
                "--epochs 1.5 | Invalid value for option '--epochs': '1.5' is not an int",
                "--batch 0 | --batch 0: must be 1 or more",
                "--threads 0 | --threads 0: must be 1 to 1024",
                "--eval-every 0 | --eval-every 0.0: must be above 0, in epochs",
                "--eval-every NaN | --eval-every NaN: must be above 0",
                "--learning-rate 0 | --learning-rate 0.0: must be above 0, at most 1000",
                "--learning-rate -1 | --learning-rate -1.0: must be above 0",
                "--learning-rate NaN | --learning-rate NaN: must be above 0",
                "--learning-rate Infinity | --learning-rate Infinity: must be above 0",
                "--learning-rate 1e9 | --learning-rate 1.0E9: must be above 0, at most 1000",
                "--learning-rate fast | Invalid value for option '--learning-rate': 'fast' is not a double",
                "--momentum 1 | --momentum 1.0: must be 0 or more, below 1",
                "--damping 0 | --damping 0.0: must be above 0",
                "--trust-ratio -1 | --trust-ratio -1.0: must be 0 (off) to 1000",
                "--weight-decay -1 | --weight-decay -1.0: must be 0 to 1000",
                "--statistics-interval 0 | --statistics-interval 0: must be 1 or more",
                "--statistics-samples -1 | --statistics-samples -1: must be 0 or more",
                "--optimizer sgd --statistics-samples 8 | --statistics-samples is for --optimizer lngd, not sgd",
                "--inverse-interval 0 | --inverse-interval 0: must be 1 or more",
                "--preset best | --preset best: must be recipe, recipe-fit, recipe-empirical, paper, block-kronecker,",
                "--second-block-size -1 | --second-block-size -1: must be 0 or more",
                "--damping-scope net | --damping-scope net: must be block, layer",
                "--second-damping 0 | --second-damping 0.0: must be above 0, at most 1000",
                "--second-damping NaN | --second-damping NaN: must be above 0",
                "--output-decay -1 | --output-decay -1.0: must be 0 to 1000",
                "--gradient-clipping -1 | --gradient-clipping -1.0: must be 0 (off) or more",
                "--optimizer sgd --gradient-clipping 1 | --gradient-clipping is for --optimizer lngd, not sgd",
                "--decay-mode late | --decay-mode late: must be decoupled, coupled, trust",
                "--optimizer sgd --soft-trust | --soft-trust is for --optimizer lngd, not sgd",
                "--optimizer adam --no-output-bound | --output-bound is for --optimizer lngd, not adam",
                "--data curves --model ae --preset recipe --second-block-size 8 | second_block_size is 8, allowed is 0",
                "--data curves --model ae --optimizer kfac --decay-mode trust | decay is LNGD_DECAY_TRUST",
                "--data curves --model ae --preset recipe --orthogonalise | orthogonalise is 1",
                "--optimizer kfac-trust-decay --preset recipe | --preset is for --optimizer lngd, not kfac-trust-decay",
                "--device tpu | --device tpu: must be auto, cpu, cuda",
                "--fisher exact | --fisher exact: must be expected, sampled, provided",
                "--layer-rate some | --layer-rate some: must be none, empirical, kronecker",
                "--direction-precision bf16 | --direction-precision bf16: must be tf32x3, tf32",
                "--optimizer sgd --direction-precision tf32 | --direction-precision is for --optimizer lngd, not sgd",
                "--optimizer lbfgs | --optimizer lbfgs: there is no such optimizer; there are lngd, paper",
                "--model cnn | --model cnn: expected mlp or mlp:W-W-...",
                "--model resnet9 | resnet8, resnet20, resnet18-cifar",
                "--model ae:784 | --model ae:784: expected ae or ae:W-W-...",
                "--model lenet --data curves | these data have no classes, only ae can learn them",
                "--model ae:700-6 --data curves | begins with 700, but an image of these data has 784 pixels",
                "--train-samples 0 | --train-samples 0: must be 1 or more",
                "--validation 0 | --validation 0: must be 1 or more",
                "--model ae --data curves --validation 20000 | some must be left to train on",
                "--optimizer paper --preset recipe | --preset is for --optimizer lngd, not paper",
                "--optimizer lamb --damping 1 | --damping is for --optimizer lngd, not lamb",
                "--optimizer adam --damping 1 | --damping is for --optimizer lngd, not adam",
                "--optimizer sgd --preset paper | --preset is for --optimizer lngd, not sgd",
                "--optimizer muon --weight-decay 0.1 | is for --optimizer lngd, adamw, lars, lamb, muon-decay and soap, not muon",
                "--optimizer soap --trust-ratio 1 | --trust-ratio is for --optimizer lngd, not soap",
                "--optimizer adam --momentum 0.5 | --momentum is for --optimizer lngd and sgd, not adam",
                "--optimizer ekfac --device cuda | --device cuda: --optimizer ekfac has no CUDA kernels, use --device",
                "--optimizer kfac --fisher expected | --fisher is for --optimizer lngd, not kfac",
                "--optimizer lngd-lr --preset paper | --preset is for --optimizer lngd, not lngd-lr",
                "--optimizer adam --device cuda | --device cuda is for --optimizer lngd, not adam",
                "--warmup 2 | --warmup 2.0: must be 0 to 1, a share of the steps",
                "--dropout 0.1 | --dropout is for --model transformer, not mlp",
                "--model transformer --dropout 1 | --dropout 1.0: must be 0 or more, below 1",
                "--model transformer --label-smoothing -1 | --label-smoothing -1.0: must be 0 or more",
                "--model transformer --vocabulary 2 | --vocabulary 2: must be 300 to 100000",
                "--model transformer:4 | --model transformer:4: expected transformer or transformer:L",
                "--model transformer:1-6-4-8 | and the width a multiple of the heads and of 2",
                "--model transformer --data curves | learns sentences, these data are images",
                "--model transformer --engine dl4j | is not there with --engine dl4j",
                "--frobnicate | Unknown option: '--frobnicate'",
                "--epochs | Missing required parameter for option '--epochs'",
                "--epochs 1 --epochs 2 | option '--epochs' (N) should be specified only once",
                "surplus | Unmatched argument at index",
            })
    void oneClearLineStatusTwoAndNothingWritten(String arguments, String message) throws Exception {
        Path out = folder.resolve("out");
        String line = ("train --out " + out + " " + arguments).strip();

        CommandResult result = CommandResult.of(line.split(" "));

        assertThat(result.status()).isEqualTo(2);
        assertThat(result.err().lines()).hasSize(1);
        assertThat(result.err()).startsWith("lngd: ").contains(message.strip());
        assertThat(result.out()).isEmpty();
        assertThat(Files.exists(out)).isFalse();
    }

    @Test
    void optionsSurviveACheckpointsJson() {
        TrainSettings settings =
                new TrainSettings(
                        "here",
                        "mlp:3",
                        null,
                        OptimizerKind.LNGD,
                        "paper",
                        2,
                        8,
                        Long.MIN_VALUE,
                        "cpu",
                        2,
                        0.1,
                        true,
                        0.1,
                        0.3,
                        1e-7,
                        0.25,
                        0.0,
                        3,
                        32,
                        4,
                        "sampled",
                        "kronecker",
                        "tf32",
                        null,
                        null,
                        null,
                        0.25,
                        new LngdSettings(64, "layer", 3.0, true, false, 4.0, "trust", true, 1.5),
                        TextSettings.NONE);
        TrainSettings sentences =
                TrainSettings.of(
                        Map.ofEntries(
                                Map.entry("data", "there"),
                                Map.entry("model", "transformer:2-8-2-8"),
                                Map.entry("engine", "pytorch"),
                                Map.entry("optimizer", "adamw"),
                                Map.entry("epochs", 1),
                                Map.entry("batch", 2),
                                Map.entry("seed", 3L),
                                Map.entry("device", "auto"),
                                Map.entry("threads", 1),
                                Map.entry("eval-every", 1.0),
                                Map.entry("vocabulary", 500),
                                Map.entry("dropout", 0.3),
                                Map.entry("label-smoothing", 0.2)));
        assertThat(sentences.warmupSteps(50)).isEqualTo(5);
        assertThat(settings.warmupSteps(50)).isEqualTo(13); // a quarter
        TrainSettings plain =
                new TrainSettings(
                        null,
                        "mlp",
                        null,
                        OptimizerKind.SGD,
                        null,
                        2,
                        8,
                        1,
                        "auto",
                        1,
                        0.5,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        LngdSettings.NONE,
                        TextSettings.NONE);

        for (TrainSettings one : new TrainSettings[] {settings, sentences, plain}) {
            String json = Json.write(one.toMap());
            assertThat(SettingsMap.read(Json.readObject(json))).isEqualTo(one);
        }
    }

    @Test
    void everyOptionIsInTheHelp() {
        PrintStream old = System.out;
        ByteArrayOutputStream help = new ByteArrayOutputStream();
        try {
            System.setOut(new PrintStream(help, true));
            assertThat(Main.run("train", "--help")).isZero();
        } finally {
            System.setOut(old);
        }
        TrainSettings settings =
                new TrainSettings(
                        null,
                        "mlp",
                        null,
                        OptimizerKind.SGD,
                        null,
                        2,
                        8,
                        1,
                        "auto",
                        1,
                        0.5,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        LngdSettings.NONE,
                        TextSettings.NONE);
        settings.toMap().keySet().forEach(name -> assertThat(help.toString()).contains(name));
    }
}
