package etcd

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	plan "github.com/myriad-fleet/myriad/internal/etcd"
	"github.com/myriad-fleet/myriad/internal/snapshot"
)

// fakeStore has one snapshot of every guest until it is emptied.
type fakeStore struct {
	saved, asked int
	empty        bool
}

func (f *fakeStore) Save(context.Context, snapshot.Source, io.Reader) (snapshot.Object, error) {
	f.saved++
	return snapshot.Object{Name: "new"}, nil
}

func (f *fakeStore) Latest(context.Context, string) (snapshot.Object, bool, error) {
	f.asked++
	return snapshot.Object{Name: "old"}, !f.empty, nil
}

func (f *fakeStore) Remove(context.Context, string) error { return nil }

func refusing(store *fakeStore, refused string) (*Keeper, *look) {
	keeper := New(Options{
		Snapshots: store, Clock: clocktesting.NewFakeClock(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)), Log: slog.New(slog.DiscardHandler),
	})
	guest := Guest{Order: &v1alpha1.ControlPlaneSpec{ID: "abcdefghij", SnapshotsRefused: refused}}
	keeper.Keep(guest)
	return keeper, &look{Keeper: keeper, id: "abcdefghij", known: keeper.records["abcdefghij"], guest: guest}
}

// TestNoSnapshotAgainstTheRule: what asks for one is told why there is none, and a decision that was made
// before the refusal came is not carried out.
func TestNoSnapshotAgainstTheRule(t *testing.T) {
	const refused = "the cell's snapshots are stored in region us-ashburn, and area us is none of eu"
	store := &fakeStore{}
	keeper, looking := refusing(store, refused)
	for what, err := range map[string]error{
		"asked for":      keeper.Snapshot(t.Context(), "abcdefghij"),
		"decided before": looking.act(t.Context(), plan.Step{Kind: plan.Snapshot, Zone: "a"}),
	} {
		if err == nil || !strings.HasSuffix(err.Error(), "no snapshot may be taken: "+refused) {
			t.Errorf("%s: %v, want the refusal", what, err)
		}
	}
	if store.saved > 0 {
		t.Error("a snapshot was stored")
	}
}

// TestOldSnapshotsAreWatched: what was stored before a refusal is reported until somebody removes it.
func TestOldSnapshotsAreWatched(t *testing.T) {
	store := &fakeStore{}
	_, free := refusing(store, "")
	free.lastSnapshot(t.Context())
	free.lastSnapshot(t.Context())
	if store.asked != 1 || free.known.snapshot == nil {
		t.Errorf("asked %d times for %v, want once", store.asked, free.known.snapshot)
	}
	_, refused := refusing(store, "area us is none of eu")
	refused.lastSnapshot(t.Context())
	if refused.known.snapshot == nil {
		t.Error("what was stored before is not reported")
	}
	store.empty = true
	refused.lastSnapshot(t.Context())
	if refused.known.snapshot != nil {
		t.Error("what was removed is still reported")
	}
}
