package kubernetes_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
)

const (
	// deadline of every wait. Most take less than a second; a loaded machine takes longer.
	deadline = 40 * time.Second
	poll     = 20 * time.Millisecond
)

var (
	sequence   atomic.Int64
	volumeSize = resource.MustParse("1Gi")
)

// fixture is a cell of its own in the cluster, with its agent's runtime.
type fixture struct {
	*testing.T
	api  client.Client
	cell objects.Cell
	log  *syncBuffer
	*kubernetes.Runtime
}

func newFixture(t *testing.T, change ...func(*kubernetes.Options)) *fixture {
	t.Helper()
	f := &fixture{
		T: t, api: cluster.nodes.api, log: &syncBuffer{},
		cell: objects.Cell{Name: fmt.Sprintf("cell-%d", sequence.Add(1)), VolumeSize: volumeSize},
	}
	f.Runtime, _ = f.start(change...)
	f.awaitLease()
	return f
}

// start an agent's runtime; it is stopped with the test, or by stop.
func (f *fixture) start(change ...func(*kubernetes.Options)) (r *kubernetes.Runtime, stop func()) {
	f.Helper()
	options := kubernetes.Options{
		Config: cluster.config, Cell: f.cell, Slots: 4, Identity: "test", Clock: clock.RealClock{},
		Log: slog.New(slog.NewTextHandler(f.log, nil)),
	}
	for _, c := range change {
		c(&options)
	}
	r, err := kubernetes.New(options)
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			f.Errorf("the runtime ended with: %v", err)
		}
	})
	f.Cleanup(func() {
		stop()
		if f.Failed() {
			f.Logf("log:\n%s", f.log)
		}
	})
	f.eventually("read the cell", func() error { _, err := r.List(f.Context()); return err })
	return r, stop
}

func newID() string {
	random := make([]byte, 8)
	if _, err := rand.Read(random); err != nil {
		panic(err)
	}
	return "g" + hex.EncodeToString(random)[:9]
}

func orderOf(availability v1alpha1.Availability) v1alpha1.ControlPlaneSpec {
	size := v1alpha1.ComponentSize{CPU: resource.MustParse("100m"), Memory: resource.MustParse("256Mi")}
	return v1alpha1.ControlPlaneSpec{
		ID: newID(), Region: "cn-hangzhou", Version: "v1.36.3", EtcdVersion: "v3.6.16",
		Availability: availability, Zones: []string{"a", "b", "c"},
		Network:  v1alpha1.ClusterNetwork{PodCIDR: "10.244.0.0/16", ServiceCIDR: "10.100.0.0/16"},
		Endpoint: v1alpha1.GuestEndpoint{ServerName: "g.guests.test", Port: 6443, PlainPort: 20001},
		Size: v1alpha1.ControlPlaneSize{
			Etcd: size, APIServer: size, ControllerManager: size, Scheduler: size,
		},
		RenderRevision: controlplane.LatestRevision(), Epoch: 1,
	}
}

// manifest reserves addresses for an order and renders it. Secrets are filled in with their own names.
func (f *fixture) manifest(order v1alpha1.ControlPlaneSpec, change ...func(*controlplane.Input)) controlplane.Manifest {
	f.Helper()
	var names []string
	for _, instance := range controlplane.Instances(&order, controlplane.Guest) {
		names = append(names, instance.Name)
	}
	hosts, err := f.Reserve(f.Context(), order.ID, names)
	if err != nil {
		f.Fatal(err)
	}
	in := controlplane.Input{Order: order, Profile: controlplane.Guest, Hosts: hosts, AnyAddress: true}
	for _, c := range change {
		c(&in)
	}
	m, err := controlplane.Render(in)
	if err != nil {
		f.Fatal(err)
	}
	m, err = m.Resolve(func(component, from string) ([]byte, error) { return []byte(component + " " + from), nil })
	if err != nil {
		f.Fatal(err)
	}
	return m
}

func (f *fixture) apply(m controlplane.Manifest) {
	f.Helper()
	if err := f.Apply(f.Context(), m); err != nil {
		f.Fatal(err)
	}
}

// create a guest and wait until it is ready.
func (f *fixture) create(availability v1alpha1.Availability) (v1alpha1.ControlPlaneSpec, controlplane.Manifest) {
	f.Helper()
	order := orderOf(availability)
	m := f.manifest(order)
	f.apply(m)
	f.awaitReady(order.ID)
	return order, m
}

func (f *fixture) awaitReady(id string) {
	f.Helper()
	f.await(id, "every component is ready", func(o runtime.Observation) bool {
		for _, c := range o.Components {
			if !c.Ready || c.State != runtime.Running {
				return false
			}
		}
		return len(o.Components) > 0
	})
}

// awaitComponent waits until a component is as it should be.
func (f *fixture) awaitComponent(id, name, what string, is func(runtime.Component) bool) {
	f.Helper()
	f.await(id, name+" "+what, func(o runtime.Observation) bool {
		c, ok := o.Component(name)
		return ok && is(c)
	})
}

func (f *fixture) await(id, what string, is func(runtime.Observation) bool) {
	f.Helper()
	f.eventually(what, func() error {
		o, err := f.Observe(f.Context(), id)
		if err != nil {
			return err
		}
		if !is(o) {
			return fmt.Errorf("the guest is %s", describe(o))
		}
		return nil
	})
}

func describe(o runtime.Observation) string {
	lines := []string{fmt.Sprintf("exists=%t", o.Exists)}
	for _, c := range o.Components {
		lines = append(lines, fmt.Sprintf("%s %s ready=%t restarts=%d %q %q", c.Name, c.State, c.Ready, c.Restarts, c.LastExit, c.Message))
	}
	return strings.Join(lines, "\n  ")
}

// eventually checks until it succeeds.
func (f *fixture) eventually(what string, check func() error) {
	f.Helper()
	timeout := time.After(deadline)
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-timeout:
			f.Fatalf("%s: not within %s: %v", what, deadline, err)
		case <-ticker.C:
		}
	}
}

// pods of a component, by what it is named.
func (f *fixture) pods(id, component string) []corev1.Pod {
	f.Helper()
	var list corev1.PodList
	err := f.api.List(f.Context(), &list, client.InNamespace(objects.NamespaceName(id)), client.MatchingLabels{objects.LabelComponent: component})
	if err != nil {
		f.Fatal(err)
	}
	return list.Items
}

// syncBuffer is a log that is read while it is written.
type syncBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// each calls do with the objects of a list.
func each(list client.ObjectList, do func(client.Object)) {
	_ = meta.EachListItem(list, func(o apiruntime.Object) error {
		if object, ok := o.(client.Object); ok {
			do(object)
		}
		return nil
	})
}
