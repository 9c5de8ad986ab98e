package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// recentEvents is how many events describe shows.
const recentEvents = 10

func newClusterDescribe(s *session) *cobra.Command {
	return &cobra.Command{
		Use:               "describe NAME",
		Short:             "Show everything about a cluster: where it is, how its components are, and why",
		Example:           "  myriad cluster describe hello",
		Args:              arguments(1, 1),
		ValidArgsFunction: s.completeWords(false, s.clusterNames),
		RunE: func(command *cobra.Command, given []string) error {
			return s.describeCluster(command.Context(), given[0])
		},
	}
}

func (s *session) describeCluster(ctx context.Context, name string) error {
	hub, err := s.hub()
	if err != nil {
		return err
	}
	cluster, err := s.findCluster(ctx, hub, name)
	if err != nil {
		return err
	}
	return s.show(hub.Scheme(), []client.Object{cluster}, true, func() error {
		plane, unreadable := readControlPlane(ctx, hub, cluster)
		d := &description{out: s.out}
		d.fields(s.clusterFields(cluster, plane))
		if unreadable != nil {
			d.fields([][2]string{{"Control plane", unreadable.Error()}})
		}
		d.conditions(s, "Conditions", cluster.Status.Conditions)
		if plane != nil {
			d.controlPlane(s, plane)
		}
		d.placement(s, &cluster.Status)
		d.section("Events", []string{"AGE", "TYPE", "REASON", "MESSAGE"}, s.events(ctx, hub, cluster, plane))
		return d.err
	})
}

// readControlPlane reads the order of a bound cluster. Tenants may not; the rest is shown all the same.
func readControlPlane(ctx context.Context, hub client.Client, cluster *v1alpha1.Cluster) (*v1alpha1.ControlPlane, error) {
	if cluster.Status.Cell == "" || cluster.Status.ID == "" {
		return nil, nil
	}
	var plane v1alpha1.ControlPlane
	key := client.ObjectKey{Namespace: v1alpha1.CellNamespace(cluster.Status.Cell), Name: cluster.Status.ID}
	if err := hub.Get(ctx, key, &plane); err != nil {
		return nil, explain("read its order", err)
	}
	return &plane, nil
}

func (s *session) clusterFields(cluster *v1alpha1.Cluster, plane *v1alpha1.ControlPlane) [][2]string {
	spec, status := &cluster.Spec, &cluster.Status
	fields := [][2]string{
		{"Name", cluster.Name},
		{"Namespace", cluster.Namespace},
		{"ID", status.ID},
		{"Created", created(s, cluster)},
		{"Template", spec.Template},
		{"Version", asked(status.Version, spec.Version)},
		{"Availability", asked(string(status.Availability), string(spec.Availability))},
		{"Region", regionOf(cluster)},
		{"Cell", status.Cell},
	}
	fields = append(fields, residencyFields(cluster)...)
	if gear := gearLine(cluster, plane); gear != "" {
		fields = append(fields, [2]string{"Gear", gear})
	}
	network := spec.Network
	if plane != nil {
		network = &plane.Spec.Network
		fields = append(fields,
			[2]string{"Zones", strings.Join(plane.Spec.Zones, ", ")},
			[2]string{"Etcd version", plane.Spec.EtcdVersion},
			[2]string{"Epoch", strconv.FormatInt(plane.Spec.Epoch, 10)},
			[2]string{"Render revision", strconv.FormatInt(plane.Spec.RenderRevision, 10)})
	}
	if network != nil {
		if network.VPC != "" {
			fields = append(fields, [2]string{"VPC", network.VPC}, [2]string{"Nodes", network.NodeCIDR})
		}
		fields = append(fields, [2]string{"Pods", network.PodCIDR}, [2]string{"Services", network.ServiceCIDR})
	}
	if e := status.Endpoint; e != nil {
		fields = append(fields,
			[2]string{"Endpoint", fmt.Sprintf("%s for %s", serverURL(e, false), e.ServerName)},
			[2]string{"Plain endpoint", serverURL(e, true)})
	}
	return fields
}

