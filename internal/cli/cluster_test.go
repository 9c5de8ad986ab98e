package cli

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

func TestClusterOutput(t *testing.T) {
	elsewhere := hello()
	elsewhere.Namespace, elsewhere.Name = "team-b", "prod"
	objects := append(fleet(), hello(), elsewhere, unready("waiting", v1alpha1.ReasonNoRoom, "no cell has room"), helloPlane(), helloEvent())
	objects[len(objects)-3].(*v1alpha1.Cluster).Status.RejectedCells = []v1alpha1.RejectedCell{
		{Cell: "hz-1", Reason: "Cordoned", Message: "cell hz-1 is cordoned"},
		{Cell: "hz-2", Reason: "NoCapacity", Message: "zone a: 1 core short"},
	}
	for name, words := range map[string]string{
		"cluster-list":             "cluster list",
		"cluster-list-all":         "cluster list -A",
		"cluster-list-name":        "cluster list -o name",
		"cluster-list-json":        "cluster list -A -o json",
		"cluster-get":              "cluster get hello",
		"cluster-get-yaml":         "cluster get hello -o yaml",
		"cluster-describe":         "cluster describe hello",
		"cluster-describe-waiting": "cluster describe waiting",
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, interceptor.Funcs{}, objects...)
			f.want(exitOK, strings.Fields(words)...)
			f.golden(name)
		})
	}
}

// helloPlane is the order of the cluster hello, with a component that has died.
func helloPlane() *v1alpha1.ControlPlane {
	return &v1alpha1.ControlPlane{
		ObjectMeta: metav1.ObjectMeta{Namespace: "cell-hz-1", Name: "k3x9q0v7ab"},
		Spec: v1alpha1.ControlPlaneSpec{
			ID: "k3x9q0v7ab", Version: "v1.36.3", EtcdVersion: "v3.6.16", Availability: v1alpha1.Single, Zones: []string{"a"},
			Cluster: v1alpha1.ClusterReference{Namespace: "default", Name: "hello"},
			Network: v1alpha1.ClusterNetwork{PodCIDR: "10.244.0.0/16", ServiceCIDR: "10.96.0.0/16"},
			Size:    v1alpha1.ControlPlaneSize{Gear: "nano"}, RenderRevision: 4, Epoch: 1,
		},
		Status: v1alpha1.ControlPlaneStatus{
			Endpoints: []v1alpha1.Endpoint{{Zone: "a", Address: "127.80.16.2", Port: 6443}},
			Components: []v1alpha1.ComponentStatus{
				{Name: "etcd-a", Ready: true},
				{Name: "kube-apiserver-a", Restarts: 3, LastExit: "exit status 1 after 2s: bind: address already in use"},
			},
			Conditions: []metav1.Condition{condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonComponentsFailed, "kube-apiserver-a keeps dying")},
		},
	}
}

func helloEvent() *corev1.Event {
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "default", Name: "hello.1"},
		InvolvedObject: corev1.ObjectReference{Kind: "Cluster", Name: "hello"},
		Type:           corev1.EventTypeNormal, Reason: "Bound", Message: "bound to cell hz-1", LastTimestamp: ago(4 * time.Minute),
	}
}

