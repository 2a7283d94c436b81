// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.lngd4j.cli.model.Dl4jNetwork;
import org.lngd4j.dl4j.updater.AdamW;
import org.lngd4j.dl4j.updater.Muon;
import org.lngd4j.dl4j.updater.NetworkUpdater;
import org.lngd4j.dl4j.updater.Soap;
import org.lngd4j.dl4j.updater.UpdaterReport;
import org.nd4j.linalg.schedule.ISchedule;

/** The optimizers of the library's {@code updater} package, installed as a user would. */
final class LibraryUpdaters {
    private LibraryUpdaters() {}

    static boolean has(OptimizerKind kind) {
        return switch (kind) {
            case ADAMW, MUON, MUON_DECAY, SOAP -> true;
            default -> false;
        };
    }

    /**
     * Muon in the form of "Muon is scalable": its matrices take AdamW's rates and decays, so that
     * one learning rate is tuned, as for all others. (Jordan's scale needs two.)
     *
     * @param momentum beta1 of AdamW and SOAP
     */
    private static NetworkUpdater of(
            OptimizerKind kind, ISchedule rate, double momentum, double weightDecay) {
        return switch (kind) {
            case ADAMW ->
                    AdamW.builder()
                            .learningRate(rate)
                            .beta1(momentum)
                            .weightDecay(weightDecay)
                            .build();
            case MUON, MUON_DECAY ->
                    Muon.matchingAdamW(rate, weightDecay).momentum(momentum).build();
            case SOAP ->
                    Soap.builder()
                            .learningRate(rate)
                            .beta1(momentum)
                            .weightDecay(weightDecay)
                            .build();
            default -> throw new IllegalArgumentException(kind.toString());
        };
    }

    static UpdaterReport install(
            OptimizerKind kind,
            ISchedule rate,
            double momentum,
            double weightDecay,
            Dl4jNetwork net) {
        NetworkUpdater updater = of(kind, rate, momentum, weightDecay);
        return net instanceof Dl4jNetwork.Graph graph
                ? updater.install(graph.model())
                : updater.install(((Dl4jNetwork.Chain) net).model());
    }

    /** A line for each reason why the weights of some layers are AdamW's. */
    static List<String> notices(OptimizerKind kind, UpdaterReport report) {
        Map<String, List<String>> namesByReason = new LinkedHashMap<>();
        for (UpdaterReport.Line line : report.lines()) {
            if (line.trainedBy().equals("AdamW") && !line.detail().isEmpty()) {
                namesByReason
                        .computeIfAbsent(line.detail(), d -> new ArrayList<>())
                        .add(line.layer());
            }
        }
        return namesByReason.entrySet().stream()
                .map(
                        e ->
                                "by AdamW and not by "
                                        + kind
                                        + ": "
                                        + String.join(", ", e.getValue())
                                        + ": "
                                        + e.getKey())
                .toList();
    }
}