func created(s *session, object metav1.Object) string {
	at := object.GetCreationTimestamp()
	text := fmt.Sprintf("%s (%s ago)", at.UTC().Format(time.RFC3339), s.age(at))
	if gone := object.GetDeletionTimestamp(); gone != nil {
		text += ", being deleted for " + s.age(*gone)
	}
	return text
}

// asked shows what is, and what was asked for where that is something else.
func asked(is, wanted string) string {
	if wanted == "" || wanted == is {
		return is
	}
	return fmt.Sprintf("%s (asked for: %s)", dash(is), wanted)
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// events of a cluster and of its control plane, the latest last.
func (s *session) events(ctx context.Context, hub client.Client, cluster *v1alpha1.Cluster, plane *v1alpha1.ControlPlane) [][]string {
	objects := []client.Object{cluster}
	if plane != nil {
		objects = append(objects, plane)
	}
	var all []corev1.Event
	for _, object := range objects {
		var list corev1.EventList
		// Events are a help, not the answer: without the right to read them the rest still stands.
		if hub.List(ctx, &list, client.InNamespace(object.GetNamespace()), client.MatchingFields{"involvedObject.name": object.GetName()}) == nil {
			all = append(all, list.Items...)
		}
	}
	slices.SortStableFunc(all, func(a, b corev1.Event) int { return lastSeen(a).Compare(lastSeen(b).Time) })
	rows := make([][]string, 0, recentEvents)
	for _, event := range all[max(0, len(all)-recentEvents):] {
		rows = append(rows, []string{s.age(lastSeen(event)), event.Type, event.Reason, event.Message})
	}
	return rows
}

// lastSeen is when an event last happened; newer event APIs leave the old fields empty.
func lastSeen(event corev1.Event) metav1.Time {
	switch {
	case event.Series != nil:
		return metav1.Time{Time: event.Series.LastObservedTime.Time}
	case !event.LastTimestamp.IsZero():
		return event.LastTimestamp
	case !event.EventTime.IsZero():
		return metav1.Time{Time: event.EventTime.Time}
	}
	return event.CreationTimestamp
}

// description writes fields and tables one below the other and keeps the first error.
type description struct {
	out io.Writer
	err error
}

// fields writes "Name:   value" lines, aligned.
func (d *description) fields(fields [][2]string) {
	for _, field := range fields {
		if d.err == nil {
			_, d.err = fmt.Fprintf(d.out, "%-17s %s\n", field[0]+":", dash(field[1]))
		}
	}
}

// section writes a table under a title, and nothing when it has no rows.
func (d *description) section(title string, columns []string, rows [][]string) {
	if len(rows) == 0 || d.err != nil {
		return
	}
	if _, d.err = fmt.Fprintf(d.out, "\n%s:\n", title); d.err == nil {
		d.err = table{columns: columns, rows: rows}.write(d.out, "  ")
	}
}

func (d *description) conditions(s *session, title string, conditions []metav1.Condition) {
	rows := make([][]string, 0, len(conditions))
	for _, c := range conditions {
		rows = append(rows, []string{c.Type, string(c.Status), c.Reason, s.age(c.LastTransitionTime), c.Message})
	}
	d.section(title, []string{"TYPE", "STATUS", "REASON", "SINCE", "MESSAGE"}, rows)
}

func (d *description) controlPlane(s *session, plane *v1alpha1.ControlPlane) {
	d.conditions(s, "Control plane conditions", plane.Status.Conditions)
	components := make([][]string, 0, len(plane.Status.Components))
	for _, c := range plane.Status.Components {
		components = append(components, []string{c.Name, strconv.FormatBool(c.Ready), strconv.Itoa(int(c.Restarts)), c.LastExit, c.Message})
	}
	d.section("Components", []string{"NAME", "READY", "RESTARTS", "LAST EXIT", "WAITS FOR"}, components)
	d.etcd(s, plane.Status.Etcd)
	servers := make([][]string, 0, len(plane.Status.Endpoints))
	for _, e := range plane.Status.Endpoints {
		servers = append(servers, []string{e.Zone, e.Address, strconv.Itoa(int(e.Port))})
	}
	d.section("API servers", []string{"ZONE", "ADDRESS", "PORT"}, servers)
}
