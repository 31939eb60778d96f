package main

import (
	"fmt"
	"net"
	"os"

	"github.com/vishvananda/netlink"
	"narthex.dev/conformance/bed/runner"
)

// Addresses of the bed. 198.18.0.0/15 is set aside for tests (RFC 2544); nothing of it is routed anywhere.
const (
	hostAddress  = "198.18.0.1"
	podNetwork   = "198.18.0.1/16"
	serviceRange = "198.19.0.0/16"
	// gatewayRange is bindable as a whole, as a local route: no address is added per Gateway.
	gatewayRange = "198.18.200.0/21"
	apiPort      = 26443
)

// layNetwork makes the bridge that the Pods hang on, and makes the addresses of Gateways local.
func layNetwork() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = runner.Bridge
	// A fixed address: without it the bridge takes that of the first Pod, and changes it when the Pod goes.
	attrs.HardwareAddr = net.HardwareAddr{0x02, 0, 198, 18, 0, 1}
	bridge := &netlink.Bridge{LinkAttrs: attrs}
	if err := netlink.LinkAdd(bridge); err != nil {
		return fmt.Errorf("bridge: %w", err)
	}
	address, err := netlink.ParseAddr(podNetwork)
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(bridge, address); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(bridge); err != nil {
		return err
	}
	_, gateways, err := net.ParseCIDR(gatewayRange)
	if err != nil {
		return err
	}
	// Pods on this network may listen on port 80 without being root, as in a network of their own.
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", []byte("0"), 0o644); err != nil {
		return err
	}
	return netlink.RouteAdd(&netlink.Route{
		LinkIndex: lo.Attrs().Index,
		Dst:       gateways,
		Table:     255, // local
		Type:      2,   // RTN_LOCAL
		Scope:     netlink.SCOPE_HOST,
	})
}
