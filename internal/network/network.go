// Package network plans the addresses of guests in the VPCs of a region: ranges of nodes, pods and Services
// that overlap no others of the VPC. It is pure.
package network

import (
	"net/netip"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// Ranges that a guest has in a VPC.
type Ranges struct {
	Nodes, Pods, Services netip.Prefix
}

// Problem says why no ranges can be had, in the words of a condition or of a rejected cell.
type Problem struct {
	// Reason: ReasonAddressesExhausted, or v1alpha1.ReasonInvalidAddresses.
	Reason string
	// Message says what is exhausted or taken, and what to write instead.
	Message string
}

// ReasonAddressesExhausted: no range of the size that is asked for is free in the pools of the VPC.
const ReasonAddressesExhausted = "AddressesExhausted"

// VPC knows what is taken of a VPC's pools.
type VPC struct{}

// NewVPC with nothing taken. Reserved are ranges that no guest may get, such as those of the region's cells
// (Cell.spec.network.cidrs).
func NewVPC(vpc v1alpha1.VPC, reserved []netip.Prefix) (*VPC, error) { return &VPC{}, nil }

// Plan ranges for a guest: those that the ask names, checked, and for the rest the lowest free ones of the
// size that the ask needs. Nothing is taken yet. The same ask on the same VPC gives the same ranges.
func (v *VPC) Plan(ask v1alpha1.ClusterNetwork) (Ranges, *Problem) { return Ranges{}, nil }

// Take ranges for a guest. It is an error when any of them overlaps what another guest has; ranges outside
// the pools are taken all the same: pools may have been changed since.
func (v *VPC) Take(id string, ranges Ranges) error { return nil }

// Release what a guest has; nothing happens when it has nothing.
func (v *VPC) Release(id string) {}

// ParseRanges reads ranges of the API.
func ParseRanges(v1alpha1.AddressRanges) (Ranges, error) { return Ranges{}, nil }

// Addresses are ranges as the API has them.
func (r Ranges) Addresses() v1alpha1.AddressRanges { return v1alpha1.AddressRanges{} }
