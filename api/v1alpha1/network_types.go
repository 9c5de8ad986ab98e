package v1alpha1

// VPC is a private network of a region. Guests that reach into the same VPC share its addresses: no two of
// them overlap. Guests of different VPCs may have the same ones.
//
// +kubebuilder:validation:XValidation:rule="(self.nodePools + self.podPools + self.servicePools).all(c, isCIDR(c) && cidr(c).ip().family() == 4 && cidr(c) == cidr(c).masked())",message="every pool must be an IPv4 network in its shortest form, for example 10.0.0.0/12"
type VPC struct {
	// Name of the VPC in its region.
	// +kubebuilder:validation:Pattern=`^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$`
	Name string `json:"name"`
	// Tenants (namespaces) that may use it; none: all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=100
	Tenants []string `json:"tenants,omitempty"`
	// NodePools are the networks that guests' nodes get their addresses from.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=18
	NodePools []string `json:"nodePools"`
	// PodPools are the networks that guests' pods get their addresses from.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=18
	PodPools []string `json:"podPools"`
	// ServicePools are the networks that guests' Services get their addresses from.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=18
	ServicePools []string `json:"servicePools"`
}

// AddressRanges are those that a guest has in its VPC.
type AddressRanges struct {
	// NodeCIDR is the range of the nodes.
	// +optional
	NodeCIDR string `json:"nodeCIDR,omitempty"`
	// PodCIDR is the range of the pods.
	// +optional
	PodCIDR string `json:"podCIDR,omitempty"`
	// ServiceCIDR is the range of the Services.
	// +optional
	ServiceCIDR string `json:"serviceCIDR,omitempty"`
}

// CellNetwork is how a cell reaches its guests' networks.
//
// +kubebuilder:validation:XValidation:rule="!has(self.cidrs) || self.cidrs.all(c, isCIDR(c) && cidr(c) == cidr(c).masked())",message="every one of cidrs must be a network in its shortest form, for example 172.16.0.0/16"
// +kubebuilder:validation:XValidation:rule="!has(self.interfacesPerNode) || has(self.addressesPerInterface)",message="interfacesPerNode needs addressesPerInterface: how many guests of one VPC share an interface"
type CellNetwork struct {
	// CIDRs of the cell's own nodes, pods and Services. No guest of a VPC of the region gets an address of
	// them.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=43
	CIDRs []string `json:"cidrs,omitempty"`
	// InterfacesPerNode that each node of the cell may attach to VPCs; none: nothing limits them. An
	// interface belongs to one VPC.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	InterfacesPerNode *int32 `json:"interfacesPerNode,omitempty"`
	// AddressesPerInterface: as many guests of one VPC share an interface in each of their zones.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	AddressesPerInterface *int32 `json:"addressesPerInterface,omitempty"`
}
