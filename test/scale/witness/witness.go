// Package witness watches a fleet while it is made, moved and removed, and says at once when it breaks a promise:
//
//   - no Cluster is lost: one that was created and not deleted is there, and once it is bound so is its order;
//   - none is placed twice: it has one id and one live order, in one cell;
//   - no reserve is broken, before or after the loss of any zone, counted anew from the orders alone;
//   - every Cluster that is not Ready says why.
//
// It is told what a watch tells, in the order of the watch, and has no client and no clock.
package witness

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

const (
	// patience with what follows by itself within moments: an order after its bind, a reason after a creation.
	// Two watches are not in step with each other, and a hub that was killed is followed within 15 s.
	patience = 3 * time.Minute
	// mostOfAKind are kept in full.
	mostOfAKind = 20
)

// Times of one Cluster; zero for what has not happened.
type Times struct {
	// Asked is when its creation was sent, Bound and Ready when that was first seen.
	Asked, Bound, Ready time.Time
	// ID of the guest.
	ID string
}

// Counts of the fleet's Clusters.
type Counts struct {
	// Created and not gone yet, Bound and Ready now.
	Created, Bound, Ready int
	// Gone after they were deleted.
	Gone int
	// Shifts of an order to another size so far.
	Shifts int
	// Problems that were found so far.
	Problems int
}

// Witness of one fleet. It may be told things by several goroutines.
type Witness struct {
	mu       sync.Mutex
	clusters map[types.NamespacedName]*cluster
	orders   map[string]map[string]*order // by id and cell
	cells    map[string]*cell
	counts   Counts
	problems []string
	kinds    map[string]int // problems by their format
	said     map[string]bool
}

type cluster struct {
	Times
	created, deleting, gone bool
	exists, ready           bool
	cell                    string
	silentSince             time.Time // since when it is not Ready and says nothing; zero: it does
}

// New witness of a fleet with these cells.
func New(cells []Capacity) *Witness {
	w := &Witness{
		clusters: map[types.NamespacedName]*cluster{}, orders: map[string]map[string]*order{}, cells: map[string]*cell{}, said: map[string]bool{}, kinds: map[string]int{},
	}
	for _, capacity := range cells {
		w.cells[capacity.Cell] = newCell(capacity)
	}
	return w
}

// Asked notes that a Cluster is about to be created.
func (w *Witness) Asked(key types.NamespacedName, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cluster(key).Asked = now
}

// Created notes that the API server has acknowledged a Cluster.
func (w *Witness) Created(key types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.cluster(key)
	if !c.created {
		c.created = true
		w.counts.Created++
	}
}

// Deleted notes that a Cluster is about to be deleted.
func (w *Witness) Deleted(key types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cluster(key).deleting = true
}

func (w *Witness) cluster(key types.NamespacedName) *cluster {
	if w.clusters[key] == nil {
		w.clusters[key] = &cluster{}
	}
	return w.clusters[key]
}

// Cluster is told what a watch shows.
func (w *Witness) Cluster(object *v1alpha1.Cluster, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.clusters[types.NamespacedName{Namespace: object.Namespace, Name: object.Name}]
	if c == nil {
		return // not of this fleet
	}
	c.exists = true
	w.bound(c, object, now)
	condition := meta.FindStatusCondition(object.Status.Conditions, v1alpha1.ConditionReady)
	ready := condition != nil && condition.Status == metav1.ConditionTrue
	if ready && c.Ready.IsZero() {
		c.Ready = now
	}
	if ready != c.ready {
		c.ready = ready
		w.counts.Ready += map[bool]int{true: 1, false: -1}[ready]
	}
	switch silent := condition == nil || !ready && condition.Reason == ""; {
	case !silent:
		c.silentSince = time.Time{}
	case c.silentSince.IsZero():
		c.silentSince = now
	}
}

func (w *Witness) bound(c *cluster, object *v1alpha1.Cluster, now time.Time) {
	id, cell := object.Labels[v1alpha1.LabelID], object.Labels[v1alpha1.LabelCell]
	switch {
	case id == "" && c.ID != "":
		w.reportf("Cluster %s/%s lost its bind to guest %s", object.Namespace, object.Name, c.ID)
	case id == "":
	case c.ID == "":
		c.ID, c.cell, c.Bound = id, cell, now
		w.counts.Bound++
	case id != c.ID || cell != c.cell:
		w.reportf("Cluster %s/%s was guest %s in cell %s and is guest %s in cell %s", object.Namespace, object.Name, c.ID, c.cell, id, cell)
	}
}

// ClusterGone is told when a watch shows that a Cluster is no more.
func (w *Witness) ClusterGone(key types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.clusters[key]
	if c == nil || c.gone {
		return
	}
	if !c.deleting {
		w.reportf("Cluster %s is lost: nobody deleted it", key)
	}
	if c.ready {
		w.counts.Ready--
	}
	if c.ID != "" {
		w.counts.Bound--
	}
	c.gone, c.exists, c.ready = true, false, false
	w.counts.Created--
	w.counts.Gone++
}

// Look for what must not last: call it now and then.
func (w *Witness) Look(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, c := range w.clusters {
		if c.gone || !c.created {
			continue
		}
		if !c.silentSince.IsZero() && now.Sub(c.silentSince) > patience {
			w.reportf("Cluster %s is not Ready and has not said why for %s", key, patience)
		}
		if !c.exists && now.Sub(c.Asked) > patience {
			w.reportf("Cluster %s was created and has not been seen for %s", key, patience)
		}
		if c.ID != "" && !c.deleting && now.Sub(c.Bound) > patience && w.orders[c.ID][c.cell] == nil {
			w.reportf("Cluster %s is bound to guest %s in cell %s, which has no order", key, c.ID, c.cell)
		}
	}
}

// reportf notes a problem, once.
func (w *Witness) reportf(format string, arguments ...any) {
	text := fmt.Sprintf(format, arguments...)
	if w.said[text] {
		return
	}
	w.said[text] = true
	w.counts.Problems++
	if w.kinds[format]++; w.kinds[format] <= mostOfAKind {
		w.problems = append(w.problems, text)
	}
}

// Problems that were found: the first of each kind in full, then how many there are of the kinds that have more.
func (w *Witness) Problems() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	problems := slices.Clone(w.problems)
	for _, kind := range slices.Sorted(maps.Keys(w.kinds)) {
		if count := w.kinds[kind]; count > mostOfAKind {
			problems = append(problems, fmt.Sprintf("%d in all: %s", count, kind))
		}
	}
	return problems
}

// Counts of now.
func (w *Witness) Counts() Counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts
}

// Orders that are there now.
func (w *Witness) Orders() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	count := 0
	for _, copies := range w.orders {
		count += len(copies)
	}
	return count
}

// Times of every Cluster that was created.
func (w *Witness) Times() []Times {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []Times
	for _, c := range w.clusters {
		if c.created {
			all = append(all, c.Times)
		}
	}
	return all
}
