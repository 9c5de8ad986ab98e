package cell

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/agent/orders"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

type fake struct {
	cell   *v1alpha1.Cell
	wanted map[string]bool // guests that the hub has orders for
	synced bool
	orders map[string]orders.Order
	broken error // of the runtime and the distribution
	writes int
}

func (f *fake) Cell() *v1alpha1.Cell { return f.cell }

func (f *fake) ControlPlane(id string) (*v1alpha1.ControlPlane, bool) {
	if f.wanted[id] {
		return &v1alpha1.ControlPlane{}, f.synced
	}
	return nil, f.synced
}

func (f *fake) ApplyCell(_ context.Context, status v1alpha1.CellStatus) error {
	f.writes++
	f.cell.Status = status
	return nil
}

func (f *fake) Capacity(context.Context) (runtime.Capacity, error) {
	return runtime.Capacity{{Name: "a"}}, f.broken
}

func (f *fake) Versions() ([]string, error) { return []string{"v1.36.3", "v1.35.4"}, f.broken }

func (f *fake) IDs() []string { return slices.Sorted(maps.Keys(f.orders)) }

func (f *fake) Get(id string) orders.Order { return f.orders[id] }

func (f *fake) reporter(clk *clocktesting.FakeClock) *Reporter {
	return New(Options{
		Hub: f, Runtime: f, Orders: f, Versions: f.Versions, AgentVersion: "v0.1.0",
		Drills: func() ([]v1alpha1.Drill, bool) { return nil, true }, Request: func() string { return "" },
		Clock: clk, Log: slog.New(slog.DiscardHandler),
	})
}

func order(id string) orders.Order {
	return orders.Order{Spec: &v1alpha1.ControlPlaneSpec{ID: id, Epoch: 2}}
}

func orphan(id string, since time.Time) v1alpha1.Orphan {
	return v1alpha1.Orphan{ID: id, Since: metav1.NewTime(since), Order: v1alpha1.ControlPlaneSpec{ID: id, Epoch: 2}}
}

// TestCountWaits: a number of guests that changes all the time is written now and then.
func TestCountWaits(t *testing.T) {
	f := fake{cell: reports(), orders: map[string]orders.Order{}}
	clk := clocktesting.NewFakeClock(now)
	r := f.reporter(clk)
	for _, c := range []struct {
		reason string
		wait   time.Duration
		guest  string
		want   int32
	}{
		{"the first one at once", 0, "a", 1},
		{"another one a second later waits", time.Second, "b", 1},
		{"and is told with the next", countPause, "c", 3},
	} {
		clk.Step(c.wait)
		f.orders[c.guest] = order(c.guest)
		if err := r.Report(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := f.cell.Status.Guests; got != c.want {
			t.Errorf("%s: the Cell has %d guests, want %d", c.reason, got, c.want)
		}
	}
}

func TestOrphans(t *testing.T) {
	earlier := now.Add(-time.Hour)
	known := map[string]orders.Order{"kept": order("kept"), "lost": order("lost")}
	buried := orders.Order{Spec: order("lost").Spec, Entombed: true}
	cases := map[string]struct {
		reason  string
		fake    fake
		orphans []v1alpha1.Orphan
		guests  int32
	}{
		"Lost":     {"the hub has no order for it", fake{synced: true, orders: known, wanted: map[string]bool{"kept": true}}, []v1alpha1.Orphan{orphan("lost", now)}, 2},
		"Adopted":  {"the order has come back", fake{synced: true, orders: known, wanted: map[string]bool{"kept": true, "lost": true}, cell: reports(orphan("lost", earlier))}, nil, 2},
		"Reported": {"it was first missed before this agent started", fake{synced: true, orders: known, wanted: map[string]bool{"kept": true}, cell: reports(orphan("lost", earlier))}, []v1alpha1.Orphan{orphan("lost", earlier)}, 2},
		"NotYet":   {"the orders have not been read: nothing is known to be missing", fake{orders: known}, nil, 2},
		"StillSo":  {"what was reported stays until the orders have been read", fake{orders: known, cell: reports(orphan("lost", earlier))}, []v1alpha1.Orphan{orphan("lost", earlier)}, 2},
		"Buried":   {"a guest that is being removed is none", fake{synced: true, orders: map[string]orders.Order{"lost": buried}}, nil, 1},
		"Tomb":     {"a tombstone alone is no guest", fake{synced: true, orders: map[string]orders.Order{"lost": {Entombed: true}}}, nil, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.fake.cell == nil {
				c.fake.cell = reports()
			}
			r := c.fake.reporter(clocktesting.NewFakeClock(now))
			for range 2 {
				if err := r.Report(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(c.orphans, c.fake.cell.Status.Orphans); diff != "" || c.fake.cell.Status.Guests != c.guests {
				t.Errorf("%s: %d guests, orphans (-want +got):\n%s", c.reason, c.fake.cell.Status.Guests, diff)
			}
			if c.fake.writes > 1 {
				t.Errorf("wrote %d times", c.fake.writes)
			}
		})
	}
}

func reports(orphans ...v1alpha1.Orphan) *v1alpha1.Cell {
	return &v1alpha1.Cell{Status: v1alpha1.CellStatus{Orphans: orphans}}
}

// TestUnknownStays: what cannot be found out now stays reported, and so do the hub's conditions.
func TestUnknownStays(t *testing.T) {
	f := &fake{cell: &v1alpha1.Cell{}, synced: true}
	f.cell.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady}}
	clk := clocktesting.NewFakeClock(now)
	r := f.reporter(clk)
	if err := r.Report(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := *f.cell.Status.DeepCopy()
	if len(want.Zones) != 1 || !slices.Equal(want.Versions, []string{"v1.35.4", "v1.36.3"}) || want.AgentVersion != "v0.1.0" {
		t.Errorf("reported %+v", want)
	}
	f.broken = errors.New("connection refused")
	if err := r.Report(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, f.cell.Status); diff != "" || f.writes != 1 {
		t.Errorf("wrote %d times; (-want +got):\n%s", f.writes, diff)
	}
}

// TestSnapshotRegion: the hub judges by it where a guest's snapshots lie.
func TestSnapshotRegion(t *testing.T) {
	for _, tc := range []struct {
		reason, region string
		store          bool
		want           string
	}{
		{"no store", "", false, ""},
		{"no store any more", "eu-frankfurt", false, ""},
		{"where the cell lies", "", true, "cn-hangzhou"},
		{"where the operator says", "eu-frankfurt", true, "eu-frankfurt"},
	} {
		f := &fake{cell: &v1alpha1.Cell{Spec: v1alpha1.CellSpec{Region: "cn-hangzhou"}, Status: v1alpha1.CellStatus{SnapshotRegion: "before"}}, synced: true}
		r := f.reporter(clocktesting.NewFakeClock(now))
		r.Snapshots, r.SnapshotsRegion = tc.store, tc.region
		if err := r.Report(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := f.cell.Status.SnapshotRegion; got != tc.want {
			t.Errorf("%s: %q, want %q", tc.reason, got, tc.want)
		}
	}
}
