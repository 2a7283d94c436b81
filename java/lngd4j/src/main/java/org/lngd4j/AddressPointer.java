// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;

/**
 * A pointer whose address can be set, so that one object serves every call. Making a {@code
 * FloatPointer} for each array was rejected: it costs 100 to 200 ns and 80 bytes of heap, several
 * times the JNI call itself. Owns no memory.
 */
final class AddressPointer extends FloatPointer {
    AddressPointer() {
        super((Pointer) null);
    }

    AddressPointer at(long value) {
        address = value;
        return this;
    }
}
