package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/myriad-fleet/myriad/test/bench/figures"
	"github.com/myriad-fleet/myriad/test/usage"
)

const (
	// memoryGuests per side: a Go process's heap differs by some per cent from one start to the next.
	memoryGuests = 3
	// agentGuests is how many guests the agents and gateways serve while they are measured.
	agentGuests = 10
	// cpuWindow over which CPU time is counted.
	cpuWindow = 60 * time.Second
)

// benchMemory compares idle guests with idle control planes by hand that run at the same time: both
// share the pages of the same programs, which PSS divides among all that map them.
func benchMemory(ctx context.Context, b *bench) (results []figures.Result, err error) {
	var guests, manuals []inProcesses
	defer func() { err = errors.Join(err, stopAll(append(guests, manuals...))) }()
	for i := range memoryGuests {
		manual, err := b.manual(i, pollMany)
		if err != nil {
			return nil, err
		}
		for _, s := range []inProcesses{manual, b.guest(i)} {
			if _, err := measure(ctx, s, pollMany); err != nil {
				return nil, errors.Join(err, s.stop(context.Background()))
			}
		}
		guests, manuals = append(guests, b.guest(i)), append(manuals, manual)
	}
	if err := settle(ctx, b.settle); err != nil {
		return nil, err
	}
	fleet, err := memoryOf(guests)
	if err != nil {
		return nil, err
	}
	hand, err := memoryOf(manuals)
	if err != nil {
		return nil, err
	}
	return []figures.Result{figures.Compare(fmt.Sprintf("memory of an idle guest (PSS), mean of %d", memoryGuests), "MiB", figures.Mean(fleet), figures.Mean(hand), budgetMemory)}, nil
}

// memoryOf returns the PSS of each control plane in MiB.
func memoryOf(subjects []inProcesses) ([]float64, error) {
	sizes := make([]float64, len(subjects))
	for i, s := range subjects {
		pids, err := s.pids()
		if err != nil {
			return nil, err
		}
		if len(pids) != 4 {
			return nil, fmt.Errorf("a control plane has %d processes, want 4", len(pids))
		}
		for _, pid := range pids {
			size, err := usage.PSS(pid)
			if err != nil {
				return nil, err
			}
			sizes[i] += size
		}
	}
	return sizes, nil
}

// benchAgents reports what Myriad's own processes take while 10 guests idle.
func benchAgents(ctx context.Context, b *bench) (results []figures.Result, err error) {
	var guests []*guest
	for i := range agentGuests {
		guests = append(guests, b.guest(i))
	}
	defer func() { err = errors.Join(err, stopAll(guests)) }()
	for _, guest := range guests {
		if _, err := measure(ctx, guest, pollMany); err != nil {
			return nil, err
		}
	}
	if err := settle(ctx, b.settle); err != nil {
		return nil, err
	}
	processes, err := b.fleet.PIDs("platform/")
	if err != nil {
		return nil, err
	}
	used, err := cpuOver(ctx, processes)
	if err != nil {
		return nil, err
	}
	for _, instance := range slices.Sorted(maps.Keys(processes)) {
		name := strings.TrimPrefix(instance, "platform/")
		size, err := usage.PSS(processes[instance])
		if err != nil {
			return nil, err
		}
		results = append(results,
			figures.Report(name+", CPU with 10 guests", "millicores", used[instance]),
			figures.Report(name+", PSS with 10 guests", "MiB", size))
	}
	return results, nil
}

// benchLabAgent reports what the agent of the lab takes while guests idle.
func benchLabAgent(ctx context.Context, b *bench) (results []figures.Result, err error) {
	var guests []*guest
	for i := range b.guests {
		guests = append(guests, b.guest(i))
	}
	defer func() { err = errors.Join(err, stopAll(guests)) }()
	if _, err := readyAll(ctx, pollMany, guests); err != nil {
		return nil, err
	}
	if err := settle(ctx, b.settle); err != nil {
		return nil, err
	}
	agent, err := b.fleet.PIDs("platform/cell-" + b.lab.cell() + "/agent")
	if err != nil {
		return nil, err
	}
	if len(agent) != 1 {
		return nil, fmt.Errorf("cell %s has %d agents, want 1", b.lab.cell(), len(agent))
	}
	used, err := cpuOver(ctx, agent)
	if err != nil {
		return nil, err
	}
	for instance, pid := range agent {
		pss, pssErr := usage.PSS(pid)
		rss, rssErr := usage.RSS(pid)
		err = errors.Join(pssErr, rssErr)
		results = append(results,
			figures.Report(fmt.Sprintf("agent of the lab, CPU with %d guests", b.guests), "millicores", used[instance]),
			figures.Report(fmt.Sprintf("agent of the lab, PSS with %d guests", b.guests), "MiB", pss),
			figures.Report(fmt.Sprintf("agent of the lab, RSS with %d guests", b.guests), "MiB", rss))
	}
	return results, err
}

// settle lets time pass: what is measured next is what processes take while nothing is asked of them.
func settle(ctx context.Context, duration time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(duration):
		return nil
	}
}

// cpuOver returns the millicores that each process uses over cpuWindow, which it lets pass.
func cpuOver(ctx context.Context, processes map[string]int) (map[string]float64, error) {
	before, err := cpuOf(processes)
	if err != nil {
		return nil, err
	}
	if err := settle(ctx, cpuWindow); err != nil {
		return nil, err
	}
	after, err := cpuOf(processes)
	if err != nil {
		return nil, err
	}
	used := map[string]float64{}
	for instance := range after {
		used[instance] = 1000 * (after[instance] - before[instance]) / cpuWindow.Seconds()
	}
	return used, nil
}

// cpuOf returns the CPU seconds that each process has used so far.
func cpuOf(processes map[string]int) (map[string]float64, error) {
	used := map[string]float64{}
	for instance, pid := range processes {
		seconds, err := usage.CPUSeconds(pid)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", instance, err)
		}
		used[instance] = seconds
	}
	return used, nil
}
