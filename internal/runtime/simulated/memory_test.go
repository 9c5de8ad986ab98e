package simulated

import (
	"fmt"
	goruntime "runtime"
	"testing"
	"time"
)

// mostBytes that a guest may take.
const mostBytes = 20 << 10

// heap in use once all garbage is gone.
func heapInUse() uint64 {
	var stats goruntime.MemStats
	goruntime.GC()
	goruntime.GC() // what the first one finalized
	goruntime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// fill a runtime with Zonal guests from real manifests, let them start, and return what each takes. Every manifest
// is made anew, as an agent does, so that what would hold on to it is seen.
func fill(t testing.TB, guests int) (*bench, float64) {
	t.Helper()
	b := newBench(t, func(o *Options) { o.Capacity, o.DeathsPerYear = capacity("1M", "1Pi"), 1 })
	before := heapInUse()
	for i := range guests {
		b.apply(b.render(order(fmt.Sprintf("guest%05d", i))))
	}
	b.clock.Step(time.Hour)
	for _, id := range b.IDs() {
		if _, ok := b.Started(id); !ok {
			t.Fatalf("%s has not started: %+v", id, b.observe(id))
		}
	}
	return b, float64(heapInUse()-before) / float64(guests)
}

// TestMemory: a guest costs little, whatever its manifest weighs.
func TestMemory(t *testing.T) {
	b, each := fill(t, 1000)
	t.Logf("a Zonal guest takes %.0f bytes", each)
	if each > mostBytes {
		t.Errorf("a Zonal guest takes %.0f bytes, want at most %d", each, mostBytes)
	}
	goruntime.KeepAlive(b)
}

// BenchmarkMemory reports the bytes that each of 10,000 Zonal guests takes.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		made, each := fill(b, 10000)
		b.ReportMetric(each, "bytes/guest")
		goruntime.KeepAlive(made)
	}
}
