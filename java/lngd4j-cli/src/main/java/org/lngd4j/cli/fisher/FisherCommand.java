// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.fisher;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.data.DataCatalog;
import org.lngd4j.cli.fisher.FisherPicture.Panel;
import org.lngd4j.cli.model.MlpSpec;
import org.lngd4j.cli.support.AtomicFile;
import org.lngd4j.cli.support.Json;
import org.lngd4j.cli.support.Natives;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code lngd fisher}. */
@Command(
        name = "fisher",
        description = {
            "Draws the exact Fisher block of a layer beside KFAC's and LNGD's approximations (the paper, figures 1 and 5).",
            "A small perceptron is trained on shrunk images first."
        },
        mixinStandardHelpOptions = true)
public final class FisherCommand implements Callable<Integer> {
    private static final int MOST = 1_000_000;

    @Option(
            names = "--data",
            paramLabel = "DATA",
            defaultValue = "fashion-mnist",
            description = "As for lngd train (default: fashion-mnist).")
    private String data;

    @Option(
            names = "--shrink",
            paramLabel = "N",
            defaultValue = "4",
            description = "Squares of NxN pixels become one (default: 4, 7x7 images).")
    private int shrink;

    @Option(
            names = "--widths",
            paramLabel = "W-W-...",
            defaultValue = "12-12-12",
            description = "Widths of the hidden layers (default: 12-12-12).")
    private String widths;

    @Option(
            names = "--layer",
            paramLabel = "L",
            defaultValue = "2",
            description = "Which layer, from 1 (default: 2).")
    private int layer;

    @Option(
            names = "--steps",
            paramLabel = "N",
            defaultValue = "500",
            description = "Training steps with LNGD, of 128 images (default: 500; 0: none).")
    private int steps;

    @Option(
            names = "--samples",
            paramLabel = "N",
            defaultValue = "1000",
            description = "Test images that the expectations run over (default: 1000).")
    private int samples;

    @Option(
            names = "--seed",
            paramLabel = "N",
            defaultValue = "1",
            description = "Of the weights and the batches (default: 1).")
    private long seed;

    @Option(
            names = "--out",
            paramLabel = "FILE",
            defaultValue = "fisher.png",
            description = "The picture (default: fisher.png).")
    private Path out;

    @Option(names = "--json", description = "The errors as one JSON object.")
    private boolean json;

    @Override
    public Integer call() {
        range("--steps", steps, 0);
        range("--samples", samples, 1);
        if (!widths.matches("[0-9]{1,4}(-[0-9]{1,4})*")) {
            throw CliException.badInput(
                    "--widths " + widths + ": expected W-W-..., for example 12-12-12");
        }
        List<Integer> hidden = List.of(widths.split("-")).stream().map(Integer::parseInt).toList();
        if (hidden.stream().anyMatch(w -> w < 1)) {
            throw CliException.badInput("--widths " + widths + ": each must be 1 or more");
        }
        FisherStudy study =
                new FisherStudy(
                        DataCatalog.read(data, System.err::println), shrink, hidden, layer, seed);
        Natives.loadNd4j();
        FisherStudy.Result result = study.run(steps, samples);
        List<FisherError> errors = errors(result.blocks());
        try {
            byte[] picture = FisherPicture.draw(panels(result.blocks()));
            AtomicFile.write(out, o -> o.write(picture));
        } catch (IOException e) {
            throw CliException.badInput("--out " + out + ": cannot be written (" + e + ")", e);
        }
        print(new MlpSpec(study.widths()).toString(), result, errors);
        return 0;
    }

    private static void range(String option, int value, int least) {
        if (value < least || value > MOST) {
            throw CliException.badInput(
                    option + " " + value + ": must be " + least + " to " + MOST);
        }
    }

    /** Each approximation as it is, and where its scale is another with the best one. */
    static List<FisherError> errors(FisherBlocks b) {
        return List.of(
                FisherError.of("layer-wise", b.layerwise(), "LNGD", b.lngd(), 1),
                FisherError.of("model", b.model(), "KFAC", b.kfac(), 1),
                best("KFAC, best scale", b.model(), b.kfac()),
                FisherError.of("model", b.model(), "LNGD-lr", b.lngdLr(), 1),
                best("LNGD-lr, best scale", b.model(), b.lngdLr()),
                FisherError.of("model", b.model(), "LNGD", b.lngd(), 1),
                best("LNGD, best scale", b.model(), b.lngd()),
                best("layer-wise Fisher, best scale", b.model(), b.layerwise()));
    }

    private static FisherError best(String by, double[][] f, double[][] of) {
        return FisherError.of("model", f, by, of, FisherError.bestScale(f, of));
    }

    private static List<List<Panel>> panels(FisherBlocks b) {
        return List.of(
                row(
                        "layer-wise Fisher, exact",
                        b.layerwise(),
                        List.of("LNGD"),
                        List.<double[][]>of(b.lngd()),
                        false),
                row(
                        "Fisher of the model, exact",
                        b.model(),
                        List.of("KFAC", "LNGD-lr"),
                        List.of(b.kfac(), b.lngdLr()),
                        true));
    }

    private static List<Panel> row(
            String title,
            double[][] exact,
            List<String> names,
            List<double[][]> approximations,
            boolean scaled) {
        List<Panel> panels = new ArrayList<>();
        panels.add(new Panel(title, exact.length + " x " + exact.length, exact));
        for (int i = 0; i < names.size(); i++) {
            double[][] of = approximations.get(i);
            double scale = scaled ? FisherError.bestScale(exact, of) : 1;
            double[][] shown = Matrices.scaled(of, scale);
            FisherError error = FisherError.of("", exact, names.get(i), of, scale);
            panels.add(
                    new Panel(
                            names.get(i),
                            scaled
                                    ? String.format(
                                            Locale.ROOT, "times %.3g, the best scale", scale)
                                    : "as it is",
                            shown));
            panels.add(
                    new Panel(
                            "|error| of " + names.get(i),
                            String.format(
                                    Locale.ROOT,
                                    "Frobenius %.3f, diagonal %.3f",
                                    error.frobenius(),
                                    error.diagonal()),
                            Matrices.distance(exact, shown)));
        }
        return panels;
    }

    private void print(String network, FisherStudy.Result result, List<FisherError> errors) {
        if (json) {
            Map<String, Object> map = new LinkedHashMap<>();
            map.put("network", network);
            map.put("layer", layer);
            map.put("steps", steps);
            map.put("samples", samples);
            map.put("accuracy", result.accuracy());
            map.put("errors", errors.stream().map(FisherError::asMap).toList());
            map.put("picture", out.toString());
            System.out.print(Json.write(map));
            return;
        }
        System.out.printf(
                Locale.ROOT,
                "%s, layer %d after %d steps (accuracy %.1f %% of %d test images)%n",
                network,
                layer,
                steps,
                100 * result.accuracy(),
                samples);
        System.out.println(
                "target      approximation                          scale   Frobenius    diagonal");
        errors.forEach(System.out::println);
        System.out.println("picture in " + out);
    }
}
