// SPDX-License-Identifier: Apache-2.0
/** What the adapters to frameworks have in common. Not for users: it may change in any version. */
package org.lngd4j.adapter;
