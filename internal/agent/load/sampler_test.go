package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/pki"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// TestSample: all instances are read, as nobody but a reader of metrics and without compression; the
// first sample waits for the second.
func TestSample(t *testing.T) {
	f := newFixture(t)
	f.guest("aaaaaaaaaa", 1, v1alpha1.Zonal)
	f.serve("aaaaaaaaaa")
	f.round()
	if got := f.told(); got != nil {
		t.Errorf("a load without rates was told: %v", got)
	}
	f.posts = 90
	f.round()
	if got := f.told(); !slices.Equal(got, []string{"aaaaaaaaaa"}) {
		t.Errorf("told: %v", got)
	}
	for name, want := range map[v1alpha1.LoadMetricName]string{
		v1alpha1.LoadNodes: "3", v1alpha1.LoadWatches: "30", v1alpha1.LoadWritesPerSecond: "9", v1alpha1.LoadDatabaseBytes: "1000000", v1alpha1.LoadExecutingSeats: "0",
	} {
		if got := f.value("aaaaaaaaaa", name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if told := f.Load("aaaaaaaaaa"); len(told.Missing) != 0 || len(told.Usage) != 1 {
		t.Errorf("missing %v, usage %v", told.Missing, told.Usage)
	}
	if want := map[string]bool{"myriad:monitoring[myriad:monitoring]": true}; !maps.Equal(f.users, want) {
		t.Errorf("came as %v", f.users)
	}
}

// TestWrites: a load that does not change much is told every thirteen minutes, one that does at once, and a
// metric that is missing once is waited for.
func TestWrites(t *testing.T) {
	f := newFixture(t)
	f.guest("aaaaaaaaaa", 2, v1alpha1.Single)
	f.serve("aaaaaaaaaa")
	count := 0
	for range 2 * 30 { // half an hour
		f.pods = 100 + count%5
		f.round()
		count += len(f.told())
	}
	if count != 3 {
		t.Errorf("in half an hour without news there were %d", count)
	}
	f.pods = 200
	f.round()
	if got := f.told(); len(got) != 1 || f.value("aaaaaaaaaa", v1alpha1.LoadPods) != "200" {
		t.Errorf("twice as many pods: told %v", got)
	}
	f.observed["aaaaaaaaaa"].Components[0].State = runtime.BackOff // etcd
	f.round()
	if got := f.told(); got != nil {
		t.Errorf("missing for one sample: told %v", got)
	}
	f.round()
	if got := f.told(); len(got) != 1 || f.value("aaaaaaaaaa", v1alpha1.LoadDatabaseBytes) != "missing" {
		t.Errorf("missing for two samples: told %v", got)
	}
	f.observed["aaaaaaaaaa"].Components[0].State = runtime.Running
	f.round()
	if got := f.told(); len(got) != 1 || f.value("aaaaaaaaaa", v1alpha1.LoadDatabaseBytes) != "1000000" {
		t.Errorf("there again: told %v", got)
	}
}

// TestQuiet: of a guest that stays as it is every other sample is left out, until one matters.
func TestQuiet(t *testing.T) {
	f := newFixture(t)
	f.guest("aaaaaaaaaa", 15, v1alpha1.Single)
	f.serve("aaaaaaaaaa")
	sampled := func() (times int) {
		for _, first := range []int{0, turns} {
			before := f.asked[controlplane.APIServer]
			f.rounds(first)
			times += f.asked[controlplane.APIServer] - before
		}
		return times
	}
	for range calm {
		sampled()
	}
	if got := sampled(); got != 1 {
		t.Errorf("a quiet guest was sampled %d times in two periods", got)
	}
	f.pods = 1000
	if got := sampled() + sampled(); got != 4 {
		t.Errorf("with ten times the pods it was sampled %d times in four periods", got)
	}
}

// TestMembers: etcd is read with every fourth sample, or when nothing is known of a member.
func TestMembers(t *testing.T) {
	f := newFixture(t)
	f.guest("aaaaaaaaaa", 16, v1alpha1.Single)
	f.serve("aaaaaaaaaa")
	for range membersEvery + 1 {
		f.round()
	}
	if got := f.asked[controlplane.Etcd]; got != 2 {
		t.Errorf("a member was read %d times in five samples, want 2", got)
	}
	if got := f.value("aaaaaaaaaa", v1alpha1.LoadDatabaseBytes); got != "1000000" {
		t.Errorf("the database has %s bytes, as the member said last it has 1000000", got)
	}
	member := &f.observed["aaaaaaaaaa"].Components[0]
	member.State = runtime.BackOff
	f.round()
	member.State = runtime.Running
	f.round()
	if got := f.asked[controlplane.Etcd]; got != 3 {
		t.Errorf("a member that was away was read %d times, want 3", got)
	}
}

// TestRestart: an agent that has just started knows from the hub what was told, and tells nothing new
// where nothing is.
func TestRestart(t *testing.T) {
	f := newFixture(t)
	f.guest("aaaaaaaaaa", 3, v1alpha1.Single)
	f.serve("aaaaaaaaaa")
	f.round()
	f.round()
	f.hub["aaaaaaaaaa"] = &v1alpha1.ControlPlane{Status: v1alpha1.ControlPlaneStatus{Load: f.Load("aaaaaaaaaa")}}
	f.told()
	f.restart()
	f.round()
	f.round()
	f.round()
	if got := f.told(); got != nil {
		t.Errorf("told %v after a restart", got)
	}
	f.pods = 1000
	f.round()
	if got := f.told(); len(got) != 1 {
		t.Errorf("ten times the pods: told %v", got)
	}
	f.restart()
	f.clock.Step(-time.Hour) // the clock was put back
	f.round()
	f.round()
	if got := f.told(); len(got) != 1 {
		t.Errorf("with the clock put back: told %v", got)
	}
}

// TestDown: a guest that is down keeps the load that it had; one that is gone, or frozen, or not set up
// yet has none.
func TestDown(t *testing.T) {
	f := newFixture(t)
	for n, id := range []string{"aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc", "dddddddddd"} {
		f.guest(id, 4+n, v1alpha1.Single)
		f.serve(id)
	}
	f.orders["bbbbbbbbbb"].Spec.SupersededBy = 2
	f.young["cccccccccc"] = true
	f.hosts["dddddddddd"] = nil
	f.round()
	f.round()
	if got := f.told(); !slices.Equal(got, []string{"aaaaaaaaaa"}) {
		t.Errorf("told %v", got)
	}
	before := f.Load("aaaaaaaaaa")
	for i := range f.observed["aaaaaaaaaa"].Components {
		f.observed["aaaaaaaaaa"].Components[i].State = runtime.BackOff
	}
	for range 50 {
		f.round()
	}
	f.observed["aaaaaaaaaa"] = runtime.Observation{} // the runtime is away: all are asked, and refuse
	f.status = http.StatusForbidden
	f.round()
	if got := f.told(); got != nil || f.Load("aaaaaaaaaa") != before {
		t.Errorf("told %v while the guest was down", got)
	}
	f.status = 0
	f.round()
	f.round()
	if got := f.told(); len(got) != 1 {
		t.Errorf("told %v when it was back", got)
	}
	entombed := f.orders["aaaaaaaaaa"]
	entombed.Entombed = true
	f.orders["aaaaaaaaaa"] = entombed
	delete(f.orders, "bbbbbbbbbb")
	delete(f.orders, "dddddddddd")
	f.round()
	if f.Load("aaaaaaaaaa") != nil || len(f.guests) != 0 {
		t.Errorf("guests that are gone are remembered: %v", f.guests)
	}
}

// TestSlow: guests that hang or are dead take nothing from the others, however many they are, and none
// is asked again while it still is.
func TestSlow(t *testing.T) {
	f := newFixture(t)
	f.patience = time.Minute
	for n := range 2 * quickAtOnce {
		id := fmt.Sprintf("hung%06d", n)
		f.guest(id, 20+n, v1alpha1.Single)
		f.hang(id, "kube-apiserver-a", controlplane.APIServerPort)
		f.hang(id, "etcd-a", controlplane.EtcdMetricsPort)
		f.guests[id] = &guest{id: id, limped: true}
	}
	f.guest("aaaaaaaaaa", 10, v1alpha1.Zonal)
	f.serve("aaaaaaaaaa")
	f.guest("bbbbbbbbbb", 11, v1alpha1.Zonal) // dead in zone c
	f.serve("bbbbbbbbbb", "kube-apiserver-c", "etcd-c")
	ctx, cancel := context.WithCancel(t.Context())
	for range 4 {
		for turn := range turns {
			f.Turn(ctx, turn)
		}
		for _, id := range []string{"aaaaaaaaaa", "bbbbbbbbbb"} {
			f.until(func() bool { return !f.busy(id) })
		}
		f.clock.Step(period)
	}
	if got := slices.Compact(f.told()); !slices.Equal(got, []string{"aaaaaaaaaa", "bbbbbbbbbb"}) {
		t.Errorf("told %v beside guests that hang", got)
	}
	if got := f.value("bbbbbbbbbb", v1alpha1.LoadWatches) + " " + f.value("bbbbbbbbbb", v1alpha1.LoadPods); got != "missing 100" {
		t.Errorf("without one of three API servers watches and pods are %s", got)
	}
	if got := len(f.slow); got != 2*quickAtOnce {
		t.Errorf("%d samples wait, want one for each guest that hangs", got)
	}
	cancel()
	f.samples.Wait()
}

// TestRefused: a page that is too long, and a guest whose certificate is another's, are not read.
func TestRefused(t *testing.T) {
	f := newFixture(t)
	f.guest("aaaaaaaaaa", 12, v1alpha1.Single)
	f.serve("aaaaaaaaaa")
	other, err := pki.NewIdentity("bbbbbbbbbb", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	access := func() *http.Client {
		g := &guest{id: "aaaaaaaaaa"}
		made, err := f.accessTo(g)
		if err != nil {
			t.Fatal(err)
		}
		return made.apiServers
	}
	host := f.hosts["aaaaaaaaaa"]["kube-apiserver-a"]
	read := func(most int64) error {
		page, err := fetch(t.Context(), access(), host, controlplane.APIServerPort, most)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, page)
		return errors.Join(err, page.Close())
	}
	if err := read(1000); err != nil {
		t.Errorf("a page: %v", err)
	}
	if read(100) == nil {
		t.Error("a page that is too long was read")
	}
	f.identities["aaaaaaaaaa"] = other
	if read(1000) == nil {
		t.Error("somebody else's page was read")
	}
	f.identities["aaaaaaaaaa"] = nil
	if _, err := f.accessTo(&guest{id: "aaaaaaaaaa"}); err == nil {
		t.Error("there is access without an identity")
	}
}

// TestAccess: certificates are made once, and anew before they end.
func TestAccess(t *testing.T) {
	f := newFixture(t)
	f.guest("aaaaaaaaaa", 13, v1alpha1.Single)
	f.serve("aaaaaaaaaa")
	for range 50 { // 25 minutes
		f.round()
	}
	if got := f.loads.Load(); got != 1 {
		t.Errorf("the identity was read %d times in 25 minutes", got)
	}
	for range 20 {
		f.round()
	}
	if got := f.loads.Load(); got != 2 {
		t.Errorf("the identity was read %d times in 35 minutes", got)
	}
}

// TestRun: turns come one after the other until the context ends.
func TestRun(t *testing.T) {
	f := newFixture(t)
	f.guest("aaaaaaaaaa", 14, v1alpha1.Single)
	f.serve("aaaaaaaaaa")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Run(ctx)
	}()
	f.until(func() bool {
		if f.clock.HasWaiters() {
			f.clock.Step(period / turns)
		}
		return f.Load("aaaaaaaaaa") != nil
	})
	cancel()
	<-done
}
