package v1alpha1

import "strconv"

// Condition types. Every kind's Ready condition sums up the others.
const (
	// ConditionReady is True when the object does what it is for: a Cluster answers through its
	// gateway, a Cell's agent renews its Lease, a ClusterCredential holds a certificate.
	ConditionReady = "Ready"
	// ConditionScheduled is True when a Cluster is bound to a cell.
	ConditionScheduled = "Scheduled"
	// ConditionResident is False when something of a Cluster lies where spec.residency does not allow it. It
	// is there only where a residency is asked for.
	ConditionResident = "Resident"
	// ConditionProgressing is True while a control plane moves towards its order.
	ConditionProgressing = "Progressing"
	// ConditionDeleted is True when an agent has removed everything of a tombstoned guest.
	ConditionDeleted = "Deleted"
	// ConditionFrozen is True when an agent holds a copy of a guest stopped because a higher
	// epoch of it lives elsewhere. Its data is kept.
	ConditionFrozen = "Frozen"
	// ConditionEtcdHealthy is True when a guest's etcd has every member it should have, no alarm and
	// room to write.
	ConditionEtcdHealthy = "EtcdHealthy"
	// ConditionRuntimeReady is True when a Cell's runtime can run control planes. The agent writes it;
	// a cell where it is False gets no new guests.
	ConditionRuntimeReady = "RuntimeReady"
	// ConditionAccepted is True when a Gearbox is in force. While it is False, the one before is.
	ConditionAccepted = "Accepted"
	// ConditionGearsFit is False on a Cell whose guests want larger gears than it has room for. The hub
	// writes it; somebody should make room.
	ConditionGearsFit = "GearsFit"
)

// Reasons of ConditionScheduled.
const (
	ReasonBound             = "Bound"             // the cluster has a cell
	ReasonRegionNotFound    = "RegionNotFound"    // spec.region names no Region
	ReasonTemplateNotFound  = "TemplateNotFound"  // spec.template names no ClusterTemplate
	ReasonVersionNotFound   = "VersionNotFound"   // spec.version names no Release
	ReasonGearNotFound      = "GearNotFound"      // the gear bounds of the Cluster or its template name no gear, or lie outside; the message says what to write
	ReasonResidencyUnmet    = "ResidencyUnmet"    // no region, or not the one that is asked for, meets spec.residency
	ReasonCellNotFound      = "CellNotFound"      // spec.cell names no Cell of a region that is allowed
	ReasonNameTaken         = "NameTaken"         // an earlier guest of this name is still being removed
	ReasonNoRoom            = "NoRoom"            // every cell of the region was rejected; the message says why, cell by cell
	ReasonVPCNotFound       = "VPCNotFound"       // spec.network.vpc names no VPC of the region, or one that is not the tenant's
	ReasonInvalidAddresses  = "InvalidAddresses"  // a CIDR that was asked for lies in no pool, or overlaps one that is taken; the message says which
	ReasonOrphanNotReported = "OrphanNotReported" // an adoption names a guest that the cell does not report
)

// Reasons of ConditionResident.
const (
	ReasonResident          = "Resident"          // everything lies where the residency allows it
	ReasonResidencyViolated = "ResidencyViolated" // the message says which part lies where, and against which rule
)

// Reasons of ConditionReady and ConditionProgressing.
const (
	ReasonReady            = "Ready"            // everything asked for is there
	ReasonUnscheduled      = "Unscheduled"      // a Cluster waits for a cell
	ReasonCreating         = "Creating"         // the order is written; the agent has not reported yet
	ReasonStarting         = "Starting"         // components are starting for the first time
	ReasonUpdating         = "Updating"         // the guest serves; some components are not yet as its order says
	ReasonWaitingForSlot   = "WaitingForSlot"   // start-ups are paced to the cores; the guest waits its turn
	ReasonComponentsFailed = "ComponentsFailed" // a component keeps dying; the message holds its last words
	ReasonBlocked          = "Blocked"          // a component cannot start: no room, no volume, no image; the message says what lacks
	ReasonDegraded         = "Degraded"         // the guest serves, but not with every component it should have
	ReasonUnavailable      = "Unavailable"      // no API server of the guest answers
	ReasonDeleting         = "Deleting"         // the guest is being removed
	ReasonFrozen           = "Frozen"           // a higher epoch lives elsewhere
	ReasonInvalidOrder     = "InvalidOrder"     // the agent cannot render the order
	ReasonStaleOrder       = "StaleOrder"       // the hub's order is older than the one on the agent's disk
	ReasonApplyFailed      = "ApplyFailed"      // the runtime refused the manifest
	ReasonIdentityBroken   = "IdentityBroken"   // the guest's identity cannot be used; it is never made anew over a guest that exists
	ReasonStorageFailed    = "StorageFailed"    // the agent cannot write to its directory, for example because the disk is full
	ReasonVersionPinned    = "VersionPinned"    // spec.version asks for another version than the guest runs; it stays as it is
	ReasonCellUnreachable  = "CellUnreachable"  // the cell's Lease has expired
	ReasonLeaseFresh       = "LeaseFresh"       // the cell's agent renews its Lease
	ReasonLeaseExpired     = "LeaseExpired"     // the cell's agent has not renewed its Lease in time
	ReasonNeverJoined      = "NeverJoined"      // no agent has reported for this cell yet
)

