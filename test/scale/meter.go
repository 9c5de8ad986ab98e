package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"sync"
	"time"

	"github.com/myriad-fleet/myriad/test/fleet"
	"github.com/myriad-fleet/myriad/test/scale/plots"
	"github.com/myriad-fleet/myriad/test/usage"
)

// instances of the platform that make up a part.
var instances = map[string]string{
	plots.PartHub: "platform/controllers/hub", plots.PartEtcd: "platform/hub/etcd-hub",
	plots.PartAPIServer: "platform/hub/kube-apiserver-hub", plots.PartControllers: "platform/hub/kube-controller-manager-hub",
}

// meterPeriod is the pause between two readings.
const meterPeriod = 2 * time.Second

// reading is what every part has taken until a time.
type reading struct {
	at time.Time
	// seconds of CPU by part since the meter began, processes that were replaced included.
	seconds map[string]float64
	// mebibytes of memory by part now (RSS).
	mebibytes map[string]float64
}

// cores that each part took between two readings.
func (r reading) cores(before reading) map[string]float64 {
	took := map[string]float64{}
	for _, part := range plots.Parts {
		took[part] = (r.seconds[part] - before.seconds[part]) / r.at.Sub(before.at).Seconds()
	}
	return took
}

// meter reads what the processes of the fleet use.
type meter struct {
	fleet *fleet.Fleet
	fixed map[string]int // process ids by part, of those that are not the platform's

	mu    sync.Mutex
	pids  map[string]int
	known map[int]float64 // CPU seconds by process, as read last
	last  reading
	peaks map[string]float64 // MiB by part since peaks were last taken
}

func newMeter(f *fleet.Fleet, hosts []*hostProcess) *meter {
	m := &meter{fleet: f, fixed: map[string]int{plots.PartGenerator: os.Getpid()}, known: map[int]float64{}, peaks: map[string]float64{}}
	for _, host := range hosts {
		m.fixed[host.name] = host.command.Process.Pid
	}
	m.last = reading{at: time.Now(), seconds: map[string]float64{}, mebibytes: map[string]float64{}}
	return m
}

// find the processes of the platform: they may have been replaced.
func (m *meter) find() error {
	platform, err := m.fleet.PIDs("platform/")
	if err != nil {
		return err
	}
	pids := map[string]int{}
	for part, instance := range instances {
		if pid, ok := platform[instance]; ok {
			pids[part] = pid
		}
	}
	maps.Copy(pids, m.fixed)
	m.pids = pids
	return nil
}

// read everything now. A part that does not run has taken nothing since it was read last.
func (m *meter) read() (reading, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.find(); err != nil {
		return reading{}, err
	}
	next := reading{at: time.Now(), seconds: map[string]float64{}, mebibytes: map[string]float64{}}
	for _, part := range plots.Parts {
		next.seconds[part] = m.last.seconds[part]
		pid, runs := m.pids[part]
		if !runs {
			continue
		}
		seconds, err := usage.CPUSeconds(pid)
		if err != nil {
			continue // it has just ended
		}
		next.seconds[part] += seconds - m.known[pid]
		m.known[pid] = seconds
		if next.mebibytes[part], err = usage.RSS(pid); err == nil {
			m.peaks[part] = max(m.peaks[part], next.mebibytes[part])
		}
	}
	m.last = next
	return next, nil
}

// takePeaks returns the most memory of each part since it was last called, in MiB.
func (m *meter) takePeaks() map[string]float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	peaks := m.peaks
	m.peaks = map[string]float64{}
	return peaks
}

// pid of a part now.
func (m *meter) pid(part string) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.find(); err != nil {
		return 0, err
	}
	if m.pids[part] == 0 {
		return 0, fmt.Errorf("%s does not run", part)
	}
	return m.pids[part], nil
}

// follow tells of every reading until the context ends.
func (m *meter) follow(ctx context.Context, tell func(reading)) {
	ticker := time.NewTicker(meterPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if r, err := m.read(); err == nil {
				tell(r)
			}
		}
	}
}
