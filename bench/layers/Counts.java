// SPDX-License-Identifier: Apache-2.0

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Operations, bytes and floors of every kernel over the layer sets, as Markdown: {@code java bench/layers/Counts.java bench/layers
 * [--layers] [--kfac] [SET ...]}. With {@code --layers} each layer has its own lines, with {@code --kfac} KFAC stands in the place of LNGD; sets are named as their files. Bytes are the fewest that must pass through device
 * memory: each input read once, each output written once. A floor is the larger of operations over the rate of the unit that does them
 * and bytes over bandwidth: no version runs faster.
 */
public final class Counts {
    /** Rates per second. {@code mma} is what mma.sync reaches in TF32, not what a datasheet says of the chip. */
    record Card(String name, double mma, double fp32, double bytes) {}

    /** Hopper's 494 TFLOP/s are those of wgmma; mma.sync gets 60 to 65 % of them (62 % here). */
    static final Card[] CARDS = {
        new Card("A100", 156e12, 19.5e12, 1.56e12), new Card("H100", 0.62 * 494e12, 67e12, 3.35e12), new Card("H200", 0.62 * 494e12, 67e12, 4.8e12)
    };

    static final List<String> ALL_SETS = List.of("mlp", "lenet", "resnet18-cifar", "resnet50-imagenet", "transformer-big");

    static final int TF32_PASSES = 3; // of 3xTF32, the default precision: x = high + low, three products

    /** {@code second}: the second factor is a matrix, one for each group. */
    record Preset(String name, long block, long samples, int statisticsInterval, int inverseInterval, boolean second) {}

    static final Preset[] PRESETS = {
        new Preset("default: 64 samples, blocks of 128, 20/100", 128, 64, 20, 100, false),
        new Preset("full Phi: 256 samples, 100/100", 0, Long.MAX_VALUE, 100, 100, false)
    };

    static final Preset[] KFAC = {new Preset("KFAC: 256 samples, full factors, 20/100", 0, Long.MAX_VALUE, 20, 100, true)};

    record Layer(String name, boolean conv, long inputs, long outputs, long kernel, long stride, long padding, long groups, long height, long width,
            long bias, long batch) {
        static Layer of(String line) {
            String[] c = line.split(",");
            long[] n = Arrays.stream(c, 2, 12).mapToLong(Long::parseLong).toArray();
            return new Layer(c[0], c[1].equals("conv"), n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9]);
        }

        long positions() {
            return conv ? side(height) * side(width) : height * width;
        }

        private long side(long size) {
            return (size + 2 * padding - kernel) / stride + 1;
        }

        /** Columns of Phi. */
        long d() {
            return inputs / groups * kernel * kernel + bias;
        }

