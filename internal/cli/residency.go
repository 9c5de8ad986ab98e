package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/residency"
)

func newResidency(s *session) *cobra.Command {
	command := group(&cobra.Command{
		Use:   "residency",
		Short: "See where the parts of clusters lie, and on which rule",
	})
	command.AddCommand(newResidencyReport(s))
	return command
}

func newResidencyReport(s *session) *cobra.Command {
	var everywhere bool
	command := &cobra.Command{
		Use:   "report",
		Short: "List where each part of each cluster lies, on which rule, and what violates it",
		Long: `List where each part of each cluster lies: its control plane with etcd's data, superseded copies of it, its escrow,
its snapshots and its metrics; the rule that it is under (Cluster.spec.residency), and what of the place meets that rule.
Where something lies against its rule, or nobody knows where, the exit code is 7.`,
		Example: "  myriad residency report -A\n  myriad residency report -A -o json >evidence.json",
		Args:    arguments(0, 0),
		RunE: func(command *cobra.Command, _ []string) error {
			return s.reportResidency(command.Context(), everywhere)
		},
	}
	command.Flags().BoolVarP(&everywhere, "all-namespaces", "A", false, "report on the clusters of all namespaces")
	return command
}

// guestResidency is one cluster, as 'residency report -o json' prints it.
type guestResidency struct {
	Namespace string           `json:"namespace"`
	Name      string           `json:"name"`
	ID        string           `json:"id,omitempty"`
	Rule      string           `json:"rule"`
	Parts     []residency.Part `json:"parts"`
	Notes     []string         `json:"notes,omitempty"`
	Violated  bool             `json:"violated"`
}

func (s *session) reportResidency(ctx context.Context, everywhere bool) error {
	if err := s.onlyFields(); err != nil {
		return err
	}
	hub, err := s.hub()
	if err != nil {
		return err
	}
	all, err := gatherResidency(ctx, hub)
	if err != nil {
		return err
	}
	if !everywhere {
		all = slices.DeleteFunc(all, func(guest guestResidency) bool { return guest.Namespace != s.namespace })
	}
	violated := 0
	for _, guest := range all {
		if guest.Violated {
			violated++
		}
	}
	if s.output != outputTable {
		err = s.encode(all)
	} else {
		err = s.residencyTable(all, everywhere)
	}
	if err == nil && violated > 0 {
		err = fail(exitViolated, "%d of %d clusters have parts that lie against their residency", violated, len(all))
	}
	return err
}

func (s *session) residencyTable(all []guestResidency, namespaces bool) error {
	if len(all) == 0 {
		s.notef("no clusters to report on (-A reports on all namespaces)")
		return nil
	}
	t := table{columns: []string{"NAME", "PART", "WHERE", "RULE", "VERDICT", "BASIS"}}
	for _, guest := range all {
		rows := [][]string{}
		for _, part := range guest.Parts {
			verdict, basis := "allowed", part.Basis
			switch {
			case part.Violation != "":
				verdict, basis = "VIOLATION", part.Violation
			case part.Rule == residency.NoRule:
				verdict = ""
			}
			rows = append(rows, []string{guest.Name, string(part.Kind), part.Where, part.Rule, verdict, basis})
		}
		if len(rows) == 0 {
			rows = append(rows, []string{guest.Name, "", "nowhere", guest.Rule, "", strings.Join(guest.Notes, "; ")})
		}
		for _, row := range rows {
			if namespaces {
				row = slices.Insert(row, 0, guest.Namespace)
			}
			t.rows = append(t.rows, row)
		}
	}
	if namespaces {
		t.columns = slices.Insert(t.columns, 0, "NAMESPACE")
	}
	return t.write(s.out, "")
}

// gatherResidency judges every Cluster, and every guest whose Cluster is gone, by namespace and name.
func gatherResidency(ctx context.Context, hub client.Client) ([]guestResidency, error) {
	var regions v1alpha1.RegionList
	var cells v1alpha1.CellList
	var planes v1alpha1.ControlPlaneList
	var clusters v1alpha1.ClusterList
	for what, list := range map[string]client.ObjectList{"regions": &regions, "cells": &cells, "control planes": &planes, "clusters": &clusters} {
		if err := hub.List(ctx, list); err != nil {
			return nil, explain("list "+what, err)
		}
	}
	fleet := residency.NewFleet(regions.Items, cells.Items)
	copies := map[string][]v1alpha1.ControlPlane{} // by id
	for _, plane := range planes.Items {
		copies[plane.Spec.ID] = append(copies[plane.Spec.ID], plane)
	}
	all := []guestResidency{}
	for _, cluster := range clusters.Items {
		guest := judge(fleet, cluster.Spec.Residency, copies[cluster.Status.ID])
		guest.Namespace, guest.Name, guest.ID = cluster.Namespace, cluster.Name, cluster.Status.ID
		if len(guest.Parts) == 0 {
			guest.Notes = append(guest.Notes, "it has no cell yet")
		}
		delete(copies, cluster.Status.ID)
		all = append(all, guest)
	}
	for id, orders := range copies {
		reference := orders[0].Spec.Cluster
		guest := judge(fleet, reference.Spec.Residency, orders)
		guest.Namespace, guest.Name, guest.ID = reference.Namespace, reference.Name, id
		guest.Notes = append(guest.Notes, "its Cluster is not there; the rule is the one of its last order")
		all = append(all, guest)
	}
	slices.SortFunc(all, func(a, b guestResidency) int {
		return slices.Compare([]string{a.Namespace, a.Name, a.ID}, []string{b.Namespace, b.Name, b.ID})
	})
	return all, nil
}

func judge(fleet residency.Fleet, rule *v1alpha1.Residency, orders []v1alpha1.ControlPlane) guestResidency {
	parts := residency.Report(fleet.Guest(rule, orders))
	if parts == nil {
		parts = []residency.Part{}
	}
	return guestResidency{Rule: residency.Text(rule), Parts: parts, Violated: len(residency.Violated(parts)) > 0}
}
