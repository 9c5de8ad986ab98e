package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DefaultGearbox is the name of the Gearbox that the fleet's guests are sized by.
const DefaultGearbox = "default"

// Gearbox says how the size of a control plane follows from its load: factors for each metric, a ladder
// of gears, and when to shift from one to the next.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,path=gearboxes
// +kubebuilder:printcolumn:name="Frozen",type=boolean,JSONPath=`.spec.frozen`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Gearbox struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   GearboxSpec   `json:"spec"`
	Status GearboxStatus `json:"status,omitempty"`
}

// GearboxSpec is the model. A Gearbox whose parts do not fit each other is not accepted
// (status.conditions says why), and the last one that was accepted stays in force.
type GearboxSpec struct {
	// Base is what a control plane that carries nothing takes in one zone: one etcd member, one API
	// server, one controller manager and one scheduler.
	Base Resources `json:"base"`
	// Factors say what each unit of a metric adds to Base.
	// +listType=map
	// +listMapKey=metric
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Factors []GearFactor `json:"factors"`
	// Ladder of gears, the smallest first.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=15
	Ladder []Gear `json:"ladder"`
	// Shifting says when to shift.
	// +optional
	Shifting GearShifting `json:"shifting,omitempty"`
	// Frozen stops all shifts of the fleet.
	// +optional
	Frozen bool `json:"frozen,omitempty"`
}

// Resources are an amount of CPU and memory.
type Resources struct {
	// CPU in cores.
	CPU resource.Quantity `json:"cpu"`
	// Memory in bytes.
	Memory resource.Quantity `json:"memory"`
}

// LoadMetricName names one number of a guest's load.
//
// +kubebuilder:validation:Enum=nodes;pods;objects;customResources;watches;getsPerSecond;listsPerSecond;writesPerSecond;executingSeats;queuedSeats;scheduledPodsPerSecond;databaseBytes;databaseInUseBytes
type LoadMetricName string

// The metrics of a guest's load. Rates are means over the time between two samples; what several API
// servers count apart is added up.
const (
	LoadNodes                  LoadMetricName = "nodes"                  // Node objects
	LoadPods                   LoadMetricName = "pods"                   // Pod objects
	LoadObjects                LoadMetricName = "objects"                // objects of all resources
	LoadCustomResources        LoadMetricName = "customResources"        // objects of resources that CustomResourceDefinitions define
	LoadWatches                LoadMetricName = "watches"                // watches that are open
	LoadGetsPerSecond          LoadMetricName = "getsPerSecond"          // GET requests for one object
	LoadListsPerSecond         LoadMetricName = "listsPerSecond"         // LIST requests
	LoadWritesPerSecond        LoadMetricName = "writesPerSecond"        // requests that change something
	LoadExecutingSeats         LoadMetricName = "executingSeats"         // seats of API priority and fairness that are taken
	LoadQueuedSeats            LoadMetricName = "queuedSeats"            // requests that wait for a seat
	LoadScheduledPodsPerSecond LoadMetricName = "scheduledPodsPerSecond" // pods that were bound to nodes
	LoadDatabaseBytes          LoadMetricName = "databaseBytes"          // etcd's database on disk, of the largest member
	LoadDatabaseInUseBytes     LoadMetricName = "databaseInUseBytes"     // the part of it that is in use
)

// GearFactor is what one unit of a metric takes in each zone that carries it.
//
// +kubebuilder:validation:XValidation:rule="!quantity(self.cpu).isLessThan(quantity('0'))",message="cpu must not be negative: more load never needs less"
// +kubebuilder:validation:XValidation:rule="!quantity(self.memory).isLessThan(quantity('0'))",message="memory must not be negative: more load never needs less"
type GearFactor struct {
	// Metric that is multiplied.
	Metric LoadMetricName `json:"metric"`
	// CPU in cores per unit, for example 9m for each request per second.
	CPU resource.Quantity `json:"cpu"`
	// Memory in bytes per unit.
	Memory resource.Quantity `json:"memory"`
	// Source of the two numbers: a publication, or the measurement that they were fitted to.
	// +kubebuilder:validation:MaxLength=500
	// +optional
	Source string `json:"source,omitempty"`
}

