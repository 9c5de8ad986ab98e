// Package etcd_test tests what keeps guests' etcds against real members, run by the process runtime.
package etcd_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/agent/certificates"
	"github.com/myriad-fleet/myriad/internal/agent/etcd"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/distribution"
	"github.com/myriad-fleet/myriad/internal/pki"
	"github.com/myriad-fleet/myriad/internal/runtime"
	"github.com/myriad-fleet/myriad/internal/runtime/process"
	"github.com/myriad-fleet/myriad/internal/snapshot"
	"github.com/myriad-fleet/myriad/test/apiserver"
)

const (
	testID = "etcdkeeper"
	// deadline of every wait: a loaded machine takes its time.
	deadline = 2 * time.Minute
	poll     = 50 * time.Millisecond
)

// fixture is a guest that has only etcd members, a runtime that runs them, and the keeper. The tests are
// the guest's reconciler: they hand the keeper's word to the runtime.
type fixture struct {
	t        *testing.T
	client   *process.Client
	dir      string
	order    *v1alpha1.ControlPlaneSpec
	hosts    map[string]string
	identity pki.Identity
	recovery string // secret of the key that snapshots are sealed to
	store    string // directory of the snapshots
	keeper   *etcd.Keeper
	clock    clock.WithTicker
	log      *syncBuffer
	change   func(*controlplane.Component) // of each rendered member; nil for nothing
	mu       sync.Mutex                    // one reconciliation at a time
	booted   bool
}

