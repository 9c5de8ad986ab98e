package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// The lab's networks, all of them unlikely to be in use on a test machine.
var (
	// ServiceNetwork holds the ClusterIPs. The host reaches them.
	ServiceNetwork = netip.MustParsePrefix("10.250.0.0/16")
	// PodNetwork holds a /24 for each zone. The host reaches the pods.
	PodNetwork = netip.MustParsePrefix("10.251.0.0/16")
	// NodeNetwork is the link between the host, HostAddress, and the lab's nodes and control plane.
	NodeNetwork = netip.MustParsePrefix("10.252.0.0/24")
	// HostAddress is where connections come from that the host makes to pods and services.
	HostAddress = netip.MustParseAddr("10.252.0.1")
)

// Addresses at the lab's end of the link, one for each program that listens.
var (
	gatewayAddress           = netip.MustParseAddr("10.252.0.2") // the host's way to pods and services
	etcdAddress              = netip.MustParseAddr("10.252.0.5")
	apiServerAddress         = netip.MustParseAddr("10.252.0.6")
	controllerManagerAddress = netip.MustParseAddr("10.252.0.7")
	schedulerAddress         = netip.MustParseAddr("10.252.0.8")
	dnsAddress               = netip.MustParseAddr("10.250.0.10") // ClusterIP
)

const (
	hostLink     = "myriad-lab0" // the host's end of the link; 15 characters at most
	labLink      = "lab0"
	namespaceDir = "/run/netns"
)

// nodeAddress of a zone's node: 10.252.0.11, .12 and .13.
func nodeAddress(zone string) netip.Addr {
	address := NodeNetwork.Addr().As4()
	address[3] = byte(11 + slices.Index(Zones(), zone))
	return netip.AddrFrom4(address)
}

// podNetwork of a zone's node: 10.251.1.0/24 and the two after it.
func podNetwork(zone string) netip.Prefix {
	address := PodNetwork.Addr().As4()
	address[2] = byte(1 + slices.Index(Zones(), zone))
	return netip.PrefixFrom(netip.AddrFrom4(address), 24)
}

// labAddresses are all addresses at the lab's end of the link. The first is the one that connections
// from the lab come from.
func labAddresses() []netip.Addr {
	addresses := []netip.Addr{gatewayAddress, etcdAddress, apiServerAddress, controllerManagerAddress, schedulerAddress}
	for _, zone := range Zones() {
		addresses = append(addresses, nodeAddress(zone))
	}
	return addresses
}

func namespaceFile() string { return filepath.Join(namespaceDir, name) }

// hostCommands are for `ip -batch` on the host, once namespace and link exist. Each can be repeated.
func hostCommands() []string {
	return []string{
		fmt.Sprintf("address replace %s/%d dev %s", HostAddress, NodeNetwork.Bits(), hostLink),
		fmt.Sprintf("link set dev %s up", hostLink),
		fmt.Sprintf("route replace %s via %s dev %s", ServiceNetwork, gatewayAddress, hostLink),
		fmt.Sprintf("route replace %s via %s dev %s", PodNetwork, gatewayAddress, hostLink),
	}
}

// labCommands are for `ip -batch` in the namespace. The host is its way to everywhere else.
func labCommands() []string {
	commands := []string{"link set dev lo up"}
	for _, address := range labAddresses() {
		commands = append(commands, fmt.Sprintf("address replace %s/%d dev %s", address, NodeNetwork.Bits(), labLink))
	}
	return append(commands,
		fmt.Sprintf("link set dev %s up", labLink),
		fmt.Sprintf("route replace default via %s dev %s", HostAddress, labLink))
}

