// SPDX-License-Identifier: Apache-2.0
/**
 * The C ABI of liblngd for the JVM: generated JavaCPP bindings (in the package {@code
 * org.lngd4j.nativelib.global}), the loader, and the exceptions. Most programs use the module
 * {@code lngd4j} instead, which is written for Java.
 */
package org.lngd4j.nativelib;
