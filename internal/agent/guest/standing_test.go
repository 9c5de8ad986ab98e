package guest

import (
	"testing"
	"time"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/pki"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// TestStandingHolds: a manifest is made anew when anything has changed that it is made from.
func TestStandingHolds(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	order := &testOrder().Spec
	both := []string{"etcd-a", "kube-apiserver-a"}
	running := func(names ...string) runtime.Observation {
		o := runtime.Observation{Exists: true}
		for _, name := range names {
			o.Components = append(o.Components, runtime.Component{Name: name})
		}
		return o
	}
	for _, c := range []struct {
		reason string
		change func(k *standing, s *scope)
		want   bool
	}{
		{"nothing has changed", func(*standing, *scope) {}, true},
		{"no certificate is ever due", func(k *standing, _ *scope) { k.renewAt = time.Time{} }, true},
		{"another order, although it says the same", func(_ *standing, s *scope) { s.facts.Order = &testOrder().Spec }, false},
		{"everything is looked at now and then", func(k *standing, _ *scope) { k.until = now }, false},
		{"the clock was turned back", func(k *standing, _ *scope) { k.until = now.Add(lookAgain + time.Second) }, false},
		{"a certificate is due", func(k *standing, _ *scope) { k.renewAt = now }, false},
		{"a member starts otherwise", func(_ *standing, s *scope) { s.starts = starts{"etcd-a": controlplane.EtcdSealed} }, false},
		{"a file of the identity is new", func(_ *standing, s *scope) { s.identity = pki.Identity{"ca.crt": []byte("2")} }, false},
		{"the runtime has lost the guest", func(_ *standing, s *scope) { s.facts.Observation = runtime.Observation{} }, false},
		{"the runtime has lost a component", func(_ *standing, s *scope) { s.facts.Observation = running("etcd-a") }, false},
		{"the runtime has another component", func(_ *standing, s *scope) { s.facts.Observation = running("etcd-a", "etcd-b") }, false},
	} {
		k := &standing{
			order: order, starts: starts{"etcd-a": ""}, identity: pki.Identity{"ca.crt": []byte("1")}, given: both,
			renewAt: now.Add(time.Hour), until: now.Add(lookAgain),
		}
		s := &scope{starts: starts{"etcd-a": ""}, identity: pki.Identity{"ca.crt": []byte("1")}}
		s.facts.Order, s.facts.Observation = order, running(both...)
		c.change(k, s)
		if got := k.holds(s, now); got != c.want {
			t.Errorf("%s: it holds: %t", c.reason, got)
		}
	}
	if (*standing)(nil).holds(&scope{}, now) {
		t.Error("what was never looked at holds")
	}
}
