package hub_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/ledger"
	"github.com/myriad-fleet/myriad/internal/network"
	"github.com/myriad-fleet/myriad/internal/placement"
)

// room gives every zone of a cell that many guests of the template standard: 200 millicores each, of which 60 %
// of the zone may be given away.
func (f *fleet) room(cell *v1alpha1.Cell, guests int64) {
	f.t.Helper()
	f.report(cell, func(c *v1alpha1.Cell) {
		for i := range c.Status.Zones {
			c.Status.Zones[i].CPU = *resource.NewMilliQuantity(guests*200*100/60+1, resource.DecimalSI)
			c.Status.Zones[i].Memory = resource.MustParse("1Ti")
		}
	})
}

// clusters of a namespace, those that were created first in front.
func (f *fleet) clusters(ctx context.Context, namespace string) ([]v1alpha1.Cluster, error) {
	var list v1alpha1.ClusterList
	if err := f.api.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, err
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.Cluster) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return list.Items, nil
}

// awaitBound waits until that many Clusters of a namespace are bound and all others say that there is no room,
// and returns their names, those that were created first in front.
func (f *fleet) awaitBound(namespace string, want int) (bound, waiting []string) {
	f.t.Helper()
	f.eventually(fmt.Sprintf("wait for %d bound Clusters", want), func(ctx context.Context) error {
		clusters, err := f.clusters(ctx, namespace)
		if err != nil {
			return err
		}
		bound, waiting = nil, nil
		for i := range clusters {
			scheduled := meta.FindStatusCondition(clusters[i].Status.Conditions, v1alpha1.ConditionScheduled)
			switch {
			case scheduled == nil:
			case scheduled.Status == metav1.ConditionTrue:
				bound = append(bound, clusters[i].Name)
			case scheduled.Reason == v1alpha1.ReasonNoRoom && len(clusters[i].Status.RejectedCells) > 0:
				waiting = append(waiting, clusters[i].Name)
			}
		}
		if len(bound) != want || len(bound)+len(waiting) != len(clusters) {
			return fmt.Errorf("%d are bound and %d wait, of %d", len(bound), len(waiting), len(clusters))
		}
		return nil
	})
	return bound, waiting
}

