package local

import "net/netip"

// A home's 127.N.0.0/16: the first /20 is the hub's and the gateways', each cell has one of the
// other fifteen, a block of which its process runtime gives to each guest.
const (
	cellBits = 20
	maxCells = 1<<(cellBits-16) - 1

	hubPort     = 6443
	metricsPort = 8080 // of the hub's controllers
	gatewayPort = 6443
)

type hubAddresses struct{ etcd, apiServer, controllerManager, controllers netip.Addr }

func hubHosts(network netip.Prefix) hubAddresses {
	return hubAddresses{
		etcd:              at(network, 0, 2),
		apiServer:         at(network, 0, 3),
		controllerManager: at(network, 0, 4),
		controllers:       at(network, 0, 5),
	}
}

// gatewayHost is the address that a region's gateways share; regions count from 0.
func gatewayHost(network netip.Prefix, region int) netip.Addr { return at(network, 1, byte(region+1)) }

// cellNetwork is a cell's /20; cells count from 0.
func cellNetwork(network netip.Prefix, cell int) netip.Prefix {
	return netip.PrefixFrom(at(network, byte(16*(cell+1)), 0), cellBits)
}

func at(network netip.Prefix, third, fourth byte) netip.Addr {
	octets := network.Addr().As4()
	return netip.AddrFrom4([4]byte{octets[0], octets[1], third, fourth})
}
