package agent_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/agent"
	"github.com/myriad-fleet/myriad/internal/pki"
	"github.com/myriad-fleet/myriad/test/apiserver"
)

const (
	// deadline of every wait. The agent answers within a second; a loaded machine takes longer.
	deadline = 30 * time.Second
	poll     = 20 * time.Millisecond
)

var sequence atomic.Int64

// fixture is a cell of its own: its namespace and its agent's rights in the hub, the agent's
// directory, a line to the hub that can be cut, and a fake runtime.
type fixture struct {
	t       *testing.T
	api     client.Client // as an operator
	name    string        // of the cell
	cell    *v1alpha1.Cell
	dir     string
	line    *line
	runtime *fakeRuntime
	clock   clock.WithTicker
	log     *syncBuffer
	leaves  time.Duration
	stop    func() // of the agent; nil for not running
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{
		t: t, name: fmt.Sprintf("c%d", sequence.Add(1)), dir: t.TempDir(), runtime: newFakeRuntime(),
		clock: clock.RealClock{}, log: &syncBuffer{}, api: operator(t),
	}
	f.cell = &v1alpha1.Cell{
		ObjectMeta: metav1.ObjectMeta{Name: f.name},
		Spec:       v1alpha1.CellSpec{Region: "cn-hangzhou", Zones: []string{"a", "b", "c"}, CredentialGeneration: 1},
	}
	f.create(f.cell)
	f.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: f.namespace()}})
	f.grant(v1alpha1.AgentUser(f.name, 1))
	hub, err := url.Parse(server.config.Host)
	if err != nil {
		t.Fatal(err)
	}
	f.line = newLine(t, hub.Host)
	f.join(30 * time.Minute)
	return f
}

func operator(t *testing.T) client.Client {
	t.Helper()
	config, err := apiserver.WithCertificate(server.config, server.authority, "operator", "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	api, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return api
}

func (f *fixture) namespace() string { return v1alpha1.CellNamespace(f.name) }

// grant the rights of an agent, as the hub's cell controller does, to that user alone.
func (f *fixture) grant(user string) {
	f.t.Helper()
	fleet := v1alpha1.GroupVersion.Group
	role := metav1.ObjectMeta{Namespace: f.namespace(), Name: "agent"}
	own := metav1.ObjectMeta{Name: "myriad:" + f.namespace()}
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}}
	rule := func(group, resource string, verbs ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: verbs}
	}
	for _, object := range []client.Object{
		&rbacv1.Role{ObjectMeta: role, Rules: []rbacv1.PolicyRule{
			rule(fleet, "controlplanes", "get", "list", "watch"),
			rule(fleet, "controlplanes/status", "get", "update", "patch"),
			rule(fleet, "clustercredentials", "get", "list", "watch"),
			rule(fleet, "clustercredentials/status", "get", "update", "patch"),
			rule("coordination.k8s.io", "leases", "get", "create", "update"),
			rule("", "configmaps", "get"),
		}},
		&rbacv1.RoleBinding{ObjectMeta: role, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "agent"}, Subjects: subjects},
		&rbacv1.ClusterRole{ObjectMeta: own, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{fleet}, Resources: []string{"cells"}, ResourceNames: []string{f.name}, Verbs: []string{"get", "list", "watch"}},
			{APIGroups: []string{fleet}, Resources: []string{"cells/status"}, ResourceNames: []string{f.name}, Verbs: []string{"get", "update", "patch"}},
		}},
		&rbacv1.ClusterRoleBinding{ObjectMeta: own, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: own.Name}, Subjects: subjects},
	} {
		if err := f.api.Create(f.t.Context(), object); client.IgnoreAlreadyExists(err) != nil {
			f.t.Fatal(err)
		}
	}
}

// join gives the agent a certificate of the cell's generation and a kubeconfig, as 'myriad up' does.
func (f *fixture) join(lifetime time.Duration) {
	f.t.Helper()
	user := v1alpha1.AgentUser(f.name, f.cell.Spec.CredentialGeneration)
	certificate, key, err := server.authority.Issue(pki.Leaf{CommonName: user, Client: true, Lifetime: lifetime}, time.Now())
	if err != nil {
		f.t.Fatal(err)
	}
	kubeconfig, err := pki.Kubeconfig{
		Name: f.name, Server: "https://" + f.line.address, CA: server.config.CAData, CertificateFile: "client.crt", KeyFile: "client.key",
	}.Marshal()
	if err != nil {
		f.t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(f.dir, "hub"), 0o700); err != nil {
		f.t.Fatal(err)
	}
	for name, content := range map[string][]byte{"client.crt": certificate, "client.key": key, "kubeconfig": kubeconfig} {
		if err := os.WriteFile(filepath.Join(f.dir, "hub", name), content, 0o600); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *fixture) options() agent.Options {
	return agent.Options{
		Cell: f.name, Dir: f.dir, Kubeconfig: filepath.Join(f.dir, "hub", "kubeconfig"), Runtime: f.runtime, Version: "v0.0.1",
		Versions: func() ([]string, error) { return []string{"v1.36.3"}, nil }, LeafLifetime: f.leaves, Clock: f.clock,
		Log: slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

// start the agent; it is stopped with the test, or by halt.
func (f *fixture) start() {
	f.t.Helper()
	f.run(f.options())
}

// run an agent that differs from the usual one by its options.
func (f *fixture) run(options agent.Options) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- agent.Run(ctx, options) }()
	f.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			f.t.Errorf("the agent ended with: %v", err)
		}
	})
	f.t.Cleanup(func() {
		f.stop()
		if f.t.Failed() {
			f.t.Logf("the agent's log:\n%s", f.log)
		}
	})
}

