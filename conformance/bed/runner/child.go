package runner

import (
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	core "k8s.io/api/core/v1"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"
)

// ChildCommand is the word by which the bed starts itself again, in the namespaces of a Pod.
const ChildCommand = "in-pod"

// childSpec is what the child is told, on its third file, once its network is plugged in.
type childSpec struct {
	Root    string
	Args    []string
	Env     []string
	Address string // empty: the host's network
	Gateway string
	UID     int
	GID     int
}

// spec says what the program of a container gets.
func (p *pod) spec(container core.Container) (childSpec, error) {
	env, err := p.environment(container)
	if err != nil {
		return childSpec{}, err
	}
	spec := childSpec{Root: p.root(), Args: []string{programInRoot}, Env: env}
	for _, word := range container.Args {
		spec.Args = append(spec.Args, expanded(word, env))
	}
	if !p.object.Spec.HostNetwork {
		spec.Address, spec.Gateway = p.address+"/32", p.runner.Host
	}
	for _, id := range []struct {
		from *int64
		to   *int
	}{
		{securityOf(p.object, container, func(c *core.SecurityContext) *int64 { return c.RunAsUser },
			func(s *core.PodSecurityContext) *int64 { return s.RunAsUser }), &spec.UID},
		{securityOf(p.object, container, func(c *core.SecurityContext) *int64 { return c.RunAsGroup },
			func(s *core.PodSecurityContext) *int64 { return s.RunAsGroup }), &spec.GID},
	} {
		if id.from != nil {
			*id.to = int(*id.from)
		}
	}
	return spec, nil
}

// securityOf takes a setting from the container, or from the Pod.
func securityOf(object *core.Pod, container core.Container, own func(*core.SecurityContext) *int64, all func(*core.PodSecurityContext) *int64) *int64 {
	if container.SecurityContext != nil && own(container.SecurityContext) != nil {
		return own(container.SecurityContext)
	}
	if object.Spec.SecurityContext != nil {
		return all(object.Spec.SecurityContext)
	}
	return nil
}

func (p *pod) environment(container core.Container) ([]string, error) {
	env := []string{
		"PATH=/usr/bin:/bin",
		"HOSTNAME=" + p.object.Name,
		// There is no kube-proxy, so the API server's real address.
		"KUBERNETES_SERVICE_HOST=" + p.runner.Host,
		"KUBERNETES_SERVICE_PORT=" + strconv.Itoa(p.runner.APIPort),
	}
	for _, variable := range container.Env {
		value := variable.Value
		if from := variable.ValueFrom; from != nil {
			if from.FieldRef == nil {
				return nil, fmt.Errorf("env %s: only fieldRef is supported", variable.Name)
			}
			var known bool
			if value, known = p.field(from.FieldRef.FieldPath); !known {
				return nil, fmt.Errorf("env %s: field %s is not supported", variable.Name, from.FieldRef.FieldPath)
			}
		}
		env = append(env, variable.Name+"="+expanded(value, env))
	}
	return env, nil
}

// expanded puts variables in the place of $(NAME).
func expanded(text string, env []string) string {
	return expansion.Expand(text, func(name string) string {
		for _, variable := range env {
			if value, found := strings.CutPrefix(variable, name+"="); found {
				return value
			}
		}
		return "$(" + name + ")"
	})
}

// field is a field of the downward API.
func (p *pod) field(path string) (string, bool) {
	value, known := map[string]string{
		"metadata.name": p.object.Name, "metadata.namespace": p.object.Namespace, "metadata.uid": string(p.object.UID),
		"status.podIP": p.address, "status.hostIP": p.runner.Host, "spec.nodeName": p.object.Spec.NodeName,
		"spec.serviceAccountName": p.object.Spec.ServiceAccountName,
	}[path]
	return value, known
}

func (p *pod) link() string { return fmt.Sprintf("pod%d", p.number) }

// plugIn makes the pair of links between the bridge and the child's network namespace.
func (p *pod) plugIn(pid int) error {
	bridge, err := netlink.LinkByName(Bridge)
	if err != nil {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MasterIndex = p.link(), bridge.Attrs().Index
	address := net.ParseIP(p.address).To4()
	pair := &netlink.Veth{
		LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsPid(pid),
		// Fixed, so that an address that is used again does not answer under an old entry of a neighbour's table.
		PeerHardwareAddr: append(net.HardwareAddr{0x02, 1}, address...),
	}
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("links: %w", err)
	}
	if err := netlink.NeighSet(p.neighbour(bridge)); err != nil {
		return fmt.Errorf("neighbour: %w", err)
	}
	return netlink.LinkSetUp(pair)
}

