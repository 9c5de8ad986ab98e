package policy

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// Enforcer keeps the table as the cell's policies say.
type Enforcer struct {
	log      *slog.Logger
	changes  chan struct{}
	list     func() (State, error)
	synced   []cache.InformerSynced
	enforced string
}

// NewEnforcer makes an enforcer that works from the informers, which the caller starts.
func NewEnforcer(factory informers.SharedInformerFactory, log *slog.Logger) (*Enforcer, error) {
	e := &Enforcer{log: log, changes: make(chan struct{}, 1)}
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
		}
	}
}

// enforce replaces the table when it must change. One that nft refuses is a bug of Render: failing
// shows it, and the old table stays.
func (e *Enforcer) enforce(ctx context.Context) error {
	state, err := e.list()
	if err != nil {
		return fmt.Errorf("list what the rules depend on: %w", err)
	}
	text := Render(state)
	if text == e.enforced {
		return nil
	}
	command := exec.CommandContext(ctx, "nft", "-f", "-")
	command.Stdin = strings.NewReader(text)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Run(); err != nil {
		return fmt.Errorf("enforce network policies: nft: %w: %s", err, output.String())
	}
	e.enforced = text
	e.log.Debug("network policies enforced", "pods", len(state.Pods), "policies", len(state.Policies))
	return nil
}
