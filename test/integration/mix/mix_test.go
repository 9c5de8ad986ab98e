// Package mix_test runs the load generator against a real kube-apiserver, etcd and
// kube-controller-manager, which makes the pods of Deployments and ends namespaces.
package mix_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/test/apiserver"
	"github.com/myriad-fleet/myriad/test/load/mix"
	"github.com/myriad-fleet/myriad/test/load/mix/plan"
)

// deadline of every wait, on a machine that has other work.
const deadline = 3 * time.Minute

// guest of all tests, which keep apart by their seeds.
var guest struct {
	config *rest.Config
	api    client.Client
}

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	set, err := apiserver.Distribution()
	if err != nil {
		return 1, err
	}
	environment, err := apiserver.Start(set, nil, nil)
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, environment.Stop()) }()
	manager, err := apiserver.Newest(set, "kube-controller-manager")
	if err != nil {
		return 1, err
	}
	stop, err := startControllers(manager, environment.KubeConfig)
	if err != nil {
		return 1, err
	}
	defer stop()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme)); err != nil {
		return 1, err
	}
	guest.config = environment.Config
	unlimited := rest.CopyConfig(environment.Config)
	unlimited.QPS = -1
	if guest.api, err = client.New(unlimited, client.Options{Scheme: scheme}); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// startControllers runs those that a mix meets in a guest and that change what it makes.
func startControllers(path string, kubeconfig []byte) (stop func(), err error) {
	directory, err := os.MkdirTemp("", "myriad-mix-")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(directory, "kubeconfig")
	if err := os.WriteFile(file, kubeconfig, 0o600); err != nil {
		return nil, err
	}
	command := exec.Command(path, "--kubeconfig="+file, "--leader-elect=false", "--secure-port=0", "--kube-api-qps=200", "--kube-api-burst=400",
		"--controllers=namespace-controller,deployment-controller,replicaset-controller,garbage-collector-controller,node-lifecycle-controller,pod-garbage-collector-controller")
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start kube-controller-manager: %w", err)
	}
	return func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		_ = os.RemoveAll(directory)
	}, nil
}

func seconds(n float64) metav1.Duration {
	return metav1.Duration{Duration: time.Duration(n * float64(time.Second))}
}

// short is a mix of everything, with a phase that is held and one that empties the guest.
func short() plan.Mix {
	return plan.Mix{Name: "short", MaxRate: 60, Phases: []plan.Phase{
		{
			Name: "up", Duration: seconds(60), Ramp: seconds(3), Hold: true,
			Target: plan.Target{
				Nodes: 5, CRDs: 2, CustomResources: plan.Amount{Count: 4, Bytes: 200}, Watches: 8,
				Objects: map[plan.Kind]plan.Amount{
					plan.ConfigMaps: {Count: 20, Bytes: 1000}, plan.Secrets: {Count: 10, Bytes: 500}, plan.Services: {Count: 3}, plan.Leases: {Count: 3},
					plan.Events: {Count: 5}, plan.Deployments: {Count: 2, Replicas: 3}, plan.Pods: {Count: 4}, plan.NodePods: {Count: 10},
				},
			},
			Rates: plan.Rates{Get: 5, List: 1, ListAll: 1, Update: 2, Patch: 2, Churn: 1, NodeChurn: 0.2},
		},
		{Name: "down", Duration: seconds(4), Ramp: seconds(1), Rates: plan.Rates{Get: 1}},
	}}
}

func start(t *testing.T, options mix.Options) *mix.Run {
	t.Helper()
	started, err := mix.Start(t.Context(), guest.config, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { started.Stop() })
	return started
}

// eventually checks until it succeeds.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	timeout := time.After(deadline)
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-timeout:
			t.Fatalf("%s: not within %s: %v", what, deadline, err)
		case <-ticker.C:
		}
	}
}

// phase waits until a phase has reached its targets.
func phase(t *testing.T, started *mix.Run, name string) {
	t.Helper()
	eventually(t, "phase "+name, func() error {
		if at, reached := started.Phase(); at != name || !reached {
			return fmt.Errorf("it is %q, targets reached: %t", at, reached)
		}
		return nil
	})
}

