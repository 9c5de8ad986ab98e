package lab

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Status tells in a table what runs, zone by zone.
func (l *Lab) Status(ctx context.Context) (string, error) {
	supervisor := l.supervisor()
	ids, err := supervisor.List(ctx)
	if err != nil {
		return "", fmt.Errorf("the lab does not run: %w; run 'make lab-up'", err)
	}
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "PROGRAM\tSTATE\tPID\tRESTARTS\tLAST EXIT")
	for _, id := range ids {
		observation, err := supervisor.Observe(ctx, id)
		if err != nil {
			return "", err
		}
		for _, component := range observation.Components {
			fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%s\n", component.Name, component.State, component.PID, component.Restarts, component.LastExit)
		}
	}
	fmt.Fprintln(table, "\nZONE\tNODE\tREADY\tPODS\tFAILED")
	for _, zone := range Zones() {
		fmt.Fprintln(table, l.zoneLine(ctx, zone))
	}
	fmt.Fprintf(table, "\nkubeconfig: %s\n", l.Kubeconfig())
	return text.String(), table.Flush()
}

// zoneLine is a zone's line. Without an API server it says so.
func (l *Lab) zoneLine(ctx context.Context, zone string) string {
	failed := "no"
	if dead, err := l.dead(ctx); err == nil && dead[zone] {
		failed = string(Kill)
	} else if isFrozen(zoneCgroup(zone)) {
		failed = string(Hang)
	}
	ready, pods := "unknown", "unknown"
	if client, err := l.Client(); err == nil {
		if node, err := client.CoreV1().Nodes().Get(ctx, NodeName(zone), metav1.GetOptions{}); err == nil {
			ready = readiness(node)
		}
		on := metav1.ListOptions{FieldSelector: "spec.nodeName=" + NodeName(zone)}
		if list, err := client.CoreV1().Pods("").List(ctx, on); err == nil {
			pods = fmt.Sprint(len(list.Items))
		}
	}
	return strings.Join([]string{zone, NodeName(zone), ready, pods, failed}, "\t")
}

func readiness(node *corev1.Node) string {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return string(condition.Status)
		}
	}
	return "unknown"
}
