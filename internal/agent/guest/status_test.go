package guest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// factsOf a guest whose components are all ready, but for those given.
func factsOf(availability v1alpha1.Availability, different ...runtime.Component) Facts {
	order := &v1alpha1.ControlPlaneSpec{ID: testID, Availability: availability, Zones: []string{"a", "b", "c"}, Epoch: 2}
	f := Facts{Order: order, Instances: controlplane.Instances(order, controlplane.Guest), Bootstrapped: true}
	f.Observation.Exists = true
	for _, instance := range f.Instances {
		component := runtime.Component{Name: instance.Name, State: runtime.Running, Ready: true}
		for _, d := range different {
			if d.Name == instance.Name {
				component = d
			}
		}
		f.Observation.Components = append(f.Observation.Components, component)
	}
	return f
}

func with(f Facts, change func(*Facts)) Facts {
	change(&f)
	return f
}

func TestConditions(t *testing.T) {
	is := func(name string, state runtime.State, lastExit string) runtime.Component {
		return runtime.Component{Name: name, State: state, LastExit: lastExit}
	}
	served := func(f *Facts) { f.Served = true }
	fresh := func(f *Facts) { f.Bootstrapped = false }
	all := func(f *Facts, state runtime.State) {
		for i := range f.Observation.Components {
			f.Observation.Components[i].State, f.Observation.Components[i].Ready = state, false
		}
	}
	cases := map[string]struct {
		reason      string
		facts       Facts
		ready       string // status/reason
		progressing string
		message     string
	}{
		"Ready": {
			reason: "everything is there", facts: factsOf(v1alpha1.Single),
			ready: "True/Ready", progressing: "False/Ready", message: "every component is ready",
		},
		"Queued": {
			reason: "nothing runs and something is queued",
			facts: with(factsOf(v1alpha1.Single, is("etcd-a", runtime.Queued, "")), func(f *Facts) {
				all(f, runtime.Waiting)
				f.Observation.Components[0].State = runtime.Queued
				fresh(f)
			}),
			ready: "False/WaitingForSlot", progressing: "True/WaitingForSlot",
			message: "start-ups are paced to the cell's cores; the guest waits its turn",
		},
		"Starting": {
			reason: "etcd runs, the API server comes",
			facts:  with(factsOf(v1alpha1.Single, is("kube-apiserver-a", runtime.Starting, "")), fresh),
			ready:  "False/Starting", progressing: "True/Starting", message: "starting: kube-apiserver-a (Starting)",
		},
		"NotBootstrapped": {
			reason: "processes alone are no cluster",
			facts:  with(factsOf(v1alpha1.Single), fresh),
			ready:  "False/Starting", progressing: "True/Starting",
			message: "the API server answers; waiting for the default ServiceAccount",
		},
		"Failing": {
			reason: "a new guest whose component dies says so with its last words",
			facts:  with(factsOf(v1alpha1.Single, is("etcd-a", runtime.BackOff, "exit status 1: disk full"), is("kube-apiserver-a", runtime.Waiting, "")), fresh),
			ready:  "False/ComponentsFailed", progressing: "False/ComponentsFailed", message: "etcd-a: exit status 1: disk full",
		},
		"FailingAgain": {
			reason: "a component that is started again after it died does not make the reason change",
			facts:  with(factsOf(v1alpha1.Single, is("etcd-a", runtime.Starting, "exit status 1: disk full"), is("kube-apiserver-a", runtime.Waiting, "")), fresh),
			ready:  "False/ComponentsFailed", progressing: "False/ComponentsFailed", message: "etcd-a: exit status 1: disk full",
		},
		"Blocked": {
			reason: "a new guest says what keeps its component from starting",
			facts: with(factsOf(v1alpha1.Single, runtime.Component{
				Name: "etcd-a", State: runtime.Blocked, Message: "0/3 nodes are available: 3 Insufficient memory",
			}, is("kube-apiserver-a", runtime.Waiting, "")), fresh),
			ready: "False/Blocked", progressing: "False/Blocked", message: "etcd-a: 0/3 nodes are available: 3 Insufficient memory",
		},
		"ZoneBlockedAtBirth": {
			reason: "a new guest does not wait for a zone without room",
			facts: factsOf(v1alpha1.Zonal, runtime.Component{
				Name: "etcd-b", State: runtime.Blocked, Message: "0/3 nodes are available: 3 Insufficient memory",
			}),
			ready: "True/Degraded", progressing: "False/Degraded",
			message: "the guest serves without: etcd-b (Blocked: 0/3 nodes are available: 3 Insufficient memory)",
		},
		"BlockedLater": {
			reason: "what lacks is told rather than how it died long ago",
			facts: with(factsOf(v1alpha1.Single, runtime.Component{
				Name: "kube-apiserver-a", State: runtime.Blocked, LastExit: "signal: killed", Message: "no node",
			}), served),
			ready: "False/Unavailable", progressing: "False/Unavailable",
			message: "no API server answers: kube-apiserver-a (Blocked: no node)",
		},
		"Unavailable": {
			reason: "a guest that served has lost its only API server",
			facts:  with(factsOf(v1alpha1.Single, is("kube-apiserver-a", runtime.BackOff, "signal: killed")), served),
			ready:  "False/Unavailable", progressing: "False/Unavailable",
			message: "no API server answers: kube-apiserver-a (BackOff: signal: killed)",
		},
		"ZoneLost": {
			reason: "two zones of three serve",
			facts: with(factsOf(v1alpha1.Zonal, is("etcd-a", runtime.Held, ""), is("kube-apiserver-a", runtime.Held, ""),
				is("kube-controller-manager-a", runtime.Held, ""), is("kube-scheduler-a", runtime.Held, "")), served),
			ready: "True/Degraded", progressing: "False/Degraded",
			message: "the guest serves without: etcd-a (Held), kube-apiserver-a (Held), kube-controller-manager-a (Held), kube-scheduler-a (Held)",
		},
		"ZoneToCome": {
			reason: "a new guest is given the time to have all its zones",
			facts:  factsOf(v1alpha1.Zonal, is("kube-apiserver-c", runtime.Starting, "")),
			ready:  "False/Starting", progressing: "True/Starting", message: "starting: kube-apiserver-c (Starting)",
		},
		"ZoneHeldAtBirth": {
			reason: "a drill that holds a zone does not keep a new guest from being ready",
			facts:  factsOf(v1alpha1.Zonal, is("kube-apiserver-c", runtime.Held, "")),
			ready:  "True/Degraded", progressing: "False/Degraded", message: "the guest serves without: kube-apiserver-c (Held)",
		},
		"NoScheduler": {
			reason: "an API server that nobody acts for is not a working cluster",
			facts:  with(factsOf(v1alpha1.Single, is("kube-scheduler-a", runtime.BackOff, "")), served),
			ready:  "False/Degraded", progressing: "False/Degraded",
			message: "no kube-scheduler is ready: kube-scheduler-a (BackOff)",
		},
		"Frozen": {
			reason: "a superseded copy",
			facts:  with(factsOf(v1alpha1.Single), func(f *Facts) { f.Order.SupersededBy = 3 }),
			ready:  "False/Frozen", progressing: "False/Frozen",
			message: "epoch 3 lives in another cell and supersedes this copy, which has epoch 2; its data is kept",
		},
		"ProblemWhileServing": {
			reason: "a guest that serves stays ready when the agent cannot write",
			facts:  with(factsOf(v1alpha1.Single), func(f *Facts) { f.Problem = &Problem{v1alpha1.ReasonStorageFailed, "disk full"} }),
			ready:  "True/Ready", progressing: "False/StorageFailed", message: "every component is ready",
		},
		"Outdated": {
			reason: "a component runs as before; users miss nothing",
			facts:  with(factsOf(v1alpha1.Single), func(f *Facts) { f.Observation.Components[1].Outdated = true }),
			ready:  "True/Ready", progressing: "True/Updating", message: "every component is ready",
		},
		"ProblemAtBirth": {
			reason: "a new guest that cannot be made says why",
			facts:  Facts{Problem: &Problem{v1alpha1.ReasonStorageFailed, "disk full"}},
			ready:  "False/StorageFailed", progressing: "False/StorageFailed", message: "disk full",
		},
		"InvalidOrder": {
			reason: "an order that makes no sense is for the hub to put right",
			facts:  with(factsOf(v1alpha1.Single), func(f *Facts) { f.Problem = &Problem{v1alpha1.ReasonInvalidOrder, "no zones"} }),
			ready:  "False/InvalidOrder", progressing: "False/InvalidOrder", message: "no zones",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ready := Ready(c.facts)
			progressing := Progressing(c.facts, ready)
			got := []string{
				string(ready.Status) + "/" + ready.Reason, string(progressing.Status) + "/" + progressing.Reason, ready.Message,
			}
			if diff := cmp.Diff([]string{c.ready, c.progressing, c.message}, got); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", c.reason, diff)
			}
		})
	}
}

