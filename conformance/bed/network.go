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
	// balancerRange likewise, for Services of type LoadBalancer.
	balancerRange = "198.18.208.0/21"
	apiPort       = 26443
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
	attrs.HardwareAddr = runner.BridgeHardware
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
	for _, setting := range []struct{ name, value string }{
		// Pods on this network may listen on port 80 without being root, as in a network of their own.
		{"ip_unprivileged_port_start", "0"},
		// Pods reach each other by way of the host, and are not told that there is a shorter one.
		{"ip_forward", "1"}, {"conf/all/send_redirects", "0"}, {"conf/" + runner.Bridge + "/send_redirects", "0"},
	} {
		if err := os.WriteFile("/proc/sys/net/ipv4/"+setting.name, []byte(setting.value), 0o644); err != nil {
			return err
		}
	}
	for _, addresses := range []string{gatewayRange, balancerRange} {
		if err := makeLocal(lo, addresses); err != nil {
			return fmt.Errorf("%s: %w", addresses, err)
		}
	}
	return nil
}

// makeLocal has a whole network belong to this host.
func makeLocal(lo netlink.Link, network string) error {
	_, addresses, err := net.ParseCIDR(network)
	if err != nil {
		return err
	}
	return netlink.RouteAdd(&netlink.Route{
		LinkIndex: lo.Attrs().Index,
		Dst:       addresses,
		Table:     255, // local
		Type:      2,   // RTN_LOCAL
		Scope:     netlink.SCOPE_HOST,
	})
}
