// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.pytorch.Conv1dImpl;
import org.bytedeco.pytorch.Conv2dImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.StringSharedModuleDict;
import org.bytedeco.pytorch.StringTensorDict;
import org.bytedeco.pytorch.Tensor;
import org.lngd4j.OutputModel;
import org.lngd4j.pytorch.LngdLayer;

/** Finds the roles of a model's parameters; the rules are in {@link NamedParameter#of}. */
final class Roles {
    private final Map<String, Module> modules = new HashMap<>();
    private final List<String> names = new ArrayList<>();
    private final List<Tensor> tensors = new ArrayList<>();
    private final boolean outputsTold;

    private Roles(Module model) {
        modules.put("", model);
        StringSharedModuleDict all = model.named_modules();
        for (long i = 0; i < all.size(); i++) {
            BytePointer key = all.get(i).key(); // null for the empty name of the model itself
            if (key != null && !key.getString().isEmpty()) {
                modules.put(key.getString(), all.get(i).access());
            }
        }
        outputsTold = modules.values().stream().anyMatch(Roles::toldOutput);
        findParameters(model);
    }

    static List<NamedParameter> of(Module model) {
        Roles roles = new Roles(model);
        List<NamedParameter> parameters = new ArrayList<>();
        for (int i = 0; i < roles.names.size(); i++) {
            String name = roles.names.get(i);
            Tensor tensor = roles.tensors.get(i);
            parameters.add(new NamedParameter(name, tensor, roles.role(name, tensor)));
        }
        return parameters;
    }

    private void findParameters(Module model) {
        Set<Long> seen = new HashSet<>();
        StringTensorDict all = model.named_parameters();
        for (long i = 0; i < all.size(); i++) {
            // A handle of its own: what access() gives lives as long as the dictionary.
            Tensor tensor = new Tensor(all.get(i).access());
            if (seen.add(tensor.unsafeGetTensorImpl().address())) {
                names.add(all.get(i).key().getString());
                tensors.add(tensor);
            }
        }
    }

    private static boolean toldOutput(Module module) {
        return LngdLayer.outputOf(module) != OutputModel.HIDDEN;
    }

    static String owner(String parameter) {
        int dot = parameter.lastIndexOf('.');
        return dot < 0 ? "" : parameter.substring(0, dot);
    }

    private ParameterRole role(String name, Tensor tensor) {
        String owner = owner(name);
        Module module = modules.get(owner);
        if (tensor.dim() < 2 || module.asLayerNorm() != null) {
            return ParameterRole.VECTOR;
        }
        boolean embedding = module.asEmbedding() != null || module.asEmbeddingBag() != null;
        boolean convolution = convolution(module);
        boolean known = embedding || convolution || module.asLinear() != null;
        if (!known || !name.endsWith("weight")) {
            return ParameterRole.OTHER_WEIGHT;
        }
        if (outputsTold ? toldOutput(module) : owner.equals(lastOwner())) {
            return ParameterRole.OUTPUT;
        }
        if (embedding) {
            return ParameterRole.EMBEDDING;
        }
        return convolution && owner.equals(owner(names.get(0)))
                ? ParameterRole.FIRST_CONVOLUTION
                : ParameterRole.HIDDEN;
    }

    private String lastOwner() {
        return owner(names.get(names.size() - 1));
    }

    /** With groups it is several matrices, one of which has few rows. */
    private static boolean convolution(Module module) {
        Conv1dImpl one = module.asConv1d();
        Conv2dImpl two = module.asConv2d();
        return one != null && one.options().groups().get() == 1
                || two != null && two.options().groups().get() == 1;
    }
}
