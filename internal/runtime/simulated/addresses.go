package simulated

import (
	"context"
	"encoding/binary"
	"net/netip"
)

// Reserve returns the address of each named instance of a guest: the same answer every time. Addresses are computed
// and not kept: unique local ones of IPv6 (RFC 4193), fd00::/8, whose network is a hash of the cell and whose
// last 64 bits one of the seed, the guest and the instance. Among 100,000 of a cell two are the same once in four billion
// fleets.
func (r *Runtime) Reserve(_ context.Context, id string, names []string) (map[string]string, error) {
	hosts := make(map[string]string, len(names))
	for _, name := range names {
		hosts[name] = r.address(id, name).String()
	}
	return hosts, nil
}

func (r *Runtime) address(id, name string) netip.Addr {
	var address [16]byte
	binary.BigEndian.PutUint64(address[:], chance(word(r.options.Cell), ofAddress))
	address[0], address[6], address[7] = 0xfd, 0, 0
	binary.BigEndian.PutUint64(address[8:], chance(r.seed, word(id), word(name), ofAddress))
	return netip.AddrFrom16(address)
}
