package hub_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

const (
	kubernetesVersion = "v1.36.3"
	etcdVersion       = "v3.6.16"
	// deadline of every wait. The hub answers within a second; a loaded machine takes longer.
	deadline = 2 * time.Minute
	poll     = 20 * time.Millisecond
	// firstPort of the plain ports of every test's region.
	firstPort = 20000
)

var sequence atomic.Int64

// fleet is a region of its own, with what a test does to it.
type fleet struct {
	t      *testing.T
	api    client.Client
	name   string // of the region, and part of every other name
	region *v1alpha1.Region
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{t: t, api: connect(t, as("operator", "system:masters")), name: fmt.Sprintf("r%d", sequence.Add(1))}
	f.offer()
	f.region = &v1alpha1.Region{ObjectMeta: metav1.ObjectMeta{Name: f.name}, Spec: v1alpha1.RegionSpec{
		Area: "eu", Zones: []string{"a", "b", "c"},
		Gateway: v1alpha1.RegionGateway{Address: "192.0.2.10", Port: 6443, FirstPlainPort: firstPort, LastPlainPort: firstPort + 99, Domain: f.name + ".example.com"},
	}}
	f.create(f.region)
	return f
}

func connect(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
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

// offer the template and the release that all tests share.
func (f *fleet) offer() {
	f.t.Helper()
	part := v1alpha1.ComponentSize{CPU: resource.MustParse("50m"), Memory: resource.MustParse("64Mi")}
	for _, object := range []client.Object{
		&v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Name: kubernetesVersion}, Spec: v1alpha1.ReleaseSpec{EtcdVersion: etcdVersion}},
		&v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Name: "v1.35.4"}, Spec: v1alpha1.ReleaseSpec{EtcdVersion: etcdVersion}},
		&v1alpha1.ClusterTemplate{ObjectMeta: metav1.ObjectMeta{Name: "standard"}, Spec: v1alpha1.ClusterTemplateSpec{
			Kind: "Standard", Version: kubernetesVersion, Availability: v1alpha1.Single,
			Network: v1alpha1.ClusterNetwork{PodCIDR: "10.244.0.0/16", ServiceCIDR: "10.96.0.0/16"},
			Size:    v1alpha1.ControlPlaneSize{Etcd: part, APIServer: part, ControllerManager: part, Scheduler: part},
		}},
	} {
		if err := f.api.Create(f.t.Context(), object); err != nil && !apierrors.IsAlreadyExists(err) {
			f.t.Fatal(err)
		}
	}
}

// cell makes a cell that is alive, with three zones of 10 cores each.
func (f *fleet) cell(name string, change ...func(*v1alpha1.Cell)) *v1alpha1.Cell {
	f.t.Helper()
	cell := &v1alpha1.Cell{ObjectMeta: metav1.ObjectMeta{Name: f.name + "-" + name}, Spec: v1alpha1.CellSpec{Region: f.name, Zones: []string{"a", "b", "c"}, CredentialGeneration: 1}}
	for _, apply := range change {
		apply(cell)
	}
	f.create(cell)
	f.report(cell, func(c *v1alpha1.Cell) {
		c.Status.Versions = []string{kubernetesVersion}
		for _, zone := range c.Spec.Zones {
			c.Status.Zones = append(c.Status.Zones, v1alpha1.ZoneCapacity{Name: zone, CPU: resource.MustParse("10"), Memory: resource.MustParse("10Gi")})
		}
	})
	f.awaitNamespace(v1alpha1.CellNamespace(cell.Name))
	f.renew(cell, time.Now(), 40)
	f.awaitCondition(cell, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonLeaseFresh)
	return cell
}

// keepAlive renews the Lease of a cell until the test ends: for tests that may take longer than it lasts.
func (f *fleet) keepAlive(cell *v1alpha1.Cell) {
	f.t.Helper()
	key := client.ObjectKey{Namespace: v1alpha1.CellNamespace(cell.Name), Name: v1alpha1.AgentLease}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		wait.UntilWithContext(ctx, func(ctx context.Context) {
			var lease coordinationv1.Lease
			if err := f.api.Get(ctx, key, &lease); err != nil {
				return // tried again before the Lease ends
			}
			lease.Spec.RenewTime = new(metav1.NewMicroTime(time.Now()))
			_ = f.api.Update(ctx, &lease) // tried again before the Lease ends
		}, 5*time.Second)
	}()
	f.t.Cleanup(func() {
		cancel()
		<-ended
	})
}

