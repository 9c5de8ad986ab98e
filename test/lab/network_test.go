package lab

import (
	"strings"
	"testing"
)

func TestTakenBy(t *testing.T) {
	for _, test := range []struct {
		name, reason string
		route        route
		taken        bool
	}{
		{"default", "everybody has one", route{"default", "eth0"}, false},
		{"elsewhere", "no address in common", route{"192.0.2.0/24", "eth0"}, false},
		{"ours", "an up before this one made it", route{"10.250.0.0/16", hostLink}, false},
		{"the same", "services would go there", route{"10.250.0.0/16", "tun0"}, true},
		{"wider", "a VPN that takes all of 10/8", route{"10.0.0.0/8", "tun0"}, true},
		{"narrower", "some pods would be unreachable", route{"10.251.3.0/24", "docker0"}, true},
		{"one address", "it has no prefix length", route{"10.252.0.11", "tun0"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := takenBy([]route{test.route})
			if (err != nil) != test.taken {
				t.Fatalf("%s: %v", test.reason, err)
			}
			if err != nil && !strings.Contains(err.Error(), test.route.Device) {
				t.Errorf("the error does not name the link: %v", err)
			}
		})
	}
}

func TestAddressesAreApart(t *testing.T) {
	seen := map[string]bool{HostAddress.String(): true}
	for _, address := range labAddresses() {
		if seen[address.String()] || !NodeNetwork.Contains(address) {
			t.Errorf("address %s is given twice, or outside of %s", address, NodeNetwork)
		}
		seen[address.String()] = true
	}
	for _, zone := range Zones() {
		network := podNetwork(zone)
		if seen[network.String()] || !PodNetwork.Contains(network.Addr()) {
			t.Errorf("pod network %s is given twice, or outside of %s", network, PodNetwork)
		}
		seen[network.String()] = true
	}
	if !ServiceNetwork.Contains(dnsAddress) {
		t.Errorf("CoreDNS has %s, outside of %s", dnsAddress, ServiceNetwork)
	}
}
