// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/** The ready-made schedules; records, so that they print and compare well. */
final class Schedules {
    private Schedules() {}

    /** A step of a run of {@code from} steps in one of {@code to}. */
    private static long scaled(long step, long from, long to) {
        Check.atLeast("from", from, 1L);
        Check.atLeast("to", to, 1L);
        return step == from ? to : Math.round((double) step * to / from);
    }

    record Constant(double value) implements Schedule {
        @Override
        public double at(long step, int epoch) {
            return value;
        }

        @Override
        public Schedule stretched(long from, long to) {
            return this;
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
        public Schedule stretched(long from, long to) {
            return new Cosine(Math.max(1, scaled(total, from, to)));
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
        public Schedule stretched(long from, long to) {
            return new Linear(Math.max(1, scaled(total, from, to)));
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
        public Schedule stretched(long from, long to) {
            return this;
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
        public Schedule stretched(long from, long to) {
            return new Warmup(inner.stretched(from, to), steps);
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
        public Schedule stretched(long from, long to) {
            long changed = scaled(change, from, to);
            // What is left behind the change, not `from` and `to` again: both would be rounded, and
            // the end be a step away from `to`.
            boolean inside = change < from && changed < to;
            Schedule rest =
                    inside ? next.stretched(from - change, to - changed) : next.stretched(from, to);
            return new Then(first.stretched(from, to), changed, rest);
        }

        @Override
        public String toString() {
            return first + ".then(" + change + ", " + next + ")";
        }
    }

    /** A function of the user's own on another axis of time. */
    record Stretched(Schedule inner, long from, long to) implements Schedule {
        @Override
        public double at(long step, int epoch) {
            double there = (double) step * from / to;
            long before = (long) Math.floor(there);
            double value = inner.at(before, epoch);
            // Not value + 0 * (...): what comes next may be no number.
            return there == before
                    ? value
                    : value + (there - before) * (inner.at(before + 1, epoch) - value);
        }

        @Override
        public long end() {
            return inner.end() == Long.MAX_VALUE
                    ? Long.MAX_VALUE
                    : inner.end() == from ? to : (long) Math.ceil((double) inner.end() * to / from);
        }

        @Override
        public Schedule stretched(long other, long length) {
            return new Stretched(inner, from, scaled(to, other, length));
        }

        @Override
        public String toString() {
            return inner + ".stretched(" + from + ", " + to + ")";
        }
    }
}