func TestClusterErrors(t *testing.T) {
	elsewhere := hello()
	elsewhere.Namespace, elsewhere.Name = "team-b", "prod"
	cases := map[string]struct {
		reason string
		words  string
		code   int
		want   string
	}{
		"Typo": {
			reason: "the name that was meant is offered", words: "cluster get helo", code: exitNotFound,
			want: "there is no cluster helo in namespace default; did you mean hello? (existing: hello)",
		},
		"OtherNamespace": {
			reason: "a forgotten -n is the usual cause", words: "cluster describe prod", code: exitNotFound,
			want: "there is no cluster prod in namespace default, but in namespace team-b; add '-n team-b'",
		},
		"DeleteUnknown": {
			reason: "deleting what is not there is told, not passed over", words: "cluster delete hallo", code: exitNotFound,
			want: "there is no cluster hallo in namespace default; did you mean hello? (existing: hello)",
		},
		"Region": {
			reason: "refused before anything is written", words: "cluster create a --region cn-hangzou", code: exitNotFound,
			want: "there is no region cn-hangzou; did you mean cn-hangzhou? (existing: cn-hangzhou, eu-frankfurt)",
		},
		"NoRegion": {
			reason: "the message lists what to choose from", words: "cluster create a", code: exitUsage,
			want: "--region is missing, and so are --area and --certification, by which the fleet would choose one (existing: cn-hangzhou, eu-frankfurt)",
		},
		"Template": {
			reason: "refused before anything is written", words: "cluster create a --region cn-hangzhou --template standart", code: exitNotFound,
			want: "there is no template standart; did you mean standard? (existing: standard)",
		},
		"Version": {
			reason: "refused before anything is written", words: "cluster create a --region cn-hangzhou --version v1.36.4", code: exitNotFound,
			want: "there is no version v1.36.4; did you mean v1.36.3? (existing: v1.36.3)",
		},
		"Availability": {
			reason: "a word that no availability has", words: "cluster create a --region cn-hangzhou --availability triple", code: exitUsage,
			want: "--availability triple is not known; use single or zonal",
		},
		"Exists": {
			reason: "names are unique in a namespace", words: "cluster create hello --region cn-hangzhou", code: exitConflict,
			want: "create cluster hello: it exists already in namespace default; choose another name, or look at it with 'myriad cluster describe hello'",
		},
		"Subcommand": {
			reason: "a mistyped command is not help with exit code 0", words: "cluster lst", code: exitUsage,
			want: "command 'myriad cluster lst' does not exist; did you mean list? (existing: create, delete, describe, get, kubeconfig, list, logs, wait)",
		},
		"Arguments": {
			reason: "the usage line says what is missing", words: "cluster get", code: exitUsage,
			want: "myriad cluster get takes other arguments; usage: myriad cluster get NAME... [flags]",
		},
		"Flag": {
			reason: "an unknown flag is a usage error", words: "cluster list --al", code: exitUsage,
			want: "unknown flag: --al; see 'myriad cluster list --help'",
		},
		"Output": {
			reason: "an unknown format is a usage error", words: "cluster list -o wide", code: exitUsage,
			want: "--output wide is not known; use one of: table, json, yaml, name",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, interceptor.Funcs{}, append(fleet(), hello(), elsewhere)...)
			if got := f.run(strings.Fields(tc.words)...); got != tc.code {
				t.Errorf("%s: exit code %d, want %d", tc.reason, got, tc.code)
			}
			f.wantError(tc.want)
		})
	}
}

func TestClusterCreate(t *testing.T) {
	cases := map[string]struct {
		reason string
		words  string
		want   v1alpha1.ClusterSpec
	}{
		"Least": {
			reason: "what is left out is left to the template", words: "",
			want: v1alpha1.ClusterSpec{Region: "cn-hangzhou", Template: "standard"},
		},
		"Most": {
			reason: "every flag has its field", words: "--template standard --version v1.36.3 --availability zonal --pod-cidr 10.0.0.0/16 --service-cidr 10.1.0.0/16",
			want: v1alpha1.ClusterSpec{
				Region: "cn-hangzhou", Template: "standard", Version: "v1.36.3", Availability: v1alpha1.Zonal,
				Network: &v1alpha1.ClusterNetwork{PodCIDR: "10.0.0.0/16", ServiceCIDR: "10.1.0.0/16"},
			},
		},
		"OneRange": {
			reason: "the API wants both ranges: the other one is the template's", words: "--pod-cidr 10.0.0.0/16",
			want: v1alpha1.ClusterSpec{
				Region: "cn-hangzhou", Template: "standard",
				Network: &v1alpha1.ClusterNetwork{PodCIDR: "10.0.0.0/16", ServiceCIDR: "10.96.0.0/16"},
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, interceptor.Funcs{}, fleet()...)
			f.want(exitOK, append([]string{"cluster", "create", "a", "--region", "cn-hangzhou"}, strings.Fields(tc.words)...)...)
			var cluster v1alpha1.Cluster
			if err := f.hub.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "a"}, &cluster); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, cluster.Spec); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
		})
	}
}

func TestClusterCreateWait(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{}, fleet()...)
	f.clock.onWait = func(wait int) {
		if wait == 8 {
			f.setReady("a")
		}
	}
	f.want(exitOK, "cluster", "create", "a", "--region", "cn-hangzhou", "--wait")
	if got, want := f.out.String(), "cluster a is ready (2s)\n"; got != want {
		t.Errorf("standard output %q, want %q", got, want)
	}
	want := "[  1s] cluster a: waiting for the hub to look at it\nuse it: myriad kubectl a -- get namespaces\n"
	if diff := cmp.Diff(want, f.err.String()); diff != "" {
		t.Errorf("standard error: -want +got\n%s", diff)
	}
}

