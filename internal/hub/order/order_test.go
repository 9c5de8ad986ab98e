package order

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/hub/resolve"
)

func TestBookingSurvivesTheBind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Booking{
			ID:        rapid.StringMatching(`[a-z][a-z0-9]{9}`).Draw(t, "id"),
			Cell:      rapid.StringMatching(`[a-z]([-a-z0-9]{0,38}[a-z0-9])?`).Draw(t, "cell"),
			Zones:     rapid.SliceOfN(rapid.StringMatching(`[a-z0-9]([-a-z0-9]{0,18}[a-z0-9])?`), 1, 3).Draw(t, "zones"),
			PlainPort: rapid.Int32Range(1, 65535).Draw(t, "port"),
			Region:    rapid.StringMatching(`[a-z]([-a-z0-9]{0,38}[a-z0-9])?`).Draw(t, "region"),
		}
		if rapid.Bool().Draw(t, "vpc") {
			want.VPC, want.Ranges = "prod", &v1alpha1.AddressRanges{NodeCIDR: "10.0.0.0/27", PodCIDR: "10.1.0.0/20", ServiceCIDR: "10.2.0.0/20"}
		}
		var cluster v1alpha1.Cluster
		want.Bind(&cluster)
		got, ok := BookingOf(&cluster)
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Fatalf("bound %t (-want +got):\n%s", ok, diff)
		}
		if !controllerutil.ContainsFinalizer(&cluster, v1alpha1.Finalizer) {
			t.Fatal("the bind must set the finalizer")
		}
		Unbind(&cluster)
		if got, ok := BookingOf(&cluster); ok || got.ID != "" {
			t.Fatalf("after Unbind: %+v, %t", got, ok)
		}
	})
}

func TestBookingOfWhatIsNotBound(t *testing.T) {
	cases := map[string]struct {
		reason   string
		id, cell string
		booking  string
		want     Booking
	}{
		"Nothing":  {reason: "a new Cluster"},
		"NoCell":   {reason: "half a bind is none", id: "abcdefghij", booking: "a/1"},
		"BadID":    {reason: "such an id was never minted", id: "../../x", cell: "hz-1", booking: "a/1"},
		"NoPort":   {reason: "id and cell stay known", id: "abcdefghij", cell: "hz-1", booking: "a", want: Booking{ID: "abcdefghij", Cell: "hz-1"}},
		"HugePort": {reason: "no such port", id: "abcdefghij", cell: "hz-1", booking: "a/65536", want: Booking{ID: "abcdefghij", Cell: "hz-1"}},
		"NoZones":  {reason: "it must lie somewhere", id: "abcdefghij", cell: "hz-1", booking: "/20000", want: Booking{ID: "abcdefghij", Cell: "hz-1"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, bound := BookingOf(&v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{
				Labels:      map[string]string{v1alpha1.LabelID: tc.id, v1alpha1.LabelCell: tc.cell},
				Annotations: map[string]string{v1alpha1.AnnotationBooking: tc.booking},
			}})
			if diff := cmp.Diff(tc.want, got); bound || diff != "" {
				t.Errorf("%s: bound %t (-want +got):\n%s", tc.reason, bound, diff)
			}
		})
	}
}

func TestLive(t *testing.T) {
	at := func(epoch int64) v1alpha1.ControlPlane {
		return v1alpha1.ControlPlane{Spec: v1alpha1.ControlPlaneSpec{Epoch: epoch}}
	}
	if got := Live(nil); got != nil {
		t.Errorf("no orders: %v", got)
	}
	if got := Live([]v1alpha1.ControlPlane{at(1), at(3), at(2)}); got.Spec.Epoch != 3 {
		t.Errorf("epoch %d lives, want the highest", got.Spec.Epoch)
	}
}