// TestBurstPastTheRoom: 500 Clusters for a region with room for 300. The rest waits and says why, and is placed
// in order when a cell joins.
func TestBurstPastTheRoom(t *testing.T) {
	const burst, roomy, more = 500, 300, 99
	f := newFleet(t)
	f.widenPorts(burst)
	first := f.cell("first")
	f.keepAlive(first)
	f.room(first, roomy/3)
	namespace := f.namespace("team")
	var group errgroup.Group
	group.SetLimit(16)
	for i := range burst {
		group.Go(func() error {
			return f.api.Create(t.Context(), &v1alpha1.Cluster{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("g%03d", i)}, Spec: v1alpha1.ClusterSpec{Template: "standard", Region: f.name},
			})
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	_, waiting := f.awaitBound(namespace, roomy)
	f.wantRejected(namespace, waiting[0], first.Name, placement.ReasonReserve)

	second := f.cell("second", func(c *v1alpha1.Cell) { c.Spec.Cordoned = true })
	f.keepAlive(second)
	f.room(second, more/3)
	f.change(second, func(c *v1alpha1.Cell) { c.Spec.Cordoned = false })
	_, left := f.awaitBound(namespace, roomy+more)
	if want := waiting[more:]; !slices.Equal(left, want) {
		t.Errorf("those still wait that came first: %v, want %v", left, want)
	}
	f.room(second, burst)
	f.awaitBound(namespace, burst)
	f.checkLedgers(namespace, first, second)
}

// widenPorts gives the region's gateways that many plain ports.
func (f *fleet) widenPorts(count int32) {
	f.t.Helper()
	f.change(f.region, func(r *v1alpha1.Region) { r.Spec.Gateway.LastPlainPort = firstPort + count - 1 })
}

// change the spec of an object as an operator would.
func (f *fleet) change(object client.Object, change any) {
	f.t.Helper()
	f.eventually("change "+object.GetName(), func(ctx context.Context) error {
		if err := f.api.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		switch o := object.(type) {
		case *v1alpha1.Cell:
			change.(func(*v1alpha1.Cell))(o)
		case *v1alpha1.Region:
			change.(func(*v1alpha1.Region))(o)
		}
		return f.api.Update(ctx, object)
	})
}

func (f *fleet) wantRejected(namespace, name, cell, reason string) {
	f.t.Helper()
	f.eventually(fmt.Sprintf("wait for cell %s to reject %s: %s", cell, name, reason), func(ctx context.Context) error {
		var cluster v1alpha1.Cluster
		if err := f.api.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &cluster); err != nil {
			return err
		}
		if !slices.ContainsFunc(cluster.Status.RejectedCells, func(r v1alpha1.RejectedCell) bool { return r.Cell == cell && r.Reason == reason }) {
			return fmt.Errorf("rejected: %+v", cluster.Status.RejectedCells)
		}
		return nil
	})
}

// checkLedgers: every guest of the namespace is booked once, with a port of its own.
func (f *fleet) checkLedgers(namespace string, cells ...*v1alpha1.Cell) {
	f.t.Helper()
	clusters, err := f.clusters(f.t.Context(), namespace)
	if err != nil {
		f.t.Fatal(err)
	}
	booked := map[string]int{}
	for _, cell := range cells {
		for _, booking := range f.booked(v1alpha1.CellLedger(cell.Name)) {
			booked[booking.ID]++
		}
	}
	ports := map[int32]string{}
	for _, booking := range f.booked(v1alpha1.RegionLedger(f.name)) {
		if other := ports[booking.PlainPort]; other != "" {
			f.t.Errorf("guests %s and %s have port %d", other, booking.ID, booking.PlainPort)
		}
		ports[booking.PlainPort] = booking.ID
	}
	for i := range clusters {
		if id := clusters[i].Labels[v1alpha1.LabelID]; booked[id] != 1 {
			f.t.Errorf("Cluster %s with id %q is booked %d times", clusters[i].Name, id, booked[id])
		}
	}
	if len(booked) != len(clusters) || len(ports) != len(clusters) {
		f.t.Errorf("%d guests and %d ports are booked for %d Clusters", len(booked), len(ports), len(clusters))
	}
}

// booked in a Ledger.
func (f *fleet) booked(name string) []v1alpha1.Booking {
	f.t.Helper()
	volume, err := ledger.Fetch(f.t.Context(), f.api, name)
	if err != nil {
		f.t.Fatal(err)
	}
	return volume.Bookings()
}

// anywhere leaves the region to placement, among those that hold a certification.
func anywhere(certification string) func(*v1alpha1.Cluster) {
	return func(c *v1alpha1.Cluster) {
		c.Spec.Region, c.Spec.Residency = "", &v1alpha1.Residency{Certifications: []string{certification}}
	}
}

// TestResidencyChoosesTheRegion: a Cluster without a region lands where its residency allows, and says on which
// rule.
func TestResidencyChoosesTheRegion(t *testing.T) {
	lax, strict := newFleet(t), newFleet(t)
	lax.cell("c")
	cell := strict.cell("c")
	law := "law-of-" + strict.name
	strict.change(strict.region, func(r *v1alpha1.Region) { r.Spec.Certifications = []string{law, "gdpr"} })
	cluster := strict.cluster(strict.namespace("team"), "prod", anywhere(law))
	order := strict.order(cluster)
	placed := cluster.Status.Placement
	if order.Spec.Region != strict.name || placed == nil || placed.Cell != cell.Name || !strings.Contains(placed.Residency, law) {
		t.Errorf("the order lies in region %s; evidence: %+v", order.Spec.Region, placed)
	}
	if cluster.Status.Region != strict.name || cluster.Labels[v1alpha1.LabelRegion] != strict.name {
		t.Errorf("status.region is %q, the label %q", cluster.Status.Region, cluster.Labels[v1alpha1.LabelRegion])
	}
	strict.awaitCondition(cluster, v1alpha1.ConditionResident, metav1.ConditionTrue, v1alpha1.ReasonResident)
}

// TestResidencyThatNoRegionMeets waits with a reason, and so does one that contradicts the region asked for.
func TestResidencyThatNoRegionMeets(t *testing.T) {
	f := newFleet(t)
	f.cell("c")
	namespace := f.namespace("team")
	nowhere := f.cluster(namespace, "nowhere", anywhere("nobody-holds-this"))
	f.awaitCondition(nowhere, v1alpha1.ConditionScheduled, metav1.ConditionFalse, v1alpha1.ReasonResidencyUnmet, f.name, "nobody-holds-this")
	torn := f.cluster(namespace, "torn", func(c *v1alpha1.Cluster) { c.Spec.Residency = &v1alpha1.Residency{Areas: []string{"cn"}} })
	f.awaitCondition(torn, v1alpha1.ConditionScheduled, metav1.ConditionFalse, v1alpha1.ReasonResidencyUnmet, f.name, "cn")

	// An operator gets the certificate: the Cluster that waited is placed.
	f.change(f.region, func(r *v1alpha1.Region) { r.Spec.Certifications = []string{"nobody-holds-this"} })
	f.order(nowhere)
}

// TestPinnedCellThatIsCordoned: the guest waits for its cell, although another has room.
func TestPinnedCellThatIsCordoned(t *testing.T) {
	f := newFleet(t)
	pinned := f.cell("pinned", func(c *v1alpha1.Cell) { c.Spec.Cordoned = true })
	f.cell("other")
	namespace := f.namespace("team")
	to := func(cell string) func(*v1alpha1.Cluster) { return func(c *v1alpha1.Cluster) { c.Spec.Cell = cell } }
	cluster := f.cluster(namespace, "prod", to(pinned.Name))
	f.awaitCondition(cluster, v1alpha1.ConditionScheduled, metav1.ConditionFalse, v1alpha1.ReasonNoRoom, placement.ReasonCordoned)
	lost := f.cluster(namespace, "lost", to("no-such-cell"))
	f.awaitCondition(lost, v1alpha1.ConditionScheduled, metav1.ConditionFalse, v1alpha1.ReasonCellNotFound, "no-such-cell")
	f.change(pinned, func(c *v1alpha1.Cell) { c.Spec.Cordoned = false })
	if order := f.order(cluster); order.Namespace != v1alpha1.CellNamespace(pinned.Name) {
		t.Errorf("the order lies in %s", order.Namespace)
	}
}

// TestRegionRemovedWhileInUse: guests stay, new ones are told.
func TestRegionRemovedWhileInUse(t *testing.T) {
	f := newFleet(t)
	f.cell("c")
	namespace := f.namespace("team")
	cluster := f.cluster(namespace, "prod")
	order := f.order(cluster)
	f.delete(f.region)
	late := f.cluster(namespace, "late")
	f.awaitCondition(late, v1alpha1.ConditionScheduled, metav1.ConditionFalse, v1alpha1.ReasonRegionNotFound)
	if err := f.api.Get(t.Context(), client.ObjectKeyFromObject(order), order); err != nil || order.Spec.Tombstone != nil {
		t.Errorf("the order of the guest that was there: %+v: %v", order.Spec.Tombstone, err)
	}
	f.delete(cluster)
	f.eventually("wait for the tombstone", func(ctx context.Context) error {
		if err := f.api.Get(ctx, client.ObjectKeyFromObject(order), order); err != nil || order.Spec.Tombstone == nil {
			return fmt.Errorf("tombstone %v: %w", order.Spec.Tombstone, err)
		}
		return nil
	})
}

// TestAddressesOfAVPC: guests of one VPC never overlap, one that finds nothing left waits and says so, and gets
// what another one frees.
func TestAddressesOfAVPC(t *testing.T) {
	f := newFleet(t)
	f.change(f.region, func(r *v1alpha1.Region) {
		r.Spec.VPCs = []v1alpha1.VPC{
			{Name: "prod", NodePools: []string{"10.0.0.0/24"}, PodPools: []string{"10.64.0.0/19"}, ServicePools: []string{"10.128.0.0/16"}},
			{Name: "twin", NodePools: []string{"10.0.0.0/24"}, PodPools: []string{"10.64.0.0/19"}, ServicePools: []string{"10.128.0.0/16"}},
			{Name: "theirs", Tenants: []string{"others"}, NodePools: []string{"10.0.0.0/24"}, PodPools: []string{"10.64.0.0/19"}, ServicePools: []string{"10.128.0.0/16"}},
		}
	})
	f.cell("c")
	namespace := f.namespace("team")
	// 16 nodes of 256 addresses for pods each: two guests of the VPC fill its /19 of pods.
	in := func(vpc string) func(*v1alpha1.Cluster) { return inVPC(v1alpha1.ClusterNetwork{VPC: vpc, Nodes: 16}) }
	first, second := f.cluster(namespace, "first", in("prod")), f.cluster(namespace, "second", in("prod"))
	twin := f.cluster(namespace, "twin", in("twin"))
	wanted := map[*v1alpha1.Cluster]v1alpha1.ClusterNetwork{}
	for _, cluster := range []*v1alpha1.Cluster{first, second, twin} {
		wanted[cluster] = f.order(cluster).Spec.Network
		if network := wanted[cluster]; network.VPC == "" || network.NodeCIDR == "" || network.PodCIDR == "" || network.ServiceCIDR == "" {
			t.Errorf("%s has the network %+v", cluster.Name, network)
		}
	}
	if a, b := wanted[first], wanted[second]; a.PodCIDR == b.PodCIDR || a.NodeCIDR == b.NodeCIDR || a.ServiceCIDR == b.ServiceCIDR {
		t.Errorf("two guests of one VPC share addresses: %+v and %+v", a, b)
	}
	if a, b := wanted[first], wanted[twin]; a.PodCIDR != b.PodCIDR && wanted[second].PodCIDR != b.PodCIDR {
		t.Errorf("another VPC may have the same addresses, and has %+v", b)
	}
	third := f.cluster(namespace, "third", in("prod"))
	f.wantRejected(namespace, "third", f.name+"-c", network.ReasonAddressesExhausted)
	stranger := f.cluster(namespace, "stranger", in("theirs"))
	f.awaitCondition(stranger, v1alpha1.ConditionScheduled, metav1.ConditionFalse, v1alpha1.ReasonVPCNotFound, "not for tenant "+namespace)
	lost := f.cluster(namespace, "lost", in("nowhere"))
	f.awaitCondition(lost, v1alpha1.ConditionScheduled, metav1.ConditionFalse, v1alpha1.ReasonVPCNotFound, "prod, twin, theirs")
	outside := f.cluster(namespace, "outside", inVPC(v1alpha1.ClusterNetwork{VPC: "prod", PodCIDR: "192.168.0.0/20"}))
	f.awaitCondition(outside, v1alpha1.ConditionScheduled, metav1.ConditionFalse, v1alpha1.ReasonInvalidAddresses, "10.64.0.0/19")

	f.bury(first)
	freed := f.order(third).Spec.Network
	if freed.PodCIDR != wanted[first].PodCIDR {
		t.Errorf("third has %+v, want what first gave back: %+v", freed, wanted[first])
	}
}

// bury a guest: its Cluster is deleted, and its agent removes it.
func (f *fleet) bury(cluster *v1alpha1.Cluster) {
	f.t.Helper()
	order := f.order(cluster)
	f.delete(cluster)
	f.eventually("wait for the tombstone", func(ctx context.Context) error {
		if err := f.api.Get(ctx, client.ObjectKeyFromObject(order), order); err != nil || order.Spec.Tombstone == nil {
			return fmt.Errorf("tombstone %v: %w", order.Spec.Tombstone, err)
		}
		return nil
	})
	f.report(order, func(c *v1alpha1.ControlPlane) {
		meta.SetStatusCondition(&c.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionDeleted, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonDeleting, Message: "gone"})
		c.Status.ObservedGeneration = c.Generation
	})
	f.awaitGone(cluster)
}
