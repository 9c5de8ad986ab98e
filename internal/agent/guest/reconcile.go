package guest

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/agent/certificates"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/pki"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// record is what the agent remembers of a guest between two looks at it. Losing it costs nothing but
// work that is done again.
type record struct {
	hosts      map[string]string  // by instance: what Reserve answered
	applied    string             // hash of the manifest that the runtime took last
	starts     starts             // of that manifest
	standing   *standing          // what the last look at all of it found; nil: it must be looked at again
	conditions []metav1.Condition // as last reported
	worseSince time.Time          // since when a guest that served looks worse; zero: it does not
	awaySince  time.Time          // since when the runtime cannot say how such a guest is; zero: it can
	complaint  string             // the error that was logged last
	bootstrap  *background        // nil for none yet
}

// starts says, by instance, what a member of etcd does that finds its data directory empty.
type starts = map[string]controlplane.EtcdStart

// scope is one look at one guest.
type scope struct {
	id      string
	record  *record
	hub     *v1alpha1.ControlPlane // the hub's order; nil for none
	synced  bool                   // a missing order is known to be missing
	facts   Facts
	problem error // why not all steps were done

	identity pki.Identity
	starts   starts
	manifest controlplane.Manifest
	issued   certificates.Set
	stands   bool // nothing has changed: the manifest is not made again
	escrow   string
	after    time.Duration // until the next look; zero for lookAgain
}

// outcome of a step.
type outcome struct {
	stop    bool     // there is nothing left to do
	problem *Problem // no later step of the same list can be done
	err     error    // why; the guest is looked at again soon
}

type step struct {
	name string
	run  func(context.Context, *scope) outcome
}

// Reconcile looks at one guest and returns when to look again. Its steps are
//
//  1. accept:   take the hub's order to disk, unless it is older than the one there
//  2. bury:     remove a guest whose tombstone has been seen, and stop
//  3. observe:  ask the runtime how the guest is
//  4. identify: load the guest's identity, or make it for a guest that is new
//  5. reserve:  get the addresses of its components
//  6. render:   turn the order into a manifest, unless nothing that it follows from has changed
//  7. certify:  issue the certificates that the manifest asks for
//  8. apply:    hand the manifest to the runtime, if it differs from what that has
//
// and, whatever came of those,
//
//  9. bootstrap: have the inside of the guest set up once its API server answers
//  10. keep:     have its etcd kept from then on
//  11. seal:     seal the identity for the hub to keep
//  12. report:   tell the hub
func (r *Reconciler) Reconcile(ctx context.Context, id string) (time.Duration, error) {
	s := &scope{id: id, record: r.record(id)}
	act := []step{
		{"accept", r.accept},
		{"bury", r.bury},
		{"observe", r.observe},
		{"identify", r.identify},
		{"reserve", r.reserve},
		{"render", r.render},
		{"certify", r.certify},
		{"apply", r.apply},
	}
	tell := []step{{"bootstrap", r.bootstrap}, {"keep", r.keep}, {"seal", r.seal}, {"report", r.report}}
	for _, steps := range [][]step{act, tell} {
		for _, step := range steps {
			done := step.run(ctx, s)
			if ctx.Err() != nil {
				return 0, ctx.Err()
			}
			r.complain(s, step.name, done.err)
			if done.stop {
				return s.after, s.problem
			}
			if done.problem != nil {
				s.facts.Problem = done.problem
				break
			}
		}
	}
	if s.problem == nil {
		s.record.complaint = ""
	}
	return s.next(r.Clock.Now()), s.problem
}

// next is when to look again: at the latest after lookAgain, earlier for what falls due before.
func (s *scope) next(now time.Time) time.Duration {
	after := lookAgain
	if s.after > 0 {
		after = min(after, s.after)
	}
	if due := s.issued.RenewAt; !due.IsZero() {
		after = min(after, max(due.Sub(now), time.Second))
	}
	return after
}

// complain keeps the error of a step and logs it, once as long as it stays the same.
func (r *Reconciler) complain(s *scope, step string, err error) {
	if err == nil {
		return
	}
	s.problem = err
	if text := err.Error(); text != s.record.complaint {
		s.record.complaint = text
		r.Log.Error("a step for a guest failed; it is tried again", "guest", s.id, "step", step, "error", err)
	}
}

func (r *Reconciler) record(id string) *record {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok := r.records[id]
	if !ok {
		known = &record{}
		r.records[id] = known
	}
	return known
}

// forget drops what is remembered of a guest.
func (r *Reconciler) forget(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.records, id)
}

// names of the instances of an order.
func names(instances []controlplane.Instance) []string {
	list := make([]string, 0, len(instances))
	for _, instance := range instances {
		list = append(list, instance.Name)
	}
	return list
}

// lost tells whether the runtime does not hold the components that it was given.
func lost(observed runtime.Observation, given []string) bool {
	if !observed.Exists || len(observed.Components) != len(given) {
		return true
	}
	for _, name := range given {
		if _, ok := observed.Component(name); !ok {
			return true
		}
	}
	return false
}
