// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.CRC32C;
import org.bytedeco.pytorch.StringTensorDict;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.Device;
import org.lngd4j.LayerRegistration;
import org.lngd4j.LngdInfo;
import org.lngd4j.LngdOptions;
import org.lngd4j.nativelib.LoadReport;
import org.lngd4j.nativelib.NativeLibrary;

/**
 * What ranks must have in common: whatever the bits of a step depend on but the data. Same inputs,
 * build, processor and number of threads give the same bits (lngd.h).
 */
final class RankFacts {
    private RankFacts() {}

    static Map<String, String> of(TorchAttachment attachment) {
        Map<String, String> facts = new LinkedHashMap<>();
        LngdInfo.Backend cpu = LngdInfo.backend(Device.CPU);
        facts.put("the library's version", NativeLibrary.report().version());
        facts.put("the library's file, as CRC-32C,", checksum());
        facts.put("the instruction set", cpu.instructionSet());
        facts.put("the BLAS", cpu.blas());
        facts.put("the BLAS core", cpu.blasCore());
        facts.put("PyTorch's instruction set", torch.get_cpu_capability().getString());
        LngdOptions options = attachment.options();
        options.asMap()
                .forEach((name, value) -> facts.put("options." + name, String.valueOf(value)));
        int threads = options.threads() == 0 ? cpu.defaultThreads() : options.threads();
        facts.put("options.threads", Integer.toString(threads));
        for (LayerRegistration e : attachment.report().layers()) {
            facts.put("layer " + e.name(), e.treatment() + ", " + e.detail() + ", " + e.spec());
        }
        shapes(attachment.model().named_parameters(), "parameter ", facts);
        shapes(attachment.model().named_buffers(), "buffer ", facts);
        return facts;
    }

    /** A version does not tell one build from another. */
    private static String checksum() {
        CRC32C crc = new CRC32C();
        for (LoadReport.Attempt attempt : NativeLibrary.report().library()) {
            if (attempt.success() && Files.isRegularFile(Path.of(attempt.path()))) {
                try {
                    crc.update(Files.readAllBytes(Path.of(attempt.path())));
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            }
        }
        return Long.toHexString(crc.getValue());
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
