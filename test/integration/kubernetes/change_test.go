package kubernetes_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
)

// uids of a guest's pods by component.
func (f *fixture) uids(id string) map[string]types.UID {
	f.Helper()
	var list corev1.PodList
	if err := f.api.List(f.Context(), &list, client.InNamespace(objects.NamespaceName(id))); err != nil {
		f.Fatal(err)
	}
	uids := map[string]types.UID{}
	for _, pod := range list.Items {
		uids[pod.Labels[objects.LabelComponent]] = pod.UID
	}
	return uids
}

// record the order in which a guest's pods go and come, until so many changes were seen.
func (f *fixture) record(id string) (stop func(count int) []string) {
	f.Helper()
	api, err := client.NewWithWatch(cluster.nodes.config, client.Options{})
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(f.Context())
	pods, err := api.Watch(ctx, &corev1.PodList{}, client.InNamespace(objects.NamespaceName(id)))
	if err != nil {
		f.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	var events []string
	all.Go(func() {
		was := map[types.UID]bool{}
		for event := range pods.ResultChan() {
			pod, ok := event.Object.(*corev1.Pod)
			if !ok {
				continue
			}
			isReady := event.Type != "DELETED" && pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
				return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
			})
			if isReady != was[pod.UID] {
				was[pod.UID] = isReady
				sign := "-"
				if isReady {
					sign = "+"
				}
				mu.Lock()
				events = append(events, sign+pod.Labels[objects.LabelComponent])
				mu.Unlock()
			}
		}
	})
	first := len(f.uids(id)) // those that are there already
	return func(count int) []string {
		f.eventually("the watch has told of all", func() error {
			mu.Lock()
			defer mu.Unlock()
			if len(events) < first+count {
				return fmt.Errorf("it told of %v", events)
			}
			return nil
		})
		cancel()
		all.Wait()
		return events[first:]
	}
}

