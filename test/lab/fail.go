package lab

import (
	"context"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// Mode is how a zone fails.
type Mode string

// The ways in which a zone fails.
const (
	Kill Mode = "kill" // kubelet, containerd and all containers die, and stay dead
	Hang Mode = "hang" // they stop where they are. The kernel lives: their connections stay open
)

// Fail has a zone's node fail, until Restore. When it returns, nothing of the zone runs. Failing a
// failed zone again changes the way in which it fails, but nothing that hangs can be killed and hung.
func (l *Lab) Fail(ctx context.Context, zone string, mode Mode) error {
	if err := known(zone); err != nil {
		return err
	}
	var err error
	switch mode {
	case Kill:
		err = l.kill(ctx, zone)
	case Hang:
		err = setFrozen(ctx, zoneCgroup(zone), true)
	default:
		return fmt.Errorf("mode %q: use %s or %s", mode, Kill, Hang)
	}
	if err != nil {
		return fmt.Errorf("fail zone %s: %w", zone, err)
	}
	return nil
}

func (l *Lab) kill(ctx context.Context, zone string) error {
	dead, err := l.dead(ctx)
	if err != nil {
		return err
	}
	dead[zone] = true
	// Frozen first: nothing sees another die, as when a machine loses its power.
	if err := setFrozen(ctx, zoneCgroup(zone), true); err != nil {
		return err
	}
	if err := l.supervisor().Hold(ctx, drills(dead)); err != nil {
		return err
	}
	return killCgroup(ctx, zoneCgroup(zone))
}

// Restore lets a zone run again. It returns at once: the node and its pods come back by themselves.
func (l *Lab) Restore(ctx context.Context, zone string) error {
	if err := known(zone); err != nil {
		return err
	}
	if err := setFrozen(ctx, zoneCgroup(zone), false); err != nil {
		return fmt.Errorf("restore zone %s: %w", zone, err)
	}
	dead, err := l.dead(ctx)
	if err != nil {
		return fmt.Errorf("restore zone %s: %w", zone, err)
	}
	if !dead[zone] {
		return nil
	}
	delete(dead, zone)
	if err := l.supervisor().Hold(ctx, drills(dead)); err != nil {
		return fmt.Errorf("restore zone %s: %w", zone, err)
	}
	return nil
}

// dead zones are those whose daemons the supervisor holds.
func (l *Lab) dead(ctx context.Context) (map[string]bool, error) {
	dead := map[string]bool{}
	for _, zone := range Zones() {
		observation, err := l.supervisor().Observe(ctx, nodeID(zone))
		if err != nil {
			return nil, err
		}
		for _, component := range observation.Components {
			if component.State == runtime.Held {
				dead[zone] = true
			}
		}
	}
	return dead, nil
}

func drills(dead map[string]bool) []v1alpha1.Drill {
	held := []v1alpha1.Drill{}
	for _, zone := range Zones() {
		if dead[zone] {
			held = append(held, v1alpha1.Drill{Zone: zone, Mode: v1alpha1.DrillKill})
		}
	}
	return held
}

// Signal sends a signal to a zone's kubelet or containerd ("kubelet", "containerd"). One that dies of
// it is started again by the lab's supervisor, its containers live on.
func (l *Lab) Signal(ctx context.Context, zone, program string, signal syscall.Signal) error {
	if err := known(zone); err != nil {
		return err
	}
	observation, err := l.supervisor().Observe(ctx, nodeID(zone))
	if err != nil {
		return fmt.Errorf("signal %s of zone %s: %w", program, zone, err)
	}
	component, found := observation.Component(program + "-" + zone)
	if !found || component.PID == 0 {
		return fmt.Errorf("signal %s of zone %s: it does not run; programs are kubelet and containerd", program, zone)
	}
	if err := unix.Kill(component.PID, signal); err != nil {
		return fmt.Errorf("signal %s of zone %s (process %d): %w", program, zone, component.PID, err)
	}
	return nil
}
