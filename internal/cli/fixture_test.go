package cli

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/local"
)

var update = flag.Bool("update", false, "write the golden files anew")

// epoch is when the tests' clock starts.
var epoch = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// steppingClock jumps over every wait, so that nothing sleeps, and calls onWait before: there a
// test plays the part of the hub and its agents.
type steppingClock struct {
	*clocktesting.FakeClock
	waits  int
	onWait func(wait int)
}

func (c *steppingClock) After(d time.Duration) <-chan time.Time {
	c.waits++
	if c.onWait != nil {
		c.onWait(c.waits)
	}
	c.Step(d)
	done := make(chan time.Time, 1)
	done <- c.Now()
	return done
}

// fixture runs commands against a fake hub.
type fixture struct {
	t       *testing.T
	hub     client.WithWatch
	clock   *steppingClock
	session *session
	out     bytes.Buffer
	err     bytes.Buffer
}

// newFixture has a home with a kubeconfig and a hub that holds the objects; intercept may break it.
func newFixture(t *testing.T, intercept interceptor.Funcs, objects ...client.Object) *fixture {
	t.Helper()
	scheme, err := newScheme()
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, clock: &steppingClock{FakeClock: clocktesting.NewFakeClock(epoch)}}
	f.hub = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&v1alpha1.Cluster{}, &v1alpha1.Cell{}, &v1alpha1.ControlPlane{}, &v1alpha1.ClusterCredential{}).
		WithIndex(&corev1.Event{}, "involvedObject.name", func(object client.Object) []string {
			return []string{object.(*corev1.Event).InvolvedObject.Name}
		}).
		WithInterceptorFuncs(intercept).Build()
	f.session = newSession(streams{in: strings.NewReader(""), out: &f.out, err: &f.err})
	f.session.clock = f.clock
	f.session.dial = func(*rest.Config) (client.Client, error) { return f.hub, nil }
	f.session.processes = func(context.Context, string) ([]local.Process, error) { return nil, nil }
	f.session.home = t.TempDir()
	t.Setenv("MYRIAD_HOME", f.session.home)
	t.Setenv("USER", "alice")
	kubeconfig := "apiVersion: v1\nkind: Config\nclusters: [{name: hub, cluster: {server: 'https://127.80.0.1:6443'}}]\n" +
		"contexts: [{name: hub, context: {cluster: hub}}]\ncurrent-context: hub\n"
	if err := os.WriteFile(filepath.Join(f.session.home, "kubeconfig"), []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// run runs a command and returns its exit code. Output is that of this run alone.
func (f *fixture) run(words ...string) int {
	f.t.Helper()
	f.out.Reset()
	f.err.Reset()
	return f.session.main(f.t.Context(), words)
}

// want runs a command and checks its exit code.
func (f *fixture) want(code int, words ...string) {
	f.t.Helper()
	if got := f.run(words...); got != code {
		f.t.Fatalf("myriad %s: exit code %d, want %d\n%s%s", strings.Join(words, " "), got, code, f.out.String(), f.err.String())
	}
}

// wantError checks that a message was printed as the one error.
func (f *fixture) wantError(text string) {
	f.t.Helper()
	if diff := cmp.Diff("error: "+text+"\n", f.err.String()); diff != "" {
		f.t.Errorf("standard error: -want +got\n%s", diff)
	}
}

// golden compares output with a file of testdata.
func (f *fixture) golden(name string) {
	f.t.Helper()
	compareGolden(f.t, filepath.Join("testdata", name+".golden"), strings.ReplaceAll(f.out.String(), f.session.home, "<home>"))
}

func compareGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; run 'go test ./internal/cli -update'", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: -want +got\n%s", file, diff)
	}
}

func ago(d time.Duration) metav1.Time { return metav1.NewTime(epoch.Add(-d)) }

func condition(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: ago(time.Minute)}
}

// fleet is a small fleet: two regions, two cells, a template, a release.
func fleet() []client.Object {
	region := func(name, area, address string) *v1alpha1.Region {
		return &v1alpha1.Region{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.RegionSpec{
			Area: area, Zones: []string{"a", "b", "c"},
			Gateway: v1alpha1.RegionGateway{Address: address, Port: 6443, Domain: name + ".example"},
		}}
	}
	return []client.Object{
		region("cn-hangzhou", "cn", "127.80.0.10"), region("eu-frankfurt", "eu", "127.80.0.11"),
		cell("hz-1", "cn-hangzhou"), cell("fra-1", "eu-frankfurt"),
		&v1alpha1.ClusterTemplate{ObjectMeta: metav1.ObjectMeta{Name: "standard"}, Spec: v1alpha1.ClusterTemplateSpec{
			Kind: "Standard", Version: "v1.36.3", Network: v1alpha1.ClusterNetwork{PodCIDR: "10.244.0.0/16", ServiceCIDR: "10.96.0.0/16"},
		}},
		&v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Name: "v1.36.3"}, Spec: v1alpha1.ReleaseSpec{EtcdVersion: "v3.6.16"}},
	}
}

func cell(name, region string) *v1alpha1.Cell {
	reserve := int32(40)
	return &v1alpha1.Cell{
		ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: ago(time.Hour)},
		Spec:       v1alpha1.CellSpec{Region: region, Zones: []string{"a", "b", "c"}, ReservePercent: &reserve, CredentialGeneration: 1},
		Status: v1alpha1.CellStatus{
			Guests: 1, AgentVersion: "v0.1.0", Versions: []string{"v1.36.3"},
			Conditions: []metav1.Condition{condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonLeaseFresh, "")},
		},
	}
}

// hello is a ready cluster in hz-1.
func hello() *v1alpha1.Cluster {
	return &v1alpha1.Cluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "hello", CreationTimestamp: ago(5 * time.Minute)},
		Spec:       v1alpha1.ClusterSpec{Template: "standard", Region: "cn-hangzhou"},
		Status: v1alpha1.ClusterStatus{
			ID: "k3x9q0v7ab", Cell: "hz-1", Version: "v1.36.3", Availability: v1alpha1.Single,
			Endpoint: endpoint(), CABundle: "CA\n",
			Conditions: []metav1.Condition{
				condition(v1alpha1.ConditionScheduled, metav1.ConditionTrue, v1alpha1.ReasonBound, "bound to cell hz-1"),
				condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, ""),
			},
		},
	}
}

func endpoint() *v1alpha1.GuestEndpoint {
	return &v1alpha1.GuestEndpoint{ServerName: "k3x9q0v7ab.cn-hangzhou.example", Address: "127.80.0.10", Port: 6443, PlainPort: 20001}
}

// unready is a cluster of that name without a cell, and why.
func unready(name, reason, message string) *v1alpha1.Cluster {
	return &v1alpha1.Cluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, CreationTimestamp: ago(time.Minute)},
		Spec:       v1alpha1.ClusterSpec{Template: "standard", Region: "cn-hangzhou"},
		Status: v1alpha1.ClusterStatus{Conditions: []metav1.Condition{
			condition(v1alpha1.ConditionScheduled, metav1.ConditionFalse, reason, message),
			condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonUnscheduled, ""),
		}},
	}
}

// setReady plays the hub: the cluster becomes bound and ready.
func (f *fixture) setReady(name string) {
	f.t.Helper()
	var cluster v1alpha1.Cluster
	if err := f.hub.Get(f.t.Context(), client.ObjectKey{Namespace: "default", Name: name}, &cluster); err != nil {
		f.t.Fatal(err)
	}
	cluster.Status = hello().Status
	if err := f.hub.Status().Update(f.t.Context(), &cluster); err != nil {
		f.t.Fatal(err)
	}
}