// connect makes the network namespace and the link into it, or what is missing of them.
func connect(ctx context.Context) error {
	if err := checkRoutes(ctx); err != nil {
		return err
	}
	if err := makeNamespace(ctx); err != nil {
		return err
	}
	if _, err := net.InterfaceByName(hostLink); err != nil {
		if err := ip(ctx, nil, "link", "add", hostLink, "type", "veth", "peer", "name", labLink, "netns", name); err != nil {
			return err
		}
	}
	if err := ip(ctx, labCommands(), "-netns", name, "-batch", "-"); err != nil {
		return err
	}
	return ip(ctx, hostCommands(), "-batch", "-")
}

// disconnect takes away what connect made. The namespace itself lives until its last process ends.
func disconnect(ctx context.Context) error {
	var problems []error
	if _, err := net.InterfaceByName(hostLink); err == nil {
		problems = append(problems, ip(ctx, nil, "link", "delete", hostLink))
	}
	return errors.Join(append(problems, removeNamespace())...)
}

// makeNamespace makes the network namespace, where `ip netns` finds it. That command itself would also
// mount /run/netns on itself, for good.
func makeNamespace(ctx context.Context) error {
	if isNamespace() {
		return nil
	}
	if err := writeFile(namespaceFile(), nil, 0o444); err != nil {
		return err
	}
	if output, err := exec.CommandContext(ctx, "unshare", "--net="+namespaceFile(), "true").CombinedOutput(); err != nil {
		return fmt.Errorf("make network namespace %s: %w: %s", name, err, output)
	}
	return nil
}

// isNamespace says whether the namespace's file is one: an interrupted up leaves an empty file.
func isNamespace() bool {
	var file unix.Statfs_t
	return unix.Statfs(namespaceFile(), &file) == nil && file.Type == unix.NSFS_MAGIC
}

func removeNamespace() error {
	for isNamespace() {
		if err := unix.Unmount(namespaceFile(), unix.MNT_DETACH); err != nil {
			return fmt.Errorf("remove network namespace %s: %w", name, err)
		}
	}
	if err := os.Remove(namespaceFile()); ignoreGone(err) != nil {
		return fmt.Errorf("remove network namespace %s: %w", name, err)
	}
	_ = os.Remove(namespaceDir) // unless there are others
	return nil
}

// route as `ip -json route` shows it.
type route struct {
	Destination string `json:"dst"`
	Device      string `json:"dev"`
}

func hostRoutes(ctx context.Context) ([]route, error) {
	output, err := exec.CommandContext(ctx, "ip", "-4", "-json", "route", "show").Output()
	if err != nil {
		return nil, fmt.Errorf("list the host's routes: %w", err)
	}
	var routes []route
	if err := json.Unmarshal(output, &routes); err != nil {
		return nil, fmt.Errorf("list the host's routes: %w", err)
	}
	return routes, nil
}

// checkRoutes refuses to take a network that leads somewhere already.
func checkRoutes(ctx context.Context) error {
	routes, err := hostRoutes(ctx)
	if err != nil {
		return err
	}
	return takenBy(routes)
}

// takenBy is an error when a route leads to one of the lab's networks by another link than its own.
func takenBy(routes []route) error {
	for _, r := range routes {
		taken, err := netip.ParsePrefix(r.Destination)
		if err != nil {
			if address, addressErr := netip.ParseAddr(r.Destination); addressErr == nil {
				taken = netip.PrefixFrom(address, address.BitLen())
			}
		}
		if !taken.IsValid() || taken.Bits() == 0 || r.Device == hostLink { // "default" is no conflict
			continue
		}
		for _, wanted := range []netip.Prefix{ServiceNetwork, PodNetwork, NodeNetwork} {
			if wanted.Overlaps(taken) {
				return fmt.Errorf("network %s is taken: this machine has a route to %s by %s; the lab has fixed networks, so that route must go first", wanted, taken, r.Device)
			}
		}
	}
	return nil
}

// ip runs the command of that name with the lines as its standard input. What it says is part of the
// error.
func ip(ctx context.Context, lines []string, arguments ...string) error {
	command := exec.CommandContext(ctx, "ip", arguments...)
	command.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command.Args, " "), err, strings.TrimSpace(output.String()))
	}
	return nil
}
