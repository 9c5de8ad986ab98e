package guest

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/agent/bootstrap"
	"github.com/myriad-fleet/myriad/internal/agent/etcd"
	"github.com/myriad-fleet/myriad/internal/controlplane"
)

const (
	// grace is how long a guest that served must look worse before that is reported: a probe that
	// failed once is no news.
	grace = 2 * time.Second
	// awayGrace is the same for when the runtime cannot be asked: a supervisor that is being restarted
	// is away for seconds, and its guests live on.
	awayGrace = 30 * time.Second
	// bootstrapTimeout bounds one try of a bootstrap. kube-controller-manager may wait for its slot.
	bootstrapTimeout = 5 * time.Minute
	// bootstrapRetry is the pause between two tries.
	bootstrapRetry = 5 * time.Second
)

// bootstrap has the inside of the guest set up as soon as one API server answers, apart from the
// worker: it takes seconds. A guest that an older agent set up gets what has come since.
func (r *Reconciler) bootstrap(ctx context.Context, s *scope) outcome {
	s.facts.Bootstrapped = r.Bootstrap.Done(s.id)
	address := s.readyAPIServer()
	if r.Bootstrap.Current(s.id) || s.identity == nil || address == "" || frozen(s.facts.Order) || s.record.bootstrap.goesOn() {
		return outcome{}
	}
	run, cancel := context.WithTimeout(ctx, bootstrapTimeout)
	under := &background{cancel: cancel, done: make(chan struct{})}
	s.record.bootstrap = under
	guest := bootstrap.Guest{ID: s.id, Address: address, Identity: s.identity}
	r.running.Go(func() {
		defer cancel()
		err := r.Bootstrap.Run(run, guest)
		close(under.done)
		switch {
		case err == nil:
			r.queue.Add(guest.ID)
		case !errors.Is(run.Err(), context.Canceled):
			r.Log.Error("a guest could not be bootstrapped; it is tried again", "guest", guest.ID, "error", err)
			r.queue.AddAfter(guest.ID, bootstrapRetry)
		}
	})
	return outcome{}
}

// keep has the guest's etcd kept.
func (r *Reconciler) keep(_ context.Context, s *scope) outcome {
	if s.facts.Bootstrapped && s.identity != nil && s.record.applied != "" {
		r.Etcd.Keep(etcd.Guest{
			Order: s.facts.Order, Hosts: s.record.hosts, Identity: s.identity,
			Observation: s.facts.Observation, Starts: s.record.starts,
		})
	}
	return outcome{}
}

// background is work for a guest that goes on while its worker does others.
type background struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// goesOn tells whether the work has not ended.
func (b *background) goesOn() bool {
	if b == nil {
		return false
	}
	select {
	case <-b.done:
		return false
	default:
		return true
	}
}

// stop ends the work and waits until it has.
func (b *background) stop() {
	if b != nil {
		b.cancel()
		<-b.done
	}
}

// seal has the identity sealed for the hub to keep.
func (r *Reconciler) seal(_ context.Context, s *scope) outcome {
	if s.identity == nil || s.facts.Order.EscrowRecipient == "" {
		return outcome{}
	}
	escrow, err := r.Identities.Escrow(s.id, s.identity, s.facts.Order.EscrowRecipient)
	if err != nil {
		s.facts.Notice = &Problem{Reason: v1alpha1.ReasonInvalidOrder, Message: err.Error()}
		return outcome{err: err}
	}
	s.escrow = escrow
	return outcome{}
}

// report tells the hub how the guest is, if the hub has an order for it.
func (r *Reconciler) report(_ context.Context, s *scope) outcome {
	if s.hub == nil {
		return outcome{}
	}
	if s.record.conditions == nil {
		s.record.conditions = slices.Clone(s.hub.Status.Conditions)
	}
	s.facts.Served = served(s.record.conditions, s.facts.Bootstrapped)
	ready := Ready(s.facts)
	if wait := r.hold(s, ready); wait > 0 {
		s.after = wait
		return outcome{}
	}
	conditions := []metav1.Condition{ready, Progressing(s.facts, ready)}
	if order := s.facts.Order; order != nil && frozen(order) {
		conditions = append(conditions, metav1.Condition{
			Type: v1alpha1.ConditionFrozen, Status: metav1.ConditionTrue,
			Reason: v1alpha1.ReasonFrozen, Message: frozenMessage(order),
		})
	}
	known := r.Etcd.Report(s.id)
	if known.Condition == nil {
		known.Condition = meta.FindStatusCondition(s.record.conditions, v1alpha1.ConditionEtcdHealthy) // told before this agent was
	}
	if known.Condition != nil {
		conditions = append(conditions, *known.Condition)
	}
	s.record.conditions = stamp(conditions, s.record.conditions, r.Clock.Now())
	status := s.status(known.Status)
	if load := r.Load.Load(s.id); load != nil {
		status.Load = load
	}
	r.Hub.Report(s.id, status)
	return outcome{}
}

