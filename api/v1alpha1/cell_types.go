package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Cell is one meta cluster: the unit of capacity, of blast radius and of growth.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster
// +kubebuilder:printcolumn:name="Region",type=string,JSONPath=`.spec.region`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Guests",type=integer,JSONPath=`.status.guests`
// +kubebuilder:printcolumn:name="Cordoned",type=boolean,JSONPath=`.spec.cordoned`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$')",message="a Cell's name must be a DNS label of at most 40 characters: lower-case letters, digits and '-', starting with a letter, for example hz-1"
type Cell struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   CellSpec   `json:"spec"`
	Status CellStatus `json:"status,omitempty"`
}

// CellSpec is what an operator says of a cell.
//
// +kubebuilder:validation:XValidation:rule="!has(self.drills) || self.drills.all(d, d.zone in self.zones)",message="drills[].zone must be one of spec.zones"
type CellSpec struct {
	// Region that the cell lies in.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="region is immutable: a cell does not move; make a new Cell"
	Region string `json:"region"`

	// Zones of the region that the cell spans.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:items:MaxLength=20
	// +listType=set
	Zones []string `json:"zones"`

	// ReservePercent of every zone's capacity is never given to guests before a loss.
	// +kubebuilder:default=40
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=99
	// +optional
	ReservePercent *int32 `json:"reservePercent,omitempty"`

	// MaxGuests the cell accepts; 0 leaves the number to its capacity.
	// +optional
	// +kubebuilder:validation:Minimum=0
	MaxGuests int32 `json:"maxGuests,omitempty"`

	// MaxGuestsPerTenant that the cell accepts, so that its loss hurts one tenant only so much; 0: any number.
	// +optional
	// +kubebuilder:validation:Minimum=0
	MaxGuestsPerTenant int32 `json:"maxGuestsPerTenant,omitempty"`

	// Network says how the cell reaches its guests' networks; none: nothing is known, and nothing limits it.
	// +optional
	Network *CellNetwork `json:"network,omitempty"`

	// Cost of the cell's capacity; none: it counts as free.
	// +optional
	Cost *CellCost `json:"cost,omitempty"`

	// Kinds of template that the cell accepts; empty accepts all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=20
	Kinds []string `json:"kinds,omitempty"`

	// Cordoned keeps new guests away. Guests that live here stay.
	// +optional
	Cordoned bool `json:"cordoned,omitempty"`

	// GearsFrozen stops all shifts of the guests that live here.
	// +optional
	GearsFrozen bool `json:"gearsFrozen,omitempty"`
	// CredentialGeneration of the agent's certificate. Raising it revokes all earlier ones.
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:XValidation:rule="self >= oldSelf",message="credentialGeneration only grows: lowering it would bring revoked certificates back"
	CredentialGeneration int64 `json:"credentialGeneration,omitempty"`

	// Drills hold zones dead or hung, to see what happens.
	// +optional
	// +listType=map
	// +listMapKey=zone
	// +kubebuilder:validation:MaxItems=10
	Drills []Drill `json:"drills,omitempty"`
}

// DrillMode says how a zone fails in a drill.
//
// +kubebuilder:validation:Enum=Kill;Hang
type DrillMode string

// The ways in which a drill makes a zone fail.
const (
	DrillKill DrillMode = "Kill" // everything in the zone is killed and held stopped
	DrillHang DrillMode = "Hang" // everything in the zone is held by SIGSTOP
)

// Drill holds everything of the cell in one zone dead or hung.
type Drill struct {
	// Zone to fail.
	// +kubebuilder:validation:MaxLength=20
	Zone string `json:"zone"`
	// Mode: Kill or Hang.
	Mode DrillMode `json:"mode"`
}

// CellStatus is what a cell's agent reports. The hub alone writes the Ready condition, and the agent
// alone RuntimeReady.
type CellStatus struct {
	// Zones with their capacity, as the runtime reports it.
	// +optional
	// +listType=map
	// +listMapKey=name
	Zones []ZoneCapacity `json:"zones,omitempty"`

	// Guests that live in the cell, frozen ones included.
	// +optional
	Guests int32 `json:"guests,omitempty"`

	// AgentVersion is the version of Myriad that the agent runs.
	// +optional
	AgentVersion string `json:"agentVersion,omitempty"`

	// Versions of Kubernetes that the cell can run.
	// +optional
	// +listType=set
	Versions []string `json:"versions,omitempty"`

	// SnapshotRegion is the Region in which the agent's store of etcd's snapshots lies; empty: there is none.
	// +optional
	SnapshotRegion string `json:"snapshotRegion,omitempty"`

	// CertificateRequest (PEM) asks for the agent's next certificate. The answer is the ConfigMap
	// AgentCredentialConfigMap in the cell's namespace.
	// +optional
	CertificateRequest string `json:"certificateRequest,omitempty"`

	// Orphans are guests that run here although the hub has no order for them.
	// +optional
	// +listType=map
	// +listMapKey=id
	Orphans []Orphan `json:"orphans,omitempty"`

	// Drills that are in force now.
	// +optional
	// +listType=map
	// +listMapKey=zone
	Drills []Drill `json:"drills,omitempty"`

	// RoundTrips between zones, as measured; written when they move by more than a quarter.
	// +optional
	// +listType=map
	// +listMapKey=between
	RoundTrips []RoundTrip `json:"roundTrips,omitempty"`

	// Conditions: Ready (the hub's), RuntimeReady (the agent's).
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ZoneCapacity is what one zone of a cell can carry of guests in all, before any reserve: what
// other workloads use is subtracted.
type ZoneCapacity struct {
	// Name of the zone.
	Name string `json:"name"`
	// CPU in cores.
	CPU resource.Quantity `json:"cpu"`
	// Memory in bytes.
	Memory resource.Quantity `json:"memory"`
	// Pods that the zone's nodes may still run for guests; none: nothing counts them here.
	// +optional
	Pods *int64 `json:"pods,omitempty"`
	// Addresses for pods; none: nothing counts them here.
	// +optional
	Addresses *int64 `json:"addresses,omitempty"`
	// Volumes that may be attached; none: nothing counts them here.
	// +optional
	Volumes *int64 `json:"volumes,omitempty"`
	// Nodes of the zone that are ready; none: the zone is not made of nodes.
	// +optional
	Nodes *int64 `json:"nodes,omitempty"`
}

// RoundTrip is the measured time of a message and its answer between two zones.
type RoundTrip struct {
	// Between the two zones, as "a-b" in the order of spec.zones.
	Between string `json:"between"`
	// MedianMicroseconds of the samples.
	MedianMicroseconds int64 `json:"medianMicroseconds"`
	// P99Microseconds: 99 of 100 samples took no longer.
	P99Microseconds int64 `json:"p99Microseconds"`
	// Source of the samples: EtcdPeers (between members of guests' etcds) or Probe (TCP connections
	// that the agent opens to both zones).
	// +kubebuilder:validation:Enum=EtcdPeers;Probe
	Source string `json:"source"`
}

// Orphan is a guest that runs in a cell although the hub has no order for it.
type Orphan struct {
	// ID of the guest.
	ID string `json:"id"`
	// Since the agent first missed the order.
	Since metav1.Time `json:"since"`
	// Order is the last one the agent had, whole: adoption writes it back. Its schema is left open so
	// that no field is pruned on the way; the ControlPlane written from it is validated in full.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	Order ControlPlaneSpec `json:"order"`
}

// CellList is a list of Cells.
//
// +kubebuilder:object:root=true
type CellList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Cell `json:"items"`
}
