// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.function.ToIntFunction;
import org.lngd4j.nativelib.LngdInternalException;

/** From the numbers of the C ABI back to enum constants. */
final class Codes {
    private Codes() {}

    static <E extends Enum<E>> E of(E[] values, ToIntFunction<E> code, int number) {
        for (E value : values) {
            if (code.applyAsInt(value) == number) {
                return value;
            }
        }
        throw new LngdInternalException(
                "the native library knows "
                        + values[0].getDeclaringClass().getSimpleName()
                        + " "
                        + number
                        + ", these classes do not");
    }
}