// renew the Lease of a cell as its agent would.
func (f *fleet) renew(cell *v1alpha1.Cell, at time.Time, seconds int32) {
	f.t.Helper()
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.CellNamespace(cell.Name), Name: v1alpha1.AgentLease}}
	_, err := controllerutil.CreateOrUpdate(f.t.Context(), f.api, lease, func() error {
		lease.Spec = coordinationv1.LeaseSpec{HolderIdentity: new("agent"), LeaseDurationSeconds: &seconds, RenewTime: new(metav1.NewMicroTime(at))}
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// report changes the status of an object as an agent would.
func (f *fleet) report(object client.Object, change any) {
	f.t.Helper()
	f.eventually("report on "+object.GetName(), func(ctx context.Context) error {
		if err := f.api.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		switch o := object.(type) {
		case *v1alpha1.Cell:
			change.(func(*v1alpha1.Cell))(o)
		case *v1alpha1.ControlPlane:
			change.(func(*v1alpha1.ControlPlane))(o)
		case *v1alpha1.ClusterCredential:
			change.(func(*v1alpha1.ClusterCredential))(o)
		}
		return f.api.Status().Update(ctx, object)
	})
}

// namespace makes a tenant's namespace.
func (f *fleet) namespace(name string) string {
	f.t.Helper()
	full := f.name + "-" + name
	f.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: full}})
	return full
}

// cluster makes a Cluster, without waiting for anything.
func (f *fleet) cluster(namespace, name string, change ...func(*v1alpha1.Cluster)) *v1alpha1.Cluster {
	f.t.Helper()
	cluster := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: v1alpha1.ClusterSpec{Template: "standard", Region: f.name}}
	for _, apply := range change {
		apply(cluster)
	}
	f.create(cluster)
	return cluster
}

// order waits for the order of a Cluster.
func (f *fleet) order(cluster *v1alpha1.Cluster) *v1alpha1.ControlPlane {
	f.t.Helper()
	f.awaitCondition(cluster, v1alpha1.ConditionScheduled, metav1.ConditionTrue, v1alpha1.ReasonBound)
	order := &v1alpha1.ControlPlane{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.CellNamespace(cluster.Labels[v1alpha1.LabelCell]), Name: cluster.Labels[v1alpha1.LabelID]}}
	f.eventually("read the order of "+cluster.Name, func(ctx context.Context) error {
		return f.api.Get(ctx, client.ObjectKeyFromObject(order), order)
	})
	return order
}

// orders of the region.
func (f *fleet) orders() []v1alpha1.ControlPlane {
	f.t.Helper()
	var list v1alpha1.ControlPlaneList
	if err := f.api.List(f.t.Context(), &list, client.MatchingLabels{v1alpha1.LabelRegion: f.name}); err != nil {
		f.t.Fatal(err)
	}
	return list.Items
}

func (f *fleet) create(object client.Object) {
	f.t.Helper()
	if err := f.api.Create(f.t.Context(), object); err != nil {
		f.t.Fatalf("create %T %s: %v", object, object.GetName(), err)
	}
}

func (f *fleet) delete(object client.Object) {
	f.t.Helper()
	if err := f.api.Delete(f.t.Context(), object); err != nil {
		f.t.Fatalf("delete %T %s: %v", object, object.GetName(), err)
	}
}

// eventually tries until it succeeds.
func (f *fleet) eventually(what string, try func(context.Context) error) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), deadline)
	defer cancel()
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			f.t.Fatalf("%s: still after %s: %v", what, deadline, err)
		case <-ticker.C:
		}
	}
}

func (f *fleet) awaitNamespace(name string) {
	f.t.Helper()
	f.eventually("wait for namespace "+name, func(ctx context.Context) error {
		return f.api.Get(ctx, client.ObjectKey{Name: name}, &corev1.Namespace{})
	})
}

func (f *fleet) awaitGone(object client.Object) {
	f.t.Helper()
	f.eventually(fmt.Sprintf("wait until %T %s is gone", object, object.GetName()), func(ctx context.Context) error {
		err := f.api.Get(ctx, client.ObjectKeyFromObject(object), object)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("is still there, finalizers %v: %w", object.GetFinalizers(), err)
	})
}

// awaitCondition waits until a condition is so, reads the object anew, and returns the condition.
func (f *fleet) awaitCondition(object client.Object, kind string, status metav1.ConditionStatus, reason string, parts ...string) metav1.Condition {
	f.t.Helper()
	var found metav1.Condition
	f.eventually(fmt.Sprintf("wait for %T %s to be %s=%s (%s)", object, object.GetName(), kind, status, reason), func(ctx context.Context) error {
		if err := f.api.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		condition := meta.FindStatusCondition(conditionsOf(object), kind)
		if condition == nil || condition.Status != status || condition.Reason != reason {
			return fmt.Errorf("its conditions are %+v", conditionsOf(object))
		}
		for _, part := range parts {
			if !strings.Contains(condition.Message, part) {
				return fmt.Errorf("its message is %q, without %q", condition.Message, part)
			}
		}
		found = *condition
		return nil
	})
	return found
}

func conditionsOf(object client.Object) []metav1.Condition {
	switch o := object.(type) {
	case *v1alpha1.Cluster:
		return o.Status.Conditions
	case *v1alpha1.Cell:
		return o.Status.Conditions
	case *v1alpha1.ControlPlane:
		return o.Status.Conditions
	case *v1alpha1.ClusterCredential:
		return o.Status.Conditions
	case *v1alpha1.Gearbox:
		return o.Status.Conditions
	}
	return nil
}
