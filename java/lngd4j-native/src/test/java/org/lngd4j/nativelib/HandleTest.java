// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;
import static org.lngd4j.nativelib.Abi.fails;
import static org.lngd4j.nativelib.Abi.ok;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToIntFunction;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerPointer;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_config;
import org.lngd4j.nativelib.global.lngd_health;
import org.lngd4j.nativelib.global.lngd_inverses;
import org.lngd4j.nativelib.global.lngd_memory;
import org.lngd4j.nativelib.global.lngd_optimizer;
import org.lngd4j.nativelib.global.lngd_plan;
import org.lngd4j.nativelib.global.lngd_sums;
import org.lngd4j.nativelib.global.lngd_times;

/** Every function that takes a handle, with handles that are none. */
@Tag(TestDevice.TAG)
class HandleTest {
    private static final Map<String, ToIntFunction<lngd_optimizer>> OPTIMIZER =
            new LinkedHashMap<>();
    private static final Map<String, ToIntFunction<lngd_plan>> PLAN = new LinkedHashMap<>();

    static {
        Abi.Net net = new Abi.Net();
        OPTIMIZER.put("set", o -> lngd.lngd_set(o, lngd.LNGD_SET_MOMENTUM, 0.5));
        OPTIMIZER.put("get", o -> lngd.lngd_get(o, lngd.LNGD_SET_MOMENTUM, new double[1]));
        OPTIMIZER.put("get_config", o -> lngd.lngd_get_config(o, config()));
        OPTIMIZER.put("layer_count", o -> lngd.lngd_layer_count(o, new int[1]));
        OPTIMIZER.put("needs", o -> lngd.lngd_needs(o, 0, new int[1]));
        OPTIMIZER.put("observe", o -> Abi.observe(o, Abi.inputs(), Abi.signal()));
        OPTIMIZER.put(
                "observe_strided",
                o ->
                        lngd.lngd_observe_strided(
                                o,
                                0,
                                4,
                                Abi.random(1, 20),
                                5,
                                1,
                                Abi.random(2, 12),
                                3,
                                1,
                                lngd.LNGD_SIGNAL_PRE_ACTIVATIONS));
        OPTIMIZER.put("discard", o -> lngd.lngd_discard(o, lngd.LNGD_ALL_LAYERS));
        OPTIMIZER.put(
                "get_sums",
                o -> {
                    lngd_sums sums = new lngd_sums();
                    return lngd.lngd_get_sums(o, sums.struct_size(sums.sizeof()));
                });
        OPTIMIZER.put(
                "sum_range",
                o -> lngd.lngd_sum_range(o, 0, lngd.LNGD_SUM_PHI, new long[1], new long[1]));
        OPTIMIZER.put("sums_close", lngd::lngd_sums_close);
        OPTIMIZER.put("sums_reduced", lngd::lngd_sums_reduced);
        OPTIMIZER.put("share_inverses", o -> lngd.lngd_share_inverses(o, new int[] {0}, 1, 0));
        OPTIMIZER.put(
                "get_inverses",
                o -> {
                    lngd_inverses inverses = new lngd_inverses();
                    return lngd.lngd_get_inverses(o, inverses.struct_size(inverses.sizeof()));
                });
        OPTIMIZER.put(
                "inverse_range", o -> lngd.lngd_inverse_range(o, 0, new long[1], new long[1]));
        OPTIMIZER.put(
                "inverse_cost", o -> lngd.lngd_inverse_cost(o, 0, new double[1], new long[1]));
        OPTIMIZER.put("inverses_received", lngd::lngd_inverses_received);
        OPTIMIZER.put("set_reduction", o -> lngd.lngd_set_reduction(o, 1));
        OPTIMIZER.put("set_sample_offset", o -> lngd.lngd_set_sample_offset(o, 3));
        OPTIMIZER.put(
                "plan_create", o -> lngd.lngd_plan_create(o, net.binding, 1, 0, new lngd_plan()));
        OPTIMIZER.put(
                "layer_health",
                o -> {
                    lngd_health health = new lngd_health();
                    return lngd.lngd_layer_health(o, 0, health.struct_size(health.sizeof()));
                });
        OPTIMIZER.put("layer_precision", o -> lngd.lngd_layer_precision(o, 0, new int[1]));
        OPTIMIZER.put(
                "memory_report",
                o -> {
                    lngd_memory memory = new lngd_memory();
                    return lngd.lngd_memory_report(o, memory.struct_size(memory.sizeof()));
                });
        OPTIMIZER.put(
                "profile",
                o -> {
                    lngd_times times = new lngd_times();
                    return lngd.lngd_profile(o, times.struct_size(times.sizeof()));
                });
        OPTIMIZER.put(
                "layer_read",
                o -> lngd.lngd_layer_read(o, 0, lngd.LNGD_FIELD_PSI, new float[3], 3, new long[1]));
        OPTIMIZER.put(
                "layer_write",
                o -> lngd.lngd_layer_write(o, 0, lngd.LNGD_FIELD_PSI, new float[3], 3));
        OPTIMIZER.put("state_size", o -> lngd.lngd_state_size(o, new long[1]));
        OPTIMIZER.put(
                "state_save",
                o -> lngd.lngd_state_save(o, new BytePointer(1 << 16), 1 << 16, new long[1]));
        OPTIMIZER.put("state_restore", o -> lngd.lngd_state_restore(o, new BytePointer(64), 64));
        OPTIMIZER.put(
                "fisher_rows",
                o ->
                        lngd.lngd_fisher_rows(
                                o,
                                0,
                                0,
                                Abi.inputs(),
                                Abi.signal(),
                                0,
                                new float[12],
                                new float[4],
                                new float[4]));
        OPTIMIZER.put("set_stream", o -> lngd.lngd_set_stream(o, null));
        OPTIMIZER.put("synchronize", lngd::lngd_synchronize);
        OPTIMIZER.put(
                "device_allocate", o -> lngd.lngd_device_allocate(o, 64, new PointerPointer<>(1)));
        OPTIMIZER.put("device_free", o -> lngd.lngd_device_free(o, new BytePointer(64)));
        OPTIMIZER.put(
                "device_copy",
                o -> lngd.lngd_device_copy(o, new BytePointer(64), new BytePointer(64), 64));
        OPTIMIZER.put("destroy", lngd::lngd_destroy);
        PLAN.put("step", p -> lngd.lngd_step(p, 1, null));
        PLAN.put("refresh", lngd::lngd_refresh);
        PLAN.put("plan_rebind", p -> lngd.lngd_plan_rebind(p, 1, null, null, null, null));
        PLAN.put("replay", p -> lngd.lngd_replay(p, 1, new int[1]));
        PLAN.put("swap_averages", p -> lngd.lngd_swap_averages(p, new int[1]));
        PLAN.put("plan_destroy", lngd::lngd_plan_destroy);
    }