func TestAdoption(t *testing.T) {
	orphan := func(change ...func(*v1alpha1.Orphan)) v1alpha1.Orphan {
		o := v1alpha1.Orphan{ID: "abcdefghij", Order: v1alpha1.ControlPlaneSpec{
			ID: "abcdefghij", Region: "cn-hangzhou", Endpoint: v1alpha1.GuestEndpoint{ServerName: "abcdefghij.example"},
			Cluster: v1alpha1.ClusterReference{Namespace: "team", Name: "prod"},
		}}
		for _, apply := range change {
			apply(&o)
		}
		return o
	}
	cases := map[string]struct {
		reason     string
		annotation string
		orphan     v1alpha1.Orphan
		refusal    string // empty: adopted
	}{
		"Adopted":     {reason: "everything fits", annotation: "hz-1/abcdefghij", orphan: orphan()},
		"Renamed":     {reason: "a name may be taken by now", annotation: "hz-1/abcdefghij", orphan: orphan(func(o *v1alpha1.Orphan) { o.Order.Cluster.Name = "old" })},
		"NoSlash":     {reason: "cell and id are needed", annotation: "abcdefghij", orphan: orphan(), refusal: "<cell>/<id>"},
		"NoCell":      {reason: "the cell does not exist", annotation: "hz-9/abcdefghij", orphan: orphan(), refusal: "there is no cell hz-9"},
		"NoOrphan":    {reason: "the cell knows nothing of it", annotation: "hz-1/zzzzzzzzzz", orphan: orphan(), refusal: "does not report an orphan zzzzzzzzzz"},
		"OtherID":     {reason: "the cell contradicts itself", annotation: "hz-1/abcdefghij", orphan: orphan(func(o *v1alpha1.Orphan) { o.Order.ID = "zzzzzzzzzz" }), refusal: "is for zzzzzzzzzz"},
		"Stranger":    {reason: "a tenant takes over only what was its own", annotation: "hz-1/abcdefghij", orphan: orphan(func(o *v1alpha1.Orphan) { o.Order.Cluster.Namespace = "others" }), refusal: "belongs to namespace others"},
		"OtherName":   {reason: "another guest's traffic", annotation: "hz-1/abcdefghij", orphan: orphan(func(o *v1alpha1.Orphan) { o.Order.Endpoint.ServerName = "zzzzzzzzzz.example" }), refusal: "of others"},
		"OtherRegion": {reason: "another region's gateways", annotation: "hz-1/abcdefghij", orphan: orphan(func(o *v1alpha1.Orphan) { o.Order.Region = "eu-frankfurt" }), refusal: "of others"},
		"Tombstone":   {reason: "it was being removed", annotation: "hz-1/abcdefghij", orphan: orphan(func(o *v1alpha1.Orphan) { o.Order.Tombstone = &v1alpha1.Tombstone{ID: o.ID} }), refusal: "was being removed"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cluster := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "prod", Annotations: map[string]string{v1alpha1.AnnotationAdopt: tc.annotation}}}
			cells := []v1alpha1.Cell{{
				ObjectMeta: metav1.ObjectMeta{Name: "hz-1"}, Spec: v1alpha1.CellSpec{Region: "cn-hangzhou"},
				Status: v1alpha1.CellStatus{Orphans: []v1alpha1.Orphan{tc.orphan}},
			}}
			cell, got, problem := Adoption(cluster, cells)
			if tc.refusal == "" {
				if problem != nil || cell != "hz-1" || got == nil {
					t.Errorf("%s: %q, %v, %v", tc.reason, cell, got, problem)
				}
				return
			}
			if problem == nil || problem.Reason != v1alpha1.ReasonOrphanNotReported || !strings.Contains(problem.Message, tc.refusal) {
				t.Errorf("%s: %v, want a refusal with %q", tc.reason, problem, tc.refusal)
			}
		})
	}
}

func TestFromOrphanKeepsTheOrder(t *testing.T) {
	orphan := &v1alpha1.Orphan{ID: "abcdefghij", Order: v1alpha1.ControlPlaneSpec{
		ID: "abcdefghij", Region: "r", Version: "v1.35.4", Zones: []string{"b"}, RenderRevision: 1, Epoch: 4,
		Cluster: v1alpha1.ClusterReference{Namespace: "team", Name: "old"},
	}}
	cluster := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "new"}, Spec: v1alpha1.ClusterSpec{Region: "r"}}
	want := orphan.Order
	want.Cluster = v1alpha1.ClusterReference{Namespace: "team", Name: "new", Spec: cluster.Spec}
	got := FromOrphan(cluster, "hz-1", orphan)
	if diff := cmp.Diff(want, got.Spec); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if key := fmt.Sprintf("%s/%s", got.Namespace, got.Name); key != "cell-hz-1/abcdefghij" || Cell(got) != "hz-1" || !BelongsTo(got, cluster) {
		t.Errorf("the order is %s", key)
	}
}

func TestNewOrderIsTunedFromItsRevisionOn(t *testing.T) {
	resolved := resolve.Resolved{Tuning: &v1alpha1.ControlPlaneTuning{Gear: "nano"}, EtcdQuotaBytes: 1 << 30}
	for revision, tuned := range map[int64]bool{controlplane.TuningRevision - 1: false, controlplane.TuningRevision: true} {
		spec := New(&v1alpha1.Cluster{}, resolved, Booking{ID: "abcdefghij", Cell: "c"}, revision).Spec
		if got := spec.Tuning != nil; got != tuned || (spec.EtcdQuotaBytes > 0) != tuned {
			t.Errorf("revision %d: tuning %+v, quota %d", revision, spec.Tuning, spec.EtcdQuotaBytes)
		}
	}
}