// Gear is one rung of the ladder.
type Gear struct {
	// Name, for example nano.
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:MaxLength=20
	Name string `json:"name"`
	// Size of one instance of each component. Its requests (cpu and memory) added up are the gear's
	// capacity.
	Size GearSize `json:"size"`
	// Tuning of the components' flags.
	Tuning GearTuning `json:"tuning"`
	// Limits that a guest in this gear must not exceed, whatever its demand.
	Limits GearLimits `json:"limits"`
	// Source of the numbers.
	// +kubebuilder:validation:MaxLength=500
	// +optional
	Source string `json:"source,omitempty"`
}

// GearSize is CPU and memory per instance of each component.
type GearSize struct {
	// Etcd per member.
	Etcd ComponentSize `json:"etcd"`
	// APIServer per instance.
	APIServer ComponentSize `json:"apiServer"`
	// ControllerManager per instance.
	ControllerManager ComponentSize `json:"controllerManager"`
	// Scheduler per instance.
	Scheduler ComponentSize `json:"scheduler"`
}

// GearTuning is what the components read at their start. Nothing of it concerns etcd.
type GearTuning struct {
	// MaxRequestsInFlight of an API server: reads.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	MaxRequestsInFlight int32 `json:"maxRequestsInFlight"`
	// MaxMutatingRequestsInFlight of an API server: writes.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	MaxMutatingRequestsInFlight int32 `json:"maxMutatingRequestsInFlight"`
	// APIServerMemory in bytes is the Go runtime's soft limit (GOMEMLIMIT); none: no limit.
	// +optional
	APIServerMemory *resource.Quantity `json:"apiServerMemory,omitempty"`
	// ControllerRequestsPerSecond that the controller manager may send; its burst is twice that.
	// +kubebuilder:validation:Minimum=20
	// +kubebuilder:validation:Maximum=10000
	ControllerRequestsPerSecond int32 `json:"controllerRequestsPerSecond"`
}

// GearLimits bound what a gear may carry.
type GearLimits struct {
	// Nodes at most.
	// +kubebuilder:validation:Minimum=1
	Nodes int64 `json:"nodes"`
	// DatabaseBytes of etcd at most.
	DatabaseBytes resource.Quantity `json:"databaseBytes"`
}

// GearShifting says when to shift. A guest is over its gear while its demand is more than enterPercent
// of the gear's capacity or it exceeds one of the gear's limits, and fits a lower gear while its demand
// is at most leavePercent of that one's.
//
// +kubebuilder:validation:XValidation:rule="!has(self.enterPercent) || !has(self.leavePercent) || self.leavePercent < self.enterPercent",message="leavePercent must be less than enterPercent: a guest between the two bands stays where it is"
type GearShifting struct {
	// EnterPercent of a gear's capacity above which the next higher gear is entered.
	// +kubebuilder:default=80
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +optional
	EnterPercent int32 `json:"enterPercent,omitempty"`
	// LeavePercent of the next lower gear's capacity below which that one is entered.
	// +kubebuilder:default=60
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=99
	// +optional
	LeavePercent int32 `json:"leavePercent,omitempty"`
	// UpDelaySeconds that a guest must be over its gear before it shifts up.
	// +kubebuilder:default=30
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=86400
	// +optional
	UpDelaySeconds *int32 `json:"upDelaySeconds,omitempty"`
	// DownDelaySeconds that a guest must fit a lower gear before it shifts down one rung.
	// +kubebuilder:default=1200
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=604800
	// +optional
	DownDelaySeconds *int32 `json:"downDelaySeconds,omitempty"`
	// Moves of one guest at most in any span of windowSeconds.
	// +kubebuilder:default=5
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +optional
	Moves int32 `json:"moves,omitempty"`
	// WindowSeconds of moves.
	// +kubebuilder:default=600
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=604800
	// +optional
	WindowSeconds int32 `json:"windowSeconds,omitempty"`
	// TuningDownDelaySeconds that a guest must have had a lower gear's size before it gets that one's
	// tuning, which restarts API servers. Tuning follows size up after upDelaySeconds more.
	// +kubebuilder:default=3600
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=604800
	// +optional
	TuningDownDelaySeconds *int32 `json:"tuningDownDelaySeconds,omitempty"`
	// StaleSeconds after which a sample is too old to shift on. Agents tell of a load that stays as it is
	// every thirteen minutes or so.
	// +kubebuilder:default=900
	// +kubebuilder:validation:Minimum=900
	// +kubebuilder:validation:Maximum=86400
	// +optional
	StaleSeconds int32 `json:"staleSeconds,omitempty"`
	// HealthSeconds that a shift has to become healthy before it goes back.
	// +kubebuilder:default=600
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=86400
	// +optional
	HealthSeconds int32 `json:"healthSeconds,omitempty"`
}

