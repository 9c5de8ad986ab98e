package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/residency"
)

// residencyFields are the rule that a cluster is under, and what of its region met it when it was placed.
func residencyFields(cluster *v1alpha1.Cluster) [][2]string {
	if cluster.Spec.Residency == nil {
		return nil
	}
	fields := [][2]string{{"Residency", residency.Text(cluster.Spec.Residency)}}
	if placed := cluster.Status.Placement; placed != nil && placed.Residency != "" {
		fields = append(fields, [2]string{"Resident by", placed.Residency})
	}
	return fields
}

// placement writes the evidence of the decision that gave a cluster its cell, or why none did.
func (d *description) placement(s *session, status *v1alpha1.ClusterStatus) {
	if placed := status.Placement; placed != nil && d.err == nil {
		_, d.err = fmt.Fprintf(d.out, "\nPlacement: cell %s (zones %s), score %d of 1000, decided %s ago\n",
			placed.Cell, strings.Join(placed.Zones, ", "), placed.Score, s.age(placed.DecidedAt))
		var scores, others [][]string
		for _, score := range placed.Scores {
			scores = append(scores, []string{score.Name, strconv.FormatInt(score.Score, 10), strconv.FormatInt(score.Weight, 10)})
		}
		for _, other := range placed.Others {
			others = append(others, []string{other.Cell, strconv.FormatInt(other.Score, 10)})
		}
		d.section("Scores of the cell", []string{"SCORE", "OF 1000", "WEIGHT"}, scores)
		d.section("Cells that could have taken it", []string{"CELL", "SCORE"}, others)
	}
	rejected := make([][]string, 0, len(status.RejectedCells))
	for _, r := range status.RejectedCells {
		rejected = append(rejected, []string{r.Cell, r.Reason, r.Message})
	}
	d.section("Rejected cells", []string{"CELL", "REASON", "MESSAGE"}, rejected)
}
