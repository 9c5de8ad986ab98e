package order

import (
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// annotationTrial on an order says that it is on trial. Its value is "<what>/<UID of the Cluster that
// it was written for>", where what is one of those below.
const annotationTrial = "fleet.myriad.dev/on-trial"

const (
	trialOfNew    = "new"    // the order made the guest
	trialOfOrphan = "orphan" // the order took an orphan over
)

// Trial is the first time of an order, in which its Cluster may vanish although it bears the
// finalizer: the API server deletes an object at once when it read it before the bind put the
// finalizer on, even if it deletes it after. An order on trial whose Cluster is gone is taken back; a
// later one stays, whatever is missing.
type Trial struct {
	// Cluster is the UID of the Cluster that the order was written for.
	Cluster types.UID
	// Orphan tells that the guest is older than the order, and outlives it.
	Orphan bool
}

// TrialOf an order. It is false when the order is not on trial any more.
func TrialOf(order *v1alpha1.ControlPlane) (Trial, bool) {
	what, cluster, ok := strings.Cut(order.Annotations[annotationTrial], "/")
	return Trial{Cluster: types.UID(cluster), Orphan: what == trialOfOrphan}, ok
}

// EndTrial of an order: from now on it stays until its Cluster is deleted.
func EndTrial(order *v1alpha1.ControlPlane) { delete(order.Annotations, annotationTrial) }

// IsStray tells whether an order on trial is not for that Cluster but for an earlier one of the same
// name. A Cluster that is bound to the order's id has it by right: one that was restored from a backup
// has another UID.
func IsStray(order *v1alpha1.ControlPlane, cluster *v1alpha1.Cluster) bool {
	trial, ok := TrialOf(order)
	return ok && trial.Cluster != cluster.UID && cluster.Labels[v1alpha1.LabelID] != order.Name
}