// newFixture starts members in these zones, without a keeper.
func newFixture(t *testing.T, availability v1alpha1.Availability, change func(*controlplane.Component)) *fixture {
	t.Helper()
	secret, recipient, err := pki.NewRecoveryKey()
	if err != nil {
		t.Fatal(err)
	}
	identity, err := pki.NewIdentity(testID, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{
		t: t, dir: filepath.Join(t.TempDir(), "runtime"), identity: identity, recovery: secret, store: filepath.Join(t.TempDir(), "snapshots"),
		clock: clock.RealClock{}, log: &syncBuffer{}, change: change,
		order: &v1alpha1.ControlPlaneSpec{
			ID: testID, Region: "cn-hangzhou", Version: "v1.36.3", EtcdVersion: newestEtcd(t), Availability: availability,
			Zones: []string{"a", "b", "c"}, RenderRevision: controlplane.LatestRevision(), Epoch: 1, EscrowRecipient: recipient,
			Network:  v1alpha1.ClusterNetwork{PodCIDR: "10.244.0.0/16", ServiceCIDR: "10.96.0.0/16"},
			Endpoint: v1alpha1.GuestEndpoint{ServerName: "x.guests.test", Address: "127.9.0.1", Port: 6443, PlainPort: 20001},
		},
	}
	f.supervise()
	var names []string
	for _, instance := range controlplane.Instances(f.order, controlplane.Guest) {
		names = append(names, instance.Name)
	}
	f.eventually("the supervisor answers", func() error {
		hosts, err := f.client.Reserve(t.Context(), testID, names)
		f.hosts = hosts
		return err
	})
	f.reconcile()
	f.awaitReady()
	return f
}

func distro(t *testing.T) *distribution.Set {
	t.Helper()
	set, err := apiserver.Distribution()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func newestEtcd(t *testing.T) string {
	t.Helper()
	versions, err := distro(t).EtcdVersions()
	if err != nil || len(versions) == 0 {
		t.Fatalf("find etcd: run 'make distro', or set MYRIAD_DISTRO: %v", err)
	}
	return versions[len(versions)-1]
}

// supervise runs a supervisor until the test ends; the guest goes first.
func (f *fixture) supervise() {
	f.t.Helper()
	// Addresses of this process's own, so that two runs on one machine do not meet.
	network := netip.PrefixFrom(netip.AddrFrom4([4]byte{127, 120, byte(os.Getpid()), 0}), 24)
	supervisor, err := process.NewSupervisor(process.Options{
		Dir: f.dir, Network: network, Zones: f.order.Zones, Programs: distro(f.t), Log: slog.New(slog.NewTextHandler(f.log, nil)),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- supervisor.Run(ctx) }()
	f.client = process.NewClient(f.dir)
	f.t.Cleanup(func() {
		if err := f.client.Delete(context.Background(), testID); err != nil {
			f.t.Error(err)
		}
		cancel()
		if err := <-ended; err != nil {
			f.t.Error(err)
		}
		if f.t.Failed() {
			f.t.Logf("the log:\n%s", f.log)
		}
	})
}

// keep starts the keeper.
func (f *fixture) keep() {
	f.t.Helper()
	store, err := snapshot.Open("file://"+f.store, f.clock)
	if err != nil {
		f.t.Fatal(err)
	}
	f.keeper = etcd.New(etcd.Options{
		Runtime: f.client, Snapshots: store, Changed: func(string) { f.reconcile() }, Clock: f.clock,
		Log: slog.New(slog.NewTextHandler(f.log, nil)),
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.keeper.Run(ctx)
	}()
	events, err := f.client.Watch(ctx)
	if err != nil {
		f.t.Fatal(err)
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for range events {
			f.reconcile()
		}
	}()
	f.t.Cleanup(func() {
		cancel()
		<-ended
		<-watched
		if err := store.Close(); err != nil {
			f.t.Error(err)
		}
	})
	f.booted = true
	f.reconcile()
}

// reconcile hands the order to the runtime and the guest to the keeper, as guest.Reconciler does.
func (f *fixture) reconcile() {
	f.mu.Lock()
	defer f.mu.Unlock()
	var starts map[string]controlplane.EtcdStart
	if f.booted {
		starts = f.keeper.Starts(f.order)
	}
	manifest, err := f.manifest(starts)
	if err != nil {
		f.t.Error(err)
		return
	}
	ctx := context.Background()
	if err := f.client.Apply(ctx, manifest); err != nil {
		f.t.Error(err)
		return
	}
	observation, err := f.client.Observe(ctx, testID)
	if err != nil {
		f.t.Error(err)
		return
	}
	if f.booted {
		f.keeper.Keep(etcd.Guest{Order: f.order, Hosts: f.hosts, Identity: f.identity, Observation: observation, Starts: starts})
	}
}

func (f *fixture) manifest(starts map[string]controlplane.EtcdStart) (controlplane.Manifest, error) {
	manifest, err := controlplane.Render(controlplane.Input{Order: *f.order, Profile: controlplane.Guest, Hosts: f.hosts, EtcdStarts: starts})
	if err != nil {
		return manifest, err
	}
	manifest.Components = slices.DeleteFunc(manifest.Components, func(c controlplane.Component) bool { return c.Kind != controlplane.Etcd })
	for i := range manifest.Components {
		if f.change != nil {
			f.change(&manifest.Components[i])
		}
	}
	store := certificates.NewStore(filepath.Join(f.dir, "certificates"), 24*time.Hour, clock.RealClock{})
	set, err := store.Issue(manifest, f.identity)
	if err != nil {
		return manifest, err
	}
	return manifest.Resolve(func(component, from string) ([]byte, error) {
		if content, ok := set.Material(component, from); ok {
			return content, nil
		}
		return f.identity[from], nil
	})
}

// member is how the runtime says that a zone's member is.
func (f *fixture) member(zone string) runtime.Component {
	f.t.Helper()
	observation, err := f.client.Observe(f.t.Context(), testID)
	if err != nil {
		f.t.Fatal(err)
	}
	component, _ := observation.Component("etcd-" + zone) // not there yet is not ready
	return component
}

// hold exactly these drills.
func (f *fixture) hold(drills ...v1alpha1.Drill) {
	f.t.Helper()
	if err := f.client.Hold(f.t.Context(), drills); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) data(zone string) string {
	return filepath.Join(f.dir, "guests", testID, "etcd-"+zone, "data", "etcd")
}

func (f *fixture) awaitReady() {
	f.t.Helper()
	f.eventually("all members are ready", func() error {
		for _, instance := range controlplane.Instances(f.order, controlplane.Guest) {
			if instance.Kind != controlplane.Etcd {
				continue
			}
			if c := f.member(instance.Zone); !c.Ready {
				return fmt.Errorf("%+v", c)
			}
		}
		return nil
	})
}

// awaitHealth waits until EtcdHealthy has a reason, and returns what the message said.
func (f *fixture) awaitHealth(status metav1.ConditionStatus, reason string) string {
	f.t.Helper()
	var message string
	f.eventually(fmt.Sprintf("EtcdHealthy=%s %s", status, reason), func() error {
		report := f.keeper.Report(testID)
		if report.Condition == nil || report.Condition.Status != status || report.Condition.Reason != reason {
			return fmt.Errorf("it is %+v", report.Condition)
		}
		message = report.Condition.Message
		return nil
	})
	return message
}

// eventually checks until it succeeds.
func (f *fixture) eventually(what string, check func() error) {
	f.t.Helper()
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
			f.t.Fatalf("%s: not within %s: %v", what, deadline, err)
		case <-ticker.C:
		}
	}
}

// did tells whether the keeper took a step.
func (f *fixture) did(step string) bool { return strings.Contains(f.log.String(), "step="+step+" ") }

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
