package placement

import (
	"math"
	"strconv"
)

// gibibyte in bytes.
const gibibyte = 1 << 30

// Names of what zones run out of, as people read them.
const (
	thingCPU        = "CPU"
	thingMemory     = "memory"
	thingPods       = "pods"
	thingAddresses  = "addresses"
	thingVolumes    = "volumes"
	thingInterfaces = "interfaces"
)

// things that vectors count, in the order in which people ask for them.
var things = []struct {
	name string
	of   func(*Vector) int64
}{
	{thingCPU, func(v *Vector) int64 { return v.MilliCPU }},
	{thingMemory, func(v *Vector) int64 { return v.Memory }},
	{thingPods, func(v *Vector) int64 { return v.Pods }},
	{thingAddresses, func(v *Vector) int64 { return v.Addresses }},
	{thingVolumes, func(v *Vector) int64 { return v.Volumes }},
}

func count(n int64) string { return strconv.FormatInt(n, 10) }

func cores(milli int64) string { return strconv.FormatFloat(float64(milli)/1000, 'f', -1, 64) }

func gibibytes(bytes int64) string {
	return strconv.FormatFloat(math.Ceil(float64(bytes)/gibibyte*10)/10, 'f', -1, 64)
}

func appendInt(text []byte, n int64) []byte { return strconv.AppendInt(text, n, 10) }

// appendTenths of a percent, rounded up: what is over a limit reads as over it.
func appendTenths(text []byte, used, capacity int64) []byte {
	tenths := int64(math.Ceil(float64(used) / float64(capacity) * 1000))
	text = strconv.AppendInt(text, tenths/10, 10)
	if tenths%10 != 0 {
		text = strconv.AppendInt(append(text, '.'), tenths%10, 10)
	}
	return text
}
