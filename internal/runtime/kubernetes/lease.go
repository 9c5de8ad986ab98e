package kubernetes

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
)

const (
	// leasePrefix and the cell's name make the Lease's name.
	leasePrefix = "agent-"
	// leaseDuration, leaseRenewal and leaseRetry are client-go's own defaults: an agent that is gone is
	// followed after 15 s, and one that cannot renew stops writing after 10 s.
	leaseDuration = 15 * time.Second
	leaseRenewal  = 10 * time.Second
	leaseRetry    = 2 * time.Second
)

// lease is the right to write in a cell: one agent at a time has it.
type lease struct {
	runtime *Runtime
	lock    *resourcelock.LeaseLock

	mu     sync.Mutex
	held   heldLease
	holder string // who has it, as far as known
	cause  error  // why it cannot be had; nil for nothing known
}

func newLease(r *Runtime) (*lease, error) {
	identity := r.Identity
	if identity == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, err
		}
		identity = host + "_" + rand.Text()[:8]
	}
	coordinated, err := coordination.NewForConfig(r.Config)
	if err != nil {
		return nil, err
	}
	return &lease{runtime: r, lock: &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: objects.SystemNamespace, Name: leasePrefix + r.Cell.Name},
		Client:     coordinated,
		LockConfig: resourcelock.ResourceLockConfig{Identity: identity},
	}}, nil
}

// run competes for the Lease until the context ends.
func (l *lease) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := l.prepare(ctx); err != nil {
			l.note(heldLease{}, err)
		} else if elector, err := l.elector(); err != nil {
			l.note(heldLease{}, err)
		} else {
			elector.Run(ctx)
		}
		select {
		case <-ctx.Done():
		case <-l.runtime.Clock.After(leaseRetry):
		}
	}
}

// prepare makes the namespace that the Lease lies in.
func (l *lease) prepare(ctx context.Context) error {
	name := objects.SystemNamespace
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{objects.LabelManagedBy: objects.ManagedBy, "pod-security.kubernetes.io/enforce": "restricted"},
	}}
	err := l.runtime.client.Create(ctx, namespace, owner)
	if err == nil || apierrors.IsAlreadyExists(err) {
		return nil
	}
	if _, got := l.lock.Client.Leases(name).Get(ctx, l.lock.LeaseMeta.Name, metav1.GetOptions{}); got == nil {
		return nil // whoever set the cell up has made it, and we need no right to
	}
	return fmt.Errorf("make namespace %s: %w", name, err)
}

// heldLease is a time in which this agent has the right to write.
type heldLease struct {
	ctx context.Context // ends with it; nil while another agent has the right
}

func (h heldLease) holds() bool { return h.ctx != nil && h.ctx.Err() == nil }

func (l *lease) elector() (*leaderelection.LeaderElector, error) {
	return leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: l.lock, Name: l.lock.LeaseMeta.Name, ReleaseOnCancel: true,
		LeaseDuration: leaseDuration, RenewDeadline: leaseRenewal, RetryPeriod: leaseRetry,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(held context.Context) {
				l.note(heldLease{held}, nil)
				l.runtime.Log.Info("this agent has the cell", "cell", l.runtime.Cell.Name)
				l.runtime.enqueueAll()
			},
			OnStoppedLeading: func() {
				l.note(heldLease{}, nil)
				l.runtime.Log.Warn("this agent does not have the cell any more and writes nothing", "cell", l.runtime.Cell.Name)
			},
			OnNewLeader: func(holder string) {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.holder = holder
			},
		},
	})
}

func (l *lease) note(held heldLease, cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held, l.cause = held, cause
}

// err is nil while this agent may write.
func (l *lease) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := objects.SystemNamespace + "/" + l.lock.LeaseMeta.Name
	switch {
	case l.held.holds():
		return nil
	case l.cause != nil:
		return l.runtime.wrap("Lease "+name+" cannot be had", l.cause)
	case l.holder != "" && l.holder != l.lock.LockConfig.Identity:
		return fmt.Errorf("kubernetes runtime: cell %s: agent %q holds Lease %s: there is one agent per cell; stop the other one, or this one",
			l.runtime.Cell.Name, l.holder, name)
	}
	return fmt.Errorf("kubernetes runtime: cell %s: Lease %s is not held yet: it is tried again", l.runtime.Cell.Name, name)
}

// writing is a context that ends with the right to write, and has ended where that is gone: it may go between
// the question for it and this one.
func (l *lease) writing(ctx context.Context) context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held.ctx != nil {
		return l.held.ctx
	}
	ended, end := context.WithCancel(ctx)
	end()
	return ended
}
