package process

import "testing"

func TestStopAll(t *testing.T) {
	b := newBench(t)
	b.apply(manifest(server(t, "etcd-a", "a"), server(t, "api-a", "a", "etcd-a")))
	b.ready("g")
	if err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := b.processes(); len(left) > 0 {
		t.Errorf("Stop() left %v", left)
	}
	b.restart()
	b.ready("g")
}

// TestResume: somebody stops everything and then thinks better of it; the supervisor lives on.
func TestResume(t *testing.T) {
	b := newBench(t)
	b.apply(manifest(server(t, "etcd-a", "a")))
	b.ready("g")
	if err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	pids := b.ready("g")
	if err := b.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := b.ready("g"); again[0] != pids[0] {
		t.Errorf("Resume() of what runs restarted it: %v became %v", pids, again)
	}
}