// GearboxStatus is what the hub says of a Gearbox.
type GearboxStatus struct {
	// ObservedGeneration is the generation of the spec that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Accepted.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// GearBounds limit the gears of a guest. What is left out is not limited.
//
// +kubebuilder:validation:XValidation:rule="!has(self.pinned) || (!has(self.min) && !has(self.max))",message="write either pinned, or min and max"
type GearBounds struct {
	// Min is the smallest gear that the guest may have.
	// +optional
	// +kubebuilder:validation:MaxLength=20
	Min string `json:"min,omitempty"`
	// Max is the largest.
	// +optional
	// +kubebuilder:validation:MaxLength=20
	Max string `json:"max,omitempty"`
	// Pinned is the only one.
	// +optional
	// +kubebuilder:validation:MaxLength=20
	Pinned string `json:"pinned,omitempty"`
}

// ClusterGear is which gear a guest has, why, and how it came there.
type ClusterGear struct {
	// Size is the gear whose size the guest has.
	// +optional
	Size string `json:"size,omitempty"`
	// Tuning is the gear whose tuning the guest has; empty for none yet.
	// +optional
	Tuning string `json:"tuning,omitempty"`
	// Wanted is the gear that the load asks for within the guest's bounds.
	// +optional
	Wanted string `json:"wanted,omitempty"`
	// Reason in one word why the guest is, or stays, in its gear.
	// +optional
	Reason string `json:"reason,omitempty"`
	// Message for people.
	// +optional
	Message string `json:"message,omitempty"`
	// Toward is the gear that the guest will shift to when it still should then; empty for none.
	// +optional
	Toward string `json:"toward,omitempty"`
	// TowardSince is when it first should.
	// +optional
	TowardSince *metav1.Time `json:"towardSince,omitempty"`
	// Moves, the latest first, 20 at most.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	Moves []GearMove `json:"moves,omitempty"`
}

// GearMoveKind says what was moved.
//
// +kubebuilder:validation:Enum=Size;Tuning
type GearMoveKind string

// The kinds of moves.
const (
	GearMoveSize   GearMoveKind = "Size"   // CPU and memory
	GearMoveTuning GearMoveKind = "Tuning" // flags, by a restart
)

// GearMove is one shift.
type GearMove struct {
	// Time of the move.
	Time metav1.Time `json:"time"`
	// Kind: Size or Tuning.
	Kind GearMoveKind `json:"kind"`
	// From which gear; empty for none.
	// +optional
	From string `json:"from,omitempty"`
	// To which gear.
	To string `json:"to"`
	// Reason in one word.
	Reason string `json:"reason"`
	// Message says what the load was.
	// +optional
	Message string `json:"message,omitempty"`
	// HealthyAt is when the guest was first seen healthy after the move; none: not yet. A move that is not
	// healthy in time goes back.
	// +optional
	HealthyAt *metav1.Time `json:"healthyAt,omitempty"`
}

// GearboxList is a list of Gearboxes.
//
// +kubebuilder:object:root=true
type GearboxList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Gearbox `json:"items"`
}
