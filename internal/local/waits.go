package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/runtime"
	"github.com/myriad-fleet/myriad/internal/runtime/process"
)

const (
	// fleetDeadline bounds how long cells and gateways may take after their start.
	fleetDeadline = 2 * time.Minute
	// guestsDeadline bounds the wait for guests to be back after a reboot: two start at once on two
	// cores, each in about 5 s. What takes longer goes on by itself.
	guestsDeadline = 3 * time.Minute
	// hopelessRestarts of one component while it is waited for end the wait early: it will not come up by waiting.
	hopelessRestarts = 5
)

// waitReady waits until every component of a manifest is ready and says why when that fails.
func waitReady(ctx context.Context, client *process.Client, id string, deadline time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	var missing string
	var seen deaths
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		now, err := client.Observe(ctx, id)
		if err != nil {
			missing = err.Error()
			return false, nil
		}
		missing = unready(now)
		if seen.hopeless(now) {
			return false, errors.New("it keeps dying")
		}
		return missing == "", nil
	})
	if err != nil {
		return fmt.Errorf("%s is not ready: %s (%w)", id, missing, err)
	}
	return nil
}

// deaths are the restarts of each component when a wait began.
type deaths map[string]int32

// hopeless says that a component has died too often since the first call.
func (d *deaths) hopeless(now runtime.Observation) bool {
	if *d == nil {
		*d = deaths{}
	}
	for _, c := range now.Components {
		before, known := (*d)[c.Name]
		if !known {
			(*d)[c.Name] = c.Restarts
			continue
		}
		if c.State == runtime.BackOff && c.Restarts-before >= hopelessRestarts {
			return true
		}
	}
	return false
}

// unready describes the components that are not ready.
func unready(seen runtime.Observation) string {
	if !seen.Exists {
		return "nothing runs yet"
	}
	var lines []string
	for _, c := range seen.Components {
		if c.Ready {
			continue
		}
		line := fmt.Sprintf("%s is %s", c.Name, c.State)
		if c.LastExit != "" {
			line += " (" + c.LastExit + ")"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, ", ")
}

func (u *up) waitFleet(ctx context.Context) error {
	if err := waitReady(ctx, u.platform.client, controllersID, fleetDeadline); err != nil {
		return err
	}
	for _, cells := range [][]v1alpha1.Cell{u.cells, u.kubernetesCells} {
		for i := range cells {
			if err := u.waitCell(ctx, &cells[i]); err != nil {
				return err
			}
		}
	}
	for i := range u.regions {
		if err := u.waitGateway(ctx, &u.regions[i]); err != nil {
			return err
		}
	}
	return nil
}

func (u *up) waitCell(ctx context.Context, cell *v1alpha1.Cell) error {
	if err := waitReady(ctx, u.platform.client, cellID(cell.Name), fleetDeadline); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, fleetDeadline)
	defer cancel()
	reason := "no agent has reported"
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		if err := u.client.Get(ctx, client.ObjectKeyFromObject(cell), cell); err != nil {
			reason = err.Error()
			return false, nil
		}
		if ready := meta.FindStatusCondition(cell.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
			reason = ready.Reason + ": " + ready.Message
		}
		return meta.IsStatusConditionTrue(cell.Status.Conditions, v1alpha1.ConditionReady), nil
	})
	if err != nil {
		return fmt.Errorf("cell %s is not ready: %s (%w); its log is %s", cell.Name, reason, err, u.home.daemonLog(cellID(cell.Name), "agent"))
	}
	return nil
}

func (u *up) waitGateway(ctx context.Context, region *v1alpha1.Region) error {
	if err := waitReady(ctx, u.platform.client, gatewayID(region.Name), fleetDeadline); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, fleetDeadline)
	defer cancel()
	address := net.JoinHostPort(region.Spec.Gateway.Address, strconv.Itoa(int(region.Spec.Gateway.Port)))
	var dialer net.Dialer
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		connection, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return false, nil
		}
		return true, connection.Close()
	})
	if err != nil {
		return fmt.Errorf("gateway of %s does not listen on %s: %w; its log is %s", region.Name, address, err, u.home.daemonLog(gatewayID(region.Name), "gateway-1"))
	}
	return nil
}

// waitGuests waits until every guest of the cells has its components back. A guest that stays ill
// is reported and is no error: the fleet is up all the same.
func (u *up) waitGuests(ctx context.Context) error {
	supervisorOf := func(cell string) *process.Client { return process.NewClient(u.home.RuntimeDir(cell)) }
	for _, cell := range u.cells {
		resuming, cancel := context.WithTimeout(ctx, fleetDeadline)
		err := supervisorOf(cell.Name).Resume(resuming) // after a 'down' that was broken off
		cancel()
		if err != nil {
			return fmt.Errorf("cell %s: resume guests: %w", cell.Name, err)
		}
	}
	patience, cancel := context.WithTimeout(ctx, guestsDeadline)
	defer cancel()
	for _, cell := range u.cells {
		supervisor := supervisorOf(cell.Name)
		ids, err := supervisor.List(ctx)
		if err != nil {
			return fmt.Errorf("cell %s: list guests: %w", cell.Name, err)
		}
		for _, id := range ids {
			if err := waitGuest(patience, supervisor, id); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				u.Report("cell %s: guest %s is not back yet, see 'myriad cluster list': %v", cell.Name, id, err)
			}
		}
	}
	return nil
}

// waitGuest waits for every component that no drill or freeze holds.
func waitGuest(ctx context.Context, supervisor *process.Client, id string) error {
	var missing string
	var seen deaths
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		now, err := supervisor.Observe(ctx, id)
		if err != nil {
			return false, err
		}
		now.Components = slices.DeleteFunc(now.Components, func(c runtime.Component) bool { return c.State == runtime.Held })
		missing = unready(now)
		if seen.hopeless(now) {
			return false, errors.New("it keeps dying")
		}
		return missing == "", nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", missing, err)
	}
	return nil
}

// daemonLog is the file that a daemon writes its log to.
func (h *Home) daemonLog(id, name string) string {
	return h.path("platform", "guests", id, name, "log", "current.log")
}