// expect that many objects of a kind with the label of a seed. Churned ones are missing for a moment.
func expect(t *testing.T, seed uint64, list client.ObjectList, want int) {
	t.Helper()
	label := client.MatchingLabels{plan.Label: plan.Scope{Seed: seed}.Name()}
	eventually(t, fmt.Sprintf("%d in %T", want, list), func() error {
		if err := guest.api.List(t.Context(), list, label); err != nil {
			return err
		}
		if got := lengthOf(list); got != want {
			return fmt.Errorf("there are %d", got)
		}
		return nil
	})
}

// lists of all kinds, and how long each is.
func lengthOf(list client.ObjectList) int {
	switch l := list.(type) {
	case *corev1.NodeList:
		return len(l.Items)
	case *corev1.ConfigMapList:
		return len(l.Items)
	case *corev1.SecretList:
		return len(l.Items)
	case *corev1.PodList:
		return len(l.Items)
	case *corev1.EventList:
		return len(l.Items)
	case *corev1.ServiceList:
		return len(l.Items)
	case *corev1.NamespaceList:
		return len(l.Items)
	case *appsv1.DeploymentList:
		return len(l.Items)
	case *apiextensionsv1.CustomResourceDefinitionList:
		return len(l.Items)
	case *metav1.PartialObjectMetadataList:
		return len(l.Items)
	}
	panic(fmt.Sprintf("a list of a kind that nobody counts: %T", list))
}

// leases lists Leases without reading what is in them.
func leases() *metav1.PartialObjectMetadataList {
	list := &metav1.PartialObjectMetadataList{}
	list.APIVersion, list.Kind = "coordination.k8s.io/v1", "LeaseList"
	return list
}

// nothing of a seed may be left.
func nothing(t *testing.T, seed uint64) {
	t.Helper()
	label := client.MatchingLabels{plan.Label: plan.Scope{Seed: seed}.Name()}
	for _, list := range []client.ObjectList{
		&corev1.NodeList{}, &corev1.ConfigMapList{}, &corev1.SecretList{}, &corev1.PodList{}, &corev1.EventList{}, &corev1.ServiceList{},
		&corev1.NamespaceList{}, &appsv1.DeploymentList{}, &apiextensionsv1.CustomResourceDefinitionList{}, leases(),
	} {
		if err := guest.api.List(context.WithoutCancel(t.Context()), list, label); err != nil {
			t.Error(err)
		}
		if got := lengthOf(list); got > 0 {
			t.Errorf("%d are left in %T", got, list)
		}
	}
}

func TestMixAgainstAPIServer(t *testing.T) {
	const seed = 1
	started := start(t, mix.Options{Mix: short(), Seed: seed})
	phase(t, started, "up")
	expect(t, seed, &corev1.NodeList{}, 5)
	expect(t, seed, leases(), 8) // 3, and those of the nodes
	expect(t, seed, &corev1.ConfigMapList{}, 20)
	expect(t, seed, &corev1.SecretList{}, 10)
	expect(t, seed, &corev1.ServiceList{}, 3)
	expect(t, seed, &corev1.EventList{}, 5)
	expect(t, seed, &appsv1.DeploymentList{}, 2)
	expect(t, seed, &corev1.PodList{}, 20) // 4, 10 on nodes, and 6 of Deployments
	expect(t, seed, &apiextensionsv1.CustomResourceDefinitionList{}, 2)
	nodesAreReady(t)
	leasesAreRenewed(t)
	started.Next()
	select {
	case <-started.Done():
	case <-time.After(deadline):
		t.Fatal("the mix does not end by itself")
	}
	report := started.Stop()
	if report.Failed > 0 || report.Interrupted != "" || report.CleanupError != "" {
		t.Errorf("the mix went wrong: %+v", report)
	}
	if report.Made[plan.CustomResources] < 8 || report.Made[plan.CustomResources] != report.Deleted[plan.CustomResources] || report.WatchEvents == 0 {
		t.Errorf("%d custom resources were made and %d deleted of 8 and what is churned; %d watch events",
			report.Made[plan.CustomResources], report.Deleted[plan.CustomResources], report.WatchEvents)
	}
	nothing(t, seed)
	if t.Failed() {
		return
	}
	if err := report.Print(os.Stderr); err != nil {
		t.Error(err)
	}
}