// hold returns for how long bad news of a guest that served is still to be kept back. That the runtime was away says
// nothing of the guest: its absence does not count for what it tells once it is back, unless that had begun before.
func (r *Reconciler) hold(s *scope, ready metav1.Condition) time.Duration {
	bad := ready.Reason == v1alpha1.ReasonUnavailable || ready.Reason == v1alpha1.ReasonDegraded ||
		ready.Reason == v1alpha1.ReasonComponentsFailed || ready.Reason == v1alpha1.ReasonApplyFailed
	last := meta.FindStatusCondition(s.record.conditions, v1alpha1.ConditionReady)
	if !bad || last == nil || last.Reason != v1alpha1.ReasonReady {
		s.record.worseSince, s.record.awaySince = time.Time{}, time.Time{}
		return 0
	}
	since, allowed := &s.record.worseSince, grace
	if ready.Reason == v1alpha1.ReasonApplyFailed {
		since, allowed = &s.record.awaySince, awayGrace
	}
	now := r.Clock.Now()
	if since.IsZero() {
		*since = now
	}
	return since.Add(allowed).Sub(now)
}

// status is the whole report. What could not be found out this time stays as the hub has it: the
// gateways route by it.
func (s *scope) status(members *v1alpha1.EtcdStatus) v1alpha1.ControlPlaneStatus {
	status := *s.hub.Status.DeepCopy()
	status.Conditions, status.ObservedGeneration = s.record.conditions, s.hub.Generation
	if s.escrow != "" {
		status.Escrow = s.escrow
	}
	if s.identity != nil {
		status.CABundle = string(s.identity[string(controlplane.ClusterCA)+".crt"])
	}
	if s.record.hosts != nil {
		status.Endpoints = s.endpoints()
	}
	if s.facts.Observation.Exists {
		status.Components = s.components()
	}
	if members != nil {
		status.Etcd = members
	}
	if s.facts.Problem == nil && serves(s.facts) {
		status.Version = s.facts.Order.Version
	}
	return status
}

func (s *scope) endpoints() []v1alpha1.Endpoint {
	var list []v1alpha1.Endpoint
	for _, instance := range s.facts.Instances {
		if host := s.record.hosts[instance.Name]; instance.Kind == controlplane.APIServer && host != "" {
			list = append(list, v1alpha1.Endpoint{Zone: instance.Zone, Address: host, Port: controlplane.APIServerPort})
		}
	}
	return list
}

func (s *scope) components() []v1alpha1.ComponentStatus {
	var list []v1alpha1.ComponentStatus
	for _, c := range s.facts.Observation.Components {
		list = append(list, v1alpha1.ComponentStatus{Name: c.Name, Ready: c.Ready, Restarts: c.Restarts, LastExit: c.LastExit, Message: c.Message})
	}
	return list
}

// readyAPIServer is the address of an API server that answers; empty for none.
func (s *scope) readyAPIServer() string {
	for _, instance := range s.facts.Instances {
		c, ok := s.facts.Observation.Component(instance.Name)
		if host := s.record.hosts[instance.Name]; ok && c.Ready && instance.Kind == controlplane.APIServer && host != "" {
			return net.JoinHostPort(host, strconv.Itoa(controlplane.APIServerPort))
		}
	}
	return ""
}

// served tells whether the guest was ever ready. Bootstrapped stands in when nothing was reported yet.
func served(reported []metav1.Condition, bootstrapped bool) bool {
	ready := meta.FindStatusCondition(reported, v1alpha1.ConditionReady)
	if ready == nil {
		return bootstrapped
	}
	switch ready.Reason {
	case v1alpha1.ReasonReady, v1alpha1.ReasonDegraded, v1alpha1.ReasonUnavailable:
		return true
	case v1alpha1.ReasonStarting, v1alpha1.ReasonWaitingForSlot:
		return false
	default:
		return bootstrapped
	}
}

// stamp gives each condition the time since which it has its status.
func stamp(conditions, last []metav1.Condition, now time.Time) []metav1.Condition {
	for i := range conditions {
		conditions[i].LastTransitionTime = metav1.NewTime(now).Rfc3339Copy()
		known := meta.FindStatusCondition(last, conditions[i].Type)
		if known != nil && known.Status == conditions[i].Status {
			conditions[i].LastTransitionTime = known.LastTransitionTime
		}
	}
	return conditions
}
