package roll

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestTranscripts plays what happens to a guest from one order to the next.
func TestTranscripts(t *testing.T) {
	every := []controlplane.Kind{controlplane.Etcd, controlplane.APIServer, controlplane.ControllerManager, controlplane.Scheduler}
	cases := map[string]struct {
		reason string
		model  *model
		change func(m *model)
	}{
		"create-single": {
			reason: "each component is created when what it needs has been ready, an API server when its etcd runs",
			model:  newModel("a"), change: func(*model) {},
		},
		"create-zonal": {
			reason: "etcd's members find each other: all are created at once, and no zone waits for another",
			model:  newModel("a", "b", "c"), change: func(*model) {},
		},
		"upgrade-zonal": {
			reason: "zone by zone: API server stopped, etcd, API server; then the controllers one by one",
			model:  running("a", "b", "c"), change: func(m *model) { m.want("2", every...) },
		},
		"upgrade-single": {
			reason: "the same order without any other zone to wait for",
			model:  running("a"), change: func(m *model) { m.want("2", every...) },
		},
		"api-servers-only": {
			reason: "etcd is left alone when nothing of it changes",
			model:  running("a", "b", "c"), change: func(m *model) { m.want("2", controlplane.APIServer) },
		},
		"bad-version": {
			reason: "a version that does not start stops in the first zone",
			model:  running("a", "b", "c"),
			change: func(m *model) { m.specs["2"] = true; m.want("2", every...) },
		},
		"bad-version-back": {
			reason: "the way back begins with the zone that is broken",
			model:  running("a", "b", "c"),
			change: func(m *model) {
				m.specs["2"] = true
				m.want("2", every...)
				m.settle(nil)
				m.logf("-- back")
				m.want("1", every...)
			},
		},
		"broken-zone-first": {
			reason: "a zone that does not serve anyway is updated first: it costs no other",
			model:  running("a", "b", "c"),
			change: func(m *model) {
				m.component("kube-apiserver-c").Pod.Ready = false
				m.component("kube-apiserver-c").Pod.State = runtime.BackOff
				m.want("2", every...)
			},
		},
		"zone-away": {
			reason: "while a zone is away nothing else of the quorum is touched",
			model:  running("a", "b", "c"),
			change: func(m *model) {
				for _, name := range []string{"etcd-c", "kube-apiserver-c"} {
					m.component(name).Pod.Ready, m.component(name).Pod.NodeAway = false, true
				}
				m.want("2", every...)
			},
		},
		"resize": {
			reason: "in place, one after the other, nothing restarts",
			model:  running("a", "b", "c"),
			change: func(m *model) { m.resize("large", controlplane.Etcd, controlplane.APIServer) },
		},
		"resize-impossible": {
			reason: "where pods cannot be resized they are replaced in the order of an update",
			model:  running("a", "b", "c"),
			change: func(m *model) { m.rigid = true; m.resize("large", controlplane.APIServer) },
		},
		"frozen": {
			reason: "a copy that is superseded stops and keeps etcd and its data",
			model:  running("a", "b", "c"),
			change: func(m *model) {
				for i := range m.guest.Components {
					m.guest.Components[i].Stopped = m.guest.Components[i].Kind != controlplane.Etcd
				}
			},
		},
		"drill": {
			reason: "a zone is killed and held, and comes back",
			model:  running("a", "b", "c"),
			change: func(m *model) {
				m.hold("b", true)
				m.settle(nil)
				m.logf("-- over")
				m.hold("b", false)
			},
		},
		"dropped": {
			reason: "what is dropped goes in the order in which it was needed, members of etcd one at a time",
			model:  running("a", "b", "c"),
			change: func(m *model) {
				for i := range m.guest.Components {
					m.guest.Components[i].Dropped = m.guest.Components[i].Zone != "a"
				}
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.change(c.model)
			if !c.model.settle(nil) {
				t.Errorf("%s: it never ends:\n%s", c.reason, c.model.transcript())
			}
			path := filepath.Join("testdata", name+".txt")
			got := "# " + c.reason + "\n" + c.model.transcript()
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("%s (-want +got; -update writes it anew):\n%s", c.reason, diff)
			}
		})
	}
}

func (m *model) resize(size string, kinds ...controlplane.Kind) {
	for i := range m.guest.Components {
		for _, kind := range kinds {
			if c := &m.guest.Components[i]; c.Kind == kind {
				m.sizes[c.Name] = size
			}
		}
	}
}

func (m *model) hold(zone string, held bool) {
	for i := range m.guest.Components {
		if c := &m.guest.Components[i]; c.Zone == zone {
			c.Held = held
		}
	}
}
