package simulated

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// model is one guest, or two, in a world without a clock. Starts take exactly 1 s (etcd), 2 s (API server) and
// 3 s (controller manager).
type model struct {
	w      *world
	now    instant
	guests []*guest
	next   []instant
}

// components of the guests: three members, three API servers, a controller manager.
func components() controlplane.Manifest {
	m := controlplane.Manifest{ID: "g"}
	add := func(name string, kind controlplane.Kind, after ...string) {
		m.Components = append(m.Components, controlplane.Component{
			Name: name, Kind: kind, Zone: name[len(name)-1:], After: after,
			Size: v1alpha1.ComponentSize{CPU: resource.MustParse("1"), Memory: resource.MustParse("1Gi")},
		})
	}
	for _, zone := range []string{"a", "b", "c"} {
		add("etcd-"+zone, controlplane.Etcd)
	}
	for _, zone := range []string{"a", "b", "c"} {
		add("api-"+zone, controlplane.APIServer, "etcd-"+zone)
	}
	add("kcm-a", controlplane.ControllerManager, "api-a")
	return m
}

func newModel(guests, slots int, cores string) *model {
	exactly := func(d time.Duration) Start { return Start{Median: d, P99: d} }
	m := &model{w: newWorld(Options{Capacity: capacity(cores, "1Ti"), Slots: slots, Starts: Starts{
		controlplane.Etcd: exactly(time.Second), controlplane.APIServer: exactly(2 * time.Second), controlplane.ControllerManager: exactly(3 * time.Second),
	}})}
	for i := range guests {
		m.guests = append(m.guests, &guest{id: string(rune('g' + i)), seed: uint64(i), started: never, index: -1})
		m.next = append(m.next, never)
	}
	for i := range guests {
		m.apply(i)
	}
	return m
}

// apply what components says, changed, to a guest.
func (m *model) apply(i int, change ...func(*controlplane.Manifest)) {
	wanted := components()
	for _, c := range change {
		c(&wanted)
	}
	m.guests[i].adopt(&wanted, newShape(&wanted, m.w), m.w, m.now)
	m.look()
}

// look at all guests now.
func (m *model) look() {
	for again := true; again; {
		for i, g := range m.guests {
			m.next[i], _ = g.step(m.now, m.w)
		}
		again, m.w.touched = len(m.w.touched) > 0, nil
	}
}

func (m *model) wait(d time.Duration) {
	for end := m.now.after(d); ; {
		next := end
		for _, at := range m.next {
			next = min(next, at)
		}
		m.now = next
		m.look()
		if next == end {
			return
		}
	}
}

func (m *model) hold(zone string, mode v1alpha1.DrillMode) {
	m.w.hold([]v1alpha1.Drill{{Zone: zone, Mode: mode}})
	m.look()
}

// kill a component by chance.
func (m *model) kill(name string) {
	g := m.guests[0]
	g.parts[g.shape.index(name)].dies = m.now
	m.look()
}

// changed has components restart.
func changed(names ...string) func(*controlplane.Manifest) {
	return func(m *controlplane.Manifest) {
		for i := range m.Components {
			for _, name := range names {
				if m.Components[i].Name == name {
					m.Components[i].Args = append(m.Components[i].Args, "--changed")
				}
			}
		}
	}
}

func sized(cores string) func(*controlplane.Manifest) {
	return func(m *controlplane.Manifest) { m.Components[0].Size.CPU = resource.MustParse(cores) }
}

func stopped(m *controlplane.Manifest) {
	for i := range m.Components[3:] {
		m.Components[3+i].Stopped = true
	}
}

// withoutServer in zone a, which the controller manager starts after.
func withoutServer(m *controlplane.Manifest) { m.Components[3].Stopped = true }

// states of a guest, a letter each: Running, Starting, Waiting, Queued, BackOff as D (died), Held, Blocked. One that
// runs and is not ready is r, one that is outdated has an asterisk.
func (m *model) states(i int) string {
	var text strings.Builder
	for j := range m.guests[i].parts {
		p := &m.guests[i].parts[j]
		letter := string(" WQSRDHB"[p.state])
		if p.state == running && !p.ready {
			letter = "r"
		}
		if p.outdated {
			letter += "*"
		}
		if j == 3 || j == 6 {
			text.WriteByte('/')
		}
		text.WriteString(letter)
	}
	return text.String()
}

