package gatewaytest

import "sync"

// gate that goroutines wait at while it is shut.
type gate struct {
	mutex sync.Mutex
	way   chan struct{} // closed while the gate is open
}

func newGate() *gate {
	way := make(chan struct{})
	close(way)
	return &gate{way: way}
}

// pass once the gate is open.
func (g *gate) pass() {
	g.mutex.Lock()
	way := g.way
	g.mutex.Unlock()
	<-way
}

// shut the gate.
func (g *gate) shut() {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	select {
	case <-g.way:
		g.way = make(chan struct{})
	default:
	}
}

// open the gate.
func (g *gate) open() {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	select {
	case <-g.way:
	default:
		close(g.way)
	}
}
