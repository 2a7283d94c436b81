// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.bench;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.lngd4j.cli.support.Json;

/**
 * What bench/native/report.cpp wrote.
 *
 * @param complete false where the run was interrupted, or still goes on
 * @param rows our kernels in the order they were timed, each with its peers
 */
record BenchResults(boolean complete, Machine machine, List<Row> rows) {
    private static final String OURS = "lngd";

    /** What a number of threads reaches: a large sgemm, and a copy. */
    record Ceiling(int threads, double gflops, double gbytes) {}

    /** Where, when and of which commit. */
    record Machine(
            String date,
            String commit,
            String processor,
            String instructions,
            String blas,
            String blasCore,
            String compiler,
            boolean quick,
            List<Ceiling> ceilings) {}

    /** What was timed, whoever did it. */
    record Case(String kernel, String set, String name, String preset, int threads) {
        /** The same on another number of threads. */
        Case on(int others) {
            return new Case(kernel, set, name, preset, others);
        }
    }

    /**
     * What somebody else took for the same.
     *
     * @param part the peer does less than the kernel
     * @param ratio our time over the peer's; NaN where one of them failed
     * @param error of the peer, else null
     */
    record Peer(String name, boolean part, double ratio, String error) {
        boolean exists() {
            return !Double.isNaN(ratio);
        }

        /** Whether we take longer. */
        boolean lost() {
            return ratio > 1;
        }
    }

    /**
     * A kernel's time.
     *
     * @param error null, or why there is no time: all numbers are NaN then
     * @param ofCeiling the time that the ceilings would allow over the time taken
     * @param correct whether the residual is within its bound
     * @param undisturbed whether the machine gave all its processors, close together, while this
     *     row and its peers were timed
     */
    record Row(
            Case what,
            String error,
            double us,
            double gflops,
            double gbytes,
            double ofCeiling,
            double residual,
            boolean correct,
            boolean undisturbed,
            List<Peer> peers) {
        /** The time of a wrong result means nothing, so no summary counts it. */
        boolean counts() {
            return error == null && correct;
        }

        /** The peers that this row can be compared with. */
        List<Peer> compared() {
            return counts() ? peers.stream().filter(Peer::exists).toList() : List.of();
        }
    }

    /** How many rows failed or were wrong. */
    long bad() {
        return rows.stream().filter(row -> !row.counts()).count();
    }

    /**
     * Reads the text of a file.
     *
     * @throws IllegalArgumentException where it is not what the program writes; the message names
     *     the first thing that is wrong
     */
    static BenchResults parse(String json) {
        Map<String, Object> object = Json.readObject(json);
        if (object == null) {
            throw new IllegalArgumentException("the file is null, allowed is an object");
        }
        Fields file = new Fields("", object);
        boolean complete = file.flag("complete");
        Machine machine = machine(file.object("machine"));
        List<Fields> all = file.objects("results");
        Map<Case, List<Fields>> peers = new HashMap<>();
        for (Fields fields : all) {
            if (!fields.text("by").equals(OURS)) {
                peers.computeIfAbsent(what(fields), key -> new ArrayList<>()).add(fields);
            }
        }
        List<Row> rows = new ArrayList<>();
        for (Fields fields : all) {
            if (fields.text("by").equals(OURS)) {
                rows.add(row(fields, peers.getOrDefault(what(fields), List.of())));
            }
        }
        if (rows.isEmpty()) {
            throw new IllegalArgumentException("results has no row by " + OURS);
        }
        return new BenchResults(complete, machine, rows);
    }

    private static Machine machine(Fields fields) {
        return new Machine(
                fields.text("date"),
                fields.text("commit"),
                fields.text("processor"),
                fields.text("instructions"),
                fields.text("blas"),
                fields.text("blas_core"),
                fields.text("compiler"),
                fields.flag("quick"),
                fields.objects("ceilings").stream()
                        .map(
                                c ->
                                        new Ceiling(
                                                c.threads("threads"),
                                                c.number("sgemm_gflops"),
                                                c.number("copy_gbytes")))
                        .toList());
    }

    private static Case what(Fields fields) {
        return new Case(
                fields.text("kernel"),
                fields.text("set"),
                fields.text("case"),
                fields.text("preset"),
                fields.threads("threads"));
    }

    private static Row row(Fields fields, List<Fields> peers) {
        double none = Double.NaN;
        if (fields.has("error")) {
            String error = fields.text("error");
            return new Row(
                    what(fields), error, none, none, none, none, none, false, true, List.of());
        }
        return new Row(
                what(fields),
                null,
                fields.positive("us"),
                fields.number("gflops"),
                fields.number("gbytes"),
                fields.number("of_ceiling"),
                fields.number("residual"),
                fields.flag("correct"),
                fields.flag("undisturbed")
                        && peers.stream()
                                .allMatch(peer -> peer.has("error") || peer.flag("undisturbed")),
                peers(fields.object("of_peers"), peers));
    }

    // The ratios stand with our row, what kind of peer it is and whether it failed with the peer's.
    private static List<Peer> peers(Fields ratios, List<Fields> rows) {
        List<Peer> peers = new ArrayList<>();
        for (Fields row : rows) {
            String name = row.text("by");
            if (row.has("error")) {
                peers.add(new Peer(name, false, Double.NaN, row.text("error")));
            } else {
                peers.add(new Peer(name, row.flag("part"), ratios.positive(name), null));
            }
        }
        for (String name : ratios.names()) {
            if (peers.stream().noneMatch(peer -> peer.name().equals(name))) {
                throw new IllegalArgumentException(
                        ratios.place() + name + " has no row in results, allowed is a peer's name");
            }
        }
        return peers;
    }
}
