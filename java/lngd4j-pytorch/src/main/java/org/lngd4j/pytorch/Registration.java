// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.StringSharedModuleDict;
import org.bytedeco.pytorch.StringSharedModuleDictItem;
import org.bytedeco.pytorch.StringTensorDict;
import org.bytedeco.pytorch.Tensor;
import org.lngd4j.Approximation;
import org.lngd4j.LayerRegistration;
import org.lngd4j.LayerSpec;
import org.lngd4j.OutputModel;
import org.lngd4j.ParameterRule;
import org.lngd4j.Treatment;
import org.lngd4j.nativelib.LngdArgumentException;

/**
 * Goes through the parameters of a model and decides what is done with each: LNGD where an {@link
 * LngdLayer} has it and is seen, otherwise the reason why not.
 */
final class Registration {
    /** PyTorch's own modules, in C++; a subclass written in Java has another name there. */
    private static final String NATIVE = "torch::nn::";

    /** Those of them that have no forward, so that Java code goes through their children. */
    private static final Set<String> WITHOUT_FORWARD =
            Set.of(NATIVE + "Module", NATIVE + "ModuleListImpl", NATIVE + "ModuleDictImpl");

    /** A layer of LNGD: its name in the model, and the names of its parameters. */
    record Layer(String name, LayerCapture capture, LayerSpec spec, Named weight, Named bias) {}

    /** A parameter under its name. */
    record Named(String name, Tensor tensor) {}

    private final Map<String, Module> modules = new LinkedHashMap<>();
    private final List<Layer> layers = new ArrayList<>();
    private final List<Named> others = new ArrayList<>(); // trained, but by no layer
    private final List<LayerRegistration> entries = new ArrayList<>();

    private final ParameterRule rule;
    private final Approximation approximation;

    private Registration(ParameterRule rule, Approximation approximation) {
        this.rule = rule;
        this.approximation = approximation;
    }

    /**
     * Goes through a model.
     *
     * @param rule what moves the parameters that no layer covers
     * @param approximation what stands for the Fisher blocks: not each has embeddings
     */
    static Registration of(Module model, ParameterRule rule, Approximation approximation) {
        Registration made = new Registration(rule, approximation);
        made.findModules(model);
        made.findParameters(model);
        return made;
    }

    /** The layers of LNGD, of which there is one at least. */
    List<Layer> trained() {
        if (layers.isEmpty()) {
            StringBuilder reasons = new StringBuilder();
            entries.forEach(
                    e -> reasons.append("; ").append(e.name()).append(": ").append(e.detail()));
            throw new LngdArgumentException("model has no layer that LNGD can train" + reasons);
        }
        return layers;
    }

    /** All that the optimizer moves: the layers, then the parameters that no layer covers. */
    List<LayerSpec> specs() {
        List<LayerSpec> specs = new ArrayList<>();
        layers.forEach(layer -> specs.add(layer.spec()));
        others.forEach(p -> specs.add(LayerSpec.parameter(p.name(), p.tensor().numel(), rule)));
        return specs;
    }

    List<Named> others() {
        return others;
    }

    List<LayerRegistration> entries() {
        return entries;
    }

    private void findModules(Module model) {
        modules.put("", model);
        StringSharedModuleDict all = model.named_modules();
        for (long i = 0; i < all.size(); i++) {
            StringSharedModuleDictItem item = all.get(i);
            String name = string(item.key());
            if (!name.isEmpty()) {
                modules.put(name, item.access());
            }
        }
    }

    /** The presets give null for the empty name of the model itself. */
    private static String string(BytePointer text) {
        return text == null ? "" : text.getString();
    }

    private void findParameters(Module model) {
        Map<String, Map<String, Named>> byOwner = new LinkedHashMap<>();
        Map<Long, String> seen = new HashMap<>();
        StringTensorDict all = model.named_parameters();
        for (long i = 0; i < all.size(); i++) {
            String name = all.get(i).key().getString();
            // A handle of its own: what access() gives lives as long as the dictionary.
            Tensor tensor = new Tensor(all.get(i).access());
            String before = seen.putIfAbsent(tensor.unsafeGetTensorImpl().address(), name);
            if (before != null) {
                add(name, tensor, Treatment.NO_PARAMETERS, "the same tensor as " + before);
                continue;
            }
            int dot = name.lastIndexOf('.');
            byOwner.computeIfAbsent(
                            dot < 0 ? "" : name.substring(0, dot), o -> new LinkedHashMap<>())
                    .put(name.substring(dot + 1), new Named(name, tensor));
        }
        // Outputs last, whatever the order of registration: what is recommended goes by the last
        // layer.
        byOwner.forEach((owner, parameters) -> decide(owner, parameters, false));
        byOwner.forEach((owner, parameters) -> decide(owner, parameters, true));
    }