// TestMachine tells how the components of a guest are by what happened to it.
func TestMachine(t *testing.T) {
	ready := func(m *model) { m.wait(10 * time.Second) }
	for _, c := range []struct {
		reason string
		slots  int
		cores  string // of each zone; empty: enough
		guests int
		do     []func(*model)
		want   []string // of each guest
	}{
		{reason: "members start at once, the others wait", do: nil, want: []string{"SSS/WWW/W"}},
		{
			reason: "an API server starts when its member is ready",
			do:     []func(*model){func(m *model) { m.wait(time.Second) }}, want: []string{"RRR/SSS/W"},
		},
		{
			reason: "a controller manager starts when its API server is ready",
			do:     []func(*model){func(m *model) { m.wait(3 * time.Second) }}, want: []string{"RRR/RRR/S"},
		},
		{reason: "all are ready after the sum of their starts", do: []func(*model){func(m *model) { m.wait(6 * time.Second) }}, want: []string{"RRR/RRR/R"}},
		{
			reason: "one guest at a time with one slot; the second one's members are queued", slots: 1, guests: 2,
			want: []string{"SSS/WWW/W", "QQQ/WWW/W"},
		},
		{
			reason: "the slot is free when only what nobody waits for is missing", slots: 1, guests: 2,
			do: []func(*model){func(m *model) { m.wait(3 * time.Second) }}, want: []string{"RRR/RRR/S", "SSS/WWW/W"},
		},
		{
			reason: "a guest that cannot start holds up others for a minute only", slots: 1, guests: 2, do: []func(*model){func(m *model) {
				m.w.starts[controlplane.Etcd] = Start{Median: time.Hour, P99: time.Hour}
				for i := range 3 { // so that they start anew, and take that long
					m.guests[0].discard(i)
				}
				m.look()
				m.wait(time.Minute)
			}}, want: []string{"SSS/WWW/W", "SSS/WWW/W"},
		},
		{
			reason: "what does not fit is blocked, what waits for it waits", cores: "2",
			want: []string{"SSS/WWW/B"},
		},
		{
			reason: "what a guest does not need any more is for those that are blocked", cores: "3", guests: 2,
			do: []func(*model){func(m *model) {
				m.apply(0, stopped)
				m.wait(10 * time.Second)
			}}, want: []string{"RRR/HHH/H", "RRR/RRR/B"}, // 1 core of the first, 2 of the second in zone a
		},
		{
			reason: "a dead component pauses", do: []func(*model){ready, func(m *model) { m.kill("kcm-a") }},
			want: []string{"RRR/RRR/D"},
		},
		{
			reason: "and starts again after a quarter of a second",
			do:     []func(*model){ready, func(m *model) { m.kill("kcm-a"); m.wait(250 * time.Millisecond) }}, want: []string{"RRR/RRR/S"},
		},
		{
			reason: "an API server without its member runs and is not ready", do: []func(*model){ready, func(m *model) { m.kill("etcd-b") }},
			want: []string{"RDR/RrR/R"},
		},
		{
			reason: "no API server is ready without a quorum", do: []func(*model){ready, func(m *model) {
				m.kill("etcd-b")
				m.kill("etcd-c")
			}}, want: []string{"RDD/rrr/R"},
		},
		{
			reason: "what changed restarts, the first one first", do: []func(*model){ready, func(m *model) { m.apply(0, changed("api-b", "api-c", "kcm-a")) }},
			want: []string{"RRR/RS*R*/R*"},
		},
		{
			reason: "the next one when that is ready: it took 3 s to end and 2 s to start",
			do:     []func(*model){ready, func(m *model) { m.apply(0, changed("api-b", "api-c", "kcm-a")); m.wait(5 * time.Second) }},
			want:   []string{"RRR/RRS*/R*"},
		},
		{
			reason: "in the end all run as they should",
			do:     []func(*model){ready, func(m *model) { m.apply(0, changed("api-b", "api-c", "kcm-a")); m.wait(14 * time.Second) }},
			want:   []string{"RRR/RRR/R"},
		},
		{
			reason: "a restart waits for what is broken",
			do: []func(*model){ready, func(m *model) {
				m.w.starts[controlplane.ControllerManager] = Start{Median: time.Hour, P99: time.Hour}
				m.kill("kcm-a")
				m.apply(0, changed("api-b"))
				m.wait(119 * time.Second)
			}}, want: []string{"RRR/RR*R/S"},
		},
		{
			reason: "for two minutes", do: []func(*model){ready, func(m *model) {
				m.w.starts[controlplane.ControllerManager] = Start{Median: time.Hour, P99: time.Hour}
				m.kill("kcm-a")
				m.apply(0, changed("api-b"))
				m.wait(120 * time.Second)
			}}, want: []string{"RRR/RS*R/S"},
		},
		{
			reason: "a member never restarts while another one is away", do: []func(*model){ready, func(m *model) {
				m.hold("c", v1alpha1.DrillKill)
				m.apply(0, changed("etcd-a"))
				m.wait(time.Hour)
			}}, want: []string{"R*RH/RRH/R"},
		},
		{
			reason: "a restart waits for one that waits for what does not come back", do: []func(*model){ready, func(m *model) {
				m.apply(0, changed("kcm-a"), withoutServer)
				m.apply(0, changed("kcm-a", "etcd-b"), withoutServer)
				m.wait(119 * time.Second)
			}}, want: []string{"RR*R/HRR/W"},
		},
		{
			reason: "for two minutes, too", do: []func(*model){ready, func(m *model) {
				m.apply(0, changed("kcm-a"), withoutServer)
				m.apply(0, changed("kcm-a", "etcd-b"), withoutServer)
				m.wait(122 * time.Second)
			}}, want: []string{"RRR/HRR/W"},
		},
		{
			reason: "what has changed back does not restart", do: []func(*model){ready, func(m *model) {
				m.apply(0, changed("api-b", "api-c"))
				m.apply(0)
				m.wait(5 * time.Second)
			}}, want: []string{"RRR/RRR/R"},
		},
		{
			reason: "a changed size is being put in place", do: []func(*model){ready, func(m *model) { m.apply(0, sized("2")) }},
			want: []string{"R*RR/RRR/R"},
		},
		{
			reason: "and is after a second, without a restart", do: []func(*model){ready, func(m *model) { m.apply(0, sized("2")); m.wait(time.Second) }},
			want: []string{"RRR/RRR/R"},
		},
		{
			reason: "a size that does not fit waits, and all goes on", cores: "3",
			do: []func(*model){ready, func(m *model) { m.apply(0, sized("2")); m.wait(time.Hour) }}, want: []string{"R*RR/RRR/R"},
		},
		{
			reason: "until there is room", cores: "3", do: []func(*model){ready, func(m *model) {
				m.apply(0, sized("2"))
				m.wait(time.Hour)
				m.apply(0, sized("2"), stopped)
				m.wait(time.Second)
			}}, want: []string{"RRR/HHH/H"},
		},
		{
			reason: "a killed zone is held", do: []func(*model){ready, func(m *model) { m.hold("b", v1alpha1.DrillKill); m.wait(time.Hour) }},
			want: []string{"RHR/RHR/R"},
		},
		{
			reason: "what was killed starts again, in turn", do: []func(*model){ready, func(m *model) {
				m.hold("b", v1alpha1.DrillKill)
				m.hold("", "")
			}}, want: []string{"RSR/RWR/R"},
		},
		{
			reason: "what hung goes on", do: []func(*model){ready, func(m *model) {
				m.hold("b", v1alpha1.DrillHang)
				m.wait(time.Hour)
				m.hold("", "")
			}}, want: []string{"RRR/RRR/R"},
		},
		{
			reason: "what hung while it started needs the rest of its time", do: []func(*model){func(m *model) {
				m.wait(600 * time.Millisecond)
				m.hold("b", v1alpha1.DrillHang)
				m.wait(time.Hour)
				m.hold("", "")
				m.wait(399 * time.Millisecond)
			}}, want: []string{"RSR/RWR/R"},
		},
	} {
		m := newModel(max(1, c.guests), c.slots, map[bool]string{true: c.cores, false: "100"}[c.cores != ""])
		for _, do := range c.do {
			do(m)
		}
		var got []string
		for i := range m.guests {
			got = append(got, m.states(i))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.reason, diff)
		}
	}
}

// TestBackoff: the pause doubles with each death in a row, and begins anew after ten seconds of health.
func TestBackoff(t *testing.T) {
	m := newModel(1, 0, "100")
	m.wait(10 * time.Second)
	kcm := &m.guests[0].parts[6]
	var pauses []time.Duration
	for i := range 10 {
		m.kill("kcm-a")
		pauses = append(pauses, time.Duration(kcm.at-m.now))
		m.wait(time.Duration(kcm.at-m.now) + time.Second)
		if int(kcm.restarts) != i+1 || !strings.Contains(kcm.lastExit, " after ") {
			t.Errorf("death %d: %d restarts, %q", i+1, kcm.restarts, kcm.lastExit)
		}
	}
	m.wait(time.Minute)
	m.kill("kcm-a")
	pauses = append(pauses, time.Duration(kcm.at-m.now))
	want := []time.Duration{250e6, 500e6, 1e9, 2e9, 4e9, 8e9, 16e9, 30e9, 30e9, 30e9, 250e6}
	if diff := cmp.Diff(want, pauses); diff != "" {
		t.Errorf("pauses (-want +got):\n%s", diff)
	}
}
