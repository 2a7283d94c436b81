// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.bench;

import java.util.List;
import java.util.concurrent.TimeUnit;
import org.ejml.data.FMatrixRMaj;
import org.ejml.dense.row.factory.LinearSolverFactory_FDRM;
import org.ejml.interfaces.linsol.LinearSolverDense;
import org.lngd4j.Field;
import org.lngd4j.LayerSpec;
import org.lngd4j.LngdOptimizer;
import org.lngd4j.LngdOptions;
import org.lngd4j.Signal;
import org.lngd4j.StepPlan;
import org.lngd4j.UpdateMode;
import org.lngd4j.nd4j.Nd4jOptimizer;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.inverse.InvertMatrix;
import org.ojalgo.matrix.decomposition.Cholesky;
import org.ojalgo.matrix.store.MatrixStore;
import org.ojalgo.matrix.store.Primitive64Store;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * The inverse of one damped factor: EJML's Cholesky in float, ojAlgo's in double (it has no other),
 * ND4J's InvertMatrix, and LNGD's {@code factor_inverse}. LNGD's score is that of a whole step over
 * a layer with one output, statistics from 16 samples and averages included; the inverse's own
 * time, by the library's clock, is in the secondary results.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class InversePeer {
    @Param({"128", "576", "1152"})
    public int n;

    @Param({"lngd", "ejml", "ojalgo", "nd4j"})
    public String by;

    @Param("1")
    public int threads;

    private LngdOptimizer optimizer;
    private Nd4jOptimizer arrays;
    private StepPlan plan;
    private INDArray inputs;
    private INDArray signal;
    private INDArray damped;
    private FMatrixRMaj floats;
    private FMatrixRMaj inverse;
    private LinearSolverDense<FMatrixRMaj> solver;
    private Primitive64Store doubles;
    private Cholesky<Double> cholesky;

    /** The part of {@code factor_inverse} in LNGD's steps; JMH sums over iterations. */
    @State(Scope.Thread)
    @AuxCounters(AuxCounters.Type.EVENTS)
    public static class Inverse {
        /** By the library's clock. */
        public double inverseMicros;

        /** Inverses in {@link #inverseMicros}. */
        public long inverses;

        private LngdOptimizer optimizer;
        private double before;

        // Not by a @Setup: JMH would give this another InversePeer than the benchmark's.
        private void counts(LngdOptimizer of) {
            if (optimizer == null) {
                optimizer = of;
                before = micros();
            }
            inverses++;
        }

        private double micros() {
            return optimizer.times().inverse() / 1e3;
        }

        @TearDown(Level.Iteration)
        public void end() {
            if (optimizer != null) {
                inverseMicros = micros() - before;
                optimizer = null;
            }
        }
    }

    @Setup
    public void open() {
        Nd4j.getRandom().setSeed(1);
        LngdOptions options =
                LngdOptions.recipe(1_000_000)
                        .blockSize(0)
                        .statisticsSamples(16)
                        .statisticsInterval(1)
                        .inverseInterval(1)
                        .threads(threads)
                        .build();
        arrays = Nd4jOptimizer.create(options, List.of(LayerSpec.dense("one", n, 1).bias(false)));
        optimizer = arrays.core();
        INDArray weights = Nd4j.randn(1, n);
        plan =
                optimizer.plan(
                        List.of(arrays.tensors(0, weights, null, weights.dup(), null)),
                        UpdateMode.WEIGHTS);
        inputs = Nd4j.randn(16, n);
        signal = Nd4j.ones(16, 1);
        step();
        // What the library has inverted: Phi + lambda I.
        damped = arrays.read(0, Field.PHI);
        damped.addi(Nd4j.eye(n).muli(optimizer.health(0).lambdaPhiMax()));
        double[][] rows = damped.toDoubleMatrix();
        switch (by) {
            case "ejml" -> {
                floats = new FMatrixRMaj(n, n);
                for (int i = 0; i < n; i++) {
                    for (int j = 0; j < n; j++) {
                        floats.set(i, j, (float) rows[i][j]);
                    }
                }
                inverse = new FMatrixRMaj(n, n);
                solver = LinearSolverFactory_FDRM.symmPosDef(n);
            }
            case "ojalgo" -> {
                doubles = Primitive64Store.FACTORY.rows(rows);
                cholesky = Cholesky.R064.make(n, n);
            }
            default -> { // these need nothing
            }
        }
        check();
    }

    private void step() {
        arrays.observe(0, inputs, signal, Signal.PRE_ACTIVATIONS);
        plan.step(1e-6);
    }

    @Benchmark
    public Object invert(Inverse inverse) {
        if (by.equals("lngd")) {
            inverse.counts(optimizer);
        }
        return invert();
    }

    private Object invert() {
        switch (by) {
            case "lngd" -> {
                step();
                return plan;
            }
            case "ejml" -> {
                FMatrixRMaj a = solver.modifiesA() ? floats.copy() : floats;
                if (!solver.setA(a)) {
                    throw new IllegalStateException("EJML: not positive definite");
                }
                solver.invert(inverse);
                return inverse;
            }
            case "ojalgo" -> {
                if (!cholesky.decompose(doubles)) {
                    throw new IllegalStateException("ojAlgo: not positive definite");
                }
                return cholesky.getInverse();
            }
            default -> {
                return InvertMatrix.invert(damped, false);
            }
        }
    }

    // ||A X - I|| over sqrt(n). The damping is the mean eigenvalue and the rank 16: a condition of
    // about n / 16, so single precision leaves 1e-5 of it.
    private void check() {
        Object result = invert();
        INDArray x;
        if (result instanceof FMatrixRMaj m) {
            x = Nd4j.create(m.getData().clone(), new long[] {n, n}, 'c');
        } else if (result instanceof MatrixStore<?> m) {
            x = Nd4j.create(m.toRawCopy2D()).castTo(damped.dataType());
        } else if (result instanceof INDArray a) {
            x = a;
        } else {
            x = arrays.read(0, Field.PHI_INVERSE);
            damped = arrays.read(0, Field.PHI);
            damped.addi(Nd4j.eye(n).muli(optimizer.health(0).lambdaPhiMax()));
        }
        double residual =
                damped.mmul(x).subi(Nd4j.eye(n)).norm2Number().doubleValue() / Math.sqrt(n);
        System.out.printf("  [residual %.1e] ", residual);
        if (!(residual < 1e-4)) {
            throw new IllegalStateException(by + ": residual " + residual);
        }
    }

    @TearDown
    public void close() {
        optimizer.close();
    }
}
