package gear

// Reasons of a ClusterGear and of its moves.
const (
	// ReasonFrozen: shifts of the fleet or of the cell are frozen by an operator.
	ReasonFrozen = "Frozen"
	// ReasonPinned: the bounds allow one gear only, and the guest has it or goes to it.
	ReasonPinned = "Pinned"
	// ReasonOutOfBounds: the guest's gear lies outside its bounds, and it goes to the nearest within.
	ReasonOutOfBounds = "OutOfBounds"
	// ReasonSettling: the last move has some time left to become healthy.
	ReasonSettling = "Settling"
	// ReasonRolledBack: the last move did not become healthy in time and went back.
	ReasonRolledBack = "RolledBack"
	// ReasonNotHealthy: the guest is down, or not as its order says: it keeps its gear.
	ReasonNotHealthy = "NotHealthy"
	// ReasonNoLoad: no load was reported yet.
	ReasonNoLoad = "NoLoad"
	// ReasonStale: the load is too old, or of a time to come.
	ReasonStale = "Stale"
	// ReasonMissingMetrics: metrics are missing; what is known asks for no more than the guest has.
	ReasonMissingMetrics = "MissingMetrics"
	// ReasonFirstGear: the guest had no gear and gets the smallest that carries it.
	ReasonFirstGear = "FirstGear"
	// ReasonGearReplaced: the guest's gear is not on the ladder (any more); it gets the smallest that carries it.
	ReasonGearReplaced = "GearReplaced"
	// ReasonWaiting: the guest should shift, and does when it still should after the delay.
	ReasonWaiting = "Waiting"
	// ReasonBackingOff: the gear that the guest should shift to did not become healthy the last time.
	ReasonBackingOff = "BackingOff"
	// ReasonNoRoom: the guest should shift up, and its cell has no room.
	ReasonNoRoom = "NoRoom"
	// ReasonMovesCapped: the guest has moved as often as it may in this span of time.
	ReasonMovesCapped = "MovesCapped"
	// ReasonShiftedUp: the guest was over its gear and has a larger one.
	ReasonShiftedUp = "ShiftedUp"
	// ReasonShiftedDown: the guest fitted the next smaller gear and has it.
	ReasonShiftedDown = "ShiftedDown"
	// ReasonAtMax: the guest is over the largest gear that it may have.
	ReasonAtMax = "AtMax"
	// ReasonSteady: the guest is in the gear that suits it.
	ReasonSteady = "Steady"
	// ReasonTuningBehind: the guest fits a smaller gear, and its tuning has to come down first.
	ReasonTuningBehind = "TuningBehind"
	// ReasonWaitingForWindow: a Single guest should shift down or be tuned, and its maintenance window is closed.
	ReasonWaitingForWindow = "WaitingForWindow"
	// ReasonTenantBusy: the tuning should follow, and another guest of the tenant is being restarted.
	ReasonTenantBusy = "TenantBusy"
	// ReasonTuned: the tuning followed the size.
	ReasonTuned = "Tuned"
)
