// Package v1alpha1 holds the types of the fleet's API, fleet.myriad.dev/v1alpha1: what people and
// controllers write into the hub, and what agents report back.
//
// +kubebuilder:object:generate=true
// +groupName=fleet.myriad.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of every kind in this package.
var GroupVersion = schema.GroupVersion{Group: "fleet.myriad.dev", Version: "v1alpha1"}

// AddToScheme registers every kind of this package.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&Region{}, &RegionList{},
		&Ledger{}, &LedgerList{},
		&Cell{}, &CellList{},
		&Release{}, &ReleaseList{},
		&Gearbox{}, &GearboxList{},
		&ClusterTemplate{}, &ClusterTemplateList{},
		&Cluster{}, &ClusterList{},
		&ControlPlane{}, &ControlPlaneList{},
		&ClusterCredential{}, &ClusterCredentialList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
