package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/suggest"
)

func newCellAdopt(s *session) *cobra.Command {
	all, wait := false, true
	command := &cobra.Command{
		Use:   "adopt [CELL] --all | ID...",
		Short: "Take over guests that run in cells although the hub has no order for them",
		Long: `Take over guests that run in cells although the hub has no order for them, as after the hub's database was
restored from an old backup. Each gets its Cluster back, with the same id; nothing of it restarts.`,
		Example: "  myriad cell adopt --all\n  myriad cell adopt hz-1 --all\n  myriad cell adopt hz-1 k3x9q0v7ab",
		Args:    arguments(0, -1),
		RunE: func(command *cobra.Command, given []string) error {
			if (all && len(given) > 1) || (!all && len(given) == 0) {
				return fail(exitUsage, "say which orphans to adopt: --all, or their ids; 'myriad cell describe CELL' lists them")
			}
			return s.adopt(command.Context(), given, all, wait)
		},
		ValidArgsFunction: s.completeWords(true, orphanWords),
	}
	command.Flags().BoolVar(&all, "all", false, "adopt all orphans, of the cell or of the fleet")
	command.Flags().BoolVar(&wait, "wait", wait, "wait until the hub has taken them over")
	return command
}

// orphanWords completes the names of cells and the ids of their orphans.
func orphanWords(ctx context.Context, hub client.Client) ([]string, error) {
	var list v1alpha1.CellList
	err := hub.List(ctx, &list)
	var words []string
	for _, cell := range list.Items {
		words = append(words, cell.Name)
		for _, orphan := range cell.Status.Orphans {
			words = append(words, orphan.ID)
		}
	}
	return words, err
}

// stray is an orphan and the cell that reports it.
type stray struct {
	cell   string
	orphan v1alpha1.Orphan
}

func (s *session) adopt(ctx context.Context, given []string, all, wait bool) error {
	hub, err := s.hub()
	if err != nil {
		return err
	}
	strays, err := chooseStrays(ctx, hub, given, all)
	if err != nil {
		return err
	}
	if len(strays) == 0 {
		s.notef("no orphans: every guest that runs has its order")
		return nil
	}
	var clusters []*v1alpha1.Cluster
	for _, stray := range strays {
		cluster, err := adoptOne(ctx, hub, stray)
		if err != nil {
			return err
		}
		clusters = append(clusters, cluster)
	}
	for _, cluster := range clusters {
		if wait {
			// The cluster may live in another namespace than the session's.
			there := *s
			there.namespace = cluster.Namespace
			if _, err := there.awaitCluster(ctx, hub, cluster.Name, forScheduled); err != nil {
				return err
			}
		}
		if err := s.say(hub.Scheme(), cluster, "adopted %s as cluster %s in namespace %s", cluster.Annotations[v1alpha1.AnnotationAdopt], cluster.Name, cluster.Namespace); err != nil {
			return err
		}
	}
	return nil
}

// chooseStrays finds the orphans that were meant: the first word may be a cell, all others are ids.
func chooseStrays(ctx context.Context, hub client.Client, given []string, all bool) ([]stray, error) {
	var list v1alpha1.CellList
	if err := hub.List(ctx, &list); err != nil {
		return nil, explain("list cells", err)
	}
	cells := list.Items
	var cellNames []string
	for _, cell := range cells {
		cellNames = append(cellNames, cell.Name)
	}
	if len(given) > 0 {
		if i := slices.Index(cellNames, given[0]); i >= 0 {
			cells, given = cells[i:i+1], given[1:]
		} else if all {
			return nil, fail(exitNotFound, "%s", suggest.NotFound("cell", given[0], cellNames))
		}
	}
	known := map[string]stray{}
	var strays []stray
	var ids []string
	for _, cell := range cells {
		for _, orphan := range cell.Status.Orphans {
			stray := stray{cell: cell.Name, orphan: orphan}
			strays, ids, known[orphan.ID] = append(strays, stray), append(ids, orphan.ID), stray
		}
	}
	if all {
		return strays, nil
	}
	return pick(given, known, ids)
}

func pick(given []string, known map[string]stray, ids []string) ([]stray, error) {
	if len(given) == 0 {
		return nil, fail(exitUsage, "say which orphans of the cell to adopt: --all, or their ids%s", suggest.Among("", ids))
	}
	var chosen []stray
	for _, id := range given {
		stray, ok := known[id]
		if !ok {
			return nil, fail(exitNotFound, "%s", suggest.NotFound("orphan", id, ids))
		}
		chosen = append(chosen, stray)
	}
	return chosen, nil
}

// adoptOne writes the Cluster of an orphan, as its last order remembers it. The hub finds the
// annotation and writes the same order again.
func adoptOne(ctx context.Context, hub client.Client, stray stray) (*v1alpha1.Cluster, error) {
	reference := stray.orphan.Order.Cluster
	claim := stray.cell + "/" + stray.orphan.ID
	doing := fmt.Sprintf("adopt %s as cluster %s in namespace %s", claim, reference.Name, reference.Namespace)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: reference.Namespace}}
	if err := hub.Create(ctx, namespace); err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, explain(doing+": make the namespace", err)
	}
	cluster := &v1alpha1.Cluster{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: reference.Namespace, Name: reference.Name,
			Annotations: map[string]string{v1alpha1.AnnotationAdopt: claim},
		},
		Spec: *reference.Spec.DeepCopy(),
	}
	err := hub.Create(ctx, cluster)
	if !apierrors.IsAlreadyExists(err) {
		return cluster, explain(doing, err)
	}
	// Asked for twice, or taken by another cluster since.
	existing := &v1alpha1.Cluster{}
	if err := hub.Get(ctx, client.ObjectKeyFromObject(cluster), existing); err != nil {
		return nil, explain(doing, err)
	}
	if existing.Annotations[v1alpha1.AnnotationAdopt] == claim {
		return existing, nil
	}
	return nil, fail(exitConflict, "%s: another cluster of that name exists; delete it first ('myriad cluster delete -n %s %s'), the orphan keeps running meanwhile",
		doing, reference.Namespace, reference.Name)
}