        /** Sum of f over the sizes of all diagonal blocks. */
        double blocks(long largest, java.util.function.LongToDoubleFunction f) {
            long block = largest <= 0 ? d() : Math.min(largest, d());
            double sum = d() / block * f.applyAsDouble(block);
            return groups * (d() % block == 0 ? sum : sum + f.applyAsDouble(d() % block));
        }
    }

    /** What a launch needs: operations on the tensor cores (useful ones; each costs {@code TF32_PASSES}), in fp32, bytes. */
    record Work(double tensor, double fp32, double bytes) {
        static final Work NOTHING = new Work(0, 0, 0);

        Work plus(Work o) {
            return new Work(tensor + o.tensor, fp32 + o.fp32, bytes + o.bytes);
        }

        double floor(Card card) {
            return Math.max(Math.max(TF32_PASSES * tensor / card.mma, fp32 / card.fp32), bytes / card.bytes);
        }
    }

    /** Inputs and signal of the layer for that many samples. */
    static double activationBytes(Layer l, double samples) {
        return 4 * samples * (l.inputs * l.height * l.width + l.outputs * l.positions());
    }

    static Map<String, Work> kernels(Layer l, Preset p) {
        double n = Math.min(p.samples, l.batch), rows = n * l.positions(), d = l.d(), m = l.outputs, md = m * d;
        double triangle = l.blocks(p.block, b -> b * (b + 1) / 2.0), squares = l.blocks(p.block, b -> (double) b * b);
        if (p.second) {
            return kfac(l, n, triangle, squares);
        }
        Map<String, Work> work = new LinkedHashMap<>();
        // SYRK on the lower triangles; c, r, q and psi beside it; the sums are read and written.
        work.put(l.conv ? "conv_statistics" : "layer_statistics",
                new Work(2 * rows * triangle, rows * (4 * d * l.groups + 20 * m), activationBytes(l, n) + 8 * triangle));
        work.put("running_average", new Work(0, 3 * triangle, 16 * triangle)); // average and sum read, average written, sum zeroed
        double chain = l.blocks(p.block, Counts::inverseInFloat);
        work.put("factor_inverse", new Work(l.blocks(p.block, b -> (double) b * b * b) - chain, chain, 4 * (triangle + squares)));
        // G, W (for the trust ratio) and Phi^-1 read, D written.
        work.put("precondition", new Work(2 * m / l.groups * squares, 12 * md, 12 * md + 4 * squares));
        // Weights, momentum, average: read and written; D read.
        work.put("apply_update", new Work(0, 8 * md, 28 * md));
        work.put("layer_rate (EMPIRICAL)", new Work(2.0 * l.batch * l.positions() * md, 2.0 * l.batch * l.positions() * m,
                activationBytes(l, l.batch) + 4 * md));
        return work;
    }

    /**
     * Of the n^3 operations of an inverse (Cholesky, triangular inverse and product, n^3 / 3 each) those that stay in fp32: in panels of 128, the
     * products that stand for triangular solves, 128 n^2, and what is subtracted from diagonal tiles, 64 n^2; all of a small one.
     */
    static double inverseInFloat(double n) {
        return Math.min(n * n * n, 192 * n * n);
    }

    /** The same with a second factor of m / groups rows for each group: one more SYRK, block to invert, and product. */
    static Map<String, Work> kfac(Layer l, double n, double triangle, double squares) {
        double rows = n * l.positions(), md = (double) l.outputs * l.d(), height = (double) l.outputs / l.groups;
        double b = l.groups * height * height, lower = l.groups * height * (height + 1) / 2, taps = l.conv ? l.kernel * l.kernel : 1;
        Map<String, Work> work = new LinkedHashMap<>();
        // Both SYRKs; squares of inputs and gradients, summed over patches; the sums are read and written.
        work.put(l.conv ? "conv_statistics" : "layer_statistics", new Work(2 * rows * (triangle + lower),
                activationBytes(l, n) / 2 + rows * taps * l.groups, activationBytes(l, n) + 8 * (triangle + lower)));
        work.put("running_average", new Work(0, 3 * (triangle + lower), 16 * (triangle + lower)));
        double chain = l.groups * (inverseInFloat(l.d()) + inverseInFloat(height));
        work.put("factor_inverse", new Work(l.groups * (Math.pow(l.d(), 3) + Math.pow(height, 3)) - chain, chain,
                4 * (triangle + lower + squares + b)));
        // X = G A^-1 written and read between the products; then as LNGD: G again, W, and D written.
        work.put("precondition", new Work(2 * height * squares + 2 * l.d() * b, 6 * md, 24 * md + 4 * (squares + b)));
        work.put("apply_update", new Work(0, 6 * md, 20 * md)); // the preset has no averaged weights
        return work;
    }

    static double perStep(String kernel, Preset p) {
        return switch (kernel) {
            case "layer_statistics", "conv_statistics", "running_average" -> 1.0 / p.statisticsInterval;
            case "factor_inverse" -> 1.0 / p.inverseInterval;
            case "layer_rate (EMPIRICAL)" -> 0; // an option; the presets above have none
            default -> 1;
        };
    }

    static String number(double x) {
        return String.format(Locale.ROOT, x >= 1000 ? "%,.0f" : x >= 100 ? "%.0f" : x >= 10 ? "%.1f" : x >= 1 ? "%.2f" : "%.3f", x);
    }

    static String line(String name, Work w, double often) {
        StringBuilder s = new StringBuilder("| " + name + " | " + number(w.tensor / 1e9) + " | " + number(w.fp32 / 1e9) + " | " + number(w.bytes / 1e6));
        for (Card card : CARDS) {
            s.append(" | ").append(number(1e6 * w.floor(card)));
        }
        for (Card card : CARDS) {
            s.append(" | ").append(often == 0 ? "-" : number(1e6 * often * w.floor(card)));
        }
        return s.append(" |").toString();
    }

    static void heading(String first) {
        System.out.println("| " + first + " | tensor GFLOP | fp32 GFLOP | MB | A100 us | H100 us | H200 us | a step: A100 us | H100 us | H200 us |");
        System.out.println("|---|---|---|---|---|---|---|---|---|---|");
    }

    static void network(String name, List<Layer> layers, Preset p, boolean each) {
        System.out.println("\n**" + name + ", " + p.name + "**\n");
        heading(each ? "layer: kernel" : "kernel");
        // Kernels that run over all layers at once share the chip: their work is added. A statistics launch is a layer's own: floors are added.
        Map<String, Work> total = new LinkedHashMap<>();
        double[] step = new double[CARDS.length];
        Map<String, double[]> floors = new LinkedHashMap<>();
        for (Layer l : layers) {
            kernels(l, p).forEach((kernel, work) -> {
                if (each) {
                    System.out.println(line(l.name + ": " + kernel, work, perStep(kernel, p)));
                }
                total.merge(kernel, work, Work::plus);
                double[] sums = floors.computeIfAbsent(kernel, k -> new double[CARDS.length]);
                for (int c = 0; c < CARDS.length; c++) {
                    sums[c] += work.floor(CARDS[c]);
                }
            });
        }
        for (String kernel : List.of("layer_statistics", "conv_statistics", "running_average", "factor_inverse", "precondition", "apply_update",
                "layer_rate (EMPIRICAL)")) {
            Work work = total.getOrDefault(kernel, Work.NOTHING);
            if (work.bytes == 0) {
                continue;
            }
            boolean own = kernel.endsWith("_statistics") || kernel.startsWith("layer_rate");
            StringBuilder s = new StringBuilder("| " + (each ? "all: " : "") + kernel + " | " + number(work.tensor / 1e9) + " | " + number(work.fp32 / 1e9)
                    + " | " + number(work.bytes / 1e6));
            double often = perStep(kernel, p);
            String tail = "";
            for (int c = 0; c < CARDS.length; c++) {
                double floor = own ? floors.get(kernel)[c] : work.floor(CARDS[c]);
                step[c] += often * floor;
                s.append(" | ").append(number(1e6 * floor));
                tail += " | " + (often == 0 ? "-" : number(1e6 * often * floor));
            }
            System.out.println(s + tail + " |");
        }
        System.out.printf("| sum | | | | | | | %s | %s | %s |%n", number(1e6 * step[0]), number(1e6 * step[1]), number(1e6 * step[2]));
        // Forward, and both products of the backward pass, at the datasheet's TF32 rate, which libraries use (wgmma on Hopper).
        double train = layers.stream().mapToDouble(l -> 6.0 * l.batch * l.positions() * l.outputs * l.d()).sum();
        double a100 = train / 156e12, hopper = train / 494e12;
        System.out.printf(Locale.ROOT, "%nForward and backward: %s GFLOP, at least %s us on an A100 and %s on Hopper; the floors above are %.1f, %.1f and %.1f %% of that.%n",
                number(train / 1e9), number(1e6 * a100), number(1e6 * hopper), 100 * step[0] / a100, 100 * step[1] / hopper, 100 * step[2] / hopper);
    }

    public static void main(String[] args) throws IOException {
        List<String> sets = new ArrayList<>(args.length == 0 ? List.of() : List.of(args).subList(1, args.length));
        boolean each = sets.remove("--layers"), kfac = sets.remove("--kfac");
        if (args.length == 0 || !ALL_SETS.containsAll(sets)) {
            System.err.println("usage: java bench/layers/Counts.java FOLDER [--layers] [--kfac] [SET ...], sets are " + ALL_SETS);
            System.exit(2);
        }
        for (String set : sets.isEmpty() ? ALL_SETS : sets) {
            List<Layer> layers = new ArrayList<>();
            for (String line : Files.readAllLines(Path.of(args[0], set + ".csv"))) {
                if (!line.startsWith("name,")) {
                    layers.add(Layer.of(line));
                }
            }
            for (Preset p : kfac ? KFAC : PRESETS) {
                network(set, layers, p, each);
            }
        }
    }
}
