// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import java.util.Arrays;
import java.util.Map;
import org.bytedeco.pytorch.StringTensorDict;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.gloo.RankFacts;

/** What ranks must have in common of PyTorch and of the model, beside {@link RankFacts}. */
final class TorchFacts {
    private TorchFacts() {}

    static Map<String, String> of(TorchAttachment attachment) {
        Map<String, String> facts = RankFacts.of(attachment.options(), attachment.report());
        facts.put("PyTorch's instruction set", torch.get_cpu_capability().getString());
        shapes(attachment.model().named_parameters(), "parameter ", facts);
        shapes(attachment.model().named_buffers(), "buffer ", facts);
        return facts;
    }

    private static void shapes(StringTensorDict tensors, String kind, Map<String, String> facts) {
        for (long i = 0; i < tensors.size(); i++) {
            Tensor t = tensors.get(i).access();
            long[] shape = new long[Math.toIntExact(t.dim())];
            Arrays.setAll(shape, t::size);
            facts.put(
                    kind + tensors.get(i).key().getString(),
                    t.scalar_type().intern() + " of shape " + Arrays.toString(shape));
        }
    }
}
