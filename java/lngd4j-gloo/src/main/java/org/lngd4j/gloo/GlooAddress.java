// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.gloo;

import java.net.InetAddress;
import java.net.NetworkInterface;
import java.net.SocketException;
import java.net.UnknownHostException;
import java.time.Duration;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.javacpp.chrono.Milliseconds;
import org.bytedeco.pytorch.ProcessGroupGloo;
import org.bytedeco.pytorch.Store;
import org.bytedeco.pytorch.gloo.Device;
import org.lngd4j.nativelib.LngdArgumentException;

/**
 * The one address that Gloo listens on. Gloo takes 0.0.0.0 as well, which is refused here: its
 * connections have neither authentication nor encryption.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
record GlooAddress(String name, boolean isInterface) {
    static GlooAddress of(String bind) {
        if (bind == null || bind.isBlank()) {
            throw new LngdArgumentException(
                    "bind is "
                            + (bind == null ? "null" : "blank")
                            + ", allowed is an address, a host name or an interface of this machine");
        }
        try {
            if (NetworkInterface.getByName(bind) != null) {
                return new GlooAddress(bind, true);
            }
            InetAddress address = InetAddress.getByName(bind);
            if (address.isAnyLocalAddress() || NetworkInterface.getByInetAddress(address) == null) {
                throw new LngdArgumentException(
                        "bind is "
                                + bind
                                + (address.isAnyLocalAddress()
                                        ? ", which stands for all interfaces"
                                        : ", which is no address of this machine")
                                + "; allowed is one address or interface of this machine");
            }
            // The address, so that no second look-up can answer otherwise.
            return new GlooAddress(address.getHostAddress(), false);
        } catch (UnknownHostException | SocketException e) {
            throw new LngdArgumentException(
                    "bind is "
                            + bind
                            + ", which is neither an interface of this machine nor a known host: "
                            + e.getMessage());
        }
    }

    /** The process group; the caller holds a reference. Blocks until all ranks are there. */
    ProcessGroupGloo group(Store store, int rank, int size, Duration timeout) {
        try (PointerScope scope = new PointerScope()) {
            Device device =
                    isInterface
                            ? ProcessGroupGloo.createDeviceForInterface(name)
                            : ProcessGroupGloo.createDeviceForHostname(name);
            ProcessGroupGloo.Options options =
                    ProcessGroupGloo.Options.create(new Milliseconds(timeout.toMillis()));
            options.devices().push_back(device);
            ProcessGroupGloo group = new ProcessGroupGloo(store, rank, size, options);
            group.retainReference();
            return group;
        }
    }
}
