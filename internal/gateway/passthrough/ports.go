package passthrough

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
)

// Ports opens and closes the plain ports of guests.
type Ports struct {
	server  *Server
	address netip.Addr
	log     *slog.Logger

	mutex   sync.Mutex
	open    map[uint16]plainPort
	failing map[uint16]string // the error of each port that cannot be opened
}

// plainPort that is open.
type plainPort struct {
	id       string
	listener *net.TCPListener
}

// NewPorts makes a set without any open port, on the address.
func NewPorts(server *Server, address netip.Addr, log *slog.Logger) *Ports {
	return &Ports{server: server, address: address, log: log, open: map[uint16]plainPort{}, failing: map[uint16]string{}}
}

// Sync opens and closes ports until they are the wanted ones, given by id. It reports whether all are
// open; call it again after a while if not. A port that cannot be opened concerns no other.
func (p *Ports) Sync(ctx context.Context, wanted map[uint16]string) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for number, port := range p.open {
		if wanted[number] != port.id {
			p.close(number)
		}
	}
	for number := range p.failing {
		if _, still := wanted[number]; !still {
			delete(p.failing, number)
		}
	}
	for _, number := range slices.Sorted(maps.Keys(wanted)) {
		if _, isOpen := p.open[number]; isOpen {
			continue
		}
		id := wanted[number]
		listener, err := Listen(ctx, netip.AddrPortFrom(p.address, number))
		if err != nil {
			if p.failing[number] != err.Error() {
				p.log.Error("plain port cannot be opened and will be retried; the guest is reached by its server name only",
					"id", id, "port", number, "error", err)
			}
			p.failing[number] = err.Error()
			continue
		}
		delete(p.failing, number)
		p.open[number] = plainPort{id: id, listener: listener}
		p.server.Serve(listener, id)
	}
	return len(p.failing) == 0
}

// Failing ports and why they cannot be opened.
func (p *Ports) Failing() map[uint16]string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return maps.Clone(p.failing)
}

// Close every port.
func (p *Ports) Close() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for number := range p.open {
		p.close(number)
	}
}

// close a port. Connections that came in by it go on. The mutex is held.
func (p *Ports) close(number uint16) {
	if err := p.open[number].listener.Close(); err != nil {
		p.log.Error("close a plain port", "port", number, "error", err)
	}
	delete(p.open, number)
}
