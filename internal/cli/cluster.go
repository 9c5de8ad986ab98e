package cli

import (
	"context"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

func newCluster(s *session) *cobra.Command {
	command := group(&cobra.Command{
		Use:     "cluster",
		Aliases: []string{"clusters"},
		Short:   "Create, see, use and delete clusters",
	})
	command.AddCommand(
		newClusterCreate(s), newClusterList(s), newClusterGet(s), newClusterDescribe(s), newClusterWait(s),
		newClusterKubeconfig(s), newClusterLogs(s), newClusterDelete(s),
	)
	return command
}

func newClusterList(s *session) *cobra.Command {
	var everywhere bool
	command := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the clusters of a namespace, or of all",
		Example: "  myriad cluster list\n  myriad cluster list -A -o yaml",
		Args:    arguments(0, 0),
		RunE: func(command *cobra.Command, _ []string) error {
			return s.listClusters(command.Context(), everywhere)
		},
	}
	command.Flags().BoolVarP(&everywhere, "all-namespaces", "A", false, "list the clusters of all namespaces")
	return command
}

func (s *session) listClusters(ctx context.Context, everywhere bool) error {
	hub, err := s.hub()
	if err != nil {
		return err
	}
	var options []client.ListOption
	if !everywhere {
		options = append(options, client.InNamespace(s.namespace))
	}
	var list v1alpha1.ClusterList
	if err := hub.List(ctx, &list, options...); err != nil {
		return explain("list clusters", err)
	}
	if len(list.Items) == 0 && s.output == outputTable {
		where := "in namespace " + s.namespace + " (-A lists all namespaces)"
		if everywhere {
			where = "in the fleet"
		}
		s.notef("no clusters %s; make one: myriad cluster create NAME --region REGION", where)
		return nil
	}
	return s.showClusters(hub.Scheme(), pointers(list.Items), everywhere, false)
}

// pointers to the items of a list.
func pointers[T any](items []T) []*T {
	all := make([]*T, len(items))
	for i := range items {
		all[i] = &items[i]
	}
	return all
}

func newClusterGet(s *session) *cobra.Command {
	return &cobra.Command{
		Use:               "get NAME...",
		Short:             "Show clusters by name",
		Example:           "  myriad cluster get hello\n  myriad cluster get hello -o json",
		Args:              arguments(1, -1),
		ValidArgsFunction: s.completeWords(true, s.clusterNames),
		RunE: func(command *cobra.Command, given []string) error {
			hub, err := s.hub()
			if err != nil {
				return err
			}
			var clusters []*v1alpha1.Cluster
			for _, name := range given {
				cluster, err := s.findCluster(command.Context(), hub, name)
				if err != nil {
					return err
				}
				clusters = append(clusters, cluster)
			}
			return s.showClusters(hub.Scheme(), clusters, false, true)
		},
	}
}

func (s *session) showClusters(scheme *runtime.Scheme, clusters []*v1alpha1.Cluster, namespaces, single bool) error {
	objects := make([]client.Object, 0, len(clusters))
	for _, cluster := range clusters {
		objects = append(objects, cluster)
	}
	return s.show(scheme, objects, single, func() error {
		t := table{columns: []string{"NAME", "REGION", "CELL", "VERSION", "AVAILABILITY", "GEAR", "READY", "REASON", "AGE"}}
		for _, c := range clusters {
			ready, reason := readyColumns(c)
			t.rows = append(t.rows, []string{
				c.Name, regionOf(c), c.Status.Cell, c.Status.Version, string(c.Status.Availability),
				sizeGear(c), ready, reason, s.age(c.CreationTimestamp),
			})
		}
		if namespaces {
			t.columns = slices.Insert(t.columns, 0, "NAMESPACE")
			for i, c := range clusters {
				t.rows[i] = slices.Insert(t.rows[i], 0, c.Namespace)
			}
		}
		return t.write(s.out, "")
	})
}

// sizeGear is the gear whose size a cluster has; empty where gears are not computed.
func sizeGear(cluster *v1alpha1.Cluster) string {
	if cluster.Status.Gear == nil {
		return ""
	}
	return cluster.Status.Gear.Size
}

// readyColumns sums a cluster up in two words: the Ready condition, and why. A cluster that has no
// cell says why it has none.
func readyColumns(cluster *v1alpha1.Cluster) (ready, reason string) {
	if cluster.DeletionTimestamp != nil {
		return string(metav1.ConditionFalse), v1alpha1.ReasonDeleting
	}
	if c := meta.FindStatusCondition(cluster.Status.Conditions, v1alpha1.ConditionScheduled); c != nil && c.Status == metav1.ConditionFalse {
		return string(metav1.ConditionFalse), c.Reason
	}
	return conditionColumns(cluster.Status.Conditions)
}

// conditionColumns are status and reason of the Ready condition.
func conditionColumns(conditions []metav1.Condition) (ready, reason string) {
	c := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	if c == nil {
		return string(metav1.ConditionUnknown), ""
	}
	return string(c.Status), c.Reason
}
