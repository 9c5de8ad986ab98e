package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Region is a city with zones at millisecond distance.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster
// +kubebuilder:printcolumn:name="Area",type=string,JSONPath=`.spec.area`
// +kubebuilder:printcolumn:name="Zones",type=string,JSONPath=`.spec.zones`
// +kubebuilder:printcolumn:name="Gateway",type=string,JSONPath=`.spec.gateway.address`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$')",message="a Region's name must be a DNS label of at most 40 characters: lower-case letters, digits and '-', starting with a letter, for example cn-hangzhou"
type Region struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec RegionSpec `json:"spec"`
}

// RegionSpec is what an operator says of a region.
type RegionSpec struct {
	// Area is the large part of the world with one law that the region belongs to: cn, eu, us, ap, …
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="area is immutable: data kept under one law stays there; make a new Region"
	Area string `json:"area"`

	// Zones of the region. A zone fails alone.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]{0,18}[a-z0-9])?$`
	// +listType=set
	Zones []string `json:"zones"`

	// Certifications that the region holds, such as gdpr or mlps-3.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=20
	Certifications []string `json:"certifications,omitempty"`

	// Gateway is where the region's gateways listen.
	Gateway RegionGateway `json:"gateway"`

	// EscrowRecipient is the public age key (age1…) of the area's recovery identity. Agents seal
	// guests' identities to it. Without it no escrow is handed to the hub.
	// +optional
	// +kubebuilder:validation:Pattern=`^age1[a-z0-9]+$`
	EscrowRecipient string `json:"escrowRecipient,omitempty"`

	// MetricsRegion is the Region to which the metrics of this region's guests flow first; empty: this one.
	// +optional
	// +kubebuilder:validation:MaxLength=40
	MetricsRegion string `json:"metricsRegion,omitempty"`

	// VPCs of the region. One that is in use stays in force for the guests that it has.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=50
	VPCs []VPC `json:"vpcs,omitempty"`

	// Placement says how guests are placed; none: by the defaults.
	// +optional
	Placement *PlacementPolicy `json:"placement,omitempty"`

	// Quotas of tenants in the region.
	// +optional
	// +listType=map
	// +listMapKey=tenant
	// +kubebuilder:validation:MaxItems=500
	Quotas []TenantQuota `json:"quotas,omitempty"`
}

// RegionGateway is where the region's gateways listen: one shared port for clients that send a
// server name, and one plain port per guest for clients that send none.
//
// +kubebuilder:validation:XValidation:rule="self.firstPlainPort <= self.lastPlainPort",message="firstPlainPort must not be above lastPlainPort"
// +kubebuilder:validation:XValidation:rule="self.port < self.firstPlainPort || self.port > self.lastPlainPort",message="port must lie outside firstPlainPort…lastPlainPort"
type RegionGateway struct {
	// Address (IP) that clients dial.
	// +kubebuilder:validation:XValidation:rule="isIP(self)",message="address must be an IP address, for example 192.0.2.10"
	// +kubebuilder:validation:MaxLength=45
	Address string `json:"address"`
	// Port shared by all guests, routed by server name.
	// +kubebuilder:default=6443
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`
	// FirstPlainPort and LastPlainPort bound the plain ports: one is given to each guest.
	// +kubebuilder:default=20000
	// +kubebuilder:validation:Minimum=1024
	// +kubebuilder:validation:Maximum=65535
	FirstPlainPort int32 `json:"firstPlainPort,omitempty"`
	// LastPlainPort is the highest plain port, inclusive.
	// +kubebuilder:default=29999
	// +kubebuilder:validation:Minimum=1024
	// +kubebuilder:validation:Maximum=65535
	LastPlainPort int32 `json:"lastPlainPort,omitempty"`
	// Domain under which guests' server names lie: <id>.<domain>.
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]{0,200}[a-z0-9])?$`
	// +kubebuilder:validation:MaxLength=200
	Domain string `json:"domain"`
}

// RegionList is a list of Regions.
//
// +kubebuilder:object:root=true
type RegionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Region `json:"items"`
}
