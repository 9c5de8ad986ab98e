// Package gear decides which gear a guest has: it computes the demand of a load by a Gearbox, and when to
// shift. It is pure: the hub's controller, the command line and the backtest call the same functions.
package gear

import (
	"time"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// Input of Decide: one guest at one time.
type Input struct {
	// Box that passed Check.
	Box v1alpha1.GearboxSpec
	// Bounds of the guest (Merge).
	Bounds v1alpha1.GearBounds
	// Availability of the guest.
	Availability v1alpha1.Availability
	// Now is the hub's time.
	Now time.Time
	// Size is the gear whose size the order has; empty, or no gear of Box: none.
	Size string
	// Tuning is the gear whose tuning the order has; empty: none yet.
	Tuning string
	// Tunable: the order's render revision knows of tuning.
	Tunable bool
	// Load as last reported; nil: none yet.
	Load *v1alpha1.Load
	// Healthy: every component of the guest is ready and as its order says. A guest that is not keeps its
	// gear, or goes back to the one before its last move.
	Healthy bool
	// Last is what was reported of the guest's gear (Cluster.status.gear).
	Last v1alpha1.ClusterGear
	// Frozen says who froze shifts, for example "cell hz-1 (spec.gearsFrozen)"; empty: nobody.
	Frozen string
	// WindowOpen: what makes the guest unavailable for a moment may be done now.
	WindowOpen bool
	// Busy says why no guest of the tenant may restart for its tuning now, for example "guest team-a/shop is being
	// restarted"; empty: it may.
	Busy string
	// Room says why the cell has no room for a gear's size; empty: it has.
	Room func(gear string) string
}

// Decision of Decide.
type Decision struct {
	// Size and Tuning are the gears whose size and tuning the order should have from now on.
	Size, Tuning string
	// Gear is what to report.
	Gear v1alpha1.ClusterGear
	// Blocked: the guest should shift up, and the cell has no room for it.
	Blocked bool
	// Again is when to look again without any event; 0: no need.
	Again time.Duration
}