// TestConditionsAlwaysSaySomething: whatever the runtime reports, there is a reason and a message, and
// a guest is called ready only when an API server, a controller manager and a scheduler are.
func TestConditionsAlwaysSaySomething(t *testing.T) {
	states := []runtime.State{runtime.Waiting, runtime.Queued, runtime.Starting, runtime.Running, runtime.BackOff, runtime.Held, runtime.Blocked}
	rapid.Check(t, func(t *rapid.T) {
		f := factsOf(rapid.SampledFrom([]v1alpha1.Availability{v1alpha1.Single, v1alpha1.Zonal}).Draw(t, "availability"))
		f.Bootstrapped, f.Served = rapid.Bool().Draw(t, "bootstrapped"), rapid.Bool().Draw(t, "served")
		for i := range f.Observation.Components {
			c := &f.Observation.Components[i]
			c.State = rapid.SampledFrom(states).Draw(t, "state")
			c.Ready = c.State == runtime.Running
		}
		ready := Ready(f)
		progressing := Progressing(f, ready)
		for _, condition := range []metav1.Condition{ready, progressing} {
			if condition.Reason == "" || condition.Message == "" {
				t.Fatalf("%s says nothing: %+v", condition.Type, condition)
			}
		}
		if got := ready.Status == metav1.ConditionTrue; got && !serves(f) {
			t.Fatalf("called ready: %s", unready(f))
		}
	})
}