    private static lngd_config config() {
        lngd_config config = new lngd_config();
        return config.struct_size(config.sizeof());
    }

    /**
     * Null, small numbers, all ones, addresses of live memory, and the neighbours of a true handle.
     */
    private static List<Pointer> garbage(Pointer real) {
        List<Pointer> list = new ArrayList<>();
        list.add(null);
        list.add(new BytePointer(256));
        for (long value :
                new long[] {
                    1,
                    2,
                    255,
                    0xdeadbeefL,
                    -1L,
                    Long.MIN_VALUE,
                    Long.MAX_VALUE,
                    real.address() + 1,
                    real.address() - 1,
                    real.address() ^ (1L << 32),
                    real.address() ^ (1L << 48)
                }) {
            list.add(new Address(value));
        }
        return list;
    }

    private static final class Address extends Pointer {
        Address(long value) {
            super((Pointer) null);
            address = value;
        }
    }

    @Test
    void garbageIsNoOptimizer() {
        lngd_optimizer real = Abi.optimizer();
        for (Pointer value : garbage(real)) {
            lngd_optimizer handle = value == null ? null : new lngd_optimizer(value);
            OPTIMIZER.forEach(
                    (name, call) -> fails(lngd.LNGD_INVALID_HANDLE, call.applyAsInt(handle)));
        }
        ok(lngd.lngd_destroy(real));
    }

    @Test
    void garbageIsNoPlan() {
        Abi.Net net = new Abi.Net().planned();
        for (Pointer value : garbage(net.plan)) {
            lngd_plan handle = value == null ? null : new lngd_plan(value);
            PLAN.forEach((name, call) -> fails(lngd.LNGD_INVALID_HANDLE, call.applyAsInt(handle)));
        }
        ok(lngd.lngd_destroy(net.optimizer));
    }

    @Test
    void aPlanIsNoOptimizerAndTheOtherWayRound() {
        Abi.Net net = new Abi.Net().planned();
        OPTIMIZER.forEach(
                (name, call) ->
                        fails(
                                lngd.LNGD_INVALID_HANDLE,
                                call.applyAsInt(new lngd_optimizer((Pointer) net.plan))));
        PLAN.forEach(
                (name, call) ->
                        fails(
                                lngd.LNGD_INVALID_HANDLE,
                                call.applyAsInt(new lngd_plan((Pointer) net.optimizer))));
        net.step(1);
        ok(lngd.lngd_destroy(net.optimizer));
    }

    @Test
    void whatWasDestroyedStaysInvalid() {
        lngd_optimizer gone = Abi.optimizer();
        ok(lngd.lngd_destroy(gone));
        // New ones may take the place of the old one in the library's table: the old handle must
        // not reach them.
        List<lngd_optimizer> others = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            others.add(Abi.optimizer());
        }
        OPTIMIZER.forEach((name, call) -> fails(lngd.LNGD_INVALID_HANDLE, call.applyAsInt(gone)));
        others.forEach(o -> ok(lngd.lngd_destroy(o)));
    }

    @Test
    void plansEndWithTheirOptimizer() {
        Abi.Net net = new Abi.Net().planned();
        ok(lngd.lngd_destroy(net.optimizer));
        PLAN.forEach((name, call) -> fails(lngd.LNGD_INVALID_HANDLE, call.applyAsInt(net.plan)));
    }

    @Test
    void aDestroyedPlanLeavesItsOptimizer() {
        Abi.Net net = new Abi.Net().planned();
        ok(lngd.lngd_plan_destroy(net.plan));
        PLAN.forEach((name, call) -> fails(lngd.LNGD_INVALID_HANDLE, call.applyAsInt(net.plan)));
        ok(net.create());
        net.step(1);
        ok(lngd.lngd_destroy(net.optimizer));
    }

    @Test
    void handlesAreNotUsedUp() {
        long before = 0;
        for (int i = 0; i < 5000; i++) {
            Abi.Net net = new Abi.Net(Abi.optimizer());
            assertThat(net.optimizer.address()).isNotEqualTo(before);
            before = net.optimizer.address();
            ok(lngd.lngd_destroy(net.optimizer));
        }
    }
}
