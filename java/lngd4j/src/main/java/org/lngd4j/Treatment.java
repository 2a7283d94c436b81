// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/** What an adapter does with a layer of a network while LNGD is attached to it. */
public enum Treatment {
    /** Its weights and bias are trained by LNGD. */
    LNGD,

    /** It has no Kronecker block: its parameters are trained by a first-order updater. */
    FIRST_ORDER,

    /** It is frozen: its parameters do not move. */
    FROZEN,

    /** It has no parameters. */
    NO_PARAMETERS
}
