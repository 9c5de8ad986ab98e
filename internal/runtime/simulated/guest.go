package simulated

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// shape is what manifests of many guests have in common: it is kept once for all of them.
type shape struct{ parts []outline }

// outline of a component.
type outline struct {
	name string
	kind controlplane.Kind
	zone int    // in world.zones; -1 for none
	salt uint64 // word of the name
	// after are the components that this one starts after; last that none starts after this one.
	after []int
	last  bool
}

// index of a component; -1 for none.
func (s *shape) index(name string) int {
	return slices.IndexFunc(s.parts, func(o outline) bool { return o.name == name })
}

// shapeKey tells shapes apart.
func shapeKey(m *controlplane.Manifest) string {
	var key strings.Builder
	for i := range m.Components {
		c := &m.Components[i]
		for _, text := range slices.Concat([]string{c.Name, string(c.Kind), c.Zone}, c.After) {
			key.WriteString(strconv.Quote(text))
		}
		key.WriteByte('\n')
	}
	return key.String()
}

// newShape of a manifest, of which it keeps only names.
func newShape(m *controlplane.Manifest, w *world) *shape {
	s := &shape{}
	for i := range m.Components {
		c := &m.Components[i]
		o := outline{name: c.Name, kind: c.Kind, zone: w.place(c.Zone), salt: word(c.Name), last: len(c.After) > 0}
		for _, after := range c.After {
			at := s.index(after)
			o.after = append(o.after, at)
			s.parts[at].last = false
		}
		s.parts = append(s.parts, o)
	}
	return s
}

// size that a component is given.
type size struct {
	milliCPU, memory int64
	limits           uint64 // hash of the limits, which take no room
}

func sizeOf(c *v1alpha1.ComponentSize) size {
	limits := fnv.New64a()
	for _, limit := range []*resource.Quantity{c.CPULimit, c.MemoryLimit} {
		if limit != nil {
			_ = binary.Write(limits, binary.LittleEndian, limit.MilliValue()) // never fails
		}
		_, _ = limits.Write([]byte{0})
	}
	return size{milliCPU: c.CPU.MilliValue(), memory: c.Memory.Value(), limits: limits.Sum64()}
}

// room that a component of that size takes: one pod with its address, and a volume for etcd's data.
func (s size) room(kind controlplane.Kind) room {
	r := room{cpu: s.milliCPU, memory: s.memory, pods: 1, addresses: 1}
	if kind == controlplane.Etcd {
		r[volumes] = 1
	}
	return r
}

// specHash of what a component must restart for. Sizes, first arguments, live files, probes and the order of starts
// are not in it, as in the process runtime; the image is, as in a cell of pods.
func specHash(c *controlplane.Component) uint64 {
	hash := fnv.New64a()
	var length [8]byte
	add := func(data []byte) {
		binary.LittleEndian.PutUint64(length[:], uint64(len(data)))
		_, _ = hash.Write(length[:]) // never fails, as below
		_, _ = hash.Write(data)
	}
	text := func(list ...string) {
		add([]byte(strconv.Itoa(len(list))))
		for _, s := range list {
			add([]byte(s))
		}
	}
	text(c.Program, c.Version, c.Image)
	text(c.Args...)
	text(c.Env...)
	files := slices.DeleteFunc(slices.Clone(c.Files), func(f controlplane.File) bool { return f.Live })
	slices.SortFunc(files, func(a, b controlplane.File) int { return cmp.Compare(a.Path, b.Path) })
	for i := range files {
		_, _ = io.WriteString(hash, "file")
		add([]byte(files[i].Path))
		add(files[i].Content)
	}
	return hash.Sum64()
}

// mostParts of a guest, which a set of 64 bits has to hold.
const mostParts = 64

// checkManifest refuses what no runtime could carry out.
func checkManifest(m *controlplane.Manifest) error {
	if m.ID == "" {
		return errors.New("simulated runtime: a manifest has no id: give it the guest's")
	}
	if len(m.Components) > mostParts {
		return fmt.Errorf("simulated runtime: manifest of guest %s has %d components: give it at most %d", m.ID, len(m.Components), mostParts)
	}
	known := map[string]bool{}
	for i := range m.Components {
		c := &m.Components[i]
		if c.Name == "" || known[c.Name] {
			return fmt.Errorf("simulated runtime: manifest of guest %s: component %d has the name %q: give each one a name of its own", m.ID, i, c.Name)
		}
		for _, after := range c.After {
			if !known[after] {
				return fmt.Errorf("simulated runtime: manifest of guest %s: component %s starts after %q, which must come earlier in the manifest", m.ID, c.Name, after)
			}
		}
		known[c.Name] = true
	}
	return nil
}

// adopt what a manifest wants. Components that it has dropped are gone at once.
func (g *guest) adopt(m *controlplane.Manifest, s *shape, w *world, now instant) {
	old, before := g.parts, g.shape
	g.shape, g.parts = s, make([]part, len(s.parts))
	kept := make([]bool, len(old))
	for i := range s.parts {
		if before != nil {
			if j := before.index(s.parts[i].name); j >= 0 && before.parts[j].zone == s.parts[i].zone {
				g.parts[i], kept[j] = old[j], true
			}
		}
		g.parts[i].ask(&m.Components[i], now)
	}
	for j := range old {
		if !kept[j] {
			w.release(before.parts[j].zone, old[j].booked)
		}
	}
	g.rollUntil = now.after(rollTime)
}

// ask for what a component of a manifest says.
func (p *part) ask(c *controlplane.Component, now instant) {
	wanted := sizeOf(&c.Size)
	if wanted != p.size {
		p.size, p.resized = wanted, never
	}
	p.wants, p.stopped = specHash(c), c.Stopped
	if p.state == untold {
		p.since = now
	}
}
