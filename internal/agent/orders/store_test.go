package orders

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

const id = "abcdefghij"

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestLife takes one guest from its order to its end, through a restart after every step.
func TestLife(t *testing.T) {
	dir := t.TempDir()
	spec := &v1alpha1.ControlPlaneSpec{ID: id, Epoch: 3, Tombstone: &v1alpha1.Tombstone{ID: id}}
	kept := spec.DeepCopy()
	kept.Tombstone = nil
	steps := []struct {
		name string
		run  func(*Store) error
		want Order
	}{
		{"put", func(s *Store) error { return s.Put(spec) }, Order{Spec: kept}},
		{"entomb", func(s *Store) error { return s.Entomb(id) }, Order{Spec: kept, Entombed: true}},
		{"entomb again", func(s *Store) error { return s.Entomb(id) }, Order{Spec: kept, Entombed: true}},
		{"put once more", func(s *Store) error { return s.Put(spec) }, Order{Spec: kept, Entombed: true}},
		{"remove", func(s *Store) error { return s.Remove(id) }, Order{Entombed: true}},
		{"remove again", func(s *Store) error { return s.Remove(id) }, Order{Entombed: true}},
		{"forget", func(s *Store) error { return s.Forget(id) }, Order{}},
	}
	for _, step := range steps {
		s := open(t, dir)
		var told []Order
		s.OnChange(func() { told = append(told, s.Get(id)) })
		must(t, step.run(s))
		if diff := cmp.Diff([]Order{step.want}, told); diff != "" {
			t.Errorf("%s: told (-want +got):\n%s", step.name, diff)
		}
		for when, store := range map[string]*Store{"at once": s, "after a restart": open(t, dir)} {
			if diff := cmp.Diff(step.want, store.Get(id)); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", step.name, when, diff)
			}
		}
	}
	if ids := open(t, dir).IDs(); len(ids) > 0 {
		t.Errorf("left over: %v", ids)
	}
}

func TestRefusals(t *testing.T) {
	cases := map[string]struct {
		reason string
		run    func(*Store) error
	}{
		"PathAsID":      {"ids become names of files", func(s *Store) error { return s.Put(&v1alpha1.ControlPlaneSpec{ID: "../../etc/x"}) }},
		"PathEntombed":  {"ids become names of files", func(s *Store) error { return s.Entomb("../agent.lock") }},
		"NoTombstone":   {"nothing is removed without a tombstone", func(s *Store) error { return s.Remove(id) }},
		"ForgetTooSoon": {"the tombstone goes last", func(s *Store) error { return s.Forget(id) }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir())
			must(t, s.Put(&v1alpha1.ControlPlaneSpec{ID: id}))
			if c.run(s) == nil {
				t.Errorf("was not refused: %s", c.reason)
			}
			if s.Get(id).Spec == nil {
				t.Error("the order is gone")
			}
		})
	}
}

func TestBroken(t *testing.T) {
	cases := map[string]string{
		"HalfWritten": `{"id": "abcdefghij", "ver`,
		"Empty":       "",
		"OtherGuest":  `{"id": "zzzzzzzzzz"}`,
	}
	for name, content := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, open(t, dir).Put(&v1alpha1.ControlPlaneSpec{ID: "bbbbbbbbbb"}))
			must(t, os.WriteFile(filepath.Join(dir, "orders", id+".json"), []byte(content), 0o600))
			s := open(t, dir)
			if s.Get(id).Spec != nil {
				t.Error("a broken order was taken")
			}
			if diff := cmp.Diff([]string{"bbbbbbbbbb"}, s.IDs()); diff != "" {
				t.Errorf("other guests (-want +got):\n%s", diff)
			}
			aside, err := os.ReadFile(filepath.Join(dir, "orders", id+".json.broken"))
			if err != nil || string(aside) != content {
				t.Errorf("was not set aside: %v", err)
			}
		})
	}
}
