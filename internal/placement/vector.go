package placement

import (
	"fmt"
	"math"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// Unlimited is a capacity that nothing counts.
const Unlimited = -1

// Vector is an amount of what zones run out of.
type Vector struct {
	// MilliCPU in thousandths of a core.
	MilliCPU int64
	// Memory in bytes.
	Memory int64
	// Pods in number. Each has one address.
	Pods int64
	// Addresses of pods, in number.
	Addresses int64
	// Volumes in number.
	Volumes int64
}

// Add returns the sum.
func (v Vector) Add(other Vector) Vector { return v.times(other, 1) }

// times adds another vector that many times.
func (v Vector) times(other Vector, times int64) Vector {
	return Vector{
		MilliCPU: v.MilliCPU + times*other.MilliCPU, Memory: v.Memory + times*other.Memory,
		Pods: v.Pods + times*other.Pods, Addresses: v.Addresses + times*other.Addresses, Volumes: v.Volumes + times*other.Volumes,
	}
}

// Thing is one of what zones run out of.
type Thing string

// The things, in the order in which they are told of.
const (
	CPU        Thing = "CPU"
	Memory     Thing = "memory"
	Pods       Thing = "pods"
	Addresses  Thing = "addresses"
	Volumes    Thing = "volumes"
	Interfaces Thing = "interfaces"
)

// things of a Vector. Interfaces are counted apart: several guests may share one.
var things = []Thing{CPU, Memory, Pods, Addresses, Volumes}

// Of a thing, the amount.
func (v Vector) Of(thing Thing) int64 {
	switch thing {
	case CPU:
		return v.MilliCPU
	case Memory:
		return v.Memory
	case Pods:
		return v.Pods
	case Addresses:
		return v.Addresses
	default:
		return v.Volumes
	}
}

// share is a percentage of a capacity, rounded down; of an unlimited one more than anything.
func percentOf(capacity, percent int64) int64 {
	if capacity < 0 {
		return math.MaxInt64
	}
	// In two parts: memory times 100 could overflow.
	return capacity/100*percent + capacity%100*percent/100
}

// limit of a capacity of which that share may be used, in per cent.
func limit(capacity Vector, percent int64) Vector {
	return Vector{
		MilliCPU: percentOf(capacity.MilliCPU, percent), Memory: percentOf(capacity.Memory, percent),
		Pods: percentOf(capacity.Pods, percent), Addresses: percentOf(capacity.Addresses, percent), Volumes: percentOf(capacity.Volumes, percent),
	}
}

// perMille of a limit that is in use: 1000 when there is none, and never below 0.
func perMille(used, limit int64) int64 {
	switch {
	case limit == math.MaxInt64 || used <= 0:
		return 0
	case limit <= 0 || used >= math.MaxInt64/whole:
		return whole
	}
	return used * whole / limit
}

// whole is 100 % in thousandths.
const whole = 1000

// amount of a thing for people.
func amount(thing Thing, value int64) string {
	switch thing {
	case CPU:
		return fmt.Sprintf("%d.%d cores", value/1000, value%1000/100)
	case Memory:
		return fmt.Sprintf("%d MiB", value>>20)
	default:
		return fmt.Sprintf("%d %s", value, thing)
	}
}

func vectorOf(size v1alpha1.ComponentSize) Vector {
	return Vector{MilliCPU: size.CPU.MilliValue(), Memory: size.Memory.Value()}
}
