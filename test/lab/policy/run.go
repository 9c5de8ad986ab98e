package policy

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os/exec"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// Enforcer keeps the table as the cell's policies say.
type Enforcer struct {
	log      *slog.Logger
	changes  chan struct{}
	arrivals chan arrival
	list     func() (State, error)
	load     func(ctx context.Context, text string) error
	synced   []cache.InformerSynced

	// The rest is the loop's own.
	enforced  string
	addresses map[string]netip.Addr // of pods whose status does not tell them yet
	waiting   []arrival
}

// arrival is a pod that gets its address now and waits for its rules.
type arrival struct {
	pod     string // namespace/name
	address netip.Addr
	done    chan<- error
}

// NewEnforcer makes an enforcer that works from the informers, which the caller starts.
func NewEnforcer(factory informers.SharedInformerFactory, log *slog.Logger) (*Enforcer, error) {
	e := &Enforcer{
		log: log, changes: make(chan struct{}, 1), arrivals: make(chan arrival),
		addresses: map[string]netip.Addr{}, load: load,
	}
	pods, namespaces := factory.Core().V1().Pods(), factory.Core().V1().Namespaces()
	policies := factory.Networking().V1().NetworkPolicies()
	for _, informer := range []cache.SharedIndexInformer{pods.Informer(), namespaces.Informer(), policies.Informer()} {
		registration, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { e.changed() },
			UpdateFunc: func(any, any) { e.changed() },
			DeleteFunc: func(any) { e.changed() },
		})
		if err != nil {
			return nil, fmt.Errorf("watch what the rules depend on: %w", err)
		}
		e.synced = append(e.synced, registration.HasSynced)
	}
	e.list = func() (State, error) {
		var state State
		var err error
		if state.Pods, err = pods.Lister().List(labels.Everything()); err != nil {
			return state, err
		}
		if state.Namespaces, err = namespaces.Lister().List(labels.Everything()); err != nil {
			return state, err
		}
		state.Policies, err = policies.Lister().List(labels.Everything())
		return state, err
	}
	return e, nil
}

func (e *Enforcer) changed() {
	select {
	case e.changes <- struct{}{}:
	default: // one is waiting already
	}
}

// Run enforces until ctx is done. The rules stay in force after that.
func (e *Enforcer) Run(ctx context.Context) error {
	if !cache.WaitForCacheSync(ctx.Done(), e.synced...) {
		return ctx.Err()
	}
	for {
		if err := e.enforce(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-e.changes:
		case a := <-e.arrivals:
			e.addresses[a.pod] = a.address
			e.waiting = append(e.waiting, a)
		}
	}
}

// arrive returns when the rules know a pod by its new address. The API tells of the address only when
// the pod has run for a second: until then nobody would let it in.
func (e *Enforcer) arrive(ctx context.Context, pod string, address netip.Addr) error {
	done := make(chan error, 1)
	select {
	case e.arrivals <- arrival{pod, address, done}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("pod %s is not known yet: %w", pod, ctx.Err())
	}
}

// enforce replaces the table when it must change. One that nft refuses is a bug of Render: failing
// shows it, and the old table stays.
func (e *Enforcer) enforce(ctx context.Context) error {
	state, err := e.list()
	if err != nil {
		return fmt.Errorf("list what the rules depend on: %w", err)
	}
	known := map[string]*corev1.Pod{}
	for _, pod := range state.Pods {
		known[pod.Namespace+"/"+pod.Name] = pod
	}
	e.forget(known)
	state.Addresses = e.addresses
	if text := Render(state); text != e.enforced {
		if err := e.load(ctx, text); err != nil {
			return err
		}
		e.enforced = text
	}
	e.admit(known)
	return nil
}

// forget the addresses that the pods' status tells by now, and those of pods that are gone.
func (e *Enforcer) forget(known map[string]*corev1.Pod) {
	for name, address := range e.addresses {
		pod := known[name]
		if pod != nil && pod.Status.PodIP == address.String() || pod == nil && !e.awaited(name) {
			delete(e.addresses, name)
		}
	}
}

func (e *Enforcer) awaited(pod string) bool {
	for _, a := range e.waiting {
		if a.pod == pod {
			return true
		}
	}
	return false
}

// admit lets go on who waits for rules that are in force now.
func (e *Enforcer) admit(known map[string]*corev1.Pod) {
	var still []arrival
	for _, a := range e.waiting {
		if known[a.pod] == nil {
			still = append(still, a)
			continue
		}
		a.done <- nil
	}
	e.waiting = still
}

// load has nft replace the table.
func load(ctx context.Context, text string) error {
	command := exec.CommandContext(ctx, "nft", "-f", "-")
	command.Stdin = strings.NewReader(text)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Run(); err != nil {
		return fmt.Errorf("enforce network policies: nft: %w: %s", err, output.String())
	}
	return nil
}