// order writes an order for a new guest, whose inside is taken to have been set up.
func (f *fixture) order(change ...func(*v1alpha1.ControlPlane)) *v1alpha1.ControlPlane {
	f.t.Helper()
	random := make([]byte, 8)
	if _, err := rand.Read(random); err != nil {
		f.t.Fatal(err)
	}
	id := "g" + hex.EncodeToString(random)[:9]
	order := &v1alpha1.ControlPlane{
		ObjectMeta: metav1.ObjectMeta{Name: id, Namespace: f.namespace(), Finalizers: []string{v1alpha1.Finalizer}},
		Spec: v1alpha1.ControlPlaneSpec{
			ID: id, Region: "cn-hangzhou", Version: "v1.36.3", EtcdVersion: "v3.6.16",
			Cluster: v1alpha1.ClusterReference{Namespace: "team-a", Name: "hello", Spec: v1alpha1.ClusterSpec{
				Region: "cn-hangzhou", Template: "standard", Availability: v1alpha1.Zonal,
			}},
			Availability: v1alpha1.Zonal, Zones: []string{"a", "b", "c"},
			Network:        v1alpha1.ClusterNetwork{PodCIDR: "10.244.0.0/16", ServiceCIDR: "10.96.0.0/16"},
			Endpoint:       v1alpha1.GuestEndpoint{ServerName: id + ".guests.test", Address: "127.9.0.1", Port: 6443, PlainPort: 20001},
			RenderRevision: 1, Epoch: 1,
		},
	}
	for _, c := range change {
		c(order)
	}
	note := filepath.Join(f.dir, "bootstrapped", id)
	if err := os.MkdirAll(filepath.Dir(note), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(note, nil, 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.create(order)
	return order
}

func (f *fixture) create(object client.Object) {
	f.t.Helper()
	if err := f.api.Create(f.t.Context(), object); err != nil {
		f.t.Fatalf("create %T %s: %v", object, object.GetName(), err)
	}
}

// update reads an object, changes it, and writes it back.
func (f *fixture) update(object client.Object, change func()) {
	f.t.Helper()
	f.eventually("update "+object.GetName(), func() error {
		if err := f.api.Get(f.t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		change()
		return f.api.Update(f.t.Context(), object)
	})
}

// vanish removes an order as a hub that was restored from a backup does: without any tombstone.
func (f *fixture) vanish(order *v1alpha1.ControlPlane) {
	f.t.Helper()
	f.update(order, func() { order.Finalizers = nil })
	if err := f.api.Delete(f.t.Context(), order); client.IgnoreNotFound(err) != nil {
		f.t.Fatal(err)
	}
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

// awaitCondition waits until an order has a condition, and reads the order.
func (f *fixture) awaitCondition(order *v1alpha1.ControlPlane, kind string, status metav1.ConditionStatus, reason string) {
	f.t.Helper()
	f.eventually(fmt.Sprintf("condition %s=%s %s", kind, status, reason), func() error {
		if err := f.api.Get(f.t.Context(), client.ObjectKeyFromObject(order), order); err != nil {
			return err
		}
		got := meta.FindStatusCondition(order.Status.Conditions, kind)
		if got == nil || got.Status != status || got.Reason != reason {
			return fmt.Errorf("conditions are %+v", order.Status.Conditions)
		}
		return nil
	})
}

func (f *fixture) awaitReady(order *v1alpha1.ControlPlane) {
	f.t.Helper()
	f.awaitCondition(order, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

// awaitCell waits until the status of the Cell is as it should be.
func (f *fixture) awaitCell(what string, is func(v1alpha1.CellStatus) bool) {
	f.t.Helper()
	f.eventually(what, func() error {
		if err := f.api.Get(f.t.Context(), client.ObjectKeyFromObject(f.cell), f.cell); err != nil {
			return err
		}
		if !is(f.cell.Status) {
			return fmt.Errorf("the Cell's status is %+v", f.cell.Status)
		}
		return nil
	})
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
