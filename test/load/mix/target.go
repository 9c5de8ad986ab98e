package mix

import (
	"fmt"
	"net/netip"
	"syscall"
)

// targets are the addresses that a load may go to.
type targets []netip.Prefix

// loopback is where the guests of a local fleet are.
var loopback = targets{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// check says why an address, host and port, is no target.
func (t targets) check(address string) error {
	parsed, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("read the address of a target: %w", err)
	}
	host := parsed.Addr().Unmap()
	for _, prefix := range t {
		if prefix.Contains(host) {
			return nil
		}
	}
	return fmt.Errorf("%s is no target for a load: it has to be a loopback address, or one in a network that you allow with Options.Allow or --allow, such as that of a lab", host)
}

// control refuses a connection just before it is made, when names are addresses already.
func (t targets) control(_, address string, _ syscall.RawConn) error { return t.check(address) }
