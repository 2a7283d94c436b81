// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/** The ready-made schedules; records, so that they print and compare well. */
final class Schedules {
    private Schedules() {}

    record Constant(double value) implements Schedule {
        @Override
        public double at(long step, int epoch) {
            return value;
        }

        @Override
        public String toString() {
            return "constant(" + value + ")";
        }
    }

    record Cosine(long total) implements Schedule {
        @Override
        public double at(long step, int epoch) {
            // Not 0.5 (1 + cos(pi)) at the end, which is a rounding error above 0.
            return step >= total ? 0 : 0.5 * (1 + Math.cos(Math.PI * Math.max(step, 0) / total));
        }

        @Override
        public long end() {
            return total;
        }

        @Override
        public String toString() {
            return "cosine(" + total + ")";
        }
    }

    record Linear(long total) implements Schedule {
        @Override
        public double at(long step, int epoch) {
            return step >= total ? 0 : 1 - (double) Math.max(step, 0) / total;
        }

        @Override
        public long end() {
            return total;
        }

        @Override
        public String toString() {
            return "linear(" + total + ")";
        }
    }

    record Steps(int every, double factor) implements Schedule {
        @Override
        public double at(long step, int epoch) {
            return Math.pow(factor, Math.max(epoch, 0) / every);
        }

        @Override
        public String toString() {
            return "steps(every " + every + " epochs, x " + factor + ")";
        }
    }

    record Warmup(Schedule inner, long steps) implements Schedule {
        @Override
        public double at(long step, int epoch) {
            return Math.min(1, (Math.max(step, 0) + 1.0) / steps) * inner.at(step, epoch);
        }

        @Override
        public long end() {
            return inner.end();
        }

        @Override
        public String toString() {
            return inner + ".warmup(" + steps + ")";
        }
    }

    record Then(Schedule first, long change, Schedule next) implements Schedule {
        @Override
        public double at(long step, int epoch) {
            return step < change ? first.at(step, epoch) : next.at(step - change, epoch);
        }

        @Override
        public long end() {
            return next.end() == Long.MAX_VALUE ? Long.MAX_VALUE : change + next.end();
        }

        @Override
        public String toString() {
            return first + ".then(" + change + ", " + next + ")";
        }
    }
}
