package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ControlPlane is the fully resolved order for one guest in one cell. The hub writes its spec, the
// cell's agent its status. Its name is the guest's id.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.spec.cluster.name`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.spec.version`
// +kubebuilder:printcolumn:name="Availability",type=string,JSONPath=`.spec.availability`
// +kubebuilder:printcolumn:name="Gear",type=string,JSONPath=`.spec.size.gear`
// +kubebuilder:printcolumn:name="Epoch",type=integer,JSONPath=`.spec.epoch`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:validation:XValidation:rule="self.metadata.name == self.spec.id",message="a ControlPlane's name must equal spec.id"
type ControlPlane struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ControlPlaneSpec   `json:"spec"`
	Status ControlPlaneStatus `json:"status,omitempty"`
}

// ControlPlaneSpec holds all that an agent needs: it can read nothing else.
//
// +kubebuilder:validation:XValidation:rule="self.epoch >= oldSelf.epoch",message="epoch only grows"
// +kubebuilder:validation:XValidation:rule="self.zones == oldSelf.zones && self.availability == oldSelf.availability",message="zones and availability are immutable: etcd's data lies where they say"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.tombstone) || has(self.tombstone)",message="a tombstone cannot be taken back"
// +kubebuilder:validation:XValidation:rule="!has(self.tombstone) || self.tombstone.id == self.id",message="tombstone.id must equal spec.id"
type ControlPlaneSpec struct {
	// ID of the guest: immutable, random, minted once by the hub; 10 characters, a letter first.
	// +kubebuilder:validation:Pattern=`^[a-z][a-z0-9]{9}$`
	// +kubebuilder:validation:MaxLength=10
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="id is immutable"
	ID string `json:"id"`

	// Cluster that the order is for.
	Cluster ClusterReference `json:"cluster"`

	// Region of the cell.
	// +kubebuilder:validation:MaxLength=40
	Region string `json:"region"`

	// Version of Kubernetes, for example v1.36.3.
	// +kubebuilder:validation:Pattern=`^v1\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$`
	Version string `json:"version"`

	// EtcdVersion, for example v3.6.16.
	// +kubebuilder:validation:Pattern=`^v3\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$`
	EtcdVersion string `json:"etcdVersion"`

	// Images of the components by program (etcd, kube-apiserver, kube-controller-manager,
	// kube-scheduler), for runtimes that run containers. What is not named comes from
	// registry.k8s.io.
	// +optional
	// +kubebuilder:validation:MaxProperties=10
	Images map[string]string `json:"images,omitempty"`

	// Availability: Single or Zonal.
	Availability Availability `json:"availability"`

	// Zones to use, in order: the first for Single, the first three for Zonal.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	// +kubebuilder:validation:items:MaxLength=20
	// +listType=atomic
	Zones []string `json:"zones"`

	// Network addresses inside the guest.
	// +structType=atomic
	Network ClusterNetwork `json:"network"`

	// Endpoint that the gateways serve the guest on.
	// +structType=atomic
	Endpoint GuestEndpoint `json:"endpoint"`

	// Size of the control plane.
	// +structType=atomic
	Size ControlPlaneSize `json:"size"`

	// Tuning of the components' flags; none: upstream's own. Render revisions before 4 know of none.
	// +optional
	// +structType=atomic
	Tuning *ControlPlaneTuning `json:"tuning,omitempty"`
	// EtcdQuotaBytes is the largest database that etcd allows, fixed when the order is first written from
	// the largest gear that the guest may reach: changing it would restart etcd. 0: 8 GiB. Render revisions
	// before 4 always give 8 GiB.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="etcdQuotaBytes is immutable: changing it would restart etcd"
	EtcdQuotaBytes int64 `json:"etcdQuotaBytes,omitempty"`
	// RenderRevision pins how the order is rendered. New defaults get a new revision; a guest keeps
	// its own until a rollout moves it.
	// +kubebuilder:validation:Minimum=1
	RenderRevision int64 `json:"renderRevision"`

	// Epoch of this placement: the highest one of an id is the live copy.
	// +kubebuilder:validation:Minimum=1
	Epoch int64 `json:"epoch"`

	// SupersededBy is the higher epoch that lives in another cell. The agent then freezes this copy.
	// +optional
	// +kubebuilder:validation:Minimum=1
	SupersededBy int64 `json:"supersededBy,omitempty"`

	// EscrowRecipient is the age key that the guest's identity is sealed to. Empty: no escrow.
	// +optional
	EscrowRecipient string `json:"escrowRecipient,omitempty"`

	// SnapshotsRefused says why no snapshot of the guest's etcd may be stored where the cell stores them; empty:
	// they may. The agent then takes none: it repairs etcd as in a cell without a store, and a step of somebody
	// else's that asks for a snapshot fails with these words.
	// +optional
	// +kubebuilder:validation:MaxLength=1000
	SnapshotsRefused string `json:"snapshotsRefused,omitempty"`

	// Tombstone orders the guest's removal. Nothing else does.
	// +optional
	Tombstone *Tombstone `json:"tombstone,omitempty"`
}

