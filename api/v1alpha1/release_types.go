package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Release is a version of Kubernetes that the fleet offers. Its name is the version, for example v1.36.3.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster
// +kubebuilder:printcolumn:name="Etcd",type=string,JSONPath=`.spec.etcdVersion`
// +kubebuilder:printcolumn:name="Channels",type=string,JSONPath=`.spec.channels`
// +kubebuilder:printcolumn:name="End of life",type=string,JSONPath=`.spec.endOfLife`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^v1[.](0|[1-9][0-9]*)[.](0|[1-9][0-9]*)$')",message="a Release is named by its version: v1.N.P, for example v1.36.3"
type Release struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec ReleaseSpec `json:"spec"`
}

// ReleaseSpec is what an operator says of a version.
type ReleaseSpec struct {
	// EtcdVersion that guests of this version run, for example v3.6.16.
	// +kubebuilder:validation:Pattern=`^v3\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$`
	EtcdVersion string `json:"etcdVersion"`
	// Images of the components by program (etcd, kube-apiserver, kube-controller-manager,
	// kube-scheduler), for cells that run containers; what is not named comes from registry.k8s.io.
	// +optional
	// +kubebuilder:validation:MaxProperties=10
	Images map[string]string `json:"images,omitempty"`
	// Predecessors are the minor versions (v1.N) that may be upgraded to this one.
	// +optional
	// +listType=set
	// +kubebuilder:validation:items:Pattern=`^v1\.(0|[1-9][0-9]*)$`
	Predecessors []string `json:"predecessors,omitempty"`
	// EndOfLife is the day after which the version gets no more fixes upstream.
	// +optional
	// +kubebuilder:validation:Format=date
	EndOfLife string `json:"endOfLife,omitempty"`
	// Channels that the version is in, such as stable or rapid.
	// +optional
	// +listType=set
	Channels []string `json:"channels,omitempty"`
	// FixedCVEs since the release before.
	// +optional
	// +listType=set
	FixedCVEs []string `json:"fixedCVEs,omitempty"`
}

// ReleaseList is a list of Releases.
//
// +kubebuilder:object:root=true
type ReleaseList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Release `json:"items"`
}
