package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ClusterCredential asks for a short-lived client certificate for one guest. The private key stays
// with whoever made the request.
//
// Tenants write it in the namespace of their Cluster. The hub mirrors it into the namespace of the
// guest's cell (there spec.cluster is the guest's id), where the agent signs it, and carries the
// answer back.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.spec.cluster`
// +kubebuilder:printcolumn:name="Role",type=string,JSONPath=`.spec.role`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.status.expires`
type ClusterCredential struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ClusterCredentialSpec   `json:"spec"`
	Status ClusterCredentialStatus `json:"status,omitempty"`
}

// CredentialRole says what a certificate allows in the guest.
//
// +kubebuilder:validation:Enum=Admin;Viewer
type CredentialRole string

// The fixed list of roles; each is one group in the certificate. system:masters is never one.
const (
	CredentialAdmin  CredentialRole = "Admin"  // group GroupAdmins, bound to cluster-admin
	CredentialViewer CredentialRole = "Viewer" // group GroupViewers, bound to view
)

// The groups of the certificates that agents sign; each guest binds them when it is made.
const (
	GroupAdmins  = "myriad:admins"
	GroupViewers = "myriad:viewers"
)

// ClusterCredentialSpec is the request. It is immutable.
//
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a ClusterCredential is immutable: create a new one"
type ClusterCredentialSpec struct {
	// Cluster of the same namespace.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	Cluster string `json:"cluster"`
	// Role: Admin or Viewer.
	// +kubebuilder:default=Admin
	// +optional
	Role CredentialRole `json:"role,omitempty"`
	// User is the common name of the certificate; the guest's audit log shows it. Names that start
	// with "system:" or "myriad:" are refused.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('system:')",message="user must not start with 'system:': those names belong to Kubernetes; write your own name, for example alice"
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('myriad:')",message="user must not start with 'myriad:': those names belong to the fleet; write your own name, for example alice"
	User string `json:"user"`
	// Request is a PKCS#10 certificate signing request (PEM). Only its public key is used.
	// +kubebuilder:validation:MaxLength=8192
	// +kubebuilder:validation:XValidation:rule="self.startsWith('-----BEGIN CERTIFICATE REQUEST-----')",message="request must be a PEM block of type CERTIFICATE REQUEST, as 'openssl req -new' writes it"
	Request string `json:"request"`
	// ExpirationSeconds of the certificate: 10 minutes to 7 days.
	// +kubebuilder:default=86400
	// +kubebuilder:validation:Minimum=600
	// +kubebuilder:validation:Maximum=604800
	// +optional
	ExpirationSeconds int32 `json:"expirationSeconds,omitempty"`
}

// ClusterCredentialStatus is the answer.
type ClusterCredentialStatus struct {
	// Certificate (PEM), signed by the guest's CA.
	// +optional
	Certificate string `json:"certificate,omitempty"`
	// Expires is when the certificate does.
	// +optional
	Expires *metav1.Time `json:"expires,omitempty"`
	// CABundle (PEM) that the guest's API servers are verified by.
	// +optional
	CABundle string `json:"caBundle,omitempty"`
	// Endpoint that clients dial.
	// +optional
	Endpoint *GuestEndpoint `json:"endpoint,omitempty"`
	// Conditions: Ready.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ClusterCredentialList is a list of ClusterCredentials.
//
// +kubebuilder:object:root=true
type ClusterCredentialList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterCredential `json:"items"`
}
