package gears

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"time"
)

// longestQuiet is how long a guest goes without a look at most.
const longestQuiet = 10 * time.Minute

// quiet are the guests of each cell of which there was nothing to say when they were last looked at. Of 250 guests one
// has news at a time: to decide for all of them each time was half of what a hub of 10,000 idle guests took.
type quiet struct {
	mu    sync.Mutex
	cells map[string]map[string]calm // by the guest's id
}

// calm is what a guest was when there was nothing to say of it, and until when that holds if it stays so.
type calm struct {
	seen  string
	until time.Time
}

func newQuiet() *quiet { return &quiet{cells: map[string]map[string]calm{}} }

// of a cell, as last kept.
func (q *quiet) of(cell string) map[string]calm {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.cells[cell]
}

// keep what a pass has found, in place of what the one before did.
func (q *quiet) keep(cell string, found map[string]calm) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(found) == 0 {
		delete(q.cells, cell)
		return
	}
	q.cells[cell] = found
}

// decideAll for the guests that have news, or whose time has come. What depends on room, or on the tenant's other
// guests, is looked at each time.
func (r *reconciler) decideAll(p *pass, busy func(*guest) string) {
	before, found := r.quiet.of(p.cell.Name), map[string]calm{}
	rules := ""
	if len(p.guests) > 0 {
		rules = p.rules()
	}
	for _, g := range p.guests {
		seen := rules + "/" + g.order.ResourceVersion + "/" + g.cluster.ResourceVersion
		if last, ok := before[g.order.Name]; ok && last.seen == seen && p.now.Before(last.until) && !g.stale {
			found[g.order.Name] = last
			p.lookAgain(last.until.Sub(p.now))
			continue
		}
		others := p.again
		p.again, p.depends = 0, false
		p.decide(g, func() string { p.depends = true; return busy(g) })
		if g.change == nil && g.blocked == "" && !p.depends && !g.stale {
			until := longestQuiet
			if p.again > 0 {
				until = min(until, p.again)
			}
			found[g.order.Name] = calm{seen: seen, until: p.now.Add(until)}
		}
		p.lookAgain(others)
	}
	r.quiet.keep(p.cell.Name, found)
}

// rules tells passes apart that decide by other rules: those of the Gearbox, the templates and the cell.
func (p *pass) rules() string {
	sum := fnv.New64a()
	_ = json.NewEncoder(sum).Encode(p.box.Spec()) // a hash takes everything
	for _, name := range slices.Sorted(maps.Keys(p.templates)) {
		fmt.Fprint(sum, "/", name, p.templates[name].UID, p.templates[name].ResourceVersion)
	}
	fmt.Fprint(sum, "/", p.cell.UID, p.cell.Generation, p.frozen())
	return fmt.Sprintf("%x", sum.Sum64())
}
