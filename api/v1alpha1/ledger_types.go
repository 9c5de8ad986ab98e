package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Ledger holds what is promised of one thing that must not be given away twice: the room of a cell, the plain
// ports of a region, the addresses of a VPC. The hub alone writes it, each time on the version that it read,
// before it writes anything that the promise is for. Its name says what it is of: see CellLedger, RegionLedger
// and VPCLedger.
//
// A Ledger says what has changed since its base, another Ledger (BaseLedger), so that a promise takes a small write
// however much has been promised before. What is booked is what the base says, but for the ids that the Ledger
// names: those are booked as it says, or dropped.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Ledger struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Bookings, one for each guest, sorted by id. The hub alone writes them, all at once.
	// +optional
	// +listType=atomic
	Bookings []Booking `json:"bookings,omitempty"`

	// Dropped are the ids of guests that are booked no more, whatever the base says; sorted.
	// +optional
	// +listType=atomic
	Dropped []string `json:"dropped,omitempty"`
}

// Booking is what a Ledger promises to one guest.
type Booking struct {
	// ID of the guest.
	ID string `json:"id"`
	// Tenant is the namespace of the guest's Cluster.
	Tenant string `json:"tenant"`
	// Cluster that the guest was booked for, by UID. A booking whose Cluster is gone and that no order
	// stands for is dropped.
	Cluster types.UID `json:"cluster"`
	// BookedAt is when the booking was last changed.
	BookedAt metav1.Time `json:"bookedAt"`
	// Room in a cell; only in the Ledger of a cell, which holds all that is booked for the guest.
	// +optional
	Room *BookedRoom `json:"room,omitempty"`
	// PlainPort of the region's gateways; not in the Ledger of a VPC.
	// +optional
	PlainPort int32 `json:"plainPort,omitempty"`
	// Ranges in a VPC; not in the Ledger of a region.
	// +optional
	Ranges *AddressRanges `json:"ranges,omitempty"`
}

// BookedRoom is room in the zones of a cell.
type BookedRoom struct {
	// VPC that the guest reaches into; empty: none.
	// +optional
	VPC string `json:"vpc,omitempty"`
	// Zones of the cell.
	// +listType=atomic
	Zones []string `json:"zones"`
	// Demand in each of the zones, in the same order.
	// +listType=atomic
	Demand []ZoneDemand `json:"demand"`
}

// ZoneDemand is what a guest takes in one zone.
type ZoneDemand struct {
	// MilliCPU in thousandths of a core.
	MilliCPU int64 `json:"milliCPU"`
	// Memory in bytes.
	Memory int64 `json:"memory"`
	// APIServerMilliCPU is the part of MilliCPU that the guest's other zones take over when this one is lost.
	// +optional
	APIServerMilliCPU int64 `json:"apiServerMilliCPU,omitempty"`
	// Pods in number, each with one address.
	// +optional
	Pods int64 `json:"pods,omitempty"`
	// Volumes in number.
	// +optional
	Volumes int64 `json:"volumes,omitempty"`
}

// LedgerList is a list of Ledgers.
//
// +kubebuilder:object:root=true
type LedgerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Ledger `json:"items"`
}

// BaseLedger is the name of the base of a Ledger.
func BaseLedger(name string) string { return name + ".base" }

// CellLedger is the name of the Ledger of a cell's room.
func CellLedger(cell string) string { return "cell." + cell }

// RegionLedger is the name of the Ledger of a region's plain ports.
func RegionLedger(region string) string { return "region." + region }

// VPCLedger is the name of the Ledger of a VPC's addresses.
func VPCLedger(region, vpc string) string { return "vpc." + region + "." + vpc }
