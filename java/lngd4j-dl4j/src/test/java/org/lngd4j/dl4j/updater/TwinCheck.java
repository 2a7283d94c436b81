// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashMap;
import java.util.Map;
import java.util.function.Function;
import org.deeplearning4j.nn.api.Model;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.schedule.ISchedule;

/** Trains a network and holds every array of its weights, after every step, against its rule. */
final class TwinCheck {
    /**
     * How an array of weights is to move.
     *
     * @param rule the paper's update
     * @param rate its schedule
     * @param decay decoupled
     * @param allowed difference of a weight after one step
     */
    record Expected(Rule rule, ISchedule rate, double decay, double allowed) {}

    private TwinCheck() {}

    static void run(Model net, int steps, Function<String, Expected> expectations) {
        Map<String, Expected> rules = new HashMap<>();
        Map<String, double[][]> start = UpdaterNets.weights(net);
        start.keySet().forEach(name -> rules.put(name, expectations.apply(name)));
        for (int step = 0; step < steps; step++) {
            DataSet data = UpdaterNets.data(100 + step);
            // The twin goes on from the network's weights each time: errors must not pile up
            // through the gradients.
            Map<String, double[][]> before = UpdaterNets.weights(net);
            Map<String, double[][]> gradients = UpdaterNets.gradients(net, data);
            UpdaterNets.fit(net, data);
            Map<String, double[][]> after = UpdaterNets.weights(net);
            for (String name : before.keySet()) {
                Expected e = rules.get(name);
                if (e == null) { // running statistics
                    continue;
                }
                double rate = e.rate().valueAt(step, 0);
                double[][] update = e.rule().update(gradients.get(name), rate, step + 1);
                double[][] w = Dense.sum(1 - rate * e.decay(), before.get(name), -1, update);
                assertThat(Dense.difference(after.get(name), w))
                        .as("%s after step %d", name, step + 1)
                        .isLessThan(e.allowed());
            }
        }
        // Every array has moved: a check of weights that stand still would prove nothing.
        UpdaterNets.weights(net)
                .forEach(
                        (name, w) ->
                                assertThat(Dense.difference(w, start.get(name)))
                                        .as(name)
                                        .isGreaterThan(1e-4));
    }
}
