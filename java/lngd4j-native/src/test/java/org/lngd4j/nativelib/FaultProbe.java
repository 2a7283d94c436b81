// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import java.util.Arrays;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.PointerPointer;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_optimizer;

/**
 * Main class of the JVMs of {@link DeviceFaultTest}: a short life of an optimizer on the emulator,
 * with a line for each operation. Its environment names the CUDA call that fails.
 */
final class FaultProbe {
    private FaultProbe() {}

    /** An operation of the ABI. */
    private interface Operation {
        int run();
    }

    public static void main(String[] args) {
        // Loads the emulator, which Abi.config then names.
        System.setProperty("lngd.test.device", "emulated");
        lngd_optimizer made = new lngd_optimizer();
        run("create", () -> lngd.lngd_create(Abi.config(0), Abi.layer(), 1, made));
        if (made.isNull()) {
            return;
        }
        Abi.Net net = new Abi.Net(made);
        run("plan", net::create);
        if (net.plan.isNull()) {
            run("plan again", net::create);
        }
        float[] before = net.weights();
        // Without a plan the device is lost, and there is nothing to step.
        for (int i = 0; i < 3 && !net.plan.isNull(); i++) {
            run("observe", () -> Abi.observe(made, Abi.inputs(), Abi.signal()));
            run("step", () -> lngd.lngd_step(net.plan, 1, null));
        }
        run(
                "read",
                () ->
                        lngd.lngd_layer_read(
                                made,
                                0,
                                lngd.LNGD_FIELD_PSI,
                                new FloatPointer(3),
                                3,
                                (LongPointer) null));
        run(
                "save",
                () ->
                        lngd.lngd_state_save(
                                made, new BytePointer(1 << 16), 1 << 16, (LongPointer) null));
        PointerPointer<FloatPointer> memory = new PointerPointer<>(1);
        run("allocate", () -> lngd.lngd_device_allocate(made, 64, memory));
        if (memory.get(0) != null) {
            run("free", () -> lngd.lngd_device_free(made, memory.get(0)));
        }
        run("synchronize", () -> lngd.lngd_synchronize(made));
        System.out.println("moved: " + !Arrays.equals(before, net.weights()));
        run("destroy", () -> lngd.lngd_destroy(made));
    }

    private static void run(String name, Operation operation) {
        try {
            Status.check(operation.run());
            System.out.println(name + ": fine");
        } catch (LngdException e) {
            System.out.println(name + ": " + e.getClass().getSimpleName() + ": " + e.getMessage());
        }
    }
}
