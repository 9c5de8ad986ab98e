package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Cluster is a user's Kubernetes cluster: a guest of the fleet.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced
// +kubebuilder:printcolumn:name="Region",type=string,JSONPath=`.status.region`
// +kubebuilder:printcolumn:name="Cell",type=string,JSONPath=`.status.cell`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.version`
// +kubebuilder:printcolumn:name="Availability",type=string,JSONPath=`.status.availability`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$')",message="a Cluster's name must be a DNS label of at most 40 characters: lower-case letters, digits and '-', starting with a letter, for example team-a-prod"
type Cluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ClusterSpec   `json:"spec"`
	Status ClusterStatus `json:"status,omitempty"`
}

// Availability says how a control plane spreads over zones.
//
// +kubebuilder:validation:Enum=Single;Zonal
type Availability string

const (
	// Single is one replica of every component, in one zone.
	Single Availability = "Single"
	// Zonal is, in each of three zones, one etcd member and one API server that uses that member
	// only, and a leader-elected controller manager and scheduler in two of them.
	Zonal Availability = "Zonal"
)

// ClusterSpec is what a user asks for. What is left out comes from the template.
//
// +kubebuilder:validation:XValidation:rule="has(self.region) || has(self.residency)",message="write spec.region, for example region: cn-hangzhou, or spec.residency, from which the fleet chooses a region"
// +kubebuilder:validation:XValidation:rule="has(self.region) == has(oldSelf.region) && (!has(self.region) || self.region == oldSelf.region)",message="region is immutable: create a new Cluster in the other region"
// +kubebuilder:validation:XValidation:rule="has(self.cell) == has(oldSelf.cell) && (!has(self.cell) || self.cell == oldSelf.cell)",message="cell is immutable: it says where the guest is placed first"
// +kubebuilder:validation:XValidation:rule="self.template == oldSelf.template",message="template is immutable: create a new Cluster from the other template"
// +kubebuilder:validation:XValidation:rule="has(self.availability) == has(oldSelf.availability) && (!has(self.availability) || self.availability == oldSelf.availability)",message="availability is immutable: create a new Cluster with the other availability"
// +kubebuilder:validation:XValidation:rule="has(self.network) == has(oldSelf.network) && (!has(self.network) || self.network == oldSelf.network)",message="network is immutable: create a new Cluster with the other addresses"
type ClusterSpec struct {
	// Template names the ClusterTemplate.
	// +kubebuilder:default=standard
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Template string `json:"template,omitempty"`

	// Region names the Region; none: any region that residency allows.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	Region string `json:"region,omitempty"`
	// Residency limits where anything of the guest may lie. A change moves nothing: where the guest lies
	// against the new rule, its Resident condition and 'myriad residency report' say so.
	// +optional
	Residency *Residency `json:"residency,omitempty"`

	// Cell pins the guest to a cell when it is placed; none: placement chooses one.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	Cell string `json:"cell,omitempty"`

	// Version of Kubernetes: the name of a Release.
	// +optional
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self.matches('^v1[.](0|[1-9][0-9]*)[.](0|[1-9][0-9]*)$')",message="version must have the form v1.N.P, for example v1.36.3"
	Version string `json:"version,omitempty"`

	// Availability: Single or Zonal.
	// +optional
	Availability Availability `json:"availability,omitempty"`

	// Network addresses inside the guest.
	// +optional
	Network *ClusterNetwork `json:"network,omitempty"`
	// Gears that the guest may have; what is left out comes from the template, whose bounds it must lie in.
	// +optional
	Gears *GearBounds `json:"gears,omitempty"`
	// MaintenanceWindow in which what makes the guest unavailable for a moment may be done; none: at any
	// time.
	// +optional
	MaintenanceWindow *MaintenanceWindow `json:"maintenanceWindow,omitempty"`
}

// MaintenanceWindow is a span of each week, in UTC.
type MaintenanceWindow struct {
	// Days on which it begins; none: every day.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=7
	// +kubebuilder:validation:items:Enum=Monday;Tuesday;Wednesday;Thursday;Friday;Saturday;Sunday
	Days []string `json:"days,omitempty"`
	// Start of the span, HH:MM.
	// +kubebuilder:validation:MaxLength=5
	// +kubebuilder:validation:XValidation:rule="self.matches('^([01][0-9]|2[0-3]):[0-5][0-9]$')",message="start must have the form HH:MM between 00:00 and 23:59 in UTC, for example 02:30"
	Start string `json:"start"`
	// DurationMinutes of the span.
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=1440
	DurationMinutes int32 `json:"durationMinutes"`
}

