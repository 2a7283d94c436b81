// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/** The accessors of {@link LngdOptions}, apart from its builder for the sake of short files. */
abstract class OptionAccessors {
    final OptionValues values;

    OptionAccessors(OptionValues values) {
        this.values = values.copy();
    }

    /** {@return the preset that the values started from} */
    public Preset preset() {
        return values.preset;
    }

    /** {@return length of the run in steps; 0 if it is not known} */
    public long totalSteps() {
        return values.totalSteps;
    }

    /** {@return where the kernels run} */
    public Device device() {
        return values.device;
    }

    /** {@return index of the CUDA device, from 0} */
    public int deviceIndex() {
        return values.deviceIndex;
    }

    /** {@return how the CUDA backend multiplies where it forms the statistics} */
    public Precision precision() {
        return values.precision;
    }

    /** {@return how the CUDA backend multiplies where it forms the direction} */
    public Precision directionPrecision() {
        return values.directionPrecision;
    }

    /** {@return whether CUDA takes statistics and inverses on a stream beside the caller's} */
    public boolean overlap() {
        return values.overlap;
    }

    /**
     * {@return threads of the CPU backend; 0: $LNGD_NUM_THREADS, else all processors of the
     * process}
     */
    public int threads() {
        return values.threads;
    }

    /** {@return what stands for the Fisher block of a layer} */
    public Approximation approximation() {
        return values.approximation;
    }

    /** {@return how Fisher information is taken, where a layer does not say otherwise} */
    public Fisher fisher() {
        return values.fisher;
    }

    /** {@return the rule of damping} */
    public Damping damping() {
        return values.damping;
    }

    /**
     * {@return gamma of {@link Damping#RELATIVE}, lambda of {@link Damping#FACTORED}, g of {@link
     * Damping#SIGNAL}}
     */
    public double dampingFactor() {
        return values.dampingFactor;
    }

    /** {@return smallest lambda, but of {@link Damping#ABSOLUTE}} */
    public double dampingFloor() {
        return values.dampingFloor;
    }

    /** {@return nu1 of {@link Damping#ABSOLUTE}, smallest gamma_l of {@link Damping#SIGNAL}} */
    public double dampingMin() {
        return values.dampingMin;
    }

    /** {@return nu2 of {@link Damping#ABSOLUTE}, largest gamma_l of {@link Damping#SIGNAL}} */
    public double dampingMax() {
        return values.dampingMax;
    }

    /** {@return over what {@link Damping#RELATIVE} takes its mean} */
    public DampingScope dampingScope() {
        return values.dampingScope;
    }

    /** {@return factor on lambda of the second factor} */
    public double secondDamping() {
        return values.secondDamping;
    }

    /** {@return S0 of {@link Damping#SIGNAL}; 0: taken at the first inversion} */
    public double signalReference() {
        return values.signalReference;
    }

    /** {@return what the trust ratio does} */
    public TrustRatio trustMode() {
        return values.trustMode;
    }

    /** {@return tau of the trust ratio} */
    public double trustRatio() {
        return values.trustRatio;
    }

    /** {@return slope of tau over the depth of the network; 1: the same everywhere} */
    public double trustDepthSlope() {
        return values.trustDepthSlope;
    }

    /** {@return whether a direction that all but vanishes makes a shorter step} */
    public boolean softTrust() {
        return values.softTrust;
    }

    /** {@return whether the step of the output layer is bounded by its first weights} */
    public boolean outputBound() {
        return values.outputBound;
    }

    /** {@return the largest norm of all gradients of a step together; 0: not clipped} */
    public double gradientClipping() {
        return values.gradientClipping;
    }

    /** {@return the learning rate of a layer} */
    public LayerRate layerRate() {
        return values.layerRate;
    }

    /** {@return samples of a batch that {@link LayerRate#EMPIRICAL} uses; 0: all} */
    public int rateSamples() {
        return values.rateSamples;
    }

    /** {@return the guard in alpha_l} */
    public double mu() {
        return values.mu;
    }

    /** {@return alpha, which the schedule multiplies} */
    public double learningRate() {
        return values.learningRate;
    }

    /** {@return the momentum} */
    public double momentum() {
        return values.momentum;
    }

    /** {@return whether momentum is Nesterov's} */
    public boolean nesterov() {
        return values.nesterov;
    }

    /** {@return where weight decay enters} */
    public WeightDecay decayMode() {
        return values.decayMode;
    }

    /** {@return the weight decay} */
    public double weightDecay() {
        return values.weightDecay;
    }

    /** {@return factor on the weight decay of an output layer that has grown} */
    public double outputDecay() {
        return values.outputDecay;
    }

    /** {@return largest diagonal block of Phi; 0: full} */
    public int blockSize() {
        return values.blockSize;
    }

    /** {@return largest diagonal block of a second factor that is a matrix; 0: full} */
    public int secondBlockSize() {
        return values.secondBlockSize;
    }

    /** {@return samples of an update that feed the statistics; 0: all} */
    public int statisticsSamples() {
        return values.statisticsSamples;
    }

    /** {@return T_FIM in steps} */
    public int statisticsInterval() {
        return values.statisticsInterval;
    }

    /** {@return T_INV in steps} */
    public int inverseInterval() {
        return values.inverseInterval;
    }

    /** {@return weight of the old estimate in the running averages} */
    public double rho() {
        return values.rho;
    }

    /** {@return whether averaged weights are kept} */
    public boolean averaging() {
        return values.averaging;
    }

    /** {@return the constant c of the averaged weights} */
    public double averagingWindow() {
        return values.averagingWindow;
    }

    /** {@return whether directions are whitened and orthogonalised} */
    public boolean orthogonalise() {
        return values.orthogonalise;
    }

    /** {@return seed of {@link Fisher#SAMPLED}} */
    public long seed() {
        return values.seed;
    }

    /**
     * {@return why {@link LngdOptions#recommended} chose the values that these options started
     * from, in one line; "" where they started from a preset that was asked for} Options are equal
     * whatever their reasons.
     */
    public String reason() {
        return values.reason;
    }

    /** {@return factor of the learning rate over time} */
    public Schedule schedule() {
        return values.schedule;
    }

    /** {@return factor of gamma over time; null: 1} */
    public Schedule dampingSchedule() {
        return values.dampingSchedule;
    }

    /** {@return T_FIM over time; null: constant} */
    public Schedule statisticsIntervalSchedule() {
        return values.statisticsIntervalSchedule;
    }

    /** {@return T_INV over time; null: constant} */
    public Schedule inverseIntervalSchedule() {
        return values.inverseIntervalSchedule;
    }
}