// ClusterReference names the Cluster that an order is for, and carries what is needed to make it
// anew when the hub has lost it.
type ClusterReference struct {
	// Namespace of the Cluster.
	Namespace string `json:"namespace"`
	// Name of the Cluster.
	Name string `json:"name"`
	// Spec of the Cluster as it was when the order was last written. It was checked there: the rules of a Cluster
	// would be evaluated at each report of an agent once more.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	// +structType=atomic
	Spec ClusterSpec `json:"spec"`
}

// ControlPlaneSize is CPU and memory per instance of each component.
type ControlPlaneSize struct {
	// Gear that the size comes from.
	// +optional
	Gear string `json:"gear,omitempty"`
	// Etcd per member.
	Etcd ComponentSize `json:"etcd"`
	// APIServer per instance.
	APIServer ComponentSize `json:"apiServer"`
	// ControllerManager per instance.
	ControllerManager ComponentSize `json:"controllerManager"`
	// Scheduler per instance.
	Scheduler ComponentSize `json:"scheduler"`
}

// ControlPlaneTuning is what the components of a guest read at their start.
type ControlPlaneTuning struct {
	// Gear that the tuning comes from.
	// +optional
	Gear string `json:"gear,omitempty"`

	GearTuning `json:",inline"`
}

// ComponentSize is what one instance of a component is given.
//
// +kubebuilder:validation:XValidation:rule="!has(self.cpuLimit) || quantity(self.cpuLimit).compareTo(quantity(self.cpu)) >= 0",message="cpuLimit must be at least cpu"
// +kubebuilder:validation:XValidation:rule="!has(self.memoryLimit) || quantity(self.memoryLimit).compareTo(quantity(self.memory)) >= 0",message="memoryLimit must be at least memory"
type ComponentSize struct {
	// CPU in cores that is set aside for it, and that placement counts.
	CPU resource.Quantity `json:"cpu"`
	// Memory in bytes that is set aside for it, and that placement counts.
	Memory resource.Quantity `json:"memory"`
	// CPULimit in cores that it may use for a while; none: what its node has. The process runtime
	// enforces no limit.
	// +optional
	CPULimit *resource.Quantity `json:"cpuLimit,omitempty"`
	// MemoryLimit in bytes above which it is killed; none: what its node has. The process runtime
	// enforces no limit.
	// +optional
	MemoryLimit *resource.Quantity `json:"memoryLimit,omitempty"`
}

// Tombstone orders the removal of the guest whose id it holds.
type Tombstone struct {
	// ID must equal spec.id.
	ID string `json:"id"`
}

