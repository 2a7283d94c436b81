// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.linalg.api.environment.Nd4jEnvironment;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.shade.jackson.databind.JsonNode;
import org.nd4j.shade.jackson.databind.ObjectMapper;

/**
 * What ranks must have in common of ND4J and of the network: each setting of its configuration is a
 * fact of its own, so that a message can name it. ND4J's threads are among them, since the norms of
 * a gradient normalisation are sums that its threads divide up.
 */
final class NetworkFacts {
    /** The weights of rank 0 count whatever a rank was seeded with; counters are facts below. */
    private static final Set<String> FREE = Set.of("seed", "iterationCount", "epochCount");

    private NetworkFacts() {}

    static void add(Map<String, String> facts, LngdTraining training) {
        Properties nd4j = Nd4j.getExecutioner().getEnvironmentInformation();
        for (String key :
                new String[] {
                    Nd4jEnvironment.BACKEND_KEY,
                    Nd4jEnvironment.BLAS_VENDOR_KEY,
                    Nd4jEnvironment.OMP_THREADS_KEY
                }) {
            facts.put("ND4J's " + key, String.valueOf(nd4j.get(key)));
        }
        Network net = training.attachment().net();
        facts.put("steps done", Long.toString(training.steps()));
        facts.put("the iteration", Integer.toString(net.iterationCount()));
        facts.put("the epoch", Integer.toString(net.epochCount()));
        facts.put("parameters", Long.toString(net.model().numParams()));
        facts.put("attachOptions.fallback", String.valueOf(training.attachment().fallback()));
        try {
            leaves("configuration", new ObjectMapper().readTree(json(net)), facts);
        } catch (IOException e) { // DL4J's own JSON
            throw new UncheckedIOException(e);
        }
    }

    private static String json(Network net) {
        return net.model() instanceof MultiLayerNetwork layers
                ? layers.getLayerWiseConfigurations().toJson()
                : ((ComputationGraph) net.model()).getConfiguration().toJson();
    }

    private static void leaves(String path, JsonNode node, Map<String, String> facts) {
        if (node.isObject()) {
            node.fields()
                    .forEachRemaining(
                            field -> {
                                if (!FREE.contains(field.getKey())) {
                                    leaves(path + "/" + field.getKey(), field.getValue(), facts);
                                }
                            });
        } else if (node.isArray()) {
            for (int i = 0; i < node.size(); i++) {
                leaves(path + "/" + i, node.get(i), facts);
            }
        } else {
            facts.put(path, node.asText());
        }
    }
}
