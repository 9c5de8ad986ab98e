package etcd

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	plan "github.com/myriad-fleet/myriad/internal/etcd"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// TestToldAnew: a guest at rest, whose databases drift, is told of once an hour; what happens is told at once.
func TestToldAnew(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	facts := func(bytes int64) plan.Facts {
		return plan.Facts{
			Now: now, Listed: true, Members: []plan.Member{{ID: 1, Name: "etcd-a", PeerURLs: []string{"https://a"}}},
			Zones: []plan.Zone{{
				Name: "a", PeerURL: "https://a", Component: runtime.Component{Name: "etcd-a", State: runtime.Running, Ready: true},
				Status: &plan.Status{ID: 1, Leader: 1, Bytes: bytes, InUse: bytes},
			}},
		}
	}
	told := &v1alpha1.EtcdStatus{Members: plan.Roles(facts(1))}
	if told.Members[0].DatabaseBytes != 1 {
		t.Fatalf("the member is told as %+v", told.Members[0])
	}
	for _, c := range []struct {
		reason string
		age    time.Duration // of what was told
		change func(*plan.Facts)
		want   bool
	}{
		{"sizes that have drifted", time.Hour - time.Second, func(*plan.Facts) {}, false},
		{"sizes that have drifted for an hour", time.Hour, func(*plan.Facts) {}, true},
		{"an alarm", time.Second, func(f *plan.Facts) { f.Alarms = []plan.Alarm{{Member: 1, Kind: "NOSPACE"}} }, true},
		{"a member that does not answer", time.Second, func(f *plan.Facts) { f.Zones[0].Status = nil }, true},
	} {
		l := &look{known: &record{written: now.Add(-c.age)}, facts: facts(2)}
		c.change(&l.facts)
		if got := l.status(told) != told; got != c.want {
			t.Errorf("%s: told %t", c.reason, got)
		}
	}
	if l := (&look{known: &record{written: now}, facts: facts(2)}); l.status(nil) == nil {
		t.Error("what was never told is not told")
	}
}

// TestWordsToldAnew: other words for the same are told every ten minutes, another state at once.
func TestWordsToldAnew(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		reason string
		age    time.Duration
		last   metav1.Condition
		want   bool
	}{
		{"other words", time.Minute, metav1.Condition{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonEtcdUnknown}, false},
		{"other words for ten minutes", 10 * time.Minute, metav1.Condition{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonEtcdUnknown}, true},
		{"another state", time.Second, metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonEtcdHealthy}, true},
	} {
		l := &look{known: &record{written: now.Add(-c.age)}, facts: plan.Facts{Now: now, Zones: []plan.Zone{{Name: "a"}}}}
		if got := l.condition(&c.last, plan.Step{Kind: plan.Wait}) != &c.last; got != c.want {
			t.Errorf("%s: told %t", c.reason, got)
		}
	}
}