// neighbour is the host's entry for the Pod. Permanent ones don't count: the kernel has one table of 1,024 for all
// namespaces of a machine, and hundreds of Pods that find each other by asking fill it.
func (p *pod) neighbour(bridge netlink.Link) *netlink.Neigh {
	address := net.ParseIP(p.address).To4()
	return &netlink.Neigh{
		LinkIndex: bridge.Attrs().Index, State: netlink.NUD_PERMANENT, IP: address,
		HardwareAddr: append(net.HardwareAddr{0x02, 1}, address...),
	}
}

// unplug removes the links at once: the kernel takes its time with the namespaces of the dead.
func (p *pod) unplug() {
	if link, err := netlink.LinkByName(p.link()); err == nil {
		_ = netlink.LinkDel(link)
	}
	if bridge, err := netlink.LinkByName(Bridge); err == nil && !p.object.Spec.HostNetwork {
		_ = netlink.NeighDel(p.neighbour(bridge))
	}
}

// BecomePod turns this process into the program of a Pod. It does not return.
func BecomePod() {
	log.SetFlags(0)
	log.SetPrefix("bed: ")
	var spec childSpec
	file := os.NewFile(3, "spec")
	if err := json.NewDecoder(file).Decode(&spec); err != nil {
		log.Fatalf("no spec: %v", err)
	}
	file.Close()
	if err := spec.enter(); err != nil {
		log.Fatal(err)
	}
	log.Fatalf("exec: %v", syscall.Exec(spec.Args[0], spec.Args, spec.Env))
}

func (s *childSpec) enter() error {
	if s.Address != "" {
		if err := s.network(); err != nil {
			return fmt.Errorf("network: %w", err)
		}
	}
	// Mounts of the Pod stay in its mount namespace.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mounts: %w", err)
	}
	if err := syscall.Mount("proc", filepath.Join(s.Root, "proc"), "proc", 0, ""); err != nil {
		return fmt.Errorf("/proc: %w", err)
	}
	if err := syscall.Mount("/dev", filepath.Join(s.Root, "dev"), "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("/dev: %w", err)
	}
	if err := syscall.Chroot(s.Root); err != nil {
		return fmt.Errorf("chroot: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if s.GID != 0 || s.UID != 0 {
		if err := syscall.Setgroups([]int{s.GID}); err != nil {
			return fmt.Errorf("groups: %w", err)
		}
		if err := syscall.Setgid(s.GID); err != nil {
			return fmt.Errorf("group: %w", err)
		}
		if err := syscall.Setuid(s.UID); err != nil {
			return fmt.Errorf("user: %w", err)
		}
	}
	return nil
}

func (s *childSpec) network() error {
	for _, name := range []string{"lo", "eth0"} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if name == "eth0" {
			address, err := netlink.ParseAddr(s.Address)
			if err != nil {
				return err
			}
			if err := netlink.AddrAdd(link, address); err != nil {
				return err
			}
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return err
		}
	}
	if err := s.routes(); err != nil {
		return err
	}
	// As container runtimes have it: a program that is not root may listen on port 80.
	return os.WriteFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", []byte("0"), 0o644)
}

// routes lead everything over the host, which knows where the Pods are: see neighbour.
func (s *childSpec) routes() error {
	link, err := netlink.LinkByName("eth0")
	if err != nil {
		return err
	}
	index, gateway := link.Attrs().Index, net.ParseIP(s.Gateway).To4()
	only := &net.IPNet{IP: gateway, Mask: net.CIDRMask(32, 32)}
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: index, Dst: only, Scope: netlink.SCOPE_LINK}); err != nil {
		return err
	}
	host := &netlink.Neigh{LinkIndex: index, State: netlink.NUD_PERMANENT, IP: gateway, HardwareAddr: BridgeHardware}
	if err := netlink.NeighSet(host); err != nil {
		return err
	}
	return netlink.RouteAdd(&netlink.Route{Gw: gateway})
}