    private void decide(String owner, Map<String, Named> parameters, boolean outputs) {
        LayerCapture capture = LayerCapture.at(modules.get(owner).address());
        if (outputs != (capture != null && capture.output() != OutputModel.HIDDEN)) {
            return;
        }
        String problem = capture == null ? plain(owner) : problem(owner, capture, parameters);
        if (problem == null) {
            addLayer(owner, capture, parameters);
            return;
        }
        for (Named p : parameters.values()) {
            if (!p.tensor().requires_grad()) {
                add(p.name(), p.tensor(), Treatment.FROZEN, "requires_grad is false");
            } else {
                others.add(p);
                add(p.name(), p.tensor(), Treatment.FIRST_ORDER, problem + "; " + rule);
            }
        }
    }

    private String plain(String owner) {
        return "a parameter of " + type(owner) + ", which is no layer of LNGD";
    }

    private String type(String module) {
        return modules.get(module).name().getString();
    }

    /** Why a layer of ours cannot be trained by LNGD; null: it can. */
    private String problem(String owner, LayerCapture capture, Map<String, Named> parameters) {
        for (String path = owner; !path.isEmpty(); ) {
            int dot = path.lastIndexOf('.');
            path = dot < 0 ? "" : path.substring(0, dot);
            if (type(path).startsWith(NATIVE) && !WITHOUT_FORWARD.contains(type(path))) {
                return "inside of "
                        + (path.isEmpty() ? "the model" : path)
                        + " ("
                        + type(path)
                        + "), whose forward is C++ and passes the layer's Java method by: call the"
                        + " layers one by one from Java";
            }
        }
        if (capture.form() instanceof EmbeddingForm && !approximation.hasEmbeddings()) {
            return "an embedding, which the approximation " + approximation + " has not";
        }
        Named weight = parameters.get("weight");
        if (weight == null) {
            return "its weight is the tensor of another layer";
        }
        for (Named p : parameters.values()) {
            if (!p.tensor().requires_grad()) {
                return p.name()
                        + " is frozen (requires_grad is false), and LNGD moves both or none";
            }
        }
        return null;
    }

    private void addLayer(String owner, LayerCapture capture, Map<String, Named> parameters) {
        for (Named p : parameters.values()) {
            if (!p.tensor().is_contiguous()) {
                throw new LngdArgumentException(
                        p.name()
                                + " is not contiguous (channels_last?), allowed are contiguous"
                                + " weights; images may be in any memory format");
            }
        }
        LayerSpec spec = capture.spec(owner.isEmpty() ? "model" : owner);
        Named weight = parameters.get("weight");
        Named bias = parameters.get("bias");
        layers.add(new Layer(spec.name(), capture, spec.bias(bias != null), weight, bias));
        long count = weight.tensor().numel() + (bias == null ? 0 : bias.tensor().numel());
        entries.add(
                new LayerRegistration(
                        entries.size(),
                        spec.name(),
                        type(owner),
                        count,
                        Treatment.LNGD,
                        layers.size() - 1,
                        spec,
                        model(capture, spec)));
    }

    private static String model(LayerCapture capture, LayerSpec spec) {
        if (spec.output() != OutputModel.HIDDEN) {
            return "output, " + spec.output();
        }
        return capture.knowsActivation() ? spec.activation().toString() : "hidden";
    }

    private void add(String name, Tensor tensor, Treatment treatment, String detail) {
        entries.add(
                new LayerRegistration(
                        entries.size(),
                        name,
                        "parameter",
                        treatment == Treatment.NO_PARAMETERS ? 0 : tensor.numel(),
                        treatment,
                        -1,
                        null,
                        detail));
    }
}
