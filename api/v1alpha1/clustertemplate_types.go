package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ClusterTemplate is a named kind of cluster with its defaults.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster
// +kubebuilder:printcolumn:name="Kind",type=string,JSONPath=`.spec.kind`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.spec.version`
// +kubebuilder:printcolumn:name="Availability",type=string,JSONPath=`.spec.availability`
type ClusterTemplate struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec ClusterTemplateSpec `json:"spec"`
}

// ClusterTemplateSpec holds what a Cluster of the template gets where it says nothing itself.
type ClusterTemplateSpec struct {
	// Kind of cluster: a cell may accept some kinds only.
	// +kubebuilder:validation:Enum=Standard;Serverless;AI;BareMetal;Edge;Windows
	// +kubebuilder:default=Standard
	Kind string `json:"kind,omitempty"`
	// Version of Kubernetes by default: the name of a Release.
	// +kubebuilder:validation:Pattern=`^v1\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$`
	Version string `json:"version"`
	// Availability by default.
	// +kubebuilder:default=Single
	Availability Availability `json:"availability,omitempty"`
	// Network by default.
	Network ClusterNetwork `json:"network"`
	// Gears that guests of the template may have, computed from their load by the Gearbox named default; none:
	// they keep size.
	// +optional
	Gears *GearBounds `json:"gears,omitempty"`
	// Size of a control plane of this template where gears do not compute it.
	Size ControlPlaneSize `json:"size"`
}

// ClusterTemplateList is a list of ClusterTemplates.
//
// +kubebuilder:object:root=true
type ClusterTemplateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterTemplate `json:"items"`
}
