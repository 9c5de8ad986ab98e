package plan

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const valid = `
name: web
maxRate: 30
phases:
- name: up
  duration: 90s
  ramp: 10s
  hold: true
  target:
    nodes: 3
    objects:
      configmaps: {count: 10, bytes: 100}
      deployments: {count: 2, replicas: 3}
    crds: 2
    customResources: {count: 5}
    watches: 4
  rates: {get: 2.5}
  misbehave: {conflicts: 1}
`

func TestDecode(t *testing.T) {
	got, err := Decode([]byte(valid))
	if err != nil {
		t.Fatal(err)
	}
	want := Mix{Name: "web", MaxRate: 30, Phases: []Phase{{
		Name: "up", Duration: seconds(90), Ramp: seconds(10), Hold: true,
		Target: Target{
			Nodes: 3, CRDs: 2, CustomResources: Amount{Count: 5}, Watches: 4,
			Objects: map[Kind]Amount{ConfigMaps: {Count: 10, Bytes: 100}, Deployments: {Count: 2, Replicas: 3}},
		},
		Rates: Rates{Get: 2.5}, Misbehave: Misbehaviour{Conflicts: 1},
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	_, phases, _ := strings.Cut(valid, "phases:")
	for _, c := range []struct {
		reason    string
		from, to  string
		complains []string
	}{
		{"a field that does not exist", "ramp: 10s", "rampp: 10s", []string{`unknown field "phases[0].rampp"`, "the fields there are:", " ramp,"}},
		{"a field twice", "ramp: 10s", "ramp: 10s\n  ramp: 11s", []string{"already set"}},
		{"no YAML", "name: web", "name: [", []string{"read a mix"}},
		{"a time without a unit", "90s", "90", []string{"durations are written like 90s"}},
		{"no name", "name: web", "name: ''", []string{"name: it is empty"}},
		{"no phase", phases, " []", []string{"phases: there are 0: write 1 to 50"}},
		{"two phases of one name", "- name: up", "- {name: up, duration: 1s}\n- name: up", []string{`phases[1] "up".name`, "no other phase has"}},
		{"a rate beyond the bound", "maxRate: 30", "maxRate: 501", []string{"maxRate: 501 is out of bounds", "0 to 500"}},
		{"a negative rate", "get: 2.5", "get: -1", []string{`phases[0] "up".rates.get: -1 is out of bounds`}},
		{"no number", "get: 2.5", "get: .nan", []string{"read a mix"}},
		{"a phase that is too long", "90s", "5h", []string{"they take 5h0m0s together", `phases[0] "up".duration`}},
		{"a phase without time", "90s", "0s", []string{`phases[0] "up".duration: 0s is out of bounds`, "like 90s"}},
		{"a ramp that is longer than its phase", "ramp: 10s", "ramp: 91s", []string{`.ramp: 1m31s is longer than the phase`}},
		{"too many nodes", "nodes: 3", "nodes: 1001", []string{".target.nodes: 1001 is out of bounds: write a number from 0 to 1000"}},
		{"too many CRDs", "crds: 2", "crds: 51", []string{".target.crds: 51"}},
		{"too many watches", "watches: 4", "watches: 501", []string{".target.watches: 501"}},
		{"an object that is too large", "bytes: 100", "bytes: 131073", []string{".objects.configmaps.bytes: 131073"}},
		{"too much content", "count: 10, bytes: 100", "count: 10000, bytes: 100000", []string{".target: it is 1000000000 bytes of content"}},
		{"too many objects", "{count: 5}", "{count: 19999}", []string{".target: it is 40016 objects, replicas included"}},
		{"too many services", "configmaps: {count: 10", "services: {count: 201", []string{".objects.services.count: 201"}},
		{"too many replicas", "replicas: 3", "replicas: 51", []string{".objects.deployments.replicas: 51"}},
		{"replicas of what has none", "bytes: 100", "replicas: 2", []string{".objects.configmaps.replicas: only deployments have replicas"}},
		{"an unknown kind", "configmaps:", "configMaps:", []string{".objects.configMaps: there is no such kind", "write one of configmaps, secrets"}},
		{"pods on no nodes", "nodes: 3\n    objects:", "objects:\n      nodePods: {count: 1}", []string{".objects.nodePods: there are no nodes"}},
		{"custom resources of no kind", "crds: 2", "crds: 0", []string{".customResources: they need a kind: write crds"}},
		{"rates beyond the mix's", "get: 2.5", "churn: 15", []string{"sum up to 32.2 requests/s", "maxRate of more than 30"}},
		{"objects that do not fit the time", "count: 10,", "count: 5000,", []string{"5024 objects and watches to make and delete do not fit", "longer duration"}},
	} {
		broken := strings.Replace(valid, c.from, c.to, 1)
		if broken == valid {
			t.Fatalf("%s: the case changes nothing", c.reason)
		}
		_, err := Decode([]byte(broken))
		if err == nil {
			t.Errorf("%s: accepted", c.reason)
			continue
		}
		for _, part := range c.complains {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q is not in: %v", c.reason, part, err)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(valid))
	f.Add([]byte("phases: [{duration: 1s, target: {objects: {pods: null}}}]"))
	f.Fuzz(func(t *testing.T, content []byte) {
		mix, err := Decode(content)
		if err == nil && mix.Duration() > MaxDuration {
			t.Errorf("a mix of %s was accepted", mix.Duration())
		}
	})
}

func TestStretch(t *testing.T) {
	for _, c := range []struct {
		reason       string
		length, ramp float64
	}{
		{"ramps stay as they are in longer phases", 60, 3},
		{"half of 6 seconds leaves half the ramp of 3", 3, 1.5},
	} {
		mix := small().Stretch(seconds(c.length).Duration, true)
		for _, phase := range mix.Phases {
			if phase.Duration != seconds(c.length) || !phase.Hold {
				t.Errorf("%s: phase %s takes %s and hold is %t", c.reason, phase.Name, phase.Duration.Duration, phase.Hold)
			}
		}
		if got := mix.Phases[0].Ramp; got != seconds(c.ramp) {
			t.Errorf("%s: the ramp takes %s", c.reason, got.Duration)
		}
	}
	if diff := cmp.Diff(small(), small().Stretch(0, false)); diff != "" {
		t.Errorf("stretching by nothing changed the mix:\n%s", diff)
	}
}
