// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.lngd4j.LayerTensors;
import org.lngd4j.LngdOptimizer;
import org.lngd4j.StepPlan;
import org.lngd4j.UpdateMode;
import org.lngd4j.gloo.InverseSharing;
import org.lngd4j.nativelib.LngdStateException;

/**
 * Steps over the layers that have gradients: all of them, as a rule, and one plan then does for the
 * whole run. A layer that the loss did not reach keeps its weights, as with PyTorch's optimizers.
 */
final class Plans {
    private final LngdOptimizer optimizer;
    private final List<BoundLayer> layers;
    private final Map<BitSet, Plan> plans = new HashMap<>();
    private final BitSet reached = new BitSet();
    private Plan last;
    private int next;

    private record Plan(BitSet reached, StepPlan plan, List<LayerTensors> tensors) {}

    Plans(LngdOptimizer optimizer, List<BoundLayer> layers) {
        this.optimizer = optimizer;
        this.layers = layers;
    }

    /** Looks at all gradients; nothing is changed where one of them will not do. */
    void look() {
        // The first layer tells of a model that was moved as a whole. Of single parameters one
        // layer is asked at each step: asking all of them took half of LNGD's own time.
        layers.get(0).checkUnmoved();
        next = (next + 1) % layers.size();
        layers.get(next).checkUnmoved();
        reached.clear();
        boolean moved = false;
        for (BoundLayer layer : layers) {
            if (layer.hasGradients()) {
                reached.set(layer.index());
                moved |= layer.refresh();
            }
        }
        if (reached.isEmpty()) {
            throw new LngdStateException(
                    "no parameter has a gradient, the first is "
                            + layers.get(0).weight()
                            + ": call backward() before step()");
        }
        if (last == null || !last.reached.equals(reached)) {
            last = plans.get(reached);
            moved = true; // it may have been long ago
        }
        if (last == null) {
            last = make((BitSet) reached.clone());
            plans.put(last.reached, last);
        } else if (moved) {
            last.plan.rebind(last.tensors);
        }
    }

    private Plan make(BitSet of) {
        List<LayerTensors> tensors =
                layers.stream().filter(l -> of.get(l.index())).map(BoundLayer::tensors).toList();
        return new Plan(of, optimizer.plan(tensors, UpdateMode.WEIGHTS), tensors);
    }

    /** The inverses of the coming step, on several ranks. */
    void exchange(InverseSharing inverses) {
        inverses.exchange(last.plan);
    }

    /** One step of the layers that were looked at. */
    void step(double factor) {
        last.plan.step(factor);
        for (BoundLayer layer : layers) {
            if (reached.get(layer.index())) {
                layer.changed();
            }
        }
    }

    /** Of the last step. */
    double gradientNorm() {
        if (last == null) {
            throw new LngdStateException(
                    "no step was taken yet, whose gradients would have a norm");
        }
        return last.plan.gradientNorm();
    }

    /**
     * Layers that did not step hold the total of all ranks, of which nothing is theirs: they would
     * ask for no statistics in the coming step, and refuse the next total.
     */
    void discardUnreached() {
        for (BoundLayer layer : layers) {
            if (!reached.get(layer.index())) {
                optimizer.discard(layer.index());
            }
        }
    }

    /**
     * Exchanges weights and averages of all layers.
     *
     * @return whether the averages are in the model now
     */
    boolean swapAverages() {
        BitSet every = new BitSet();
        every.set(0, layers.size());
        layers.forEach(BoundLayer::checkUnmoved);
        // Gradients are not looked at, so those of the last step may be gone.
        Plan all = plans.computeIfAbsent(every, this::makeOfAll);
        boolean swapped = all.plan.swapAverages();
        layers.forEach(BoundLayer::changed);
        return swapped;
    }

    /** Where some layer was never reached, zeros stand for its gradients. */
    private Plan makeOfAll(BitSet every) {
        List<LayerTensors> tensors = layers.stream().map(BoundLayer::withZeroGradients).toList();
        return new Plan(every, optimizer.plan(tensors, UpdateMode.WEIGHTS), tensors);
    }
}