// Reasons of ConditionEtcdHealthy.
const (
	ReasonEtcdHealthy     = "Healthy"         // every member answers, none has an alarm
	ReasonMemberMissing   = "MemberMissing"   // a member does not answer; its data is not known to be lost
	ReasonMemberReplacing = "MemberReplacing" // a member that lost its data is being replaced
	ReasonDataLost        = "DataLost"        // data is lost and cannot be had from other members: restore a snapshot
	ReasonNoSpace         = "NoSpace"         // the database has reached its quota: writes are refused
	ReasonCorrupt         = "Corrupt"         // a member's database differs from the others'
	ReasonSnapshotFailed  = "SnapshotFailed"  // a step waits because no snapshot could be stored before it
	ReasonEtcdUnknown     = "Unknown"         // no member can be asked
)

// Reasons of ConditionRuntimeReady.
const (
	ReasonRuntimeReady   = "RuntimeReady"   // control planes can be run here
	ReasonTooFewZones    = "TooFewZones"    // the nodes lie in fewer zones than the Cell says
	ReasonNoStorageClass = "NoStorageClass" // there is no StorageClass to make etcd's volumes of
	ReasonVersionTooOld  = "VersionTooOld"  // the cell's Kubernetes is older than Myriad needs
	ReasonRightsMissing  = "RightsMissing"  // the agent may not do what it must, by RBAC or by an admission webhook
	ReasonCellAPIAway    = "CellAPIAway"    // the cell's API server does not answer; guests run on
)

// Reasons of ConditionAccepted of a Gearbox.
const (
	ReasonAccepted   = "Accepted"   // the guests are sized by it
	ReasonInvalid    = "Invalid"    // its parts do not fit each other; the message says what to write instead
	ReasonNotDefault = "NotDefault" // only the Gearbox named default is in force
)

// Reasons of ConditionGearsFit; the other one is ReasonNoRoom.
const (
	ReasonEveryGearFits = "EveryGearFits" // no guest waits for room
)

// Reasons of ConditionReady of a ClusterCredential.
const (
	ReasonSigned          = "Signed"          // status.certificate is set
	ReasonPending         = "Pending"         // waiting for the cell's agent
	ReasonRefused         = "Refused"         // the request breaks a rule; the message says which
	ReasonClusterNotFound = "ClusterNotFound" // spec.cluster names no Cluster of the namespace
)

// Labels, annotations and finalizers.
const (
	// LabelID on a Cluster holds the id that the hub minted for it, on a ControlPlane its own name.
	LabelID = "fleet.myriad.dev/id"
	// LabelCell on a Cluster holds the cell that it is bound to. LabelID and LabelCell are written
	// in one update with the finalizer: that update is the bind.
	LabelCell = "fleet.myriad.dev/cell"
	// AnnotationBooking on a Cluster holds what the bind gave it besides id and cell, as
	// "<zone>[,<zone>…]/<plain port>". It is written in the same update.
	AnnotationBooking = "fleet.myriad.dev/booking"
	// AnnotationPlacement on a Cluster holds why the bind chose its cell (PlacementEvidence), as JSON, so that a
	// guest that is bound has it in any case. The status says the same.
	AnnotationPlacement = "fleet.myriad.dev/placement"
	// AnnotationNetwork on a Cluster holds the VPC and the ranges there that the bind gave it, as a
	// ClusterNetwork (JSON). It is written in the same update.
	AnnotationNetwork = "fleet.myriad.dev/network"
	// AnnotationSource on a mirrored ClusterCredential holds "<namespace>/<name>" of the tenant's own.
	AnnotationSource = "fleet.myriad.dev/source"
	// LabelRegion holds the region: of a ControlPlane, and of a bound Cluster.
	LabelRegion = "fleet.myriad.dev/region"
	// AnnotationAdopt on a Cluster, with the value "<cell>/<id>", takes over an orphan that the cell
	// reports: the hub writes its ControlPlane from Cell.status.orphans instead of placing anew.
	AnnotationAdopt = "fleet.myriad.dev/adopt"
	// Finalizer keeps Clusters and ControlPlanes until the agent has reported Deleted=True. Only the
	// hub adds and removes it.
	Finalizer = "fleet.myriad.dev/guest"
)

// CellNamespace is the hub namespace that holds a cell's orders: the only one its agent can read.
func CellNamespace(cell string) string { return "cell-" + cell }

// RegionNamespace is the hub namespace that holds what a region's gateways may read beside
// ControlPlanes: the ConfigMap named RegionCellsConfigMap.
func RegionNamespace(region string) string { return "region-" + region }

// HubNamespace holds what is the hub's own: its leader election, and the ConfigMap named
// AcceptedGearboxConfigMap.
const HubNamespace = "myriad-system"

const (
	// AcceptedGearboxConfigMap holds, under the key "spec", the GearboxSpec (JSON) that was accepted last.
	// It is in force while that of the Gearbox cannot be. The hub alone writes it.
	AcceptedGearboxConfigMap = "accepted-gearbox"
	// RegionCellsConfigMap lists, one key per cell, the cells whose ControlPlanes a region's gateways route.
	RegionCellsConfigMap = "cells"
	// AgentCredentialConfigMap in a cell's namespace answers Cell.status.certificateRequest: its data
	// has the keys "request" (SHA-256 of the request answered, hex) and "certificate" (PEM).
	AgentCredentialConfigMap = "agent-credential"
	// AgentLease in a cell's namespace is renewed by the cell's agent.
	AgentLease = "agent"
)

// AgentUser is the user name in an agent's certificate. Raising Cell.spec.credentialGeneration
// revokes every certificate of lower generations, because RBAC binds this one name.
func AgentUser(cell string, generation int64) string {
	return "cell:" + cell + ":" + strconv.FormatInt(generation, 10)
}

// GatewayUser is the user name in a gateway's certificate; instance counts from 1.
func GatewayUser(region string, instance int) string {
	return "gateway:" + region + ":" + strconv.Itoa(instance)
}