// TestUpdate changes programs: zone by zone, and nothing that does not change restarts.
func TestUpdate(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	order, m := f.create(v1alpha1.Zonal)
	before := f.uids(order.ID)
	stop := f.record(order.ID)
	for i := range m.Components {
		if c := &m.Components[i]; c.Kind == controlplane.APIServer || c.Kind == controlplane.Etcd && c.Zone != "b" {
			c.Args = append(slices.Clone(c.Args), "--v=1")
		}
	}
	f.apply(m)
	f.awaitUpdated(order.ID, m)
	want := "-kube-apiserver-a -etcd-a +etcd-a +kube-apiserver-a " +
		"-kube-apiserver-b +kube-apiserver-b " +
		"-kube-apiserver-c -etcd-c +etcd-c +kube-apiserver-c"
	if got := strings.Join(stop(len(strings.Fields(want))), " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	after := f.uids(order.ID)
	for _, name := range []string{"etcd-b", "kube-controller-manager-a", "kube-controller-manager-b", "kube-scheduler-a", "kube-scheduler-b"} {
		if before[name] != after[name] {
			t.Errorf("%s has another pod", name)
		}
	}
}

// awaitUpdated waits until every pod is the one that the manifest asks for, and ready.
func (f *fixture) awaitUpdated(id string, m controlplane.Manifest) {
	f.Helper()
	built, err := objects.Build(f.cell, m)
	if err != nil {
		f.Fatal(err)
	}
	f.eventually("every pod is up to date", func() error {
		for _, c := range built.Components {
			pods := f.pods(id, c.Name)
			if len(pods) != 1 || pods[0].Annotations[objects.AnnotationSpec] != c.Spec {
				return fmt.Errorf("%s is not up to date", c.Name)
			}
		}
		return nil
	})
	f.awaitReady(id)
}

// TestLive: renewed certificates, arguments of first starts and an agent that restarts leave every pod
// alone, and an agent that restarts writes nothing.
func TestLive(t *testing.T) {
	t.Parallel()
	f := &fixture{T: t, api: cluster.nodes.api, log: &syncBuffer{}}
	f.cell = objects.Cell{Name: fmt.Sprintf("cell-%d", sequence.Add(1)), VolumeSize: volumeSize}
	var stop func()
	f.Runtime, stop = f.start()
	f.awaitLease()
	order, m := f.create(v1alpha1.Zonal)
	before := f.uids(order.ID)
	for i := range m.Components {
		for j := range m.Components[i].Files {
			if file := &m.Components[i].Files[j]; file.Live {
				file.Content = []byte("renewed")
			}
		}
		m.Components[i].FirstArgs = append(slices.Clone(m.Components[i].FirstArgs), "--initial-cluster-state=existing")
	}
	f.apply(m)
	f.eventually("templates and Secrets are written", func() error {
		set, secret := &appsv1.ReplicaSet{}, &corev1.Secret{}
		at := client.ObjectKey{Namespace: objects.NamespaceName(order.ID), Name: "kube-scheduler-b"} // the last one
		if err := f.api.Get(t.Context(), at, set); err != nil {
			return err
		}
		if err := f.api.Get(t.Context(), at, secret); err != nil {
			return err
		}
		args := set.Spec.Template.Spec.Containers[0].Args
		if args[len(args)-1] != "--initial-cluster-state=existing" || string(secret.Data["client.crt"]) != "renewed" {
			return fmt.Errorf("args %q, files %q", args, slices.Collect(maps.Keys(secret.Data)))
		}
		return nil
	})
	stop()
	written := f.versions(order.ID)
	f.Runtime, _ = f.start()
	f.awaitLease()
	f.apply(m)
	f.awaitReady(order.ID)
	if after := f.versions(order.ID); !maps.Equal(written, after) {
		t.Errorf("the agent that restarted wrote:\n%v\n%v", written, after)
	}
	if after := f.uids(order.ID); !maps.Equal(before, after) {
		t.Errorf("pods were replaced:\n%v\n%v", before, after)
	}
}

// versions of a guest's workloads, Services and policies.
func (f *fixture) versions(id string) map[string]string {
	f.Helper()
	versions := map[string]string{}
	for _, list := range []client.ObjectList{&appsv1.StatefulSetList{}, &appsv1.ReplicaSetList{}, &corev1.ServiceList{}, &corev1.SecretList{}} {
		if err := f.api.List(f.Context(), list, client.InNamespace(objects.NamespaceName(id))); err != nil {
			f.Fatal(err)
		}
		each(list, func(o client.Object) {
			version := o.GetResourceVersion()
			if generation := o.GetGeneration(); generation > 0 { // its controller writes its status
				version = fmt.Sprint(generation)
			}
			versions[fmt.Sprintf("%T %s", o, o.GetName())] = version
		})
	}
	return versions
}

func (f *fixture) awaitLease() {
	f.Helper()
	f.eventually("hold the Lease", func() error { return f.Hold(f.Context(), []v1alpha1.Drill{{Zone: "none", Mode: v1alpha1.DrillKill}}) })
	if err := f.Hold(f.Context(), nil); err != nil {
		f.Fatal(err)
	}
}

// grown is a manifest with other sizes.
func grown(m controlplane.Manifest, memory string) controlplane.Manifest {
	m.Components = slices.Clone(m.Components)
	for i := range m.Components {
		m.Components[i].Size = v1alpha1.ComponentSize{CPU: resource.MustParse("200m"), Memory: resource.MustParse(memory)}
	}
	return m
}

// TestResize changes CPU and memory in place: the same pods, and templates alike.
func TestResize(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	order, m := f.create(v1alpha1.Zonal)
	before := f.uids(order.ID)
	for _, memory := range []string{"512Mi", "128Mi"} {
		f.apply(grown(m, memory))
		f.eventually("every pod has "+memory, func() error { return f.sizes(order.ID, memory) })
	}
	if after := f.uids(order.ID); !maps.Equal(before, after) {
		t.Errorf("pods were replaced:\n%v\n%v", before, after)
	}
	f.awaitReady(order.ID)
}

// sizes is an error while a pod or its template has other memory.
func (f *fixture) sizes(id, memory string) error {
	for component := range f.uids(id) {
		for _, pod := range f.pods(id, component) {
			if got := pod.Spec.Containers[0].Resources.Requests.Memory().String(); got != memory {
				return fmt.Errorf("pod %s has %s", pod.Name, got)
			}
		}
	}
	var sets appsv1.ReplicaSetList
	if err := f.api.List(f.Context(), &sets, client.InNamespace(objects.NamespaceName(id))); err != nil {
		return err
	}
	for i := range sets.Items {
		if got := sets.Items[i].Spec.Template.Spec.Containers[0].Resources.Requests.Memory().String(); got != memory {
			return fmt.Errorf("template of %s has %s", sets.Items[i].Name, got)
		}
	}
	return nil
}

// TestResizeInfeasible: a pod that its node cannot resize is replaced in its turn; one whose resize is
// deferred stays and says so.
func TestResizeInfeasible(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	order, m := f.create(v1alpha1.Single)
	before := f.uids(order.ID)
	pending := func(reason string) behaviour {
		return func(pod *corev1.Pod) *corev1.PodStatus {
			status := ready(pod)
			if pod.Generation > 1 {
				status.Conditions = append(status.Conditions, corev1.PodCondition{
					Type: corev1.PodResizePending, Status: corev1.ConditionTrue, Reason: reason, Message: "node is too small",
				})
			}
			return status
		}
	}
	namespace := objects.NamespaceName(order.ID)
	cluster.nodes.set(namespace, "kube-apiserver-a", pending(corev1.PodReasonInfeasible))
	cluster.nodes.set(namespace, "kube-scheduler-a", pending(corev1.PodReasonDeferred))
	f.apply(grown(m, "512Mi"))
	f.eventually("every pod has 512Mi", func() error { return f.sizes(order.ID, "512Mi") })
	f.eventually("the API server's pod is another", func() error {
		if f.uids(order.ID)["kube-apiserver-a"] == before["kube-apiserver-a"] {
			return fmt.Errorf("it is not")
		}
		return nil
	})
	f.awaitComponent(order.ID, "kube-scheduler-a", "says that its resize is deferred", func(c runtime.Component) bool {
		return c.Ready && strings.Contains(c.Message, "Deferred: node is too small")
	})
	f.awaitReady(order.ID)
	after := f.uids(order.ID)
	delete(before, "kube-apiserver-a")
	delete(after, "kube-apiserver-a")
	if !maps.Equal(before, after) {
		t.Errorf("other pods were replaced:\n%v\n%v", before, after)
	}
}

// TestVolumeGrows: a volume grows by its claim, and its StatefulSet stays.
func TestVolumeGrows(t *testing.T) {
	t.Parallel()
	f := &fixture{T: t, api: cluster.nodes.api, log: &syncBuffer{}}
	f.cell = objects.Cell{Name: fmt.Sprintf("cell-%d", sequence.Add(1)), VolumeSize: volumeSize}
	var stop func()
	f.Runtime, stop = f.start()
	f.awaitLease()
	order, m := f.create(v1alpha1.Single)
	before := f.uids(order.ID)
	stop()
	f.cell.VolumeSize = resource.MustParse("2Gi")
	f.Runtime, _ = f.start()
	f.awaitLease()
	f.apply(m)
	f.eventually("the claim asks for 2Gi", func() error {
		claim := &corev1.PersistentVolumeClaim{}
		if err := f.api.Get(t.Context(), client.ObjectKey{Namespace: objects.NamespaceName(order.ID), Name: "data-etcd-a-0"}, claim); err != nil {
			return err
		}
		if got := claim.Spec.Resources.Requests.Storage().String(); got != "2Gi" {
			return fmt.Errorf("it asks for %s", got)
		}
		return nil
	})
	f.awaitReady(order.ID)
	if after := f.uids(order.ID); !maps.Equal(before, after) {
		t.Errorf("pods were replaced:\n%v\n%v", before, after)
	}
}