func TestClusterWait(t *testing.T) {
	deleting := hello()
	deleting.Name, deleting.Finalizers, deleting.DeletionTimestamp = "dying", []string{v1alpha1.Finalizer}, &metav1.Time{Time: epoch}
	cases := map[string]struct {
		reason string
		words  string
		code   int
		want   string
	}{
		"Permanent": {
			reason: "no waiting makes a region appear: fail at once", words: "nowhere", code: exitUsage,
			want: "error: cluster nowhere: RegionNotFound: there is no region mars; waiting does not help: change it, or run 'myriad cluster delete nowhere' and create it anew\n",
		},
		"Timeout": {
			reason: "room may come: wait, and say in the end what was missing", words: "waiting --timeout 1s", code: exitNotReady,
			want: "[  1s] cluster waiting: NoRoom: no cell has room\nerror: cluster waiting: not done after 1s: NoRoom: no cell has room; it goes on by itself; look with 'myriad cluster describe waiting'\n",
		},
		"Ready": {
			reason: "a ready cluster is not waited for", words: "hello", code: exitOK,
			want: "cluster hello is ready (0s)\n",
		},
		"Deleting": {
			reason: "what is being deleted will never be ready", words: "dying", code: exitNotFound,
			want: "error: cluster dying is being deleted; create it again once it is gone\n",
		},
		"Gone": {
			reason: "what does not exist is gone", words: "nobody --for deleted", code: exitOK,
			want: "cluster nobody is gone (0s)\n",
		},
		"Unknown": {
			reason: "a goal that does not exist", words: "hello --for happy", code: exitUsage,
			want: "error: --for happy is not known; use ready, scheduled or deleted\n",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, interceptor.Funcs{}, hello(), deleting,
				unready("nowhere", v1alpha1.ReasonRegionNotFound, "there is no region mars"),
				unready("waiting", v1alpha1.ReasonNoRoom, "no cell has room"))
			if got := f.run(append([]string{"cluster", "wait"}, strings.Fields(tc.words)...)...); got != tc.code {
				t.Errorf("%s: exit code %d, want %d", tc.reason, got, tc.code)
			}
			if diff := cmp.Diff(tc.want, f.err.String()); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
		})
	}
}

func TestWaitOutlivesTheHub(t *testing.T) {
	down := true
	f := newFixture(t, interceptor.Funcs{
		Get: func(ctx context.Context, hub client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			if down {
				return apierrors.NewServiceUnavailable("starting")
			}
			return hub.Get(ctx, key, object, options...)
		},
	}, hello())
	f.clock.onWait = func(wait int) { down = wait < 6 }
	f.want(exitOK, "cluster", "wait", "hello")
	if want := "the hub does not answer; asking again"; !strings.Contains(f.err.String(), want) {
		t.Errorf("a hub that restarts must not end the wait silently: %s", f.err.String())
	}
}

func TestClusterDelete(t *testing.T) {
	held := hello()
	held.Finalizers = []string{v1alpha1.Finalizer}
	f := newFixture(t, interceptor.Funcs{}, held)
	f.clock.onWait = func(wait int) {
		if wait != 3 {
			return
		}
		var cluster v1alpha1.Cluster
		if err := f.hub.Get(t.Context(), client.ObjectKeyFromObject(held), &cluster); err != nil {
			t.Fatal(err)
		}
		cluster.Finalizers = nil
		if err := f.hub.Update(t.Context(), &cluster); err != nil {
			t.Fatal(err)
		}
	}
	f.want(exitOK, "cluster", "delete", "hello")
	if f.clock.waits != 3 || f.out.String() != "cluster hello is deleted\n" {
		t.Errorf("delete must wait until the agent is done: waited %d times, said %q", f.clock.waits, f.out.String())
	}
}

func TestClusterDeleteWithoutWaiting(t *testing.T) {
	held := hello()
	held.Finalizers = []string{v1alpha1.Finalizer}
	f := newFixture(t, interceptor.Funcs{}, held)
	f.want(exitOK, "cluster", "delete", "hello", "--wait=false")
	if f.clock.waits != 0 || f.out.String() != "cluster hello is being deleted\n" {
		t.Errorf("waited %d times, said %q", f.clock.waits, f.out.String())
	}
}

func TestWaitIgnoresStaleStatus(t *testing.T) {
	stale := hello()
	stale.Generation = 2
	stale.Status.ObservedGeneration = 1
	f := newFixture(t, interceptor.Funcs{}, stale)
	f.want(exitNotReady, "cluster", "wait", "hello", "--timeout", "1s")
	if want := "waiting for the hub to look at it"; !strings.Contains(f.err.String(), want) {
		t.Errorf("a status of an older spec says nothing of this one: %s", f.err.String())
	}
}

func TestDeleteSparesTheNextOfItsName(t *testing.T) {
	first := hello()
	first.UID = "first"
	var condition *metav1.Preconditions
	f := newFixture(t, interceptor.Funcs{
		// The cluster is gone and made anew by somebody else before the wait looks again.
		Delete: func(ctx context.Context, hub client.WithWatch, object client.Object, options ...client.DeleteOption) error {
			condition = (&client.DeleteOptions{}).ApplyOptions(options).Preconditions
			if err := hub.Delete(ctx, object); err != nil {
				return err
			}
			second := hello()
			second.UID = "second"
			return hub.Create(ctx, second)
		},
	}, first)
	f.want(exitOK, "cluster", "delete", "hello")
	if condition == nil || condition.UID == nil || *condition.UID != "first" {
		t.Errorf("deleted with the precondition %v: it must name the cluster that was looked at", condition)
	}
}
