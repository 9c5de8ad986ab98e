package gears

import (
	"github.com/myriad-fleet/myriad/internal/hub/ledger"
	"github.com/myriad-fleet/myriad/internal/hub/order"
	"github.com/myriad-fleet/myriad/internal/placement"
)

// room of a cell, counted when a guest first asks for some: in most passes nobody does.
type room struct {
	open    func() (counted *ledger.Books, release func(), err error)
	counted *ledger.Books
	release func()
	err     error
}

// problem says why a guest cannot take a demand in its zones; empty: it can.
func (r *room) problem(booking order.Booking, demand []placement.Demand) string {
	if !r.ready() {
		return r.err.Error()
	}
	return r.counted.GrowthProblem(booking, demand)
}

// grow books what problem finds none with.
func (r *room) grow(booking order.Booking, demand []placement.Demand) (problem string) {
	if !r.ready() {
		return r.err.Error()
	}
	return r.counted.Grow(booking, demand)
}

func (r *room) ready() bool {
	if r.counted == nil && r.err == nil {
		r.counted, r.release, r.err = r.open()
	}
	return r.err == nil
}

// close lets others give room away again.
func (r *room) close() {
	if r.release != nil {
		r.release()
	}
}