// nodesAreReady and stay so: kube-controller-manager believes their Leases.
func nodesAreReady(t *testing.T) {
	t.Helper()
	eventually(t, "the nodes are Ready and not tainted", func() error {
		var nodes corev1.NodeList
		if err := guest.api.List(t.Context(), &nodes); err != nil {
			return err
		}
		for _, node := range nodes.Items {
			if len(node.Spec.Taints) != 1 || node.Status.Conditions[0].Status != corev1.ConditionTrue {
				return fmt.Errorf("node %s: taints %v, conditions %v", node.Name, node.Spec.Taints, node.Status.Conditions)
			}
		}
		return nil
	})
}

// leasesAreRenewed of all nodes: kube-controller-manager would give them up after 50 s.
func leasesAreRenewed(t *testing.T) {
	t.Helper()
	eventually(t, "Leases of nodes are renewed, and none is stale", func() error {
		var leases coordinationv1.LeaseList
		if err := guest.api.List(t.Context(), &leases, client.InNamespace(plan.NodeLeaseNamespace)); err != nil {
			return err
		}
		renewed := 0
		for _, lease := range leases.Items {
			if time.Since(lease.Spec.RenewTime.Time) > 2*plan.RenewEvery {
				return fmt.Errorf("that of %s was renewed at %s", lease.Name, lease.Spec.RenewTime)
			}
			if lease.Spec.RenewTime.After(lease.Spec.AcquireTime.Time) {
				renewed++
			}
		}
		if renewed == 0 {
			return fmt.Errorf("none of %d was renewed since it was made", len(leases.Items))
		}
		return nil
	})
}

func TestMixIsRemovedWhenItIsStopped(t *testing.T) {
	const seed = 2
	ctx, interrupt := context.WithCancel(t.Context())
	started, err := mix.Start(ctx, guest.config, mix.Options{Mix: short(), Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	phase(t, started, "up")
	interrupt()
	report := started.Stop()
	if report.Interrupted == "" || report.CleanupError != "" {
		t.Errorf("interrupted: %q, cleaning up: %q", report.Interrupted, report.CleanupError)
	}
	nothing(t, seed)
}

func TestMixRemovesWhatACrashLeft(t *testing.T) {
	const seed = 3
	scope := plan.Scope{Seed: seed}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: scope.Name(), Labels: map[string]string{plan.Label: scope.Name()}}}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: scope.Name() + "-77", Labels: namespace.Labels}}
	for _, object := range []client.Object{namespace, node} {
		if err := guest.api.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	started := start(t, mix.Options{Mix: short(), Seed: seed})
	if err := guest.api.Get(t.Context(), client.ObjectKeyFromObject(node), node); client.IgnoreNotFound(err) != nil || err == nil {
		t.Errorf("the node of an earlier run is there still: %v", err)
	}
	started.Stop()
	nothing(t, seed)
}

func TestMisbehavingControllersAreBounded(t *testing.T) {
	const seed, rate, length = 4, 80, 5
	mad := plan.Mix{Name: "mad", MaxRate: rate, Phases: []plan.Phase{{
		Name: "mad", Duration: seconds(length),
		Target:    plan.Target{Objects: map[plan.Kind]plan.Amount{plan.ConfigMaps: {Count: 5}}},
		Misbehave: plan.Misbehaviour{ListLoop: 15, Conflicts: 15, WatchLoop: 10, EventFlood: 15},
	}}}
	started := start(t, mix.Options{Mix: mad, Seed: seed})
	<-started.Done()
	report := started.Stop()
	if most := rate*report.Seconds + 20; float64(report.Requests) > most {
		t.Errorf("%d requests in %.1fs, at a rate of %d", report.Requests, report.Seconds, rate)
	}
	if report.Failed > 0 {
		t.Errorf("misbehaving is no failure: %v", report.Failures)
	}
	update, floods := report.Verbs["update"], report.Made[plan.Events]
	if update.Conflicts == 0 || update.Conflicts == update.Requests || floods == 0 || floods > 15*length+1 {
		t.Errorf("%d of %d updates in conflict, %d Events", update.Conflicts, update.Requests, floods)
	}
	if report.Verbs["list-all"].Requests == 0 || report.Verbs["watch"].Requests == 0 {
		t.Errorf("nothing was listed or watched: %+v", report.Verbs)
	}
	nothing(t, seed)
}