// ControlPlaneStatus is what the cell's agent reports. It has one writer: all but its conditions is atomic, because
// the API server keeps an entry in managedFields for each item of what is not, and reads them at every write.
type ControlPlaneStatus struct {
	// Endpoints of the API servers, stable and dialable from the region's gateways.
	// +optional
	// +listType=atomic
	Endpoints []Endpoint `json:"endpoints,omitempty"`
	// CABundle (PEM) that the API servers are verified by.
	// +optional
	CABundle string `json:"caBundle,omitempty"`
	// Version of Kubernetes that runs.
	// +optional
	Version string `json:"version,omitempty"`
	// Components and how they are.
	// +optional
	// +listType=atomic
	Components []ComponentStatus `json:"components,omitempty"`
	// Etcd and its members, as the agent last saw them.
	// +optional
	// +structType=atomic
	Etcd *EtcdStatus `json:"etcd,omitempty"`
	// Load that the guest carries, as last sampled; none before the first sample.
	// +optional
	// +structType=atomic
	Load *Load `json:"load,omitempty"`
	// Escrow is the guest's identity, sealed (age, ASCII armour) to spec.escrowRecipient.
	// +optional
	Escrow string `json:"escrow,omitempty"`
	// ObservedGeneration is the generation of the spec that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Ready, Progressing, EtcdHealthy, Frozen, Deleted.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Endpoint is one API server.
type Endpoint struct {
	// Zone of the API server.
	Zone string `json:"zone"`
	// Address: an IP or a DNS name.
	Address string `json:"address"`
	// Port of the API server.
	Port int32 `json:"port"`
}

// ComponentStatus is how one instance of a component is.
type ComponentStatus struct {
	// Name of the instance, for example kube-apiserver-a.
	Name string `json:"name"`
	// Ready when its probe succeeds.
	Ready bool `json:"ready"`
	// Restarts after deaths that nobody ordered, since the guest was created.
	// +optional
	Restarts int32 `json:"restarts,omitempty"`
	// LastExit says how and why it last died.
	// +optional
	LastExit string `json:"lastExit,omitempty"`
	// Message says what keeps it from running, for example "0/3 nodes are available: 3 Insufficient
	// memory".
	// +optional
	Message string `json:"message,omitempty"`
}

// EtcdRole is what a member is in its group.
//
// +kubebuilder:validation:Enum=Leader;Follower;Learner;Missing
type EtcdRole string

// The roles of etcd members.
const (
	EtcdLeader   EtcdRole = "Leader"
	EtcdFollower EtcdRole = "Follower"
	EtcdLearner  EtcdRole = "Learner" // has no vote yet: it catches up with the others
	EtcdMissing  EtcdRole = "Missing" // does not answer, or is no member
)

// EtcdStatus is how a guest's etcd is. It is written when roles, alarms or snapshots change and
// otherwise at most every hour.
type EtcdStatus struct {
	// Members by the zone that they live in.
	// +optional
	// +listType=map
	// +listMapKey=zone
	Members []EtcdMember `json:"members,omitempty"`
	// LastSnapshot that was stored; none yet when absent.
	// +optional
	LastSnapshot *EtcdSnapshot `json:"lastSnapshot,omitempty"`
}

// EtcdMember is one member.
type EtcdMember struct {
	// Zone of the member.
	Zone string `json:"zone"`
	// Role: Leader, Follower, Learner or Missing.
	Role EtcdRole `json:"role"`
	// ID in its group, in hexadecimal as etcdctl writes it; empty when it is no member. One that was
	// replaced has a new one.
	// +optional
	ID string `json:"id,omitempty"`
	// DatabaseBytes on disk.
	// +optional
	DatabaseBytes int64 `json:"databaseBytes,omitempty"`
	// DatabaseInUseBytes of them; the rest comes back by defragmentation.
	// +optional
	DatabaseInUseBytes int64 `json:"databaseInUseBytes,omitempty"`
	// Alarm that the member has raised: NOSPACE or CORRUPT; empty for none.
	// +optional
	Alarm string `json:"alarm,omitempty"`
}

// EtcdSnapshot is a copy of the database in the cell's store.
type EtcdSnapshot struct {
	// Name of the object in the store.
	Name string `json:"name"`
	// Time at which it was taken.
	Time metav1.Time `json:"time"`
	// Bytes of the object.
	Bytes int64 `json:"bytes"`
}

// ControlPlaneList is a list of ControlPlanes.
//
// +kubebuilder:object:root=true
type ControlPlaneList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ControlPlane `json:"items"`
}
