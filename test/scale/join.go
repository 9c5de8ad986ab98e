package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/pki"
	"github.com/myriad-fleet/myriad/test/scale/fleetplan"
)

// lifetime of the certificates of a run.
const lifetime = 24 * time.Hour

// startAgents has an agent join for each cell, the one that is measured alone in a process of its own, and waits
// until every cell is Ready.
func (w *world) startAgents(ctx context.Context) error {
	authority, err := w.authority()
	if err != nil {
		return err
	}
	w.alone = nearest(w.plan, ownAgents)
	var release v1alpha1.ReleaseList
	if err := w.hub.List(ctx, &release); err != nil {
		return fmt.Errorf("list Releases: %w", err)
	}
	base := hostConfig{Seed: w.seed, Version: release.Items[0].Name, Slots: slots, DeathsPerYear: w.deaths}
	many, one := base, base
	for _, cell := range w.plan.Cells {
		hosted := agentCell{Name: cell.Name, Dir: filepath.Join(w.scratch, cell.Name), Zones: zones, MilliCPU: zoneMilliCPU, Memory: zoneMemory}
		if err := w.join(authority, hosted); err != nil {
			return err
		}
		if cell.Name == w.alone {
			one.Cells = append(one.Cells, hosted)
			continue
		}
		many.Cells = append(many.Cells, hosted)
	}
	for name, config := range map[string]hostConfig{"agents": many, "agent": one} {
		host, err := startHost(ctx, w.scratch, name, config)
		if host != nil {
			w.hosts = append(w.hosts, host)
		}
		if err != nil {
			return err
		}
		if err := host.tell(ctx, "start"); err != nil {
			return err
		}
	}
	return w.awaitCells(ctx, len(w.plan.Cells))
}

// nearest is the cell that will have about so many guests: its share of its region's.
func nearest(plan fleetplan.Fleet, guests int) string {
	wanted, cells := map[string]int{}, map[string]int{}
	for _, cluster := range plan.Clusters {
		wanted[cluster.Region]++
	}
	for _, cell := range plan.Cells {
		cells[cell.Region]++
	}
	best, distance := "", 0
	for _, cell := range plan.Cells {
		off := wanted[cell.Region]/cells[cell.Region] - guests
		if off = max(off, -off); best == "" || off < distance {
			best, distance = cell.Name, off
		}
	}
	return best
}

// join gives an agent its certificate and kubeconfig, as 'myriad up' does.
func (w *world) join(authority *pki.Authority, cell agentCell) error {
	certificate, key, err := authority.Issue(pki.Leaf{CommonName: v1alpha1.AgentUser(cell.Name, 1), Client: true, Lifetime: lifetime}, time.Now())
	if err != nil {
		return fmt.Errorf("cell %s: %w", cell.Name, err)
	}
	kubeconfig, err := pki.Kubeconfig{
		Name: "myriad-hub", Server: w.config.Host, TLSServerName: w.config.ServerName, CA: w.config.CAData, CertificateFile: "client.crt", KeyFile: "client.key",
	}.Marshal()
	if err != nil {
		return fmt.Errorf("cell %s: %w", cell.Name, err)
	}
	directory := filepath.Join(cell.Dir, "hub")
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return fmt.Errorf("cell %s: %w", cell.Name, err)
	}
	for name, content := range map[string][]byte{"client.crt": certificate, "client.key": key, "kubeconfig": kubeconfig} {
		if err := os.WriteFile(filepath.Join(directory, name), content, 0o600); err != nil {
			return fmt.Errorf("cell %s: %w", cell.Name, err)
		}
	}
	return nil
}

// asUser is the access of somebody who has no rights but a tenant's.
func (w *world) asUser() (*rest.Config, error) {
	authority, err := w.authority()
	if err != nil {
		return nil, err
	}
	certificate, key, err := authority.Issue(pki.Leaf{CommonName: user, Client: true, Lifetime: lifetime}, time.Now())
	if err != nil {
		return nil, fmt.Errorf("issue a certificate for %s: %w", user, err)
	}
	config := rest.CopyConfig(w.config)
	config.CertFile, config.KeyFile, config.CertData, config.KeyData = "", "", certificate, key
	return config, nil
}

// awaitCells waits until so many of the plan's cells are Ready and say which versions they have: until then nothing is
// placed in them.
func (w *world) awaitCells(ctx context.Context, wanted int) error {
	ours := map[string]bool{}
	for _, cell := range w.plan.Cells {
		ours[cell.Name] = true
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return await(ctx, poll, fmt.Sprintf("%d cells are Ready and take clusters", wanted), func(ctx context.Context) (bool, error) {
		var cells v1alpha1.CellList
		if err := w.hub.List(ctx, &cells); err != nil {
			return false, fmt.Errorf("list Cells: %w", err)
		}
		ready := 0
		for i := range cells.Items {
			cell := &cells.Items[i]
			if ours[cell.Name] && len(cell.Status.Versions) > 0 && meta.IsStatusConditionTrue(cell.Status.Conditions, v1alpha1.ConditionReady) {
				ready++
			}
		}
		return ready == wanted, nil
	})
}

// await looks until it is so. What it waits for is part of the error.
func await(ctx context.Context, every time.Duration, what string, look func(context.Context) (bool, error)) error {
	if err := wait.PollUntilContextCancel(ctx, every, true, look); err != nil {
		return fmt.Errorf("wait until %s: %w", what, err)
	}
	return nil
}
