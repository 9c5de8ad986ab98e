package simulated

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// TestSpecHash tells which changes restart a component.
func TestSpecHash(t *testing.T) {
	component := func() controlplane.Component {
		return controlplane.Component{
			Program: "etcd", Version: "v3.6.16", Image: "registry/etcd:1", Args: []string{"--a", "--b"}, FirstArgs: []string{"--first"}, Env: []string{"A=1"},
			Files: []controlplane.File{{Path: "x", Content: []byte("1")}, {Path: "y", Content: []byte("2"), Live: true}},
			Probe: &controlplane.Probe{Path: "/readyz"}, After: []string{"z"}, StopSeconds: 5,
		}
	}
	for _, c := range []struct {
		reason  string
		change  func(*controlplane.Component)
		restart bool
	}{
		{"nothing", func(*controlplane.Component) {}, false},
		{"another program", func(c *controlplane.Component) { c.Program = "etcd2" }, true},
		{"another version", func(c *controlplane.Component) { c.Version = "v3.6.17" }, true},
		{"another image", func(c *controlplane.Component) { c.Image = "registry/etcd:2" }, true},
		{"another argument", func(c *controlplane.Component) { c.Args[1] = "--c" }, true},
		{"one argument instead of two", func(c *controlplane.Component) { c.Args = []string{"--a--b"} }, true},
		{"an argument that has become a variable", func(c *controlplane.Component) { c.Args, c.Env = c.Args[:1], []string{"--b", "A=1"} }, true},
		{"first arguments are for the next start", func(c *controlplane.Component) { c.FirstArgs = nil }, false},
		{"another variable", func(c *controlplane.Component) { c.Env[0] = "A=2" }, true},
		{"a file that is read at the start", func(c *controlplane.Component) { c.Files[0].Content = []byte("3") }, true},
		{"a file that is gone", func(c *controlplane.Component) { c.Files = c.Files[1:] }, true},
		{"a file that is read again when it changes", func(c *controlplane.Component) { c.Files[1].Content = []byte("3") }, false},
		{"the order of files", func(c *controlplane.Component) {
			c.Files = []controlplane.File{{Path: "w", Content: []byte("0"), Live: true}, c.Files[1], c.Files[0]}
		}, false},
		{"the size", func(c *controlplane.Component) { c.Size.CPU = resource.MustParse("7") }, false},
		{"the probe", func(c *controlplane.Component) { c.Probe = nil }, false},
		{"the order of starts", func(c *controlplane.Component) { c.After = nil }, false},
		{"the time to stop", func(c *controlplane.Component) { c.StopSeconds = 9 }, false},
	} {
		before, after := component(), component()
		c.change(&after)
		if restart := specHash(&before) != specHash(&after); restart != c.restart {
			t.Errorf("%s: restarts is %t", c.reason, restart)
		}
	}
}

// TestLimits: a changed limit is a changed size, which takes no room.
func TestLimits(t *testing.T) {
	m := newModel(1, 0, "3") // zone a is full
	m.wait(10 * time.Second)
	limited := func(m *controlplane.Manifest) { m.Components[0].Size.CPULimit = new(resource.MustParse("4")) }
	m.apply(0, limited)
	if got := m.states(0); got != "R*RR/RRR/R" {
		t.Errorf("the limit is in place at once: %s", got)
	}
	m.wait(time.Second)
	if got := m.states(0); got != "RRR/RRR/R" {
		t.Errorf("the limit is not in place: %s", got)
	}
}
