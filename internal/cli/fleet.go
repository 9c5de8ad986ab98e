package cli

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"

	"github.com/myriad-fleet/myriad/internal/distribution"
	"github.com/myriad-fleet/myriad/internal/local"
)

// findKubectl finds the kubectl of a version of Kubernetes in the local fleet, or else, for a fleet
// that is elsewhere, whichever is installed.
func findKubectl(home, version string) (string, error) {
	program, err := fleetKubectl(home, version)
	if err == nil {
		return program, nil
	}
	if installed, lookErr := exec.LookPath("kubectl"); lookErr == nil {
		return installed, nil
	}
	return "", err
}

func fleetKubectl(home, version string) (string, error) {
	fleet, err := local.OpenHome(home)
	if err != nil {
		return "", err
	}
	set, err := distribution.Open(fleet.DistributionDir())
	if err != nil {
		return "", fmt.Errorf("open the fleet's programs: %w", err)
	}
	return set.Path("kubectl", version)
}

// fleetProcesses lists the processes of the local fleet's hub, agents and gateways.
func fleetProcesses(ctx context.Context, home string) ([]local.Process, error) {
	fleet, err := local.OpenHome(home)
	if err != nil {
		return nil, err
	}
	return fleet.Status(ctx)
}

// processSection shows the local fleet's own processes; guests' are shown by 'cluster describe'.
func (s *session) processSection(ctx context.Context, d *description) {
	if s.kubeconfig != "" {
		return // the hub may be on another machine
	}
	processes, err := s.processes(ctx, s.home)
	if err != nil {
		d.fields([][2]string{{"Processes", err.Error()}})
		return
	}
	var rows [][]string
	for _, p := range processes {
		pid := ""
		if p.PID != 0 {
			pid = strconv.Itoa(p.PID)
		}
		rows = append(rows, []string{p.Group, p.Name, string(p.State), pid, strconv.Itoa(int(p.Restarts)), p.LastExit})
	}
	d.section("Processes", []string{"GROUP", "NAME", "STATE", "PID", "RESTARTS", "LAST EXIT"}, rows)
}