// ClusterNetwork holds the addresses inside a guest. Without a VPC both CIDRs must be written, and may be those
// of other guests, too. In a VPC what is not written is planned from nodes, podsPerNode and services.
//
// +kubebuilder:validation:XValidation:rule="has(self.vpc) || (has(self.podCIDR) && has(self.serviceCIDR))",message="write podCIDR and serviceCIDR, for example 10.244.0.0/16 and 10.96.0.0/16, or the vpc from whose pools they are planned"
// +kubebuilder:validation:XValidation:rule="has(self.vpc) || (!has(self.nodeCIDR) && !has(self.nodes) && !has(self.podsPerNode) && !has(self.services))",message="nodes, podsPerNode, services and nodeCIDR are planned in a vpc only: name it, or leave them out"
// +kubebuilder:validation:XValidation:rule="!has(self.podCIDR) || !has(self.serviceCIDR) || !isCIDR(self.podCIDR) || !isCIDR(self.serviceCIDR) || !(cidr(self.podCIDR).containsCIDR(cidr(self.serviceCIDR)) || cidr(self.serviceCIDR).containsCIDR(cidr(self.podCIDR)))",message="podCIDR and serviceCIDR overlap: choose two ranges that share no address, for example 10.244.0.0/16 and 10.96.0.0/16"
type ClusterNetwork struct {
	// VPC of the region that the guest's nodes, pods and Services lie in; none: a network of its own.
	// +optional
	// +kubebuilder:validation:Pattern=`^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$`
	VPC string `json:"vpc,omitempty"`
	// Nodes is the largest number of nodes that addresses are planned for; 0: 16.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	Nodes int32 `json:"nodes,omitempty"`
	// PodsPerNode is the largest number of pods of a node; 0: 110, as kubelet has it.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	PodsPerNode int32 `json:"podsPerNode,omitempty"`
	// Services is the largest number of Services; 0: 4096.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	Services int32 `json:"services,omitempty"`
	// NodeCIDR is the range of the nodes in the VPC: an IPv4 network.
	// +optional
	// +kubebuilder:validation:MaxLength=43
	// +kubebuilder:validation:XValidation:rule="isCIDR(self) && cidr(self).ip().family() == 4 && cidr(self).ip().isGlobalUnicast() && cidr(self) == cidr(self).masked()",message="nodeCIDR must be an IPv4 unicast network in its shortest form (no loopback or link-local one), for example 10.0.0.0/24"
	NodeCIDR string `json:"nodeCIDR,omitempty"`
	// PodCIDR is the range of the pods: an IPv4 network of at least 256 addresses.
	// +optional
	// +kubebuilder:validation:MaxLength=43
	// +kubebuilder:validation:XValidation:rule="isCIDR(self) && cidr(self).ip().family() == 4 && cidr(self).ip().isGlobalUnicast() && cidr(self) == cidr(self).masked()",message="podCIDR must be an IPv4 unicast network in its shortest form (no loopback or link-local one), for example 10.244.0.0/16"
	// +kubebuilder:validation:XValidation:rule="!isCIDR(self) || (cidr(self).prefixLength() <= 24 && cidr(self).prefixLength() >= 8)",message="podCIDR must have between 256 and 16,777,216 addresses: a prefix length of 8 to 24, for example 10.244.0.0/16"
	PodCIDR string `json:"podCIDR,omitempty"`
	// ServiceCIDR is the range of the Services: an IPv4 network of 256 to 1,048,576 addresses (kube-apiserver allows no more).
	// +optional
	// +kubebuilder:validation:MaxLength=43
	// +kubebuilder:validation:XValidation:rule="isCIDR(self) && cidr(self).ip().family() == 4 && cidr(self).ip().isGlobalUnicast() && cidr(self) == cidr(self).masked()",message="serviceCIDR must be an IPv4 unicast network in its shortest form (no loopback or link-local one), for example 10.96.0.0/16"
	// +kubebuilder:validation:XValidation:rule="!isCIDR(self) || (cidr(self).prefixLength() <= 24 && cidr(self).prefixLength() >= 12)",message="serviceCIDR must have between 256 and 1,048,576 addresses: a prefix length of 12 to 24, for example 10.96.0.0/16"
	ServiceCIDR string `json:"serviceCIDR,omitempty"`
}

// ClusterStatus is what the hub knows of a guest.
type ClusterStatus struct {
	// ID of the guest, for people: the truth is the ControlPlane's name.
	// +optional
	ID string `json:"id,omitempty"`
	// Region that the guest lives in.
	// +optional
	Region string `json:"region,omitempty"`
	// Cell that the guest lives in.
	// +optional
	Cell string `json:"cell,omitempty"`
	// Version of Kubernetes that runs.
	// +optional
	Version string `json:"version,omitempty"`
	// Availability in force.
	// +optional
	Availability Availability `json:"availability,omitempty"`
	// Endpoint that clients dial.
	// +optional
	// +structType=atomic
	Endpoint *GuestEndpoint `json:"endpoint,omitempty"`
	// CABundle (PEM) that the guest's API servers are verified by.
	// +optional
	CABundle string `json:"caBundle,omitempty"`
	// Gear that the guest has, and why; none while gears are not computed for it.
	// +optional
	// +structType=atomic
	Gear *ClusterGear `json:"gear,omitempty"`
	// Placement is why the guest lies where it lies; none until it is bound.
	// +optional
	// +structType=atomic
	Placement *ClusterPlacement `json:"placement,omitempty"`
	// RejectedCells says for each cell that did not take the guest why, as of the last decision.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	RejectedCells []RejectedCell `json:"rejectedCells,omitempty"`
	// ObservedGeneration is the generation of the spec that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Scheduled, Ready, Resident.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// RejectedCell says why a cell did not take a guest.
type RejectedCell struct {
	// Cell that was rejected.
	Cell string `json:"cell"`
	// Reason in one word, for example Cordoned.
	Reason string `json:"reason"`
	// Message for people.
	Message string `json:"message"`
}

// GuestEndpoint is where a guest's gateways listen.
type GuestEndpoint struct {
	// ServerName that clients send (TLS SNI) and verify: <id>.<domain of the region>.
	ServerName string `json:"serverName"`
	// Address (IP) of the region's gateways.
	Address string `json:"address"`
	// Port shared by all guests of the region, routed by ServerName.
	Port int32 `json:"port"`
	// PlainPort is this guest's own, for clients that send no server name.
	PlainPort int32 `json:"plainPort"`
}

// ClusterList is a list of Clusters.
//
// +kubebuilder:object:root=true
type ClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Cluster `json:"items"`
}
